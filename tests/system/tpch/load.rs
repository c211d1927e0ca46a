//! One load: a topic of orders, both pipelines, the tables that they fill.

use std::iter;
use std::time::Duration;

use ordermill::cli::tpch::{CONTRACT, Orders};
use ordermill::record::OwnedRecord;

use super::answers::{Answers, QUERIES};
use crate::plain::send;
use crate::support::{Kafka, Kind, Letter, Ordermill, Postgres, Process, Services, letters};

const PIPELINES: [(&str, &str); 2] = [
    ("tpch-orders", include_str!("../../../pipelines/tpch-orders.yaml")),
    ("tpch-lineitem", include_str!("../../../pipelines/tpch-lineitem.yaml")),
];
const PARTITIONS: u32 = 12;
const SUBJECT: &str = "tpch.orders-value";
/// One record in so many is bad, where some are.
const BAD_EVERY: usize = 100;
/// Where the kinds of unknown ids stand among all.
const UNKNOWN_IDS_AT: usize = 3;
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
            kafka().create_topic(&load.dead_letter_topic(name), PARTITIONS, &[]);
        }
        load
    }

    /// Produces all orders of the scale.
    pub(super) fn produce(&self) {
        let scale = self.scale.to_string();
        let args = ["produce", &self.topic, "--subject", SUBJECT, "--tpch", &scale];
        let mut producer = self.mill(Ordermill::new(args)).start();
        assert_eq!(producer.wait_exit(PRODUCED_WITHIN), Some(0), "{}", producer.stderr());
    }

    /// Produces all orders of the scale with 1 % bad records of all kinds among them, each behind the order that it
    /// was made of; the bad ones.
    pub(super) fn produce_with_bad(&self) -> Vec<(Kind, OwnedRecord)> {
        let id = Services::get().registry.register(SUBJECT, CONTRACT);
        let mut orders = Orders::new(self.scale, id).unwrap();
        let (mut bad, mut next, mut good) = (Vec::new(), None, 0);
        let all = iter::from_fn(|| {
            if let Some(bad) = next.take() {
                return Some(bad);
            }
            let record = orders.next_record().unwrap()?;
            good += 1;
            if good % (BAD_EVERY - 1) == 0 {
                // the unknown ids first: they are waited for all at once
                let kind = Kind::ALL[(UNKNOWN_IDS_AT + bad.len()) % Kind::ALL.len()];
                let spoilt = kind.of(&record, bad.len());
                bad.push((kind, spoilt.clone()));
                next = Some(spoilt);
            }
            Some(record)
        });
        send(&self.topic, all.map(|record| (None, record)));
        bad
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

    /// Dead letters on their way to their topics.
    pub(super) fn on_their_way(&self) -> i64 {
        self.database.query("SELECT count(*) FROM ordermill_outbox").parse().unwrap()
    }

    /// How many dead letters each pipeline has in its topic.
    pub(super) fn dead_letters(&self) -> [i64; 2] {
        PIPELINES.map(|(name, _)| kafka().end_offsets(&self.dead_letter_topic(name)).values().sum())
    }

    /// Each pipeline's dead letters as a stranger reads them.
    pub(super) fn letters(&self) -> [Vec<Letter>; 2] {
        let topics = PIPELINES.map(|(name, _)| self.dead_letter_topic(name));
        let all = letters(kafka(), &self.topic, &topics.each_ref().map(String::as_str));
        topics.map(|topic| all.iter().filter(|letter| letter.topic == topic).cloned().collect())
    }
}

fn kafka() -> &'static Kafka {
    &Services::get().kafka
}
