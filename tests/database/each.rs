//! The laws of `execute`, the same for both databases: a statement once for each effect, judged by a model that
//! runs one record after another and undoes what changed another number of rows than it must.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bumpalo::Bump;
use ordermill::database::{Database, Demand, SqlText};
use ordermill::port::{BatchSink, Claim, Future, Otherwise, Refusal, Step};
use ordermill::record::{
    DeadLetter, Effects, End, Fault, NextOffset, Offset, OwnedRecord, PartitionId, Position, Scope,
    TopicId, Type, Value,
};
use ordermill::sink::sql::{Column, Execute, ExecuteOptions, Slot};
use proptest::prelude::*;
use uuid::Uuid;

pub(crate) const TAKE: &str = "UPDATE stock SET available = available - :quantity WHERE sku = :sku AND available >= :quantity";

/// May change several rows, so that what it changed must be undone.
pub(crate) const TAKE_LIKE: &str = "UPDATE stock SET available = available - :quantity WHERE sku LIKE :sku AND available >= :quantity";

pub(crate) const ONE: Demand = Demand { rows: 1, drops: false };

/// A sink with two fields, `sku` and `quantity`.
pub(crate) fn sink(database: &Arc<Database>, sql: &str, demand: Option<Demand>) -> Execute {
    sink_of(database, sql, demand, &[("sku", Type::Str), ("quantity", Type::Int)])
}

pub(crate) fn sink_of(
    database: &Arc<Database>,
    sql: &str,
    demand: Option<Demand>,
    fields: &[(&str, Type)],
) -> Execute {
    let fields = fields.iter().enumerate().map(|(slot, (name, ty))| {
        let column: Arc<dyn Column> = Arc::new(Slot { slot, ty: ty.clone() });
        ((*name).to_owned(), column)
    });
    let statement = Arc::new(SqlText::parse(sql).unwrap());
    let options = ExecuteOptions { statement, fields: fields.collect(), demand };
    Execute::new(Arc::clone(database), options)
}

/// What a bind is refused for.
pub(crate) async fn refusal(
    database: &Arc<Database>,
    sql: &str,
    fields: &[(&str, Type)],
) -> String {
    let fault = sink_of(database, sql, None, fields).bind().await.unwrap_err();
    assert_eq!(fault.class, ordermill::record::Class::Fatal, "{fault}");
    fault.reason
}

/// Records of which each has one effect or several.
pub(crate) type Records = Vec<Vec<(String, i64)>>;

pub(crate) fn records(all: &[(&str, i64)]) -> Records {
    all.iter().map(|(sku, quantity)| vec![((*sku).to_owned(), *quantity)]).collect()
}

pub(crate) fn encode(sink: &Execute, records: &Records) -> Effects {
    let mut encoder = sink.encoder().unwrap();
    let bump = Bump::new();
    let mut effects = Effects::default();
    for (offset, record) in (0..).zip(records) {
        for (sku, quantity) in record {
            let values = [Value::Str(sku), Value::Int(*quantity)];
            let record = OwnedRecord::default();
            let scope = Scope::of(&values, &bump);
            encoder.encode(&scope, &record.at(Offset(offset)), effects.buffer()).unwrap();
            effects.finish(Offset(offset));
        }
    }
    effects
}

/// Stands for the task: books how records end, and has a letter for each rejected one.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) ends: Mutex<Vec<(i64, End)>>,
    pub(crate) asked: Mutex<u32>,
}

impl Book {
    pub(crate) fn ended(&self) -> Vec<i64> {
        self.ends.lock().unwrap().iter().map(|(offset, _)| *offset).collect()
    }
}

impl Otherwise for Book {
    fn end(&self, ends: Vec<(Offset, End)>) -> Future<'_, Result<Vec<DeadLetter>, Fault>> {
        *self.asked.lock().unwrap() += 1;
        let letters = ends.iter().filter(|(_, end)| matches!(end, End::Reject(_)));
        let letters = letters.map(|(offset, end)| letter(*offset, &end.to_string())).collect();
        *self.ends.lock().unwrap() = ends.into_iter().map(|(at, end)| (at.0, end)).collect();
        Box::pin(async move { Ok(letters) })
    }
}

fn letter(offset: Offset, why: &str) -> DeadLetter {
    DeadLetter {
        topic: "orders.dlq".into(),
        topic_id: TopicId(Uuid::from_u128(7)),
        position: Position { partition: PartitionId::new("orders.created", 0), offset },
        group: "group".into(),
        fault: Fault::poison("rejected", why),
        record: OwnedRecord { value: Some(b"order".to_vec()), ..OwnedRecord::default() },
    }
}

pub(crate) async fn apply(
    sink: &Execute,
    claim: &Claim,
    (from, to): (i64, i64),
    effects: &Effects,
    book: &Book,
) -> Result<(), Refusal> {
    let (from, to) = (NextOffset(from), NextOffset(to));
    let rows = 0..effects.len();
    let step = Step { claim, from, to, effects, rows, dead: &[], otherwise: Some(book) };
    sink.apply(step).await
}

/// What must become of the stock, and which records must end otherwise.
pub(crate) fn model(
    stock: &BTreeMap<String, i64>,
    records: &Records,
) -> (BTreeMap<String, i64>, Vec<i64>) {
    let mut stock = stock.clone();
    let mut ended = Vec::new();
    for (offset, record) in (0..).zip(records) {
        let before = stock.clone();
        let mut right = true;
        for (pattern, quantity) in record {
            let start = pattern.trim_end_matches('%');
            let matches = |sku: &str| match start == pattern {
                true => sku == start,
                false => sku.starts_with(start),
            };
            let mut changed = 0;
            for (_, available) in stock.iter_mut().filter(|(sku, _)| matches(sku)) {
                if *available >= *quantity {
                    *available -= quantity;
                    changed += 1;
                }
            }
            right &= changed == 1;
        }
        if !right {
            stock = before;
            ended.push(offset);
        }
    }
    (stock, ended)
}

/// Five articles.
pub(crate) fn stock() -> BTreeMap<String, i64> {
    [("a", 9), ("ab", 4), ("b", 12), ("ba", 0), ("c", 40)]
        .map(|(sku, n)| (sku.to_owned(), n))
        .into()
}

pub(crate) fn stock_sql() -> String {
    let rows: Vec<_> = stock().iter().map(|(sku, n)| format!("('{sku}', {n})")).collect();
    format!("DELETE FROM stock; INSERT INTO stock VALUES {}", rows.join(", "))
}

/// Records with one effect mostly, of which some match nothing, some several rows, some what is sold out.
pub(crate) fn some_records() -> impl Strategy<Value = Records> {
    let effect =
        (prop::sample::select(vec!["a", "ab", "b", "c", "d", "c%", "a%", "b%", "%"]), 0_i64..4);
    let effect = effect.prop_map(|(sku, quantity)| (sku.to_owned(), quantity));
    let record = prop_oneof![
        4 => effect.clone().prop_map(|effect| vec![effect]),
        1 => prop::collection::vec(effect, 1..4),
    ];
    prop::collection::vec(record, 1..150)
}
