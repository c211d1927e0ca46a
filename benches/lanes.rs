//! Keyed effects of 5 ms, 100 in flight, 12 partitions, 10,000 keys: how near the engine comes to what the
//! schedule allows. `make bench` starts the services; `BENCH_QUICK=1` makes it short.
//!
//! The bound is calibrated in the same process: 100 loops of the same effect tell what one costs here
//! (timers are coarser than 5 ms). No schedule ends before all effects shared by 100 hands, nor before the
//! hottest key's effects one after another; the later of the two is the bound. The sink itself checks that
//! no key has two effects at once and that each key's records come in the order of their offsets.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ordermill::codec::frame;
use ordermill::kafka::{self, Admin, Producer, Settings};
use ordermill::observe::Board;
use ordermill::pipeline::build::MakeSink;
use ordermill::pipeline::effect::{Effect, Keyed};
use ordermill::pipeline::runner::{self, Ended};
use ordermill::pipeline::spec;
use ordermill::pipeline::world::World;
use ordermill::port::{Admin as _, Encode, Future, KeyedSink, Outgoing, SchemaText, Schemas as _};
use ordermill::record::{End, Fault, OwnedRecord, Record, Scope};
use ordermill::registry::contracts::Contracts;
use ordermill::registry::{self, Client};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EFFECT: Duration = Duration::from_millis(5);
const IN_FLIGHT: usize = 100;
const PARTITIONS: i32 = 12;
const KEYS: usize = 10_000;
const SCHEMA: &str = r#"{"type":"record","name":"Noted","fields":[{"name":"n","type":"long"}]}"#;

fn main() {
    let (Ok(kafka), Ok(registry)) =
        (std::env::var("ORDERMILL_TEST_KAFKA"), std::env::var("ORDERMILL_TEST_REGISTRY"))
    else {
        println!("lanes: needs a broker and a registry: run make bench");
        return;
    };
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let rounds = if quick { 1 } else { 5 };
    for (name, records, draw) in [
        ("uniform", if quick { 60_000 } else { 200_000 }, uniform as fn(usize) -> Vec<usize>),
        ("Zipf(1.0)", if quick { 10_000 } else { 30_000 }, zipf),
    ] {
        let mut ratios: Vec<f64> =
            (0..rounds).map(|_| round(&kafka, &registry, name, &draw(records))).collect();
        ratios.sort_by(f64::total_cmp);
        println!(
            "{name}: {:.3} of the bound (median of {rounds}, {:.3} to {:.3}); goal 0.95",
            ratios[rounds / 2],
            ratios[0],
            ratios[rounds - 1]
        );
    }
}

fn round(kafka: &str, registry: &str, name: &str, keys: &[usize]) -> f64 {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let topic = produce(&runtime, kafka, registry, keys);
    let one = calibrate(&runtime);
    let mut counts: HashMap<usize, u32> = HashMap::new();
    keys.iter().for_each(|key| *counts.entry(*key).or_default() += 1);
    let shared = one.mul_f64(keys.len() as f64 / IN_FLIGHT as f64);
    let hottest = one * counts.values().copied().max().unwrap();
    let bound = shared.max(hottest);
    let took = runtime.block_on(work(kafka, registry, &topic, keys.len()));
    let ratio = bound.as_secs_f64() / took.as_secs_f64();
    println!(
        "  {name}: {} records in {:.2} s, {:.0} a second; bound {:.2} s ({:.2} ms an effect, the \
         hottest key {:.2} s): {ratio:.3}",
        keys.len(),
        took.as_secs_f64(),
        keys.len() as f64 / took.as_secs_f64(),
        bound.as_secs_f64(),
        one.as_secs_f64() * 1000.0,
        hottest.as_secs_f64(),
    );
    ratio
}

/// A generator without a seed of the day: each run draws the same.
fn draws(mut state: u64) -> impl Iterator<Item = f64> {
    std::iter::from_fn(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Some((state >> 11) as f64 / (1_u64 << 53) as f64)
    })
}

fn uniform(records: usize) -> Vec<usize> {
    draws(0x9e37_79b9).take(records).map(|draw| (draw * KEYS as f64) as usize).collect()
}

fn zipf(records: usize) -> Vec<usize> {
    let mut sums = Vec::with_capacity(KEYS);
    (1..=KEYS).fold(0.0, |sum, rank| {
        sums.push(sum + 1.0 / rank as f64);
        sums[rank - 1]
    });
    let all = sums[KEYS - 1];
    let key = |draw: f64| sums.partition_point(|sum| *sum < draw * all);
    draws(0x2545_f491).take(records).map(key).collect()
}

fn produce(runtime: &Runtime, kafka: &str, registry: &str, keys: &[usize]) -> String {
    let topic = format!("bench.lanes-{}", Uuid::new_v4());
    let id = runtime.block_on(async {
        Admin::new(&Settings::at(kafka))
            .unwrap()
            .create_topic(&topic, PARTITIONS, 1)
            .await
            .unwrap();
        let text = SchemaText { text: SCHEMA.to_owned(), references: Vec::new() };
        let client = Client::new(&registry::Settings::new(registry)).unwrap();
        client.register(&format!("{topic}-value"), &text).await.unwrap()
    });
    let mut value = Vec::new();
    frame::put(id, &mut value);
    value.push(0);
    let mut bulk = Producer::new(&Settings::at(kafka)).unwrap().bulk(10_000);
    let name: Arc<str> = Arc::from(topic.as_str());
    for key in keys {
        let key = Some(format!("key-{key}").into_bytes());
        let record = OwnedRecord { key, value: Some(value.clone()), ..OwnedRecord::default() };
        bulk.push(&Outgoing { topic: Arc::clone(&name), partition: None, record });
    }
    let counts = bulk.finish(Duration::from_secs(120));
    assert_eq!(counts.delivered, keys.len() as u64, "{counts:?}");
    topic
}

/// What one effect takes when as many as may be are under way.
fn calibrate(runtime: &Runtime) -> Duration {
    const EACH: u32 = 200;
    let began = Instant::now();
    runtime.block_on(async {
        let loops = (0..IN_FLIGHT).map(|_| {
            tokio::spawn(async {
                for _ in 0..EACH {
                    tokio::time::sleep(EFFECT).await;
                }
            })
        });
        futures::future::join_all(loops).await;
    });
    began.elapsed() / EACH
}

async fn work(kafka: &str, registry: &str, topic: &str, records: usize) -> Duration {
    let settings = Settings::at(kafka);
    let board = Board::new().unwrap();
    let world = World {
        admin: Arc::new(Admin::new(&settings).unwrap()),
        producer: Arc::new(kafka::Producer::new(&settings).unwrap()),
        schemas: Arc::new(Client::new(&registry::Settings::new(registry)).unwrap()),
        make_topics: true,
        contracts: Contracts::default(),
        contracts_folder: PathBuf::from("avro"),
        databases: BTreeMap::new(),
        state: None,
        mail: None,
        board: Arc::clone(&board),
        kafka: settings,
    };
    let file = format!(
        "name: bench\nsource: {{ topic: {topic}, group: {topic} }}\n\
         sink: {{ sql: {{ database: none, insert: {{ table: none }} }} }}\n"
    );
    let pipeline = spec::parse(Path::new("bench.yaml"), file.as_bytes()).unwrap();
    let stop = CancellationToken::new();
    let state = State { left: records, keys: HashMap::new(), first: None, last: None };
    let sink = Arc::new(Slow { state: Mutex::new(state), stop: stop.clone() });
    let given = Arc::clone(&sink);
    let make: Box<MakeSink> = Box::new(move |_| {
        let sink = Arc::<Slow>::clone(&given);
        Ok(Effect::Keyed(Keyed { sink, in_flight: IN_FLIGHT, state: None }))
    });
    let ended = runner::run_with(Arc::new(pipeline), Arc::new(world), &*make, stop).await;
    assert_eq!(ended, Ended::Stopped);
    let counts = board.pipelines()[0].topic(topic).ledger.counts();
    assert_eq!(counts.settled.effects, records as u64, "{counts:?}");
    let state = sink.state.lock().unwrap();
    state.last.unwrap() - state.first.unwrap()
}

#[derive(Debug)]
struct State {
    left: usize,
    /// By key: the last offset, and whether its effect is under way.
    keys: HashMap<Vec<u8>, (i64, bool)>,
    first: Option<Instant>,
    last: Option<Instant>,
}

/// Takes its time and checks the order.
#[derive(Debug)]
struct Slow {
    state: Mutex<State>,
    stop: CancellationToken,
}

impl KeyedSink for Slow {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Place))
    }

    fn effect<'a>(&'a self, effect: &'a [u8]) -> Future<'a, Result<(), Fault>> {
        Box::pin(async move {
            let (offset, key) = effect.split_at(8);
            let offset = i64::from_be_bytes(offset.try_into().unwrap());
            {
                let mut state = self.state.lock().unwrap();
                state.first.get_or_insert_with(Instant::now);
                let (last, busy) = state.keys.entry(key.to_vec()).or_insert((-1, false));
                assert!(!*busy && *last < offset, "key order is broken at offset {offset}");
                (*last, *busy) = (offset, true);
            }
            tokio::time::sleep(EFFECT).await;
            let mut state = self.state.lock().unwrap();
            state.keys.get_mut(key).unwrap().1 = false;
            state.left -= 1;
            if state.left == 0 {
                state.last = Some(Instant::now());
                self.stop.cancel();
            }
            Ok(())
        })
    }
}

/// The record's offset and key.
struct Place;

impl Encode for Place {
    fn encode(&mut self, _: &Scope<'_>, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        out.extend(record.offset.0.to_be_bytes());
        out.extend(record.key.unwrap_or_default());
        Ok(())
    }
}
