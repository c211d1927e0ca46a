//! A small pipeline with all that it needs and nobody else has: a topic, a contract, a database with a table. The crate's
//! own clients put records there and make topics; they never judge.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ordermill::kafka;
use ordermill::port::{Admin as _, Outgoing};
use ordermill::record::OwnedRecord;
use tokio::runtime::Runtime;

use crate::support::{Ordermill, Postgres, Process, Services, fresh, wait_until};

/// How long anything may take that should happen at once: the machine may be busy.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The contract of every line's topic.
pub(crate) const CONTRACT: &str = r#"{"type":"record","name":"Order","namespace":"com.example","fields":[{"name":"n","type":"long"},{"name":"note","type":"string"}]}"#;

/// A pipeline `insert`s the records of a topic into table `orders (n, note)`, `conflict: reject`, and halts at
/// the first bad record.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) topic: String,
    pub(crate) database: Postgres,
    pub(crate) table: String,
    pub(crate) schema_id: u32,
    /// Its pipeline file.
    pub(crate) pipeline: String,
    /// Its `ordermill.yaml`.
    pub(crate) settings: String,
    /// The broker, where it is not everybody's.
    pub(crate) kafka: Option<String>,
}

impl Line {
    /// A topic of so many partitions and an empty table.
    pub(crate) fn new(partitions: i32) -> Self {
        let line = Self::without_topic();
        create_topics(&[&line.topic, &line.dead_letters()], partitions);
        line
    }

    /// The same before its topic is made.
    pub(crate) fn without_topic() -> Self {
        let services = Services::get();
        let database = services.postgres.fresh_database();
        let (kafka, registry) = (services.kafka.bootstrap(), services.registry.url());
        let settings = settings(kafka, registry, database.url());
        Self::on(database, "orders".to_owned(), settings)
    }

    /// Another one with a table of its own in the same database: both can run in one process.
    pub(crate) fn beside(&self, partitions: i32) -> Self {
        let line = Self::on(self.database.clone(), fresh("orders"), self.settings.clone());
        create_topics(&[&line.topic, &line.dead_letters()], partitions);
        line
    }

    fn on(database: Postgres, table: String, settings: String) -> Self {
        let topic = fresh("orders");
        let name = topic.replace('_', "-");
        database.query(&format!("CREATE TABLE {table} (n bigint PRIMARY KEY, note text NOT NULL)"));
        let subject = format!("{topic}-value");
        let schema_id = Services::get().registry.register(&subject, CONTRACT);
        let pipeline = pipeline(&name, &topic, &table);
        Self { name, topic, database, table, schema_id, pipeline, settings, kafka: None }
    }

    /// Says something else in the pipeline file.
    #[track_caller]
    pub(crate) fn say(mut self, instead_of: &str, text: &str) -> Self {
        assert!(self.pipeline.contains(instead_of), "{instead_of}:\n{}", self.pipeline);
        self.pipeline = self.pipeline.replacen(instead_of, text, 1);
        self
    }

    /// Says something else in `ordermill.yaml`.
    #[track_caller]
    pub(crate) fn set(mut self, instead_of: &str, text: &str) -> Self {
        assert!(self.settings.contains(instead_of), "{instead_of}:\n{}", self.settings);
        self.settings = self.settings.replacen(instead_of, text, 1);
        self
    }

    /// The group's name.
    pub(crate) fn group(&self) -> String {
        format!("ordermill.{}", self.name)
    }

    /// Where its bad records go, as far as it goes on.
    pub(crate) fn dead_letters(&self) -> String {
        format!("{}.dlq", self.topic)
    }

    /// `ordermill ARGS` where the line's files lie.
    pub(crate) fn command(&self, args: &[&str]) -> Ordermill {
        let mill = Ordermill::new(args).file("ordermill.yaml", &self.settings);
        self.files(mill, "orders")
    }

    /// Puts its pipeline file, under that name, and its contract beside others.
    pub(crate) fn files(&self, mill: Ordermill, name: &str) -> Ordermill {
        mill.file(&format!("pipelines/{name}.yaml"), &self.pipeline)
            .file(&format!("avro/{}-value/1.avsc", self.topic), CONTRACT)
    }

    /// `ordermill run`, started.
    #[track_caller]
    pub(crate) fn run(&self) -> Process {
        self.command(&["run"]).with_http().start()
    }

    /// A record's value: frame, `n`, `note`, written here by hand.
    pub(crate) fn value(&self, n: i64, note: &str) -> Vec<u8> {
        let mut value = vec![0];
        value.extend(self.schema_id.to_be_bytes());
        long(n, &mut value);
        long(i64::try_from(note.len()).unwrap(), &mut value);
        value.extend(note.as_bytes());
        value
    }

    /// Puts orders `from..to` into the topic, `n` into partition `n % partitions`.
    pub(crate) fn orders(&self, range: std::ops::Range<i64>, partitions: i64) {
        let bulk = range.map(|n| {
            (i32::try_from(n % partitions).unwrap(), Some(self.value(n, &format!("order {n}"))))
        });
        self.send(bulk);
    }

    /// Puts values into partitions, in this order; None is a tombstone.
    pub(crate) fn send(&self, values: impl IntoIterator<Item = (i32, Option<Vec<u8>>)>) {
        let record = |value| OwnedRecord { value, ..OwnedRecord::default() };
        self.send_records(values.into_iter().map(|(at, value)| (at, record(value))));
    }

    /// Puts records into partitions, in this order.
    pub(crate) fn send_records(&self, records: impl IntoIterator<Item = (i32, OwnedRecord)>) {
        let at = self.kafka.clone().map_or_else(at_kafka, at_broker);
        send_to(&at, &self.topic, records.into_iter().map(|(at, record)| (Some(at), record)));
    }

    /// All `n` in the table.
    pub(crate) fn rows(&self) -> Vec<i64> {
        let rows = self.database.rows(&format!("SELECT n FROM {} ORDER BY n", self.table));
        rows.iter().map(|row| row[0].parse().unwrap()).collect()
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> i64 {
        self.database.query(&format!("SELECT count(*) FROM {}", self.table)).parse().unwrap()
    }

    /// The committed offsets as Kafka's own tool has them, by partition; 0 where nothing is committed.
    pub(crate) fn committed(&self) -> BTreeMap<i32, i64> {
        committed(&[self]).remove(&self.topic).unwrap_or_default()
    }

    /// Waits until there are so many rows.
    #[track_caller]
    pub(crate) fn wait_rows(&self, process: &mut Process, rows: i64) {
        process.wait_until(SOON, &format!("{rows} rows are there"), |_| self.count() >= rows);
    }
}

/// The committed offsets of several lines as Kafka's own tool has them, by topic and partition; 0 where nothing is
/// committed.
pub(crate) fn committed(lines: &[&Line]) -> BTreeMap<String, BTreeMap<i32, i64>> {
    let groups: Vec<String> = lines.iter().map(|line| line.group()).collect();
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let mut offsets: BTreeMap<String, BTreeMap<i32, i64>> = BTreeMap::new();
    for ((topic, partition), at) in Services::get().kafka.groups(&groups) {
        offsets.entry(topic).or_default().insert(partition, at.committed.unwrap_or(0));
    }
    offsets
}

/// Waits until `/readyz` says something with these words; the whole answer.
#[track_caller]
pub(crate) fn wait_state(process: &mut Process, words: &str) -> (u16, String) {
    let mut said = (0, String::new());
    process.wait_until(SOON, &format!("/readyz says {words}"), |process| {
        said = process.get("/readyz");
        said.1.contains(words)
    });
    said
}

/// Makes topics.
pub(crate) fn create_topics(topics: &[&str], partitions: i32) {
    create_topics_at(Services::get().kafka.bootstrap(), topics, partitions);
}

/// Makes topics on another broker.
pub(crate) fn create_topics_at(bootstrap: &str, topics: &[&str], partitions: i32) {
    let admin = kafka::Admin::new(&kafka::Settings::at(bootstrap)).unwrap();
    for topic in topics {
        block_on(admin.create_topic(topic, partitions, 1)).unwrap();
        // made is not yet known everywhere
        wait_until(SOON, &format!("topic {topic} is known"), || {
            block_on(admin.topic(topic)).unwrap().is_some()
        });
    }
}

/// An `ordermill.yaml`.
pub(crate) fn settings(kafka: &str, registry: &str, postgres: &str) -> String {
    format!(
        "kafka: {{ bootstrap: \"{kafka}\", session_timeout: 6s }}\n\
         registry: {{ url: \"{registry}\" }}\n\
         databases: {{ orders: {{ postgres: {{ url: \"{postgres}\" }} }} }}\n"
    )
}

fn pipeline(name: &str, topic: &str, table: &str) -> String {
    format!(
        "name: {name}
source:
  topic: {topic}
  tombstone: reject
stages:
  - filter: event.n >= 0
sink:
  sql:
    database: orders
    insert:
      table: {table}
      columns:
        n: event.n
        note: event.note
      conflict: reject
    timeout: 3s
    batch: {{ rows: 1000 }}
retry: {{ attempts: 2, every: 100ms, then: stop }}
dead_letter: {{ topic: {topic}.dlq, stop_after: {{ consecutive: 1 }} }}
limits:
  drain: 5s
  window: {{ records: 10000 }}
"
    )
}

/// Puts records into a topic, in this order; without a partition by their keys. Up to the broker's limit.
pub(crate) fn send(topic: &str, records: impl Iterator<Item = (Option<i32>, OwnedRecord)>) {
    send_to(&at_kafka(), topic, records);
}

fn send_to(
    kafka: &kafka::Settings,
    topic: &str,
    records: impl Iterator<Item = (Option<i32>, OwnedRecord)>,
) {
    let topic: Arc<str> = Arc::from(topic);
    let mut bulk = kafka::Producer::new(kafka).unwrap().bulk(10_000);
    for (partition, record) in records {
        bulk.push(&Outgoing { topic: Arc::clone(&topic), partition, record });
    }
    let sent = bulk.finish(SOON);
    assert_eq!(sent.first_fault, None, "{sent:?}");
}

fn at_kafka() -> kafka::Settings {
    at_broker(Services::get().kafka.bootstrap())
}

fn at_broker(bootstrap: impl Into<String>) -> kafka::Settings {
    let mut settings = kafka::Settings::at(bootstrap);
    // beyond what a topic takes unless it is told otherwise
    settings.properties.insert("message.max.bytes".to_owned(), "2000000".to_owned());
    settings
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
    RUNTIME.block_on(future)
}

/// Avro's long: zigzag, seven bits a byte, the lowest first.
fn long(n: i64, out: &mut Vec<u8>) {
    let mut bits = ((n << 1) ^ (n >> 63)).cast_unsigned();
    while bits >= 0x80 {
        out.push((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}
