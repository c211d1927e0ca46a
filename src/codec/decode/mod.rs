//! Decoding: a plan, compiled once for a writer's schema, a reader's and the fields that are used.
//!
//! ```text
//! writer ─┐
//! reader ─┼─▶ resolve ─▶ reader and skip steps      body ─▶ input ─▶ steps ─▶ values by slot
//! uses   ─┘                                                            (text and bytes lie in the body)
//! ```
//!
//! A plan is strict: it answers with the record's values, or with what is wrong and where. What it makes is
//! bounded: 300,000 values a record, and no list is made before its bytes were seen to be there.

mod input;
mod plan;
mod promote;
mod reader;
mod resolve;
mod scalar;
mod skip;

pub(super) use plan::with_default;
pub use plan::{Plan, compatible};
pub(super) use scalar::{DAY_MAX, DAY_MIN, MICROS_MAX, MICROS_MIN, MICROS_OF_DAY};
