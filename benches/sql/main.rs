//! Orders from Kafka into PostgreSQL, exactly once: the engine against a loop written by hand of the same effect,
//! and against raw binary COPY of the same rows. `make bench` starts the services; `BENCH_QUICK=1` makes it short.
//!
//! ```text
//! engine  run: `insert` with fenced progress, dead letters' outbox, ledger, metrics, commits to Kafka
//! hand    BaseConsumer::poll, the same decoder; BEGIN · offsets row · INSERT … unnest, sent together · COMMIT
//! copy    no Kafka: rows that are encoded already, one COPY of a batch after another on each connection
//! ```
//!
//! All have batches of 1,000 rows, 4 connections and the server's own `synchronous_commit`. Each arm is a process
//! of its own with a table, and where it has one a group, of its own. Time is from the first record in hand to the
//! last commit; CPU is that of the arm's own threads, without the server's. The arms take turns within a round,
//! each round in another order; a ratio is of one round, the median and the spread are over the rounds. After each
//! arm its table is counted by SQL: rows, the sum of a column, no id twice, and progress at the end of the log;
//! else there is no score.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

mod copy;
mod engine;
mod hand;
#[path = "../consume/measure.rs"]
#[allow(dead_code, reason = "shared with the bench consume")]
mod measure;
#[path = "../consume/orders.rs"]
#[allow(dead_code, reason = "shared with the bench consume")]
mod orders;
mod store;

use std::process::{Command, Stdio};

use measure::Outcome;
use orders::Topic;
use serde::{Deserialize, Serialize};
use store::Store;

/// Rows of a transaction.
pub(crate) const BATCH: usize = 1_000;
pub(crate) const CONNECTIONS: usize = 4;

/// What an arm is told, in one variable: it is the mark of an arm's process too.
const ARM: &str = "BENCH_SQL_ARM";
const ARMS: [&str; 3] = ["engine", "hand", "copy"];

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) topic: Topic,
    /// With the schema of its own on the search path.
    pub(crate) postgres: String,
}

fn main() {
    if let Ok(told) = std::env::var(ARM) {
        return arm(&serde_json::from_str(&told).unwrap());
    }
    let service = |name: &str| std::env::var(format!("ORDERMILL_TEST_{name}"));
    let (Ok(kafka), Ok(registry), Ok(postgres)) =
        (service("KAFKA"), service("REGISTRY"), service("POSTGRES"))
    else {
        println!("sql: needs a broker, a registry and PostgreSQL: run make bench");
        return;
    };
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let (records, rounds) = if quick { (60_000, 5) } else { (2_000_000, 7) };
    let (topic, _) = orders::produce(&kafka, &registry, records);
    println!(
        "{records} orders in {} partitions, batches of {BATCH}, {CONNECTIONS} connections; {}",
        orders::PARTITIONS,
        Store::version(&postgres),
    );
    let mut table: Vec<Vec<Outcome>> = Vec::new();
    for round in 0..=rounds {
        let mut row: Vec<Option<Outcome>> = ARMS.map(|_| None).into();
        for turn in 0..ARMS.len() {
            let arm = (round + turn) % ARMS.len();
            row[arm] = Some(outcome(ARMS[arm], &topic, &postgres));
        }
        // The first one is not counted.
        if round > 0 {
            table.push(row.into_iter().flatten().collect());
        }
    }
    show(&table, rounds);
}

fn show(table: &[Vec<Outcome>], rounds: usize) {
    println!("{rounds} rounds after one that is not counted");
    for (arm, name) in ARMS.iter().enumerate() {
        let rate =
            median(table.iter().map(|row| row[arm].records as f64 * 1e9 / row[arm].wall_ns as f64));
        let cpu = median(table.iter().map(|row| row[arm].cpu_ns as f64 / row[arm].records as f64));
        println!(
            "  {name:6}  {:7.0} rows/s ({:.0} to {:.0}), own CPU {:5.0} ns a row",
            rate.1, rate.0, rate.2, cpu.1
        );
    }
    for (against, goal) in [(1, "goal 0.95"), (2, "aim 0.85 later")] {
        let ratio =
            median(table.iter().map(|row| row[against].wall_ns as f64 / row[0].wall_ns as f64));
        println!(
            "  engine against {} ({goal}): {:.2} x (rounds {:.2} to {:.2})",
            ARMS[against], ratio.1, ratio.0, ratio.2
        );
    }
}

/// Least, median and most.
fn median(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn arm(task: &Task) {
    let outcome = match task.topic.arm.as_str() {
        "engine" => engine::run(task),
        "hand" => hand::run(task),
        "copy" => copy::run(task),
        other => panic!("there is no arm {other}"),
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

/// Runs an arm in a process of its own, and counts what it left.
fn outcome(arm: &str, topic: &Topic, postgres: &str) -> Outcome {
    let store = Store::new(postgres);
    let group = format!("{arm}-{}", uuid::Uuid::new_v4());
    let topic = Topic { arm: arm.to_owned(), group, ..topic.clone() };
    let task = Task { topic, postgres: store.url.clone() };
    let ran = Command::new(std::env::current_exe().unwrap())
        .env(ARM, serde_json::to_string(&task).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(ran.status.success(), "arm {arm} ended with {}", ran.status);
    let outcome: Outcome = serde_json::from_slice(&ran.stdout).unwrap();
    let progress = match arm {
        "engine" => Some("ordermill_progress"),
        "hand" => Some("progress"),
        _ => None,
    };
    store.check(arm, task.topic.records, progress);
    outcome
}
