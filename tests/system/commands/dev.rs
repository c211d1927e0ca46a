//! `dev`: a user's own files on an embedded bus, spoken to from a second process.

use rusqlite::Connection;

use super::end;
use crate::plain::SOON;
use crate::support::{Ordermill, Process};

const CONTRACT: &str = r#"{"type":"record","name":"Order","namespace":"com.example","fields":[{"name":"n","type":"long"},{"name":"note","type":"string"}]}"#;
const PIPELINE: &str = "name: orders
source: { topic: shop.orders }
stages:
  - check: { rule: event.n > 0, reason: no number }
sink:
  sql: { database: shop, insert: { table: orders, conflict: ignore } }
";
const TABLES: &str = "CREATE TABLE IF NOT EXISTS orders (n INTEGER PRIMARY KEY, note TEXT);";
const EVENTS: &str = r#"{"n":1,"note":"one"}
{"n":2,"note":"two"}
{"n":0,"note":"none"}
{"n":3,"note":"three"}
"#;

fn dev(args: &[&str]) -> Ordermill {
    let args = ["dev", "orders.yaml"].into_iter().chain(args.iter().copied());
    Ordermill::new(args)
        .with_http()
        .file("orders.yaml", PIPELINE)
        .file("tables.sql", TABLES)
        .file("avro/shop.orders-value/1.avsc", CONTRACT)
}

/// A command as the second terminal runs it, with what the first one printed.
fn beside(dev: &Process, args: &[&str]) -> Ordermill {
    let mut mill = Ordermill::new(args);
    for line in dev.stdout().lines() {
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        mill = mill.env(name, value);
    }
    mill
}

#[test]
fn what_a_second_process_produces_has_its_effect_in_sqlite() {
    let mut dev = dev(&["--sql", "tables.sql", "--partitions", "3"]).start();
    dev.wait_until(SOON, "it says how to speak to it", |dev| dev.stdout().lines().count() == 2);
    let produce = ["produce", "shop.orders", "events.jsonl", "--key", "n"];
    let (code, _, error) = end(beside(&dev, &produce).file("events.jsonl", EVENTS));
    assert_eq!(code, Some(0), "{error}");
    let file = dev.dir().join("ordermill-dev/shop.sqlite");
    dev.wait_until(SOON, "the rows are there", |_| {
        let shop = Connection::open(&file).unwrap();
        let count = |row: &rusqlite::Row<'_>| row.get::<_, u32>(0);
        shop.query_row("SELECT count(*) FROM orders", [], count).unwrap() == 3
    });
    // the fourth stands in the dead-letter topic, and the group's place is Kafka's to tell
    let describe =
        ["group", "describe", "ordermill.orders", "--topic", "shop.orders", "-o", "json"];
    dev.wait_until(SOON, "the group has committed", |dev| {
        let (code, out, error) = end(beside(dev, &describe));
        assert_eq!(code, Some(0), "{error}");
        let said: serde_json::Value = serde_json::from_str(&out).unwrap();
        let partitions = said["partitions"].as_array().unwrap();
        assert_eq!(partitions.len(), 3, "{out}");
        let of = |key: &str| partitions.iter().map(|p| p[key].as_u64().unwrap_or(0)).sum::<u64>();
        (of("end"), of("committed")) == (4, 4)
    });
    dev.sigterm();
    assert_eq!(dev.wait_exit(SOON), Some(0), "{}", dev.stderr());
}

#[test]
fn a_folder_has_one_dev_at_a_time() {
    let mut first = dev(&["--sql", "tables.sql"]).start();
    first.wait_until(SOON, "it has begun", |dev| dev.stdout().lines().count() == 2);
    let folder = first.dir().join("ordermill-dev").to_string_lossy().into_owned();
    let (code, out, error) = end(dev(&["--folder", &folder]));
    assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
    assert!(error.contains("another process") && error.contains("--folder"), "{error}");
    first.sigterm();
    assert_eq!(first.wait_exit(SOON), Some(0), "{}", first.stderr());
}

#[test]
fn a_table_that_is_missing_is_said_with_what_makes_it() {
    let (code, out, error) = end(dev(&[]));
    assert_eq!((code, out.as_str()), (Some(78), ""), "{error}");
    assert!(error.contains("orders") && error.contains("--sql"), "{error}");
}
