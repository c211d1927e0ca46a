//! Assembly: from a pipeline file to a pipeline at work. Knows everybody; holds wiring and the loops, no
//! policy.
//!
//! ```text
//! spec ──compile──▶ checked against the schema ──build──▶ factory, sink ──bind──▶ the real world
//! runner: bind, join, work, leave      group: assignments ↔ tasks ↔ commits      task: one partition
//! ```

pub mod spec;

pub mod topics;

pub mod compile;

pub mod world;

pub mod effect;

pub mod order;

pub mod sending;

pub mod build;

pub mod marker;

pub mod begin;

pub mod claim;

pub mod reader;

pub mod case;

pub mod process;

pub mod chunk;

pub mod load;

pub mod task;

pub mod door;

pub mod relay;

pub mod group;

pub mod runner;
