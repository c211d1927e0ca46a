//! Effects on their way to a sink: bytes that the sink's encoder made, and whose they are.

use std::fmt;

use super::Offset;

/// The encoded effects of a contiguous range of one partition, one after another.
#[derive(Default)]
pub struct Effects {
    bytes: Vec<u8>,
    rows: Vec<(Offset, usize)>,
}

impl Effects {
    /// Where the next effect's bytes go; [`Effects::finish`] closes it, [`Effects::undo`] forgets it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// What was written since the last one is the effect (or one of the effects) of the record at `offset`.
    pub fn finish(&mut self, offset: Offset) {
        self.rows.push((offset, self.bytes.len()));
    }

    /// Forgets everything after the first `rows` effects.
    pub fn undo(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.bytes.truncate(self.rows.last().map_or(0, |(_, end)| *end));
    }

    /// How many effects.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// None?
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All bytes of all effects.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The record that caused the effect at `row`.
    pub fn offset(&self, row: usize) -> Offset {
        self.rows[row].0
    }

    /// The bytes of the effect at `row`.
    pub fn row(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.rows[row - 1].1 };
        &self.bytes[start..self.rows[row].1]
    }
}

/// Sizes only: effects are personal data.
impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} effects, {} bytes", self.rows.len(), self.bytes.len())
    }
}
