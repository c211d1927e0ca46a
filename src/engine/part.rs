//! A part of a partition: the contiguous range of one step, and how it is cut in halves.

use std::ops::Range;

use crate::record::{Effects, NextOffset, Offset};

/// Everything in `[from, to)` of one partition, with the rows of the effects that it causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first offset.
    pub from: NextOffset,
    /// Behind the last one.
    pub to: NextOffset,
    /// Its rows in the chunk's effects.
    pub rows: Range<usize>,
}

impl Part {
    /// The one record that causes all effects of this part; `None` when several do, or none.
    pub fn only_record(&self, effects: &Effects) -> Option<Offset> {
        let first = self.rows.clone().next().map(|row| effects.offset(row))?;
        (effects.offset(self.rows.end - 1) == first).then_some(first)
    }

    /// Cuts it in two, near the middle, never inside a record: a record's children stay together.
    /// Dropped records between go with the lower half. `None` when only one record causes effects.
    pub fn halve(&self, effects: &Effects) -> Option<(Part, Part)> {
        if self.rows.is_empty() || self.only_record(effects).is_some() {
            return None;
        }
        let middle = usize::midpoint(self.rows.start, self.rows.end);
        let at = effects.offset(middle);
        let starts_record = |row: usize| effects.offset(row) != effects.offset(row - 1);
        let below = (self.rows.start + 1..=middle).rev().find(|row| starts_record(*row));
        let cut = match below {
            Some(row) => row,
            // The lower half is one record with many children: cut behind it.
            None => (middle + 1..self.rows.end).find(|row| effects.offset(*row) != at)?,
        };
        let boundary = NextOffset(effects.offset(cut).0);
        let low = Part { from: self.from, to: boundary, rows: self.rows.start..cut };
        let high = Part { from: boundary, to: self.to, rows: cut..self.rows.end };
        Some((low, high))
    }

    /// Does it hold no offset at all?
    pub fn is_empty(&self) -> bool {
        self.from >= self.to
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn effects(offsets: &[i64]) -> Effects {
        let mut effects = Effects::default();
        for offset in offsets {
            effects.buffer().push(b'x');
            effects.finish(Offset(*offset));
        }
        effects
    }

    #[test]
    fn the_children_of_one_record_are_never_parted() {
        let effects = effects(&[5, 5, 5, 5, 5, 6]);
        let whole = Part { from: NextOffset(3), to: NextOffset(9), rows: 0..6 };
        let (low, high) = whole.halve(&effects).unwrap();
        assert_eq!((low.rows.clone(), high.rows.clone()), (0..5, 5..6));
        assert_eq!((low.to, high.from), (NextOffset(6), NextOffset(6)));
        assert_eq!(low.only_record(&effects), Some(Offset(5)));
        assert!(low.halve(&effects).is_none());
    }

    proptest! {
        #[test]
        fn halving_to_the_end_keeps_every_offset_and_row_in_order(
            gaps in prop::collection::vec(0_i64..3, 1..40), tail in 0_i64..3
        ) {
            let offsets: Vec<i64> = gaps.iter().scan(10, |at, gap| { *at += gap; Some(*at) }).collect();
            let effects = effects(&offsets);
            let to = NextOffset(offsets[offsets.len() - 1] + 1 + tail);
            let mut stack = vec![Part { from: NextOffset(7), to, rows: 0..offsets.len() }];
            let mut done: Vec<Part> = Vec::new();
            while let Some(part) = stack.pop() {
                match part.halve(&effects) {
                    Some((low, high)) => { stack.push(high); stack.push(low); }
                    None => done.push(part),
                }
            }
            prop_assert_eq!(done[0].from, NextOffset(7));
            prop_assert_eq!(done[done.len() - 1].to, to);
            for pair in done.windows(2) {
                prop_assert_eq!(pair[0].to, pair[1].from);
                prop_assert_eq!(pair[0].rows.end, pair[1].rows.start);
            }
            for part in &done {
                let offset = part.only_record(&effects).unwrap();
                prop_assert!(part.from.0 <= offset.0 && offset.0 < part.to.0);
            }
        }
    }
}
