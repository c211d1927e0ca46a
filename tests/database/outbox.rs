//! The laws of the outbox, held against PostgreSQL and SQLite alike, with a producer in memory; and against a
//! real Kafka, read back by a plain consumer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ordermill::database::{Conflict, Console, Database, Settings, SqliteSettings};
use ordermill::kafka;
use ordermill::port::{
    BatchSink, Claim, Future, Outbox, Outgoing, Producer, Progress, Refusal, Step,
};
use ordermill::record::{
    Class, DeadLetter, Effects, Fault, NextOffset, Offset, OwnedRecord, PartitionId, Position,
    TopicId,
};
use ordermill::sink::sql::Insert;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset as At, TopicPartitionList};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Place, bound_orders, claim, fault, open, order_rows, wanted};

const TOPIC: &str = "orders.dlq";

/// A database of one kind, with a second way in as another process has it, where there can be one.
struct World {
    database: Arc<Database>,
    other: Arc<Database>,
    store: Store,
}

enum Store {
    Postgres(Place),
    Sqlite(tempfile::TempDir),
}

impl World {
    async fn postgres() -> Self {
        let place = Place::with_orders().await;
        Self { database: place.database(), other: place.database(), store: Store::Postgres(place) }
    }

    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = SqliteSettings::new(folder.path().join("state.db"));
        let database = Arc::new(Database::open(&Settings::Sqlite(settings)).unwrap());
        let world = Self { other: Arc::clone(&database), database, store: Store::Sqlite(folder) };
        world.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)").await;
        world
    }

    async fn run(&self, sql: &str) {
        match &self.store {
            Store::Postgres(place) => place.run(sql).await,
            Store::Sqlite(folder) => {
                Console::open(&folder.path().join("state.db")).unwrap().run(sql).unwrap();
            }
        }
    }

    async fn number(&self, sql: &str) -> i64 {
        match &self.store {
            Store::Postgres(place) => place.number(sql).await,
            Store::Sqlite(folder) => {
                let console = Console::open(&folder.path().join("state.db")).unwrap();
                console.rows(sql).unwrap()[0][0].parse().unwrap()
            }
        }
    }

    async fn waiting(&self) -> i64 {
        self.number("SELECT count(*) FROM ordermill_outbox").await
    }

    /// The lease of a process that was killed has run out.
    async fn lease_runs_out(&self) {
        if let Store::Postgres(place) = &self.store {
            place.run("UPDATE ordermill_relay SET until = now() - interval '1 s'").await;
        }
    }

    async fn drop(self) {
        if let Store::Postgres(place) = self.store {
            place.drop().await;
        }
    }

    async fn sink(&self) -> Insert {
        bound_orders(&self.database, Conflict::Reject).await
    }

    /// Puts letters of one partition into the outbox by a step of their own.
    async fn bury(&self, partition: i32, letters: &[DeadLetter]) {
        let sink = self.sink().await;
        let owner = claim(&self.database, partition).await;
        let to = owner.next.0 + i64::try_from(letters.len()).unwrap();
        let range = (owner.next.0, to);
        assert_eq!(step(&sink, &owner, range, &Effects::default(), letters).await, Ok(()));
    }
}

async fn step(
    sink: &Insert,
    claim: &Claim,
    (from, to): (i64, i64),
    effects: &Effects,
    dead: &[DeadLetter],
) -> Result<(), Refusal> {
    let (from, to) = (NextOffset(from), NextOffset(to));
    sink.apply(Step { claim, from, to, effects, rows: 0..effects.len(), dead, otherwise: None })
        .await
}

fn group() -> Arc<str> {
    "group".into()
}

fn letter(partition: i32, offset: i64, record: OwnedRecord) -> DeadLetter {
    DeadLetter {
        topic: TOPIC.into(),
        topic_id: TopicId(Uuid::from_u128(7)),
        position: Position {
            partition: PartitionId::new("orders.created", partition),
            offset: Offset(offset),
        },
        group: group(),
        fault: Fault::poison("truncated", "ends in field total"),
        record,
    }
}

/// Letters that tell their partition and number.
fn letters(partition: i32, offsets: std::ops::Range<i64>) -> Vec<DeadLetter> {
    offsets
        .map(|offset| {
            let value = format!("{partition}:{offset}").into_bytes();
            letter(partition, offset, OwnedRecord { value: Some(value), ..OwnedRecord::default() })
        })
        .collect()
}

/// Records of every oddity: null is not empty, names repeat, bytes are no text.
fn odd_records() -> Vec<OwnedRecord> {
    vec![
        OwnedRecord {
            key: Some(b"key".to_vec()),
            value: Some(vec![0, 159, 255]),
            headers: vec![
                ("b".into(), Some(vec![0, 255])),
                ("a".into(), None),
                ("b".into(), Some(Vec::new())),
                ("ä".into(), Some(b"x".to_vec())),
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
    ]
}

fn header(record: &OwnedRecord, name: &str) -> Option<String> {
    let (_, value) = record.headers.iter().rfind(|(n, _)| n == name)?;
    Some(String::from_utf8(value.clone().unwrap()).unwrap())
}

fn id(record: &OwnedRecord) -> String {
    header(record, "x-dlq-id").unwrap()
}

fn values(records: &[OwnedRecord]) -> Vec<String> {
    records.iter().map(|r| String::from_utf8(r.value.clone().unwrap()).unwrap()).collect()
}

/// Judges a record, one of so many that were sent together.
type Rule = Box<dyn Fn(&Outgoing, usize) -> Option<Fault> + Send + Sync>;

/// A topic in memory.
struct Shelf {
    partitions: i32,
    kept: Mutex<BTreeMap<i32, Vec<OwnedRecord>>>,
    rule: Mutex<Rule>,
    /// Takes records and never answers.
    mute: AtomicBool,
    taken: Notify,
}

impl Shelf {
    fn new(partitions: i32) -> Self {
        Self {
            partitions,
            kept: Mutex::default(),
            rule: Mutex::new(Box::new(|_, _| None)),
            mute: AtomicBool::new(false),
            taken: Notify::new(),
        }
    }

    fn rule(&self, rule: impl Fn(&Outgoing, usize) -> Option<Fault> + Send + Sync + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    fn kept(&self, partition: i32) -> Vec<OwnedRecord> {
        self.kept.lock().unwrap().get(&partition).cloned().unwrap_or_default()
    }

    fn all(&self) -> usize {
        self.kept.lock().unwrap().values().map(Vec::len).sum()
    }
}

impl Producer for Shelf {
    fn send(&self, records: Vec<Outgoing>) -> Future<'_, Vec<Result<Position, Fault>>> {
        Box::pin(async move {
            let (mut answers, together) = (Vec::new(), records.len());
            for out in records {
                let partition = out.partition.unwrap();
                let refused = if partition >= self.partitions {
                    Some(Fault::fatal("unknown_topic", "no such partition"))
                } else {
                    (self.rule.lock().unwrap())(&out, together)
                };
                answers.push(match refused {
                    Some(fault) => Err(fault),
                    None => {
                        let mut kept = self.kept.lock().unwrap();
                        let records = kept.entry(partition).or_default();
                        records.push(out.record);
                        Ok(Position {
                            partition: PartitionId::new(out.topic, partition),
                            offset: Offset(records.len() as i64 - 1),
                        })
                    }
                });
            }
            self.taken.notify_one();
            if self.mute.load(Ordering::Acquire) {
                std::future::pending::<()>().await;
            }
            // Others get a turn, as with a real send.
            tokio::task::yield_now().await;
            answers
        })
    }
}

/// Each law as a test on both databases.
macro_rules! on_both {
    ($($law:ident)*) => {
        mod postgres {
            $(#[tokio::test]
            async fn $law() {
                super::$law(super::World::postgres().await).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $law() {
                super::$law(super::World::sqlite().await).await;
            })*
        }
    };
}

on_both! {
    letters_are_written_with_their_step_or_not_at_all
    a_step_done_twice_writes_its_letters_once
    a_letter_is_sent_as_it_came_and_is_gone_then
    a_killed_shipment_is_sent_again_with_the_same_ids
    a_failed_send_keeps_the_letter_and_those_behind_it
    a_letter_that_its_topic_refuses_stops_only_its_own_partition
    a_letter_too_large_comes_in_parts_that_join_and_nothing_passes_it
    a_refused_batch_is_sent_one_by_one
    a_partition_that_the_topic_does_not_have_goes_to_a_lower_one_in_order
    what_the_topic_refuses_waits_and_says_what_to_do
    two_that_ship_at_once_lose_nothing_and_keep_the_order
    a_shipment_is_no_larger_than_asked_for_and_needs_no_second_call_for_its_bytes
    a_row_that_somebody_spoiled_is_named
    a_rule_on_the_outbox_is_never_a_records_fault
}

async fn letters_are_written_with_their_step_or_not_at_all(world: World) {
    let sink = world.sink().await;
    let owner = claim(&world.database, 0).await;
    let dead = letters(0, 0..3);

    let refused = step(&sink, &owner, (0, 5), &order_rows(&sink, &[1, 1]), &dead).await;
    assert_eq!(fault(refused).class, Class::Poison);
    assert_eq!(world.waiting().await, 0);

    assert_eq!(step(&sink, &owner, (0, 5), &order_rows(&sink, &[1, 2]), &dead).await, Ok(()));
    assert_eq!(world.waiting().await, 3);
    assert_eq!(world.number("SELECT count(*) FROM orders").await, 2);

    let next = claim(&world.database, 0).await;
    let dead = letters(0, 5..6);
    let fenced = step(&sink, &owner, (5, 6), &Effects::default(), &dead).await;
    assert_eq!(fenced, Err(Refusal::Fenced));
    assert_eq!(world.waiting().await, 3);
    assert_eq!(step(&sink, &next, (5, 6), &Effects::default(), &dead).await, Ok(()));
    assert_eq!(world.waiting().await, 4);
    drop(sink);
    world.drop().await;
}

async fn a_step_done_twice_writes_its_letters_once(world: World) {
    let sink = world.sink().await;
    let owner = claim(&world.database, 0).await;
    let (dead, rows) = (letters(0, 0..2), order_rows(&sink, &[1]));
    for _ in 0..3 {
        assert_eq!(step(&sink, &owner, (0, 3), &rows, &dead).await, Ok(()));
    }
    assert_eq!(world.waiting().await, 2);
    drop(sink);
    world.drop().await;
}

async fn a_letter_is_sent_as_it_came_and_is_gone_then(world: World) {
    let dead: Vec<_> = (0..).zip(odd_records()).map(|(i, record)| letter(2, i, record)).collect();
    world.bury(2, &dead).await;
    world.bury(0, &letters(0, 0..2)).await;
    let shelf = Shelf::new(3);
    let other: Arc<str> = "another".into();
    assert_eq!(world.database.ship(&other, &shelf, 100).await, Ok(0));
    assert_eq!(world.database.ship(&group(), &shelf, 100).await, Ok(5));
    let want: Vec<_> = dead.iter().map(DeadLetter::outgoing).collect();
    assert_eq!(shelf.kept(2), want);
    assert_eq!(values(&shelf.kept(0)), ["0:0", "0:1"]);
    assert_eq!(world.waiting().await, 0);
    assert_eq!(world.database.ship(&group(), &shelf, 100).await, Ok(0));
    assert_eq!(shelf.all(), 5);
    world.drop().await;
}

async fn a_killed_shipment_is_sent_again_with_the_same_ids(world: World) {
    world.bury(0, &letters(0, 0..3)).await;
    let shelf = Shelf::new(1);
    shelf.mute.store(true, Ordering::Release);
    {
        let group = group();
        let ship = world.database.ship(&group, &shelf, 100);
        tokio::select! {
            _ = ship => panic!("it was to be killed"),
            () = shelf.taken.notified() => {}
        }
    }
    assert_eq!((shelf.all(), world.waiting().await), (1, 3));
    shelf.mute.store(false, Ordering::Release);
    world.lease_runs_out().await;
    assert_eq!(world.other.ship(&group(), &shelf, 100).await, Ok(3));
    let ids: Vec<_> = shelf.kept(0).iter().map(id).collect();
    let want: Vec<_> = letters(0, 0..3).iter().map(DeadLetter::id).collect();
    assert_eq!((&ids[0], &ids[1..]), (&want[0], &want[..]));
    assert_eq!(world.waiting().await, 0);
    world.drop().await;
}

async fn a_failed_send_keeps_the_letter_and_those_behind_it(world: World) {
    world.bury(0, &letters(0, 0..150)).await;
    world.bury(1, &letters(1, 0..5)).await;
    let shelf = Shelf::new(2);
    shelf.rule(|out, _| {
        let bad = out.record.value.as_deref() == Some(b"0:70");
        bad.then(|| Fault::unavailable("message_timed_out", "not acknowledged"))
    });
    let failed = world.database.ship(&group(), &shelf, 1000).await.unwrap_err();
    assert_eq!((failed.class, &*failed.code), (Class::Unavailable, "message_timed_out"));
    // The wave that it was in was on its way; no later one was begun.
    let passed = shelf.all();
    assert!((70..149).contains(&passed), "{passed}");
    assert_eq!(world.waiting().await, 155 - passed as i64);
    shelf.rule(|_, _| None);
    assert_eq!(world.database.ship(&group(), &shelf, 1000).await, Ok(155 - passed));
    let mut all = values(&shelf.kept(0));
    all.sort_by_key(|value| value[2..].parse::<i64>().unwrap());
    assert_eq!(
        all,
        values(&letters(0, 0..150).iter().map(|l| l.record.clone()).collect::<Vec<_>>())
    );
    assert_eq!(shelf.kept(1).len(), 5);
    world.drop().await;
}

async fn a_letter_that_its_topic_refuses_stops_only_its_own_partition(world: World) {
    world.bury(0, &letters(0, 0..150)).await;
    world.bury(1, &letters(1, 0..5)).await;
    let shelf = Shelf::new(2);
    shelf.rule(|out, _| {
        let bad = out.record.value.as_deref() == Some(b"0:70");
        bad.then(|| Fault::poison("invalid_record", "refused"))
    });
    let mut passed = Vec::new();
    for _ in 0..3 {
        let stuck = world.database.ship(&group(), &shelf, 1000).await.unwrap_err();
        assert_eq!((stuck.class, &*stuck.code), (Class::Unavailable, "invalid_record"));
        assert_eq!(shelf.kept(1).len(), 5);
        passed.push(shelf.kept(0).len());
    }
    // Only what was on its way with it the first time has passed it.
    assert!(passed[0] < 149 && passed == [passed[0]; 3], "{passed:?}");
    assert_eq!(world.waiting().await, 150 - passed[0] as i64);
    world.drop().await;
}

/// As a broker does: by the whole record.
fn takes_at_most(limit: usize) -> impl Fn(&Outgoing, usize) -> Option<Fault> + Send + Sync {
    move |out, _| {
        let OwnedRecord { key, value, headers, .. } = &out.record;
        let length = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
        let headers: usize = headers.iter().map(|(n, v)| n.len() + length(v)).sum();
        (length(key) + length(value) + headers > limit)
            .then(|| Fault::poison("message_size_too_large", "too large"))
    }
}

/// Joins parts as `record::dead_letter` says; whole letters stay as they are.
fn joined(records: &[OwnedRecord]) -> Vec<OwnedRecord> {
    let mut whole = Vec::new();
    let mut open: BTreeMap<String, (String, OwnedRecord)> = BTreeMap::new();
    for record in records {
        let Some(part) = header(record, "x-dlq-part") else {
            whole.push(record.clone());
            continue;
        };
        let (number, count) = part.split_once('/').unwrap();
        let mut bare = record.clone();
        bare.headers.pop();
        if number == "1" {
            open.insert(id(record), (count.to_owned(), bare));
        } else {
            let (begun, letter) = open.get_mut(&id(record)).unwrap();
            assert_eq!(begun, count);
            assert_eq!((&letter.key, &letter.headers), (&bare.key, &bare.headers));
            letter.value.as_mut().unwrap().extend(bare.value.unwrap());
        }
        if number == count {
            whole.push(open.remove(&id(record)).unwrap().1);
        }
    }
    assert!(open.is_empty());
    whole
}

async fn a_letter_too_large_comes_in_parts_that_join_and_nothing_passes_it(world: World) {
    let huge: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let mut dead = letters(0, 0..5);
    dead[1].record = OwnedRecord { value: Some(huge), ..odd_records().remove(0) };
    dead[2].record.value = Some(vec![b'x'; 900_000]);
    world.bury(0, &dead).await;
    let shelf = Shelf::new(1);
    shelf.rule(takes_at_most(1_000_000));
    assert_eq!(world.database.ship(&group(), &shelf, 100).await, Ok(5));
    let parts = shelf.kept(0);
    assert_eq!(parts.len(), 4 + 4);
    let want: Vec<_> = dead.iter().map(DeadLetter::outgoing).collect();
    assert_eq!(joined(&parts), want);

    // Key and headers alone are too much: no part helps, and a person must act.
    let record = OwnedRecord { key: Some(vec![1; 1_000_000]), ..OwnedRecord::default() };
    world.bury(0, &[letter(0, 5, record)]).await;
    world.bury(1, &letters(1, 0..1)).await;
    let shelf = Shelf::new(2);
    shelf.rule(takes_at_most(1_000_000));
    let stuck = world.database.ship(&group(), &shelf, 100).await.unwrap_err();
    assert_eq!((stuck.class, &*stuck.code), (Class::Fatal, "dead_letter_too_large"));
    assert_eq!((world.waiting().await, shelf.kept(1).len()), (1, 1));
    world.drop().await;
}

async fn a_refused_batch_is_sent_one_by_one(world: World) {
    world.bury(0, &letters(0, 0..20)).await;
    let shelf = Shelf::new(1);
    shelf.rule(|_, together| {
        (together > 1).then(|| Fault::poison("message_size_too_large", "the batch is too large"))
    });
    assert_eq!(world.database.ship(&group(), &shelf, 100).await, Ok(20));
    let want: Vec<_> = letters(0, 0..20).iter().map(DeadLetter::outgoing).collect();
    assert_eq!(shelf.kept(0), want);
    world.drop().await;
}

async fn a_partition_that_the_topic_does_not_have_goes_to_a_lower_one_in_order(world: World) {
    for partition in [0, 1, 2, 3, 11] {
        world.bury(partition, &letters(partition, 0..3)).await;
    }
    let shelf = Shelf::new(3);
    assert_eq!(world.database.ship(&group(), &shelf, 100).await, Ok(15));
    assert_eq!(values(&shelf.kept(0)), ["0:0", "0:1", "0:2"]);
    assert_eq!(values(&shelf.kept(2)), ["2:0", "2:1", "2:2"]);
    let mut lanes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in shelf.kept(1) {
        let origin = header(&record, "x-dlq-partition").unwrap();
        lanes.entry(origin).or_default().push(header(&record, "x-dlq-offset").unwrap());
    }
    let want =
        ["1", "11", "3"].map(|p| (p.to_owned(), ["0", "1", "2"].map(str::to_owned).to_vec()));
    assert_eq!(lanes, BTreeMap::from(want));
    world.drop().await;
}

async fn what_the_topic_refuses_waits_and_says_what_to_do(world: World) {
    world.bury(5, &letters(5, 0..2)).await;
    let missing = Shelf::new(0);
    let fault = world.database.ship(&group(), &missing, 100).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "unknown_topic"));
    assert!(fault.reason.contains(TOPIC) && fault.reason.contains("create it"), "{fault}");

    let denied = Shelf::new(6);
    denied.rule(|_, _| Some(Fault::fatal("topic_authorization_failed", "no")));
    let fault = world.database.ship(&group(), &denied, 100).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "topic_authorization_failed"));
    assert!(fault.reason.contains("allow"), "{fault}");
    assert_eq!(world.waiting().await, 2);

    let open = Shelf::new(6);
    assert_eq!(world.database.ship(&group(), &open, 100).await, Ok(2));
    assert_eq!(values(&open.kept(5)), ["5:0", "5:1"]);
    world.drop().await;
}

async fn two_that_ship_at_once_lose_nothing_and_keep_the_order(world: World) {
    for round in 0..5 {
        for partition in 0..3 {
            world.bury(partition, &letters(partition, round * 40..round * 40 + 40)).await;
        }
    }
    let shelf = Shelf::new(3);
    let work = async |database: &Database| {
        let mut sent = 0;
        while shelf.all() < 600 {
            sent += database.ship(&group(), &shelf, 30).await.unwrap();
            tokio::task::yield_now().await;
        }
        sent
    };
    let (one, two) = tokio::join!(work(&world.database), work(&world.other));
    assert_eq!(one + two, 600);
    assert_eq!(world.waiting().await, 0);
    for partition in 0..3 {
        let want: Vec<_> = (0..200).map(|offset| format!("{partition}:{offset}")).collect();
        assert_eq!(values(&shelf.kept(partition)), want);
    }
    world.drop().await;
}

async fn a_shipment_is_no_larger_than_asked_for_and_needs_no_second_call_for_its_bytes(
    world: World,
) {
    let mut dead = letters(0, 0..50);
    for letter in &mut dead {
        letter.record.value = Some(vec![7; 1 << 20]);
    }
    world.bury(0, &dead).await;
    let shelf = Shelf::new(1);
    assert_eq!(world.database.ship(&group(), &shelf, 30).await, Ok(30));
    assert_eq!((shelf.all(), world.waiting().await), (30, 20));
    assert_eq!(world.database.ship(&group(), &shelf, 30).await, Ok(20));
    world.drop().await;
}

async fn a_row_that_somebody_spoiled_is_named(world: World) {
    world.bury(0, &letters(0, 0..1)).await;
    let bytes = match world.store {
        Store::Postgres(_) => "'\\x0102'",
        Store::Sqlite(_) => "x'0102'",
    };
    world.run(&format!("UPDATE ordermill_outbox SET headers = {bytes}, id = 41")).await;
    let fault = world.database.ship(&group(), &Shelf::new(1), 10).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Fatal, "unfit"));
    assert!(fault.reason.contains("row 41 of ordermill_outbox"), "{fault}");
    world.drop().await;
}

async fn a_rule_on_the_outbox_is_never_a_records_fault(world: World) {
    let sink = world.sink().await;
    let owner = claim(&world.database, 0).await;
    world.run("CREATE UNIQUE INDEX mine ON ordermill_outbox (topic)").await;
    let refused =
        fault(step(&sink, &owner, (0, 3), &order_rows(&sink, &[1]), &letters(0, 0..2)).await);
    assert_eq!((refused.class, &*refused.code), (Class::Fatal, "unfit"));
    assert!(refused.reason.contains("ordermill_outbox"), "{refused}");
    assert_eq!(world.number("SELECT count(*) FROM orders").await, 0);
    drop(sink);
    world.drop().await;
}

#[tokio::test]
async fn the_grants_that_it_asks_for_are_enough_to_write_and_to_ship() {
    let place = Place::with_orders().await;
    let role = format!("r{}", place.schema);
    place
        .run(&format!(
            "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}; \
             GRANT INSERT, SELECT ON orders TO {role}",
            place.schema
        ))
        .await;
    place.database().ready().await.unwrap();
    let (_, rest) = place.url.split_once('@').unwrap();
    let database = open(&format!("postgres://{role}@{rest}"), |_| ());
    let said = database.ready().await.unwrap_err().to_string();
    place.run(said.split_once("run: ").unwrap().1).await;
    let world = World { other: Arc::clone(&database), database, store: Store::Postgres(place) };
    world.bury(0, &letters(0, 0..3)).await;
    let shelf = Shelf::new(1);
    assert_eq!(world.database.ship(&group(), &shelf, 10).await, Ok(3));
    let World { store: Store::Postgres(place), .. } = world else { unreachable!() };
    place.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    place.drop().await;
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn while_one_sends_it_holds_its_lease_and_nothing_else_of_the_database() {
    let world = World::postgres().await;
    world.bury(0, &letters(0, 0..3)).await;
    let Store::Postgres(place) = &world.store else { unreachable!() };
    let shelf = Arc::new(Shelf::new(1));
    shelf.mute.store(true, Ordering::Release);
    let sending = {
        let (database, shelf) = (Arc::clone(&world.database), Arc::clone(&shelf));
        tokio::spawn(async move { database.ship(&group(), &*shelf, 100).await })
    };
    shelf.taken.notified().await;
    let busy = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = '{}' AND state <> 'idle'",
        place.schema
    );
    // The one that asks is named otherwise.
    assert_eq!(place.number(&busy).await, 0);

    // Another process leaves it alone, and hears what keeps letters from leaving.
    let free = Shelf::new(1);
    assert_eq!(world.other.ship(&group(), &free, 100).await, Ok(0));
    place.run("UPDATE ordermill_relay SET trouble = 'brokers are away'").await;
    let heard = world.other.ship(&group(), &free, 100).await.unwrap_err();
    assert_eq!((heard.class, &*heard.reason), (Class::Unavailable, "brokers are away"));
    assert_eq!(free.all(), 0);

    // It is renewed for as long as the send takes.
    let lease = "SELECT extract(epoch FROM until)::bigint FROM ordermill_relay";
    let first = place.number(lease).await;
    until("the renewal", async || place.number(lease).await > first).await;

    // A killed one is waited for no longer than its lease.
    sending.abort();
    assert!(sending.await.unwrap_err().is_cancelled());
    world.lease_runs_out().await;
    assert_eq!(world.other.ship(&group(), &free, 100).await, Ok(3));
    assert_eq!(place.number("SELECT count(*) FROM ordermill_relay WHERE trouble IS NULL").await, 1);
    world.drop().await;
}

#[tokio::test]
async fn one_that_froze_and_lost_its_lease_sends_no_more_than_it_had_begun() {
    let world = World::postgres().await;
    world.bury(0, &letters(0, 0..100)).await;
    let Store::Postgres(place) = &world.store else { unreachable!() };
    let taker = Uuid::new_v4();
    let shelf = Shelf::new(1);
    // While its first wave is on its way another process takes the lease.
    let admin = super::connect(&place.url).await;
    let took = AtomicBool::new(false);
    let client = Arc::new(admin);
    struct Thief<'a> {
        shelf: &'a Shelf,
        client: Arc<tokio_postgres::Client>,
        taker: Uuid,
        took: &'a AtomicBool,
    }
    impl Producer for Thief<'_> {
        fn send(&self, records: Vec<Outgoing>) -> Future<'_, Vec<Result<Position, Fault>>> {
            Box::pin(async move {
                let sql = "UPDATE ordermill_relay SET shipper = $1, until = now() + interval '1 h'";
                self.client.execute(sql, &[&self.taker]).await.unwrap();
                self.took.store(true, Ordering::Release);
                self.shelf.send(records).await
            })
        }
    }
    let thief = Thief { shelf: &shelf, client, taker, took: &took };
    assert_eq!(world.database.ship(&group(), &thief, 1000).await, Ok(1));
    assert!(took.load(Ordering::Acquire));
    assert_eq!((shelf.all(), world.waiting().await), (1, 99));
    // Nor did it give away what is no longer its own.
    let held = "SELECT count(*) FROM ordermill_relay WHERE until > now()";
    assert_eq!(place.number(held).await, 1);
    world.drop().await;
}

// ---- a real Kafka

struct Kafka {
    settings: kafka::Settings,
    bootstrap: String,
}

impl Kafka {
    fn new() -> Self {
        let bootstrap = std::env::var("ORDERMILL_TEST_KAFKA")
            .expect("ORDERMILL_TEST_KAFKA is not set: run make test");
        Self { settings: kafka::Settings::at(&bootstrap), bootstrap }
    }

    async fn topic(&self, partitions: i32, config: &[(&str, &str)]) -> Arc<str> {
        let name: Arc<str> = format!("dlq-{}", Uuid::new_v4().simple()).into();
        self.make(&name, partitions, config).await;
        name
    }

    async fn make(&self, name: &str, partitions: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.bootstrap).create().unwrap();
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// All records of a topic, by partition.
    fn read(&self, topic: &str, partitions: i32, count: usize) -> BTreeMap<i32, Vec<OwnedRecord>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition, At::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut read: BTreeMap<i32, Vec<OwnedRecord>> = BTreeMap::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while read.values().map(Vec::len).sum::<usize>() < count {
            assert!(Instant::now() < deadline, "only {read:?} of {count}");
            let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
            let message = message.unwrap();
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect()
            });
            read.entry(message.partition()).or_default().push(OwnedRecord {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers,
                timestamp: message.timestamp().to_millis(),
            });
        }
        read
    }
}

fn to(topic: &Arc<str>, letters: Vec<DeadLetter>) -> Vec<DeadLetter> {
    letters.into_iter().map(|letter| DeadLetter { topic: Arc::clone(topic), ..letter }).collect()
}

fn sent(letters: &[DeadLetter]) -> Vec<OwnedRecord> {
    letters.iter().map(DeadLetter::outgoing).collect()
}

#[tokio::test]
async fn on_kafka_a_letter_is_byte_for_byte_what_came() {
    let (world, kafka) = (World::postgres().await, Kafka::new());
    let topic = kafka.topic(3, &[]).await;
    let records = |partition| {
        let odd = (0..).zip(odd_records()).map(|(i, record)| letter(partition, i, record));
        to(&topic, odd.collect())
    };
    let (first, second) = (records(0), records(2));
    world.bury(0, &first).await;
    world.bury(2, &second).await;
    let producer = kafka::Producer::new(&kafka.settings).unwrap();
    assert_eq!(world.database.ship(&group(), &producer, 100).await, Ok(6));
    let read = kafka.read(&topic, 3, 6);
    assert_eq!(read, BTreeMap::from([(0, sent(&first)), (2, sent(&second))]));
    assert_eq!(world.waiting().await, 0);
    world.drop().await;
}

#[tokio::test]
async fn on_kafka_a_small_topic_takes_large_letters_of_higher_partitions_in_parts() {
    let (world, mut kafka) = (World::postgres().await, Kafka::new());
    // The client lets it pass, so that it is the broker who refuses; and what is small together is too much
    // for it in one batch.
    kafka.settings.properties.insert("message.max.bytes".to_owned(), "4000000".to_owned());
    kafka.settings.properties.insert("compression.type".to_owned(), "none".to_owned());
    let topic = kafka.topic(2, &[("max.message.bytes", "20000")]).await;
    let mut dead = to(&topic, letters(7, 0..60));
    for letter in &mut dead {
        letter.record.value.as_mut().unwrap().resize(1_000, b'.');
        letter.record.timestamp = Some(1_600_000_000_000);
    }
    let huge = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    dead[30].record.value = Some(huge);
    world.bury(7, &dead).await;
    let producer = kafka::Producer::new(&kafka.settings).unwrap();
    assert_eq!(world.database.ship(&group(), &producer, 100).await, Ok(60));
    let read = kafka.read(&topic, 2, 59 + 8);
    let mut whole = joined(&read[&1]);
    assert_eq!((read.len(), whole.len()), (1, 60));
    let offset = |record: &OwnedRecord| header(record, "x-dlq-offset").unwrap().parse::<i64>();
    whole.sort_by_key(|record| offset(record).unwrap());
    assert_eq!(whole, sent(&dead));
    assert_eq!(world.waiting().await, 0);
    world.drop().await;
}

#[tokio::test]
async fn on_kafka_a_time_that_the_topic_refuses_stands_in_the_header_and_neighbours_keep_theirs() {
    let (world, kafka) = (World::postgres().await, Kafka::new());
    let topic = kafka.topic(1, &[("message.timestamp.before.max.ms", "86400000")]).await;
    let mut dead = to(&topic, letters(0, 0..5));
    let now = jiff::Timestamp::now().as_millisecond();
    for letter in &mut dead {
        letter.record.timestamp = Some(now);
    }
    dead[2].record.timestamp = Some(1_000);
    world.bury(0, &dead).await;
    let producer = kafka::Producer::new(&kafka.settings).unwrap();
    assert_eq!(world.database.ship(&group(), &producer, 100).await, Ok(5));
    let read = kafka.read(&topic, 1, 5).remove(&0).unwrap();
    let times: Vec<_> = read.iter().map(|record| record.timestamp.unwrap()).collect();
    assert!(times[2] >= now, "{times:?}");
    assert_eq!([times[0], times[1], times[3], times[4]], [now; 4]);
    assert_eq!(header(&read[2], "x-dlq-timestamp").unwrap(), "1000");
    world.drop().await;
}

#[tokio::test]
async fn on_kafka_a_topic_that_is_missing_stops_and_goes_on_once_it_is_there() {
    let (world, mut kafka) = (World::postgres().await, Kafka::new());
    kafka.settings.properties.insert("topic.metadata.propagation.max.ms".into(), "100".into());
    let topic: Arc<str> = format!("missing-{}", Uuid::new_v4().simple()).into();
    world.bury(1, &to(&topic, letters(1, 0..2))).await;
    let producer = kafka::Producer::new(&kafka.settings).unwrap();
    let fault = world.database.ship(&group(), &producer, 100).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "unknown_topic"));
    assert!(fault.reason.contains(&*topic), "{fault}");
    assert_eq!(world.waiting().await, 2);
    kafka.make(&topic, 2, &[]).await;
    until("the topic", async || {
        let _ = world.database.ship(&group(), &producer, 100).await;
        world.waiting().await == 0
    })
    .await;
    let read = kafka.read(&topic, 2, 2);
    assert_eq!(values(&read[&1]), ["1:0", "1:1"]);
    world.drop().await;
}

#[tokio::test]
async fn a_claim_makes_the_tables_of_the_outbox_too() {
    let world = World::postgres().await;
    world.database.claim(&group(), &[wanted(0)]).await.unwrap();
    assert_eq!(world.waiting().await, 0);
    world.drop().await;
}
