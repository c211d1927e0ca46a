//! Claiming partitions: who are they, where may they start, where do they stand?

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::marker;
use crate::port::{Admin, Claim, Commit, Commits, Future, Moved, Progress, Wanted};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// What a claim needs to know of the world.
#[derive(Clone)]
pub struct Claimer {
    /// The consumer group.
    pub group: Arc<str>,
    /// Questions to the cluster.
    pub admin: Arc<dyn Admin>,
    /// Commits before work begins.
    pub commits: Arc<dyn Commits>,
    /// Replayed records are passed over: what was done ahead stays done when the group is moved.
    pub keep_ahead: bool,
    /// Nobody remembers what was done, and it must not be done twice: a group that another tool has moved
    /// back is not worked.
    pub cannot_skip: bool,
}

impl std::fmt::Debug for Claimer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "claimer of {}", self.group)
    }
}

impl Claimer {
    /// Claims these partitions at the store that is the truth.
    ///
    /// A partition nobody knows yet starts at the beginning of its log. One that another tool has moved goes
    /// there, and that is committed as ours before it is worked: so a move counts once, whatever ends this
    /// half-way. Topic ids are read anew at each claim: a topic that was deleted and made again is another
    /// one.
    ///
    /// # Errors
    /// `Unavailable` while the cluster or the store is away, or the log ends before our place. `Fatal` when
    /// the log no longer holds what is next to read: going on would be a silent loss.
    pub async fn claim(
        &self,
        truth: &dyn Progress,
        partitions: &[PartitionId],
    ) -> Result<Vec<Claim>, Fault> {
        let wanted = self.wanted(truth, partitions).await?;
        let claims = truth.claim(&self.group, &wanted).await?;
        // Asked after the claim: the old owner went on until then.
        let ends = self.admin.watermarks(partitions).await?;
        for (claim, ends) in claims.iter().zip(&ends) {
            still_there(claim, ends.start, ends.end)?;
        }
        let moved = claims.iter().zip(&wanted).filter(|(_, wanted)| wanted.moved.is_some());
        let commits: Vec<Commit> =
            moved.map(|(claim, _)| marker::commit(claim, claim.next)).collect();
        if !commits.is_empty() {
            for commit in &commits {
                let (partition, next) = (&commit.partition, commit.next);
                tracing::info!(%partition, %next, "another tool has moved the group; goes on here");
            }
            self.commits.commit(commits).await?;
        }
        Ok(claims)
    }

    async fn wanted(
        &self,
        truth: &dyn Progress,
        partitions: &[PartitionId],
    ) -> Result<Vec<Wanted>, Fault> {
        let ids = self.topic_ids(partitions).await?;
        let ends = self.admin.watermarks(partitions).await?;
        let mut committed = self.admin.committed(&self.group, partitions).await?;
        let mut epochs = vec![0; partitions.len()];
        if committed.iter().flatten().any(|c| !marker::is_ours(&c.metadata)) {
            // Looked at before Kafka is asked: another's claim in between shows.
            epochs = truth.epochs(&self.group, &ids).await?;
            committed = self.admin.committed(&self.group, partitions).await?;
        }
        for ((_, topic_id), committed) in ids.iter().zip(&mut committed) {
            committed.take_if(|at| marker::is_of_another_topic(&at.metadata, *topic_id));
        }
        let all = ids.into_iter().zip(ends).zip(committed).zip(epochs);
        all.map(|((((partition, topic_id), ends), committed), epoch)| {
            let (ours, foreign) = match committed {
                Some(at) if marker::is_ours(&at.metadata) => (Some(at), None),
                other => (None, other),
            };
            if let Some(moved) = &foreign
                && self.cannot_skip
                && moved.next < ends.end
            {
                return Err(moved_elsewhere(&partition, moved.next));
            }
            let moved = foreign.as_ref().map(|_| Moved { epoch, keep_ahead: self.keep_ahead });
            let (begins, ours) = match ours {
                Some(at) if marker::is_a_beginning(&at.metadata) => (Some(at.next), None),
                other => (None, other.map(|at| at.next)),
            };
            let start = foreign.map(|at| at.next).or(begins).unwrap_or(ends.start);
            Ok(Wanted { partition, topic_id, start, moved, committed: ours })
        })
        .collect()
    }

    async fn topic_ids(
        &self,
        partitions: &[PartitionId],
    ) -> Result<Vec<(PartitionId, TopicId)>, Fault> {
        let mut ids = BTreeMap::new();
        let mut all = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let id = match ids.get(&partition.topic) {
                Some(id) => *id,
                None => {
                    let info = self.admin.topic(&partition.topic).await?;
                    info.ok_or_else(|| gone(&partition.topic))?.id
                }
            };
            ids.insert(Arc::clone(&partition.topic), id);
            all.push((partition.clone(), id));
        }
        Ok(all)
    }
}

/// Effects below the place would be repeated, and nothing says which of them have happened.
fn moved_elsewhere(partition: &PartitionId, next: NextOffset) -> Fault {
    Fault::fatal(
        "moved",
        format!(
            "{partition} was moved to {next} by another tool, and without a state database nobody knows \
             which effects have happened already; set `state` in ordermill.yaml for the next time, and say \
             `on_replay: run` in the pipeline's file to go on from there now, repeats and all"
        ),
    )
}

/// A topic may be gone for a moment while it is deleted and made again: wait for it.
pub(super) fn gone(topic: &str) -> Fault {
    Fault::unavailable("unknown_topic", format!("topic {topic} is not there; was it deleted?"))
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
                next: committed
                    .filter(|at| !marker::is_of_another_topic(&at.metadata, wanted.topic_id))
                    .map_or(wanted.start, |at| at.next),
                replay_mark: NextOffset(0),
                done_ahead: Vec::new(),
                begins: false,
            });
            Ok(claims.collect())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::executor::block_on;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::port::{CommittedAt, TopicInfo, Watermarks};

    /// A cluster and a database with one partition.
    #[derive(Default)]
    struct World {
        committed: Mutex<Option<CommittedAt>>,
        /// Next to read, and the owner's epoch.
        row: Mutex<(i64, i64)>,
        /// Does Kafka take commits?
        takes: Mutex<bool>,
        end: i64,
    }

    impl World {
        fn set(&self, next: i64, metadata: &str) {
            let (next, metadata) = (NextOffset(next), metadata.to_owned());
            *self.committed.lock().unwrap() = Some(CommittedAt { next, metadata });
        }
    }

    impl Admin for World {
        fn topic<'a>(&'a self, _: &'a str) -> Future<'a, Result<Option<TopicInfo>, Fault>> {
            let info = TopicInfo { id: TopicId(Uuid::nil()), partitions: 1 };
            Box::pin(async move { Ok(Some(info)) })
        }

        fn watermarks<'a>(
            &'a self,
            _: &'a [PartitionId],
        ) -> Future<'a, Result<Vec<Watermarks>, Fault>> {
            let ends = Watermarks { start: NextOffset(0), end: NextOffset(self.end) };
            Box::pin(async move { Ok(vec![ends]) })
        }

        fn committed<'a>(
            &'a self,
            _: &'a str,
            _: &'a [PartitionId],
        ) -> Future<'a, Result<Vec<Option<CommittedAt>>, Fault>> {
            let committed = self.committed.lock().unwrap().clone();
            Box::pin(async move { Ok(vec![committed]) })
        }

        fn offsets_at<'a>(
            &'a self,
            _: i64,
            _: &'a [PartitionId],
        ) -> Future<'a, Result<Vec<NextOffset>, Fault>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn commit<'a>(&'a self, _: &'a str, _: Vec<Commit>) -> Future<'a, Result<(), Fault>> {
            Box::pin(async { Ok(()) })
        }

        fn had_members<'a>(&'a self, _: &'a str) -> Future<'a, Result<bool, Fault>> {
            Box::pin(async { Ok(true) })
        }

        fn create_topic<'a>(&'a self, _: &'a str, _: i32, _: i32) -> Future<'a, Result<(), Fault>> {
            Box::pin(async { Ok(()) })
        }
    }

    impl Commits for World {
        fn commit(&self, commits: Vec<Commit>) -> Future<'_, Result<(), Fault>> {
            Box::pin(async move {
                if !*self.takes.lock().unwrap() {
                    return Err(Fault::unavailable("commit", "no answer"));
                }
                let Commit { next, metadata, .. } = &commits[0];
                self.set(next.0, metadata);
                Ok(())
            })
        }
    }

    impl Progress for World {
        fn claim<'a>(
            &'a self,
            group: &'a Arc<str>,
            wanted: &'a [Wanted],
        ) -> Future<'a, Result<Vec<Claim>, Fault>> {
            let mut row = self.row.lock().unwrap();
            if let Some(moved) = wanted[0].moved {
                assert_eq!(moved.epoch, row.1);
                row.0 = wanted[0].start.0;
            }
            row.1 += 1;
            let claim = Claim {
                group: Arc::clone(group),
                partition: wanted[0].partition.clone(),
                topic_id: wanted[0].topic_id,
                epoch: row.1,
                next: NextOffset(row.0),
                replay_mark: NextOffset(0),
                done_ahead: Vec::new(),
                begins: false,
            };
            Box::pin(async move { Ok(vec![claim]) })
        }

        fn epochs<'a>(
            &'a self,
            _: &'a str,
            _: &'a [(PartitionId, TopicId)],
        ) -> Future<'a, Result<Vec<i64>, Fault>> {
            let epoch = self.row.lock().unwrap().1;
            Box::pin(async move { Ok(vec![epoch]) })
        }
    }

    fn claimer(world: &Arc<World>, cannot_skip: bool) -> Claimer {
        Claimer {
            group: Arc::from("g"),
            admin: Arc::<World>::clone(world) as _,
            commits: Arc::<World>::clone(world) as _,
            keep_ahead: false,
            cannot_skip,
        }
    }

    fn claimed(claimer: &Claimer, truth: &dyn Progress) -> Result<Claim, Fault> {
        let partitions = [PartitionId::new("t", 0)];
        block_on(claimer.claim(truth, &partitions)).map(|mut claims| claims.remove(0))
    }

    #[test]
    fn what_nobody_remembers_is_halted_by_a_move_back_and_by_nothing_else() {
        let world = Arc::new(World { end: 9, takes: Mutex::new(true), ..World::default() });
        let truth = CommittedOffsets::new(Arc::<World>::clone(&world) as _);
        let (claimer, at) = (claimer(&world, true), |claim: Claim| claim.next.0);
        assert_eq!(claimed(&claimer, &truth).map(at), Ok(0), "nothing is committed");
        world.set(4, &marker::of_a_beginning(TopicId(Uuid::nil())));
        assert_eq!(claimed(&claimer, &truth).map(at), Ok(4));
        world.set(8, "");
        let fault = claimed(&claimer, &truth).unwrap_err();
        assert!(fault.reason.contains("moved to 8 by another tool"), "{fault}");
        world.set(9, "");
        assert_eq!(claimed(&claimer, &truth).map(at), Ok(9), "nothing lies behind the end");
        assert!(marker::is_ours(&world.committed.lock().unwrap().as_ref().unwrap().metadata));
    }

    #[derive(Clone, Debug)]
    enum Event {
        /// Another tool moves the group there, while nobody is in it.
        Moved(i64),
        /// The partition is claimed; Kafka takes the commit, or does not.
        Claim(bool),
        /// So many records are worked in the database.
        Work(i64),
        /// The watermark is committed to Kafka.
        Commit,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            (0_i64..50).prop_map(Event::Moved),
            any::<bool>().prop_map(Event::Claim),
            (1_i64..5).prop_map(Event::Work),
            Just(Event::Commit),
        ]
    }

    proptest! {
        /// Whatever ends the process in between: a crash is a claim that comes early.
        #[test]
        fn a_move_counts_exactly_once(events in prop::collection::vec(event(), 1..40)) {
            let world = Arc::new(World { end: 1000, ..World::default() });
            let claimer = claimer(&world, false);
            let (mut asked, mut held): (Option<i64>, Option<Claim>) = (None, None);
            for event in events {
                match event {
                    Event::Moved(to) => {
                        world.set(to, "");
                        (asked, held) = (Some(to), None);
                    }
                    Event::Claim(takes) => {
                        *world.takes.lock().unwrap() = takes;
                        let stood = world.row.lock().unwrap().0;
                        match claimed(&claimer, &*world) {
                            Ok(claim) => {
                                prop_assert_eq!(claim.next.0, asked.take().unwrap_or(stood));
                                held = Some(claim);
                            }
                            Err(_) => {
                                prop_assert!(!takes && asked.is_some());
                                held = None;
                            }
                        }
                    }
                    Event::Work(records) if held.is_some() => world.row.lock().unwrap().0 += records,
                    Event::Commit => {
                        if let Some(claim) = &held {
                            let commit = marker::commit(claim, NextOffset(world.row.lock().unwrap().0));
                            world.set(commit.next.0, &commit.metadata);
                        }
                    }
                    Event::Work(_) => {}
                }
            }
        }
    }
}
