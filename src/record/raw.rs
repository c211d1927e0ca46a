//! A record as the broker has it: bytes, not yet understood.

use std::fmt;

use super::Offset;

/// Gives the headers of one record, in their order, names repeated as they were sent.
pub trait HeaderSource {
    /// The header at `index` (from 0): name and value; `None` past the last. A header may have no value.
    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)>;
}

/// The headers of a borrowed record; read lazily, since most pipelines never look at them.
#[derive(Clone, Copy)]
pub struct HeaderList<'a>(Option<&'a dyn HeaderSource>);

impl<'a> HeaderList<'a> {
    /// The headers that `source` gives.
    pub fn new(source: &'a dyn HeaderSource) -> Self {
        Self(Some(source))
    }

    /// No headers.
    pub fn none() -> Self {
        Self(None)
    }

    /// All headers in their order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        (0..).map_while(move |i| self.0.and_then(|source| source.header(i)))
    }

    /// The value of the last header of that name (the last one wins, as Kafka's own clients do).
    pub fn last(self, name: &str) -> Option<&'a [u8]> {
        self.iter().filter(|(n, _)| *n == name).last().and_then(|(_, value)| value)
    }
}

impl fmt::Debug for HeaderList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// A record borrowed from the batch that owns its bytes. Topic and partition belong to the batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: Offset,
    /// Milliseconds since the Unix epoch, as producer or broker set it; `None`: the broker gave none.
    pub timestamp: Option<i64>,
    /// The key's bytes; `None` is a null key, which is not the empty key.
    pub key: Option<&'a [u8]>,
    /// The value's bytes; `None` is a tombstone, which is not the empty value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: HeaderList<'a>,
}

/// A record that owns its bytes: what is produced, kept waiting or dead-lettered.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OwnedRecord {
    /// The key's bytes; `None` is a null key.
    pub key: Option<Vec<u8>>,
    /// The value's bytes; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// Headers in their order; names may repeat, a value may be absent.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the Unix epoch; `None`: let the broker set it.
    pub timestamp: Option<i64>,
}

impl OwnedRecord {
    /// Copies a borrowed record out of its batch.
    pub fn copy_of(record: &Record<'_>) -> Self {
        Self {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .iter()
                .map(|(n, v)| (n.to_owned(), v.map(<[u8]>::to_vec)))
                .collect(),
            timestamp: record.timestamp,
        }
    }

    /// Borrows it as a record at `offset`.
    pub fn at(&self, offset: Offset) -> Record<'_> {
        Record {
            offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: HeaderList::new(self),
        }
    }
}

impl HeaderSource for OwnedRecord {
    fn header(&self, index: usize) -> Option<(&str, Option<&[u8]>)> {
        self.headers.get(index).map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

/// Sizes only: a record's content is personal data and has no place in a log.
impl fmt::Debug for OwnedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRecord")
            .field("key_bytes", &self.key.as_ref().map(Vec::len))
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .field("headers", &self.headers.len())
            .field("timestamp", &self.timestamp)
            .finish()
    }
}
