//! Dead letters that wait in a table of their own: what is stored of them, in both databases alike.
//!
//! Table `ordermill_outbox` holds a letter as it will be sent: key, value and timestamp each in a column, the
//! header list in one, byte for byte (see [`pack`]). A step inserts its letters in its own transaction;
//! [`relay`](super::relay) sends and deletes them, the lowest id first.

use std::fmt;
use std::sync::Arc;

use super::Error;
use crate::record::{Class, OwnedRecord};

/// A letter that was read back.
pub(super) struct Letter {
    /// Its place in the order of the table.
    pub(super) id: i64,
    /// The topic it goes to.
    pub(super) topic: Arc<str>,
    /// The partition it came from, where it goes in its topic.
    pub(super) partition: i32,
    /// What is sent.
    pub(super) record: OwnedRecord,
}

impl Letter {
    /// About how much of a request it takes.
    pub(super) fn bytes(&self) -> usize {
        let OwnedRecord { key, value, headers, .. } = &self.record;
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = headers.iter().map(|(name, value)| name.len() + length(value)).sum();
        length(key) + length(value) + headers
    }
}

/// Sizes only: a letter is personal data.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "letter {} of {} bytes", self.id, self.bytes())
    }
}

/// Stands for the length of a value that is absent.
const ABSENT: u32 = u32::MAX;

/// A header list in one column: for each header in its order the name's length (4 bytes, big-endian), the
/// name, the value's length (the same; all ones: there is no value) and the value.
pub(super) fn pack(headers: &[(String, Option<Vec<u8>>)]) -> Vec<u8> {
    let mut out = Vec::new();
    // A record is far below 2^32 bytes.
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(ABSENT - 1).to_be_bytes();
    for (name, value) in headers {
        out.extend_from_slice(&length(name.as_bytes()));
        out.extend_from_slice(name.as_bytes());
        match value {
            Some(value) => {
                out.extend_from_slice(&length(value));
                out.extend_from_slice(value);
            }
            None => out.extend_from_slice(&ABSENT.to_be_bytes()),
        }
    }
    out
}

/// Headers in their order; names may repeat, a value may be absent.
pub(super) type Headers = Vec<(String, Option<Vec<u8>>)>;

/// Reads a header list back.
///
/// # Errors
/// It is none: somebody else wrote into the table.
pub(super) fn unpack(id: i64, mut bytes: &[u8]) -> Result<Headers, Error> {
    let mut headers = Vec::new();
    while !bytes.is_empty() {
        headers.push(header(&mut bytes).ok_or_else(|| {
            Error::Unfit(format!(
                "row {id} of ordermill_outbox is not as this program writes it: \
                 put the original bytes back, or delete the row and lose that dead letter"
            ))
        })?);
    }
    Ok(headers)
}

fn header(bytes: &mut &[u8]) -> Option<(String, Option<Vec<u8>>)> {
    let name = String::from_utf8(take(bytes)??).ok()?;
    Some((name, take(bytes)?))
}

/// The next length and as many bytes; `None`: there are not so many.
fn take(bytes: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    *bytes = rest;
    let length = u32::from_be_bytes(*length);
    if length == ABSENT {
        return Some(None);
    }
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(taken.to_vec()))
}

/// Why a letter could not be written. Never the fault of a record: without this, a rule that somebody put on
/// the table would send one record after the other the same way.
pub(super) fn refused(error: Error) -> Error {
    match error {
        Error::Answer { class: Class::Poison, state, message, .. } => Error::Unfit(format!(
            "ordermill_outbox refuses a dead letter ({message}, {state}): \
             drop what was added to that table (constraint, trigger)"
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_header_list_reads_back_as_it_was(
            headers: Vec<(String, Option<Vec<u8>>)>
        ) {
            prop_assert_eq!(unpack(1, &pack(&headers)).unwrap(), headers);
        }

        #[test]
        fn bytes_of_any_kind_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(headers) = unpack(1, &bytes) {
                prop_assert_eq!(pack(&headers), bytes);
            }
        }
    }

    #[test]
    fn repeats_order_and_absence_are_kept_and_a_cut_list_is_refused() {
        let headers = vec![
            ("a".to_owned(), None),
            ("a".to_owned(), Some(Vec::new())),
            (String::new(), Some(vec![0, 255])),
            ("a".to_owned(), None),
        ];
        let packed = pack(&headers);
        assert_eq!(unpack(1, &packed).unwrap(), headers);
        let whole: Vec<usize> =
            (0..=packed.len()).filter(|n| unpack(1, &packed[..*n]).is_ok()).collect();
        assert_eq!(whole, [0, 9, 18, 28, 37]);
        let refused = unpack(41, &packed[..8]).unwrap_err();
        assert!(refused.to_string().contains("row 41"), "{refused}");
    }
}
