//! SQLite: one file, one process, one writer on its own thread.
//!
//! For demos, tests and one machine. `synchronous = FULL`: a commit that was reported must still be there
//! after a power cut, since Kafka's committed offset follows it, and the records may be gone from the topic.

mod classify;

mod writer;

mod catalog;
mod claim;
mod execute;
mod insert;
mod outbox;
mod step;

pub(super) use classify::error;
pub(super) use execute::Execute;
pub use insert::Cell;
pub(super) use insert::Insert;
pub(super) use writer::Sqlite;
