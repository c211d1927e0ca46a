//! The commands beside `run`: what they print, and how they end.

mod away;
mod cases;
mod config;
mod demo;
mod dev;
mod group;
mod health;
mod help;
mod lint;
mod produce;
mod schema;
mod secure;
mod tail;
mod topic;

use crate::plain::SOON;
use crate::support::Ordermill;

/// Runs a command to its end: exit code, standard output, standard error.
#[track_caller]
fn end(command: Ordermill) -> (Option<i32>, String, String) {
    let mut process = command.start();
    let code = process.wait_exit(SOON);
    (code, process.stdout(), process.stderr())
}
