//! The engine as `run` runs a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ordermill::config::Secret;
use ordermill::database::{Database, PostgresSettings, Settings};
use ordermill::kafka;
use ordermill::observe::Board;
use ordermill::pipeline::runner::{self, Ended};
use ordermill::pipeline::spec;
use ordermill::pipeline::world::World;
use ordermill::registry::contracts::Contracts;
use ordermill::registry::{Client, Settings as Registry};
use tokio_util::sync::CancellationToken;

use crate::measure::{Moment, Outcome, Sums};
use crate::{BATCH, CONNECTIONS, Task};

pub(crate) fn run(task: &Task) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(drive(task))
}

async fn drive(task: &Task) -> Outcome {
    let topic = &task.topic;
    let settings = kafka::Settings::at(&topic.kafka);
    let board = Board::new().unwrap();
    let mut postgres = PostgresSettings::new(Secret::written(&task.postgres));
    postgres.connections = CONNECTIONS;
    let database = Arc::new(Database::open(&Settings::Postgres(postgres)).unwrap());
    let world = World {
        admin: Arc::new(kafka::Admin::new(&settings).unwrap()),
        producer: Arc::new(kafka::Producer::new(&settings).unwrap()),
        schemas: Arc::new(Client::new(&Registry::new(&topic.registry)).unwrap()),
        make_topics: true,
        contracts: Contracts::default(),
        contracts_folder: PathBuf::from("avro"),
        databases: BTreeMap::from([("orders".to_owned(), database)]),
        state: None,
        mail: None,
        board: Arc::clone(&board),
        kafka: settings,
    };
    let file = format!(
        "name: bench\nsource: {{ topic: {}, group: {} }}\n\
         stages: [ {{ keep: [ order_id, product_name, quantity, created_at ] }} ]\n\
         sink: {{ sql: {{ database: orders, insert: {{ table: orders }}, batch: {{ rows: {BATCH} }} }} }}\n",
        topic.name, topic.group
    );
    let pipeline = Arc::new(spec::parse(Path::new("bench.yaml"), file.as_bytes()).unwrap());
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner::run(pipeline, Arc::new(world), stop.clone()));
    let counts = || board.pipelines().first().map(|p| p.topic(&topic.name).ledger.counts());
    let until = async |what: &dyn Fn(u64, u64) -> bool| loop {
        if counts().is_some_and(|counts| what(counts.consumed, counts.settled.effects)) {
            return Moment::now();
        }
        assert!(!running.is_finished(), "the pipeline halted");
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let first = until(&|consumed, _| consumed > 0).await;
    let last = until(&|_, effects| effects == topic.records).await;
    stop.cancel();
    assert_eq!(running.await.unwrap(), Ended::Stopped);
    first.until(last, Sums { records: topic.records, ..Sums::default() })
}
