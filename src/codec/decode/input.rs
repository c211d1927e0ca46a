//! The bytes that are still to be read, and the arena for what is made of them.

use std::borrow::Cow;

use bumpalo::Bump;

use crate::codec::{Error, Flaw};
use crate::record::Value;

/// The most values that one record may hold: at 24 bytes a value about 7 MB, for which an arena that grows
/// by doubling asks for less than 16 MiB. Far above any order, and no record can exhaust a process.
pub(super) const VALUES_MAX: usize = 300_000;

/// A body being read.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
    /// How many more values may be made.
    values_left: usize,
    /// Where slices of values are made.
    pub(super) bump: &'a Bump,
}

/// Why reading stopped. Boxed, so that the way on stays small.
pub(super) type Read<T> = Result<T, Box<Stop>>;

/// A flaw, how many bytes were left there, and the path to it from the inside out.
#[derive(Debug)]
pub(super) struct Stop {
    flaw: Flaw,
    left: usize,
    path: Vec<Cow<'static, str>>,
}

impl Stop {
    /// Adds the name of the field that was being read.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(Cow::Owned(name.to_owned()));
        self
    }

    /// The error of a body of so many bytes.
    #[cold]
    pub(super) fn into_error(mut self, body_bytes: usize) -> Error {
        self.path.reverse();
        let at = match self.path.is_empty() {
            true => "the record".to_owned(),
            false => format!("field {}", self.path.join(".")),
        };
        Error::Data { at, byte: body_bytes.saturating_sub(self.left), flaw: self.flaw }
    }
}

impl<'a> Input<'a> {
    /// The body of a record.
    pub(super) fn new(rest: &'a [u8], bump: &'a Bump) -> Self {
        Self { rest, values_left: VALUES_MAX, bump }
    }

    /// How many bytes are left.
    #[inline]
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Stops here.
    #[cold]
    #[inline(never)]
    pub(super) fn stop<T>(&self, flaw: Flaw) -> Read<T> {
        Err(Box::new(Stop { flaw, left: self.rest.len(), path: Vec::new() }))
    }

    /// Counts values that are about to be made.
    #[inline]
    pub(super) fn charge(&mut self, values: usize) -> Read<()> {
        match self.values_left.checked_sub(values) {
            Some(left) => {
                self.values_left = left;
                Ok(())
            }
            None => self.stop(Flaw::Budget),
        }
    }

    /// Counts items of a list or map: one for each value that would fit in their memory.
    #[inline]
    pub(super) fn charge_items<T>(&mut self, items: usize) -> Read<()> {
        self.charge(items.saturating_mul(size_of::<T>().div_ceil(size_of::<Value<'_>>())))
    }

    /// The same bytes to be looked at twice.
    pub(super) fn ahead(&self) -> Input<'a> {
        Input { rest: self.rest, values_left: self.values_left, bump: self.bump }
    }

    /// Reads something from other bytes, under the same budget.
    pub(super) fn aside<T>(
        &mut self,
        bytes: &'a [u8],
        read: impl FnOnce(&mut Input<'a>) -> Read<T>,
    ) -> Read<T> {
        let rest = std::mem::replace(&mut self.rest, bytes);
        let done = read(self);
        self.rest = rest;
        done
    }

    /// The next `len` bytes.
    #[inline]
    pub(super) fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        match self.rest.split_at_checked(len) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => self.stop(Flaw::Truncated),
        }
    }

    /// The next `N` bytes.
    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(*taken)
            }
            None => self.stop(Flaw::Truncated),
        }
    }

    /// Bytes or text: a length, then so many bytes.
    #[inline]
    pub(super) fn blob(&mut self) -> Read<&'a [u8]> {
        if let Some((&first, rest)) = self.rest.split_first()
            && first & 0x81 == 0
            && let Some((taken, rest)) = rest.split_at_checked(usize::from(first >> 1))
        {
            self.rest = rest;
            return Ok(taken);
        }
        let len = self.length()?;
        self.take(len)
    }

    /// A length or a block's size in bytes: not negative.
    #[inline]
    pub(super) fn length(&mut self) -> Read<usize> {
        match usize::try_from(self.long()?) {
            Ok(len) => Ok(len),
            Err(_) => self.stop(Flaw::Length),
        }
    }

    /// A boolean: exactly 0 or 1.
    #[inline]
    pub(super) fn boolean(&mut self) -> Read<bool> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => self.stop(Flaw::Bool),
        }
    }

    /// An int: a long that fits 32 bits.
    #[inline]
    pub(super) fn int(&mut self) -> Read<i32> {
        match i32::try_from(self.long()?) {
            Ok(int) => Ok(int),
            Err(_) => self.stop(Flaw::IntRange),
        }
    }

    /// An index below `of`, of a union's branch or an enum's symbol.
    #[inline]
    pub(super) fn index(&mut self, of: usize, flaw: Flaw) -> Read<usize> {
        match usize::try_from(self.long()?) {
            Ok(index) if index < of => Ok(index),
            _ => self.stop(flaw),
        }
    }

    /// A long. Longer encodings than needed pass by their value, as in all other readers.
    #[inline]
    pub(super) fn long(&mut self) -> Read<i64> {
        match *self.rest {
            [a, ref rest @ ..] if a < 0x80 => {
                self.rest = rest;
                Ok(zigzag(u64::from(a)))
            }
            [a, b, ref rest @ ..] if b < 0x80 => {
                self.rest = rest;
                Ok(zigzag(u64::from(a & 0x7f) | u64::from(b) << 7))
            }
            _ => self.long_of_many(),
        }
    }

    /// A long of three bytes and more: up to 8 at once.
    fn long_of_many(&mut self) -> Read<i64> {
        if let Some((word, _)) = self.rest.split_first_chunk::<8>() {
            let word = u64::from_le_bytes(*word);
            let ends = !word & 0x8080_8080_8080_8080;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                let groups = word & (u64::MAX >> (64 - bits)) & 0x7f7f_7f7f_7f7f_7f7f;
                // Groups of 7 bits move together: pairs of bytes, then of pairs, then of those.
                let pairs =
                    (groups & 0x007f_007f_007f_007f) | (groups & 0x7f00_7f00_7f00_7f00) >> 1;
                let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
                let eight = (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4;
                self.rest = &self.rest[(bits / 8) as usize..];
                return Ok(zigzag(eight));
            }
        }
        self.long_bytewise()
    }

    #[cold]
    fn long_bytewise(&mut self) -> Read<i64> {
        let mut value = 0u64;
        for (i, &byte) in self.rest.iter().take(10).enumerate() {
            // The tenth byte has room for one bit.
            if i == 9 && byte > 1 {
                return self.stop(Flaw::Varint);
            }
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                self.rest = &self.rest[i + 1..];
                return Ok(zigzag(value));
            }
        }
        self.stop(Flaw::Truncated)
    }

    /// The head of the next block of an array or map; `None` ends it.
    ///
    /// `item_bytes_min` is what the smallest item takes: a block that claims more items than the rest of
    /// the body could hold is refused before anything is made for it.
    #[inline]
    pub(super) fn block(&mut self, item_bytes_min: usize) -> Read<Option<Block>> {
        let count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        let Ok(items) = usize::try_from(count.unsigned_abs()) else {
            return self.stop(Flaw::BlockCount);
        };
        let ends_with_left = if count < 0 {
            let size = self.length()?;
            match self.left().checked_sub(size) {
                Some(left) => Some(left),
                None => return self.stop(Flaw::BlockSize),
            }
        } else {
            None
        };
        if items.saturating_mul(item_bytes_min.max(1)) > self.left() {
            return self.stop(Flaw::BlockCount);
        }
        Ok(Some(Block { items, ends_with_left }))
    }

    /// Ends a block: if it gave its size, its items must have filled it exactly.
    #[inline]
    pub(super) fn end(&self, block: &Block) -> Read<()> {
        match block.ends_with_left {
            Some(left) if left != self.left() => self.stop(Flaw::BlockSize),
            _ => Ok(()),
        }
    }
}

/// A block of an array or map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// How many items it holds; never 0.
    pub(super) items: usize,
    /// How many bytes of the body are left after it, if it says.
    ends_with_left: Option<usize>,
}

#[inline]
fn zigzag(raw: u64) -> i64 {
    (raw >> 1).cast_signed() ^ -(raw & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::schema::put_long;

    fn long(bytes: &[u8]) -> Result<(i64, usize), Flaw> {
        let bump = Bump::new();
        let mut input = Input::new(bytes, &bump);
        match input.long() {
            Ok(value) => Ok((value, input.left())),
            Err(stop) => Err(stop.flaw),
        }
    }

    proptest! {
        #[test]
        fn a_long_is_read_back_whatever_follows(
            value in prop_oneof![any::<i64>(), -70_000i64..70_000, Just(i64::MIN), Just(i64::MAX)],
            after in proptest::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut bytes = Vec::new();
            put_long(value, &mut bytes);
            for cut in 0..bytes.len() {
                prop_assert_eq!(long(&bytes[..cut]), Err(Flaw::Truncated));
            }
            bytes.extend_from_slice(&after);
            prop_assert_eq!(long(&bytes), Ok((value, after.len())));
        }

        #[test]
        fn the_fast_ways_agree_with_the_slow_one(bytes in proptest::collection::vec(any::<u8>(), 0..14)) {
            let bump = Bump::new();
            let mut input = Input::new(&bytes, &bump);
            let slow = match input.long_bytewise() {
                Ok(value) => Ok((value, input.left())),
                Err(stop) => Err(stop.flaw),
            };
            prop_assert_eq!(long(&bytes), slow);
        }
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(0x01);
        assert_eq!(long(&bytes), Ok((i64::MIN, 0)));
        bytes[9] = 0x02;
        assert_eq!(long(&bytes), Err(Flaw::Varint));
        bytes[9] = 0x80;
        bytes.push(0);
        assert_eq!(long(&bytes), Err(Flaw::Varint));
    }
}
