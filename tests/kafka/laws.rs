//! What member, producer and admin promise, on any cluster: the embedded bus and a real Kafka alike.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::executor::block_on;
use ordermill::kafka::{Producer, Settings};
use ordermill::port::{Admin, Command, Outgoing, Producer as _, Trouble};
use ordermill::record::{NextOffset, OwnedRecord, PartitionId};
use uuid::Uuid;

use super::member::{Ledger, MARKER, Manner, Running, until};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A cluster under test.
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) admin: Arc<dyn Admin>,
}

pub(crate) fn name(word: &str) -> String {
    format!("{word}-{}", Uuid::new_v4().simple())
}

impl World {
    pub(crate) fn topic(&self, partitions: i32) -> String {
        let topic = name("topic");
        block_on(self.admin.create_topic(&topic, partitions, 1)).unwrap();
        topic
    }

    /// Fills a topic with `count` keyed records.
    pub(crate) fn fill(&self, topic: &str, count: u64) {
        let producer = Producer::new(&self.settings).unwrap();
        let mut bulk = producer.bulk(10_000);
        let mut out =
            Outgoing { topic: topic.into(), partition: None, record: OwnedRecord::default() };
        for i in 0..count {
            out.record.key = Some(i.to_string().into_bytes());
            out.record.value = Some(format!("value {i}").into_bytes());
            bulk.push(&out);
        }
        let counts = bulk.finish(SOON);
        assert_eq!((counts.delivered, counts.failed), (count, 0), "{:?}", counts.first_fault);
        producer.close(SOON).unwrap();
    }

    pub(crate) fn ids(topic: &str, partitions: i32) -> Vec<PartitionId> {
        let topic: Arc<str> = topic.into();
        (0..partitions).map(|p| PartitionId::new(Arc::clone(&topic), p)).collect()
    }

    pub(crate) fn member(
        &self,
        group: &str,
        topic: &str,
        ledger: &Arc<Ledger>,
        manner: &Manner,
    ) -> Running {
        Running::start(
            &self.settings,
            group,
            topic,
            Arc::clone(&self.admin),
            Arc::clone(ledger),
            manner,
        )
    }
}

/// Everything is delivered once and in order, and what was committed at the end is everything, with the
/// marker beside it.
pub(crate) fn every_record_comes_once_in_order_and_is_committed(world: &World) {
    let (partitions, count) = (12, 20_000);
    let topic = world.topic(partitions);
    let group = name("group");
    world.fill(&topic, count);
    let ledger = Arc::<Ledger>::default();
    let member = world.member(&group, &topic, &ledger, &Manner::default());
    until("all records", SOON, || ledger.records() >= count);
    assert!(member.handle.joined());
    assert_eq!(member.handle.stale_records(), 0);
    until("a commit", SOON, || member.told.commits.load(std::sync::atomic::Ordering::Relaxed) > 0);
    member.leave();
    ledger.assert_clean();
    assert_eq!(ledger.records(), count);

    let ids = World::ids(&topic, partitions);
    let ends = block_on(world.admin.watermarks(&ids)).unwrap();
    let committed = block_on(world.admin.committed(&group, &ids)).unwrap();
    let mut total = 0;
    for ((id, end), at) in ids.iter().zip(ends).zip(committed) {
        assert_eq!(end.start, NextOffset(0), "{id}");
        total += end.end.0;
        let at = at.unwrap_or_else(|| panic!("{id}: nothing committed"));
        assert_eq!((at.next, at.metadata.as_str()), (end.end, MARKER), "{id}");
    }
    assert_eq!(total, count as i64);
    let nobody = block_on(world.admin.committed(&name("group"), &ids)).unwrap();
    assert!(nobody.iter().all(Option::is_none));
}

/// A member joins and leaves again while the other works: nothing is lost, nothing repeated.
pub(crate) fn members_that_come_and_go_neither_lose_nor_repeat(world: &World) {
    let (ledger, count) = come_and_go(world);
    ledger.assert_clean();
    assert_eq!(ledger.records(), count);
}

/// The embedded broker refuses the commit of a revocation while another rebalance has begun, as Kafka does not: there
/// records may be repeated, and none is lost.
pub(crate) fn members_that_come_and_go_lose_nothing(world: &World) {
    come_and_go(world).0.assert_whole();
}

fn come_and_go(world: &World) -> (Arc<Ledger>, u64) {
    let (partitions, count) = (12, 40_000);
    let topic = world.topic(partitions);
    let group = name("group");
    world.fill(&topic, count / 2);
    let ledger = Arc::<Ledger>::default();
    // Small windows keep the work from being over at once.
    let manner =
        Manner { window: 300, slow: Some((0, Duration::from_millis(20))), ..Manner::default() };
    let first = world.member(&group, &topic, &ledger, &manner);
    until("the first has all", SOON, || first.told.held() == 12);
    let second = world.member(&group, &topic, &ledger, &manner);
    until("both have half", SOON, || first.told.held() == 6 && second.told.held() == 6);
    world.fill(&topic, count / 2);
    first.leave();
    until("the second has all", SOON, || second.told.held() == 12);
    let done = || (0..12).map(|partition| ledger.next(partition)).sum::<i64>();
    until("all records", SOON, || done() == i64::try_from(count).unwrap());
    assert_eq!(second.handle.stale_records(), 0);
    second.leave();
    (ledger, count)
}

/// A slow partition fills its window, is paused and resumed again and again: no gap, no repeat, and the
/// others are done long before it.
pub(crate) fn a_full_window_stops_its_partition_and_loses_nothing(world: &World) {
    let topic = world.topic(2);
    world.fill(&topic, 8_000);
    let ledger = Arc::<Ledger>::default();
    let manner =
        Manner { window: 1_500, slow: Some((0, Duration::from_millis(900))), ..Manner::default() };
    let member = world.member(&name("group"), &topic, &ledger, &manner);
    until("all records", SOON, || ledger.records() >= 8_000);
    let full = member.told.full.load(Ordering::Relaxed);
    assert!(full > 1, "the window was full {full} times");
    member.leave();
    ledger.assert_clean();
    assert_eq!(ledger.records(), 8_000);
}

/// All partitions have a backlog and none moves: each has been given records long before the patience with one
/// after another would be over.
pub(crate) fn slow_partitions_do_not_keep_the_others_waiting_one_after_another(world: &World) {
    let topic = world.topic(12);
    world.fill(&topic, 24_000);
    let ledger = Arc::<Ledger>::default();
    let manner = Manner { window: 300, ..Manner::default() };
    manner.stuck.store(true, Ordering::Relaxed);
    let member = world.member(&name("group"), &topic, &ledger, &manner);
    until("the first windows are full", SOON, || member.told.full.load(Ordering::Relaxed) > 0);
    until("all partitions have records", Duration::from_secs(6), || member.told.reached() == 12);
    manner.stuck.store(false, Ordering::Relaxed);
    until("all records", SOON, || ledger.records() == 24_000);
    member.leave();
    ledger.assert_clean();
}

/// A partition accepted without a start gives nothing until it is told where; then exactly from there.
/// Held and started again elsewhere, it goes on exactly there.
pub(crate) fn a_partition_starts_where_it_is_told_when_it_is_told(world: &World) {
    let topic = world.topic(1);
    let count = 30_000;
    world.fill(&topic, count);
    let ledger = Arc::<Ledger>::default();
    let manner = Manner { later: true, ..Manner::default() };
    let member = world.member(&name("group"), &topic, &ledger, &manner);
    until("the assignment", SOON, || member.told.held() == 1);
    // Other orders pass meanwhile, and nothing comes.
    std::thread::park_timeout(Duration::from_millis(500));
    assert_eq!(ledger.records(), 0);

    let id = PartitionId::new(topic.as_str(), 0);
    ledger.set(0, 20_000);
    member.order(Command::Start(id.clone(), NextOffset(20_000)));
    until("the rest", SOON, || ledger.records() == 10_000);

    member.handle.send(Command::Hold(id.clone()));
    world.fill(&topic, 100);
    std::thread::park_timeout(Duration::from_millis(300));
    assert_eq!(ledger.records(), 10_000);
    ledger.set(0, 5_000);
    member.order(Command::Start(id, NextOffset(5_000)));
    until("from the new start", SOON, || ledger.records() == 10_000 + 25_100);
    member.leave();
    ledger.assert_clean();
}

/// A partition that was paused when the group took it away flows when the group gives it back.
pub(crate) fn a_pause_ends_with_the_assignment(world: &World) {
    let (topic, group) = (world.topic(2), name("group"));
    world.fill(&topic, 100);
    let ledger = Arc::<Ledger>::default();
    let first = world.member(&group, &topic, &ledger, &Manner::default());
    until("all records", SOON, || ledger.records() == 100);
    for id in World::ids(&topic, 2) {
        first.order(Command::Hold(id));
    }
    let second = world.member(&group, &topic, &ledger, &Manner::default());
    until("both have one", SOON, || first.told.held() == 1 && second.told.held() == 1);
    let kept = first.told.partitions().remove(0);
    let next = NextOffset(ledger.next(kept.partition));
    first.order(Command::Start(kept, next));
    second.leave();
    until("the first has both again", SOON, || first.told.held() == 2);
    world.fill(&topic, 100);
    until("the records of both", SOON, || ledger.records() == 200);
    first.leave();
    ledger.assert_clean();
}

/// An offset that is not there is said once, by name; a start at one that is goes on.
pub(crate) fn an_offset_out_of_range_is_told_and_can_be_left(world: &World) {
    let topic = world.topic(1);
    world.fill(&topic, 100);
    let ledger = Arc::<Ledger>::default();
    ledger.set(0, 90);
    let manner = Manner { start: Some(1_000_000), ..Manner::default() };
    let member = world.member(&name("group"), &topic, &ledger, &manner);
    let said = |t: &Trouble| {
        matches!(t, Trouble::Partition { code, partition, .. }
            if code == "offset_out_of_range" && partition.partition == 0)
    };
    until("the trouble", SOON, || member.told.heard(said) > 0);
    let id = PartitionId::new(topic.as_str(), 0);
    member.order(Command::Start(id, NextOffset(90)));
    until("the records", SOON, || ledger.records() == 10);
    assert_eq!(member.told.heard(said), 1);
    member.leave();
    ledger.assert_clean();
}

/// Key, value, headers, timestamp and order are kept byte for byte; null is not empty.
pub(crate) fn what_is_sent_comes_back_byte_for_byte(world: &World) {
    let topic = world.topic(1);
    let producer = Producer::new(&world.settings).unwrap();
    let sent = vec![
        OwnedRecord {
            key: Some(b"key".to_vec()),
            value: Some(b"value".to_vec()),
            headers: vec![
                ("a".into(), Some(vec![0, 255])),
                ("a".into(), Some(Vec::new())),
                ("b".into(), None),
            ],
            timestamp: Some(1_600_000_000_123),
        },
        OwnedRecord {
            key: None,
            value: Some(Vec::new()),
            timestamp: Some(1_600_000_000_124),
            ..OwnedRecord::default()
        },
        OwnedRecord {
            key: Some(Vec::new()),
            value: None,
            timestamp: Some(1_600_000_000_125),
            ..OwnedRecord::default()
        },
    ];
    let outgoing = sent
        .iter()
        .map(|record| Outgoing {
            topic: topic.as_str().into(),
            partition: Some(0),
            record: record.clone(),
        })
        .collect();
    let answers = block_on(producer.send(outgoing));
    for (i, answer) in answers.iter().enumerate() {
        let position = answer.as_ref().unwrap();
        assert_eq!(position.to_string(), format!("{topic}[0]@{i}"));
    }
    let read = super::read_all(&world.settings, &topic, sent.len());
    assert_eq!(read, sent);
    producer.close(SOON).unwrap();
}

/// A record that is too large is refused alone; the others are written, in order.
pub(crate) fn a_record_too_large_fails_alone(world: &World) {
    let topic = world.topic(1);
    let producer = Producer::new(&world.settings).unwrap();
    let out = |size: usize| Outgoing {
        topic: topic.as_str().into(),
        partition: Some(0),
        record: OwnedRecord { value: Some(vec![7; size]), ..OwnedRecord::default() },
    };
    let answers = block_on(producer.send(vec![out(10), out(3_000_000), out(20)]));
    assert_eq!(answers[0].as_ref().unwrap().offset.0, 0);
    let fault = answers[1].as_ref().unwrap_err();
    assert_eq!(fault.class, ordermill::record::Class::Poison, "{fault}");
    assert_eq!(answers[2].as_ref().unwrap().offset.0, 1);
}

/// A topic that is not there is said by name.
pub(crate) fn a_missing_topic_is_told(world: &World) {
    let topic = name("missing");
    assert_eq!(block_on(world.admin.topic(&topic)), Ok(None));
    let ledger = Arc::<Ledger>::default();
    let member = world.member(&name("group"), &topic, &ledger, &Manner::default());
    until("the trouble", SOON, || {
        member.told.heard(|t| {
            matches!(t, Trouble::Partition { code, partition, .. }
                if code == "unknown_topic" && *partition.topic == *topic)
        }) == 1
    });
    member.leave();
}

/// Members leave cleanly one after another, in the middle of each other's rebalances, and new ones come:
/// nothing is lost, nothing repeated, by Kafka's own committed offsets.
pub(crate) fn a_storm_of_clean_stops_neither_loses_nor_repeats(world: &World) {
    let topic = world.topic(12);
    let group = name("group");
    let ledger = Arc::<Ledger>::default();
    let manner = Manner { window: 500, ..Manner::default() };
    let start = || world.member(&group, &topic, &ledger, &manner);
    let mut members = std::collections::VecDeque::from([start(), start(), start()]);
    let mut count = 0;
    for _ in 0..8 {
        world.fill(&topic, 5_000);
        count += 5_000;
        // The one that came last may still be on its way in.
        members.push_back(start());
        let oldest = members.pop_front().unwrap();
        until("the oldest is in", SOON, || oldest.handle.joined());
        oldest.leave();
    }
    until("all records", SOON, || ledger.records() >= count);
    for member in members {
        assert_eq!(member.handle.stale_records(), 0);
        member.leave();
    }
    ledger.assert_clean();
    assert_eq!(ledger.records(), count);
}
