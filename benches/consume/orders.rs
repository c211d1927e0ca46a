//! The records: orders with lines, as an order service publishes them, and what reading them must give.

use std::time::Duration;

use bumpalo::Bump;
use ordermill::codec::{Encoder, Plan, Schema, frame};
use ordermill::kafka::{Admin, Settings};
use ordermill::port::{Admin as _, SchemaText, Schemas as _};
use ordermill::record::{Uses, Value};
use ordermill::registry::{self, Client};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::measure::Sums;

pub(crate) const PARTITIONS: i32 = 12;

const SCHEMA: &str = r#"{"type":"record","name":"OrderCreated","fields":[
    {"name":"order_id","type":{"type":"string","logicalType":"uuid"}},
    {"name":"product_name","type":"string"},
    {"name":"quantity","type":"int"},
    {"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"note","type":["null","string"]},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"sku","type":"string"},{"name":"quantity","type":"int"}]}}}]}"#;

/// Where an arm finds the records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Topic {
    pub(crate) arm: String,
    pub(crate) kafka: String,
    pub(crate) registry: String,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) schema_id: u32,
    pub(crate) records: u64,
    pub(crate) pinned: bool,
}

/// What each arm must find.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) places: u64,
    pub(crate) fields: u64,
}

/// Adds a place to a hash: each one to bits of its own, so that one twice or missing is seen.
pub(crate) fn place(partition: i32, offset: i64) -> u64 {
    scatter((u64::from(partition.cast_unsigned()) << 48) ^ offset.cast_unsigned())
}

/// Adds an order's id to a hash.
pub(crate) fn field(value: &Value<'_>) -> u64 {
    let Value::Uuid(id) = value else { panic!("{value:?} is no order id") };
    scatter(id.as_u64_pair().1)
}

fn scatter(bits: u64) -> u64 {
    let mixed = bits.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The plan of the engine's decoder, for arms without the engine: all fields.
pub(crate) fn plan() -> Plan {
    let schema = Schema::parse(SCHEMA, &[]).unwrap();
    Plan::compile(&schema, &schema, &Uses::All).unwrap()
}

/// What an arm without the engine does with a record.
#[inline]
pub(crate) fn decode(plan: &Plan, id: u32, value: &[u8], bump: &mut Bump, sums: &mut Sums) {
    let (found, body) = frame::split(value).unwrap();
    assert_eq!(found, id);
    sums.fields ^= field(&plan.decode(body, bump).unwrap()[0]);
    bump.reset();
}

/// Produces `records` orders into a topic of its own.
pub(crate) fn produce(kafka: &str, registry: &str, records: u64) -> (Topic, Expected) {
    let name = format!("bench.orders-{}", Uuid::new_v4());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let schema_id = runtime.block_on(async {
        let admin = Admin::new(&Settings::at(kafka)).unwrap();
        admin.create_topic(&name, PARTITIONS, 1).await.unwrap();
        let client = Client::new(&registry::Settings::new(registry)).unwrap();
        let text = SchemaText { text: SCHEMA.to_owned(), references: Vec::new() };
        client.register(&format!("{name}-value"), &text).await.unwrap()
    });
    let topic = Topic {
        arm: String::new(),
        kafka: kafka.to_owned(),
        registry: registry.to_owned(),
        name,
        group: String::new(),
        schema_id,
        records,
        pinned: false,
    };
    let expected = send(&topic);
    (topic, expected)
}

fn send(topic: &Topic) -> Expected {
    let producer: BaseProducer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &topic.kafka)
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .create()
        .unwrap();
    let schema = Schema::parse(SCHEMA, &[]).unwrap();
    let encoder = Encoder::compile(&schema, &schema.shape()).unwrap();
    let mut expected = Expected { records: topic.records, ..Expected::default() };
    let mut value = Vec::new();
    for n in 0..i64::try_from(topic.records).unwrap() {
        let (partition, offset) = ((n % 12) as i32, n / 12);
        value.clear();
        frame::put(topic.schema_id, &mut value);
        let id = encode(&encoder, n, &mut value);
        expected.places ^= place(partition, offset);
        expected.fields ^= field(&Value::Uuid(id));
        expected.bytes += value.len() as u64;
        let key = n.to_be_bytes();
        let mut record = BaseRecord::to(&topic.name).key(&key).payload(&value).partition(partition);
        while let Err((_, back)) = producer.send(record) {
            record = back;
            producer.poll(Duration::from_millis(5));
        }
        if n % 1_000 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(Duration::from_secs(120)).unwrap();
    expected
}

/// Appends the `n`th order; answers its id.
fn encode(encoder: &Encoder, n: i64, out: &mut Vec<u8>) -> Uuid {
    let id = Uuid::from_u128(
        0x0190_a1b2_0000_7000_8000_0000_0000_0000 + n.cast_unsigned() as u128 * 7_919,
    );
    let lines: Vec<[Value<'_>; 2]> =
        (0..1 + n % 4).map(|l| [Value::Str("lamp-brass-2"), Value::Int(l + 1)]).collect();
    let lines: Vec<Value<'_>> = lines.iter().map(|l| Value::Record(l)).collect();
    let values = [
        Value::Uuid(id),
        Value::Str(["desk lamp, brass", "writing desk", "chair, oak"][n as usize % 3]),
        Value::Int(n % 1_000),
        Value::Timestamp(1_767_607_200_000_000 + n * 1_000),
        if n % 2 == 0 {
            Value::Null
        } else {
            Value::Str("leave it at the door, ring the bell twice")
        },
        Value::List(&lines),
    ];
    encoder.encode(&values, out).unwrap();
    id
}
