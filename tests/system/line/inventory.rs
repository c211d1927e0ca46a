//! The shop's inventory as it ships: stock is deducted once for every order that can have it, and every order that
//! cannot have it is in the dead-letter topic.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use super::member::Member;
use crate::plain::{create_topics, settings};
use crate::support::{Ordermill, Postgres, Services, fresh, output};

const PIPELINE: &str = include_str!("../../../pipelines/inventory.yaml");
const CONTRACT: &str = include_str!("../../../avro/orders.created-value/1.avsc");
const LIMIT: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 6;
const ORDERS: u64 = 6_000;
const ARTICLES: u64 = 20;
/// Of each article.
const STOCK: u64 = 400;
/// Dead letters that the relay has on their way at once.
const UNDER_WAY: usize = 16;

/// An article, how much of it is wanted, and by whom.
struct Order {
    id: String,
    sku: String,
    quantity: i64,
}

/// Two pieces on average, three hundred times of each article: a third cannot be had. Every hundredth order wants too
/// much, as many want nothing, and some want what there is not.
fn orders() -> Vec<Order> {
    (0..ORDERS)
        .map(|n| {
            let scattered = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
            let quantity = match n % 100 {
                7 => 1_001,
                13 => 0,
                _ => i64::try_from(scattered % 3 + 1).unwrap(),
            };
            let sku = match n % 100 {
                23 => "no such article".to_owned(),
                _ => format!("sku-{}", scattered % ARTICLES),
            };
            Order { id: format!("0190a1b2-0000-7000-8000-{n:012x}"), sku, quantity }
        })
        .collect()
}

#[test]
fn stock_is_exact_after_a_kill_and_each_rejected_order_is_one_dead_letter() {
    let services = Services::get();
    let database = services.postgres.fresh_database();
    database.query(TABLE);
    database.query(&format!(
        "INSERT INTO stock SELECT 'sku-' || n, {STOCK} FROM generate_series(0, {}) n",
        ARTICLES - 1
    ));
    let (topic, group) = (fresh("orders"), fresh("group"));
    let dead = format!("{topic}.inventory.dlq");
    create_topics(&[&topic, &dead], PARTITIONS);
    let source = format!("source: {{ topic: {topic}, group: {group} }}");
    let pipeline = PIPELINE
        .replace("source: { topic: orders.created }", &source)
        .replace("    rows: 1\n", "    rows: 1\n    batch: { rows: 100 }\n    timeout: 3s\n")
        .replace("\nretry:", "\nlimits: { drain: 5s }\nretry:");
    let settings = settings(services.kafka.bootstrap(), services.registry.url(), database.url());
    let contract = format!("avro/{topic}-value/1.avsc");

    let orders = orders();
    let mut lines = String::new();
    for Order { id, sku, quantity } in &orders {
        let at = "2026-01-05T10:00:00Z";
        writeln!(
            lines,
            r#"{{"order_id":"{id}","product_name":"{sku}","quantity":{quantity},"created_at":"{at}"}}"#
        )
        .unwrap();
    }
    services.registry.register(&format!("{topic}-value"), CONTRACT);
    let mut produce = Ordermill::new(["produce", &topic, "orders.json", "--key", "order_id"])
        .file("ordermill.yaml", &settings)
        .file("orders.json", &lines)
        .start();
    assert_eq!(produce.wait_exit(LIMIT), Some(0), "{}", produce.stderr());

    let member = || {
        let mill = Ordermill::new(["run", "pipelines"]).with_http();
        let mill = mill.file("ordermill.yaml", &settings).file(&contract, CONTRACT);
        Member::new(mill.file("pipelines/inventory.yaml", &pipeline).start())
    };
    database.query("UPDATE pace SET seconds = 0.002");
    let mut killed = member();
    killed.wait_for_work();
    let consumed = killed.kill();
    database.query("UPDATE pace SET seconds = 0");
    let mut heir = member();
    let settled = "SELECT coalesce(sum(next), 0) FROM ordermill_progress";
    heir.wait_until(LIMIT, "all orders are settled and all letters sent", |_| {
        database.query(settled) == ORDERS.to_string()
            && database.query("SELECT count(*) FROM ordermill_outbox") == "0"
    });
    let consumed = consumed + heir.consumed();
    assert!(consumed > ORDERS, "{consumed} of {ORDERS}: nothing came twice");
    heir.leave();

    let rejected = dead_letters(&dead);
    judge(&orders, &rejected, &database);
}

/// The stock is what there was less what was not rejected, and each rejection is right.
#[track_caller]
fn judge(orders: &[Order], rejected: &BTreeMap<String, String>, database: &Postgres) {
    let mut taken: BTreeMap<&str, i64> = BTreeMap::new();
    for order in orders.iter().filter(|order| !rejected.contains_key(&order.id)) {
        *taken.entry(&order.sku).or_default() += order.quantity.max(0);
    }
    for row in database.rows("SELECT sku, available FROM stock") {
        let available: i64 = row[1].parse().unwrap();
        let of = |order: &&Order| order.sku == row[0];
        assert_eq!(available, STOCK as i64 - taken[row[0].as_str()], "{}", row[0]);
        assert!(available >= 0);
        // Stock never grows: what was refused could not be had at the end either.
        for order in orders.iter().filter(of).filter(|order| order.quantity <= 1_000) {
            let refused = rejected.contains_key(&order.id);
            assert!(!refused || order.quantity > available, "{} was to be had", order.id);
        }
    }
    for order in orders {
        let error = match (order.quantity, order.sku.as_str()) {
            (0, _) => None,
            (1_001, _) => Some("quantity out of range"),
            (_, "no such article") => Some("execute changed 0 rows, not 1"),
            _ => continue,
        };
        assert_eq!(rejected.get(&order.id).map(String::as_str), error, "{}", order.id);
    }
    let short = rejected.values().filter(|error| error.starts_with("execute")).count() as u64;
    assert!(short > ORDERS / 10, "{short} orders went short: the stock was never scarce");
}

/// The orders in the dead-letter topic by their id, and why each is there.
///
/// Each is one letter, by its id. The kill may have come between a letter's arrival and its end in the outbox: those that
/// were under way then may have come again.
#[track_caller]
fn dead_letters(topic: &str) -> BTreeMap<String, String> {
    let kafka = &Services::get().kafka;
    let count: i64 = kafka.end_offsets(topic).values().sum();
    let mut tool = kafka.tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    tool.args(["--topic", topic, "--from-beginning", "--max-messages", &count.to_string()]);
    for property in ["print.key=true", "print.headers=true", "print.value=false"] {
        tool.args(["--formatter-property", property]);
    }
    let said = output(&mut tool);
    let mut letters: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut repeated = 0;
    for line in said.lines() {
        let Some((headers, key)) = line.split_once('\t') else { continue };
        let header = |name: &str| {
            let (_, rest) = headers.split_once(&format!("x-dlq-{name}:")).unwrap();
            rest.split(",x-dlq-").next().unwrap().to_owned()
        };
        assert_eq!((header("class"), header("reason")), ("poison".into(), "rejected".into()));
        let letter = (header("id"), header("error"));
        if let Some(before) = letters.insert(key.to_owned(), letter.clone()) {
            assert_eq!(before, letter, "two letters of one order: {line}");
            repeated += 1;
        }
    }
    assert_eq!(i64::try_from(letters.len() + repeated).unwrap(), count);
    assert!(repeated <= UNDER_WAY, "{repeated} letters came again");
    let ids: BTreeSet<_> = letters.values().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), letters.len(), "two orders with one letter's id");
    letters.into_iter().map(|(order, (_, error))| (order, error)).collect()
}

/// The stock, and a brake on it: each statement takes as long as `pace` says.
const TABLE: &str = "
CREATE TABLE stock (sku text PRIMARY KEY, available int NOT NULL CHECK (available >= 0));
CREATE TABLE pace (seconds float8 NOT NULL);
INSERT INTO pace VALUES (0);
CREATE FUNCTION brake() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(seconds) FROM pace WHERE seconds > 0; RETURN NULL; END';
CREATE TRIGGER brake AFTER UPDATE ON stock FOR EACH STATEMENT EXECUTE FUNCTION brake()";
