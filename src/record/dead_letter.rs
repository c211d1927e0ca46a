//! A dead letter: a record that can never succeed, as it came, with where it came from and why it is here.
//!
//! One that its topic does not take whole is sent in parts. They have the same key and headers, each
//! `x-dlq-part: i/n` behind them (i from 1), and lie in one partition in order, though other letters may lie
//! between them. To join them: take the parts of one `x-dlq-id` in the order of their offsets, begin anew at
//! each `1/n`, and append the values; at `n/n` the value is whole. Parts that never reach `n/n` before the
//! next `1/n` are of a try that was broken off: the whole letter follows.

use std::sync::Arc;

use super::{Fault, OwnedRecord, Position, TopicId};

/// The longest error text in a header, in bytes.
const ERROR_BYTES_MAX: usize = 4096;
/// What the names of all headers of ours begin with.
pub const DEAD_LETTER_PREFIX: &str = "x-dlq-";

/// A record on its way to a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The topic it goes to.
    pub topic: Arc<str>,
    /// The identity of the topic it came from.
    pub topic_id: TopicId,
    /// Where it lay.
    pub position: Position,
    /// The consumer group that could not work it.
    pub group: Arc<str>,
    /// Why.
    pub fault: Fault,
    /// Key, value, headers and timestamp, byte for byte.
    pub record: OwnedRecord,
}

impl DeadLetter {
    /// Its stable id: topic id, partition and offset. A dead letter that is sent twice has the same.
    pub fn id(&self) -> String {
        let Position { partition, offset } = &self.position;
        format!("{}:{}:{offset}", self.topic_id, partition.partition)
    }

    /// The record as it is sent: as it came, with its provenance behind its own headers.
    ///
    /// The only function that writes these headers.
    pub fn outgoing(&self) -> OwnedRecord {
        let Position { partition, offset } = &self.position;
        let mut error = self.fault.reason.clone();
        if error.len() > ERROR_BYTES_MAX {
            let end = (0..=ERROR_BYTES_MAX).rev().find(|end| error.is_char_boundary(*end));
            error.truncate(end.unwrap_or(0));
        }
        let provenance = [
            ("id", self.id()),
            ("topic", partition.topic.to_string()),
            ("topic-id", self.topic_id.to_string()),
            ("partition", partition.partition.to_string()),
            ("offset", offset.to_string()),
            ("timestamp", self.record.timestamp.map_or_else(String::new, |t| t.to_string())),
            ("group", self.group.to_string()),
            ("class", self.fault.class.to_string()),
            ("reason", self.fault.code.to_string()),
            ("error", error),
        ];
        let mut record = self.record.clone();
        record.headers.extend(provenance.into_iter().map(|(name, value)| {
            (format!("{DEAD_LETTER_PREFIX}{name}"), Some(value.into_bytes()))
        }));
        record
    }
}

/// Cuts a record into parts whose values have at most `max` bytes (at least 1) and nearly the same size; a
/// record whose value fits stays as it is. How they are joined again stands at the head of this file.
pub fn parts(record: &OwnedRecord, max: usize) -> Vec<OwnedRecord> {
    let max = max.max(1);
    let value = record.value.as_deref().unwrap_or_default();
    if value.len() <= max {
        return vec![record.clone()];
    }
    let count = value.len().div_ceil(max);
    value
        .chunks(value.len().div_ceil(count))
        .zip(1..)
        .map(|(piece, number)| {
            let mut headers = record.headers.clone();
            let part = format!("{number}/{count}").into_bytes();
            headers.push((format!("{DEAD_LETTER_PREFIX}part"), Some(part)));
            OwnedRecord {
                key: record.key.clone(),
                value: Some(piece.to_vec()),
                headers,
                timestamp: record.timestamp,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::record::{Offset, PartitionId};

    fn letter(reason: &str) -> DeadLetter {
        DeadLetter {
            topic: Arc::from("orders.inventory.dlq"),
            topic_id: TopicId(Uuid::nil()),
            position: Position { partition: PartitionId::new("orders", 3), offset: Offset(41) },
            group: Arc::from("ordermill.inventory"),
            fault: Fault::poison("truncated", reason),
            record: OwnedRecord {
                key: Some(b"k".to_vec()),
                value: None,
                headers: vec![("a".into(), None), ("a".into(), Some(vec![0xff]))],
                timestamp: Some(1_700_000_000_000),
            },
        }
    }

    #[test]
    fn the_record_itself_is_kept_byte_for_byte_and_its_origin_comes_behind() {
        let letter = letter("ends in field total");
        let sent = letter.outgoing();
        assert_eq!((&sent.key, &sent.value), (&letter.record.key, &letter.record.value));
        assert_eq!(sent.timestamp, letter.record.timestamp);
        assert_eq!(sent.headers[..2], letter.record.headers[..]);
        let of = |name: &str| {
            let found = sent.headers.iter().find(|(n, _)| n == name).and_then(|(_, v)| v.clone());
            String::from_utf8(found.unwrap()).unwrap()
        };
        assert_eq!(of("x-dlq-topic"), "orders");
        assert_eq!(of("x-dlq-partition"), "3");
        assert_eq!(of("x-dlq-offset"), "41");
        assert_eq!(of("x-dlq-id"), format!("{}:3:41", Uuid::nil()));
        assert_eq!(of("x-dlq-reason"), "truncated");
        assert_eq!(of("x-dlq-error"), "ends in field total");
        assert_eq!(of("x-dlq-timestamp"), "1700000000000");
    }

    #[test]
    fn a_long_error_is_cut_between_characters() {
        let sent = letter(&"ä".repeat(5000)).outgoing();
        let error = sent.headers.last().unwrap().1.clone().unwrap();
        assert_eq!(String::from_utf8(error).unwrap(), "ä".repeat(2048));
    }

    proptest! {
        #[test]
        fn parts_differ_only_in_value_and_number_and_join_to_the_original(
            value: Option<Vec<u8>>, key: Option<Vec<u8>>, max in 1..40_usize
        ) {
            let record = OwnedRecord { key, value, ..letter("").outgoing() };
            let length = record.value.as_ref().map_or(0, Vec::len);
            let cut = parts(&record, max);
            if length <= max {
                prop_assert_eq!(cut, vec![record]);
                return Ok(());
            }
            prop_assert_eq!(cut.len(), length.div_ceil(max));
            let mut joined = Vec::new();
            for (i, part) in cut.iter().enumerate() {
                let piece = part.value.as_deref().unwrap();
                prop_assert!(!piece.is_empty() && piece.len() <= max);
                joined.extend_from_slice(piece);
                let (last, others) = part.headers.split_last().unwrap();
                let number = format!("{}/{}", i + 1, cut.len());
                prop_assert_eq!(last, &("x-dlq-part".to_owned(), Some(number.into_bytes())));
                prop_assert_eq!(others, &record.headers[..]);
                prop_assert_eq!((&part.key, part.timestamp), (&record.key, record.timestamp));
            }
            prop_assert_eq!(Some(joined), record.value);
        }
    }
}
