//! Claiming partitions: who are they, where may they start, where do they stand?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::marker;
use crate::port::{Admin, Claim, Future, Progress, Wanted};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// What a claim needs to know of the world.
#[derive(Clone)]
pub struct Claimer {
    /// The consumer group.
    pub group: Arc<str>,
    /// Questions to the cluster.
    pub admin: Arc<dyn Admin>,
}

impl std::fmt::Debug for Claimer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "claimer of {}", self.group)
    }
}

impl Claimer {
    /// Claims these partitions at the store that is the truth.
    ///
    /// A partition nobody knows yet starts at the committed offset that another tool set, else at the
    /// beginning of its log. Topic ids are read anew at each claim: a topic that was deleted and made
    /// again is another one.
    ///
    /// # Errors
    /// `Unavailable` while the cluster or the store is away, or the log ends before our place. `Fatal` when the log no longer holds what is
    /// next to read: going on would be a silent loss.
    pub async fn claim(
        &self,
        truth: &dyn Progress,
        partitions: &[PartitionId],
    ) -> Result<Vec<Claim>, Fault> {
        let ids = self.topic_ids(partitions).await?;
        let ends = self.admin.watermarks(partitions).await?;
        let committed = self.admin.committed(&self.group, partitions).await?;
        let mut wanted = Vec::with_capacity(partitions.len());
        for ((partition, ends), committed) in partitions.iter().zip(&ends).zip(&committed) {
            let foreign = committed.as_ref().filter(|c| !marker::is_ours(&c.metadata));
            let start = foreign.map_or(ends.start, |c| c.next.max(ends.start));
            let topic_id = ids.get(&*partition.topic).copied().ok_or_else(|| gone(partition))?;
            let committed = committed.as_ref().filter(|c| marker::is_ours(&c.metadata));
            let committed = committed.map(|c| c.next);
            wanted.push(Wanted { partition: partition.clone(), topic_id, start, committed });
        }
        let claims = truth.claim(&self.group, &wanted).await?;
        // Asked after the claim: the old owner went on until then.
        let ends = self.admin.watermarks(partitions).await?;
        for (claim, ends) in claims.iter().zip(&ends) {
            still_there(claim, ends.start, ends.end)?;
        }
        Ok(claims)
    }

    async fn topic_ids(
        &self,
        partitions: &[PartitionId],
    ) -> Result<BTreeMap<Arc<str>, TopicId>, Fault> {
        let mut ids = BTreeMap::new();
        for partition in partitions {
            if !ids.contains_key(&partition.topic) {
                let info =
                    self.admin.topic(&partition.topic).await?.ok_or_else(|| gone(partition))?;
                ids.insert(Arc::clone(&partition.topic), info.id);
            }
        }
        Ok(ids)
    }
}

/// A topic may be gone for a moment while it is deleted and made again: wait for it.
fn gone(partition: &PartitionId) -> Fault {
    Fault::unavailable(
        "unknown_topic",
        format!("topic {} is not there; was it deleted?", partition.topic),
    )
}

fn still_there(claim: &Claim, start: NextOffset, end: NextOffset) -> Result<(), Fault> {
    let (partition, next) = (&claim.partition, claim.next);
    if next < start {
        return Err(Fault::fatal(
            "offset_out_of_range",
            format!(
                "{partition} stands at {next}, but its log begins at {start}: {} records were deleted \
                 before they were read; move the group to {start} to go on without them",
                start.0 - next.0
            ),
        ));
    }
    if next > end {
        // A broker that is just starting may know less of its log for a moment, so this waits; a log that
        // was really cut off stays so, and is shown as what the pipeline waits for.
        return Err(Fault::unavailable(
            "offset_out_of_range",
            format!(
                "{partition} stands at {next}, but its log ends at {end}; if the log was cut off, find \
                 out what was lost, then move the group to {end}"
            ),
        ));
    }
    Ok(())
}

/// Kafka's committed offset as the truth, for sinks without a store of their own. It has no fence.
pub struct CommittedOffsets {
    admin: Arc<dyn Admin>,
    /// No store counts claims, so this process does: each has a number of its own here.
    claims: AtomicI64,
}

impl CommittedOffsets {
    /// The committed offsets that `admin` tells of.
    pub fn new(admin: Arc<dyn Admin>) -> Self {
        Self { admin, claims: AtomicI64::new(0) }
    }
}

impl std::fmt::Debug for CommittedOffsets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("committed offsets")
    }
}

impl Progress for CommittedOffsets {
    fn claim<'a>(
        &'a self,
        group: &'a Arc<str>,
        wanted: &'a [Wanted],
    ) -> Future<'a, Result<Vec<Claim>, Fault>> {
        Box::pin(async move {
            let partitions: Vec<PartitionId> = wanted.iter().map(|w| w.partition.clone()).collect();
            let committed = self.admin.committed(group, &partitions).await?;
            let epoch = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
            let claims = wanted.iter().zip(committed).map(|(wanted, committed)| Claim {
                group: Arc::clone(group),
                partition: wanted.partition.clone(),
                topic_id: wanted.topic_id,
                epoch,
                next: committed.map_or(wanted.start, |c| c.next),
                replay_mark: NextOffset(0),
                done_ahead: Vec::new(),
            });
            Ok(claims.collect())
        })
    }
}
