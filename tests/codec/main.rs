//! The codec against programs that nobody here wrote: apache-avro for data that is valid, both ways, and
//! Python's fastavro for what must be refused.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on must fail, and one that is left out must say so"
)]

mod bombs;
mod broken;
mod model;
mod valid;
