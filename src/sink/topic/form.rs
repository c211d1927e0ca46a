//! An outgoing record as the encoder writes it and the sink reads it back: numbers big-endian, each part
//! behind its length.
//!
//! ```text
//! u16 target · i64 timestamp (MIN: none) · i32 key length (-1: null) · key · u16 headers ·
//! { u16 name length · name · i32 value length (-1: null) · value }… · the rest is the value
//! ```

use crate::record::OwnedRecord;

/// Begins a record: everything but its value.
pub(super) fn begin(out: &mut Vec<u8>, target: u16, timestamp: Option<i64>, key: Option<&[u8]>) {
    out.extend(target.to_be_bytes());
    out.extend(timestamp.unwrap_or(i64::MIN).to_be_bytes());
    bytes(out, key);
}

/// Writes the headers.
pub(super) fn headers<'a>(
    out: &mut Vec<u8>,
    headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>,
) {
    let at = out.len();
    out.extend([0, 0]);
    let mut count = 0_u16;
    for (name, value) in headers {
        // Kafka's own limit of a header's name is the record's size; 64 KiB is far beyond any use.
        let Ok(len) = u16::try_from(name.len()) else { continue };
        out.extend(len.to_be_bytes());
        out.extend(name.as_bytes());
        bytes(out, value);
        count = count.saturating_add(1);
    }
    out[at..at + 2].copy_from_slice(&count.to_be_bytes());
}

fn bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    let len = bytes.map_or(-1, |b| i32::try_from(b.len()).unwrap_or(i32::MAX));
    out.extend(len.to_be_bytes());
    out.extend(bytes.unwrap_or_default());
}

/// Reads a record back; `None`: it is not this form, which would be a fault of the program.
pub(super) fn read(mut from: &[u8]) -> Option<(usize, OwnedRecord)> {
    let from = &mut from;
    let target = u16::from_be_bytes(take(from)?);
    let timestamp = i64::from_be_bytes(take(from)?);
    let key = taken(from)?;
    let count = u16::from_be_bytes(take(from)?);
    let mut headers = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let len = u16::from_be_bytes(take(from)?);
        let (name, rest) = from.split_at_checked(usize::from(len))?;
        *from = rest;
        headers.push((std::str::from_utf8(name).ok()?.to_owned(), taken(from)?));
    }
    let record = OwnedRecord {
        key,
        value: Some(from.to_vec()),
        headers,
        timestamp: Some(timestamp).filter(|at| *at != i64::MIN),
    };
    Some((usize::from(target), record))
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*taken)
}

#[expect(clippy::option_option, reason = "the outer one: not this form; the inner one: null")]
fn taken(from: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let len = i32::from_be_bytes(take(from)?);
    let Ok(len) = usize::try_from(len) else { return Some(None) };
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(Some(taken.to_vec()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            target in any::<u16>(), timestamp in prop::option::of(0_i64..i64::MAX), key in part(),
            headers in prop::collection::vec((".{0,12}", part()), 0..5),
            value in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut out = Vec::new();
            begin(&mut out, target, timestamp, key.as_deref());
            let listed = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
            super::headers(&mut out, listed);
            out.extend(&value);
            let record = OwnedRecord { key, value: Some(value), headers, timestamp };
            prop_assert_eq!(read(&out), Some((usize::from(target), record)));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read(&bytes);
        }
    }
}
