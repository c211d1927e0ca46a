//! The effects: what an event does to the world.
//!
//! One folder an effect. A sink knows its own protocol and nothing of Kafka, stages or pipelines.

pub mod archive;
pub mod mail;
pub mod sql;
pub mod topic;
