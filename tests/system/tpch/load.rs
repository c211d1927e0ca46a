//! One load: a topic of orders, both pipelines, the tables that they fill.

use std::time::Duration;

use super::answers::{Answers, QUERIES};
use crate::support::{Kafka, Ordermill, Postgres, Process, Services};

const PIPELINES: [(&str, &str); 2] = [
    ("tpch-orders", include_str!("../../../pipelines/tpch-orders.yaml")),
    ("tpch-lineitem", include_str!("../../../pipelines/tpch-lineitem.yaml")),
];
const PARTITIONS: u32 = 12;
/// Producing scale 1 takes minutes in a build that is not optimized.
const PRODUCED_WITHIN: Duration = Duration::from_secs(1200);

/// A load with its own topic, groups and database.
#[derive(Debug)]
pub(super) struct Load {
    topic: String,
    scale: f64,
    database: Postgres,
}

impl Load {
    /// Makes topic, dead-letter topics and tables; nothing is produced yet.
    pub(super) fn new(topic: &str, scale: f64) -> Self {
        let database = Services::get().postgres.fresh_database();
        database.query(include_str!("../../tpch/tables.sql"));
        let load = Self { topic: topic.to_owned(), scale, database };
        kafka().create_topic(topic, PARTITIONS, &[]);
        for (name, _) in PIPELINES {
            kafka().create_topic(&load.dead_letter_topic(name), 1, &[]);
        }
        load
    }

    /// Produces all orders of the scale.
    pub(super) fn produce(&self) {
        let scale = self.scale.to_string();
        let args = ["produce", &self.topic, "--subject", "tpch.orders-value", "--tpch", &scale];
        let mut producer = self.mill(Ordermill::new(args)).start();
        assert_eq!(producer.wait_exit(PRODUCED_WITHIN), Some(0), "{}", producer.stderr());
    }

    /// Starts a process that runs both pipelines.
    pub(super) fn member(&self) -> Process {
        let mut mill = self.mill(Ordermill::new(["run", "pipelines"])).with_http();
        for (name, text) in PIPELINES {
            mill = mill.file(&format!("pipelines/{name}.yaml"), &self.pipeline(name, text));
        }
        mill.start()
    }

    /// The file as it ships, on this load's topic and in its group, with limits below a short session.
    fn pipeline(&self, name: &str, text: &str) -> String {
        let put = |text: String, old: &str, new: &str| {
            assert_eq!(text.matches(old).count(), 1, "{name} has not one {old:?}");
            text.replace(old, new)
        };
        let (topic, group) = (&self.topic, self.group(name));
        let source = format!("{{ topic: {topic}, group: {group}, schema: tpch.orders-value }}");
        let text = put(text.to_owned(), "{ topic: tpch.orders }", &source);
        let text = put(text, "database: orders\n", "database: orders\n    timeout: 3s\n");
        put(text, "\nretry:", "\nlimits: { drain: 4s }\nretry:")
    }

    fn mill(&self, mill: Ordermill) -> Ordermill {
        let (kafka, registry) = (kafka().bootstrap(), Services::get().registry.url());
        let settings = format!(
            "kafka: {{ bootstrap: '{kafka}', session_timeout: 6s }}\n\
             registry: {{ url: '{registry}' }}\n\
             databases: {{ orders: {{ postgres: {{ url: '{}' }} }} }}\n",
            self.database.url()
        );
        mill.file("ordermill.yaml", &settings)
    }

    fn group(&self, pipeline: &str) -> String {
        format!("{}.{pipeline}", self.topic)
    }

    fn dead_letter_topic(&self, pipeline: &str) -> String {
        format!("{}.{pipeline}.dlq", self.topic)
    }

    /// How many records both pipelines have to work.
    pub(super) fn to_do(&self) -> i64 {
        let orders = kafka().end_offsets(&self.topic).values().sum::<i64>();
        orders * PIPELINES.len() as i64
    }

    /// How many they have worked, as the database has it committed.
    pub(super) fn done(&self) -> i64 {
        // the first claim makes the table
        match self.database.try_query("SELECT coalesce(sum(next), 0) FROM ordermill_progress") {
            Ok(sum) => sum.parse().unwrap(),
            Err(said) if said.contains("does not exist") => 0,
            Err(said) => panic!("{said}"),
        }
    }

    /// What the queries answer now.
    pub(super) fn answers(&self) -> Answers {
        let answer = |(name, sql): (&str, &str)| (name.to_owned(), self.database.rows(sql));
        QUERIES.into_iter().map(answer).collect()
    }

    /// Records that the groups have not committed to Kafka.
    pub(super) fn lag(&self) -> i64 {
        PIPELINES.iter().map(|(name, _)| kafka().lag(&self.group(name), &self.topic)).sum()
    }

    /// Dead letters: in their topics, and on their way there.
    pub(super) fn dead_letters(&self) -> i64 {
        let of = |name: &str| kafka().end_offsets(&self.dead_letter_topic(name));
        let there: i64 = PIPELINES.iter().flat_map(|(name, _)| of(name).into_values()).sum();
        let waiting = self.database.query("SELECT count(*) FROM ordermill_outbox");
        there + waiting.parse::<i64>().unwrap()
    }
}

fn kafka() -> &'static Kafka {
    &Services::get().kafka
}
