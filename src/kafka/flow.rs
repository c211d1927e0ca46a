//! Where each accepted partition stands between the client and the intake. Plain data: what is asked of
//! client and intake is done by `poll`.
//!
//! ```text
//! Waiting ──start──▶ Starting ──▶ Running ◀──room── Full ──patience over──▶ Paused ──room──▶ Starting
//!    ▲                              └──────full──────▶┘
//!    └── hold, from any of them
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::Run;
use crate::port::Batch as _;
use crate::record::PartitionId;

/// Bytes of full partitions that are taken and put aside, so that the records of others behind them in the
/// client's queue go on; beyond, nothing more is taken. The client fetches a partition by the megabyte.
pub(super) const PARKED_BYTES: usize = 8 << 20;

/// What a record costs beside its key and value: the client keeps a structure for each.
const RECORD_BYTES: usize = 256;

/// How long a full window may hold up the whole member before its partition is paused at the client. Pausing
/// throws away what is prefetched, and the next record then takes half a second: a short stop is cheaper.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// A partition that is full again so soon after it was resumed is slow for good: it is paused at once, so
/// that it does not hold up the others again and again. So is any partition that is full so soon after the
/// patience with another one was in vain: else slow partitions of a backlog would hold the others up one
/// after another, each for all of [`PATIENCE`], and the last ones would stand for that long.
pub(super) const RELAPSE: Duration = Duration::from_secs(5);

/// What may happen to records of a partition now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Paused at the client until somebody says where to start.
    Waiting,
    /// Must go on at `next`, since then; the client has not taken the seek yet.
    Starting(Instant),
    /// Records flow.
    Running,
    /// The window is full since then; what still comes is put aside, until that is too much.
    Full(Instant),
    /// Paused at the client because the window stayed full.
    Paused,
}

/// One accepted partition.
#[derive(Debug)]
pub(super) struct Lane {
    /// Which.
    pub(super) id: PartitionId,
    /// What may happen now.
    pub(super) phase: Phase,
    /// The lowest offset that the intake has not seen. Nothing below it is delivered again.
    pub(super) next: i64,
    /// Taken from the client after the window was full, in order, all above `next`.
    parked: VecDeque<(Run, usize)>,
    /// Their bytes.
    parked_bytes: usize,
    /// A failure was reported; said once until the partition is started again.
    pub(super) broken: bool,
    /// Since when it is assigned again, and how often its records were routed since.
    pub(super) assigned_again: Option<(Instant, usize)>,
    /// When it was last resumed from a full window.
    pub(super) resumed: Option<Instant>,
}

impl Lane {
    /// A lane that starts at `next`, or waits to be told.
    pub(super) fn new(id: PartitionId, start: Option<i64>) -> Self {
        Self {
            id,
            phase: if start.is_some() { Phase::Running } else { Phase::Waiting },
            next: start.unwrap_or(0),
            parked: VecDeque::new(),
            parked_bytes: 0,
            broken: false,
            assigned_again: None,
            resumed: None,
        }
    }

    /// How long this partition may stay full before it is paused; `in_vain` is when patience last was.
    pub(super) fn patience(&self, in_vain: Option<Instant>, now: Instant) -> Duration {
        let just = |at: Instant| now.saturating_duration_since(at) < RELAPSE;
        match self.resumed.is_some_and(just) || in_vain.is_some_and(just) {
            true => Duration::ZERO,
            false => PATIENCE,
        }
    }

    /// Puts a run aside until there is room.
    pub(super) fn park(&mut self, run: Run) {
        let bytes = run.bytes() + run.len() * RECORD_BYTES;
        self.parked_bytes += bytes;
        self.parked.push_back((run, bytes));
    }

    /// The oldest run that was put aside.
    pub(super) fn unpark(&mut self) -> Option<Run> {
        let (run, bytes) = self.parked.pop_front()?;
        self.parked_bytes -= bytes;
        Some(run)
    }

    /// Stops delivery; what is parked will be fetched again.
    pub(super) fn stop(&mut self, phase: Phase) {
        self.phase = phase;
        self.parked.clear();
        self.parked_bytes = 0;
    }
}

/// All accepted partitions of a member.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    topics: Vec<(Arc<str>, BTreeMap<i32, Lane>)>,
    /// When a hold-up last ended without room.
    pub(super) in_vain: Option<Instant>,
}

impl Lanes {
    /// Puts a lane in; an older one of the same partition goes.
    pub(super) fn insert(&mut self, lane: Lane) {
        let (topic, number) = (Arc::clone(&lane.id.topic), lane.id.partition);
        match self.topics.iter_mut().find(|(t, _)| *t == topic) {
            Some((_, lanes)) => {
                lanes.insert(number, lane);
            }
            None => self.topics.push((topic, BTreeMap::from([(number, lane)]))),
        }
    }

    /// Takes a lane out.
    pub(super) fn remove(&mut self, topic: &str, partition: i32) -> Option<Lane> {
        self.topics
            .iter_mut()
            .find(|(t, _)| **t == *topic)
            .and_then(|(_, lanes)| lanes.remove(&partition))
    }

    /// The lane of a partition; `None`: not accepted.
    pub(super) fn get(&self, topic: &str, partition: i32) -> Option<&Lane> {
        self.topics.iter().find(|(t, _)| **t == *topic).and_then(|(_, lanes)| lanes.get(&partition))
    }

    /// As [`Lanes::get`].
    pub(super) fn get_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Lane> {
        self.topics
            .iter_mut()
            .find(|(t, _)| **t == *topic)
            .and_then(|(_, lanes)| lanes.get_mut(&partition))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.topics.iter().flat_map(|(_, lanes)| lanes.values())
    }

    /// All of them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.topics.iter_mut().flat_map(|(_, lanes)| lanes.values_mut())
    }

    /// Lets everything go, and the records with it.
    pub(super) fn clear(&mut self) {
        self.topics.clear();
    }

    /// Is so much put aside that nothing more may be?
    pub(super) fn are_laden(&self) -> bool {
        self.iter().map(|lane| lane.parked_bytes).sum::<usize>() >= PARKED_BYTES
    }

    /// Until when the member takes nothing, because a window is full and much is put aside; `None`: it may take.
    pub(super) fn held_up_until(&self, now: Instant) -> Option<Instant> {
        if !self.are_laden() {
            return None;
        }
        self.iter()
            .filter_map(|lane| match lane.phase {
                Phase::Full(since) => Some(since + lane.patience(self.in_vain, now)),
                _ => None,
            })
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(partition: i32, start: Option<i64>) -> Lane {
        Lane::new(PartitionId::new("t", partition), start)
    }

    #[test]
    fn a_full_window_holds_the_member_up_for_its_patience_and_a_relapse_for_none() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.insert(lane(0, Some(7)));
        lanes.insert(lane(1, None));
        assert_eq!(lanes.held_up_until(now), None);

        let first = lanes.get_mut("t", 0).unwrap();
        first.phase = Phase::Full(now);
        assert_eq!(lanes.held_up_until(now), None, "nothing is put aside");
        let first = lanes.get_mut("t", 0).unwrap();
        first.parked_bytes = PARKED_BYTES;
        assert_eq!(lanes.held_up_until(now), Some(now + PATIENCE));

        let first = lanes.get_mut("t", 0).unwrap();
        first.resumed = Some(now);
        assert_eq!(lanes.held_up_until(now), Some(now));
        let later = now + RELAPSE;
        assert_eq!(lanes.held_up_until(later), Some(now + PATIENCE));
    }

    #[test]
    fn after_patience_in_vain_no_other_lane_is_waited_for() {
        let now = Instant::now();
        let mut lanes = Lanes { in_vain: Some(now), ..Lanes::default() };
        let soon = now + RELAPSE / 2;
        lanes.insert(lane(1, Some(0)));
        let second = lanes.get_mut("t", 1).unwrap();
        second.phase = Phase::Full(soon);
        second.parked_bytes = PARKED_BYTES;
        assert_eq!(lanes.held_up_until(soon), Some(soon));
        assert_eq!(lanes.held_up_until(now + RELAPSE), Some(soon + PATIENCE));
    }

    #[test]
    fn a_lane_is_found_by_topic_and_number_and_only_while_it_is_in() {
        let mut lanes = Lanes::default();
        lanes.insert(lane(3, Some(1)));
        assert!(lanes.get("t", 3).is_some());
        assert!(lanes.get("u", 3).is_none());
        assert!(lanes.get("t", 2).is_none());
        assert_eq!(lanes.remove("t", 3).map(|l| l.next), Some(1));
        assert!(lanes.remove("t", 3).is_none());
        assert_eq!(lanes.iter().count(), 0);
    }
}
