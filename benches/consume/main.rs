//! Consume, decode, do nothing: the whole engine against loops written by hand, on a real broker.
//! `make bench` starts the services; `BENCH_QUICK=1` makes it short.
//!
//! ```text
//! engine  run_with: group, tasks, tracking, ledger, metrics, commits; a sink that does nothing
//! poll    BaseConsumer::poll in a loop, the same decoder, commits each second
//! batch   rd_kafka_consume_batch_queue on one queue of our own, the same decoder, commits each second
//! ```
//!
//! Each arm is a process of its own and reads the whole topic in a group of its own, with the same settings
//! of the client. CPU is that of all of its threads (schedstat) from the first record in hand to the last
//! one done. The arms take turns within a round, each round in another order; a ratio is of one round, the
//! median and the spread are over the rounds. Each arm tells how many records it had and two hashes, one of
//! their places and one of a decoded field: unless they are those of what was produced there is no score.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

mod batch;
mod engine;
mod measure;
mod orders;
mod poll;

use std::process::{Command, Stdio};

use measure::Outcome;
use orders::{Expected, Topic};

/// What an arm is told, in one variable: it is the mark of an arm's process too.
const ARM: &str = "BENCH_CONSUME_ARM";
const ARMS: [&str; 3] = ["engine", "poll", "batch"];

fn main() {
    if let Ok(told) = std::env::var(ARM) {
        return arm(&serde_json::from_str(&told).unwrap());
    }
    let (Ok(kafka), Ok(registry)) =
        (std::env::var("ORDERMILL_TEST_KAFKA"), std::env::var("ORDERMILL_TEST_REGISTRY"))
    else {
        println!("consume: needs a broker and a registry: run make bench");
        return;
    };
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let (records, rounds) = if quick { (400_000, 5) } else { (2_000_000, 7) };
    let (topic, expected) = orders::produce(&kafka, &registry, records);
    println!(
        "{records} orders in {} partitions, {} bytes each on average, lz4; client {}",
        orders::PARTITIONS,
        expected.bytes / records,
        rdkafka::util::get_rdkafka_version().1,
    );
    for (key, value) in measure::client_settings() {
        println!("  {key}={value}");
    }
    series("client on one core", &topic, &expected, rounds, true);
    if !quick {
        series("client on all cores", &topic, &expected, rounds, false);
    }
}

fn arm(topic: &Topic) {
    if topic.pinned {
        measure::pin();
    }
    let outcome = match topic.arm.as_str() {
        "engine" => engine::run(topic),
        "poll" => poll::run(topic),
        "batch" => batch::run(topic),
        other => panic!("there is no arm {other}"),
    };
    println!("{}", serde_json::to_string(&outcome).unwrap());
}

fn series(title: &str, topic: &Topic, expected: &Expected, rounds: usize, pinned: bool) {
    println!("\n{title}, {rounds} rounds after one that is not counted");
    let mut table: Vec<Vec<Outcome>> = Vec::new();
    for round in 0..=rounds {
        let mut row: Vec<Option<Outcome>> = ARMS.map(|_| None).into();
        for turn in 0..ARMS.len() {
            let arm = (round + turn) % ARMS.len();
            row[arm] = Some(outcome(ARMS[arm], topic, expected, pinned));
        }
        if round > 0 {
            table.push(row.into_iter().flatten().collect());
        }
    }
    for (arm, name) in ARMS.iter().enumerate() {
        let per = |ns: fn(&Outcome) -> u64| {
            median(table.iter().map(|row| ns(&row[arm]) as f64 / row[arm].records as f64)).1
        };
        println!(
            "  {name:6}  CPU {:4.0} ns a record (client's own threads {:4.0}), wall {:4.0} ns",
            per(|o| o.cpu_ns),
            per(|o| o.library_ns),
            per(|o| o.wall_ns),
        );
    }
    for (against, goal) in [(1, "goal 1.00"), (2, "aim 0.80")] {
        let ratio = |ns: fn(&Outcome) -> u64| {
            median(table.iter().map(|row| ns(&row[against]) as f64 / ns(&row[0]) as f64))
        };
        let (cpu, wall) = (ratio(|o| o.cpu_ns), ratio(|o| o.wall_ns));
        println!(
            "  engine against {} ({goal}): CPU {:.2} x (rounds {:.2} to {:.2}), wall {:.2} x ({:.2} to {:.2})",
            ARMS[against], cpu.1, cpu.0, cpu.2, wall.1, wall.0, wall.2
        );
    }
}

/// Least, median and most.
fn median(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

/// Runs an arm in a process of its own.
fn outcome(arm: &str, topic: &Topic, expected: &Expected, pinned: bool) -> Outcome {
    let group = format!("{arm}-{}", uuid::Uuid::new_v4());
    let told = Topic { arm: arm.to_owned(), group, pinned, ..topic.clone() };
    let ran = Command::new(std::env::current_exe().unwrap())
        .env(ARM, serde_json::to_string(&told).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(ran.status.success(), "arm {arm} ended with {}", ran.status);
    let outcome: Outcome = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(outcome.records, expected.records, "{arm}: records");
    assert_eq!(outcome.places, expected.places, "{arm}: partitions and offsets");
    assert_eq!(outcome.fields, expected.fields, "{arm}: decoded field");
    outcome
}
