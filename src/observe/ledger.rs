//! The ledger: every record that came in is in exactly one place.
//!
//! consumed = effects + dropped + dead-lettered + given back + in flight, at every look: all of them
//! stand under one lock, and each booking moves records from one place to another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::record::Reason;

/// How the records of a settled range ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that ended in an effect.
    pub effects: u64,
    /// Effects that they caused: more than records where they are unnested.
    pub rows: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Records dead-lettered, by reason.
    pub dead_lettered: BTreeMap<Reason, u64>,
}

impl Tally {
    /// All records in it.
    pub fn records(&self) -> u64 {
        self.effects + self.dropped.values().sum::<u64>() + self.dead_lettered.values().sum::<u64>()
    }

    /// Takes another one in.
    pub fn add(&mut self, other: &Tally) {
        self.effects += other.effects;
        self.rows += other.rows;
        for (reason, n) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += n;
        }
        for (reason, n) in &other.dead_lettered {
            *self.dead_lettered.entry(reason.clone()).or_default() += n;
        }
    }
}

/// The places in which records are, since the process began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Delivered by the broker.
    pub consumed: u64,
    /// Settled, and how.
    pub settled: Tally,
    /// Left unsettled to the next owner: revoked, fenced or halted before they settled.
    pub given_back: u64,
    /// Delivered, and none of the above yet.
    pub in_flight: u64,
}

/// The ledger of one topic of one pipeline in this process.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Counts>);

impl Ledger {
    fn book(&self, entry: impl FnOnce(&mut Counts)) {
        entry(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// So many records were delivered.
    pub fn consumed(&self, records: u64) {
        self.book(|c| {
            c.consumed += records;
            c.in_flight += records;
        });
    }

    /// These have settled.
    pub fn settled(&self, tally: &Tally) {
        self.book(|c| {
            c.in_flight -= tally.records();
            c.settled.add(tally);
        });
    }

    /// So many were given back.
    pub fn given_back(&self, records: u64) {
        self.book(|c| {
            c.in_flight -= records;
            c.given_back += records;
        });
    }

    /// All counts of one moment.
    pub fn counts(&self) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_in_one_place_after_every_booking() {
        let ledger = Ledger::default();
        let tally = Tally {
            effects: 3,
            rows: 12,
            dropped: BTreeMap::from([(Reason::from("filter"), 2)]),
            dead_lettered: BTreeMap::new(),
        };
        let balanced = |c: &Counts| c.consumed == c.settled.records() + c.given_back + c.in_flight;
        ledger.consumed(10);
        assert!(balanced(&ledger.counts()));
        ledger.settled(&tally);
        assert!(balanced(&ledger.counts()));
        ledger.given_back(4);
        let counts = ledger.counts();
        assert!(balanced(&counts));
        assert_eq!((counts.in_flight, counts.settled.rows), (1, 12));
    }
}
