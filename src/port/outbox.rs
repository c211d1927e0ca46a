//! Dead letters that were written with a step and wait to be sent.

use std::sync::Arc;

use super::{Future, Producer};
use crate::record::Fault;

/// A store of dead letters beside the progress.
pub trait Outbox: Send + Sync {
    /// Sends up to `max` letters of `group`, the oldest first, by `producer`, and forgets those that were
    /// acknowledged. Several processes may do so at once: a letter that one is sending is left to it. A
    /// letter is sent at least once; sent again it carries the same id.
    ///
    /// Answers how many were sent.
    ///
    /// # Errors
    /// `Unavailable`: the store or the brokers are away, or the topic is missing or may not be written; the
    /// reason says what to do, what was not acknowledged stays, and asking again goes on. `Fatal`: the
    /// producer is broken for good, or a letter fits the topic not even in parts. Letters of other
    /// partitions may have been sent all the same.
    fn ship<'a>(
        &'a self,
        group: &'a Arc<str>,
        producer: &'a dyn Producer,
        max: usize,
    ) -> Future<'a, Result<usize, Fault>>;
}
