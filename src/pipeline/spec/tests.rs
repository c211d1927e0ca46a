//! What pipeline files are read as, and what is said of wrong ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::grammar::{Fields, Is, Key, When};
use crate::config::yaml;

/// Every key that is built, but those that cannot stand beside others.
const FULL: &str = "\
name: full
source:
  topics: [orders.created, orders.changed]
  group: team.full
  schema: orders-value
  key_type: long
  from: earliest
  tombstone: drop
key: event.customer
id: headers.id
stages:
  - filter: event.quantity > 0
  - check: { rule: event.quantity <= 1000, reason: quantity out of range }
  - map: { order_id: event.order_id, lines: event.lines }
  - set: { total: '1 + 1' }
  - keep: [order_id, lines, total]
  - drop: [total]
  - unnest: { field: lines, as: line }
  - dedup: { by: event.order_id, window: 5 }
  - dedup: {}
sink:
  sql:
    database: orders
    insert:
      table: public.orders
      columns: { id: event.order_id, line: event.line }
      conflict: { on: [id], update: [line] }
    batch: { rows: 10, bytes: 1MiB, every: 1s }
    timeout: 5s
retry: { attempts: 5, every: 1m30s, then: stop }
dead_letter:
  topic: full.dead
  stop_after: { consecutive: 3, ratio: 0.5%, of: 200 }
limits: { window: { records: 100, bytes: 2MiB }, drain: 10s }
cases:
  - name: an order
    given:
      - { order_id: 007, lines: [] }
      - { value: { order_id: 8 }, key: 8, headers: { a: b }, timestamp: 2026-01-05T10:00:00Z }
      - { raw: AAAAAAE= }
      - { value: null }
      - { value: 1, order_id: 2 }
    expect:
      effects: [ { id: 7 } ]
      dropped: 2
      rejected: [ quantity out of range ]
";

/// The least that a file may say.
const LEAST: &str =
    "name: least\nsource: { topic: t }\nsink: { sql: { database: d, insert: { table: o } } }\n";

/// An archive with everything that it may say.
const KEPT: &str = "name: a\nsource: { topic: t }\nsink: { archive: { to: some/folder, roll: { size: 1MiB, every: 1h }, timeout: 1s } }\n";

/// What is read but not built, besides what `FULL` has.
const NOT_YET: &[&str] = &[
    "name: a\nsource: { topic: t, from: latest }\nstages:\n  - route: [ { when: 'true', topic: x }, { else: drop } ]\nsink: { topic: { schema: s, key: event.a, partition: same, headers: none, batch: { rows: 5, bytes: 1MiB, every: 1s }, timeout: 1s } }\nretry: { then: dead_letter }\non_replay: skip\n",
    "name: a\nsource: { topic: t, from: 2026-01-05T10:00:00Z }\nsink: { topic: { topic: o } }\n",
    "name: a\nsource: { topic: t }\nsink: { mail: { from: a, to: b, subject: c, text: d, html: e, in_flight: 5, timeout: 1s } }\n",
    "name: a\nsource: { topic: t }\nsink: { sql: { database: o, execute: 'UPDATE a SET b = :b', rows: 1, else: drop } }\n",
];

/// The design's example.
const INVENTORY: &str = "\
name: inventory
source: { topic: orders.created }
stages:
  - filter: event.quantity > 0
  - check: { rule: event.quantity <= 1000, reason: quantity out of range }
  - map: { order_id: event.order_id, sku: event.product_name, quantity: event.quantity }
sink:
  sql:
    database: orders
    execute: UPDATE stock SET available = available - :quantity WHERE sku = :sku AND available >= :quantity
    rows: 1
    else: reject                    # out of stock: a business rejection
retry: { attempts: 3, every: 5s, then: dead_letter }

cases:
  - name: an order takes its stock
    given:  [ { order_id: 0190a1b2-0000-7000-8000-000000000001, product_name: lamp, quantity: 2, created_at: 2026-01-05T10:00:00Z } ]
    expect: { effects: [ { order_id: 0190a1b2-0000-7000-8000-000000000001, sku: lamp, quantity: 2 } ] }
  - name: nobody orders a thousand and one
    given:  [ { order_id: 0190a1b2-0000-7000-8000-000000000002, product_name: lamp, quantity: 1001, created_at: 2026-01-05T10:00:00Z } ]
    expect: { rejected: [ quantity out of range ] }
";

fn parsed(text: &str) -> Pipeline {
    parse(Path::new("p.yaml"), text.as_bytes())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

/// Reads also what is not built.
fn whole(text: &str) -> Result<Pipeline, Problems> {
    let file = Path::new("p.yaml");
    super::read::pipeline(file, &yaml::read(file, text.as_bytes(), BYTES_MAX)?, When::NotYet)
}

/// What is wrong with a file, one a line, without the file's name.
fn wrong(text: &str) -> String {
    match parse(Path::new("p.yaml"), text.as_bytes()) {
        Ok(pipeline) => format!("read: {pipeline:?}"),
        Err(problems) => problems.to_string().replace("p.yaml:", ""),
    }
}

fn names(texts: &[Text]) -> Vec<&str> {
    texts.iter().map(Text::as_str).collect()
}

#[test]
fn every_key_that_is_built_reaches_the_pipeline() {
    let full = parsed(FULL);
    assert_eq!(full.name, "full");
    assert_eq!(full.source.topics, ["orders.created", "orders.changed"]);
    assert_eq!(full.source.group, "team.full");
    assert_eq!(full.source.schema.as_str(), "orders-value");
    assert_eq!(full.source.key_type, KeyType::Long);
    assert_eq!(full.source.from, From::Earliest);
    assert_eq!(full.source.tombstone, Tombstone::Drop);
    assert_eq!(full.key.as_ref().map(Text::as_str), Some("event.customer"));
    assert_eq!(full.id.as_ref().map(|id| id.at), Some(Place::new(10, 5)));
    let words: Vec<_> = full.stages.iter().map(Stage::word).collect();
    assert_eq!(
        words,
        ["filter", "check", "map", "set", "keep", "drop", "unnest", "dedup", "dedup"]
    );
    let Stage::Filter(filter) = &full.stages[0] else { panic!() };
    assert_eq!((filter.as_str(), filter.at), ("event.quantity > 0", Place::new(12, 13)));
    let Stage::Check { rule, reason } = &full.stages[1] else { panic!() };
    assert_eq!(
        (rule.as_str(), reason.as_str()),
        ("event.quantity <= 1000", "quantity out of range")
    );
    let Stage::Map(fields) = &full.stages[2] else { panic!() };
    assert_eq!((fields[1].0.as_str(), fields[1].1.as_str()), ("lines", "event.lines"));
    let Stage::Set(fields) = &full.stages[3] else { panic!() };
    assert_eq!((fields[0].1.as_str(), fields[0].1.at), ("1 + 1", Place::new(15, 20)));
    let (Stage::Keep(keep), Stage::Drop(drop)) = (&full.stages[4], &full.stages[5]) else {
        panic!()
    };
    assert_eq!((names(keep), names(drop)), (vec!["order_id", "lines", "total"], vec!["total"]));
    let Stage::Unnest { field, as_ } = &full.stages[6] else { panic!() };
    assert_eq!((field.as_str(), as_.as_str()), ("lines", "line"));
    let Stage::Dedup { by: Some(by), window: 5 } = &full.stages[7] else { panic!() };
    assert_eq!(by.as_str(), "event.order_id");
    assert_eq!(full.stages[8], Stage::Dedup { by: None, window: 10_000 });
    let Sink::Sql(Sql { database, statement: Statement::Insert(insert), batch, timeout }) =
        &full.sink
    else {
        panic!()
    };
    assert_eq!((database.as_str(), insert.table.as_str()), ("orders", "public.orders"));
    assert_eq!(insert.columns.as_ref().unwrap()[0].1.as_str(), "event.order_id");
    let update = Conflict::Update { on: vec!["id".to_owned()], update: vec!["line".to_owned()] };
    assert_eq!(insert.conflict, update);
    assert_eq!(*batch, Batch { rows: 10, bytes: 1 << 20, every: Duration::from_secs(1) });
    assert_eq!(*timeout, Duration::from_secs(5));
    assert_eq!(full.retry, Retry { attempts: 5, every: Duration::from_secs(90), then: Then::Stop });
    assert_eq!(full.dead_letter_topic("orders.created"), "full.dead");
    assert_eq!(full.dead_letter.stop_after, StopAfter { consecutive: 3, ratio: 0.005, of: 200 });
    assert_eq!(full.limits.window, Window { records: 100, bytes: 2 << 20 });
    assert_eq!(full.limits.drain, Duration::from_secs(10));
    assert_eq!(full.on_replay, OnReplay::Run);
    assert_eq!(full.places.database, Place::new(23, 15));
}

#[test]
fn the_cases_of_a_file_are_records_and_what_becomes_of_them() {
    let full = parsed(FULL);
    let [case] = full.cases.as_slice() else { panic!() };
    let [event, record, raw, tombstone, own] = case.given.as_slice() else { panic!() };
    let Payload::Event(node) = &event.payload else { panic!() };
    assert_eq!(node.get("order_id").unwrap().scalar().unwrap().text.as_str(), "007");
    assert_eq!((event.key.as_ref(), event.timestamp.as_second()), (None, 0));
    assert_eq!(record.payload_json(), serde_json::json!({ "order_id": 8 }));
    assert_eq!(record.key.as_ref().unwrap().to_json(), serde_json::json!(8));
    assert_eq!(record.headers, [("a".to_owned(), "b".to_owned())]);
    assert_eq!(record.timestamp.to_string(), "2026-01-05T10:00:00Z");
    assert_eq!(raw.payload, Payload::Raw(vec![0, 0, 0, 0, 1]));
    assert_eq!(tombstone.payload, Payload::Tombstone);
    assert_eq!(
        own.payload_json(),
        serde_json::json!({ "value": 1, "order_id": 2 }),
        "an event with a field of that name"
    );
    assert_eq!(case.expect.effects[0].to_json(), serde_json::json!({ "id": 7 }));
    assert_eq!(case.expect.dropped, Dropped::Count(2));
    assert_eq!(case.expect.rejected, ["quantity out of range"]);
    let text = FULL.replace("dropped: 2", "dropped: [ filter, dedup ]");
    let reasons = vec!["filter".to_owned(), "dedup".to_owned()];
    assert_eq!(parsed(&text).cases[0].expect.dropped, Dropped::Reasons(reasons));
}

impl Given {
    fn payload_json(&self) -> serde_json::Value {
        match &self.payload {
            Payload::Event(node) => node.to_json(),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_left_out_has_the_defaults_of_the_table() {
    let least = parsed(LEAST);
    assert_eq!(least.source.group, "ordermill.least");
    assert_eq!(least.source.schema.as_str(), "t-value");
    assert_eq!(least.source.key_type, KeyType::String);
    assert_eq!(least.source.tombstone, Tombstone::Reject);
    assert_eq!((least.key, least.id), (None, None));
    assert!(least.stages.is_empty() && least.cases.is_empty());
    let Sink::Sql(sql) = &least.sink else { panic!() };
    assert_eq!(sql.batch, Batch { rows: 1000, bytes: 4 << 20, every: Duration::from_millis(20) });
    assert_eq!(sql.timeout, Duration::from_secs(10));
    let Statement::Insert(insert) = &sql.statement else { panic!() };
    assert_eq!((&insert.columns, &insert.conflict), (&None, &Conflict::Reject));
    assert_eq!(least.retry, Retry { attempts: 3, every: Duration::from_secs(5), then: Then::Stop });
    assert_eq!(least.dead_letter.topic, None);
    assert_eq!(least.dead_letter.stop_after, StopAfter { consecutive: 50, ratio: 0.05, of: 1000 });
    assert_eq!(least.limits.window, Window { records: 10_000, bytes: 32 << 20 });
    assert_eq!(least.limits.drain, Duration::from_secs(20));
    assert_eq!(least.on_replay, OnReplay::Skip);
    assert_eq!(parsed(LEAST).dead_letter_topic("t"), "t.least.dlq");
    assert_eq!(
        parsed(&LEAST.replace("table: o", "table: o, conflict: ignore")).on_replay,
        OnReplay::Run
    );
    let empty = format!("{LEAST}stages:\nretry:\nlimits: {{}}\ndead_letter:\ncases: []\n");
    assert_eq!(parsed(&empty).retry, least.retry, "an empty map is all defaults");
}

#[test]
fn an_archive_rolls_at_a_size_and_an_age() {
    let archive = |text: &str| {
        let Sink::Archive(archive) = parsed(text).sink else { panic!() };
        archive
    };
    let (kept, plain) = (
        archive(KEPT),
        archive(&KEPT.replace(", roll: { size: 1MiB, every: 1h }, timeout: 1s", "")),
    );
    assert_eq!((&*kept.to, kept.timeout), ("some/folder", Duration::from_secs(1)));
    assert_eq!(kept.roll, Roll { size: 1 << 20, every: Duration::from_secs(3600) });
    assert_eq!(plain.timeout, Duration::from_secs(10));
    assert_eq!(plain.roll, Roll { size: 64 << 20, every: Duration::from_secs(300) });
}

#[test]
fn what_is_not_built_is_read_whole_but_refused() {
    let read: Vec<_> =
        NOT_YET.iter().map(|text| whole(text).unwrap_or_else(|p| panic!("{p}\n{text}"))).collect();
    let Sink::Topic(topic) = &read[0].sink else { panic!() };
    assert_eq!(
        (topic.partition, topic.headers, &topic.topic),
        (Partition::Same, Headers::None, &None)
    );
    assert_eq!((read[0].source.from, read[0].retry.then), (From::Latest, Then::DeadLetter));
    let Stage::Route(route) = &read[0].stages[0] else { panic!() };
    assert_eq!((route.when[0].1.as_str(), &route.otherwise), ("x", &Otherwise::Drop));
    assert!(matches!(read[1].source.from, From::Time(time) if time.as_second() == 1_767_607_200));
    assert_eq!((read[0].on_replay, read[1].on_replay), (OnReplay::Skip, OnReplay::Run));
    let Sink::Mail(mail) = &read[2].sink else { panic!() };
    assert_eq!((mail.in_flight, mail.html.as_ref().map(Text::as_str)), (5, Some("e")));
    let Sink::Sql(Sql { statement: Statement::Execute(execute), .. }) = &read[3].sink else {
        panic!()
    };
    assert_eq!((execute.rows, execute.otherwise), (Rows::Exactly(1), Shortfall::Drop));
    // Built since.
    let built = ["sink: { mail:", "execute:", "from: "];
    for text in NOT_YET.iter().filter(|text| !built.iter().any(|built| text.contains(built))) {
        let said = wrong(text);
        assert!(said.lines().all(|line| line.contains("not yet possible")), "{said}");
    }
    assert_eq!(parsed(NOT_YET[0]).source.from, From::Latest);
}

#[test]
fn every_error_of_a_file_is_said_at_once_where_it_stands() {
    let text = "\
nam: a
source: { topik: t, group: 'a b' }
stages:
  - filter:
  - chek: { rule: x }
  - check: { rule: x }
  - keep: [a, a]
sink:
  sql:
    database: Orders
    insert: { table: t, conflict: rejct, columns: { a: f(b, c) } }
    batch: { rows: 20000 }
retry: { attempts: 0, every: 5, then: park }
limits: { drain: 5s }
cases: { name: x }
";
    assert_eq!(
        wrong(text),
        "\
1:1: `name` is missing; for example `name: orders`
1:1: unknown key `nam`; did you mean `name`?
2:9: `topic` or `topics` is missing; for example `topic: orders.created`
2:11: unknown key `topik` in `source`; did you mean `topic`?
2:28: `source.group` must be a consumer group's name, not the text `a b`; for example ordermill.inventory
4:5: `stages.filter` must be an expression, not nothing; for example event.quantity > 0
5:5: unknown key `chek` in `stages`; did you mean `check`?
6:12: `stages.check.reason` is missing; for example `reason: quantity out of range`
7:15: `a` stands in `keep` twice, first at 7:12; each may stand there once
10:15: `sink.sql.database` must be a name of small letters, digits and `-`, at most 63, not `Orders`; for example orders
11:35: `sink.sql.insert.conflict` must be `reject` or `ignore` or a map, not `rejct`; for example reject
11:61: `c)` in `sink.sql.insert.columns` must be a column's name of letters, digits and `_`; in { } a comma ends a value: put an expression with a comma in quotes
11:61: `sink.sql.insert.columns.c)` must be an expression, not nothing; for example event.quantity > 0
12:20: `batch.rows` 20000 is more than `limits.window.records` 10000; such a batch would never fill
13:20: `retry.attempts` must be a whole number from 1 to 1000, not `0`; for example 3
13:30: `retry.every` must be a duration from 1ms to 1d, not `5`; for example 5s
13:39: `park` is not yet possible for `retry.then`; possible now: `stop` or `dead_letter`
14:18: the sink's `timeout` 10s is not shorter than `limits.drain` 5s; a try that was begun must end before the drain does
15:8: `cases` must be a list, each item a map, not a map; for example [{ name: some text, given: [{ order_id: 1 }], expect: { effects: [{ order_id: 1 }] } }]"
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of files and what is said of them")]
fn what_is_wrong_between_keys_is_said_where_it_stands() {
    let least = |from: &str, to: &str| LEAST.replace(from, to);
    for (text, expected) in [
        (
            least("topic: t", "topic: t, topics: [u]"),
            "2:21: `topics` cannot stand beside `topic`; keep one of them",
        ),
        (
            least("topic: t", "topics: [t, u]"),
            "2:19: `source.schema` is missing for several topics; say which subject's schema they are read by: `schema: SUBJECT`",
        ),
        (
            least("topic: t", "topics: [t, t], schema: s"),
            "2:23: `t` stands in `source.topics` twice, first at 2:20; each may stand there once",
        ),
        (
            least("topic: t", "topics: []"),
            "2:19: `source.topics` must be a list, each item a topic's name of letters, digits, `.`, `_` and `-`, not an empty list; for example [orders.created]",
        ),
        (
            least("topic: t", "http: {}"),
            "2:11: `source.http` is not yet possible; allowed: topic, topics, group, schema, key_type, from, tombstone",
        ),
        (
            format!("{LEAST}dead_letter: {{ topic: t }}\n"),
            "4:23: `dead_letter.topic` is the source `t` itself; dead letters would come back as records: name another topic",
        ),
        (
            least("topic: t", &format!("topic: {}", "t".repeat(249))),
            "2:9: the dead-letter topic of `TOPIC` would be longer than 249 bytes; name one: `dead_letter: { topic: … }`",
        ),
        (
            least("table: o", "table: o }, timeout: 20s, batch: { bytes: 33MiB"),
            "3:60: the sink's `timeout` 20s is not shorter than `limits.drain` 20s; a try that was begun must end before the drain does\n3:81: `batch.bytes` 33MiB is more than `limits.window.bytes` 32MiB; such a batch would never fill",
        ),
        (
            format!("{LEAST}limits: {{ window: {{ records: 10 }} }}\n"),
            "4:19: `batch.rows` 1000 is more than `limits.window.records` 10; such a batch would never fill",
        ),
        (
            least(
                "table: o",
                "table: o, conflict: { on: [a, a], update: [a, b] }, columns: { a: '1' }",
            ),
            "3:69: `a` stands in `conflict.on` twice, first at 3:66; each may stand there once\n3:82: `a` stands in both `on` and `update`; the columns of the key are equal already: leave it out of `update`\n3:85: `b` is not among `insert.columns`; say what goes into it, or leave it out here",
        ),
        (
            least("table: o", "table: o, conflict: { on: [a] }"),
            "3:59: `sink.sql.insert.conflict.update` is missing; for example `update: [order_id]`",
        ),
        (
            least(", insert: { table: o }", ""),
            "3:14: `insert` or `execute` is missing; for example `insert: { table: orders }`",
        ),
        (
            least("{ sql: { database: d, insert: { table: o } } }", "{}"),
            "3:7: `sink` must be a map with one key, not an empty map; for example { sql: { database: orders, insert: { table: orders } } }",
        ),
        (
            least("sink: { sql:", "sink: { webhook: {}, sql:"),
            "3:9: `sink.webhook` is not yet possible; allowed: sql, topic, archive, mail\n3:22: `sink` takes one key here, and `sql` is a second one; what belongs to the first is indented below it, or stands in its { }",
        ),
        (
            format!("{LEAST}stages: [ filter ]\n"),
            "4:11: an item of `stages` must be a map with one key, not `filter`; for example { filter: event.quantity > 0 }",
        ),
        (
            format!("{LEAST}stages: [ {{ filter: a, check: b }} ]\n"),
            "4:24: `stages` takes one key here, and `check` is a second one; what belongs to the first is indented below it, or stands in its { }",
        ),
        (
            format!("{LEAST}stages: [ {{ map: {{}} }} ]\n"),
            "4:18: `stages.map` must be a map from a field's name of letters, digits and `_` to an expression, not an empty map; for example { order_id: event.quantity > 0 }",
        ),
        (
            format!("{LEAST}stages: [ {{ verify: {{}} }}, {{ route: [] }} ]\n"),
            "4:13: `stages.verify` is not yet possible; allowed: filter, check, map, set, keep, drop, unnest, dedup, route\n4:27: `route` needs the sink `topic`; it says which topic an event goes to\n4:36: `stages.route` must be a list, each item a map, not an empty list; for example [{ when: event.quantity > 0 }]",
        ),
        (
            format!(
                "{LEAST}cases:\n  - {{ name: a, given: [ {{}} ], expect: {{}} }}\n  - {{ name: a, given: [], expect: {{ drop: 1 }} }}\n"
            ),
            "6:13: `a` stands in `cases` twice, first at 5:13; each may stand there once\n6:23: `cases.given` must be a list, each item an event: a map of its fields, or `{ value: EVENT }`, not an empty list; for example [{ order_id: 1 }]\n6:37: unknown key `drop` in `cases.expect`; did you mean `dropped`?",
        ),
        (
            format!(
                "{LEAST}cases:\n  - {{ name: a, given: [ 5, {{ raw: x }}, {{ raw: '', value: 1 }} ], expect: {{ effects: [ 1 ], dropped: x }} }}\n"
            ),
            "5:25: an item of `cases.given` must be an event: a map of its fields, or `{ value: EVENT }`, not `5`; for example { order_id: 1 }\n5:35: `cases.given.raw` must be bytes in base64, not `x`; for example AAAAAAE=\n5:51: `value` cannot stand beside `raw`; keep one of them\n5:86: an item of `cases.expect.effects` must be an event: a map of its fields, not `1`; for example { order_id: 1 }\n5:100: `cases.expect.dropped` must be a whole number from 0 to 20000 or a list, each item a short text on one line, at most 200 bytes, not `x`; for example 10",
        ),
    ] {
        let said = wrong(&text).replace(&"t".repeat(249), "TOPIC");
        assert_eq!(said, expected, "{text}");
    }
}

#[test]
fn rules_of_what_is_not_built_hold_too() {
    for (rest, expected) in [
        (
            "sink: { topic: { topic: t } }",
            "3:25: `sink.topic.topic` is the source `t` itself; the pipeline would read what it writes, for ever",
        ),
        (
            "sink: { topic: {} }",
            "3:16: `sink.topic.topic` is missing; for example `topic: orders.valid`, or a `route` as the last stage",
        ),
        (
            "stages: [ { route: [ { else: reject }, { when: a } ] }, { filter: a } ]\nsink: { sql: { database: d, insert: { table: t } } }",
            "3:11: `route` is not the last stage; put it at the end of `stages`\n3:11: `route` needs the sink `topic`; it says which topic an event goes to\n3:22: `else` is not the last entry of `route`; put it at the end\n3:40: `route.topic` is missing; say where these events go\n3:40: `route` says nothing of all other events; end with `else: TOPIC`, `else: drop` or `else: reject`",
        ),
        (
            "stages: [ { route: [ { else: reject, topic: x } ] } ]\nsink: { topic: {} }",
            "3:45: `topic` belongs to `when`; write `else: TOPIC`",
        ),
        (
            "sink: { sql: { database: d, insert: { table: t }, rows: 1, else: drop } }",
            "3:57: `sink.sql.rows` belongs to `execute`; leave it out: for `insert` there is `conflict`\n3:66: `sink.sql.else` belongs to `execute`; leave it out: for `insert` there is `conflict`",
        ),
        (
            "sink: { sql: { database: d, execute: 'DELETE FROM a', rows: some } }",
            "3:61: `sink.sql.rows` must be `any` or a whole number from 0 to 1000000, not `some`; for example any",
        ),
    ] {
        let said =
            whole(&format!("name: a\nsource: {{ topic: t }}\n{rest}\n")).unwrap_err().to_string();
        assert_eq!(said.replace("p.yaml:", ""), expected, "{rest}");
    }
}

#[test]
fn the_place_in_an_expression_is_a_place_in_the_file() {
    let text = format!(
        "{LEAST}stages:\n  - filter: |\n      event.a > 0 &&\n      event.b < 0\n  - filter: >-\n      a\n      && b\n"
    );
    let pipeline = parsed(&text);
    let (Stage::Filter(literal), Stage::Filter(folded)) =
        (&pipeline.stages[0], &pipeline.stages[1])
    else {
        panic!()
    };
    let byte = literal.as_str().find("event.b").unwrap();
    assert_eq!(literal.place(byte), Place::new(7, 7));
    assert_eq!(literal.place_of(2, 7), Place::new(7, 13));
    assert_eq!(folded.as_str(), "a && b");
    assert_eq!(folded.place(5), Place::new(10, 10));
}

#[test]
fn the_example_of_the_design_is_read() {
    let inventory = parsed(INVENTORY);
    let Sink::Sql(Sql { statement: Statement::Execute(execute), .. }) = &inventory.sink else {
        panic!()
    };
    assert!(execute.sql.as_str().ends_with("available >= :quantity"));
    assert_eq!((execute.rows, execute.otherwise), (Rows::Exactly(1), Shortfall::Reject));
    assert_eq!(inventory.on_replay, OnReplay::Skip);
    assert_eq!((inventory.cases.len(), inventory.retry.then), (2, Then::DeadLetter));
}

#[test]
fn a_statement_that_cannot_be_run_for_each_event_is_refused_at_its_place() {
    for (sink, expected) in [
        (
            "execute: COMMIT",
            "3:38: COMMIT cannot be run for each event; write one INSERT, UPDATE, DELETE, MERGE, REPLACE, or one that begins with WITH or SELECT",
        ),
        (
            "execute: DELETE FROM a; DELETE FROM b",
            "3:51: more than one statement; leave one, without `;`",
        ),
        (
            "execute: DELETE FROM a WHERE b = $1",
            "3:62: a parameter by its number; write `:name`, with the event's field",
        ),
        (
            "execute: DELETE FROM a, else: drop",
            "3:59: `sink.sql.else` needs `rows`; say how many rows it must change, for example `rows: 1`, or leave it out",
        ),
    ] {
        let text = format!(
            "name: a\nsource: {{ topic: t }}\nsink: {{ sql: {{ database: d, {sink} }} }}\n"
        );
        assert_eq!(wrong(&text), expected, "{sink}");
    }
}

/// All paths of a table that are as new as `newest`, without those of single words.
fn paths(fields: &Fields, newest: When) -> BTreeSet<String> {
    fn of_is(is: &Is, path: &str, newest: When, all: &mut BTreeSet<String>) {
        match is {
            Is::Fields(fields) | Is::Given(fields) => of_keys(fields.keys, path, newest, all),
            Is::Tag(keys) => of_keys(keys, path, newest, all),
            Is::List(of, _) => of_is(of, path, newest, all),
            Is::Either(of) => of.iter().for_each(|is| of_is(is, path, newest, all)),
            _ => {}
        }
    }
    fn of_keys(keys: &[Key], path: &str, newest: When, all: &mut BTreeSet<String>) {
        for key in keys.iter().filter(|key| key.when <= newest) {
            let path = format!("{path}.{}", key.name);
            of_is(&key.is, &path, newest, all);
            all.insert(path);
        }
    }
    let mut all = BTreeSet::new();
    of_keys(fields.keys, "", newest, &mut all);
    all
}

/// All paths that a file uses.
fn used(node: &Node, path: &str, all: &mut BTreeSet<String>) {
    node.items().iter().for_each(|item| used(item, path, all));
    for entry in node.entries() {
        let path = format!("{path}.{}", entry.key);
        used(&entry.value, &path, all);
        all.insert(path);
    }
}

#[test]
fn every_key_of_the_table_stands_in_a_file_of_these_tests() {
    let mut seen = BTreeSet::new();
    for text in [FULL, LEAST, KEPT].iter().chain(NOT_YET) {
        used(&yaml::read(Path::new("p"), text.as_bytes(), BYTES_MAX).unwrap(), "", &mut seen);
    }
    let missing: Vec<_> =
        paths(&grammar::PIPELINE, When::NotYet).difference(&seen).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Replaces each value that has a row in the table, one at a time, by `bad`.
fn spoilt(node: &Node, path: &str, rows: &BTreeSet<String>, bad: &Node) -> Vec<(String, Node)> {
    let mut all = Vec::new();
    let mut with = |slot: usize, path: &str, value: &Node| {
        for (path, spoilt) in spoilt(value, path, rows, bad) {
            let mut copy = node.clone();
            match &mut copy.kind {
                Kind::Map(entries) => entries[slot].value = spoilt,
                Kind::List(items) => items[slot] = spoilt,
                Kind::Scalar(_) => {}
            }
            all.push((path, copy));
        }
    };
    for (slot, item) in node.items().iter().enumerate() {
        with(slot, path, item);
    }
    for (slot, entry) in node.entries().iter().enumerate() {
        with(slot, &format!("{path}.{}", entry.key), &entry.value);
    }
    if rows.contains(path) {
        all.push((path.to_owned(), bad.clone()));
    }
    all
}

#[test]
fn a_value_of_the_wrong_kind_is_refused_at_its_place_whatever_the_key() {
    let rows = paths(&grammar::PIPELINE, When::NotYet);
    let anything = [".cases.given.value", ".cases.given.key"];
    let at = Place::new(9999, 7);
    let bad = [
        Node { at, kind: Kind::List(vec![Node { at, kind: Kind::List(Vec::new()) }]) },
        Node::plain("", at),
        Node::plain("\u{1}", at),
    ];
    for text in [FULL, LEAST, KEPT].iter().chain(NOT_YET) {
        let file = Path::new("p.yaml");
        let node = yaml::read(file, text.as_bytes(), BYTES_MAX).unwrap();
        for (path, spoilt) in bad.iter().flat_map(|bad| spoilt(&node, "", &rows, bad)) {
            if anything.contains(&path.as_str()) {
                continue;
            }
            match super::read::pipeline(file, &spoilt, When::NotYet) {
                Err(problems) => {
                    let there = problems.iter().any(|problem| problem.at == at);
                    assert!(there || may_be_left_empty(&path), "{path}: {problems}");
                }
                Ok(_) => assert!(may_be_left_empty(&path), "{path} was taken"),
            }
        }
    }
}

/// Maps and lists of which everything has a default may stand there without anything in them.
fn may_be_left_empty(path: &str) -> bool {
    [".stages", ".stages.dedup", ".retry", ".dead_letter", ".dead_letter.stop_after", ".limits", ".limits.window", ".cases"]
        .contains(&path)
        || path.starts_with(".sink.") && path.ends_with(".batch")
        || [".sink.topic", ".sink.archive.roll", ".cases.expect", ".cases.expect.effects", ".cases.expect.dropped", ".cases.expect.rejected"].contains(&path)
        // Free text takes any character but a nought.
        || [".key", ".id", ".stages.filter", ".stages.check.rule", ".stages.dedup.by", ".stages.route.when"].contains(&path)
        || path.starts_with(".sink.mail.") || path == ".sink.topic.key" || path == ".sink.sql.execute"
}

#[test]
fn every_stage_and_sink_of_the_table_is_read() {
    for key in grammar::STAGES.iter().chain(grammar::SINKS).filter(|key| key.when != When::Later) {
        let node = yaml::read(
            Path::new("p"),
            format!("{}: {}", key.name, key.is.example()).as_bytes(),
            BYTES_MAX,
        )
        .unwrap();
        let is_sink = grammar::SINKS.iter().any(|sink| sink.name == key.name);
        let read = match is_sink {
            true => super::sink::sink(&node).is_some(),
            false => super::stage::stage(&node).map(|stage| stage.word() == key.name) == Some(true),
        };
        assert!(read || key.name == "route", "{}: {}", key.name, key.is.example());
    }
}

/// The rooms' two tables are one, and the page shows it: a stage without a row in either fails here; one without a case
/// fails in `tests/pipelines.rs`.
#[test]
fn each_stage_has_its_row_in_the_page() {
    let built: Vec<_> =
        grammar::STAGES.iter().filter(|key| key.when == When::Now).map(|key| key.name).collect();
    let rows: Vec<_> = crate::stage::TABLE.iter().map(|row| row.name).collect();
    assert_eq!(built, rows);
    let page = page();
    for row in crate::stage::TABLE {
        let shown = page.lines().any(|line| {
            line.starts_with(&format!("| `{}` |", row.name))
                && line.ends_with(&format!("| {} |", row.does))
        });
        assert!(shown, "{row:?}");
    }
}

#[test]
fn the_page_is_the_table() {
    crate::config::grammar::same_page("docs/pipeline-files.md", &page());
}

#[test]
fn the_json_schema_has_what_is_built_and_nothing_else() {
    let schema = json_schema();
    let at = |pointer: &str| schema.pointer(pointer);
    assert_eq!(schema["required"], serde_json::json!(["name", "source", "sink"]));
    assert_eq!(schema["additionalProperties"], false);
    assert!(at("/properties/stages/items/properties/filter").is_some());
    assert!(at("/properties/stages/items/properties/route").is_some());
    assert!(at("/properties/stages/items/properties/verify").is_none());
    assert_eq!(
        at("/properties/retry/properties/then/enum"),
        Some(&serde_json::json!(["stop", "dead_letter"]))
    );
    assert_eq!(at("/properties/retry/properties/attempts/default"), Some(&serde_json::json!(3)));
    assert_eq!(at("/properties/source/oneOf/1/required/0"), Some(&serde_json::json!("topics")));
    assert_eq!(at("/properties/source/oneOf/2"), None);
}

#[test]
fn the_reference_pipelines_read_fine() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let pipelines = read_all(&[&folder]).unwrap_or_else(|problems| panic!("{problems}"));
    let orders = pipelines.iter().find(|pipeline| pipeline.name == "tpch-orders").unwrap();
    let Sink::Sql(Sql { statement: Statement::Insert(insert), .. }) = &orders.sink else {
        panic!()
    };
    let columns = insert.columns.as_ref().unwrap();
    assert_eq!(columns.len(), 9);
    for (column, expression) in columns {
        assert_eq!(expression.as_str(), format!("event.{column}"));
    }
}

#[test]
fn a_directory_is_its_yaml_files_in_order_and_shared_names_and_groups_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let here = |name: &str| folder.path().join(name);
    let write = |name: &str, pipeline: &str, group: &str| {
        let text = LEAST
            .replace("least", pipeline)
            .replace("topic: t", &format!("topic: t, group: {group}"));
        fs::write(here(name), text).unwrap();
    };
    let said = |paths: &[std::path::PathBuf]| {
        let problems = read_all(paths).unwrap_err().to_string();
        problems.replace(&format!("{}/", folder.path().display()), "")
    };
    assert!(said(&[folder.path().to_owned()]).ends_with("holds no *.yaml and no *.yml file"));
    write("b.yml", "b", "b");
    write("a.yaml", "a", "a");
    fs::write(here(".hidden.yaml"), "x").unwrap();
    fs::write(here("notes.txt"), "x").unwrap();
    fs::create_dir(here("c.yaml")).unwrap();
    let both = read_all(&[folder.path().to_owned(), here("a.yaml")]).unwrap();
    let names: Vec<_> = both.iter().map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "a file that is named twice is read once");
    write("d.yaml", "d", "a");
    write("e.yaml", "b", "e");
    fs::write(here("f.yaml"), "name: f\n").unwrap();
    assert_eq!(
        said(&[folder.path().to_owned(), here("none.yaml")])
            .replace(&folder.path().display().to_string(), ""),
        "d.yaml:2:28: the group `a` is used in a.yaml already; two pipelines of one group would take each other's records\n\
         e.yaml:1:7: the name `b` is used in b.yml already; a name is used once\n\
         f.yaml:1:1: `sink` is missing; for example `sink: { sql: { database: orders, insert: { table: orders } } }`\n\
         f.yaml:1:1: `source` is missing; for example `source: { topic: orders.created }`\n\
         none.yaml: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn a_pipeline_file_is_bounded() {
    let large = format!("{LEAST}# {}\n", "x".repeat(BYTES_MAX));
    assert_eq!(wrong(&large), " is larger than 262144 bytes; split it");
    let many = format!("{LEAST}{}", (0..500).map(|i| format!("x{i}: 1\n")).collect::<String>());
    assert!(wrong(&many).ends_with("and 400 more"));
}

/// A valid file with something cut out, put in or changed.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let file = prop::sample::select([&[FULL, LEAST, KEPT], NOT_YET].concat());
    let piece = prop_oneof![
        "[-:,\\[\\]{}#&*!|>'\"%\t\n ]{1,3}",
        Just("{ }".to_owned()),
        Just("null".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("- ".to_owned()),
    ];
    let edit = (any::<prop::sample::Index>(), 0_usize..12, prop_oneof![Just(String::new()), piece]);
    (file, prop::collection::vec(edit, 1..4)).prop_map(|(file, edits)| {
        let mut bytes = file.as_bytes().to_vec();
        for (at, cut, put) in edits {
            let from = at.index(bytes.len() + 1);
            let to = (from + cut).min(bytes.len());
            bytes.splice(from..to, put.into_bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_mutated_file_is_read_or_refused_with_reasons(bytes in mutated()) {
        let file = Path::new("p.yaml");
        if let Err(problems) = parse(file, &bytes) {
            prop_assert!(!problems.is_empty());
            prop_assert!(!problems.to_string().contains("fault of Ordermill"), "{problems}");
        }
        let whole = yaml::read(file, &bytes, BYTES_MAX).and_then(|node| super::read::pipeline(file, &node, When::NotYet));
        if let Err(problems) = whole {
            prop_assert!(!problems.to_string().contains("fault of Ordermill"), "{problems}");
        }
    }

    #[test]
    fn arbitrary_bytes_are_never_a_pipeline(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(Path::new("p.yaml"), &bytes).is_err());
    }
}
