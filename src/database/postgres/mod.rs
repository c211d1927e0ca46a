//! PostgreSQL: a few connections, each with its statements prepared; a step takes two round trips.

mod classify;

mod connect;
mod pool;

mod tables;

mod catalog;
mod claim;
mod execute;
mod insert;
mod outbox;
mod send;
mod step;

pub(super) use execute::Execute;
pub(super) use insert::Insert;
pub(super) use pool::Postgres;
