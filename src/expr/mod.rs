//! CEL expressions: parsed by the `cel` crate, checked against the types of the event when a pipeline file
//! is read, compiled to a tree that runs on decoded values without converting them.
//!
//! The language is CEL's with the differences that money and checked schemas ask for:
//!
//! - **Names**: `event key id headers topic partition offset timestamp`. No clock, no randomness.
//! - **Types**: bool, int (64 bits; overflow is an error), double, decimal (exact, within 28 digits; goes
//!   with decimals and ints, never with doubles), string, bytes, uuid, date, time, timestamp, duration,
//!   list, map, record. Enums are strings. No unsigned ints.
//! - **Constants**: `decimal("1.20") uuid("…") date("2026-01-31") time("10:00:00")
//!   timestamp("2026-01-31T10:00:00Z") duration("1h30m")`, checked when the file is read. A uuid compares
//!   with a string constant; an enum only with its symbols.
//! - **Null**: an optional field is null or a value. `== null` and `!= null` always work, and null equals
//!   only null. Ordering, arithmetic, functions and fields of null fail on that record; `has(event.x)`
//!   (there and not null) and `!= null` guard, also the type: in `has(event.x) ? event.x : 0` it is
//!   an int.
//! - **Unions**: what a value is shows when it comes; a kind that does not fit fails on that record.
//! - **Equality** of types that never are equal (an int and a double) is refused when the file is read.
//! - `&&`, `||`, `all`, `exists` are decided by the part that decides, even where another fails.
//! - **Bounds**: [`TEXT_BYTES_MAX`], [`NESTING_MAX`], [`CHAIN_MAX`] when the file is read; [`STEPS_MAX`],
//!   [`MADE_BYTES_MAX`], [`MADE_ITEMS_MAX`] when it runs.

mod nearest;
mod source;

mod check;
mod env;
mod error;
mod function;
mod kinds;
mod parse;

mod arithmetic;
mod compare;
mod constant;
mod each;
mod frame;
mod node;
mod problem;
mod program;

#[cfg(test)]
mod oracle;

pub use env::Env;
pub use error::{Error, Mistake};
pub use frame::{MADE_BYTES_MAX, MADE_ITEMS_MAX, STEPS_MAX};
pub use function::names as functions;
pub use nearest::nearest;
pub use parse::{CHAIN_MAX, NESTING_MAX, TEXT_BYTES_MAX};
pub use problem::{EvalError, Problem};
pub use program::{Program, compile};
pub use source::Source;

/// The list functions with a variable.
const LIST_FUNCTIONS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "map", "filter"];
