//! Ordermill: an event bus for orders on Apache Kafka.
//!
//! ```text
//! Kafka ──batch──▶ poll thread ──batch per partition──▶ partition task
//!                                                         decode (only the fields the pipeline uses)
//!                                                         stages (pure, synchronous)
//!                                                         effect: a contiguous range at once
//!                                                         settle ─▶ offset tracker ─▶ watermark
//! poll thread ◀── watermarks ── commit
//! ```
//!
//! The rooms below stand in the order of knowledge: a room may use what stands above it.

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "a table of cases is long"))]

pub mod record;

pub mod codec;

pub mod expr;

pub mod stage;

pub mod engine;

pub mod port;

pub mod config;

pub mod observe;

pub mod database;

pub mod registry;

pub mod kafka;

pub mod sink;

pub mod web;

pub mod pipeline;

pub mod replay;

pub mod cli;
