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
    /// What the group has committed to Kafka, where the commit is ours: it follows the truth, so a truth
    /// that stands before it has lost something.
    pub committed: Option<NextOffset>,
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
