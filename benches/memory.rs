//! Resident memory with a backlog of 5,000,000 records and an effect that stands still: `make memory` starts the
//! services; `BENCH_QUICK=1` makes it short.
//!
//! The binary, as a user runs it, reads small orders (a UUID for a key, about 100 bytes in all, lz4) from 12 partitions
//! and inserts them into a table that somebody else has locked. What the client prefetches is bounded at 16 MiB, all else
//! by the defaults. It is watched until its memory stands still.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench is its own reader"
)]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ordermill::codec::frame;
use ordermill::kafka::{Admin, Producer, Settings};
use ordermill::port::{Admin as _, Outgoing, SchemaText, Schemas as _};
use ordermill::record::OwnedRecord;
use ordermill::registry::{self, Client};
use uuid::Uuid;

const PARTITIONS: i32 = 12;
const GOAL_MIB: f64 = 96.0;
/// Memory stands still when it has moved less than this for so long.
const STILL_MIB: f64 = 0.5;
const STILL: Duration = Duration::from_secs(15);
const LIMIT: Duration = Duration::from_secs(180);
const CONTRACT: &str = include_str!("../avro/orders.created-value/1.avsc");

fn main() {
    let from = |name| std::env::var(format!("ORDERMILL_TEST_{name}"));
    let (Ok(kafka), Ok(registry), Ok(postgres)) =
        (from("KAFKA"), from("REGISTRY"), from("POSTGRES"))
    else {
        println!("memory: needs a broker, a registry and PostgreSQL: run make memory");
        return;
    };
    let quick = std::env::var_os("BENCH_QUICK").is_some();
    let records = if quick { 500_000 } else { 5_000_000 };
    let topic = format!("bench.memory-{}", Uuid::new_v4());
    let bytes = produce(&kafka, &registry, &topic, records);
    println!("{records} records of {bytes} bytes in {PARTITIONS} partitions, none settled");
    let name = format!("memory_{}", Uuid::new_v4().simple());
    psql(&postgres, &format!("CREATE DATABASE {name}"));
    let (server, _) = postgres.rsplit_once('/').unwrap();
    let database = format!("{server}/{name}");
    psql(
        &database,
        "CREATE TABLE orders (order_id uuid, product_name text, quantity int, created_at timestamptz)",
    );
    let lock = Lock::on(&database, "orders");
    let dir = tempfile::tempdir().unwrap();
    files(dir.path(), &kafka, &registry, &database, &topic);
    let mut mill = Mill::start(dir.path());
    wait_until_it_stands(&database);
    let (rss, peak) = mill.wait_until_still();
    assert!(waiting(&database), "the effect waits no longer");
    drop(mill);
    drop(lock);
    let rows = psql(&database, "SELECT count(*) FROM orders");
    assert_eq!(rows.trim(), "0", "the effect did not stand still");
    println!("resident: {rss:.1} MiB, {peak:.1} MiB at its peak; goal {GOAL_MIB}");
}

fn produce(kafka: &str, registry: &str, topic: &str, records: u64) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let id = runtime.block_on(async {
        let admin = Admin::new(&Settings::at(kafka)).unwrap();
        admin.create_topic(topic, PARTITIONS, 1).await.unwrap();
        admin.create_topic(&format!("{topic}.orders.dlq"), PARTITIONS, 1).await.unwrap();
        let text = SchemaText { text: CONTRACT.to_owned(), references: Vec::new() };
        let client = Client::new(&registry::Settings::new(registry)).unwrap();
        client.register(&format!("{topic}-value"), &text).await.unwrap()
    });
    let mut bulk = Producer::new(&Settings::at(kafka)).unwrap().bulk(50_000);
    let name: Arc<str> = Arc::from(topic);
    let mut bytes = 0;
    for n in 0..records {
        let order = Uuid::from_u64_pair(0x0190_a1b2_0000_7000, n).to_string();
        let mut value = Vec::with_capacity(64);
        frame::put(id, &mut value);
        text(&order, &mut value);
        text("a lamp", &mut value);
        // quantity 1; the 5th of January 2026 in milliseconds
        value.extend([2, 0x80, 0xd0, 0xaf, 0xb8, 0xf1, 0x66]);
        let key = Some(order.into_bytes());
        bytes = value.len() + 36;
        let record = OwnedRecord { key, value: Some(value), ..OwnedRecord::default() };
        let partition = Some((n % PARTITIONS as u64) as i32);
        bulk.push(&Outgoing { topic: Arc::clone(&name), partition, record });
    }
    let counts = bulk.finish(Duration::from_secs(300));
    assert_eq!(counts.delivered, records, "{counts:?}");
    bytes
}

/// Avro's string, of at most 63 bytes.
fn text(text: &str, out: &mut Vec<u8>) {
    out.push(u8::try_from(text.len() * 2).unwrap());
    out.extend(text.as_bytes());
}

fn files(dir: &Path, kafka: &str, registry: &str, database: &str, topic: &str) {
    fs::create_dir(dir.join("pipelines")).unwrap();
    let settings = format!(
        "kafka:\n  bootstrap: \"{kafka}\"\n  properties: {{ queued.max.messages.kbytes: 16384 }}\n\
         registry: {{ url: \"{registry}\" }}\n\
         databases: {{ orders: {{ postgres: {{ url: \"{database}\" }} }} }}\n"
    );
    fs::write(dir.join("ordermill.yaml"), settings).unwrap();
    let pipeline = format!(
        "name: orders\nsource: {{ topic: {topic} }}\n\
         sink: {{ sql: {{ database: orders, insert: {{ table: orders }} }} }}\n"
    );
    fs::write(dir.join("pipelines/orders.yaml"), pipeline).unwrap();
}

/// Does a statement wait for the lock? Then records were read and decoded, and their step is under way.
fn waiting(database: &str) -> bool {
    const WAITING: &str = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                           WHERE c.relname = 'orders' AND NOT l.granted AND l.mode = 'RowExclusiveLock'";
    psql(database, WAITING).trim() != "0"
}

fn wait_until_it_stands(database: &str) {
    let began = Instant::now();
    while !waiting(database) {
        assert!(began.elapsed() < LIMIT, "no effect ever began");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn psql(url: &str, sql: &str) -> String {
    let said =
        Command::new("psql").arg(url).args(["-X", "-q", "-A", "-t", "-c", sql]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).unwrap()
}

/// An open transaction that locks a table for itself; it ends with this value.
struct Lock(Child);

impl Lock {
    fn on(url: &str, table: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.arg(url).args(["-X", "-q", "-A", "-t"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut psql = psql.spawn().unwrap();
        let orders = psql.stdin.as_mut().unwrap();
        writeln!(orders, "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 'locked';")
            .unwrap();
        let mut said = String::new();
        BufReader::new(psql.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Self(psql)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// The running binary; it is killed with this value.
struct Mill(Child, PathBuf);

impl Mill {
    fn start(dir: &Path) -> Self {
        let mut mill = Command::new(env!("CARGO_BIN_EXE_ordermill"));
        mill.args(["run", "pipelines", "--http", "127.0.0.1:0"]).current_dir(dir);
        let log = dir.join("log");
        mill.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap());
        Self(mill.spawn().unwrap(), log)
    }

    /// Waits until its memory stands still: what it is then and what it was at most, in MiB.
    fn wait_until_still(&mut self) -> (f64, f64) {
        let began = Instant::now();
        let (mut last, mut since) = (0.0, began);
        loop {
            let ended = self.0.try_wait().unwrap();
            assert!(ended.is_none(), "{}", fs::read_to_string(&self.1).unwrap());
            let rss = self.status("VmRSS:");
            if (rss - last).abs() > STILL_MIB {
                (last, since) = (rss, Instant::now());
            }
            if since.elapsed() >= STILL {
                return (rss, self.status("VmHWM:"));
            }
            assert!(began.elapsed() < LIMIT, "{rss} MiB and not still");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn status(&self, what: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Mill {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
