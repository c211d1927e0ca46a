//! Who owns a partition, and where it stands: the claim and its fence.

use std::sync::Arc;

use super::{Future, Refusal};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// A partition that a member was given and wants to work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub partition: PartitionId,
    /// The topic's identity: progress of a topic that was deleted and made again is not taken over.
    pub topic_id: TopicId,
    /// Where to start if nothing is known of it yet.
    pub start: NextOffset,
    /// Another tool has moved the group to `start`: go there, whatever is known.
    pub moved: Option<Moved>,
    /// What the group has committed to Kafka, where the commit is ours: it follows the truth, so a truth
    /// that stands before it has lost something.
    pub committed: Option<NextOffset>,
}

/// Another tool has moved a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The epoch under which the partition stood before Kafka was asked; 0: nobody had claimed it. Whoever
    /// has claimed it since has gone there already, and work was done from there on.
    pub epoch: i64,
    /// What was done ahead stays done.
    pub keep_ahead: bool,
}

/// Where a group begins in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its identity.
    pub topic_id: TopicId,
    /// Next to read, by the partition's number.
    pub starts: Vec<NextOffset>,
}

/// The right to work a partition, until somebody else claims it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The consumer group.
    pub group: Arc<str>,
    /// The partition.
    pub partition: PartitionId,
    /// The topic's identity.
    pub topic_id: TopicId,
    /// The owner's number: each claim raises it, each step must carry the newest.
    pub epoch: i64,
    /// Where to go on.
    pub next: NextOffset,
    /// Records below it are replayed ones: the group had reached it when it was moved back. 0: none are.
    pub replay_mark: NextOffset,
    /// What was settled behind `next`, as it was kept; empty: nothing.
    pub done_ahead: Vec<u8>,
    /// The store holds nothing of the partition: the group begins at `next`.
    pub begins: bool,
}

/// A store of progress that is the truth for a pipeline.
pub trait Progress: Send + Sync {
    /// Claims these partitions for `group`: raises each one's epoch and tells where it stands. Waits for
    /// a step of the old owner that is being committed. Claims come in the order of `wanted`.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be reached: nothing is claimed, ask again.
    fn claim<'a>(
        &'a self,
        group: &'a Arc<str>,
        wanted: &'a [Wanted],
    ) -> Future<'a, Result<Vec<Claim>, Fault>>;

    /// The epochs under which partitions stand, in the order of `wanted`; 0: nobody has claimed it.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be reached.
    fn epochs<'a>(
        &'a self,
        group: &'a str,
        wanted: &'a [(PartitionId, TopicId)],
    ) -> Future<'a, Result<Vec<i64>, Fault>> {
        let _ = group;
        Box::pin(std::future::ready(Ok(vec![0; wanted.len()])))
    }

    /// Has the group ever stood anywhere in this topic? `None`: the store cannot keep a place before work
    /// is done there.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be reached.
    fn knows<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
    ) -> Future<'a, Result<Option<bool>, Fault>> {
        let _ = (group, topic);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Keeps where the group begins in a topic that it does not know, for all partitions at once; of several
    /// that do so only the first counts. Only where [`Progress::knows`] answers.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be reached.
    fn begin<'a>(
        &'a self,
        group: &'a str,
        beginning: &'a Beginning,
    ) -> Future<'a, Result<(), Fault>> {
        let _ = (group, beginning);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Keeps where a partition stands whose effects are not in this store: everything below `next` is
    /// settled, and `done_ahead` says what is behind it. Never moves backwards; asked again it does it once.
    ///
    /// Unless a store says otherwise nothing is kept: a truth that moves with the effects, or with Kafka's
    /// commits, needs nothing besides.
    ///
    /// # Errors
    /// [`Refusal::Fenced`]: another owner has claimed it, or it was moved by hand.
    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        next: NextOffset,
        done_ahead: &'a [u8],
    ) -> Future<'a, Result<(), Refusal>> {
        let _ = (claim, next, done_ahead);
        Box::pin(std::future::ready(Ok(())))
    }
}
