//! The loop that a careful user writes: `BaseConsumer::poll`, nothing copied, positions kept, commits each
//! second.

use std::time::{Duration, Instant};

use bumpalo::Bump;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::measure::{Moment, Outcome, Sums, consumer};
use crate::orders::{PARTITIONS, Topic, decode, place, plan};

/// Records between two looks at the clock.
const LOOK: u64 = 1_000;

pub(crate) fn run(topic: &Topic) -> Outcome {
    let plan = plan();
    let consumer: BaseConsumer = consumer(&topic.kafka, &topic.group).create().unwrap();
    consumer.subscribe(&[&topic.name]).unwrap();
    let (mut bump, mut sums) = (Bump::with_capacity(16 * 1024), Sums::default());
    let mut commits = Commits::new(topic);
    let mut first = None;
    while sums.records < topic.records {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        first.get_or_insert_with(Moment::now);
        decode(&plan, topic.schema_id, message.payload().unwrap(), &mut bump, &mut sums);
        sums.records += 1;
        sums.places ^= place(message.partition(), message.offset());
        commits.next[message.partition() as usize] = message.offset() + 1;
        if sums.records.is_multiple_of(LOOK) {
            commits.when_due(&consumer);
        }
    }
    let outcome = first.unwrap().until(Moment::now(), sums);
    consumer.commit(&commits.list(), CommitMode::Sync).unwrap();
    outcome
}

/// Next offsets, committed each second.
pub(crate) struct Commits<'t> {
    topic: &'t str,
    pub(crate) next: Vec<i64>,
    last: Instant,
}

impl<'t> Commits<'t> {
    pub(crate) fn new(topic: &'t Topic) -> Self {
        Self { topic: &topic.name, next: vec![0; PARTITIONS as usize], last: Instant::now() }
    }

    pub(crate) fn when_due<C: rdkafka::consumer::ConsumerContext>(
        &mut self,
        consumer: &BaseConsumer<C>,
    ) {
        if self.last.elapsed() >= Duration::from_secs(1) {
            self.last = Instant::now();
            consumer.commit(&self.list(), CommitMode::Async).unwrap();
        }
    }

    fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, next) in self.next.iter().enumerate() {
            list.add_partition_offset(self.topic, partition as i32, Offset::Offset(*next)).unwrap();
        }
        list
    }
}
