//! Rebalances on the poll thread: what the group gives and takes, and the answers of those who work it.
//!
//! A rebalance is told to the intake and stays pending until its answer comes as an order. The library
//! pauses every assigned partition from the event to the answer: what flows meanwhile is what the tasks
//! already have. So answer soon; a drain of a second is a second without new records.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::{Offset, TopicPartitionList};

use super::consumer::Rebalance;
use super::flow::{Lane, Phase};
use super::poll::PollThread;
use crate::port::{Commit, StartAt};

use crate::record::{NextOffset, PartitionId};

impl PollThread {
    /// Tells the intake what the group gave or takes; what holds nothing is ended at once.
    pub(super) fn rebalance(&mut self, rebalance: Rebalance) {
        match &rebalance {
            Rebalance::Assign(list) => {
                self.vitals.joined.store(true, Ordering::Relaxed);
                if list.count() == 0 {
                    // Nothing to decide.
                    self.accepted(rebalance);
                    return;
                }
                let ids = ids(list);
                tracing::info!(partitions = %names(&ids), "assigned");
                self.pending = Some(rebalance);
                self.intake.assigned(ids);
            }
            Rebalance::Revoke { partitions, lost } => {
                if partitions.count() == 0 {
                    self.accepted(rebalance);
                    return;
                }
                let (ids, lost) = (ids(partitions), *lost);
                tracing::info!(partitions = %names(&ids), lost, "revoked");
                for id in &ids {
                    if let Some(lane) = self.lanes.get_mut(&id.topic, id.partition) {
                        lane.stop(Phase::Waiting);
                    }
                }
                self.pending = Some(rebalance);
                self.intake.revoked(ids, lost);
            }
        }
    }

    /// Ends the pending assignment: each partition at its start, or paused until there is one.
    pub(super) fn accept(&mut self, entries: &[(PartitionId, StartAt)]) {
        let list = match self.pending.take() {
            Some(Rebalance::Assign(list)) => list,
            other => {
                tracing::error!("an assignment was accepted that nobody gave");
                self.pending = other;
                return;
            }
        };
        let start_of = |topic: &str, number: i32| {
            let found =
                entries.iter().find(|(id, _)| *id.topic == *topic && id.partition == number);
            match found {
                Some((_, StartAt::Offset(next))) => Some(next.0),
                Some((_, StartAt::Later)) | None => None,
            }
        };
        let mut with_offsets = TopicPartitionList::with_capacity(list.count());
        let mut lanes = Vec::with_capacity(list.count());
        for id in ids(&list) {
            let start = start_of(&id.topic, id.partition);
            // An explicit offset, so that the committed one is not looked up: it is not the truth here.
            let offset = start.map_or(Offset::Beginning, Offset::Offset);
            if let Err(e) = with_offsets.add_partition_offset(&id.topic, id.partition, offset) {
                tracing::error!(partition = %id, error = %e, "an offset that cannot be assigned");
            }
            lanes.push(Lane::new(id, start));
        }
        self.accepted(Rebalance::Assign(with_offsets));
        for lane in lanes {
            if lane.phase == Phase::Waiting
                && let Err(e) = self.consumer.pause(&lane.id.topic, lane.id.partition)
            {
                tracing::warn!(error = %e, "pause an accepted partition");
            }
            if lane.phase == Phase::Running {
                self.intake.started(&lane.id, NextOffset(lane.next));
            }
            self.lanes.insert(lane);
        }
        self.pause_again();
    }

    /// An assignment may let paused partitions flow: what must not is paused again.
    fn pause_again(&self) {
        for lane in self.lanes.iter() {
            if matches!(lane.phase, Phase::Waiting | Phase::Paused | Phase::Starting(_))
                && let Err(e) = self.consumer.pause(&lane.id.topic, lane.id.partition)
            {
                tracing::warn!(error = %e, "pause again after an assignment");
            }
        }
    }

    /// Ends the pending revocation: commits what is still ours to commit, then gives up.
    pub(super) fn release(&mut self, commits: &[Commit]) {
        let Some(Rebalance::Revoke { partitions, lost }) =
            self.pending.take_if(|pending| matches!(pending, Rebalance::Revoke { .. }))
        else {
            tracing::error!("a revocation was answered that nobody announced");
            return;
        };
        if !lost {
            let ours: Vec<&Commit> =
                commits.iter().filter(|c| contains(&partitions, &c.partition)).collect();
            self.commit_now(&ours);
        }
        for id in ids(&partitions) {
            drop(self.lanes.remove(&id.topic, id.partition));
        }
        self.accepted(Rebalance::Revoke { partitions, lost });
    }

    /// Ends a rebalance at the client.
    pub(super) fn accepted(&mut self, rebalance: Rebalance) {
        if let Err(e) = self.consumer.accept(rebalance) {
            // The library goes on from its own state: it revokes or rejoins by itself.
            tracing::error!(error = %e, "end a rebalance");
        }
        let flowing = self.lanes.iter().filter(|lane| lane.phase == Phase::Running);
        let places = flowing.map(|lane| (&*lane.id.topic, lane.id.partition, lane.next));
        if let Err(e) = self.consumer.fetch_at_once(places) {
            tracing::debug!(error = %e, "fetch again after a rebalance");
        }
    }
}

/// Is this partition in the list?
pub(super) fn contains(list: &TopicPartitionList, id: &PartitionId) -> bool {
    list.find_partition(&id.topic, id.partition).is_some()
}

fn ids(list: &TopicPartitionList) -> Vec<PartitionId> {
    let mut topics: Vec<Arc<str>> = Vec::new();
    list.elements()
        .iter()
        .map(|e| {
            let known = topics.iter().find(|t| ***t == *e.topic()).cloned();
            let topic = known.unwrap_or_else(|| {
                let topic: Arc<str> = e.topic().into();
                topics.push(Arc::clone(&topic));
                topic
            });
            PartitionId::new(topic, e.partition())
        })
        .collect()
}

fn names(ids: &[PartitionId]) -> String {
    let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
    names.join(" ")
}
