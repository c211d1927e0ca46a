//! The rules of the engine: what is settled, when to pause, when to try again, what happens next.
//!
//! Pure: data and `now` in, a verdict out. No IO, no clock, no tokio, no metrics and no logging enters
//! this room; the drivers in `pipeline` do what is said here and tell what came of it.

pub mod ahead;
pub mod breaker;
pub mod flow;
pub mod lag;
pub mod lanes;
pub mod offsets;
pub mod part;
pub mod partition;
pub mod retry;
pub mod stop;

/// A point on a monotonic clock: the time since the process began. The caller reads the clock.
pub type Now = std::time::Duration;
