//! The table of everything that a pipeline file may say.
//!
//! One row a key: its name, what it may hold, what happens without it, what it is for, and whether it is
//! built. To build what is `not_yet` or `later`, take that word from its row.

use serde_json::Value as Json;

use crate::config::grammar::{self, Fields, Is, Key, Scalar, Word};
use crate::stage;

/// The largest time a file may name.
const DAY_MS: u64 = 86_400_000;

const CEL: Is = Is::One(Scalar::Expression);
const TOPIC: Is = Is::One(Scalar::Topic);
const FIELD: Is = Is::One(Scalar::Field);
const COLUMN: Is = Is::One(Scalar::Column);
const TIMEOUT: Is = Is::One(Scalar::Duration(100, 3_600_000));

/// The file.
pub static PIPELINE: Fields = Fields::of(&[
    Key::new("name", Is::One(Scalar::Name), "the pipeline's name, in metrics, in logs and in its group's name").required(),
    Key::new("source", Is::Fields(&SOURCE), "where records come from").required(),
    Key::new("key", CEL, "what keeps its order: events of one key are worked one after another; another key than the record's is in order only within a partition")
        .otherwise("the record's key"),
    Key::new("id", CEL, "the event's id: stable, so that a repeated event is known as such")
        .otherwise("header `ce_id`, else `topic id:partition:offset[:child]`"),
    Key::new("stages", Is::List(&Is::Tag(STAGES), 0), "what happens to an event on its way, in this order"),
    Key::new("sink", Is::Tag(SINKS), "the one effect").required(),
    Key::new("retry", Is::Fields(&RETRY), "what happens when the effect of a record fails and may succeed later"),
    Key::new("dead_letter", Is::Fields(&DEAD_LETTER), "where records go that can never succeed"),
    Key::new("on_replay", Is::Word(&[Word::now("run"), Word::now("skip"), Word::later("shadow")]), "what happens to records below the replay mark after a reset")
        .otherwise("`run` for topics and for `insert` with `conflict: ignore` or `{ on, update }`, else `skip`"),
    Key::new("limits", Is::Fields(&LIMITS), "how much may be on its way"),
    Key::new("cases", Is::List(&Is::Fields(&CASE), 0), "the pipeline's own tests: they run without broker and database, sinks never run"),
]);

/// `source`.
pub static SOURCE: Fields = Fields {
    keys: &[
        Key::new("topic", TOPIC, "the topic to read"),
        Key::new(
            "topics",
            Is::List(&TOPIC, 1),
            "several topics to read; they share one reader schema",
        ),
        Key::later("http", "orders taken in over HTTP"),
        Key::later("outbox", "rows of an outbox table"),
        Key::new(
            "group",
            Is::One(Scalar::Group),
            "the consumer group; no two pipelines may share one",
        )
        .otherwise("`ordermill.NAME`"),
        Key::new(
            "schema",
            Is::One(Scalar::Subject),
            "the subject whose newest version is the reader schema; needed with several topics",
        )
        .otherwise("`TOPIC-value`"),
        Key::new(
            "key_type",
            Is::Word(&[Word::now("string"), Word::now("bytes"), Word::now("long")]),
            "what the record's key is in expressions",
        )
        .default("string"),
        Key::new(
            "from",
            Is::Either(&[
                Is::Word(&[Word::now("earliest"), Word::now("latest")]),
                Is::One(Scalar::Time),
            ]),
            "where a group begins in a topic that it has never worked; a partition that is added later starts at its beginning. A time has a zone: `2026-01-05T10:00:00Z`",
        )
        .default("earliest"),
        Key::new(
            "tombstone",
            Is::Word(&[Word::now("reject"), Word::now("drop")]),
            "how a record without a value ends",
        )
        .default("reject"),
    ],
    one_of: &["topic", "topics", "http", "outbox"],
};

/// One entry of `stages`: the stages' own rows, with what may stand behind each word.
pub static STAGES: &[Key] = &[
    stage(stage::filter::ROW, CEL),
    stage(stage::check::ROW, Is::Fields(&CHECK)),
    stage(stage::map::ROW, Is::Entries(Scalar::Field, &CEL)),
    stage(stage::set::ROW, Is::Entries(Scalar::Field, &CEL)),
    stage(stage::keep::ROW, Is::List(&FIELD, 1)),
    stage(stage::drop::ROW, Is::List(&FIELD, 1)),
    stage(stage::unnest::ROW, Is::Fields(&UNNEST)),
    stage(stage::dedup::ROW, Is::Fields(&DEDUP)),
    stage(stage::route::ROW, Is::List(&Is::Fields(&ROUTE), 1)),
    Key::later("verify", "checks a signature"),
    Key::later("decrypt", "decrypts fields"),
    Key::later("lifecycle", "checks an order's steps against those before"),
];

const fn stage(row: stage::Row, is: Is) -> Key {
    Key::new(row.name, is, row.does)
}

/// `check`.
pub static CHECK: Fields = Fields::of(&[
    Key::new("rule", CEL, "true of a good event").required(),
    Key::new(
        "reason",
        Is::One(Scalar::Reason),
        "why an event that breaks it is rejected; the same for every event",
    )
    .required(),
]);

/// `unnest`.
pub static UNNEST: Fields = Fields::of(&[
    Key::new("field", FIELD, "the list").required(),
    Key::new("as", FIELD, "the field that holds the item; the event's other fields stay")
        .default("item"),
]);

/// `dedup`.
pub static DEDUP: Fields = Fields::of(&[
    Key::new("by", CEL, "what makes two events the same").otherwise("`id`"),
    Key::new(
        "window",
        Is::One(Scalar::Count(1, 1_000_000)),
        "how many events are remembered, per partition",
    )
    .default("10000"),
]);

/// One entry of `route`.
pub static ROUTE: Fields = Fields {
    keys: &[
        Key::new(
            "when",
            CEL,
            "events of which this is true, and of no entry before, go to `topic`",
        ),
        Key::new(
            "else",
            Is::Either(&[Is::Word(&[Word::now("drop"), Word::now("reject")]), TOPIC]),
            "what happens to all others: a topic, `drop` or `reject`; the last entry",
        ),
        Key::new("topic", TOPIC, "the topic, beside `when`"),
    ],
    one_of: &["when", "else"],
};

/// `sink`.
pub static SINKS: &[Key] = &[
    Key::new("sql", Is::Fields(&SQL), "rows in a database: exactly once"),
    Key::new(
        "topic",
        Is::Fields(&TOPIC_SINK),
        "records in a Kafka topic: at least once, with a stable id",
    ),
    Key::new(
        "archive",
        Is::Fields(&ARCHIVE),
        "Avro files in a folder, a chain of them per partition: exactly once",
    ),
    Key::new("mail", Is::Fields(&MAIL), "e-mail: at least once, each with one Message-ID"),
    Key::later("webhook", "HTTP requests"),
];

/// `sink: sql`.
pub static SQL: Fields = Fields {
    keys: &[
        Key::new("database", Is::One(Scalar::Name), "its name in `ordermill.yaml`").required(),
        Key::new("insert", Is::Fields(&INSERT), "each event is a row"),
        Key::new(
            "execute",
            Is::One(Scalar::Statement),
            "each event runs this one statement, in the order of the records, with its fields as `:name`; they are bound, not written into it, and `::` stays a cast",
        ),
        Key::new(
            "rows",
            Is::Either(&[Is::Word(&[Word::now("any")]), Is::One(Scalar::Count(0, 1_000_000))]),
            "how many rows `execute` must change; a record that changed another number leaves no change behind",
        )
        .default("any"),
        Key::new(
            "else",
            Is::Word(&[Word::now("reject"), Word::now("drop")]),
            "how a record ends whose `execute` changed another number of rows: `reject` sends it to the dead-letter topic as a rejection of the business, `drop` only counts it",
        )
        .default("reject"),
        Key::later("emit", "a record to a topic for each effect"),
        Key::later("once", "exactly once per event id, by an inbox table"),
        BATCH_KEY,
        TIMEOUT_KEY,
    ],
    one_of: &["insert", "execute"],
};

/// `insert`.
pub static INSERT: Fields = Fields::of(&[
    Key::new("table", Is::One(Scalar::Table), "the table, with its schema if need be").required(),
    Key::new("columns", Is::Entries(Scalar::Column, &CEL), "what goes into which column").otherwise("each field into the column of its name"),
    Key::new("conflict", Is::Either(&[Is::Word(&[Word::now("reject"), Word::now("ignore")]), Is::Fields(&UPSERT)]), "what happens when the row is there already: `reject` treats the record as bad, `ignore` leaves the row, `{ on, update }` changes it").default("reject"),
]);

/// `conflict: { on, update }`.
pub static UPSERT: Fields = Fields::of(&[
    Key::new("on", Is::List(&COLUMN, 1), "the columns of the unique key").required(),
    Key::new("update", Is::List(&COLUMN, 1), "the columns that take the new values").required(),
]);

/// `sink: topic`.
pub static TOPIC_SINK: Fields = Fields::of(&[
    Key::new("topic", TOPIC, "the topic to write; needed unless a `route` says it"),
    Key::new("schema", Is::One(Scalar::Subject), "the subject of its schema")
        .otherwise("`TOPIC-value`"),
    Key::new("key", CEL, "the new record's key").otherwise("the record's key, byte for byte"),
    Key::new(
        "partition",
        Is::Word(&[Word::now("hash"), Word::now("same")]),
        "by the key's hash, or the number that the record had",
    )
    .default("hash"),
    Key::new(
        "headers",
        Is::Word(&[Word::now("copy"), Word::now("none")]),
        "what happens to the record's headers",
    )
    .default("copy"),
    Key::later("delivery", "`transactional`: exactly once for readers of committed records"),
    BATCH_KEY,
    TIMEOUT_KEY,
]);

/// `sink: archive`.
pub static ARCHIVE: Fields = Fields::of(&[
    Key::new(
        "to",
        Is::One(Scalar::Path),
        "a folder of the pipeline's own; an address such as `s3://bucket/folder` is refused: it is not built in",
    )
    .required(),
    Key::new(
        "roll",
        Is::Fields(&ROLL),
        "when a file is full; it ends too when the partition's `limits.window` is full, and at a stop",
    ),
    TIMEOUT_KEY,
]);

/// `roll`.
pub static ROLL: Fields = Fields::of(&[
    Key::new(
        "size",
        Is::One(Scalar::Size(1 << 20, 256 << 20)),
        "at this size, before it is compressed",
    )
    .default("64MiB"),
    Key::new("every", Is::One(Scalar::Duration(1000, DAY_MS)), "at this age of its first record")
        .default("5m"),
]);

/// `sink: mail`.
pub static MAIL: Fields = Fields::of(&[
    Key::new("from", Is::One(Scalar::Template), "the sender: `shop@example.com` or `Shop <shop@example.com>`. Like the others a Jinja template over the event after its stages, `{{ event.order_id }}`, and over the names that expressions know; what is not there, and null, is an error").required(),
    Key::new("to", Is::One(Scalar::Template), "the recipient: exactly one").required(),
    Key::new("subject", Is::One(Scalar::Template), "the subject; line breaks in it become spaces").required(),
    Key::new("text", Is::One(Scalar::Template), "the text, at most 256 KiB").required(),
    Key::new("html", Is::One(Scalar::Template), "the same as HTML; values are escaped in it"),
    Key::new(
        "in_flight",
        Is::One(Scalar::Count(1, 10_000)),
        "how many at once, per pipeline and process",
    )
    .default("100"),
    TIMEOUT_KEY,
]);

const TIMEOUT_KEY: Key = Key::new(
    "timeout",
    TIMEOUT,
    "how long one try of an effect may take; must be shorter than `limits.drain`",
)
.default("10s");
const BATCH_KEY: Key = Key::new(
    "batch",
    Is::Fields(&BATCH),
    "how much one transaction takes; whichever limit is reached first",
);

/// `batch`.
pub static BATCH: Fields = Fields::of(&[
    Key::new("rows", Is::One(Scalar::Count(1, 100_000)), "so many records").default("1000"),
    Key::new("bytes", Is::One(Scalar::Size(1 << 10, 64 << 20)), "so many bytes").default("4MiB"),
    Key::new("every", Is::One(Scalar::Duration(0, 60_000)), "so long after the first one")
        .default("20ms"),
]);

/// `retry`.
pub static RETRY: Fields = Fields::of(&[
    Key::new("attempts", Is::One(Scalar::Count(1, 1000)), "tries in all; an outage of what the sink needs is never counted as one").default("3"),
    Key::new("every", Is::One(Scalar::Duration(1, DAY_MS)), "the time between two tries").default("5s"),
    Key::new("then", Is::Word(&[Word::now("stop"), Word::now("dead_letter"), Word::later("park")]), "what happens after the last try: `stop` halts the pipeline with the record's position and the reason, `dead_letter` sends the record to the dead-letter topic and goes on").default("stop"),
    Key::later("backoff", "times that grow from try to try"),
]);

/// `dead_letter`.
pub static DEAD_LETTER: Fields = Fields::of(&[
    Key::new("topic", TOPIC, "the topic").otherwise("`TOPIC.NAME.dlq`"),
    Key::new(
        "stop_after",
        Is::Fields(&STOP_AFTER),
        "when so much is bad that the pipeline halts instead; rejections by `check` and by `rows` do not count",
    ),
]);

/// `stop_after`.
pub static STOP_AFTER: Fields = Fields::of(&[
    Key::new(
        "consecutive",
        Is::One(Scalar::Count(1, 1_000_000)),
        "so many bad records one after another",
    )
    .default("50"),
    Key::new("ratio", Is::One(Scalar::Ratio), "such a part of the last `of` records").default("5%"),
    Key::new("of", Is::One(Scalar::Count(1, 1_000_000)), "how many records `ratio` looks back on")
        .default("1000"),
]);

/// `limits`.
pub static LIMITS: Fields = Fields::of(&[
    Key::new("window", Is::Fields(&WINDOW), "how much may be delivered and not settled; a partition whose window is full pauses"),
    Key::new("drain", Is::One(Scalar::Duration(1000, 600_000)), "how long begun work may take to end on a rebalance or a stop; must be shorter than the session").default("20s"),
]);

/// `window`.
pub static WINDOW: Fields = Fields::of(&[
    Key::new("records", Is::One(Scalar::Count(1, 1_000_000)), "records, per partition")
        .default("10000"),
    Key::new(
        "bytes",
        Is::One(Scalar::Size(1 << 20, 4 << 30)),
        "bytes, per pipeline and process, shared by its partitions",
    )
    .default("32MiB"),
]);

/// One entry of `cases`.
pub static CASE: Fields = Fields::of(&[
    Key::new("name", Is::One(Scalar::Text), "what it shows").required(),
    Key::new(
        "given",
        Is::List(&Is::Given(&GIVEN), 1),
        "the events; or records, as `{ value, key, headers, timestamp }` or `{ raw }`",
    )
    .required(),
    Key::new(
        "expect",
        Is::Fields(&EXPECT),
        "what becomes of them, exactly and in order; what is left out is none",
    )
    .required(),
]);

/// One entry of `given` that is a record; `value` or `raw` tells it from an event.
pub static GIVEN: Fields = Fields {
    keys: &[
        Key::new("value", Is::Any, "the event; `null` is a tombstone"),
        Key::new("raw", Is::One(Scalar::Base64), "the value's bytes, frame and all"),
        Key::new("key", Is::Any, "the key, by the source's `key_type`").otherwise("no key"),
        Key::new("headers", Is::Entries(Scalar::Text, &Is::One(Scalar::Value)), "headers by name")
            .otherwise("none"),
        Key::new("timestamp", Is::One(Scalar::Time), "the record's timestamp")
            .otherwise("1970-01-01T00:00:00Z"),
    ],
    one_of: &["value", "raw"],
};

/// `expect`.
pub static EXPECT: Fields = Fields::of(&[
    Key::new(
        "effects",
        Is::List(&Is::Event, 0),
        "what the sink is given: rows, records, for `execute` the event whose fields it may name; what the database would say of it no case can tell",
    ),
    Key::new(
        "dropped",
        Is::Either(&[Is::One(Scalar::Count(0, 20_000)), Is::List(&Is::One(Scalar::Reason), 0)]),
        "how many are dropped, or why each is",
    ),
    Key::new("rejected", Is::List(&Is::One(Scalar::Reason), 0), "why each is rejected"),
]);

/// The page `docs/pipeline-files.md`.
pub fn page() -> String {
    grammar::page(INTRODUCTION, "A pipeline file", &PIPELINE)
}

/// The grammar as JSON Schema, for editors.
pub fn json_schema() -> Json {
    grammar::json_schema("An Ordermill pipeline", &PIPELINE)
}

const INTRODUCTION: &str = "\
# Pipeline files

A pipeline file says what happens to the records of a topic: from a source, through stages, into one sink.
It is YAML. This page is made from the table that the files are checked against.
";
