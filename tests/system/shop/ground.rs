//! What the reference system stands on, and its oracles.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::member::Member;
use super::orders::{Order, left, stock};
use crate::support::{
    Feed, Kafka, Mails, Ordermill, Postgres, Registry, Taken, firsts, fresh, output, records,
    repository,
};

pub(super) const PARTITIONS: u32 = 12;
/// Mails under way at once, per process.
pub(super) const IN_FLIGHT: usize = 20;
/// How long the mail server thinks: mails are under way when something happens.
const ANSWER: Duration = Duration::from_millis(50);

/// The pipelines that ship for orders that were created.
pub(super) const PIPELINES: [&str; 4] = ["inventory", "email", "audit", "validated-orders"];

/// One reference system with names of its own.
#[derive(Debug)]
pub(super) struct Shop<'a> {
    kafka: &'a Kafka,
    registry: &'a Registry,
    database: Postgres,
    pub(super) mails: Mails,
    archive: TempDir,
    created: String,
    validated: String,
}

impl<'a> Shop<'a> {
    /// Over these services, some of which may be private.
    pub(super) fn over(kafka: &'a Kafka, registry: &'a Registry, postgres: &Postgres) -> Self {
        let database = postgres.fresh_database();
        database.query("CREATE TABLE stock (sku text PRIMARY KEY, available int NOT NULL CHECK (available >= 0))");
        let rows = stock().map(|(sku, pieces)| format!("('{sku}', {pieces})"));
        database
            .query(&format!("INSERT INTO stock VALUES {}", rows.collect::<Vec<_>>().join(", ")));
        let (created, validated) = (fresh("orders.created"), fresh("orders.validated"));
        for topic in [&created, &validated] {
            kafka.create_topic(topic, PARTITIONS, &[]);
        }
        for pipeline in PIPELINES {
            kafka.create_topic(&format!("{created}.{pipeline}.dlq"), PARTITIONS, &[]);
        }
        let (mails, archive) = (Mails::up(ANSWER), tempfile::tempdir().unwrap());
        let shop = Self { kafka, registry, database, mails, archive, created, validated };
        shop.register();
        shop
    }

    /// Registers the contracts: also with a registry that was stopped and forgot them; in this order they get their ids
    /// back.
    pub(super) fn register(&self) {
        for (topic, contract) in
            [(&self.created, "orders.created"), (&self.validated, "orders.validated")]
        {
            self.registry.register(&format!("{topic}-value"), &shipped(&contract_of(contract)));
        }
    }

    /// Begins to put the orders into the topic, so many a second.
    pub(super) fn feed(&self, a_second: usize) -> Feed {
        let lines = Order::all().map(Order::line);
        Feed::start(a_second, lines, |pipe| {
            let args = ["produce", &self.created, pipe, "--key", "product_name"];
            Ordermill::new(args).file("ordermill.yaml", &self.settings()).start()
        })
    }

    /// Orders in the topic.
    pub(super) fn taken(&self) -> usize {
        let ends = self.kafka.end_offsets(&self.created);
        usize::try_from(ends.values().sum::<i64>()).unwrap()
    }

    /// A new process with all pipelines.
    pub(super) fn member(&self) -> Member {
        let mut mill = Ordermill::new(["run", "pipelines"])
            .with_http()
            .file("ordermill.yaml", &self.settings());
        for pipeline in PIPELINES {
            mill = mill.file(&format!("pipelines/{pipeline}.yaml"), &self.pipeline(pipeline));
        }
        for (topic, contract) in
            [(&self.created, "orders.created"), (&self.validated, "orders.validated")]
        {
            let file = format!("avro/{topic}-value/1.avsc");
            mill = mill.file(&file, &shipped(&contract_of(contract)));
        }
        let groups = PIPELINES.map(|pipeline| (pipeline, self.group(pipeline)));
        Member::new(mill.start(), groups.into())
    }

    fn group(&self, pipeline: &str) -> String {
        format!("{}.{pipeline}", self.created)
    }

    fn settings(&self) -> String {
        format!(
            "kafka: {{ bootstrap: \"{}\", session_timeout: 9s }}\n\
             registry: {{ url: \"{}\" }}\n\
             databases: {{ orders: {{ postgres: {{ url: \"{}\" }} }} }}\n\
             state: orders\n\
             mail: {{ smtp: {{ host: 127.0.0.1, port: {}, tls: none }} }}\n",
            self.kafka.bootstrap(),
            self.registry.url(),
            self.database.url(),
            self.mails.port(),
        )
    }

    /// The file as it ships, with this system's names, and with limits that fit a short session.
    fn pipeline(&self, name: &str) -> String {
        let archive = self.archive.path().join("audit").display().to_string();
        let source = format!("{{ topic: {}, group: {} }}", self.created, self.group(name));
        let text = shipped(&format!("pipelines/{name}.yaml"))
            .replace("{ topic: orders.created }", &source)
            .replace("orders.validated", &self.validated)
            .replace("to: archive/audit", &format!("to: {archive}"))
            .replace("every: 5m", "every: 1s");
        let in_flight = format!("  mail:\n    in_flight: {IN_FLIGHT}\n    timeout: 7s\n");
        let text = text
            .replace("  mail:\n", &in_flight)
            .replace("  sql:\n", "  sql:\n    timeout: 7s\n")
            .replace("  archive:\n", "  archive:\n    timeout: 7s\n")
            .replace("  topic: { ", "  topic: { timeout: 7s, ");
        assert!(text.contains(&source) && text.contains("timeout: 7s"), "{text}");
        format!("{text}\nlimits: {{ drain: 8s }}\n")
    }

    /// Each of so many orders has had every effect as often as its sink promises, and nothing else has happened. To be asked when no
    /// member is left. Answers how many mails and output records came again.
    #[track_caller]
    pub(super) fn assert_whole(&self, orders: u64) -> (Vec<Taken>, usize) {
        let refused = self.assert_stock(orders);
        self.assert_settled(refused);
        self.assert_archive(orders);
        (self.assert_mails(orders), self.assert_outputs(orders))
    }

    /// The stock by SQL; how many orders found too little.
    #[track_caller]
    fn assert_stock(&self, orders: u64) -> u64 {
        let rows = self.database.rows("SELECT sku, available FROM stock");
        let there: BTreeMap<String, u64> =
            rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
        let (left, refused) = left(orders);
        assert_eq!(there, left, "stock");
        refused
    }

    /// All groups have left and stand at the end of the log, and only orders without stock are dead letters.
    #[track_caller]
    fn assert_settled(&self, refused: u64) {
        for pipeline in PIPELINES {
            let group = self.kafka.group(&self.group(pipeline));
            assert_eq!(group.len(), PARTITIONS as usize, "{group:?}");
            for (partition, at) in group {
                assert_eq!(at.committed, Some(at.end), "{pipeline} {partition:?}");
                assert_eq!(at.member, None, "{pipeline} {partition:?}");
            }
            let letters = self.kafka.end_offsets(&format!("{}.{pipeline}.dlq", self.created));
            let expected = if pipeline == "inventory" { refused } else { 0 };
            assert_eq!(letters.values().sum::<i64>(), expected as i64, "letters of {pipeline}");
        }
    }

    /// Each order once, by fastavro, which also checks the chains.
    #[track_caller]
    fn assert_archive(&self, orders: u64) {
        let python = std::env::var_os("ORDERMILL_TEST_PYTHON").expect("with-services sets it");
        let mut oracle = Command::new(python);
        oracle.arg(repository().join("scripts/oracle/archive_oracle.py"));
        let said = output(oracle.arg(self.archive.path().join("audit")));
        let entries = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut kept: Vec<String> = entries
            .filter(|line| line.get("event").is_some())
            .map(|entry| entry["event"]["order_id"].as_str().unwrap().to_owned())
            .collect();
        kept.sort_unstable();
        let made: Vec<String> = Order::first(orders).map(Order::id).collect();
        assert_eq!(kept.len(), made.len(), "archived orders");
        assert_eq!(kept, made, "archived orders");
    }

    /// A mail for each order, each with one id, one recipient and the same bytes when it came again; those of a product in
    /// the order of the orders. All that were taken.
    #[track_caller]
    fn assert_mails(&self, orders: u64) -> Vec<Taken> {
        let taken = self.mails.taken();
        let mut firsts: BTreeMap<&str, &Taken> = BTreeMap::new();
        let mut last_of_product: BTreeMap<String, Order> = BTreeMap::new();
        let mut missing: BTreeSet<Order> = Order::first(orders).collect();
        let by_mailbox: BTreeMap<String, Order> = Order::first(orders)
            .map(|order| (format!("{}@customers.example", order.id()), order))
            .collect();
        for mail in &taken {
            let first = firsts.entry(&mail.id).or_insert(mail);
            if !std::ptr::eq(*first, mail) {
                assert_eq!((&mail.raw, &mail.to), (&first.raw, &first.to), "a repeat differs");
                continue;
            }
            let [to] = mail.to.as_slice() else { panic!("recipients: {mail:?}") };
            let order = by_mailbox[to];
            assert!(missing.remove(&order), "two mails with two ids: {mail:?}");
            let before = last_of_product.insert(order.product(), order);
            assert!(before.is_none_or(|before| before < order), "order of {}", order.product());
        }
        assert!(missing.is_empty(), "{} mails lost: {missing:?}", missing.len());
        taken
    }

    /// Each order in the topic of validated orders, in its product's order; how many came again.
    #[track_caller]
    fn assert_outputs(&self, orders: u64) -> usize {
        let written = records(self.kafka, self.registry, &self.validated);
        let (firsts, repeats) = firsts(&written);
        let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (product, records) in &firsts {
            let ids = records.iter().map(|record| record.event["order_id"].as_str().unwrap());
            there.insert(product, ids.collect());
        }
        let mut made: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for order in Order::first(orders) {
            made.entry(order.product()).or_default().push(order.id());
        }
        assert_eq!(there.len(), made.len(), "products");
        for (product, orders) in &made {
            assert!(there[product.as_str()].iter().eq(orders), "validated orders of {product}");
        }
        repeats
    }
}

fn contract_of(subject: &str) -> String {
    format!("avro/{subject}-value/1.avsc")
}

/// A file of the repository.
fn shipped(path: &str) -> String {
    fs::read_to_string(repository().join::<PathBuf>(path.into())).unwrap()
}
