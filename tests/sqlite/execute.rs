//! The laws of `execute` against SQLite files.

use std::cell::Cell;
use std::collections::BTreeMap;

use ordermill::database::Demand;
use ordermill::port::{BatchSink, Refusal};
use ordermill::record::{Class, End, NextOffset, Type};
use proptest::test_runner::{Config, TestRunner};

use super::each::{
    Book, ONE, TAKE, TAKE_LIKE, apply, encode, model, records, refusal, sink, some_records, stock,
    stock_sql,
};
use super::{Place, claim, fault};

const TABLE: &str = "CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER NOT NULL)";

fn place() -> Place {
    Place::new(&format!("{TABLE}; {}", stock_sql()))
}

fn now_in(place: &Place) -> BTreeMap<String, i64> {
    let connection = place.connection();
    let mut rows = connection.prepare("SELECT sku, available FROM stock").unwrap();
    let read = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    read.collect::<Result<_, _>>().unwrap()
}

fn letters(place: &Place) -> Vec<i64> {
    let connection = place.connection();
    let mut rows = connection.prepare("SELECT letter FROM ordermill_outbox ORDER BY id").unwrap();
    let read = rows.query_map([], |row| row.get::<_, String>(0)).unwrap();
    read.map(|id| id.unwrap().rsplit(':').next().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn what_cannot_be_had_is_rejected_in_the_same_transaction_and_its_neighbours_stay() {
    let place = place();
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
    assert_eq!(*book.asked.lock().unwrap(), 1);
    assert_eq!(now_in(&place)["a"], 0);
    assert_eq!(letters(&place), [1, 2, 4]);
    assert_eq!(claim(&database, 0).await.next, NextOffset(5));
    // Of an older owner nothing stays.
    assert_eq!(apply(&sink, &owner, (5, 10), &effects, &book).await, Err(Refusal::Fenced));
    assert_eq!(letters(&place), [1, 2, 4]);
}

#[test]
fn whatever_is_asked_the_end_is_that_of_one_record_after_another() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let place = place();
    let database = place.database();
    let sink = sink(&database, TAKE_LIKE, Some(ONE));
    runtime.block_on(sink.bind()).unwrap();
    let partition = Cell::new(0);
    let mut runner = TestRunner::new(Config::with_cases(60));
    runner
        .run(&some_records(), |records| {
            partition.set(partition.get() + 1);
            runtime.block_on(async {
                place.connection().execute_batch(&stock_sql()).unwrap();
                place.connection().execute_batch("DELETE FROM ordermill_outbox").unwrap();
                let owner = claim(&database, partition.get()).await;
                let effects = encode(&sink, &records);
                let book = Book::default();
                let to = i64::try_from(records.len()).unwrap();
                assert_eq!(apply(&sink, &owner, (0, to), &effects, &book).await, Ok(()));
                let (stock, ended) = model(&stock(), &records);
                assert_eq!(now_in(&place), stock);
                assert_eq!(book.ended(), ended);
                assert_eq!(letters(&place), ended);
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_drop_writes_no_letter_and_any_number_of_rows_asks_nobody() {
    let place = place();
    let database = place.database();
    for (partition, demand) in [(0, Some(Demand { rows: 1, drops: true })), (1, None)] {
        let sink = sink(&database, TAKE, demand);
        sink.bind().await.unwrap();
        let owner = claim(&database, partition).await;
        let book = Book::default();
        let effects = encode(&sink, &records(&[("a", 1), ("none", 1)]));
        assert_eq!(apply(&sink, &owner, (0, 2), &effects, &book).await, Ok(()));
        let dropped = vec![(1, End::Drop("rows".into()))];
        let want = if demand.is_some() { dropped } else { Vec::new() };
        assert_eq!(*book.ends.lock().unwrap(), want);
    }
    assert_eq!(letters(&place), Vec::<i64>::new());
    assert_eq!(now_in(&place)["a"], 7);
}

#[tokio::test]
async fn a_record_that_breaks_a_rule_is_poison_and_leaves_nothing() {
    let place = Place::new(
        "CREATE TABLE stock (sku TEXT PRIMARY KEY, available INTEGER CHECK (available >= 0))",
    );
    place.connection().execute_batch(&stock_sql()).unwrap();
    let database = place.database();
    let sql = "UPDATE stock SET available = available - :quantity WHERE sku = :sku";
    let sink = sink(&database, sql, Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = encode(&sink, &records(&[("a", 1), ("ba", 1), ("b", 1)]));
    let fault = fault(apply(&sink, &owner, (0, 3), &effects, &Book::default()).await);
    assert_eq!((fault.class, &*fault.code), (Class::Poison, "check_violation"));
    assert_eq!(now_in(&place), stock());
    assert_eq!(claim(&database, 0).await.next, NextOffset(0));
}

#[tokio::test]
async fn what_the_database_says_of_a_statement_is_heard_at_bind() {
    let place = place();
    let database = place.database();
    let decimal = Type::Decimal { precision: 15, scale: 2 };
    let fields = [("sku", Type::Str), ("price", decimal)];
    for (sql, words) in [
        ("UPDATE stok SET available = 1", "no such table: stok"),
        ("UPDATE stock SET availabel = 1", "no such column: availabel"),
        ("UPDATE stock SET available = ?1", "a parameter that is not written :name"),
        ("SELECT :sku", "the statement changes nothing"),
        ("DELETE FROM stock RETURNING sku", "leave RETURNING out"),
        (
            "UPDATE stock SET available = :price WHERE sku = :sku",
            "parameter :price cannot take decimal(15,2): SQLite has no exact decimal",
        ),
    ] {
        let said = refusal(&database, sql, &fields).await;
        assert!(said.contains(words), "{sql}\n{said}\n{words}");
    }
}

#[tokio::test]
async fn values_are_bound_whatever_they_hold() {
    let place = place();
    let database = place.database();
    let sink = sink(&database, "INSERT INTO stock VALUES (:sku, :quantity)", Some(ONE));
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let wild = ["'; DROP TABLE stock; --", "?1 :sku $2", "\\'\"\u{1b}[31m\r\n", "ß€𝄞"];
    let effects = encode(&sink, &records(&wild.map(|sku| (sku, 7))));
    assert_eq!(apply(&sink, &owner, (0, 4), &effects, &Book::default()).await, Ok(()));
    let now = now_in(&place);
    assert!(wild.iter().all(|sku| now[*sku] == 7), "{now:?}");
}
