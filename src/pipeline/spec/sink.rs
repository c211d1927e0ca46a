//! `sink`: the one effect.

use std::time::Duration;

use super::grammar::{ARCHIVE, MAIL, SQL, TOPIC_SINK, UPSERT};
use super::stage::named;
use super::{Node, Text};
use crate::config::grammar::Part;
use crate::config::yaml::Entry;

/// The effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Rows in a database.
    Sql(Sql),
    /// Records in a topic.
    Topic(TopicSink),
    /// Files.
    Archive(Archive),
    /// E-mail.
    Mail(Mail),
}

/// `sink: sql`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    /// Its name in `ordermill.yaml`.
    pub database: String,
    /// What is done.
    pub statement: Statement,
    /// How much one transaction takes.
    pub batch: Batch,
    /// How long one try may take.
    pub timeout: Duration,
}

/// What is done in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Each event is a row.
    Insert(Insert),
    /// Each event runs a statement.
    Execute(Execute),
}

/// `insert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    /// The table, as the file says it: `table` or `schema.table`.
    pub table: String,
    /// Columns and expressions; nothing: each field into the column of its name.
    pub columns: Option<Vec<(String, Text)>>,
    /// What happens when the row is there already.
    pub conflict: Conflict,
}

/// `conflict`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The record is bad.
    Reject,
    /// The row stays.
    Ignore,
    /// The row takes new values.
    Update {
        /// The columns of the unique key.
        on: Vec<String>,
        /// The columns that take new values.
        update: Vec<String>,
    },
}

/// `execute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    /// The statement, with `:name` for fields.
    pub sql: Text,
    /// How many rows it must change.
    pub rows: Rows,
    /// How a record ends that changed another number.
    pub otherwise: Shortfall,
}

/// `rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// No matter how many.
    Any,
    /// So many.
    Exactly(u64),
}

/// `else` of `execute`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// Rejected: a business rejection.
    Reject,
    /// Dropped.
    Drop,
}

/// `batch`: whichever limit is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// So many records.
    pub rows: usize,
    /// So many bytes.
    pub bytes: usize,
    /// So long after the first one.
    pub every: Duration,
}

/// `sink: topic`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSink {
    /// The topic; nothing: a route says it.
    pub topic: Option<String>,
    /// The subject of its schema; nothing: `TOPIC-value`.
    pub schema: Option<Text>,
    /// The new record's key; nothing: the record's.
    pub key: Option<Text>,
    /// Which partition.
    pub partition: Partition,
    /// What happens to the record's headers.
    pub headers: Headers,
    /// How much is sent before it is waited for.
    pub batch: Batch,
    /// How long one try may take.
    pub timeout: Duration,
}

/// `partition`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// By the key's murmur2 hash.
    Hash,
    /// The number that the record had.
    Same,
}

/// `headers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Headers {
    /// Copied.
    Copy,
    /// Left out.
    None,
}

/// `sink: archive`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// A folder or an address.
    pub to: String,
    /// When an object is full.
    pub roll: Roll,
    /// How long one try may take.
    pub timeout: Duration,
}

/// `roll`: whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// At so many bytes.
    pub size: usize,
    /// At this age.
    pub every: Duration,
}

/// `sink: mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender, a template like the others.
    pub from: Text,
    /// The recipient.
    pub to: Text,
    /// The subject.
    pub subject: Text,
    /// The text.
    pub text: Text,
    /// The same as HTML.
    pub html: Option<Text>,
    /// How many at once.
    pub in_flight: usize,
    /// How long one try may take.
    pub timeout: Duration,
}

impl Sink {
    /// How long one try of the effect may take.
    pub fn timeout(&self) -> Duration {
        match self {
            Sink::Sql(sql) => sql.timeout,
            Sink::Topic(topic) => topic.timeout,
            Sink::Archive(archive) => archive.timeout,
            Sink::Mail(mail) => mail.timeout,
        }
    }
}

/// The sink of a checked file; nothing where the file is wrong.
pub(super) fn sink(node: &Node) -> Option<Sink> {
    let [Entry { key, value }] = node.entries() else { return None };
    Some(match key.as_str() {
        "sql" => Sink::Sql(sql(&Part::new(Some(value), &SQL))?),
        "topic" => Sink::Topic(topic(&Part::new(Some(value), &TOPIC_SINK))?),
        "archive" => {
            let part = Part::new(Some(value), &ARCHIVE);
            let roll = part.part("roll")?;
            Sink::Archive(Archive {
                to: part.string("to")?,
                roll: Roll { size: roll.size("size")?, every: roll.duration("every")? },
                timeout: part.duration("timeout")?,
            })
        }
        "mail" => Sink::Mail(mail(&Part::new(Some(value), &MAIL))?),
        _ => return None,
    })
}

fn sql(part: &Part<'_>) -> Option<Sql> {
    let statement = match part.text("execute") {
        None => Statement::Insert(insert(&part.part("insert")?)?),
        Some(sql) => Statement::Execute(Execute {
            sql,
            rows: match part.string("rows")?.as_str() {
                "any" => Rows::Any,
                _ => Rows::Exactly(part.count("rows")?),
            },
            otherwise: match part.string("else")?.as_str() {
                "reject" => Shortfall::Reject,
                "drop" => Shortfall::Drop,
                _ => return None,
            },
        }),
    };
    Some(Sql {
        database: part.string("database")?,
        statement,
        batch: batch(part)?,
        timeout: part.duration("timeout")?,
    })
}

fn insert(part: &Part<'_>) -> Option<Insert> {
    let names = |texts: Vec<Text>| texts.into_iter().map(|text| text.text).collect();
    let conflict = match part.string("conflict").as_deref() {
        Some("reject") => Conflict::Reject,
        Some("ignore") => Conflict::Ignore,
        Some(_) => return None,
        None => {
            let upsert = Part::new(Some(part.node("conflict")?), &UPSERT);
            Conflict::Update {
                on: upsert.texts("on").map(names)?,
                update: upsert.texts("update").map(names)?,
            }
        }
    };
    let columns = match part.node("columns") {
        Some(columns) => Some(named(columns)?),
        None => None,
    };
    Some(Insert { table: part.string("table")?, columns, conflict })
}

fn topic(part: &Part<'_>) -> Option<TopicSink> {
    Some(TopicSink {
        topic: part.string("topic"),
        schema: part.text("schema"),
        key: part.text("key"),
        partition: match part.string("partition")?.as_str() {
            "hash" => Partition::Hash,
            "same" => Partition::Same,
            _ => return None,
        },
        headers: match part.string("headers")?.as_str() {
            "copy" => Headers::Copy,
            "none" => Headers::None,
            _ => return None,
        },
        batch: batch(part)?,
        timeout: part.duration("timeout")?,
    })
}

fn mail(part: &Part<'_>) -> Option<Mail> {
    Some(Mail {
        from: part.text("from")?,
        to: part.text("to")?,
        subject: part.text("subject")?,
        text: part.text("text")?,
        html: part.text("html"),
        in_flight: part.count("in_flight")?,
        timeout: part.duration("timeout")?,
    })
}

pub(super) fn batch(part: &Part<'_>) -> Option<Batch> {
    let batch = part.part("batch")?;
    Some(Batch {
        rows: batch.count("rows")?,
        bytes: batch.size("bytes")?,
        every: batch.duration("every")?,
    })
}
