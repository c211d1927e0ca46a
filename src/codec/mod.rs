//! Avro: the wire frame, schemas, and the plans by which records are read and written under them.
//!
//! ```text
//! value ─▶ frame ─▶ schema id ─▶ Schema (writer) ─┐
//!            │                   Schema (reader) ─┼─▶ Plan ──┐
//!            │                   fields used     ─┘          ▼
//!            └──────────────────▶ body ─────────────────▶ decode ─▶ values by slot
//! values by slot ─▶ Encoder ─▶ body
//! ```
//!
//! Schema text comes in as data. No registry, no clock and no IO enters this room; nothing in it panics on
//! data, and what data can cost is bounded. apache-avro parses schemas and never sees a record: it accepts
//! records that are cut short, and small ones can exhaust it.

mod error;

pub mod frame;
mod schema;

mod derive;

mod decode;
mod encode;

pub mod json;

pub mod container;

pub use decode::{Plan, compatible};
pub use derive::schema_of;
pub use encode::Encoder;
pub use error::{Error, Flaw};
pub use schema::Schema;
