//! The databases that hold effects and progress together: PostgreSQL, and SQLite on one machine.
//!
//! The only room that knows a database driver. A pipeline's step is one transaction here: the fenced
//! progress of one partition, and the rows that its records became.
//!
//! ```text
//! claim   raise owner_epoch, learn next                   (waits for a running step of the old owner)
//! step    begin · next := to where epoch is mine and next = from · dead letters · rows · commit
//!         (a statement that must change so many rows: rows · who ended otherwise? · dead letters · commit)
//!         nothing moved, or nobody knows?  look: mine and at `to` = done, mine and at `from` = again, else fenced
//! ship    lease · oldest dead letters · send, renewing the lease · delete those that arrived · let go
//! ```
//!
//! What a row's bytes mean is between this room's [`Insert`] or [`Execute`] and the sink that encodes them; no event, no
//! expression and no policy of a step (retry, halving) enters here.

mod settings;

mod error;

mod table;

mod text;

mod execute;

mod outbox;

mod driver;
mod postgres;
mod sqlite;

mod relay;

mod console;

pub use console::Console;
pub use driver::{Database, Execute, Insert, Move, Standing};
pub use error::Error;
pub use execute::{Demand, Described};
pub use settings::{PostgresSettings, Settings, SqliteSettings, Timeouts};
pub use sqlite::Cell;
pub use table::{Affinity, Conflict, PostgresType, SqlType, Table, TableColumn};
pub use text::{Flaw, Name, SqlText};
