//! Moving groups: what a reset would do, and doing it.
//!
//! ```text
//! plan     where each partition stands, where it would go, what the sink does with replayed records
//! execute  the database first (it fences and keeps the replay mark), then Kafka; run again it repairs
//! ```

pub mod plan;

mod run;

pub use run::{Error, Reset, execute, look};
