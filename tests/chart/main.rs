//! The chart: what it renders by both Helms, what it refuses, and that it says the same as the program.
//!
//! The tools are those of `scripts/with-tools`; without them nothing is tested here, and that is said.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests may")]

mod cluster;
mod documents;
mod helm;
mod operators;
mod pods;
mod refused;
mod strict;
