//! The decoder against the two libraries, on orders with their lines: `cargo bench --bench decode`.
//!
//! Every round runs all contestants over the same records, one after the other, so that what slows the
//! machine slows them all; a ratio is of one round, and the median and the spread are over the rounds.
//! Before a race is timed, everybody's values are compared: a wrong result has no score.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

use std::hint::black_box;
use std::time::Instant;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as AvroValue;
use bumpalo::Bump;
use ordermill::codec::{Encoder, Plan, Schema};
use ordermill::record::{Uses, Value};
use rust_decimal::Decimal;
use serde::Deserialize;
use tpchgen::generators::{LineItemGenerator, OrderGenerator};
use uuid::Uuid;

/// Timed rounds, after one that is not counted.
const ROUNDS: usize = 11;
/// How often each batch is taken in a round.
const TRIES: usize = 5;
/// Records between two resets of the arena, as in a batch.
const BATCH: usize = 500;

const TPCH: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"o_orderkey","type":"long"},
    {"name":"o_custkey","type":"long"},
    {"name":"o_orderstatus","type":"string"},
    {"name":"o_totalprice","type":DECIMAL},
    {"name":"o_orderdate","type":{"type":"int","logicalType":"date"}},
    {"name":"o_orderpriority","type":"string"},
    {"name":"o_clerk","type":"string"},
    {"name":"o_shippriority","type":"int"},
    {"name":"o_comment","type":"string"},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"l_linenumber","type":"int"},
        {"name":"l_partkey","type":"long"},
        {"name":"l_suppkey","type":"long"},
        {"name":"l_quantity","type":DECIMAL},
        {"name":"l_extendedprice","type":DECIMAL},
        {"name":"l_discount","type":DECIMAL},
        {"name":"l_tax","type":DECIMAL},
        {"name":"l_returnflag","type":"string"},
        {"name":"l_linestatus","type":"string"},
        {"name":"l_shipdate","type":{"type":"int","logicalType":"date"}},
        {"name":"l_commitdate","type":{"type":"int","logicalType":"date"}},
        {"name":"l_receiptdate","type":{"type":"int","logicalType":"date"}},
        {"name":"l_shipinstruct","type":"string"},
        {"name":"l_shipmode","type":"string"},
        {"name":"l_comment","type":"string"}]}}}]}"#;
const DECIMAL: &str = r#"{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}"#;

const SMALL: &str = r#"{"type":"record","name":"OrderCreated","fields":[
    {"name":"order_id","type":{"type":"string","logicalType":"uuid"}},
    {"name":"product_name","type":"string"},
    {"name":"quantity","type":"int"},
    {"name":"created_at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"note","type":["null","string"]},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"sku","type":"string"},{"name":"quantity","type":"int"}]}}}]}"#;

/// What `D` is, is the race's business: an exact decimal, or the bytes of one.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what is decoded need not be read to cost what it costs")]
struct Order<'a, D> {
    o_orderkey: i64,
    o_custkey: i64,
    o_orderstatus: &'a str,
    o_totalprice: D,
    o_orderdate: i32,
    o_orderpriority: &'a str,
    o_clerk: &'a str,
    o_shippriority: i32,
    o_comment: &'a str,
    #[serde(borrow)]
    lines: Vec<Line<'a, D>>,
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "as above")]
struct Line<'a, D> {
    l_linenumber: i32,
    l_partkey: i64,
    l_suppkey: i64,
    l_quantity: D,
    l_extendedprice: D,
    l_discount: D,
    l_tax: D,
    l_returnflag: &'a str,
    l_linestatus: &'a str,
    l_shipdate: i32,
    l_commitdate: i32,
    l_receiptdate: i32,
    l_shipinstruct: &'a str,
    l_shipmode: &'a str,
    l_comment: &'a str,
}

#[derive(Deserialize)]
struct OrderTwo<'a> {
    o_custkey: i64,
    o_orderpriority: &'a str,
}

#[derive(Deserialize)]
struct Small<'a> {
    order_id: Uuid,
    product_name: &'a str,
    quantity: i32,
    created_at: i64,
    note: Option<&'a str>,
    #[serde(borrow)]
    lines: Vec<SmallLine<'a>>,
}

#[derive(Deserialize)]
struct SmallLine<'a> {
    sku: &'a str,
    quantity: i32,
}

#[derive(Deserialize)]
struct SmallTwo<'a> {
    product_name: &'a str,
    quantity: i32,
}

/// A sum of everything in a record that depends on the order of its values.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Sum(u64);

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn int(&mut self, v: i64) {
        self.add(&v.to_le_bytes());
    }
    fn decimal(&mut self, v: Decimal) {
        self.add(&v.mantissa().to_le_bytes());
    }
    fn ours(&mut self, value: &Value<'_>) {
        match value {
            Value::Null => self.add(b"null"),
            Value::Int(v) | Value::Timestamp(v) => self.int(*v),
            Value::Date(v) => self.int(i64::from(*v)),
            Value::Decimal(v) => self.decimal(*v),
            Value::Str(v) => self.add(v.as_bytes()),
            Value::Bytes(v) => self.add(v),
            Value::Uuid(v) => self.add(v.as_bytes()),
            Value::List(values) | Value::Record(values) => values.iter().for_each(|v| self.ours(v)),
            other => panic!("{other:?} is in no schema here"),
        }
    }
    fn apache(&mut self, value: &AvroValue) {
        match value {
            AvroValue::Null => self.add(b"null"),
            AvroValue::Int(v) | AvroValue::Date(v) => self.int(i64::from(*v)),
            AvroValue::Long(v) => self.int(*v),
            AvroValue::TimestampMillis(v) => self.int(v * 1_000),
            AvroValue::Decimal(v) => {
                let bytes: Vec<u8> = v.try_into().unwrap();
                let sign = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [sign; 16];
                wide[16 - bytes.len()..].copy_from_slice(&bytes);
                self.add(&i128::from_be_bytes(wide).to_le_bytes());
            }
            AvroValue::String(v) => self.add(v.as_bytes()),
            AvroValue::Bytes(v) => self.add(v),
            AvroValue::Uuid(v) => self.add(v.as_bytes()),
            AvroValue::Union(_, v) => self.apache(v),
            AvroValue::Array(values) => values.iter().for_each(|v| self.apache(v)),
            AvroValue::Record(fields) => fields.iter().for_each(|(_, v)| self.apache(v)),
            other => panic!("{other:?} is in no schema here"),
        }
    }
    fn order<D>(&mut self, o: &Order<'_, D>, add: fn(&mut Sum, &D)) {
        self.int(o.o_orderkey);
        self.int(o.o_custkey);
        self.add(o.o_orderstatus.as_bytes());
        add(self, &o.o_totalprice);
        self.int(i64::from(o.o_orderdate));
        self.add(o.o_orderpriority.as_bytes());
        self.add(o.o_clerk.as_bytes());
        self.int(i64::from(o.o_shippriority));
        self.add(o.o_comment.as_bytes());
        for l in &o.lines {
            self.int(i64::from(l.l_linenumber));
            self.int(l.l_partkey);
            self.int(l.l_suppkey);
            for d in [&l.l_quantity, &l.l_extendedprice, &l.l_discount, &l.l_tax] {
                add(self, d);
            }
            self.add(l.l_returnflag.as_bytes());
            self.add(l.l_linestatus.as_bytes());
            for date in [l.l_shipdate, l.l_commitdate, l.l_receiptdate] {
                self.int(i64::from(date));
            }
            for text in [l.l_shipinstruct, l.l_shipmode, l.l_comment] {
                self.add(text.as_bytes());
            }
        }
    }
    fn small(&mut self, o: &Small<'_>) {
        self.add(o.order_id.as_bytes());
        self.add(o.product_name.as_bytes());
        self.int(i64::from(o.quantity));
        self.int(o.created_at * 1_000);
        self.add(o.note.unwrap_or("null").as_bytes());
        for line in &o.lines {
            self.add(line.sku.as_bytes());
            self.int(i64::from(line.quantity));
        }
    }
}

fn main() {
    let orders = tpch_orders();
    println!("{} TPC-H orders, {} bytes each on average", orders.len(), mean_bytes(&orders));
    let text = TPCH.replace("DECIMAL", DECIMAL);
    let race = Race::new("TPC-H order", &text, &orders, &["o_custkey", "o_orderpriority"]);
    race.all(|order: &Order<'_, Decimal>, sum| sum.order(order, |sum, d| sum.decimal(*d)));
    race.two(|o: &OrderTwo<'_>, sum| {
        sum.int(o.o_custkey);
        sum.add(o.o_orderpriority.as_bytes());
    });
    race.apache();
    let text = TPCH.replace("DECIMAL", "\"bytes\"");
    let race = Race::new("the same, decimals left as bytes", &text, &orders, &[]);
    race.all(|order: &Order<'_, &[u8]>, sum| sum.order(order, |sum, d| sum.add(d)));

    let orders = small_orders();
    println!("\n{} small orders, {} bytes each on average", orders.len(), mean_bytes(&orders));
    let race = Race::new("small order", SMALL, &orders, &["product_name", "quantity"]);
    race.all(|order: &Small<'_>, sum| sum.small(order));
    race.two(|o: &SmallTwo<'_>, sum| {
        sum.add(o.product_name.as_bytes());
        sum.int(i64::from(o.quantity));
    });
    race.apache();
}

/// The same records for everybody.
struct Race<'r> {
    name: &'static str,
    records: &'r [Vec<u8>],
    all: Plan,
    two: Plan,
    fast: serde_avro_fast::Schema,
    apache: apache_avro::Schema,
}

impl<'r> Race<'r> {
    fn new(name: &'static str, text: &str, records: &'r [Vec<u8>], fields: &[&str]) -> Self {
        let schema = Schema::parse(text, &[]).unwrap();
        let mut uses = Uses::nothing();
        for field in fields {
            uses.add(&[field]);
        }
        Self {
            name,
            records,
            all: Plan::compile(&schema, &schema, &Uses::All).unwrap(),
            two: Plan::compile(&schema, &schema, &uses).unwrap(),
            fast: text.parse().unwrap(),
            apache: apache_avro::Schema::parse_str(text).unwrap(),
        }
    }

    fn all<T: Deserialize<'r>>(&self, sum: impl Fn(&T, &mut Sum)) {
        self.against_serde("all fields", &self.all, sum);
    }

    fn two<T: Deserialize<'r>>(&self, sum: impl Fn(&T, &mut Sum)) {
        self.against_serde("two fields", &self.two, sum);
    }

    fn against_serde<T: Deserialize<'r>>(
        &self,
        fields: &str,
        plan: &Plan,
        sum: impl Fn(&T, &mut Sum),
    ) {
        let bump = Bump::new();
        for record in self.records {
            let mut ours = Sum::default();
            plan.decode(record, &bump).unwrap().iter().for_each(|v| ours.ours(v));
            let mut theirs = Sum::default();
            sum(&serde_avro_fast::from_datum_slice::<T>(record, &self.fast).unwrap(), &mut theirs);
            assert_eq!(ours, theirs, "{}: {fields}", self.name);
        }
        let title = format!("{}, {fields}, against serde_avro_fast (goal 1.0)", self.name);
        self.compare(&title, plan, |record| {
            black_box(serde_avro_fast::from_datum_slice::<T>(record, &self.fast).unwrap());
        });
    }

    fn apache(&self) {
        let reader = GenericDatumReader::builder(&self.apache).build().unwrap();
        let bump = Bump::new();
        for record in self.records {
            let (mut ours, mut theirs) = (Sum::default(), Sum::default());
            self.all.decode(record, &bump).unwrap().iter().for_each(|v| ours.ours(v));
            theirs.apache(&reader.read_value(&mut &record[..]).unwrap());
            assert_eq!(ours, theirs, "{}: apache-avro", self.name);
        }
        let title = format!("{}, all fields, against apache-avro's Value (goal 3.0)", self.name);
        self.compare(&title, &self.all, |record| {
            black_box(reader.read_value(&mut &record[..]).unwrap());
        });
    }

    /// Prints how many times as long as the plan the others take. In a round both take each batch in turn,
    /// several times, and the least counts: what else runs on the machine only ever adds.
    fn compare(&self, title: &str, plan: &Plan, theirs: impl Fn(&'r [u8])) {
        let mut bump = Bump::new();
        let mut rounds = Vec::new();
        for _ in 0..=ROUNDS {
            let mut total = [0.0, 0.0];
            for batch in self.records.chunks(BATCH) {
                let mut least = [f64::MAX, f64::MAX];
                for _ in 0..TRIES {
                    let start = Instant::now();
                    for record in batch {
                        black_box(plan.decode(record, &bump).unwrap());
                    }
                    bump.reset();
                    let middle = Instant::now();
                    batch.iter().for_each(|record| theirs(record));
                    least[0] = least[0].min((middle - start).as_secs_f64());
                    least[1] = least[1].min(middle.elapsed().as_secs_f64());
                }
                total = [total[0] + least[0], total[1] + least[1]];
            }
            rounds.push(total.map(|seconds| seconds * 1e9 / self.records.len() as f64));
        }
        rounds.remove(0);
        rounds.sort_by(|a, b| (a[1] / a[0]).total_cmp(&(b[1] / b[0])));
        let ratio = |round: usize| rounds[round][1] / rounds[round][0];
        println!(
            "{title}: {:.2} x (rounds {:.2} to {:.2}); {:.0} ns against {:.0} ns a record",
            ratio(ROUNDS / 2),
            ratio(0),
            ratio(ROUNDS - 1),
            rounds[ROUNDS / 2][0],
            rounds[ROUNDS / 2][1],
        );
    }
}

fn mean_bytes(records: &[Vec<u8>]) -> usize {
    records.iter().map(Vec::len).sum::<usize>() / records.len()
}

/// The orders of TPC-H with their lines, encoded.
fn tpch_orders() -> Vec<Vec<u8>> {
    const PARTS: i32 = 300;
    let schema = Schema::parse(&TPCH.replace("DECIMAL", DECIMAL), &[]).unwrap();
    let encoder = Encoder::compile(&schema, &schema.shape()).unwrap();
    let mut lines = LineItemGenerator::new(1.0, 1, PARTS).iter().peekable();
    let money = |cents: i64| Value::Decimal(Decimal::new(cents, 2));
    let orders = OrderGenerator::new(1.0, 1, PARTS);
    orders
        .iter()
        .map(|order| {
            let bump = Bump::new();
            let mut items = Vec::new();
            while let Some(l) = lines.next_if(|l| l.l_orderkey == order.o_orderkey) {
                items.push(Value::Record(bump.alloc_slice_copy(&[
                    Value::Int(i64::from(l.l_linenumber)),
                    Value::Int(l.l_partkey),
                    Value::Int(l.l_suppkey),
                    money(l.l_quantity * 100),
                    money(l.l_extendedprice.0),
                    money(l.l_discount.0),
                    money(l.l_tax.0),
                    Value::Str(bump.alloc_str(l.l_returnflag)),
                    Value::Str(l.l_linestatus),
                    Value::Date(l.l_shipdate.to_unix_epoch()),
                    Value::Date(l.l_commitdate.to_unix_epoch()),
                    Value::Date(l.l_receiptdate.to_unix_epoch()),
                    Value::Str(bump.alloc_str(l.l_shipinstruct)),
                    Value::Str(bump.alloc_str(l.l_shipmode)),
                    Value::Str(bump.alloc_str(l.l_comment)),
                ])));
            }
            let values = [
                Value::Int(order.o_orderkey),
                Value::Int(order.o_custkey),
                Value::Str(bump.alloc_str(&order.o_orderstatus.to_string())),
                money(order.o_totalprice.0),
                Value::Date(order.o_orderdate.to_unix_epoch()),
                Value::Str(order.o_orderpriority),
                Value::Str(bump.alloc_str(&order.o_clerk.to_string())),
                Value::Int(i64::from(order.o_shippriority)),
                Value::Str(order.o_comment),
                Value::List(&items),
            ];
            let mut body = Vec::new();
            encoder.encode(&values, &mut body).unwrap();
            body
        })
        .collect()
}

/// Orders as the order service publishes them.
fn small_orders() -> Vec<Vec<u8>> {
    let schema = Schema::parse(SMALL, &[]).unwrap();
    let encoder = Encoder::compile(&schema, &schema.shape()).unwrap();
    (0..5_000i64)
        .map(|n| {
            let lines: Vec<[Value<'_>; 2]> =
                (0..n % 4).map(|l| [Value::Str("lamp-brass-2"), Value::Int(l + 1)]).collect();
            let lines: Vec<Value<'_>> = lines.iter().map(|l| Value::Record(l)).collect();
            let values = [
                Value::Uuid(Uuid::from_u128(
                    0x0190_a1b2_0000_7000_8000_0000_0000_0000 + n as u128 * 7_919,
                )),
                Value::Str(["lamp", "writing desk", "chair, oak"][n as usize % 3]),
                Value::Int(n % 1_000),
                Value::Timestamp(1_767_607_200_000_000 + n * 1_000),
                if n % 2 == 0 { Value::Null } else { Value::Str("leave at the door") },
                Value::List(&lines),
            ];
            let mut body = Vec::new();
            encoder.encode(&values, &mut body).unwrap();
            body
        })
        .collect()
}
