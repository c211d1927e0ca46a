//! The records: small events in 24 partitions, 10,000 keys.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ordermill::codec::frame;
use ordermill::kafka::{Admin, Producer, Settings};
use ordermill::port::{Admin as _, Outgoing, SchemaText, Schemas as _};
use ordermill::record::OwnedRecord;
use ordermill::registry::{self, Client};
use uuid::Uuid;

pub(crate) const PARTITIONS: i32 = 24;
const KEYS: u64 = 10_000;
const SCHEMA: &str = r#"{"type":"record","name":"Noted","fields":[{"name":"n","type":"long"}]}"#;

/// A topic of its own, and what its records are.
pub(crate) struct Topic {
    pub(crate) name: String,
    kafka: String,
    schema_id: u32,
}

impl Topic {
    pub(crate) fn new(kafka: &str, registry: &str) -> Self {
        let name = format!("bench.scale-{}", Uuid::new_v4());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let schema_id = runtime.block_on(async {
            let admin = Admin::new(&Settings::at(kafka)).unwrap();
            admin.create_topic(&name, PARTITIONS, 1).await.unwrap();
            let text = SchemaText { text: SCHEMA.to_owned(), references: Vec::new() };
            let client = Client::new(&registry::Settings::new(registry)).unwrap();
            client.register(&format!("{name}-value"), &text).await.unwrap()
        });
        Self { name, kafka: kafka.to_owned(), schema_id }
    }

    /// Puts so many records there, as fast as they go.
    pub(crate) fn fill(&self, records: u64) {
        self.produce(|n| n < records);
    }

    /// Puts so many records a second there until it is told to stop.
    pub(crate) fn feed(&self, a_second: u64, stop: &AtomicBool) {
        let began = Instant::now();
        self.produce(|n| {
            let due = began + Duration::from_nanos(n * 1_000_000_000 / a_second);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            !stop.load(Ordering::Relaxed)
        });
    }

    /// One after the other into each partition. A key begins with its partition, so that an effect knows where it is from.
    fn produce(&self, more: impl Fn(u64) -> bool) {
        let mut value = Vec::new();
        frame::put(self.schema_id, &mut value);
        value.push(0);
        let mut bulk = Producer::new(&Settings::at(&self.kafka)).unwrap().bulk(20_000);
        let name: Arc<str> = Arc::from(self.name.as_str());
        let records = (0..).take_while(|n| more(*n));
        let records = records.map(|n| {
            let partition = (n % PARTITIONS as u64) as i32;
            // a multiplier that is prime to it walks through all keys
            let key = Some(format!("{partition}/{}", n * 7_919 % KEYS).into_bytes());
            let record = OwnedRecord { key, value: Some(value.clone()), ..OwnedRecord::default() };
            let topic = Arc::clone(&name);
            bulk.push(&Outgoing { topic, partition: Some(partition), record });
        });
        let records = records.count() as u64;
        let counts = bulk.finish(Duration::from_secs(120));
        assert_eq!(counts.delivered, records, "{counts:?}");
    }
}
