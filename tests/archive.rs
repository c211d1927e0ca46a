//! An archive is read by others: fastavro finds every value, type and header that went in, and the chain sound.
//!
//! fastavro runs in the Python that `ORDERMILL_TEST_PYTHON` names; without it nothing is tested here, and that
//! is said.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::io::Write as _;
use std::process::Command;
use std::sync::Arc;

use bumpalo::Bump;
use ordermill::codec::{Schema, frame, json};
use ordermill::port::{BatchSink as _, Progress as _, Step, Wanted};
use ordermill::record::{
    Effects, NextOffset, Offset, OwnedRecord, PartitionId, Scope, TopicId, Value,
};
use ordermill::sink::archive::{Archive, Entries, Options};
use serde_json::{Value as Json, json as to_json};
use uuid::Uuid;

/// One field of each type that an event may have.
const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
    {"name":"id","type":{"type":"string","logicalType":"uuid"}},
    {"name":"paid","type":"boolean"},
    {"name":"quantity","type":"int"},
    {"name":"weight","type":"float"},
    {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}},
    {"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","OLD"]}},
    {"name":"seal","type":{"type":"fixed","name":"Seal","size":3}},
    {"name":"day","type":{"type":"int","logicalType":"date"}},
    {"name":"hour","type":{"type":"int","logicalType":"time-millis"}},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"either","type":["null","long","string"],"default":null},
    {"name":"tags","type":{"type":"map","values":"string"}},
    {"name":"lines","type":{"type":"array","items":
        {"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},{"name":"n","type":["null","int"]}]}}}]}"#;

fn orders() -> Vec<Json> {
    let full = to_json!({
        "id": "0190a1b2-0000-7000-8000-000000000001", "paid": true, "quantity": -7, "weight": 0.5,
        "price": "1234567890123.45", "status": "OLD", "seal": "AP8B", "day": "2026-01-05",
        "hour": "23:59:59.999", "at": "2026-01-05T10:00:00.123Z", "note": "schön\n\u{0}", "either": 5,
        "tags": { "a": "b", "": "c" }, "lines": [ { "sku": "x", "n": 1 }, { "sku": "", "n": null } ],
    });
    let mut bare = full.clone();
    for (field, value) in [
        ("note", Json::Null),
        ("either", to_json!("text")),
        ("tags", to_json!({})),
        ("lines", to_json!([])),
        ("price", to_json!("-0.01")),
    ] {
        bare[field] = value;
    }
    vec![full, bare]
}

#[tokio::test]
async fn another_library_reads_every_value_as_it_went_in() {
    let Some(python) = std::env::var_os("ORDERMILL_TEST_PYTHON") else {
        let said = "\n*** NOT TESTED: fastavro's reading of an archive. Set ORDERMILL_TEST_PYTHON to a Python with \
                    fastavro. ***\n";
        return std::io::stderr().write_all(said.as_bytes()).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path().to_str().unwrap()).await;

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/oracle/archive_oracle.py");
    let said = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let lines: Vec<Json> =
        said.stdout.split(|b| *b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect();
    let [full, bare, totals] = &lines[..] else { panic!("{lines:?}") };
    let event = to_json!({
        "id": "0190a1b2-0000-7000-8000-000000000001", "paid": true, "quantity": -7, "weight": 0.5,
        "price": "1234567890123.45", "status": "OLD", "seal": { "bytes": "00ff01" },
        "day": "2026-01-05", "hour": "23:59:59.999000", "at": "2026-01-05T10:00:00.123000+00:00",
        "note": "schön\n\u{0}", "either": 5, "tags": { "a": "b", "": "c" },
        "lines": [ { "sku": "x", "n": 1 }, { "sku": "", "n": null } ],
    });
    let entry = to_json!({
        "id": "the id", "topic": "orders", "partition": 3, "offset": 4,
        "timestamp": "2023-11-14T22:13:20.001000+00:00", "key": { "bytes": "6b00" },
        "headers": [ { "name": "a", "value": null }, { "name": "a", "value": { "bytes": "ff" } } ],
        "schema_id": u32::MAX, "event": event,
    });
    assert_eq!(full, &entry);
    assert_eq!((&bare["key"], &bare["timestamp"]), (&Json::Null, &Json::Null));
    let event = &bare["event"];
    assert_eq!((&event["note"], &event["either"]), (&Json::Null, &to_json!("text")));
    assert_eq!((&event["tags"], &event["lines"]), (&to_json!({}), &to_json!([])));
    assert_eq!(event["price"], to_json!("-0.01"));
    let chain = to_json!({ "partition": 3, "next": 10, "entries": 2, "objects": 3 });
    assert_eq!(totals["chains"], to_json!([chain]));
}

/// Three objects: an entry, nothing, an entry.
async fn write(to: &str) {
    let schema = Schema::parse(SCHEMA, &[]).unwrap();
    let shape = Arc::new(schema.shape());
    let entries = Entries::of(&shape).unwrap();
    let archive = Archive::new(Options { to: to.into(), pipeline: "audit".into(), entries });
    archive.bind().await.unwrap();
    let group: Arc<str> = "g".into();
    let wanted = Wanted {
        partition: PartitionId::new("orders", 3),
        topic_id: TopicId(Uuid::from_u128(1)),
        start: NextOffset(4),
        moved: None,
        committed: None,
    };
    let claim = archive.claim(&group, &[wanted]).await.unwrap().remove(0);
    let mut encoder = archive.encoder().unwrap();
    let bump = Bump::new();
    let orders = orders();
    for (from, to, order) in [(4, 5, Some(&orders[0])), (5, 8, None), (8, 10, Some(&orders[1]))] {
        let mut effects = Effects::default();
        if let Some(order) = order {
            let fields = json::read(&shape, order, &bump).unwrap();
            let mut scope = Scope::of(fields, &bump);
            (scope.id, scope.topic, scope.partition) =
                (Value::Str("the id"), Value::Str("orders"), Value::Int(3));
            let record = record(from == 4);
            encoder.encode(&scope, &record.at(Offset(from)), effects.buffer()).unwrap();
            effects.finish(Offset(from));
        }
        let (from, to, rows) = (NextOffset(from), NextOffset(to), 0..effects.len());
        let step =
            Step { claim: &claim, from, to, effects: &effects, rows, dead: &[], otherwise: None };
        archive.apply(step).await.unwrap();
    }
}

fn record(full: bool) -> OwnedRecord {
    let mut value = Vec::new();
    frame::put(u32::MAX, &mut value);
    match full {
        true => OwnedRecord {
            key: Some(b"k\0".to_vec()),
            value: Some(value),
            headers: vec![("a".into(), None), ("a".into(), Some(vec![0xff]))],
            timestamp: Some(1_700_000_000_001),
        },
        false => OwnedRecord { value: Some(value), ..OwnedRecord::default() },
    }
}
