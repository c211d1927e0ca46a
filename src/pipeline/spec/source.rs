//! `source`: where records come from.

use jiff::Timestamp;

use super::Text;
use crate::config::grammar::Part;
use crate::config::units;

/// `source`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The topics, at least one, none twice.
    pub topics: Vec<String>,
    /// The consumer group.
    pub group: String,
    /// The subject of the reader schema.
    pub schema: Text,
    /// What the record's key is in expressions.
    pub key_type: KeyType,
    /// Where a group begins that has no offsets yet.
    pub from: From,
    /// How a record without a value ends.
    pub tombstone: Tombstone,
}

/// `key_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// UTF-8 text.
    String,
    /// Bytes as they are.
    Bytes,
    /// A 64-bit number, eight bytes, the highest first.
    Long,
}

/// `from`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At the oldest record.
    Earliest,
    /// Behind the newest one.
    Latest,
    /// At the first record of this time or later.
    Time(Timestamp),
}

/// `tombstone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// It is a bad record.
    Reject,
    /// It is dropped.
    Drop,
}

/// The source of a checked file; nothing where the file is wrong.
pub(super) fn source(part: &Part<'_>, name: &str) -> Option<Source> {
    let topics = topics(part)?;
    let first = topics.first()?;
    Some(Source {
        group: part.string("group").unwrap_or_else(|| format!("ordermill.{name}")),
        schema: part
            .text("schema")
            .unwrap_or_else(|| Text::new(format!("{first}-value"), part.at())),
        key_type: match part.string("key_type")?.as_str() {
            "string" => KeyType::String,
            "bytes" => KeyType::Bytes,
            "long" => KeyType::Long,
            _ => return None,
        },
        from: match part.string("from")?.as_str() {
            "earliest" => From::Earliest,
            "latest" => From::Latest,
            time => From::Time(units::time(time)?),
        },
        tombstone: match part.string("tombstone")?.as_str() {
            "reject" => Tombstone::Reject,
            "drop" => Tombstone::Drop,
            _ => return None,
        },
        topics,
    })
}

/// The topics, also where the rest of the source is wrong.
pub(super) fn topics(part: &Part<'_>) -> Option<Vec<String>> {
    match part.string("topic") {
        Some(topic) => Some(vec![topic]),
        None => Some(part.texts("topics")?.into_iter().map(|topic| topic.text).collect()),
    }
}
