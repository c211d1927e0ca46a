//! What is seen from outside: the ledger of outcomes, lag, health, metrics, logs.
//!
//! Every metric's name stands in one file, `metrics.rs`. Nothing here decides anything: the rooms below
//! tell what happened, and a scrape reads it.

mod board;
mod health;
mod ledger;
pub mod logs;
pub mod metrics;
mod page;
mod partition;
mod sparing;

pub use board::{Board, PipelineView, TopicView};
pub use health::{Health, State};
pub use ledger::{Counts, Ledger, Tally};
pub use page::page;
pub use partition::PartitionView;
pub use sparing::Sparing;
