//! Rows into a table, or a statement run for each event, together with the partition's progress: exactly once.
//!
//! ```text
//! bind     table, columns, types, grants; or statement, parameters: all that does not fit is said at once
//! encode   an event's values ──▶ a row in the database's own binary form (no allocation, checked)
//! apply    the rows of a range and its progress in one transaction (room `database`)
//! ```

mod column;

mod plan;

mod json;
mod numeric;
mod postgres;
mod sqlite;

mod bound;

mod insert;

mod execute;

pub use column::{Column, Slot};
pub use execute::{Execute, ExecuteOptions};
pub use insert::{Insert, Options};
