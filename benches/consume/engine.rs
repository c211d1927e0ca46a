//! The whole engine with a sink that does nothing: Kafka's committed offset is its truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ordermill::kafka;
use ordermill::observe::Board;
use ordermill::pipeline::build::MakeSink;
use ordermill::pipeline::effect::Effect;
use ordermill::pipeline::runner::{self, Ended};
use ordermill::pipeline::spec;
use ordermill::pipeline::world::World;
use ordermill::port::{BatchSink, Encode, Future, Progress, Refusal, Step};
use ordermill::record::{End, Fault, Record, Scope};
use ordermill::registry::contracts::Contracts;
use ordermill::registry::{Client, Settings};
use tokio_util::sync::CancellationToken;

use crate::measure::{Moment, Outcome, Sums};
use crate::orders::{Topic, field, place};

pub(crate) fn run(topic: &Topic) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (ended, nothing, board) = runtime.block_on(drive(topic));
    assert_eq!(ended, Ended::Stopped);
    // The engine's own books say the same.
    let counts = board.pipelines()[0].topic(&topic.name).ledger.counts();
    assert_eq!((counts.consumed, counts.settled.effects), (topic.records, topic.records));
    assert_eq!((counts.given_back, counts.in_flight), (0, 0));
    let sums = Sums {
        records: nothing.records.load(Ordering::Acquire),
        places: nothing.places.load(Ordering::Acquire),
        fields: nothing.fields.load(Ordering::Acquire),
    };
    nothing.first.get().unwrap().until(*nothing.last.get().unwrap(), sums)
}

async fn drive(topic: &Topic) -> (Ended, Arc<Nothing>, Arc<Board>) {
    let settings = kafka::Settings::at(&topic.kafka);
    let board = Board::new().unwrap();
    let world = World {
        admin: Arc::new(kafka::Admin::new(&settings).unwrap()),
        producer: Arc::new(kafka::Producer::new(&settings).unwrap()),
        schemas: Arc::new(Client::new(&Settings::new(&topic.registry)).unwrap()),
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
        "name: bench\nsource: {{ topic: {}, group: {} }}\n\
         sink: {{ sql: {{ database: none, insert: {{ table: none }} }} }}\n",
        topic.name, topic.group
    );
    let pipeline = spec::parse(Path::new("bench.yaml"), file.as_bytes()).unwrap();
    let stop = CancellationToken::new();
    let nothing = Arc::new(Nothing {
        wanted: topic.records,
        records: AtomicU64::new(0),
        places: AtomicU64::new(0),
        fields: AtomicU64::new(0),
        first: OnceLock::new(),
        last: OnceLock::new(),
        stop: stop.clone(),
    });
    let given = Arc::clone(&nothing);
    let make: Box<MakeSink> = Box::new(move |compiled| {
        assert_eq!(compiled.columns[0].0, "order_id");
        Ok(Effect::Batch(Arc::new(Sink(Arc::clone(&given)))))
    });
    let ended = runner::run_with(Arc::new(pipeline), Arc::new(world), &*make, stop).await;
    (ended, nothing, board)
}

/// What came through.
#[derive(Debug)]
struct Nothing {
    wanted: u64,
    records: AtomicU64,
    places: AtomicU64,
    fields: AtomicU64,
    first: OnceLock<Moment>,
    last: OnceLock<Moment>,
    stop: CancellationToken,
}

/// Does nothing with what it gets but count it.
struct Sink(Arc<Nothing>);

impl BatchSink for Sink {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(async { Ok(()) })
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        Ok(Box::new(Encoder { nothing: Arc::clone(&self.0), fields: 0, begun: false }))
    }

    fn truth(&self) -> Option<&dyn Progress> {
        None
    }

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        let nothing = &self.0;
        let partition = step.claim.partition.partition;
        let places = step
            .rows
            .clone()
            .fold(0, |sum, row| sum ^ place(partition, step.effects.offset(row).0));
        nothing.places.fetch_xor(places, Ordering::AcqRel);
        let rows = step.rows.len() as u64;
        if nothing.records.fetch_add(rows, Ordering::AcqRel) + rows == nothing.wanted {
            nothing.last.set(Moment::now()).unwrap();
            nothing.stop.cancel();
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Hashes a field; its sum goes in when its task ends.
struct Encoder {
    nothing: Arc<Nothing>,
    fields: u64,
    begun: bool,
}

impl Encode for Encoder {
    fn encode(&mut self, scope: &Scope<'_>, _: &Record<'_>, _: &mut Vec<u8>) -> Result<(), End> {
        if !self.begun {
            self.begun = true;
            self.nothing.first.get_or_init(Moment::now);
        }
        self.fields ^= field(&scope.event[0]);
        Ok(())
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.nothing.fields.fetch_xor(self.fields, Ordering::AcqRel);
    }
}
