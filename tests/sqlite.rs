//! The laws of room `database` and of the sink `sql`, held against SQLite files; read back by another
//! connection.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    reason = "a test that cannot go on must stop"
)]

#[path = "database/each.rs"]
mod each;
#[path = "sqlite/execute.rs"]
mod execute;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bumpalo::Bump;
use ordermill::database::{Conflict, Database, Move, Settings, SqliteSettings};
use ordermill::port::{BatchSink, Beginning, Claim, Moved, Progress, Refusal, Step, Wanted};
use ordermill::record::{
    Class, Effects, End, Fault, NextOffset, Offset, OwnedRecord, PartitionId, Scope, TopicId, Type,
    Value,
};
use ordermill::sink::sql::{Column, Insert, Options, Slot};
use rusqlite::Connection;
use uuid::Uuid;

/// A file of its own.
struct Place {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("orders.db");
        let place = Self { path, _folder: folder };
        place.connection().execute_batch(sql).unwrap();
        place
    }

    fn with_orders() -> Self {
        Self::new("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    }

    fn database(&self) -> Arc<Database> {
        let mut settings = SqliteSettings::new(&self.path);
        settings.lock = Duration::from_millis(50);
        Arc::new(Database::open(&Settings::Sqlite(settings)).unwrap())
    }

    fn connection(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }

    fn text(&self, sql: &str) -> String {
        let row = self.connection().query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        row.unwrap().unwrap_or_default()
    }

    fn count(&self) -> i64 {
        self.connection().query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).unwrap()
    }
}

fn wanted(partition: i32) -> Wanted {
    Wanted {
        partition: PartitionId::new("orders.created", partition),
        topic_id: TopicId(Uuid::from_u128(7)),
        start: NextOffset(0),
        moved: None,
        committed: None,
    }
}

async fn claim(database: &Database, partition: i32) -> Claim {
    let group: Arc<str> = "group".into();
    database.claim(&group, &[wanted(partition)]).await.unwrap().remove(0)
}

fn sink(
    database: &Arc<Database>,
    table: &str,
    columns: &[(&str, Type)],
    conflict: Conflict,
) -> Insert {
    let columns = columns.iter().enumerate().map(|(slot, (name, ty))| {
        let column: Arc<dyn Column> = Arc::new(Slot { slot, ty: ty.clone() });
        ((*name).to_owned(), column)
    });
    let options = Options { table: table.to_owned(), columns: columns.collect(), conflict };
    Insert::new(Arc::clone(database), options)
}

async fn orders(database: &Arc<Database>, conflict: Conflict) -> Insert {
    let columns = [("id", Type::Int), ("note", Type::Optional(Box::new(Type::Str)))];
    let sink = sink(database, "orders", &columns, conflict);
    sink.bind().await.unwrap();
    sink
}

fn encode(sink: &Insert, rows: &[Vec<Value<'_>>]) -> Result<Effects, End> {
    let mut encoder = sink.encoder().unwrap();
    let bump = Bump::new();
    let mut effects = Effects::default();
    for (i, row) in rows.iter().enumerate() {
        encoder.encode(
            &Scope::of(row, &bump),
            &OwnedRecord::default().at(Offset(0)),
            effects.buffer(),
        )?;
        effects.finish(Offset(i as i64));
    }
    Ok(effects)
}

fn order_rows(sink: &Insert, ids: &[i64]) -> Effects {
    let rows: Vec<_> = ids.iter().map(|id| vec![Value::Int(*id), Value::Str("n")]).collect();
    encode(sink, &rows).unwrap()
}

async fn apply(
    sink: &Insert,
    claim: &Claim,
    (from, to): (i64, i64),
    effects: &Effects,
) -> Result<(), Refusal> {
    let rows = 0..effects.len();
    sink.apply(Step {
        claim,
        from: NextOffset(from),
        to: NextOffset(to),
        effects,
        rows,
        dead: &[],
        otherwise: None,
    })
    .await
}

fn fault(result: Result<(), Refusal>) -> Fault {
    match result {
        Err(Refusal::Fault(fault)) => fault,
        other => panic!("{other:?} is no fault"),
    }
}

#[tokio::test]
async fn a_step_done_twice_is_done_once_also_after_a_restart() {
    let place = Place::with_orders();
    let owner = {
        let database = place.database();
        let sink = orders(&database, Conflict::Reject).await;
        let owner = claim(&database, 0).await;
        let effects = order_rows(&sink, &[1, 2, 3]);
        for _ in 0..3 {
            assert_eq!(apply(&sink, &owner, (0, 3), &effects).await, Ok(()));
        }
        owner
    };
    let database = place.database();
    let sink = orders(&database, Conflict::Reject).await;
    assert_eq!(apply(&sink, &owner, (0, 3), &order_rows(&sink, &[1, 2, 3])).await, Ok(()));
    assert_eq!(place.count(), 3);
    assert_eq!(claim(&database, 0).await.next, NextOffset(3));
}

#[tokio::test]
async fn a_fenced_owner_changes_nothing() {
    let place = Place::with_orders();
    let database = place.database();
    let sink = orders(&database, Conflict::Reject).await;
    let old = claim(&database, 0).await;
    let new = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1, 2]);
    assert_eq!(apply(&sink, &old, (0, 2), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count(), 0);
    assert_eq!(apply(&sink, &new, (0, 2), &effects).await, Ok(()));
    assert_eq!(apply(&sink, &old, (0, 2), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count(), 2);
}

#[tokio::test]
async fn a_row_that_is_refused_takes_back_the_whole_step_and_shows_no_value() {
    let place = Place::with_orders();
    place.connection().execute_batch("INSERT INTO orders VALUES (424242, 'n')").unwrap();
    let database = place.database();
    let sink = orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let refused = fault(apply(&sink, &owner, (0, 3), &order_rows(&sink, &[1, 424_242, 3])).await);
    assert_eq!((refused.class, &*refused.code), (Class::Poison, "unique_violation"));
    assert!(refused.reason.contains("orders.id"), "{refused}");
    assert!(!refused.reason.contains("424242"), "{refused}");
    assert_eq!(place.count(), 1);
    assert_eq!(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[1])).await, Ok(()));
    assert_eq!(place.count(), 2);
}

#[tokio::test]
async fn another_program_that_writes_is_a_conflict_and_the_step_goes_on_after_it() {
    let place = Place::with_orders();
    let database = place.database();
    let sink = orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1]);
    let other = place.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = fault(apply(&sink, &owner, (0, 1), &effects).await);
    assert_eq!((refused.class, &*refused.code), (Class::Conflict, "busy"));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Ok(()));
}

#[tokio::test]
async fn a_full_file_is_unavailable_and_the_step_goes_on_when_there_is_room() {
    let place = Place::with_orders();
    place.connection().execute_batch("CREATE TABLE filler (bytes BLOB)").unwrap();
    let database = place.database();
    let sink = orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    // A trigger stands for the disk: SQLite itself answers SQLITE_FULL when no row number is left.
    place
        .connection()
        .execute_batch(
            "INSERT INTO filler (rowid) VALUES (9223372036854775807); \
             CREATE TABLE full (id INTEGER PRIMARY KEY AUTOINCREMENT); \
             INSERT INTO full VALUES (9223372036854775807); \
             CREATE TRIGGER no_room BEFORE INSERT ON orders BEGIN INSERT INTO full (id) VALUES (NULL); END",
        )
        .unwrap();
    let effects = order_rows(&sink, &[1]);
    let refused = fault(apply(&sink, &owner, (0, 1), &effects).await);
    assert_eq!((refused.class, &*refused.code), (Class::Unavailable, "disk_full"));
    place.connection().execute_batch("DROP TRIGGER no_room").unwrap();
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Ok(()));
    assert_eq!(place.count(), 1);
}

#[tokio::test]
async fn ignore_keeps_the_first_row_and_update_the_last() {
    let update = Conflict::Update { on: vec!["id".to_owned()], update: vec!["note".to_owned()] };
    for (conflict, kept) in [(Conflict::Ignore, "first"), (update, "last")] {
        let place = Place::with_orders();
        let database = place.database();
        let sink = orders(&database, conflict).await;
        let owner = claim(&database, 0).await;
        let row = |id, note| vec![Value::Int(id), Value::Str(note)];
        let rows = [row(1, "first"), row(2, "first"), row(1, "between"), row(1, "last")];
        let effects = encode(&sink, &rows).unwrap();
        assert_eq!(apply(&sink, &owner, (0, 4), &effects).await, Ok(()));
        let effects = encode(&sink, &[row(2, "last")]).unwrap();
        assert_eq!(apply(&sink, &owner, (4, 5), &effects).await, Ok(()));
        assert_eq!(place.text("SELECT group_concat(note) FROM orders"), format!("{kept},{kept}"));
    }
}

#[tokio::test]
async fn ignore_does_not_swallow_other_errors() {
    let place =
        Place::new("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT CHECK (note <> 'n'))");
    let database = place.database();
    let sink = orders(&database, Conflict::Ignore).await;
    let owner = claim(&database, 0).await;
    let refused = fault(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[1])).await);
    assert_eq!((refused.class, &*refused.code), (Class::Poison, "check_violation"));
}

#[tokio::test]
async fn kept_progress_comes_back_with_the_claim_and_never_moves_backwards_or_for_an_old_owner() {
    let place = Place::with_orders();
    let database = place.database();
    let old = claim(&database, 0).await;
    assert_eq!((old.replay_mark, old.done_ahead.len()), (NextOffset(0), 0));
    for _ in 0..2 {
        assert_eq!(database.keep(&old, NextOffset(5), &[1, 2, 3]).await, Ok(()));
    }
    assert_eq!(database.keep(&old, NextOffset(4), &[]).await, Err(Refusal::Fenced));
    let new = claim(&database, 0).await;
    assert_eq!((new.next, &new.done_ahead[..]), (NextOffset(5), &[1, 2, 3][..]));
    assert_eq!(database.keep(&old, NextOffset(6), &[]).await, Err(Refusal::Fenced));
    assert_eq!(database.keep(&new, NextOffset(6), &[]).await, Ok(()));
    let last = claim(&database, 0).await;
    assert_eq!((last.next, last.done_ahead.len()), (NextOffset(6), 0));
}

#[tokio::test]
async fn a_move_marks_what_was_worked_and_one_that_is_old_news_changes_nothing() {
    let place = Place::with_orders();
    let database = place.database();
    let group: Arc<str> = "group".into();
    let owner = claim(&database, 0).await;
    assert_eq!(database.keep(&owner, NextOffset(9), &[1]).await, Ok(()));
    let moved = |epoch, to| {
        let moved = Some(Moved { epoch, keep_ahead: true });
        [Wanted { start: NextOffset(to), moved, ..wanted(0) }]
    };
    // Somebody has claimed it since it was looked at.
    let fault = database.claim(&group, &moved(owner.epoch - 1, 2)).await.unwrap_err();
    assert_eq!((fault.class, &*fault.code), (Class::Unavailable, "overtaken"));
    assert_eq!(database.keep(&owner, NextOffset(9), &[1]).await, Ok(()));

    let back = database.claim(&group, &moved(owner.epoch, 2)).await.unwrap().remove(0);
    assert_eq!((back.next, back.replay_mark), (NextOffset(2), NextOffset(9)));
    assert_eq!(back.done_ahead, [1]);
    assert_eq!(database.keep(&owner, NextOffset(10), &[]).await, Err(Refusal::Fenced));
    // A place where it was only put, and nothing was worked, marks nothing.
    let far = database.claim(&group, &moved(back.epoch, 50)).await.unwrap().remove(0);
    assert_eq!((far.next, far.replay_mark), (NextOffset(50), NextOffset(9)));
    let reset = |next| {
        let Wanted { partition, topic_id, .. } = wanted(0);
        [Move { partition, topic_id, next: NextOffset(next), epoch: None }]
    };
    for _ in 0..2 {
        database.move_to("group", &reset(1), false).await.unwrap();
        let standing = database.standing("group").await.unwrap().remove(0);
        assert_eq!((standing.next, standing.replay_mark), (NextOffset(1), NextOffset(9)));
    }
    let last = claim(&database, 0).await;
    assert_eq!((last.next, last.done_ahead.len()), (NextOffset(1), 0));
}

#[tokio::test]
async fn a_beginning_is_kept_once_for_all_partitions_and_those_that_come_later_are_not_in_it() {
    let place = Place::with_orders();
    let database = place.database();
    let group: Arc<str> = "group".into();
    assert_eq!(database.knows(&group, "orders.created").await, Ok(Some(false)));
    for start in [3, 8] {
        let topic_id = wanted(0).topic_id;
        let starts = vec![NextOffset(start), NextOffset(start + 1)];
        let beginning = Beginning { topic: "orders.created".into(), topic_id, starts };
        database.begin(&group, &beginning).await.unwrap();
    }
    assert_eq!(database.knows(&group, "orders.created").await, Ok(Some(true)));
    let mut nexts = Vec::new();
    for partition in 0..3 {
        let claim = claim(&database, partition).await;
        assert_eq!((claim.epoch, claim.replay_mark), (1, NextOffset(0)));
        nexts.push(claim.next.0);
    }
    assert_eq!(nexts, [3, 4, 0]);
}

#[tokio::test]
async fn partitions_take_turns_and_each_keeps_its_own_progress() {
    let place = Place::with_orders();
    let database = place.database();
    let sink = Arc::new(orders(&database, Conflict::Reject).await);
    let group: Arc<str> = "group".into();
    let wanted: Vec<_> = (0..12).map(wanted).collect();
    let claims = database.claim(&group, &wanted).await.unwrap();
    let tasks = claims.into_iter().map(|claim| {
        let sink = Arc::clone(&sink);
        tokio::spawn(async move {
            for step in 0..5 {
                let first = i64::from(claim.partition.partition) * 1_000 + step * 10;
                let effects = order_rows(&sink, &(first..first + 10).collect::<Vec<_>>());
                apply(&sink, &claim, (step * 10, step * 10 + 10), &effects).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(place.count(), 600);
    assert_eq!(place.text("SELECT sum(next) || '' FROM ordermill_progress"), "600");
}

const EVERY: &str = "
CREATE TABLE every (flag BOOLEAN, n INTEGER, ratio REAL, price TEXT, cents INTEGER, text TEXT, bytes BLOB,
  uuid TEXT, uuid16 BLOB, day DATE, at TIMESTAMP, time TEXT, span INTEGER, list TEXT, none TEXT)";

#[tokio::test]
async fn every_type_is_stored_as_the_table_of_forms_says() {
    let place = Place::new(EVERY);
    let database = place.database();
    let decimal = || Type::Decimal { precision: 15, scale: 2 };
    let columns = [
        ("flag", Type::Bool),
        ("n", Type::Int),
        ("ratio", Type::Double),
        ("price", decimal()),
        ("cents", decimal()),
        ("text", Type::Str),
        ("bytes", Type::Bytes),
        ("uuid", Type::Uuid),
        ("uuid16", Type::Uuid),
        ("day", Type::Date),
        ("at", Type::Timestamp),
        ("time", Type::Time),
        ("span", Type::Duration),
        ("list", Type::List(Box::new(Type::Str))),
        ("none", Type::Optional(Box::new(Type::Str))),
    ];
    let sink = sink(&database, "every", &columns, Conflict::Reject);
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let uuid = Uuid::from_u128(0x0190_a1b2_0000_7000_8000_0000_0000_0001);
    let list = [Value::Str("a\"b"), Value::Null];
    let row = vec![
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Double(0.1),
        Value::Decimal("12345678901234567890.50".parse().unwrap()),
        Value::Decimal("1250.00".parse().unwrap()),
        // A text that looks like a number stays a text, and a NUL is a character.
        Value::Str("007\0"),
        Value::Bytes(&[0, 255]),
        Value::Uuid(uuid),
        Value::Uuid(uuid),
        Value::Date(20_458),
        Value::Timestamp(1_767_607_200_000_001),
        Value::Time(36_000_000_000),
        Value::Duration(-5),
        Value::List(&list),
        Value::Null,
    ];
    let effects = encode(&sink, &[row]).unwrap();
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Ok(()));
    let table = [
        ("flag", "integer 1"),
        ("n", "integer -9223372036854775808"),
        ("ratio", "real 0.1"),
        ("price", "text 12345678901234567890.50"),
        ("cents", "integer 1250"),
        ("hex(text)", "text 30303700"),
        ("hex(bytes)", "text 00FF"),
        ("uuid", "text 0190a1b2-0000-7000-8000-000000000001"),
        ("hex(uuid16)", "text 0190A1B2000070008000000000000001"),
        ("day", "text 2026-01-05"),
        ("at", "text 2026-01-05T10:00:00.000001Z"),
        ("time", "text 10:00:00.000000"),
        ("span", "integer -5"),
        ("list", "text [\"a\\\"b\",null]"),
        ("none", "null "),
    ];
    for (column, stored) in table {
        let sql = format!("SELECT typeof({column}) || ' ' || coalesce({column}, '') FROM every");
        assert_eq!(place.text(&sql), stored, "{column}");
    }
}

#[tokio::test]
async fn a_value_that_fits_no_column_is_poison() {
    let place = Place::new("CREATE TABLE t (id INTEGER PRIMARY KEY, cents INTEGER, ratio REAL)");
    let database = place.database();
    let decimal = Type::Decimal { precision: 15, scale: 2 };
    let optional = |ty| Type::Optional(Box::new(ty));
    let columns = [("id", optional(Type::Int)), ("cents", decimal), ("ratio", Type::Double)];
    let sink = sink(&database, "t", &columns, Conflict::Reject);
    sink.bind().await.unwrap();
    let good = [Value::Int(1), Value::Decimal("2.00".parse().unwrap()), Value::Double(1.0)];
    assert!(encode(&sink, &[good.to_vec()]).is_ok());
    let table = [
        (0, Value::Null, "not_null_violation"),
        (1, Value::Decimal("2.50".parse().unwrap()), "not_whole"),
        (1, Value::Decimal("79228162514264337593543950335".parse().unwrap()), "out_of_range"),
        (2, Value::Double(f64::NAN), "out_of_range"),
    ];
    for (slot, value, code) in table {
        let mut row = good;
        row[slot] = value;
        match encode(&sink, &[row.to_vec()]) {
            Err(End::Fault(fault)) => {
                assert_eq!((fault.class, &*fault.code), (Class::Poison, code));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_fatal_and_everything_that_is_wrong_is_named() {
    let place = Place::new("CREATE TABLE t (price DECIMAL(15,2), note TEXT NOT NULL)");
    let database = place.database();
    let decimal = Type::Decimal { precision: 15, scale: 2 };
    let columns = [("price", decimal), ("notes", Type::Str)];
    let unfit = sink(&database, "t", &columns, Conflict::Reject).bind().await.unwrap_err();
    assert_eq!(unfit.class, Class::Fatal);
    for part in
        ["lose exactness", "no column notes; it has price, note", "column note takes no null"]
    {
        assert!(unfit.reason.contains(part), "{unfit}");
    }
    let missing = sink(&database, "none", &columns, Conflict::Reject).bind().await.unwrap_err();
    assert_eq!((missing.class, &*missing.code), (Class::Fatal, "no_table"));
}
