//! Sending records, awaited.

use std::sync::Arc;

use super::Future;
use crate::record::{Fault, OwnedRecord, Position};

/// A record on its way to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; `None`: by the key's murmur2 hash, as Java's client does.
    pub partition: Option<i32>,
    /// Key, value, headers and timestamp, kept byte for byte.
    pub record: OwnedRecord,
}

/// An idempotent producer (acks = all).
pub trait Producer: Send + Sync {
    /// Sends all of them and waits for each. Records of one partition keep their order.
    /// One answer for each, in the order given: its position, or why it is not known to be there.
    fn send(&self, records: Vec<Outgoing>) -> Future<'_, Vec<Result<Position, Fault>>>;
}
