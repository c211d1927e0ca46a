//! The only room that says axum: health and metrics over HTTP, and how another process is asked for them.
//!
//! Bound to 127.0.0.1 unless the operator says otherwise; nothing here changes anything.

mod answers;
mod ask;
mod health;
mod server;

pub use answers::{Answer, Answering, Asked, answers};
pub use ask::ask;
pub use health::routes;
pub use server::{Error, Server};
