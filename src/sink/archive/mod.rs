//! Events kept for good, in Avro files that form a chain per partition: exactly once, never a torn one.
//!
//! ```text
//! encode   an event with its origin ──▶ an Avro record (entry)
//! apply    the entries of a range ──▶ an object: to/TOPIC ID/PARTITION/FIRST OFFSET.avro
//! claim    the last object says where to go on: the chain is the truth
//! ```
//!
//! An object is written whole or not at all, and only where none is: its name is its first offset, which is
//! the one behind the last of the object before, so that two owners want the same name and one gets it. Each
//! object carries the hash of the one before it; nothing can be lost, swapped or altered unseen. A range
//! without an effect becomes an object without entries: the chain has no holes, and what was dropped or
//! dead-lettered is not looked at again.

mod entry;
mod link;

mod object;
mod store;

mod chain;
mod sink;

pub use chain::links;
pub use entry::Entries;
pub use link::{Hash, Link};
pub use sink::{Archive, Options, check};
pub use store::Objects;

#[cfg(test)]
mod tests;
