//! What is done ahead of the watermark, in a form that is kept across restarts.
//!
//! Keyed effects settle in any order; without this a restart would do again all that was settled behind the
//! first unsettled record. The form: a version byte, then for each settled run of offsets two LEB128
//! numbers, its distance from the end of the run before (at first from offset 0) and its length. No watermark
//! is in it: a group that is moved keeps what it has done.

use super::offsets::Run;
use crate::record::{NextOffset, Offset};

const VERSION: u8 = 1;

/// Runs of offsets behind a watermark that are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead(Vec<Run>);

/// What was kept cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was kept as done ahead cannot be read; it may be from another version")]
pub struct Unreadable;

impl Ahead {
    /// Runs in ascending order, none touching another.
    pub fn new(runs: Vec<Run>) -> Self {
        Self(runs)
    }

    /// These with what has settled since, without what lies below `next`: records that were done before this
    /// generation and were not delivered to it yet stay done.
    #[must_use]
    pub fn with(&self, settled: Vec<Run>, next: NextOffset) -> Self {
        let mut runs = settled;
        runs.extend(self.0.iter().copied().filter(|run| run.last.0 >= next.0));
        runs.sort_unstable_by_key(|run| run.first);
        let mut joined: Vec<Run> = Vec::with_capacity(runs.len());
        for mut run in runs {
            run.first = run.first.max(Offset(next.0));
            match joined.last_mut().filter(|last| run.first.0 <= last.last.0 + 1) {
                Some(last) => last.last = last.last.max(run.last),
                None => joined.push(run),
            }
        }
        Self(joined)
    }

    /// Is nothing done ahead?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Is this offset done?
    pub fn contains(&self, offset: Offset) -> bool {
        let behind = self.0.partition_point(|run| run.first <= offset);
        behind > 0 && self.0[behind - 1].last >= offset
    }

    /// The bytes to keep; none when there is nothing to keep.
    pub fn bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut bytes = vec![VERSION];
        let mut end = 0;
        for run in &self.0 {
            put(&mut bytes, run.first.0 - end);
            put(&mut bytes, run.last.0 - run.first.0 + 1);
            end = run.last.0 + 1;
        }
        bytes
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// [`Unreadable`]: not this form.
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let Some((version, mut rest)) = bytes.split_first() else { return Ok(Self::default()) };
        if *version != VERSION {
            return Err(Unreadable);
        }
        let (mut runs, mut end) = (Vec::new(), 0_i64);
        while !rest.is_empty() {
            let first = take(&mut rest).and_then(|gap| end.checked_add(gap)).ok_or(Unreadable)?;
            let len = take(&mut rest).filter(|len| *len > 0).ok_or(Unreadable)?;
            end = first.checked_add(len).ok_or(Unreadable)?;
            runs.push(Run { first: Offset(first), last: Offset(end - 1) });
        }
        Ok(Self(runs))
    }
}

fn put(bytes: &mut Vec<u8>, number: i64) {
    let mut left = number.cast_unsigned();
    while left >= 0x80 {
        bytes.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    bytes.push(left as u8);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number.cast_signed());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_this_form_is_refused() {
        let too_far = [[1].as_slice(), &[0xff; 8], &[0x7f, 1, 0x7f, 1]].concat();
        for bytes in [&[2, 0, 1][..], &[1, 0], &[1, 0, 0], &[1, 0x80], &too_far] {
            assert_eq!(Ahead::read(bytes), Err(Unreadable), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_kept_reads_the_same_and_knows_each_offset(
            next in 0_i64..1_000_000, steps in prop::collection::vec((1_i64..300, 1_i64..300), 0..40)
        ) {
            let (mut end, mut runs, mut done) = (next, Vec::new(), std::collections::BTreeSet::new());
            for (gap, len) in steps {
                let first = end + gap;
                end = first + len;
                runs.push(Run { first: Offset(first), last: Offset(end - 1) });
                done.extend(first..end);
            }
            let ahead = Ahead::new(runs);
            let again = Ahead::read(&ahead.bytes()).unwrap();
            prop_assert_eq!(&again, &ahead);
            for offset in next..end + 2 {
                prop_assert_eq!(again.contains(Offset(offset)), done.contains(&offset));
            }
        }

        #[test]
        fn what_was_done_before_stays_done_beside_what_settles(
            before in prop::collection::btree_set(0_i64..60, 0..40),
            settled in prop::collection::btree_set(0_i64..60, 0..40),
            next in 0_i64..60,
        ) {
            let runs = |set: &std::collections::BTreeSet<i64>| {
                let mut runs: Vec<Run> = Vec::new();
                for at in set {
                    match runs.last_mut().filter(|run| run.last.0 + 1 == *at) {
                        Some(run) => run.last = Offset(*at),
                        None => runs.push(Run { first: Offset(*at), last: Offset(*at) }),
                    }
                }
                runs
            };
            let of_tracker = settled.iter().copied().filter(|at| *at >= next).collect();
            let both = Ahead::new(runs(&before)).with(runs(&of_tracker), NextOffset(next));
            let expected = before.union(&of_tracker).copied().filter(|at| *at >= next).collect();
            prop_assert_eq!(both.0, runs(&expected));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Ahead::read(&bytes);
        }
    }
}
