//! The offset tracker: the set of delivered and unsettled offsets, never a maximum.
//!
//! The watermark is the place below which everything is settled: the lowest unsettled offset, or, with
//! nothing outstanding, the place behind the last delivery. Holes in the log (compaction, transaction
//! markers) were never delivered, so nobody waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::record::{NextOffset, Offset};

/// The duty to settle the records of a range. Not `Clone`: each offset is settled once.
///
/// Dropped unsettled it means *not done*: the tracker is broken from then on and the partition must start
/// again from its watermark.
#[derive(Debug)]
#[must_use = "a receipt that is dropped says that its records are not done"]
pub struct Receipt {
    first: Offset,
    last: Offset,
    broken: Arc<AtomicBool>,
    open: bool,
}

impl Receipt {
    /// The first offset it covers.
    pub fn first(&self) -> Offset {
        self.first
    }

    /// The last offset it covers.
    pub fn last(&self) -> Offset {
        self.last
    }

    /// Cuts it in two: everything below `at`, and the rest. `None` on a side where nothing is left.
    pub fn split(mut self, at: Offset) -> (Option<Receipt>, Option<Receipt>) {
        if at <= self.first {
            return (None, Some(self));
        }
        if at > self.last {
            return (Some(self), None);
        }
        self.open = false;
        let below = self.part(self.first, Offset(at.0 - 1));
        let rest = self.part(at, self.last);
        (Some(below), Some(rest))
    }

    /// Joins it with the one that follows it in the partition.
    ///
    /// # Errors
    /// Both back, when `later` does not lie behind this one or belongs to another tracker.
    pub fn join(mut self, mut later: Receipt) -> Result<Receipt, (Receipt, Receipt)> {
        if later.first <= self.last || !Arc::ptr_eq(&self.broken, &later.broken) {
            return Err((self, later));
        }
        self.open = false;
        later.open = false;
        Ok(self.part(self.first, later.last))
    }

    /// The duty for a range of it, as a fresh value; the caller has closed this one.
    fn part(&self, first: Offset, last: Offset) -> Receipt {
        Receipt { first, last, broken: Arc::clone(&self.broken), open: true }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.open {
            self.broken.store(true, Ordering::Release);
        }
    }
}

/// A run of offsets, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first.
    pub first: Offset,
    /// The last.
    pub last: Offset,
}

/// One partition's outstanding deliveries, in one generation.
#[derive(Debug)]
pub struct Tracker {
    /// Outstanding intervals: first to last offset, both included; disjoint, ascending.
    outstanding: BTreeMap<i64, i64>,
    /// Behind everything that was delivered.
    position: NextOffset,
    broken: Arc<AtomicBool>,
}

/// What a delivery or a settlement was refused for: always a fault of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A delivery that does not lie behind the one before it.
    #[error("offset {first} was delivered, but the partition stood at {position} already")]
    Backwards {
        /// The offset that came.
        first: Offset,
        /// Where the partition stood.
        position: NextOffset,
    },
}

impl Tracker {
    /// Nothing delivered yet; reading starts at `next`.
    pub fn new(next: NextOffset) -> Self {
        Self { outstanding: BTreeMap::new(), position: next, broken: Arc::default() }
    }

    /// Records from `first` to `last` (holes between them are fine) were delivered.
    ///
    /// # Errors
    /// [`Error::Backwards`] when they do not lie behind everything delivered before.
    pub fn deliver(&mut self, first: Offset, last: Offset) -> Result<Receipt, Error> {
        if first.0 < self.position.0 || last < first {
            return Err(Error::Backwards { first, position: self.position });
        }
        self.position = last.next();
        self.outstanding.insert(first.0, last.0);
        Ok(Receipt { first, last, broken: Arc::clone(&self.broken), open: true })
    }

    /// What the receipt covers is done. A receipt of another tracker (an older generation) changes nothing.
    pub fn settle(&mut self, mut receipt: Receipt) {
        receipt.open = false;
        if !Arc::ptr_eq(&receipt.broken, &self.broken) {
            return;
        }
        let (from, to) = (receipt.first.0, receipt.last.0);
        let touched: Vec<(i64, i64)> = self
            .outstanding
            .range(..=to)
            .rev()
            .take_while(|(_, last)| **last >= from)
            .map(|(first, last)| (*first, *last))
            .collect();
        for (first, last) in touched {
            self.outstanding.remove(&first);
            if first < from {
                self.outstanding.insert(first, from - 1);
            }
            if last > to {
                self.outstanding.insert(to + 1, last);
            }
        }
    }

    /// Everything below this is settled, and nothing above it may be committed.
    pub fn watermark(&self) -> NextOffset {
        self.outstanding.first_key_value().map_or(self.position, |(first, _)| NextOffset(*first))
    }

    /// What is settled behind the watermark, in runs; holes between delivered records count as settled.
    pub fn settled_ahead(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        let mut outstanding = self.outstanding.iter().peekable();
        while let Some((_, last)) = outstanding.next() {
            let end = outstanding.peek().map_or(self.position.0, |(first, _)| **first);
            if last + 1 < end {
                runs.push(Run { first: Offset(last + 1), last: Offset(end - 1) });
            }
        }
        runs
    }

    /// Behind everything that was delivered.
    pub fn position(&self) -> NextOffset {
        self.position
    }

    /// Is everything delivered settled?
    pub fn is_idle(&self) -> bool {
        self.outstanding.is_empty()
    }

    /// Was a receipt dropped unsettled? Then the partition must start again from the watermark.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hole_below_a_settled_record_holds_the_watermark() {
        let mut tracker = Tracker::new(NextOffset(10));
        let first = tracker.deliver(Offset(10), Offset(10)).unwrap();
        let second = tracker.deliver(Offset(11), Offset(11)).unwrap();
        tracker.settle(second);
        assert_eq!(tracker.watermark(), NextOffset(10));
        tracker.settle(first);
        assert_eq!(tracker.watermark(), NextOffset(12));
    }

    #[test]
    fn a_receipt_dropped_unsettled_breaks_the_tracker() {
        let mut tracker = Tracker::new(NextOffset(0));
        drop(tracker.deliver(Offset(0), Offset(4)).unwrap());
        assert!(tracker.is_broken());
        assert_eq!(tracker.watermark(), NextOffset(0));
    }

    #[test]
    fn splitting_and_joining_lose_no_duty_and_break_nothing() {
        let mut tracker = Tracker::new(NextOffset(0));
        let all = tracker.deliver(Offset(0), Offset(9)).unwrap();
        let (low, high) = all.split(Offset(4));
        let whole = low.unwrap().join(high.unwrap()).unwrap();
        let (low, high) = whole.split(Offset(7));
        tracker.settle(low.unwrap());
        assert_eq!(tracker.watermark(), NextOffset(7));
        tracker.settle(high.unwrap());
        assert_eq!(tracker.watermark(), NextOffset(10));
        assert!(!tracker.is_broken());
    }

    #[test]
    fn a_receipt_of_another_generation_changes_nothing() {
        let mut old = Tracker::new(NextOffset(0));
        let late = old.deliver(Offset(0), Offset(9)).unwrap();
        let mut new = Tracker::new(NextOffset(0));
        let _held = new.deliver(Offset(0), Offset(9)).unwrap();
        new.settle(late);
        assert_eq!(new.watermark(), NextOffset(0));
    }

    #[test]
    fn a_delivery_backwards_is_refused() {
        let mut tracker = Tracker::new(NextOffset(5));
        assert!(tracker.deliver(Offset(4), Offset(6)).is_err());
    }

    proptest! {
        /// Against the naive model: a set of single offsets.
        #[test]
        fn the_watermark_is_the_lowest_unsettled_offset(
            steps in prop::collection::vec((0_i64..4, 1_i64..30, any::<prop::sample::Index>(), any::<bool>()), 1..60)
        ) {
            let mut tracker = Tracker::new(NextOffset(0));
            let mut model: BTreeSet<i64> = BTreeSet::new();
            let mut position = 0;
            let mut held: Vec<Receipt> = Vec::new();
            for (gap, len, pick, cut) in steps {
                let (first, last) = (position + gap, position + gap + len - 1);
                held.push(tracker.deliver(Offset(first), Offset(last)).unwrap());
                model.extend(first..=last);
                position = last + 1;
                let mut chosen = held.swap_remove(pick.index(held.len()));
                if cut {
                    let middle = Offset(i64::midpoint(chosen.first().0, chosen.last().0));
                    let (low, high) = chosen.split(middle);
                    held.extend(low);
                    chosen = high.unwrap();
                }
                for offset in chosen.first().0..=chosen.last().0 {
                    model.remove(&offset);
                }
                tracker.settle(chosen);
                let expected = model.first().copied().unwrap_or(position);
                prop_assert_eq!(tracker.watermark(), NextOffset(expected));
                prop_assert_eq!(tracker.is_idle(), model.is_empty());
                let ahead: Vec<i64> = tracker
                    .settled_ahead()
                    .iter()
                    .flat_map(|run| run.first.0..=run.last.0)
                    .collect();
                let settled: Vec<i64> = (expected..position).filter(|o| !model.contains(o)).collect();
                prop_assert_eq!(ahead, settled);
            }
            prop_assert!(!tracker.is_broken());
            held.drain(..).for_each(|receipt| tracker.settle(receipt));
            prop_assert_eq!(tracker.watermark(), NextOffset(position));
        }
    }
}
