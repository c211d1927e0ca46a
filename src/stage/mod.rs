//! Stages: what happens to an event between decoding and its effect.
//!
//! A stage is pure and synchronous: scope in, scope out, no IO, no clock, no broker, no sink. Each stage
//! is one file of the same furniture: its [`Options`] as the pipeline file has them, its type, `impl
//! Stage`, its tests; and one row in [`TABLE`].
//!
//! ```text
//! options ──build──▶ Chain        checked against the event's full shape
//!                      │ uses()    what must be decoded for what the sink needs
//!                      ▼ narrow()  the same chain on the shape that is decoded
//! scope ─▶ stage ─▶ stage ─▶ … ─▶ out     or one End: dropped, rejected, a fault
//! ```

mod chain;
mod error;
mod options;
mod step;
mod table;

pub mod filter;

pub mod check;

pub mod map;

pub mod set;

pub mod keep;

pub mod drop;

pub mod unnest;

pub mod dedup;

pub mod route;

pub use chain::{Chain, STAGES_MAX, build, changes_shape};
pub use error::{Error, Mistake};
pub use options::Options;
pub use step::{Child, Flow, Stage};
pub use table::{Row, TABLE};
