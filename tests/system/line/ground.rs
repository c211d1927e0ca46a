//! What every law of the line begins with: a topic with TPC-H orders, a table for them, and the oracle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tpchgen::generators::{Order, OrderGenerator};

use super::feed;
use super::member::Member;
use crate::support::{
    Kafka, Ordermill, Postgres, Process, Registry, Seen, Services, fresh, records,
};

pub(super) const PARTITIONS: u32 = 12;

/// How long members may take for all rows once nothing slows them.
const DONE_LIMIT: Duration = Duration::from_secs(120);

/// What the generator says: how many orders there are, and what they cost together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) orders: u64,
    cents: i64,
}

impl Truth {
    /// All orders of a scale.
    pub(super) fn of(scale: f64) -> Self {
        Self::sum(OrderGenerator::new(scale, 1, 1).into_iter())
    }

    /// So many that were fed.
    pub(super) fn of_fed(orders: usize) -> Self {
        Self::sum(feed::orders().take(orders))
    }

    fn sum<'a>(orders: impl Iterator<Item = Order<'a>>) -> Self {
        let none = Self { orders: 0, cents: 0 };
        orders.fold(none, |truth, order| Self {
            orders: truth.orders + 1,
            cents: truth.cents + order.o_totalprice.into_inner(),
        })
    }

    /// As `SELECT count(*), sum(o_totalprice)` prints it.
    fn row(self) -> String {
        format!("{}|{}.{:02}", self.orders, self.cents / 100, self.cents % 100)
    }
}

/// One topic, one table and one group of one test.
#[derive(Debug)]
pub(super) struct Line<'a> {
    kafka: &'a Kafka,
    registry: &'a Registry,
    pub(super) database: Postgres,
    topic: String,
    group: String,
    batch: u32,
    session: u32,
}

impl<'a> Line<'a> {
    /// Over the shared services.
    pub(super) fn new() -> Line<'static> {
        let services = Services::get();
        Line::over(&services.kafka, &services.registry, &services.postgres)
    }

    /// Over these services, some of which may be private. Makes the topic and the table.
    pub(super) fn over(kafka: &'a Kafka, registry: &'a Registry, postgres: &Postgres) -> Self {
        let database = postgres.fresh_database();
        database.query(TABLE);
        let (topic, group) = (fresh("orders"), fresh("group"));
        kafka.create_topic(&topic, PARTITIONS, &[]);
        kafka.create_topic(&dead_letters(&topic), PARTITIONS, &[]);
        Self { kafka, registry, database, topic, group, batch: 1000, session: 6 }
    }

    /// So few rows in one transaction that many are needed.
    pub(super) fn with_batches_of(mut self, rows: u32) -> Self {
        self.batch = rows;
        self
    }

    /// Members started from now on stay in the group for so many seconds without a sign of life.
    pub(super) fn with_sessions_of(&mut self, seconds: u32) {
        self.session = seconds;
    }

    /// Each transaction takes so much longer from now on; 0 lets all go.
    pub(super) fn slow_down(&self, seconds: f64) {
        self.database.query(&format!("UPDATE pace SET seconds = {seconds}"));
    }

    /// Puts all orders of a scale into the topic.
    pub(super) fn produce(&self, scale: f64) {
        let mut produce = self.producing(["--tpch", &scale.to_string()]);
        let code = produce.wait_exit(Duration::from_secs(300));
        assert_eq!(code, Some(0), "{}", produce.stderr());
    }

    /// A running `produce` into the topic.
    pub(super) fn producing<const N: usize>(&self, what: [&str; N]) -> Process {
        let args = ["produce", &self.topic].into_iter().chain(what);
        Ordermill::new(args).file("ordermill.yaml", &self.settings(self.registry)).start()
    }

    /// Registers the orders' schema, as `produce --tpch` does by itself.
    pub(super) fn register(&self) {
        let args = ["schema", "register", &format!("{}-value", self.topic), "orders.avsc"];
        let mut register = Ordermill::new(args)
            .file("ordermill.yaml", &self.settings(self.registry))
            .file("orders.avsc", CONTRACT)
            .start();
        let code = register.wait_exit(Duration::from_secs(30));
        assert_eq!(code, Some(0), "{}", register.stderr());
    }

    /// A new member of the group.
    pub(super) fn member(&self) -> Member {
        self.member_of(self.registry, false)
    }

    /// A new member with another sink than the table, and other limits.
    pub(super) fn member_into(&self, sink: &str, limits: &str) -> Member {
        let pipeline = format!("{}sink: {sink}\nlimits: {limits}\n", self.head());
        let mill = Ordermill::new(["run", "pipelines"])
            .with_http()
            .file("ordermill.yaml", &self.settings(self.registry))
            .file("pipelines/orders.yaml", &pipeline);
        Member::new(mill.start())
    }

    /// A new member with another registry; with the contract it needs that for schema ids only.
    pub(super) fn member_of(&self, registry: &Registry, contract: bool) -> Member {
        let mut mill = Ordermill::new(["run", "pipelines"])
            .with_http()
            .file("ordermill.yaml", &self.settings(registry))
            .file("pipelines/orders.yaml", &self.pipeline());
        if contract {
            mill = mill.file(&format!("avro/{}-value/1.avsc", self.topic), CONTRACT);
        }
        Member::new(mill.start())
    }

    /// A topic for what a member writes: orders without their lines.
    pub(super) fn output(&self) -> String {
        let topic = fresh("output");
        self.kafka.create_topic(&topic, PARTITIONS, &[]);
        let mut contract: serde_json::Value = serde_json::from_str(CONTRACT).unwrap();
        contract["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "lines");
        self.registry.register(&format!("{topic}-value"), &contract.to_string());
        topic
    }

    /// Every record of such a topic, by public clients.
    pub(super) fn written(&self, output: &str) -> Vec<Seen> {
        records(self.kafka, self.registry, output)
    }

    fn settings(&self, registry: &Registry) -> String {
        let (kafka, registry) = (self.kafka.bootstrap(), registry.url());
        let (postgres, session) = (self.database.url(), self.session);
        format!(
            "kafka: {{ bootstrap: \"{kafka}\", session_timeout: {session}s }}\n\
             registry: {{ url: \"{registry}\" }}\n\
             databases: {{ orders: {{ postgres: {{ url: \"{postgres}\" }} }} }}\n"
        )
    }

    fn head(&self) -> String {
        let Self { topic, group, .. } = self;
        format!(
            "name: orders\n\
             source: {{ topic: {topic}, group: {group} }}\n\
             stages:\n\
             \x20 - filter: event.o_orderkey > 0\n\
             \x20 - drop: [ lines ]\n"
        )
    }

    fn pipeline(&self) -> String {
        let Self { batch, .. } = self;
        let head = self.head();
        format!(
            "{head}\
             sink:\n\
             \x20 sql:\n\
             \x20   database: orders\n\
             \x20   insert: {{ table: orders, conflict: reject }}\n\
             \x20   batch: {{ rows: {batch} }}\n\
             \x20   timeout: 3s\n\
             limits: {{ drain: 4s }}\n"
        )
    }

    /// Moves the group to the beginning of the log, as Kafka's own tool does it.
    pub(super) fn move_back(&self) {
        self.kafka.reset_group(&self.group, &self.topic, &["--to-earliest"]);
    }

    /// The ends of the log by partition.
    pub(super) fn ends(&self) -> BTreeMap<i32, i64> {
        self.kafka.end_offsets(&self.topic)
    }

    /// Puts the only member out of the group behind its back.
    pub(super) fn evict(&self) {
        let group = self.kafka.group(&self.group);
        let ids: BTreeSet<_> = group.into_values().filter_map(|at| at.member).collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids.iter().for_each(|id| self.kafka.evict(&self.group, id));
    }

    /// How many rows there are now.
    pub(super) fn rows(&self) -> u64 {
        self.database.query("SELECT count(*) FROM orders").parse().unwrap()
    }

    /// Waits until every order has its row, while this member works.
    pub(super) fn wait_for_rows(&self, truth: Truth, member: &mut Member) {
        member.wait_until(DONE_LIMIT, "every order has its row", |_| self.rows() >= truth.orders);
    }

    /// Waits until every partition has made progress from where it stands now.
    pub(super) fn wait_for_a_step_of_each_partition(&self, member: &mut Member) {
        const MOVED: &str = "SELECT partition, next FROM ordermill_progress ORDER BY partition";
        let before = self.database.rows(MOVED);
        member.wait_until(DONE_LIMIT, "every partition has moved", |_| {
            let now = self.database.rows(MOVED);
            before.iter().zip(&now).all(|(before, now)| before != now)
        });
    }

    /// Nothing lost, nothing twice: the rows are the generator's, and all progress stands at the end of the log, in the
    /// database and for Kafka's own tools. To be asked when no member is left.
    pub(super) fn assert_exact(&self, truth: Truth) {
        let rows = self.database.query("SELECT count(*), sum(o_totalprice) FROM orders");
        assert_eq!(rows, truth.row());
        let progress = self.database.query("SELECT sum(next) FROM ordermill_progress");
        assert_eq!(progress, truth.orders.to_string(), "progress in the database");
        self.assert_settled(truth.orders);
    }

    /// The group has left, stands at the end of a log of so many records, and refused none.
    pub(super) fn assert_settled(&self, records: u64) {
        let group = self.kafka.group(&self.group);
        assert_eq!(group.len(), usize::try_from(PARTITIONS).unwrap(), "{group:?}");
        for (partition, at) in &group {
            assert_eq!(at.committed, Some(at.end), "lag by Kafka's own tool: {partition:?}");
            assert_eq!(at.member, None, "still in the group: {partition:?}");
        }
        let there: i64 = group.values().map(|at| at.end).sum();
        assert_eq!(there, i64::try_from(records).unwrap(), "the topic's records");
        let dead: i64 = self.kafka.end_offsets(&dead_letters(&self.topic)).values().sum();
        assert_eq!(dead, 0, "a row made twice would be refused, and end here");
    }
}

/// Where the pipeline's dead letters go.
fn dead_letters(topic: &str) -> String {
    format!("{topic}.orders.dlq")
}

/// An order as `produce` reads it: a line of JSON. Without its lines, which no row needs.
pub(super) fn json_line(order: &Order<'_>) -> String {
    let event = serde_json::json!({
        "o_orderkey": order.o_orderkey,
        "o_custkey": order.o_custkey,
        "o_orderstatus": order.o_orderstatus.to_string(),
        "o_totalprice": order.o_totalprice.to_string(),
        "o_orderdate": order.o_orderdate.to_string(),
        "o_orderpriority": order.o_orderpriority.to_string(),
        "o_clerk": order.o_clerk.to_string(),
        "o_shippriority": order.o_shippriority,
        "o_comment": order.o_comment.to_string(),
        "lines": [],
    });
    format!("{event}\n")
}

const CONTRACT: &str = include_str!("../../../avro/tpch.orders-value/1.avsc");

/// The table, and a brake on it: the statement sleeps as long as `pace` says, inside its transaction.
const TABLE: &str = "
CREATE TABLE orders (
    o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus text NOT NULL,
    o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority text NOT NULL,
    o_clerk text NOT NULL, o_shippriority int NOT NULL, o_comment text NOT NULL);
CREATE TABLE pace (seconds float8 NOT NULL);
INSERT INTO pace VALUES (0);
CREATE FUNCTION brake() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(seconds) FROM pace WHERE seconds > 0; RETURN NULL; END';
CREATE TRIGGER brake AFTER INSERT ON orders FOR EACH STATEMENT EXECUTE FUNCTION brake()";
