//! Looking at topics and groups.

use std::time::Duration;

use super::{Commit, Future};
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

    /// How long the topic keeps a record before it deletes it by age; `None`: it does not. What it deletes by size
    /// is not told. An embedded bus deletes nothing by age.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    fn retention<'a>(&'a self, _name: &'a str) -> Future<'a, Result<Option<Duration>, Fault>> {
        Box::pin(async { Ok(None) })
    }

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

    /// The first offset of each partition at or behind a time in milliseconds since the Unix epoch, in their
    /// order; the end of its log where no record is so young.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask or the cluster has no look-up by time.
    fn offsets_at<'a>(
        &'a self,
        time_ms: i64,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<NextOffset>, Fault>>;

    /// Commits these offsets for a group that has no members.
    ///
    /// # Errors
    /// `Unavailable`; `Fatal` when we may not, with code `unknown_member_id` when the group has members.
    fn commit<'a>(&'a self, group: &'a str, commits: Vec<Commit>) -> Future<'a, Result<(), Fault>>;

    /// Has the group ever had members? A group that only a tool has set offsets for had none.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    fn had_members<'a>(&'a self, group: &'a str) -> Future<'a, Result<bool, Fault>>;

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

/// Commits as a member of a group.
pub trait Commits: Send + Sync {
    /// Commits these offsets of partitions that the member holds or is just being given, and waits.
    ///
    /// # Errors
    /// `Unavailable`: they may or may not be committed.
    fn commit(&self, commits: Vec<Commit>) -> Future<'_, Result<(), Fault>>;
}
