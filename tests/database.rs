//! The laws of room `database` and of the sink `sql`, held against a real PostgreSQL.
//!
//! Each test has a schema of its own; faults come from a proxy of its own, never from the shared server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    missing_docs,
    reason = "a test that cannot go on must stop, and its tables are long"
)]

#[path = "database/each.rs"]
mod each;
#[path = "database/execute.rs"]
mod execute;
#[path = "database/outbox.rs"]
mod outbox;

use std::sync::Arc;
use std::time::Duration;

use bumpalo::Bump;
use ordermill::database::{Conflict, Database, Move, PostgresSettings, Settings};
use ordermill::port::{BatchSink, Beginning, Claim, Moved, Progress, Refusal, Step, Wanted};
use ordermill::record::{
    Class, Effects, End, Fault, NextOffset, Offset, OwnedRecord, PartitionId, Scope, TopicId, Type,
    Value,
};
use ordermill::sink::sql::{Column, Insert, Options, Slot};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rust_decimal::Decimal;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use proxy::{Mode, Proxy};

/// A schema of its own on the test server.
struct Place {
    schema: String,
    url: String,
    admin: Client,
}

impl Place {
    async fn new() -> Self {
        let base = std::env::var("ORDERMILL_TEST_POSTGRES")
            .expect("ORDERMILL_TEST_POSTGRES is not set: run make test");
        let schema = format!("t{}", Uuid::new_v4().simple());
        let url = format!("{base}?options=-c%20search_path%3D{schema}");
        let admin = connect(&url).await;
        let url = format!("{url}&application_name={schema}");
        admin.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
        Self { schema, url, admin }
    }

    async fn with_orders() -> Self {
        let place = Self::new().await;
        place.run("CREATE TABLE orders (id bigint PRIMARY KEY, note text)").await;
        place
    }

    async fn run(&self, sql: &str) {
        self.admin.batch_execute(sql).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        self.admin.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn count(&self) -> i64 {
        self.number("SELECT count(*) FROM orders").await
    }

    fn database(&self) -> Arc<Database> {
        self.database_with(|_| ())
    }

    fn database_with(&self, change: impl FnOnce(&mut PostgresSettings)) -> Arc<Database> {
        open(&self.url, change)
    }

    /// The same server behind a proxy.
    async fn behind_proxy(
        &self,
        change: impl FnOnce(&mut PostgresSettings),
    ) -> (Proxy, Arc<Database>) {
        let (before, after) = self.url.split_once('@').unwrap();
        let (address, path) = after.split_once('/').unwrap();
        let proxy = Proxy::start(address.to_owned()).await;
        let url = format!("{before}@{}/{path}", proxy.address);
        (proxy, open(&url, change))
    }

    async fn drop(self) {
        self.run(&format!("DROP SCHEMA {} CASCADE", self.schema)).await;
    }
}

fn open(url: &str, change: impl FnOnce(&mut PostgresSettings)) -> Arc<Database> {
    let mut settings = PostgresSettings::new(ordermill::config::Secret::written(url));
    change(&mut settings);
    Arc::new(Database::open(&Settings::Postgres(settings)).unwrap())
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    client
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

fn options(table: &str, columns: &[(&str, Type)], conflict: Conflict) -> Options {
    Options {
        table: table.to_owned(),
        columns: columns
            .iter()
            .enumerate()
            .map(|(slot, (name, ty))| {
                let column: Arc<dyn Column> = Arc::new(Slot { slot, ty: ty.clone() });
                ((*name).to_owned(), column)
            })
            .collect(),
        conflict,
    }
}

fn orders(database: &Arc<Database>, conflict: Conflict) -> Insert {
    let columns = [("id", Type::Int), ("note", Type::Optional(Box::new(Type::Str)))];
    Insert::new(Arc::clone(database), options("orders", &columns, conflict))
}

async fn bound_orders(database: &Arc<Database>, conflict: Conflict) -> Insert {
    let sink = orders(database, conflict);
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
    let step = Step {
        claim,
        from: NextOffset(from),
        to: NextOffset(to),
        effects,
        rows: 0..effects.len(),
        dead: &[],
        otherwise: None,
    };
    sink.apply(step).await
}

fn fault(result: Result<(), Refusal>) -> Fault {
    match result {
        Err(Refusal::Fault(fault)) => fault,
        other => panic!("{other:?} is no fault"),
    }
}

fn short(settings: &mut PostgresSettings) {
    settings.timeouts.lock = Duration::from_millis(300);
    settings.timeouts.statement = Duration::from_secs(1);
}

#[tokio::test]
async fn a_step_done_twice_is_done_once() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1, 2, 3]);
    for _ in 0..3 {
        assert_eq!(apply(&sink, &owner, (0, 3), &effects).await, Ok(()));
    }
    assert_eq!(place.count().await, 3);
    assert_eq!(claim(&database, 0).await.next, NextOffset(3));
    place.drop().await;
}

#[tokio::test]
async fn a_step_without_rows_moves_only_the_progress() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    assert_eq!(apply(&sink, &owner, (0, 9), &Effects::default()).await, Ok(()));
    assert_eq!(place.count().await, 0);
    assert_eq!(claim(&database, 0).await.next, NextOffset(9));
    place.drop().await;
}

#[tokio::test]
async fn a_fenced_owner_changes_nothing() {
    let place = Place::with_orders().await;
    let (old_home, new_home) = (place.database(), place.database());
    let sink = bound_orders(&old_home, Conflict::Reject).await;
    let old = claim(&old_home, 0).await;
    let new = claim(&new_home, 0).await;
    assert_eq!(new.epoch, old.epoch + 1);
    let effects = order_rows(&sink, &[1, 2]);
    assert_eq!(apply(&sink, &old, (0, 2), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count().await, 0);
    assert_eq!(apply(&sink, &new, (0, 2), &effects).await, Ok(()));
    // Nor does the old one take the new one's work for its own.
    assert_eq!(apply(&sink, &old, (0, 2), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count().await, 2);
    place.drop().await;
}

#[tokio::test]
async fn kept_progress_comes_back_with_the_claim_and_never_moves_backwards_or_for_an_old_owner() {
    let place = Place::with_orders().await;
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
    place.drop().await;
}

#[tokio::test]
async fn a_move_marks_what_was_worked_and_one_that_is_old_news_changes_nothing() {
    let place = Place::with_orders().await;
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
    place.drop().await;
}

#[tokio::test]
async fn a_beginning_is_kept_once_for_all_partitions_and_those_that_come_later_are_not_in_it() {
    let place = Place::with_orders().await;
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
    place.drop().await;
}

#[tokio::test]
async fn progress_that_was_moved_by_hand_fences() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    place.run("UPDATE ordermill_progress SET next = 100").await;
    let effects = order_rows(&sink, &[1]);
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Err(Refusal::Fenced));
    place.run("DELETE FROM ordermill_progress").await;
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count().await, 0);
    place.drop().await;
}

#[tokio::test]
async fn an_owner_that_froze_in_mid_transaction_holds_the_next_one_up_no_longer_than_the_server_lets_it()
 {
    let place = Place::with_orders().await;
    let (proxy, frozen_home) = place
        .behind_proxy(|settings| {
            settings.timeouts.idle_in_transaction = Duration::from_millis(700);
        })
        .await;
    let frozen = Arc::new(bound_orders(&frozen_home, Conflict::Reject).await);
    let owner = claim(&frozen_home, 0).await;
    let effects = order_rows(&frozen, &[1, 2]);
    proxy.set(Mode::HoldCommit);
    let step = {
        let (frozen, owner) = (Arc::clone(&frozen), owner.clone());
        tokio::spawn(async move { apply(&frozen, &owner, (0, 2), &effects).await })
    };
    proxy.held().await;

    let next_home = place.database();
    let next = claim(&next_home, 0).await;
    assert_eq!((next.epoch, next.next), (owner.epoch + 1, NextOffset(0)));
    let sink = bound_orders(&next_home, Conflict::Reject).await;
    assert_eq!(apply(&sink, &next, (0, 2), &order_rows(&sink, &[1, 2])).await, Ok(()));

    // It wakes: its commit meets a closed session, and its second try the fence.
    proxy.set(Mode::Pass);
    assert_eq!(fault(step.await.unwrap()).class, Class::Unavailable);
    let effects = order_rows(&frozen, &[1, 2]);
    assert_eq!(apply(&frozen, &owner, (0, 2), &effects).await, Err(Refusal::Fenced));
    assert_eq!(place.count().await, 2);
    place.drop().await;
}

#[tokio::test]
async fn a_claim_gives_up_on_a_lock_that_nobody_frees_and_may_be_asked_again() {
    let place = Place::with_orders().await;
    let database = place.database_with(short);
    let owner = claim(&database, 0).await;
    place.run("BEGIN; UPDATE ordermill_progress SET updated_at = now()").await;
    let group: Arc<str> = "group".into();
    let refused = database.claim(&group, &[wanted(0)]).await.unwrap_err();
    assert_eq!((refused.class, &*refused.code), (Class::Conflict, "lock_timeout"));
    place.run("ROLLBACK").await;
    assert_eq!(claim(&database, 0).await.epoch, owner.epoch + 1);
    place.drop().await;
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_resolved_by_the_same_step_again() {
    let place = Place::with_orders().await;
    let (proxy, database) = place.behind_proxy(|_| ()).await;
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    for i in 0..20 {
        let effects = order_rows(&sink, &[2 * i, 2 * i + 1]);
        let range = (2 * i, 2 * i + 2);
        // Half of them are committed and nobody hears of it, the other half never get there.
        proxy.set(if i % 2 == 0 { Mode::CutAfterCommit } else { Mode::CutBeforeCommit });
        let lost = fault(apply(&sink, &owner, range, &effects).await);
        assert_eq!(lost.class, Class::Unavailable, "{lost}");
        proxy.set(Mode::Pass);
        let landed = if i % 2 == 0 { 2 } else { 0 };
        assert_eq!(place.count().await, 2 * i + landed);
        assert_eq!(apply(&sink, &owner, range, &effects).await, Ok(()));
        assert_eq!(place.count().await, 2 * i + 2);
    }
    assert_eq!(claim(&database, 0).await.next, NextOffset(40));
    place.drop().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_the_same_pool_recovers() {
    let place = Place::with_orders().await;
    let (proxy, database) = place.behind_proxy(|_| ()).await;
    let sink = orders(&database, Conflict::Reject);
    proxy.set(Mode::Refuse);
    let refused = sink.bind().await.unwrap_err();
    assert_eq!(refused.class, Class::Unavailable, "{refused}");
    proxy.set(Mode::Pass);
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1]);
    proxy.set(Mode::Refuse);
    for _ in 0..3 {
        let refused = fault(apply(&sink, &owner, (0, 1), &effects).await);
        assert_eq!(refused.class, Class::Unavailable, "{refused}");
        let group: Arc<str> = "group".into();
        let refused = database.claim(&group, &[wanted(1)]).await.unwrap_err();
        assert_eq!(refused.class, Class::Unavailable, "{refused}");
    }
    proxy.set(Mode::Pass);
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Ok(()));
    place.drop().await;
}

#[tokio::test]
async fn sessions_that_the_server_ends_are_replaced() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let end = format!(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = '{}'",
        place.schema
    );
    let effects = order_rows(&sink, &[1]);
    assert!(place.number(&end).await > 0);
    let mut tries = 0;
    while let Err(refusal) = apply(&sink, &owner, (0, 1), &effects).await {
        assert_eq!(fault(Err(refusal)).class, Class::Unavailable);
        tries += 1;
        assert!(tries < 5);
    }
    assert_eq!(place.count().await, 1);
    place.drop().await;
}

#[tokio::test]
async fn a_row_that_is_refused_takes_back_the_whole_step_and_shows_no_value() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    place.run("INSERT INTO orders VALUES (424242)").await;
    let effects = order_rows(&sink, &[1, 424242, 3]);
    let refused = fault(apply(&sink, &owner, (0, 3), &effects).await);
    assert_eq!((refused.class, &*refused.code), (Class::Poison, "unique_violation"));
    assert!(refused.reason.contains("orders_pkey"), "{refused}");
    assert!(!refused.reason.contains("424242"), "{refused}");
    assert_eq!(place.count().await, 1);
    // The same connection goes on, and so does the partition.
    assert_eq!(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[1])).await, Ok(()));
    place.drop().await;
}

#[tokio::test]
async fn a_constraint_that_is_checked_at_commit_takes_back_the_whole_step() {
    let place = Place::with_orders().await;
    place.run("CREATE TABLE notes (note text PRIMARY KEY)").await;
    place
        .run("ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES notes DEFERRABLE INITIALLY DEFERRED")
        .await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let refused = fault(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[1])).await);
    assert_eq!((refused.class, &*refused.code), (Class::Poison, "foreign_key_violation"));
    assert_eq!(claim(&database, 0).await.next, NextOffset(0));
    assert_eq!(place.count().await, 0);
    place.drop().await;
}

#[tokio::test]
async fn what_a_trigger_says_of_a_row_is_kept_out_of_the_reason() {
    let place = Place::with_orders().await;
    place
        .run(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'not %', NEW.id; END $$; \
             CREATE TRIGGER no BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION no()",
        )
        .await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let refused = fault(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[987_654])).await);
    assert_eq!((refused.class, &*refused.code), (Class::Poison, "trigger"));
    assert!(!refused.reason.contains("987"), "{refused}");
    place.drop().await;
}

#[tokio::test]
async fn a_locked_table_is_a_conflict_and_a_slow_one_is_unavailable() {
    let place = Place::with_orders().await;
    let database = place.database_with(short);
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1]);
    place.run("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await;
    let refused = fault(apply(&sink, &owner, (0, 1), &effects).await);
    assert_eq!((refused.class, &*refused.code), (Class::Conflict, "lock_timeout"));
    place.run("ROLLBACK").await;
    place
        .run(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$; \
             CREATE TRIGGER slow BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION slow()",
        )
        .await;
    let refused = fault(apply(&sink, &owner, (0, 1), &effects).await);
    assert_eq!((refused.class, &*refused.code), (Class::Unavailable, "statement_timeout"));
    place.run("DROP TRIGGER slow ON orders").await;
    assert_eq!(apply(&sink, &owner, (0, 1), &effects).await, Ok(()));
    place.drop().await;
}

#[tokio::test]
async fn a_step_that_is_given_up_halfway_leaves_no_lock_behind() {
    let place = Place::with_orders().await;
    let (proxy, database) = place.behind_proxy(|_| ()).await;
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    let effects = order_rows(&sink, &[1]);
    proxy.set(Mode::HoldCommit);
    tokio::select! {
        result = apply(&sink, &owner, (0, 1), &effects) => panic!("{result:?}"),
        () = proxy.held() => {}
    }
    proxy.set(Mode::Pass);
    let other = place.database_with(short);
    assert_eq!(claim(&other, 0).await.epoch, owner.epoch + 1);
    place.drop().await;
}

#[tokio::test]
async fn claims_of_the_same_partitions_at_once_have_different_epochs_and_no_deadlock() {
    let place = Place::with_orders().await;
    let homes: Vec<_> = (0..4).map(|_| place.database()).collect();
    let group: Arc<str> = "group".into();
    let claims = futures::future::join_all(homes.iter().enumerate().map(|(i, home)| {
        let mut wanted: Vec<_> = (0..12).map(wanted).collect();
        if i % 2 == 0 {
            wanted.reverse();
        }
        let group = Arc::clone(&group);
        async move { home.claim(&group, &wanted).await.unwrap() }
    }))
    .await;
    for partition in 0..12 {
        let mut epochs: Vec<i64> = claims
            .iter()
            .flatten()
            .filter(|claim| claim.partition.partition == partition)
            .map(|claim| claim.epoch)
            .collect();
        epochs.sort_unstable();
        assert_eq!(epochs, [1, 2, 3, 4]);
    }
    // In the order in which they were wanted.
    let order: Vec<i32> = claims[0].iter().map(|claim| claim.partition.partition).collect();
    assert_eq!(order, (0..12).rev().collect::<Vec<_>>());
    place.drop().await;
}

#[tokio::test]
async fn a_group_and_a_topic_made_again_have_progress_of_their_own() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = bound_orders(&database, Conflict::Reject).await;
    let owner = claim(&database, 0).await;
    assert_eq!(apply(&sink, &owner, (0, 5), &Effects::default()).await, Ok(()));
    let mut again = wanted(0);
    again.topic_id = TopicId(Uuid::from_u128(8));
    again.start = NextOffset(3);
    let group: Arc<str> = "group".into();
    assert_eq!(database.claim(&group, &[again]).await.unwrap()[0].next, NextOffset(3));
    let other: Arc<str> = "other".into();
    assert_eq!(database.claim(&other, &[wanted(0)]).await.unwrap()[0].next, NextOffset(0));
    assert_eq!(claim(&database, 0).await.next, NextOffset(5));
    place.drop().await;
}

#[tokio::test]
async fn partitions_overlap_and_each_keeps_its_own_progress() {
    let place = Place::with_orders().await;
    let database = place.database();
    let sink = Arc::new(bound_orders(&database, Conflict::Reject).await);
    let group: Arc<str> = "group".into();
    let wanted: Vec<_> = (0..12).map(wanted).collect();
    let claims = database.claim(&group, &wanted).await.unwrap();
    let tasks = claims.into_iter().map(|claim| {
        let sink = Arc::clone(&sink);
        tokio::spawn(async move {
            for step in 0..5 {
                let first = i64::from(claim.partition.partition) * 1_000 + step * 100;
                let ids: Vec<i64> = (first..first + 100).collect();
                let effects = order_rows(&sink, &ids);
                apply(&sink, &claim, (step * 100, step * 100 + 100), &effects).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(place.count().await, 6_000);
    assert_eq!(place.number("SELECT sum(next)::bigint FROM ordermill_progress").await, 6_000);
    place.drop().await;
}

fn update() -> Conflict {
    Conflict::Update { on: vec!["id".to_owned()], update: vec!["note".to_owned()] }
}

#[tokio::test]
async fn ignore_keeps_the_first_row_and_update_the_last() {
    for (conflict, kept) in [(Conflict::Ignore, "first"), (update(), "last")] {
        let place = Place::with_orders().await;
        let database = place.database();
        let sink = bound_orders(&database, conflict).await;
        let owner = claim(&database, 0).await;
        let row = |id, note| vec![Value::Int(id), Value::Str(note)];
        // Within one step and across steps; more repeats than are sent at once.
        let mut rows = vec![row(1, "first")];
        rows.extend((0..200).map(|_| row(1, "between")));
        rows.extend([row(2, "first"), row(1, "last")]);
        let first = encode(&sink, &rows).unwrap();
        let second = encode(&sink, &[row(2, "last"), row(3, kept)]).unwrap();
        assert_eq!(apply(&sink, &owner, (0, 203), &first).await, Ok(()));
        assert_eq!(apply(&sink, &owner, (203, 205), &second).await, Ok(()));
        let same = format!("SELECT count(*) FROM orders WHERE note = '{kept}'");
        assert_eq!((place.count().await, place.number(&same).await), (3, 3));
        place.drop().await;
    }
}

#[tokio::test]
async fn keys_that_only_the_database_finds_equal_still_update_in_order() {
    let place = Place::new().await;
    place.run("CREATE TABLE orders (id numeric PRIMARY KEY, note text)").await;
    let database = place.database();
    let decimal = Type::Decimal { precision: 10, scale: 2 };
    let options = options("orders", &[("id", decimal), ("note", Type::Str)], update());
    let sink = Insert::new(Arc::clone(&database), options);
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    let row = |id: &str, note| vec![Value::Decimal(id.parse().unwrap()), Value::Str(note)];
    let effects = encode(&sink, &[row("1.0", "a"), row("1.00", "b"), row("1", "c")]).unwrap();
    assert_eq!(apply(&sink, &owner, (0, 3), &effects).await, Ok(()));
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE note = 'c'").await, 1);
    place.drop().await;
}

async fn bind_fault(database: &Arc<Database>, options: Options) -> Fault {
    Insert::new(Arc::clone(database), options).bind().await.unwrap_err()
}

#[tokio::test]
async fn a_table_that_does_not_fit_is_fatal_and_everything_that_is_wrong_is_named() {
    let place = Place::new().await;
    let database = place.database();
    let missing = bind_fault(&database, options("orders", &[("id", Type::Int)], update())).await;
    assert_eq!((missing.class, &*missing.code), (Class::Fatal, "no_table"));
    assert!(missing.reason.contains("orders"), "{missing}");

    place
        .run(
            "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY, price numeric(15,2) NOT NULL, \
             note varchar(5), state text NOT NULL)",
        )
        .await;
    let columns = [("id", Type::Int), ("price", Type::Double), ("notes", Type::Str)];
    let unfit = bind_fault(&database, options("orders", &columns, Conflict::Reject)).await;
    assert_eq!(unfit.class, Class::Fatal);
    for part in [
        "column id is computed",
        "column price (numeric(15,2)) cannot take double",
        "no column notes; it has id, price, note, state",
        "column state takes no null",
    ] {
        assert!(unfit.reason.contains(part), "{unfit}");
    }
    place.drop().await;
}

#[tokio::test]
async fn a_grant_that_is_missing_is_fatal_and_says_what_to_run() {
    let place = Place::with_orders().await;
    let role = format!("r{}", place.schema);
    place
        .run(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA {} TO {role}", place.schema))
        .await;
    let (_, rest) = place.url.split_once('@').unwrap();
    let database = open(&format!("postgres://{role}@{rest}"), |_| ());
    let sink = orders(&database, update());

    let no_progress = sink.bind().await.unwrap_err();
    assert_eq!(no_progress.class, Class::Fatal);
    assert!(no_progress.reason.contains("CREATE TABLE IF NOT EXISTS ordermill_progress"));

    place.database().ready().await.unwrap();
    let no_grant = sink.bind().await.unwrap_err();
    assert_eq!(no_grant.class, Class::Fatal);
    for part in [
        format!("GRANT SELECT, INSERT, UPDATE ON ordermill_progress TO \"{role}\";"),
        format!("GRANT SELECT, INSERT, DELETE ON ordermill_outbox TO \"{role}\";"),
        format!("GRANT SELECT, INSERT, UPDATE ON ordermill_relay TO \"{role}\";"),
    ] {
        assert!(no_grant.reason.contains(&part), "{no_grant}");
    }

    // What it says is enough: no more is asked for.
    let (_, grants) = no_grant.reason.split_once("run: ").unwrap();
    place.run(grants).await;
    let no_grant = sink.bind().await.unwrap_err();
    assert_eq!(no_grant.class, Class::Fatal);
    for part in ["GRANT INSERT", "GRANT UPDATE", "GRANT SELECT"] {
        assert!(no_grant.reason.contains(part), "{no_grant}");
    }

    place.run(&format!("GRANT INSERT, SELECT, UPDATE (note) ON orders TO {role}")).await;
    sink.bind().await.unwrap();
    let owner = claim(&database, 0).await;
    assert_eq!(apply(&sink, &owner, (0, 1), &order_rows(&sink, &[1])).await, Ok(()));

    // Taken away later: the pipeline halts, it does not dead-letter everything.
    place.run(&format!("REVOKE INSERT ON orders FROM {role}")).await;
    let revoked = fault(apply(&sink, &owner, (1, 2), &order_rows(&sink, &[2])).await);
    assert_eq!((revoked.class, &*revoked.code), (Class::Fatal, "grant"));
    drop((sink, database));
    place.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    place.drop().await;
}

#[tokio::test]
async fn a_database_that_only_reads_is_unavailable() {
    let place = Place::with_orders().await;
    place.database().ready().await.unwrap();
    let url = place.url.replace("options=", "options=-c%20default_transaction_read_only%3Don%20");
    let database = open(&url, |_| ());
    let group: Arc<str> = "group".into();
    let refused = database.claim(&group, &[wanted(0)]).await.unwrap_err();
    assert_eq!((refused.class, &*refused.code), (Class::Unavailable, "read_only"));
    place.drop().await;
}

#[tokio::test]
async fn progress_tables_made_by_many_at_once_are_one() {
    let place = Place::new().await;
    let homes: Vec<_> = (0..6).map(|_| place.database()).collect();
    for made in futures::future::join_all(homes.iter().map(|home| home.ready())).await {
        made.unwrap();
    }
    place.drop().await;
}

/// One row of every type that goes into PostgreSQL.
#[derive(Clone, Debug)]
struct Every {
    small: i16,
    int: i32,
    big: i64,
    single: f32,
    double: f64,
    decimal: Decimal,
    text: String,
    bytes: Vec<u8>,
    uuid: Uuid,
    date: i32,
    time: i64,
    timestamp: i64,
    span: i64,
    flag: bool,
    mood: bool,
    null: bool,
}

const EVERY: &str = "
CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN code AS varchar(400);
CREATE TABLE every (n bigint PRIMARY KEY, small smallint, int integer, big bigint, single real, double float8,
  decimal numeric, exact numeric(38,28), text text, code code, bytes bytea, uuid uuid, uuid_text uuid, date date,
  time time, stamp timestamp, stamptz timestamptz, span interval, flag boolean, mood mood, doc json, docb jsonb,
  list jsonb)";

fn every_column() -> Vec<(&'static str, Type)> {
    let decimal = Type::Decimal { precision: 28, scale: 10 };
    let mood: Arc<[String]> = ["sad".to_owned(), "glad".to_owned()].into();
    let types = vec![
        ("n", Type::Int),
        ("small", Type::Int),
        ("int", Type::Int),
        ("big", Type::Int),
        ("single", Type::Double),
        ("double", Type::Double),
        ("decimal", decimal.clone()),
        ("exact", decimal),
        ("text", Type::Str),
        ("code", Type::Str),
        ("bytes", Type::Bytes),
        ("uuid", Type::Uuid),
        ("uuid_text", Type::Str),
        ("date", Type::Date),
        ("time", Type::Time),
        ("stamp", Type::Timestamp),
        ("stamptz", Type::Timestamp),
        ("span", Type::Duration),
        ("flag", Type::Bool),
        ("mood", Type::Enum(mood)),
        ("doc", Type::Str),
        ("docb", Type::Str),
        ("list", Type::List(Box::new(Type::Int))),
    ];
    let optional = |(name, ty): (&'static str, Type)| (name, Type::Optional(Box::new(ty)));
    types.into_iter().map(optional).collect()
}

fn every() -> impl Strategy<Value = Every> {
    let numbers = (any::<i16>(), any::<i32>(), any::<i64>(), any::<f32>(), any::<f64>());
    // As many digits before the point as numeric(38,28) keeps.
    let decimal = (-(1_i128 << 95)..(1_i128 << 95), 19_u32..=28)
        .prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa, scale));
    let texts = ("[^\0]{0,200}", any::<Vec<u8>>(), any::<u128>());
    // What PostgreSQL's calendar holds; beyond it is another test.
    let times = (
        -2_400_000_i32..100_000_000,
        0_i64..86_400_000_000,
        -200_000_000_000_000_000_i64..9_000_000_000_000_000_000,
        any::<i64>(),
    );
    let flags = (any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    (numbers, decimal, texts, times, flags).prop_map(|(numbers, decimal, texts, times, flags)| {
        Every {
            small: numbers.0,
            int: numbers.1,
            big: numbers.2,
            single: numbers.3,
            double: numbers.4,
            decimal,
            text: texts.0,
            bytes: texts.1,
            uuid: Uuid::from_u128(texts.2),
            date: times.0,
            time: times.1,
            timestamp: times.2,
            span: times.3,
            flag: flags.0,
            mood: flags.1,
            null: flags.2,
        }
    })
}

/// Reads every row back as text (by the server's own output) and as numbers where text depends on settings.
const READ: &str = "
SELECT small::text, int::text, big::text, single, double, decimal::text, exact::text, text, code::text, bytes,
  uuid::text, uuid_text::text, (date - '1970-01-01'::date)::text, (extract(epoch FROM time) * 1000000)::bigint::text,
  (extract(epoch FROM stamp) * 1000000)::bigint::text, (extract(epoch FROM stamptz) * 1000000)::bigint::text,
  (extract(epoch FROM span) * 1000000)::bigint::text, flag::text, mood::text, doc->>'k', docb->>'k', list::text
FROM every ORDER BY n";

fn check_row(row: &tokio_postgres::Row, every: &Every) {
    let text = |i: usize| row.get::<_, Option<String>>(i);
    if every.null {
        assert!((0..3).chain(5..9).chain(10..22).all(|i| text(i).is_none()));
        assert_eq!(row.get::<_, Option<f64>>(4), None);
        return;
    }
    // NaN is no number that equals itself; its bits need not come back.
    assert_eq!(row.get::<_, f32>(3).to_string(), every.single.to_string());
    assert_eq!(row.get::<_, f64>(4).to_string(), every.double.to_string());
    assert_eq!(row.get::<_, Vec<u8>>(9), every.bytes);
    let decimal = match every.decimal.is_zero() {
        true => every.decimal.abs(),
        false => every.decimal,
    };
    let mut exact = decimal;
    exact.rescale(28);
    let expected = [
        (0, every.small.to_string()),
        (1, every.int.to_string()),
        (2, every.big.to_string()),
        (5, decimal.to_string()),
        (7, every.text.clone()),
        (8, every.text.clone()),
        (10, every.uuid.to_string()),
        (11, every.uuid.to_string()),
        (12, every.date.to_string()),
        (13, every.time.to_string()),
        (14, every.timestamp.to_string()),
        (15, every.timestamp.to_string()),
        (16, every.span.to_string()),
        (17, every.flag.to_string()),
        (18, if every.mood { "glad" } else { "sad" }.to_owned()),
        (19, every.text.clone()),
        (20, every.text.clone()),
        (21, format!("[{}, null, {}]", every.small, every.big)),
    ];
    for (i, expected) in expected {
        assert_eq!(text(i), Some(expected), "column {i} of {every:?}");
    }
    assert_eq!(text(6).unwrap().parse::<Decimal>().unwrap(), decimal);
}

#[test]
fn every_type_comes_back_as_it_was_sent() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (place, sink, owner) = runtime.block_on(async {
        let place = Place::new().await;
        place.run(EVERY).await;
        let database = place.database();
        let sink =
            Insert::new(Arc::clone(&database), options("every", &every_column(), Conflict::Reject));
        sink.bind().await.unwrap();
        let owner = claim(&database, 0).await;
        (place, sink, owner)
    });
    let step = std::cell::Cell::new(0);
    let rows = prop::collection::vec(every(), 1..40);
    let config = Config { cases: 40, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&rows, |rows| {
            runtime.block_on(async {
                let effects = encode_every(&sink, &rows);
                let from = step.replace(step.get() + 1);
                apply(&sink, &owner, (from, from + 1), &effects).await.unwrap();
                let back = place.admin.query(READ, &[]).await.unwrap();
                assert_eq!(back.len(), rows.len());
                for (row, every) in back.iter().zip(&rows) {
                    check_row(row, every);
                }
                place.run("TRUNCATE every").await;
            });
            Ok(())
        })
        .unwrap();
    runtime.block_on(place.drop());
}

fn encode_every(sink: &Insert, rows: &[Every]) -> Effects {
    let mut encoder = sink.encoder().unwrap();
    let mut effects = Effects::default();
    for (n, every) in rows.iter().enumerate() {
        let bump = Bump::new();
        let doc = serde_json::json!({ "k": every.text }).to_string();
        let list = [Value::Int(every.small.into()), Value::Null, Value::Int(every.big)];
        let uuid = every.uuid.to_string();
        let mut values = vec![
            Value::Int(n as i64),
            Value::Int(every.small.into()),
            Value::Int(every.int.into()),
            Value::Int(every.big),
            Value::Double(every.single.into()),
            Value::Double(every.double),
            Value::Decimal(every.decimal),
            Value::Decimal(every.decimal),
            Value::Str(&every.text),
            Value::Str(&every.text),
            Value::Bytes(&every.bytes),
            Value::Uuid(every.uuid),
            Value::Str(&uuid),
            Value::Date(every.date),
            Value::Time(every.time),
            Value::Timestamp(every.timestamp),
            Value::Timestamp(every.timestamp),
            Value::Duration(every.span),
            Value::Bool(every.flag),
            Value::Str(if every.mood { "glad" } else { "sad" }),
            Value::Str(&doc),
            Value::Str(&doc),
            Value::List(&list),
        ];
        if every.null {
            values[1..].fill(Value::Null);
        }
        encoder
            .encode(
                &Scope::of(&values, &bump),
                &OwnedRecord::default().at(Offset(0)),
                effects.buffer(),
            )
            .unwrap();
        effects.finish(Offset(n as i64));
    }
    effects
}

#[tokio::test]
async fn a_value_that_fits_no_column_is_poison_before_or_in_the_database_and_never_changed() {
    let place = Place::new().await;
    place
        .run(
            "CREATE DOMAIN tiny AS varchar(3); CREATE TYPE mood AS ENUM ('sad'); \
             CREATE TABLE t (id bigint, small smallint, price numeric(6,2), code varchar(3), dom tiny, \
             mood mood, at timestamptz, day date, uuid uuid, ratio real, must text NOT NULL, doc jsonb)",
        )
        .await;
    let database = place.database();
    let decimal = Type::Decimal { precision: 28, scale: 4 };
    let dec = |text: &str| Value::Decimal(text.parse().unwrap());
    let table = [
        ("id", decimal.clone(), dec("1.5"), "not_whole"),
        ("small", Type::Int, Value::Int(40_000), "out_of_range"),
        ("price", decimal.clone(), dec("1.005"), "too_precise"),
        ("price", decimal, dec("12345.60"), "out_of_range"),
        ("code", Type::Str, Value::Str("abcd"), "too_long"),
        ("code", Type::Str, Value::Str("a\0"), "nul_in_text"),
        ("dom", Type::Str, Value::Str("abcd"), "too_long"),
        ("mood", Type::Str, Value::Str("odd"), "data"),
        ("at", Type::Timestamp, Value::Timestamp(-210_900_000_000_000_000), "out_of_range"),
        ("at", Type::Timestamp, Value::Timestamp(i64::MIN), "out_of_range"),
        ("day", Type::Date, Value::Date(i32::MAX), "out_of_range"),
        ("uuid", Type::Str, Value::Str("no-uuid"), "not_a_uuid"),
        ("ratio", Type::Double, Value::Double(1e300), "out_of_range"),
        ("must", Type::Optional(Box::new(Type::Str)), Value::Null, "not_null_violation"),
        ("doc", Type::Str, Value::Str("{oops"), "data"),
        ("doc", Type::Str, Value::Str("\"\\u0000\""), "bad_character"),
    ];
    let owner = claim(&database, 0).await;
    for (name, ty, value, code) in table {
        let mut columns = vec![(name, ty)];
        let mut row = vec![value];
        if name != "must" {
            columns.push(("must", Type::Str));
            row.push(Value::Str(""));
        }
        let sink = Insert::new(Arc::clone(&database), options("t", &columns, Conflict::Ignore));
        sink.bind().await.unwrap();
        let refused = match encode(&sink, &[row]) {
            Ok(effects) => fault(apply(&sink, &owner, (0, 1), &effects).await),
            Err(End::Fault(fault)) => fault,
            Err(other) => panic!("{other}"),
        };
        assert_eq!((refused.class, &*refused.code), (Class::Poison, code), "{name}: {refused}");
        if !matches!(code, "data" | "bad_character") {
            assert!(refused.reason.contains(&format!("column {name}")), "{refused}");
        }
        for word in ["abcd", "odd", "oops", "no-uuid", "40000", "1.005", "12345"] {
            assert!(!refused.reason.contains(word), "{refused}");
        }
    }
    place.drop().await;
}

mod proxy {
    //! A door before the server that can be shut, held and slammed.

    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::{Notify, watch};

    /// What the door does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Mode {
        /// Lets everything through.
        Pass,
        /// Closes every connection, old and new.
        Refuse,
        /// Holds a COMMIT back until the mode changes.
        HoldCommit,
        /// Closes the connection instead of passing a COMMIT on.
        CutBeforeCommit,
        /// Passes a COMMIT on, and closes the connection instead of passing the answer back.
        CutAfterCommit,
    }

    pub(super) struct Proxy {
        pub(super) address: String,
        mode: watch::Sender<Mode>,
        held: Arc<Notify>,
    }

    impl Proxy {
        pub(super) async fn start(server: String) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (mode, watched) = watch::channel(Mode::Pass);
            let held = Arc::new(Notify::new());
            let holds = Arc::clone(&held);
            tokio::spawn(async move {
                while let Ok((client, _)) = listener.accept().await {
                    if *watched.borrow() == Mode::Refuse {
                        continue;
                    }
                    let server = TcpStream::connect(&server).await.unwrap();
                    tokio::spawn(carry(client, server, watched.clone(), Arc::clone(&holds)));
                }
            });
            Self { address, mode, held }
        }

        pub(super) fn set(&self, mode: Mode) {
            self.mode.send_replace(mode);
        }

        /// Waits until a COMMIT is held back.
        pub(super) async fn held(&self) {
            self.held.notified().await;
        }
    }

    async fn carry(
        mut client: TcpStream,
        mut server: TcpStream,
        mut mode: watch::Receiver<Mode>,
        held: Arc<Notify>,
    ) {
        let (mut there, mut back) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            tokio::select! {
                Ok(n) = client.read(&mut there) => {
                    if n == 0 {
                        return;
                    }
                    let commit = there[..n].windows(7).any(|bytes| bytes == b"COMMIT\0");
                    let now = *mode.borrow_and_update();
                    match now {
                        Mode::HoldCommit if commit => {
                            held.notify_one();
                            let _ = mode.wait_for(|mode| *mode != Mode::HoldCommit).await;
                        }
                        Mode::CutBeforeCommit if commit => return,
                        Mode::CutAfterCommit if commit => {
                            let _ = server.write_all(&there[..n]).await;
                            let _ = server.read(&mut back).await;
                            return;
                        }
                        _ => {}
                    }
                    if server.write_all(&there[..n]).await.is_err() {
                        return;
                    }
                }
                Ok(n) = server.read(&mut back) => {
                    if n == 0 || client.write_all(&back[..n]).await.is_err() {
                        return;
                    }
                }
                Ok(()) = mode.changed() => {
                    if *mode.borrow() == Mode::Refuse {
                        return;
                    }
                }
                else => return,
            }
        }
    }
}
