//! The task driven by hand: batches in, steps out, words heard. No broker, no database.

use std::sync::Mutex as StdMutex;

use tokio::sync::mpsc::unbounded_channel;
use uuid::Uuid;

use super::*;
use crate::cli::tpch::{CONTRACT, Orders};
use crate::engine::retry::Then;
use crate::pipeline::compile::compile;
use crate::pipeline::process::Factory;
use crate::pipeline::reader::Tombstone;
use crate::pipeline::spec;
use crate::port::{
    Admin, BatchSink, Commit, Commits, CommittedAt, Encode, Outgoing, Registered, Step, TopicInfo,
    Wanted, Watermarks,
};
use crate::record::{End, OwnedRecord, Record, Scope, TopicId};

mod keyed;
mod otherwise;

const PIPELINE: &[u8] = include_bytes!("../../../pipelines/tpch-orders.yaml");

/// The world as one thing: progress, schemas, cluster, sink and producer.
#[derive(Default)]
struct World {
    /// Offsets of the effects that happened, in order.
    done: StdMutex<Vec<i64>>,
    /// Where the store says that the partition stands.
    next: StdMutex<i64>,
    claims: StdMutex<u32>,
    /// It gathers for minutes.
    gathers: bool,
    /// Effects of this record are refused for good.
    refuses: Option<i64>,
    /// Only the step finds out how records end; then the store has an outbox.
    judges: bool,
    /// Those that do not end in their effect.
    ends: BTreeMap<i64, End>,
    /// Effects of these are refused for good.
    poison: std::collections::BTreeSet<i64>,
    /// What goes wrong with one step after another.
    trouble: StdMutex<Vec<Option<Trouble>>>,
    /// Dead letters in the outbox.
    letters: StdMutex<Vec<crate::record::DeadLetter>>,
    /// So many steps fail because the store is away.
    away: StdMutex<u32>,
    sent: StdMutex<Vec<Outgoing>>,
    /// Effects of these records fail so many times for themselves.
    fails: StdMutex<BTreeMap<i64, u32>>,
    /// Keys whose effect is under way.
    busy: StdMutex<std::collections::BTreeSet<Vec<u8>>>,
    /// What was kept as done ahead.
    ahead: StdMutex<Vec<u8>>,
    /// How long a claim takes.
    claims_for: Duration,
    /// How long keeping takes.
    keeps_for: Duration,
    /// The most that was under way at once.
    most: StdMutex<usize>,
}

/// What goes wrong with a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The store is away.
    Away,
    /// It met concurrent work.
    Conflict,
    /// It is done, and nobody hears of it.
    Unheard,
}

impl World {
    /// A step of a store that has an outbox and finds out by itself how records end.
    async fn judge(&self, step: Step<'_>) -> Result<(), Refusal> {
        if step.to.0 == *self.next.lock().unwrap() {
            return Ok(());
        }
        let trouble = self.trouble.lock().unwrap().pop().flatten();
        match trouble {
            Some(Trouble::Away) => return Err(Fault::unavailable("test", "away").into()),
            Some(Trouble::Conflict) => {
                return Err(Fault::new(crate::record::Class::Conflict, "test", "met").into());
            }
            Some(Trouble::Unheard) | None => {}
        }
        assert_eq!(step.from.0, *self.next.lock().unwrap(), "a step begins where the store stands");
        let offsets: Vec<i64> = step.rows.clone().map(|row| step.effects.offset(row).0).collect();
        if offsets.iter().any(|offset| self.poison.contains(offset)) {
            return Err(Fault::poison("unique_violation", "a row is there already").into());
        }
        let ends = offsets.iter().filter_map(|at| Some((Offset(*at), self.ends.get(at)?.clone())));
        let letters = step.otherwise.unwrap().end(ends.collect()).await?;
        self.letters.lock().unwrap().extend(letters);
        let done = offsets.into_iter().filter(|offset| !self.ends.contains_key(offset));
        self.done.lock().unwrap().extend(done);
        *self.next.lock().unwrap() = step.to.0;
        match trouble {
            Some(_) => Err(Fault::unavailable("test", "the commit was not heard of").into()),
            None => Ok(()),
        }
    }
}

impl crate::port::Outbox for World {
    fn ship<'a>(
        &'a self,
        _: &'a Arc<str>,
        _: &'a dyn Producer,
        _: usize,
    ) -> Future<'a, Result<usize, Fault>> {
        Box::pin(async { Ok(0) })
    }
}

impl Progress for World {
    fn claim<'a>(
        &'a self,
        group: &'a Arc<str>,
        wanted: &'a [Wanted],
    ) -> Future<'a, Result<Vec<Claim>, Fault>> {
        *self.claims.lock().unwrap() += 1;
        let claim = |wanted: &Wanted| Claim {
            group: Arc::clone(group),
            partition: wanted.partition.clone(),
            topic_id: wanted.topic_id,
            epoch: i64::from(*self.claims.lock().unwrap()),
            next: NextOffset(*self.next.lock().unwrap()),
            replay_mark: NextOffset(0),
            begins: false,
            done_ahead: self.ahead.lock().unwrap().clone(),
        };
        let claims = wanted.iter().map(claim).collect();
        Box::pin(async move {
            tokio::time::sleep(self.claims_for).await;
            Ok(claims)
        })
    }

    fn keep<'a>(
        &'a self,
        _: &'a Claim,
        next: NextOffset,
        done_ahead: &'a [u8],
    ) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            tokio::time::sleep(self.keeps_for).await;
            *self.next.lock().unwrap() = next.0;
            *self.ahead.lock().unwrap() = done_ahead.to_vec();
            Ok(())
        })
    }
}

struct Nothing;

impl Encode for Nothing {
    fn encode(&mut self, _: &Scope<'_>, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        out.extend(record.offset.0.to_be_bytes());
        out.extend(record.key.unwrap_or_default());
        Ok(())
    }
}

impl BatchSink for World {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Nothing))
    }

    fn truth(&self) -> Option<&dyn Progress> {
        Some(self)
    }

    fn gathers(&self) -> bool {
        self.gathers
    }

    fn outbox(&self) -> Option<&dyn crate::port::Outbox> {
        self.judges.then_some(self as _)
    }

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        if self.judges {
            return Box::pin(self.judge(step));
        }
        Box::pin(async move {
            let mut away = self.away.lock().unwrap();
            if *away > 0 {
                *away -= 1;
                return Err(Fault::unavailable("test", "the store is away").into());
            }
            let offsets: Vec<i64> = step.rows.map(|row| step.effects.offset(row).0).collect();
            if self.refuses.is_some_and(|bad| offsets.contains(&bad)) {
                return Err(Fault::poison("unique_violation", "a row is there already").into());
            }
            let mut next = self.next.lock().unwrap();
            assert_eq!(step.from.0, *next, "a step begins where the store stands");
            *next = step.to.0;
            self.done.lock().unwrap().extend(offsets);
            Ok(())
        })
    }
}

impl Schemas for World {
    fn by_id(&self, _: u32) -> Future<'_, Result<Arc<SchemaText>, Fault>> {
        let text = SchemaText { text: CONTRACT.to_owned(), references: Vec::new() };
        Box::pin(async move { Ok(Arc::new(text)) })
    }

    fn latest<'a>(&'a self, _: &'a str) -> Future<'a, Result<Option<Registered>, Fault>> {
        Box::pin(async { Ok(None) })
    }

    fn register<'a>(&'a self, _: &'a str, _: &'a SchemaText) -> Future<'a, Result<u32, Fault>> {
        Box::pin(async { Ok(1) })
    }
}

impl Admin for World {
    fn topic<'a>(&'a self, _: &'a str) -> Future<'a, Result<Option<TopicInfo>, Fault>> {
        Box::pin(async { Ok(Some(TopicInfo { id: TopicId(Uuid::nil()), partitions: 1 })) })
    }

    fn watermarks<'a>(
        &'a self,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<Watermarks>, Fault>> {
        let all = Watermarks { start: NextOffset(0), end: NextOffset(1_000_000) };
        Box::pin(async move { Ok(vec![all; partitions.len()]) })
    }

    fn committed<'a>(
        &'a self,
        _: &'a str,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<Option<CommittedAt>>, Fault>> {
        Box::pin(async move { Ok(vec![None; partitions.len()]) })
    }

    fn offsets_at<'a>(
        &'a self,
        _: i64,
        partitions: &'a [PartitionId],
    ) -> Future<'a, Result<Vec<NextOffset>, Fault>> {
        Box::pin(async move { Ok(vec![NextOffset(0); partitions.len()]) })
    }

    fn commit<'a>(&'a self, _: &'a str, _: Vec<Commit>) -> Future<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn had_members<'a>(&'a self, _: &'a str) -> Future<'a, Result<bool, Fault>> {
        Box::pin(async { Ok(true) })
    }

    fn create_topic<'a>(&'a self, _: &'a str, _: i32, _: i32) -> Future<'a, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}

impl Commits for World {
    fn commit(&self, _: Vec<Commit>) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }
}

impl Producer for World {
    fn send(&self, records: Vec<Outgoing>) -> Future<'_, Vec<Result<Position, Fault>>> {
        let answer = |out: &Outgoing| {
            let partition = PartitionId::new(Arc::clone(&out.topic), out.partition.unwrap_or(0));
            Ok(Position { partition, offset: Offset(0) })
        };
        let answers = records.iter().map(answer).collect();
        self.sent.lock().unwrap().extend(records);
        Box::pin(async move { answers })
    }
}

/// A batch of owned records, the first at `first`.
#[derive(Debug)]
struct Made {
    first: i64,
    records: Vec<OwnedRecord>,
}

impl Batch for Made {
    fn len(&self) -> usize {
        self.records.len()
    }

    fn record(&self, index: usize) -> Record<'_> {
        self.records[index].at(Offset(self.first + i64::try_from(index).unwrap()))
    }

    fn bytes(&self) -> usize {
        (0..self.len()).map(|i| crate::pipeline::process::bytes_of(&self.record(i))).sum()
    }
}

struct Rig {
    world: Arc<World>,
    feed: UnboundedSender<Feed>,
    control: UnboundedSender<Control>,
    words: UnboundedReceiver<Word>,
    load: Arc<Load>,
    full: Arc<AtomicBool>,
    topic: Arc<TopicView>,
}

impl Rig {
    fn start(world: World) -> Self {
        Self::start_with(world, |world| Effect::Batch(world), Then::Stop)
    }

    fn start_with(world: World, effect: impl Fn(Arc<World>) -> Effect, then: Then) -> Self {
        let limits = match world.gathers {
            true => Limits { rows: usize::MAX, bytes: 1 << 20, every: Duration::from_secs(3600) },
            false => Limits { rows: 10, bytes: 1 << 20, every: Duration::from_millis(5) },
        };
        let world = Arc::new(world);
        let text = SchemaText { text: CONTRACT.to_owned(), references: Vec::new() };
        let pipeline = spec::parse(std::path::Path::new("test.yaml"), PIPELINE).unwrap();
        let compiled = Arc::new(compile(&pipeline, &text).unwrap());
        let sink = effect(Arc::clone(&world));
        let key = pipeline.source.key_type;
        let factory = Arc::new(Factory::new(
            compiled,
            sink.clone(),
            Tombstone::Reject,
            key,
            spec::OnReplay::Run,
        ));
        let partition = PartitionId::new("tpch.orders", 0);
        let board = Board::new().unwrap();
        let topic = board.pipeline("p", "g").topic("tpch.orders");
        let (feed, fed) = unbounded_channel();
        let (control, orders) = unbounded_channel();
        let (say, words) = unbounded_channel();
        let load = Arc::new(Load::new(Arc::default()));
        let full = Arc::new(AtomicBool::default());
        let wiring = Wiring {
            feed: fed,
            control: orders,
            words: say,
            load: Arc::clone(&load),
            full: Arc::clone(&full),
            view: topic.assign(0),
            topic: Arc::clone(&topic),
        };
        let shared = Shared {
            sink,
            permits: Arc::new(Semaphore::new(8)),
            committed: Arc::<World>::clone(&world) as _,
            claimer: Claimer {
                group: Arc::from("g"),
                admin: Arc::<World>::clone(&world) as _,
                commits: Arc::<World>::clone(&world) as _,
                keep_ahead: false,
                cannot_skip: false,
            },
            schemas: Arc::<World>::clone(&world) as _,
            board,
            limits,
            timeout: Duration::from_secs(10),
            policy: Policy { attempts: 3, every: Duration::from_millis(10), then },
            stop_after: StopAfter { consecutive: 3, ratio: 1.0, of: 1000 },
            dead_letter_topics: BTreeMap::from([("tpch.orders".to_owned(), Arc::from("dead"))]),
            producer: Arc::<World>::clone(&world) as _,
            letters: Notify::new(),
            letters_wait: AtomicBool::new(false),
            letters_why: Mutex::default(),
        };
        let processor = factory.processor(&partition).unwrap();
        let task = Task::new(Arc::new(shared), partition, None, processor, wiring);
        tokio::spawn(task.run());
        Self { world, feed, control, words, load, full, topic }
    }

    /// Delivers records from `first` on, as the poll thread does.
    fn deliver(&self, first: i64, records: Vec<OwnedRecord>) {
        let batch = Made { first, records };
        self.load.add(batch.len(), batch.bytes());
        self.topic.ledger.consumed(batch.len() as u64);
        self.feed.send(Feed::Batch(Box::new(batch))).unwrap();
    }

    /// Hears the task ask for its start, and starts it there.
    async fn begin(&mut self) -> NextOffset {
        loop {
            if let Word::Start(claim) = self.words.recv().await.unwrap() {
                self.feed.send(Feed::Start(claim.next)).unwrap();
                return claim.next;
            }
        }
    }

    async fn until_done(&self, effects: usize) {
        while self.world.done.lock().unwrap().len() < effects {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The same long before it is due by its age.
    async fn soon_done(&self, effects: usize) {
        let soon = tokio::time::timeout(Duration::from_secs(1), self.until_done(effects));
        soon.await.expect("done at once");
    }

    async fn drain(mut self) -> (Arc<World>, Option<NextOffset>) {
        self.control.send(Control::Drain).unwrap();
        let committed = loop {
            if let Word::Gone(_, commit) = self.words.recv().await.unwrap() {
                break commit.map(|(_, next)| next);
            }
        };
        self.words.close();
        while self.words.recv().await.is_some() {}
        let counts = self.topic.ledger.counts();
        assert_eq!(counts.in_flight, 0, "{counts:?}");
        assert_eq!(self.load.now(), crate::engine::flow::Load::default());
        (self.world, committed)
    }
}

fn orders(count: usize) -> Vec<OwnedRecord> {
    let mut orders = Orders::new(0.001, 1).unwrap();
    (0..count).map(|_| orders.next_record().unwrap().unwrap()).collect()
}

fn offsets(range: std::ops::Range<i64>) -> Vec<i64> {
    range.collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_delivered_before_the_start_is_given_back_and_not_worked() {
    let mut rig = Rig::start(World { next: StdMutex::new(5), ..World::default() });
    rig.deliver(40, orders(3));
    assert_eq!(rig.begin().await, NextOffset(5));
    rig.deliver(5, orders(7));
    rig.until_done(7).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), offsets(5..12));
    assert_eq!(committed, Some(NextOffset(12)));
    assert_eq!(topic.ledger.counts().given_back, 3);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_that_comes_again_makes_it_claim_again_instead_of_losing_its_tail() {
    let mut rig = Rig::start(World::default());
    rig.begin().await;
    rig.deliver(0, orders(10));
    rig.until_done(10).await;
    rig.deliver(8, orders(10));
    assert_eq!(rig.begin().await, NextOffset(10));
    rig.deliver(10, orders(5));
    rig.until_done(15).await;
    let (world, _) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), offsets(0..15));
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_is_buried_alone_with_its_bytes() {
    let mut rig = Rig::start(World { refuses: Some(3), ..World::default() });
    rig.begin().await;
    let records = orders(10);
    rig.deliver(0, records.clone());
    rig.until_done(9).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    assert_eq!(committed, Some(NextOffset(10)));
    let sent = world.sent.lock().unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!((&sent[0].record.key, &sent[0].record.value), (&records[3].key, &records[3].value));
    assert_eq!(topic.ledger.counts().settled.dead_lettered["unique_violation"], 1);
}

#[tokio::test(start_paused = true)]
async fn undecodable_records_are_buried_until_they_are_too_many_in_a_row() {
    let mut rig = Rig::start(World::default());
    rig.begin().await;
    let mut records = orders(8);
    for bad in [1, 4, 5, 6] {
        records[bad].value = Some(vec![0, 0, 0, 0, 1, 0xff]);
    }
    rig.deliver(0, records);
    let halted = loop {
        if let Word::Halt(position, _) = rig.words.recv().await.unwrap() {
            break position.unwrap().offset;
        }
    };
    assert_eq!(halted, Offset(6), "the third in a row");
    let (world, committed) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), [0, 2, 3]);
    assert_eq!(committed, Some(NextOffset(6)));
    assert_eq!(world.sent.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_store_only_takes_time() {
    let mut rig = Rig::start(World { away: StdMutex::new(20), ..World::default() });
    rig.begin().await;
    rig.deliver(0, orders(25));
    rig.until_done(25).await;
    let (world, _) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), offsets(0..25));
    assert!(world.sent.lock().unwrap().is_empty());
}

/// An outage of an hour would fill the dead-letter topic with the same letters otherwise.
#[tokio::test(start_paused = true)]
async fn a_step_that_is_tried_again_and_again_sends_its_letters_once() {
    let mut rig = Rig::start(World { away: StdMutex::new(20), ..World::default() });
    rig.begin().await;
    let mut records = orders(10);
    records[3].value = Some(vec![0, 0, 0, 0, 1, 0xff]);
    rig.deliver(0, records);
    rig.until_done(9).await;
    let (world, _) = rig.drain().await;
    assert_eq!(world.sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_is_applied_when_the_partition_is_given_up() {
    let mut rig = Rig::start(World { gathers: true, ..World::default() });
    rig.begin().await;
    rig.deliver(0, orders(10));
    rig.deliver(10, orders(15));
    // It waits for an hour, or for more.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(rig.world.done.lock().unwrap().is_empty());
    let (world, committed) = rig.drain().await;
    assert_eq!(*world.done.lock().unwrap(), offsets(0..25));
    assert_eq!(committed, Some(NextOffset(25)));
}

#[tokio::test(start_paused = true)]
async fn what_was_gathered_is_given_back_when_its_store_is_away_at_the_end() {
    let mut rig = Rig::start(World { gathers: true, away: StdMutex::new(1), ..World::default() });
    rig.begin().await;
    rig.deliver(0, orders(25));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let topic = Arc::clone(&rig.topic);
    let (world, committed) = rig.drain().await;
    assert!(world.done.lock().unwrap().is_empty());
    assert_eq!((committed, topic.ledger.counts().given_back), (Some(NextOffset(0)), 25));
}

/// Else a partition whose window is full would stand until what it gathered is old enough.
#[tokio::test(start_paused = true)]
async fn a_full_window_ends_what_is_gathered() {
    let mut rig = Rig::start(World { gathers: true, ..World::default() });
    rig.begin().await;
    rig.deliver(0, orders(25));
    tokio::time::sleep(Duration::from_secs(60)).await;
    // As the door does it: judged full, then told.
    rig.full.store(true, Ordering::Release);
    rig.feed.send(Feed::Full).unwrap();
    rig.soon_done(25).await;
    assert!(matches!(rig.words.recv().await.unwrap(), Word::Room));
    rig.full.store(false, Ordering::Release);
    // Only once: what comes after is gathered again.
    rig.deliver(25, orders(10));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(*rig.world.done.lock().unwrap(), offsets(0..25));
    // A window that others fill is told to this one too.
    rig.feed.send(Feed::Full).unwrap();
    rig.soon_done(35).await;
    rig.drain().await;
}
