//! Schemas: where they come from, how long they are believed, and the contracts that lie in the repository.
//!
//! ```text
//! by_id ─▶ memory (single flight) ─▶ registry over HTTP ─▶ pinned, kept on disk
//!                                       └─ away ─▶ disk, asked again after a while
//! ```
//!
//! Schema texts leave this room as text: nothing is decoded here, and no record enters. The embedded
//! registry answers requests as values; who serves it over a socket is another room's business.

mod settings;

mod error;

mod stats;

mod http;

mod limits;

mod references;

mod disk;

mod memory;

mod client;

mod subjects;

pub mod compat;

pub mod contracts;

pub mod embedded;

#[cfg(test)]
mod testing;

pub use client::Client;
pub use embedded::{EmbeddedSchemas, Registry};
pub use error::Error;
pub use settings::{Credentials, Settings};
pub use stats::Stats;
pub use subjects::{Compat, Entry};
