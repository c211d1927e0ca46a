//! When to halt instead of dead-lettering on: a fault that hits record after record is no record's fault.
//!
//! Counts decode and data errors of one partition; business rejections are no errors. A dead-letter topic
//! that fills with good records after a bad deploy would have to be redriven; a halted pipeline only waits.

use std::collections::VecDeque;

/// The limits of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopAfter {
    /// So many bad records in a row.
    pub consecutive: u32,
    /// More than this share of the last `of` records, once so many were seen.
    pub ratio: f64,
    /// How many records are looked at.
    pub of: u32,
}

/// What was seen of one partition in one generation.
#[derive(Clone, Debug)]
pub struct Counter {
    limits: StopAfter,
    seen: u64,
    in_a_row: u32,
    /// When the bad ones among the last `of` were seen.
    bad: VecDeque<u64>,
}

impl Counter {
    /// Nothing seen yet.
    pub fn new(limits: StopAfter) -> Self {
        Self { limits, seen: 0, in_a_row: 0, bad: VecDeque::new() }
    }

    /// So many records were fine.
    pub fn good(&mut self, records: u64) {
        if records > 0 {
            self.seen += records;
            self.in_a_row = 0;
        }
    }

    /// A record was bad; true: halt at it.
    #[must_use]
    pub fn bad(&mut self) -> bool {
        self.seen += 1;
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.bad.push_back(self.seen);
        let of = u64::from(self.limits.of);
        while self.bad.front().is_some_and(|at| at + of <= self.seen) {
            self.bad.pop_front();
        }
        let share = self.bad.len() as f64 / f64::from(self.limits.of.max(1));
        self.in_a_row >= self.limits.consecutive || (self.seen >= of && share > self.limits.ratio)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: StopAfter = StopAfter { consecutive: 3, ratio: 0.1, of: 20 };

    #[test]
    fn a_row_of_bad_records_halts_and_a_good_one_breaks_the_row() {
        let mut counter = Counter::new(LIMITS);
        assert!(!counter.bad());
        assert!(!counter.bad());
        counter.good(1);
        assert!(!counter.bad());
        assert!(!counter.bad());
        assert!(counter.bad());
    }

    #[test]
    fn a_share_halts_only_once_enough_was_seen() {
        let mut counter = Counter::new(LIMITS);
        for _ in 0..2 {
            assert!(!counter.bad());
            counter.good(4);
        }
        assert!(!counter.bad());
        counter.good(10);
        assert!(counter.bad());
    }

    proptest! {
        #[test]
        fn the_verdict_is_that_of_the_whole_history(history in prop::collection::vec(prop::bool::weighted(0.3), 1..200)) {
            let mut counter = Counter::new(LIMITS);
            for (i, bad) in history.iter().enumerate() {
                if !bad {
                    counter.good(1);
                    continue;
                }
                let seen = &history[..=i];
                let row = seen.iter().rev().take_while(|bad| **bad).count() >= 3;
                let last = seen.iter().rev().take(20).filter(|bad| **bad).count();
                prop_assert_eq!(counter.bad(), row || (seen.len() >= 20 && last as f64 / 20.0 > 0.1));
            }
        }
    }
}
