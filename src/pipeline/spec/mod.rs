//! What a pipeline file says, as plain checked data: everything that can be known without a schema, a
//! broker or a database is known to be right here. Expressions are still text, with their places.
//!
//! What a file may say stands in one table, [`grammar`]; errors, defaults, the page
//! `docs/pipeline-files.md` and the JSON Schema come from it.

mod case;
mod files;
mod fit;
pub mod grammar;
mod model;
mod read;
mod rules;
mod sink;
mod source;
mod stage;
#[cfg(test)]
mod tests;

pub use crate::config::problem::{Place, Problem, Problems};
pub use crate::config::yaml::{Kind, Node, Text};
pub use case::{Case, Dropped, Expect, Given, Payload};
pub use files::{Found, find, read, read_all};
pub use fit::fit;
pub use grammar::{json_schema, page};
pub use model::{DeadLetter, Limits, OnReplay, Pipeline, Places, Retry, StopAfter, Then, Window};
pub use read::{BYTES_MAX, parse};
pub use sink::{
    Archive, Batch, Conflict, Execute, Headers, Insert, Mail, Partition, Roll, Rows, Shortfall,
    Sink, Sql, Statement, TopicSink,
};
pub use source::{From, KeyType, Source, Tombstone};
pub use stage::{Otherwise, Route, Stage};
