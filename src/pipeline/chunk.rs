//! A chunk: the contiguous range of a partition that goes into one step, with its effects and its tally.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::engine::offsets::Receipt;
use crate::engine::part::Part;
use crate::observe::Tally;
use crate::record::{DeadLetter, Effects, End, NextOffset, Offset, Reason};

/// Everything in `[from, to)`, processed and not yet applied.
#[derive(Debug)]
pub struct Chunk {
    /// The first offset.
    pub from: NextOffset,
    /// Behind the last record in it.
    pub to: NextOffset,
    /// What the records cause.
    pub effects: Effects,
    /// How many records.
    pub records: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
    /// When its first record came in.
    pub began: Option<Instant>,
    /// The timestamp of its first record.
    pub oldest: Option<i64>,
    dropped: Vec<(Offset, Reason)>,
    letters: Vec<DeadLetter>,
}

impl Chunk {
    /// An empty chunk that begins at `from`.
    pub fn new(from: NextOffset) -> Self {
        Self {
            from,
            to: from,
            effects: Effects::default(),
            records: 0,
            bytes: 0,
            began: None,
            oldest: None,
            dropped: Vec::new(),
            letters: Vec::new(),
        }
    }

    /// The record that was just taken goes to the dead-letter topic.
    pub fn bury(&mut self, letter: DeadLetter) {
        self.letters.push(letter);
    }

    /// Does any of its records go to the dead-letter topic?
    pub fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// A record is in: it caused effects, or none and the reason for that.
    pub fn took(&mut self, offset: Offset, bytes: usize, dropped: Option<Reason>) {
        self.records += 1;
        self.bytes += bytes;
        self.to = offset.next();
        if let Some(reason) = dropped {
            self.dropped.push((offset, reason));
        }
    }

    /// Is nothing in it?
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The whole of it as one part.
    pub fn whole(&self) -> Part {
        Part { from: self.from, to: self.to, rows: 0..self.effects.len() }
    }

    /// Opens it for its steps: the letters leave it, since more may be written while it is applied.
    pub fn begin(mut self, receipt: Option<Receipt>) -> Begun {
        let letters = std::mem::take(&mut self.letters);
        let chunk = Arc::new(self);
        let otherwise = BTreeMap::new();
        Begun { chunk, letters, otherwise, sent: Arc::default(), receipt, settled_records: 0 }
    }

    /// How the records of a part ended, as far as it is known here and not told `otherwise`.
    fn tally(&self, part: &Part, otherwise: &BTreeMap<Offset, End>) -> Tally {
        let mut tally = Tally::default();
        let mut last = None;
        for row in part.rows.clone() {
            let offset = self.effects.offset(row);
            if otherwise.contains_key(&offset) {
                continue;
            }
            tally.rows += 1;
            tally.effects += u64::from(last.replace(offset) != Some(offset));
        }
        let mut dropped: BTreeMap<Reason, u64> = BTreeMap::new();
        for (offset, reason) in &self.dropped {
            if within(part, *offset) {
                *dropped.entry(reason.clone()).or_default() += 1;
            }
        }
        tally.dropped = dropped;
        tally
    }
}

/// A chunk that is being applied, with the duty to settle it.
#[derive(Debug)]
pub struct Begun {
    /// The chunk; shared with the step under way.
    pub chunk: Arc<Chunk>,
    /// Its dead letters, in the order of their offsets.
    pub letters: Vec<DeadLetter>,
    /// Records that ended otherwise than in their effects, as the last step said that had them.
    otherwise: BTreeMap<Offset, End>,
    /// Those that their topic has, where they are sent before the step: a step that is tried again and again
    /// sends them once.
    pub sent: Arc<Mutex<BTreeSet<Offset>>>,
    /// The receipt for what is left of it.
    pub receipt: Option<Receipt>,
    /// Records of it that have settled.
    pub settled_records: usize,
}

fn within(part: &Part, offset: Offset) -> bool {
    part.from.0 <= offset.0 && offset.0 < part.to.0
}

impl Begun {
    /// A record whose effect was refused goes to the dead-letter topic instead.
    pub fn bury(&mut self, letter: DeadLetter) {
        let at = self.letters.partition_point(|l| l.position.offset < letter.position.offset);
        self.letters.insert(at, letter);
    }

    /// The dead letters of a part.
    pub fn letters(&self, part: &Part) -> impl Iterator<Item = &DeadLetter> {
        self.letters.iter().filter(move |letter| within(part, letter.position.offset))
    }

    /// These records of a part end otherwise than in their effects, and no others of it.
    pub fn end_otherwise(&mut self, part: &Part, ends: Vec<(Offset, End)>) {
        self.otherwise.retain(|offset, _| !within(part, *offset));
        self.otherwise.extend(ends);
    }

    /// The records of a part that became dead letters: each one's offset, and the reason's code and text.
    pub fn dead(&self, part: &Part) -> impl Iterator<Item = (Offset, &str, &str)> {
        let otherwise = self.otherwise.iter().filter(move |(offset, _)| within(part, **offset));
        let otherwise = otherwise.filter_map(|(offset, end)| match end {
            End::Drop(_) => None,
            End::Reject(reason) => Some((*offset, "rejected", &**reason)),
            End::Fault(fault) => Some((*offset, &*fault.code, &*fault.reason)),
        });
        let letters = self.letters(part);
        letters.map(|l| (l.position.offset, &*l.fault.code, &*l.fault.reason)).chain(otherwise)
    }

    /// How the records of a part ended.
    pub fn tally(&self, part: &Part) -> Tally {
        let mut tally = self.chunk.tally(part, &self.otherwise);
        for (_, end) in self.otherwise.iter().filter(|(offset, _)| within(part, **offset)) {
            match end {
                End::Drop(reason) => *tally.dropped.entry(reason.clone()).or_default() += 1,
                End::Reject(_) => {
                    *tally.dead_lettered.entry(Reason::from("rejected")).or_default() += 1;
                }
                End::Fault(fault) => {
                    *tally.dead_lettered.entry(fault.code.clone()).or_default() += 1;
                }
            }
        }
        for letter in self.letters(part) {
            *tally.dead_lettered.entry(letter.fault.code.clone()).or_default() += 1;
        }
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tallies_of_the_parts_make_the_tally_of_the_whole() {
        let mut chunk = Chunk::new(NextOffset(0));
        for offset in 0..10 {
            let offset = Offset(offset);
            if offset.0 % 3 == 0 {
                chunk.took(offset, 10, Some(Reason::from("filter")));
            } else {
                chunk.effects.buffer().push(1);
                chunk.effects.finish(offset);
                chunk.effects.buffer().push(2);
                chunk.effects.finish(offset);
                chunk.took(offset, 10, None);
            }
        }
        let none = BTreeMap::new();
        let whole = chunk.tally(&chunk.whole(), &none);
        assert_eq!((whole.effects, whole.rows, whole.records()), (6, 12, 10));
        let (low, high) = chunk.whole().halve(&chunk.effects).unwrap();
        let mut both = chunk.tally(&low, &none);
        both.add(&chunk.tally(&high, &none));
        assert_eq!(both, whole);
    }
}
