//! A member: the whole engine, and a keyed sink that takes 5 ms and notes when it was done.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ordermill::kafka;
use ordermill::observe::Board;
use ordermill::pipeline::build::MakeSink;
use ordermill::pipeline::effect::{Effect, Keyed};
use ordermill::pipeline::runner::{self, Ended};
use ordermill::pipeline::spec;
use ordermill::pipeline::world::World;
use ordermill::port::{Encode, Future, KeyedSink};
use ordermill::record::{End, Fault, Record, Scope};
use ordermill::registry::contracts::Contracts;
use ordermill::registry::{self, Client};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

const EFFECT: Duration = Duration::from_millis(5);
const IN_FLIGHT: usize = 25;

/// What a member says when it has done something.
pub(crate) const WORKING: &str = "working";

/// What a member is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) kafka: String,
    pub(crate) registry: String,
    pub(crate) topic: String,
    pub(crate) group: String,
}

/// When effects were done, by partition: microseconds of Unix time.
pub(crate) type Times = BTreeMap<i32, Vec<u64>>;

/// Works until its standard input ends, then leaves and prints its times.
pub(crate) fn run(told: &Told) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let ending = stop.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ending.cancel();
    });
    let sink = Arc::new(Slow::default());
    let ended = runtime.block_on(work(told, Arc::clone(&sink), stop));
    assert_eq!(ended, Ended::Stopped);
    println!("{}", serde_json::to_string(&*sink.0.lock().unwrap()).unwrap());
}

async fn work(told: &Told, sink: Arc<Slow>, stop: CancellationToken) -> Ended {
    let settings = kafka::Settings::at(&told.kafka);
    let world = World {
        admin: Arc::new(kafka::Admin::new(&settings).unwrap()),
        producer: Arc::new(kafka::Producer::new(&settings).unwrap()),
        schemas: Arc::new(Client::new(&registry::Settings::new(&told.registry)).unwrap()),
        make_topics: true,
        contracts: Contracts::default(),
        contracts_folder: PathBuf::from("avro"),
        databases: BTreeMap::new(),
        state: None,
        mail: None,
        board: Board::new().unwrap(),
        kafka: settings,
    };
    let file = format!(
        "name: bench\nsource: {{ topic: {}, group: {} }}\n\
         sink: {{ sql: {{ database: none, insert: {{ table: none }} }} }}\n",
        told.topic, told.group
    );
    let pipeline = spec::parse(Path::new("bench.yaml"), file.as_bytes()).unwrap();
    let make: Box<MakeSink> = Box::new(move |_| {
        let sink = Arc::<Slow>::clone(&sink);
        Ok(Effect::Keyed(Keyed { sink, in_flight: IN_FLIGHT, state: None }))
    });
    runner::run_with(Arc::new(pipeline), Arc::new(world), &*make, stop).await
}

#[derive(Debug, Default)]
struct Slow(Mutex<Times>);

impl KeyedSink for Slow {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Key))
    }

    fn effect<'a>(&'a self, effect: &'a [u8]) -> Future<'a, Result<(), Fault>> {
        Box::pin(async move {
            tokio::time::sleep(EFFECT).await;
            let (partition, _) = std::str::from_utf8(effect).unwrap().split_once('/').unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let mut times = self.0.lock().unwrap();
            if times.is_empty() {
                println!("{WORKING}");
            }
            times.entry(partition.parse().unwrap()).or_default().push(now.as_micros() as u64);
            Ok(())
        })
    }
}

/// The record's key.
struct Key;

impl Encode for Key {
    fn encode(&mut self, _: &Scope<'_>, record: &Record<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        out.extend(record.key.unwrap_or_default());
        Ok(())
    }
}
