//! What a poll took: owned records, cut into runs of one partition, freed where they are dropped.

use rdkafka::types::RDKafkaErrorCode;

use super::raw::{Message, Messages};
use crate::port;
use crate::record::Record;

/// Batches move between threads; the type that holds the messages is not shared between them.
const _: fn() = || {
    fn send<T: Send>() {}
    send::<Batch>();
};

/// A failure of one partition.
#[derive(Debug)]
pub(super) struct PartitionError {
    /// The topic's name.
    pub(super) topic: String,
    /// The partition's number.
    pub(super) partition: i32,
    /// Where it struck.
    pub(super) offset: i64,
    /// What.
    pub(super) code: RDKafkaErrorCode,
}

/// What one poll took.
#[derive(Debug)]
pub(super) struct Batch {
    /// Records of several partitions, each partition's in order.
    pub(super) messages: Run,
    /// Failures of partitions.
    pub(super) errors: Vec<PartitionError>,
}

/// Owned records; those of a run of [`Run::split`] are of one partition. Dropping frees them.
#[derive(Debug)]
pub(super) struct Run {
    messages: Messages,
}

impl Run {
    /// All of these.
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages }
    }

    /// No records?
    pub(super) fn is_empty(&self) -> bool {
        self.messages.len() == 0
    }

    /// One run for each stretch of records of the same partition, in order. In a backlog they are long.
    pub(super) fn split(mut self) -> Vec<Self> {
        let mut runs = Vec::new();
        for i in (1..self.messages.len()).rev() {
            if !self.messages.get(i).same_partition(self.messages.get(i - 1)) {
                runs.push(Self { messages: self.messages.split_off(i) });
            }
        }
        if !self.is_empty() {
            runs.push(self);
        }
        runs.reverse();
        runs
    }

    /// Topic and partition of the first record; of all, after a split.
    pub(super) fn partition(&self) -> Option<(&str, i32)> {
        (!self.is_empty()).then(|| {
            let first = self.messages.get(0);
            (first.topic(), first.partition())
        })
    }

    /// The last record's offset.
    pub(super) fn last_offset(&self) -> Option<i64> {
        let last = self.messages.len().checked_sub(1)?;
        Some(self.messages.get(last).offset())
    }

    /// Keeps records whose offsets rise, the first not below `next`; answers how many went.
    pub(super) fn keep_rising_from(&mut self, mut next: i64) -> u64 {
        let rises = |offset: i64, next: &mut i64| {
            let rises = offset >= *next;
            if rises {
                *next = offset + 1;
            }
            rises
        };
        let mut expected = next;
        if self.messages.iter().all(|m| rises(m.offset(), &mut expected)) {
            return 0;
        }
        let before = self.messages.len();
        self.messages.retain(|m| rises(m.offset(), &mut next));
        (before - self.messages.len()) as u64
    }
}

impl port::Batch for Run {
    fn len(&self) -> usize {
        self.messages.len()
    }

    fn record(&self, index: usize) -> Record<'_> {
        self.messages.get(index).record()
    }

    fn bytes(&self) -> usize {
        self.messages.iter().map(Message::bytes).sum()
    }
}
