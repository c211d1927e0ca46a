//! Reading partitions without a group: for people who look. Nothing is ever committed, nobody is disturbed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as At, TopicPartitionList};

use super::admin::Context;
use super::error::{Error, no_nul};
use super::raw::{Message, Messages, Queue};
use super::settings::Settings;
use crate::record::{NextOffset, Offset, OwnedRecord, PartitionId};

/// Records that are taken at once.
const BATCH: usize = 200;

/// Reads some partitions of one topic, each from its place on.
pub struct Tail {
    /// Before its client: it ends first.
    queue: Queue,
    consumer: BaseConsumer<Context>,
    held: Arc<AtomicUsize>,
    taken: VecDeque<Tailed>,
    topic: String,
}

/// What was found.
#[derive(Debug)]
pub enum Tailed {
    /// A record of this partition.
    Record(i32, Offset, OwnedRecord),
    /// The end of this partition as it is now.
    End(i32),
    /// This partition cannot be read on.
    Failed(i32, Error),
}

impl Tail {
    /// Begins at these places, which must be in the log. Connects in the background.
    ///
    /// # Errors
    /// The settings are refused, or the client cannot be made.
    pub fn open(
        settings: &Settings,
        topic: &str,
        from: &[(PartitionId, NextOffset)],
    ) -> Result<Self, Error> {
        no_nul(topic)?;
        let what = || format!("read topic {topic}");
        let consumer: BaseConsumer<Context> = settings
            .tail()?
            .create_with_context(Context::default())
            .map_err(|cause| Error::Client { what: "reader", cause })?;
        let rk = consumer.client().native_ptr();
        let queue = Queue::new(rk)?;
        let mut list = TopicPartitionList::with_capacity(from.len());
        for (id, at) in from {
            queue.route_partition_here(rk, topic, id.partition)?;
            list.add_partition_offset(topic, id.partition, At::Offset(at.0))
                .map_err(|e| Error::call(what(), &e))?;
        }
        consumer.assign(&list).map_err(|e| Error::call(what(), &e))?;
        let (held, taken) = (Arc::default(), VecDeque::new());
        Ok(Self { queue, consumer, held, taken, topic: topic.to_owned() })
    }

    /// The next of what there is, in the order in which brokers give it; `None`: nothing within `wait`. Blocks.
    /// An outage is waited out: nothing is found meanwhile.
    pub fn next(&mut self, wait: Duration) -> Option<Tailed> {
        if self.taken.is_empty() {
            // What the client says of itself: that it may not ask for the coordinator of the group that it
            // must name, and outages. Nothing depends on the one, the other passes.
            if let Some(Err(error)) = self.consumer.poll(Duration::ZERO) {
                tracing::debug!(%error, "tail");
            }
            let mut messages = Messages::new(&self.held);
            let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
            self.queue.take(&mut messages, BATCH, wait_ms);
            let topic = &self.topic;
            self.taken.extend(messages.iter().filter_map(|message| found(topic, message)));
        }
        self.taken.pop_front()
    }
}

fn found(topic: &str, message: &Message) -> Option<Tailed> {
    let partition = message.partition();
    match message.error() {
        None => {
            let at = Offset(message.offset());
            Some(Tailed::Record(partition, at, OwnedRecord::copy_of(&message.record())))
        }
        Some(Code::PartitionEOF) => Some(Tailed::End(partition)),
        Some(code) if stops(code) => {
            let what = format!("read {topic}[{partition}]");
            Some(Tailed::Failed(partition, Error::Call { what, code, reason: code.to_string() }))
        }
        Some(code) => {
            tracing::debug!(partition, ?code, "tail");
            None
        }
    }
}

/// Does this failure stay until a person changes something?
fn stops(code: Code) -> bool {
    matches!(
        code,
        Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::TopicAuthorizationFailed
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
    )
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tail").field("topic", &self.topic).finish_non_exhaustive()
    }
}
