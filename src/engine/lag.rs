//! Lag of a partition: in records and in seconds, by the rules of the operations reference.
//!
//! Records: `max(0, end - max(committed, start))`. Seconds: 0 without lag; else the age of the first
//! unsettled record where we hold it; else interpolated in a table of (end offset, time) samples, which is
//! finite also for an idle topic with a stuck consumer.

use std::collections::VecDeque;
use std::time::Duration;

use super::Now;
use crate::record::NextOffset;

/// How many samples of the log's end are kept.
const SAMPLES_MAX: usize = 128;

/// Records between where the group stands and the end of the log; never negative.
pub fn records(start: NextOffset, end: NextOffset, at: NextOffset) -> u64 {
    u64::try_from(end.0 - at.0.max(start.0)).unwrap_or(0)
}

/// Samples of where a partition's log ended, and when.
#[derive(Clone, Debug, Default)]
pub struct EndTable {
    samples: VecDeque<(NextOffset, Now)>,
}

impl EndTable {
    /// The log ended at `end` at the time `now`. An end that falls (the topic was made again) starts over.
    pub fn sample(&mut self, end: NextOffset, now: Now) {
        if self.end().is_some_and(|last| end < last) {
            self.samples.clear();
        }
        // Of equal ends the first and the latest time are enough.
        let equal = self.samples.iter().rev().take(2).filter(|(had, _)| *had == end).count();
        if equal == 2 {
            self.samples.pop_back();
        }
        self.samples.push_back((end, now));
        if self.samples.len() > SAMPLES_MAX {
            // Every second one goes: the table spans the process's life, coarser in the past.
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1 || index >= SAMPLES_MAX
            });
        }
    }

    /// The newest known end.
    pub fn end(&self) -> Option<NextOffset> {
        self.samples.back().map(|(end, _)| *end)
    }

    /// How long ago the record at `at` was the newest: the age of a lag that starts there. Zero when
    /// nothing lies behind it; never negative, never infinite.
    pub fn age(&self, at: NextOffset, now: Now) -> Duration {
        let Some((end, _)) = self.samples.back() else {
            return Duration::ZERO;
        };
        if *end <= at {
            return Duration::ZERO;
        }
        // The first sample whose end lies behind `at`: the record at `at` came no later than it.
        let Some(i) = self.samples.iter().position(|(end, _)| *end > at) else {
            return Duration::ZERO;
        };
        let (o2, t2) = self.samples[i];
        let arrived = match i.checked_sub(1).map(|before| self.samples[before]) {
            None => t2,
            Some((o1, t1)) => {
                let share = (o2.0 - at.0) as f64 / (o2.0 - o1.0) as f64;
                t2.saturating_sub(t2.saturating_sub(t1).mul_f64(share.clamp(0.0, 1.0)))
            }
        };
        now.saturating_sub(arrived)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(s: u64) -> Now {
        Duration::from_secs(s)
    }

    #[test]
    fn records_are_never_negative_and_never_count_what_is_deleted() {
        assert_eq!(records(NextOffset(0), NextOffset(10), NextOffset(10)), 0);
        assert_eq!(records(NextOffset(0), NextOffset(10), NextOffset(12)), 0);
        assert_eq!(records(NextOffset(0), NextOffset(10), NextOffset(4)), 6);
        assert_eq!(records(NextOffset(7), NextOffset(10), NextOffset(4)), 3);
    }

    #[test]
    fn an_idle_topic_with_a_stuck_consumer_ages() {
        let mut table = EndTable::default();
        table.sample(NextOffset(0), secs(0));
        table.sample(NextOffset(100), secs(10));
        for t in 2..=60 {
            table.sample(NextOffset(100), secs(t * 10));
        }
        let age = table.age(NextOffset(0), secs(610));
        assert!(age >= secs(600) && age <= secs(610), "{age:?}");
        assert_eq!(table.age(NextOffset(100), secs(610)), Duration::ZERO);
    }

    #[test]
    fn a_topic_made_again_starts_over() {
        let mut table = EndTable::default();
        table.sample(NextOffset(1000), secs(0));
        table.sample(NextOffset(3), secs(5));
        assert_eq!(table.end(), Some(NextOffset(3)));
        assert!(table.age(NextOffset(0), secs(6)) <= secs(6));
    }

    proptest! {
        #[test]
        fn age_is_finite_bounded_by_the_table_and_falls_towards_the_end(
            ends in prop::collection::vec((0_i64..50, 1_u64..20), 1..200), at in -5_i64..3000
        ) {
            let mut table = EndTable::default();
            let (mut end, mut now) = (0, 0);
            for (more, wait) in ends {
                end += more;
                now += wait;
                table.sample(NextOffset(end), secs(now));
            }
            let age = table.age(NextOffset(at), secs(now));
            prop_assert!(age <= secs(now));
            prop_assert!(table.age(NextOffset(at + 1), secs(now)) <= age);
            prop_assert_eq!(at >= end, age.is_zero() && at >= end);
        }
    }
}
