//! Looking at topics and groups.

use super::Future;
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// What the broker says of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its identity.
    pub id: TopicId,
    /// How many partitions.
    pub partitions: i32,
}

/// The two ends of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that is still there.
    pub start: NextOffset,
    /// The offset that the next record will have.
    pub end: NextOffset,
}

/// A group's committed offset with what stood beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedAt {
    /// Next to read.
    pub next: NextOffset,
    /// The metadata of the commit; empty when another tool made it.
    pub metadata: String,
}

/// Questions to the cluster, asked off the poll thread. Every one has a time limit of its own.
pub trait Admin: Send + Sync {
    /// A topic by name; `None`: the cluster says that there is none.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    fn topic<'a>(&'a self, name: &'a str) -> Future<'a, Result<Option<TopicInfo>, Fault>>;

    /// The ends of these partitions, in their order.
    ///
    /// # Errors
    /// `Unavailable`.
    fn watermarks<'a>(
        &'a self,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<Watermarks>, Fault>>;

    /// What `group` has committed for these partitions, in their order; `None`: nothing.
    ///
    /// # Errors
    /// `Unavailable`.
    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<Option<CommittedAt>>, Fault>>;

    /// Makes a topic; one that is there already is left as it is.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when the cluster refuses.
    fn create_topic<'a>(
        &'a self,
        name: &'a str,
        partitions: i32,
        replication: i32,
    ) -> Future<'a, Result<(), Fault>>;
}
