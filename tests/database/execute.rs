//! The laws of `execute` against a real PostgreSQL.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

use ordermill::database::Demand;
use ordermill::port::{BatchSink, Refusal};
use ordermill::record::{Class, End, NextOffset, Type};
use proptest::test_runner::{Config, TestRunner};

use super::each::{
    Book, ONE, TAKE, TAKE_LIKE, apply, encode, model, records, refusal, sink, some_records, stock,
    stock_sql,
};
use super::{Mode, Place, claim, fault};

const TABLE: &str = "CREATE TABLE stock (sku text PRIMARY KEY, available int NOT NULL)";

async fn place() -> Place {
    let place = Place::new().await;
    place.run(TABLE).await;
    place.run(&stock_sql()).await;
    place
}

async fn now_in(place: &Place) -> BTreeMap<String, i64> {
    let rows = place.admin.query("SELECT sku, available::int8 FROM stock", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn letters(place: &Place) -> Vec<i64> {
    const SQL: &str = "SELECT split_part(letter, ':', 3)::int8 FROM ordermill_outbox ORDER BY id";
    place.admin.query(SQL, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn what_cannot_be_had_is_rejected_in_the_same_transaction_and_its_neighbours_stay() {
    let place = place().await;
    let database = place.database();
    let sink = sink(&database, TAKE, Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 5), ("a", 5), ("ba", 1), ("a", 4), ("none", 1)]));
    let book = Book::default();
    for _ in 0..3 {
        assert_eq!(apply(&sink, &owner, (0, 5), &effects, &book).await, Ok(()));
    }
    assert_eq!(book.ended(), [1, 2, 4]);
    assert_eq!(*book.asked.lock().unwrap(), 1, "no second run for those that changed nothing");
    assert_eq!(now_in(&place).await["a"], 0);
    assert_eq!(letters(&place).await, [1, 2, 4]);
    assert_eq!(claim(&database, 0).await.next, NextOffset(5));
    let ends = book.ends.lock().unwrap()[0].1.clone();
    assert_eq!(ends, End::Reject("execute changed 0 rows, not 1".into()));
    place.drop().await;
}

#[test]
fn whatever_is_asked_the_end_is_that_of_one_record_after_another() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (place, database, sink) = runtime.block_on(async {
        let place = place().await;
        let database = place.database();
        let sink = sink(&database, TAKE_LIKE, Some(ONE));
        sink.bind().await.unwrap();
        (place, database, sink)
    });
    let partition = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(60));
    runner
        .run(&some_records(), |records| {
            partition.set(partition.get() + 1);
            runtime.block_on(async {
                place.run(&stock_sql()).await;
                place.run("DELETE FROM ordermill_outbox").await;
                let owner = claim(&database, partition.get()).await;
                let effects = encode(&sink, &records);
                let book = Book::default();
                let to = i64::try_from(records.len()).unwrap();
                assert_eq!(apply(&sink, &owner, (0, to), &effects, &book).await, Ok(()));
                let (stock, ended) = model(&stock(), &records);
                assert_eq!(now_in(&place).await, stock);
                assert_eq!(book.ended(), ended);
                assert_eq!(letters(&place).await, ended);
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(place.drop());
}

#[tokio::test]
async fn what_a_with_changed_beside_the_rows_it_counts_is_undone_too() {
    let place = place().await;
    place.run("CREATE TABLE log (sku text)").await;
    let database = place.database();
    let sql = "WITH logged AS (INSERT INTO log VALUES (:sku)) \
               UPDATE stock SET available = available - :quantity WHERE sku = :sku";
    let sink = sink(&database, sql, Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 1), ("none", 1), ("b", 1)]));
    let book = Book::default();
    assert_eq!(apply(&sink, &owner, (0, 3), &effects, &book).await, Ok(()));
    assert_eq!(book.ended(), [1]);
    assert_eq!(place.number("SELECT count(*) FROM log").await, 2);
    place.drop().await;
}

#[tokio::test]
async fn a_drop_writes_no_letter_and_any_number_of_rows_asks_nobody() {
    let place = place().await;
    let database = place.database();
    let effects_of = records(&[("a", 1), ("none", 1)]);
    for (partition, demand) in [(0, Some(Demand { rows: 1, drops: true })), (1, None)] {
        let sink = sink(&database, TAKE, demand);
        sink.bind().await.unwrap();
        let owner = claim(&database, partition).await;
        let book = Book::default();
        let effects = encode(&sink, &effects_of);
        assert_eq!(apply(&sink, &owner, (0, 2), &effects, &book).await, Ok(()));
        let dropped = vec![(1, End::Drop("rows".into()))];
        let want = if demand.is_some() { dropped } else { Vec::new() };
        assert_eq!(*book.ends.lock().unwrap(), want);
    }
    assert_eq!(letters(&place).await, Vec::<i64>::new());
    assert_eq!(now_in(&place).await["a"], 7);
    place.drop().await;
}

#[tokio::test]
async fn a_record_that_breaks_a_rule_is_poison_and_leaves_nothing() {
    let place = place().await;
    place.run("ALTER TABLE stock ADD CHECK (available >= 0)").await;
    let database = place.database();
    let sql = "UPDATE stock SET available = available - :quantity WHERE sku = :sku";
    let sink = sink(&database, sql, Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 1), ("ba", 1), ("b", 1)]));
    let fault = fault(apply(&sink, &owner, (0, 3), &effects, &Book::default()).await);
    assert_eq!((fault.class, &*fault.code), (Class::Poison, "check_violation"));
    assert_eq!(now_in(&place).await, stock());
    assert_eq!(claim(&database, 0).await.next, NextOffset(0));
    place.drop().await;
}

#[tokio::test]
async fn partitions_that_want_the_same_rows_in_another_order_all_end() {
    const ROUNDS: i64 = 8;
    let place = place().await;
    place.run("UPDATE stock SET available = 100000").await;
    let database = place.database();
    let sink = sink(&database, TAKE, Some(ONE));
    sink.bind().await.unwrap();
    let began = Instant::now();
    let steps = (0..4_i32).map(|partition| {
        let (database, sink) = (&database, &sink);
        async move {
            let owner = claim(database, partition).await;
            let skus = ["a", "ab", "b", "ba", "c"];
            let mut all: Vec<_> = (0..400).map(|n| (skus[n % 5], 1)).collect();
            if partition % 2 == 1 {
                all.reverse();
            }
            let effects = encode(sink, &records(&all));
            for round in 0..ROUNDS {
                let range = (round * 400, (round + 1) * 400);
                let done = apply(sink, &owner, range, &effects, &Book::default()).await;
                assert_eq!(done, Ok(()), "partition {partition}, round {round}");
            }
        }
    });
    futures::future::join_all(steps).await;
    let taken: i64 = now_in(&place).await.values().map(|left| 100_000 - left).sum();
    assert_eq!(taken, 4 * ROUNDS * 400);
    // A deadlock is found after a second, and they would meet in each round; taking turns they meet once.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    place.drop().await;
}

#[tokio::test]
async fn a_commit_that_nobody_heard_of_is_done_once_and_its_ends_stay_known() {
    let place = place().await;
    let (proxy, database) = place.behind_proxy(super::short).await;
    let sink = sink(&database, TAKE, Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 5), ("a", 5)]));
    let book = Book::default();
    for mode in [Mode::CutBeforeCommit, Mode::CutAfterCommit] {
        proxy.set(mode);
        let lost = fault(apply(&sink, &owner, (0, 2), &effects, &book).await);
        assert_eq!(lost.class, Class::Unavailable, "{lost}");
    }
    proxy.set(Mode::Pass);
    assert_eq!(apply(&sink, &owner, (0, 2), &effects, &book).await, Ok(()));
    assert_eq!(*book.asked.lock().unwrap(), 2, "the last try found it done");
    assert_eq!(now_in(&place).await["a"], 4);
    assert_eq!(book.ended(), [1]);
    assert_eq!(letters(&place).await, [1]);
    place.drop().await;
}

#[tokio::test]
async fn an_older_owner_changes_nothing() {
    let place = place().await;
    let database = place.database();
    let sink = sink(&database, TAKE, Some(ONE));
    sink.bind().await.unwrap();
    let old = claim(&database, 0).await;
    claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 5), ("none", 5)]));
    let book = Book::default();
    assert_eq!(apply(&sink, &old, (0, 2), &effects, &book).await, Err(Refusal::Fenced));
    assert_eq!(now_in(&place).await, stock());
    assert_eq!(letters(&place).await, Vec::<i64>::new());
    place.drop().await;
}

#[tokio::test]
async fn what_the_database_says_of_a_statement_is_heard_at_bind() {
    let place = place().await;
    place
        .run("CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE odd (m mood, n numeric, i int4range)")
        .await;
    let database = place.database();
    let text = [("sku", Type::Str), ("quantity", Type::Int)];
    for (sql, words) in [
        ("UPDATE stok SET available = 1", "relation \"stok\" does not exist, at `stok SET"),
        ("UPDATE stock SET availabel = :quantity", "column \"availabel\" of relation"),
        (
            "UPDATE stock SET available = available - :quantity WHERE sku == :sku",
            "operator does not exist",
        ),
        (
            "UPDATE stock SET available = :sku WHERE sku = :quantity",
            "parameter :sku (int4) cannot take string: write a cast in the statement, as :name::type, or convert the value by a `map`; parameter :quantity (text) cannot take int",
        ),
        ("UPDATE stock SET available = 'x'", "invalid input syntax for type integer: \"x\""),
        ("INSERT INTO odd VALUES (:sku, :quantity, :quantity)", "inconsistent types deduced"),
    ] {
        let said = refusal(&database, sql, &text).await;
        assert!(said.contains(words), "{sql}\n{said}\n{words}");
    }
    for sql in [
        "INSERT INTO odd (m, n, i) VALUES (:sku, :quantity, '[1,2)')",
        "INSERT INTO odd (m) VALUES (:sku::mood)",
        "SELECT pg_notify(:sku, :quantity::text)",
        "DELETE FROM stock WHERE sku = :sku;",
    ] {
        let bound = sink(&database, sql, None).bind().await;
        let cast_of_int = sql.contains("quantity::text");
        assert_eq!(bound.is_err(), cast_of_int, "{sql}: {bound:?}");
    }
    place.drop().await;
}

#[tokio::test]
async fn a_statement_that_may_not_be_run_is_refused_at_bind() {
    let place = place().await;
    let role = format!("clerk_{}", place.schema);
    place.run(&format!("CREATE ROLE {role} LOGIN")).await;
    let schema = &place.schema;
    place
        .run(&format!(
            "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}; GRANT SELECT ON stock TO {role}"
        ))
        .await;
    let (_, rest) = place.url.split_once('@').unwrap();
    let database = super::open(&format!("postgres://{role}@{rest}"), |_| ());
    let said = refusal(&database, TAKE, &[("sku", Type::Str), ("quantity", Type::Int)]).await;
    assert!(said.contains("permission denied for table stock"), "{said}");
    place.run(&format!("GRANT UPDATE ON stock TO {role}")).await;
    sink(&database, TAKE, None).bind().await.unwrap();
    drop(database);
    place.run(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await;
    place.drop().await;
}

#[tokio::test]
async fn values_are_bound_whatever_they_hold() {
    let place = place().await;
    let database = place.database();
    let sink = sink(&database, "INSERT INTO stock VALUES (:sku, :quantity)", Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let wild = ["'; DROP TABLE stock; --", "$1 :sku ?", "\\'\"\u{1b}[31m\r\n", "ß€𝄞"];
    let effects = encode(&sink, &records(&wild.map(|sku| (sku, 7))));
    assert_eq!(apply(&sink, &owner, (0, 4), &effects, &Book::default()).await, Ok(()));
    let now = now_in(&place).await;
    assert!(wild.iter().all(|sku| now[*sku] == 7), "{now:?}");
    place.drop().await;
}
