//! `tail`: what lies in a topic, for people and for pipes.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bumpalo::Bump;
use clap::ValueEnum;
use jiff::Timestamp;
use serde_json::{Value as Json, json};

use super::args::Common;
use super::{Failure, output, world};
use crate::codec::{Plan, Schema, frame, json as events};
use crate::config::units;
use crate::kafka::{self, Tailed};
use crate::port::{Admin as _, SchemaText, Schemas, Watermarks};
use crate::record::{Class, Fault, NextOffset, Offset, OwnedRecord, PartitionId, Uses};

/// `tail`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples: follow a topic; read all of it; look at the last ten dead letters
of each partition; copy events into another topic
  ordermill tail orders.created
  ordermill tail orders.created --from earliest --no-follow
  ordermill tail orders.created.inventory.dlq --from=-10 --no-follow -o json
  ordermill tail orders -o value --no-follow | ordermill produce copies -

WHERE is earliest, latest, an offset, -N (so many before the end), or a time
with its zone such as 2026-01-05T10:00:00Z; each in every partition. With
--no-follow it is earliest if nobody says otherwise. -o json prints whole
records, -o value the events alone, as `produce` reads them.

A record that cannot be decoded is shown with the reason and its bytes in
base64. What is written into transactions that were aborted is not shown.")]
pub(super) struct Tail {
    /// The topic
    topic: String,
    /// Where to begin [default: latest]
    #[arg(long, value_name = "WHERE", allow_hyphen_values = true)]
    from: Option<From>,
    /// End after so many records
    #[arg(long, short = 'n', value_name = "COUNT")]
    count: Option<u64>,
    /// Only this partition; may be repeated
    #[arg(long, value_name = "NUMBER")]
    partition: Vec<i32>,
    /// End at what is there now
    #[arg(long)]
    no_follow: bool,
    /// How records are printed
    #[arg(long, short, default_value = "text", value_name = "text|json|value")]
    #[arg(hide_possible_values = true)]
    output: Form,
}

/// The form of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For a person.
    Text,
    /// Everything, as one JSON object a line.
    Json,
    /// The event alone.
    Value,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Earliest,
    Latest,
    /// At this offset, or at what is nearest to it.
    Offset(i64),
    /// So many before the end.
    Last(i64),
    Time(Timestamp),
}

impl FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| all)
        };
        match text {
            "earliest" => Ok(From::Earliest),
            "latest" => Ok(From::Latest),
            _ => number(text)
                .map(From::Offset)
                .or_else(|| text.strip_prefix('-').and_then(number).map(From::Last))
                .or_else(|| units::time(text).map(From::Time))
                .ok_or_else(|| {
                    "earliest, latest, an offset, -N or a time with its zone, such as \
                     2026-01-05T10:00:00Z"
                        .to_owned()
                }),
        }
    }
}

/// How long one look takes: after it the terminal is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Shows records until there are enough, nobody reads any more or, without following, the end is reached.
///
/// # Errors
/// The topic is not there, or may not be read; the registry is away.
pub(super) async fn tail(common: &Common, command: &Tail) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    let schemas = world::registry(&config)?;
    let kafka = world::kafka(&config)?;
    let admin = kafka::Admin::new(&kafka).map_err(|e| e.fault())?;
    let partitions = partitions(&admin, command).await?;
    let ends = admin.watermarks(&partitions).await?;
    let from = command.from.unwrap_or(match command.no_follow {
        true => From::Earliest,
        false => From::Latest,
    });
    let starts = starts(&admin, from, &partitions, &ends).await?;
    let mut left = Left { records: command.count, ..Left::default() };
    if command.no_follow {
        let open = starts.iter().zip(&ends).filter(|((_, at), ends)| *at < ends.end);
        left.ends = Some(open.map(|((id, _), ends)| (id.partition, ends.end)).collect());
    }
    let reader = kafka::Tail::open(&kafka, &command.topic, &starts).map_err(|e| e.fault())?;
    let decoder = Decoder { schemas: Arc::new(schemas), plans: HashMap::new(), bump: Bump::new() };
    show(command, reader, decoder, left).await
}

async fn show(
    command: &Tail,
    mut reader: kafka::Tail,
    mut decoder: Decoder,
    mut left: Left,
) -> Result<(), Failure> {
    while !left.is_done() {
        match tokio::task::block_in_place(|| reader.next(LOOK)) {
            None => {}
            Some(Tailed::End(partition)) => left.ended(partition),
            Some(Tailed::Failed(_, error)) => return Err(error.fault().into()),
            Some(Tailed::Record(partition, offset, record)) => {
                if left.is_behind(partition, offset) {
                    continue;
                }
                let value = decoder.value(&record).await?;
                let seen =
                    Seen { topic: &command.topic, partition, offset, record: &record, value };
                if !output::reaches(&seen.line(command.output)) {
                    return Ok(());
                }
                left.shown(partition, offset);
            }
        }
    }
    Ok(())
}

async fn partitions(admin: &kafka::Admin, command: &Tail) -> Result<Vec<PartitionId>, Failure> {
    let topic = &command.topic;
    let found = admin.topic(topic).await?.ok_or_else(|| anyhow!("topic {topic} does not exist"))?;
    if let Some(number) = command.partition.iter().find(|n| !(0..found.partitions).contains(n)) {
        let last = found.partitions - 1;
        return Err(anyhow!("topic {topic} has no partition {number}: they are 0 to {last}").into());
    }
    let wanted = (0..found.partitions)
        .filter(|n| command.partition.is_empty() || command.partition.contains(n));
    Ok(wanted.map(|n| PartitionId::new(topic.as_str(), n)).collect())
}

async fn starts(
    admin: &kafka::Admin,
    from: From,
    partitions: &[PartitionId],
    ends: &[Watermarks],
) -> Result<Vec<(PartitionId, NextOffset)>, Failure> {
    let timed = match from {
        From::Time(time) => Some(admin.offsets_at(time.as_millisecond(), partitions).await?),
        From::Earliest | From::Latest | From::Offset(_) | From::Last(_) => None,
    };
    let at = |index: usize, ends: &Watermarks| match (from, &timed) {
        (From::Earliest, _) => ends.start,
        (From::Offset(at), _) => NextOffset(at),
        (From::Last(count), _) => NextOffset(ends.end.0.saturating_sub(count)),
        (From::Time(_), Some(timed)) => timed.get(index).copied().unwrap_or(ends.end),
        (From::Latest | From::Time(_), _) => ends.end,
    };
    let each = partitions.iter().zip(ends).enumerate();
    Ok(each
        .map(|(index, (id, ends))| (id.clone(), at(index, ends).clamp(ends.start, ends.end)))
        .collect())
}

/// What is still to be shown.
#[derive(Debug, Default)]
struct Left {
    /// So many records; `None`: all.
    records: Option<u64>,
    /// The partitions that have not reached where they ended when we began; `None`: there is no end.
    ends: Option<BTreeMap<i32, NextOffset>>,
}

impl Left {
    fn is_done(&self) -> bool {
        self.records == Some(0) || self.ends.as_ref().is_some_and(BTreeMap::is_empty)
    }

    /// Does this record lie behind what was the end?
    fn is_behind(&mut self, partition: i32, offset: Offset) -> bool {
        let Some(ends) = &mut self.ends else { return false };
        let behind = ends.get(&partition).is_none_or(|end| offset.next() > *end);
        if behind {
            ends.remove(&partition);
        }
        behind
    }

    fn shown(&mut self, partition: i32, offset: Offset) {
        self.records = self.records.map(|records| records.saturating_sub(1));
        if let Some(ends) = &mut self.ends
            && ends.get(&partition).is_some_and(|end| offset.next() >= *end)
        {
            ends.remove(&partition);
        }
    }

    /// The last offsets may hold no records: what was compacted away, and markers of transactions.
    fn ended(&mut self, partition: i32) {
        if let Some(ends) = &mut self.ends {
            ends.remove(&partition);
        }
    }
}

/// A value, or why it cannot be read.
type Read = Result<Json, String>;

/// Values by the schemas of the registry.
struct Decoder {
    schemas: Arc<dyn Schemas>,
    plans: HashMap<u32, Result<Plan, String>>,
    bump: Bump,
}

impl Decoder {
    async fn value(&mut self, record: &OwnedRecord) -> Result<Read, Failure> {
        let Some(value) = &record.value else { return Ok(Ok(Json::Null)) };
        let (id, body) = match frame::split(value) {
            Ok(framed) => framed,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let plan = match self.plans.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(plan(&*self.schemas, id).await?)
            }
        };
        let read = match plan {
            Err(why) => Err(why.clone()),
            Ok(plan) => plan
                .decode(body, &self.bump)
                .map(|values| events::write(plan.shape(), values))
                .map_err(|error| error.to_string()),
        };
        self.bump.reset();
        Ok(read)
    }
}

/// The plan of a schema's id, or why records of it cannot be read. A registry that is away is an error.
async fn plan(schemas: &dyn Schemas, id: u32) -> Result<Result<Plan, String>, Fault> {
    match schemas.by_id(id).await {
        Ok(schema) => Ok(compile(&schema).map_err(|error| error.to_string())),
        // A pipeline asks again for a while: its registry may be behind. A person may ask again.
        Err(fault) if fault.code == "schema_not_yet_known" => {
            Ok(Err(format!("the registry has no schema with id {id}")))
        }
        Err(fault) if fault.class == Class::Unavailable => Err(fault),
        Err(fault) => Ok(Err(fault.reason)),
    }
}

fn compile(schema: &SchemaText) -> Result<Plan, crate::codec::Error> {
    let references: Vec<&str> = schema.references.iter().map(|r| r.text.as_str()).collect();
    let schema = Schema::parse(&schema.text, &references)?;
    Plan::compile(&schema, &schema, &Uses::All)
}

/// A record as it is shown.
struct Seen<'a> {
    topic: &'a str,
    partition: i32,
    offset: Offset,
    record: &'a OwnedRecord,
    value: Read,
}

impl Seen<'_> {
    fn line(&self, form: Form) -> String {
        match form {
            Form::Text => self.text(),
            Form::Json => output::json_line(&self.json()),
            Form::Value => match &self.value {
                Ok(value) => output::json_line(value),
                Err(why) => output::json_line(&self.unread(why)),
            },
        }
    }

    fn text(&self) -> String {
        let time = self.time().unwrap_or_else(|| "-".to_owned());
        let key = self.record.key.as_ref().map_or_else(|| "-".to_owned(), |key| shown(key));
        let value = match (&self.value, &self.record.value) {
            (_, None) => "(no value: a tombstone)".to_owned(),
            (Ok(value), _) => output::json_line(value),
            (Err(why), Some(value)) => {
                let why = output::json_line(&Json::from(why.as_str()));
                format!("cannot be read: {why}: {}", BASE64.encode(value))
            }
        };
        let mut line = format!("{}@{} {time} {key} {value}", self.partition, self.offset);
        for (name, value) in &self.record.headers {
            let value = value.as_ref().map_or_else(|| "-".to_owned(), |value| shown(value));
            line.push_str(&format!("\n    {}: {value}", output::visible(name)));
        }
        line
    }

    fn json(&self) -> Json {
        let headers = self.record.headers.iter().map(|(name, value)| {
            json!({ "name": name, "value": value.as_deref().map_or(Json::Null, bytes) })
        });
        let mut json = json!({
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset.0,
            "timestamp": self.time(),
            "key": self.record.key.as_deref().map_or(Json::Null, bytes),
            "headers": headers.collect::<Vec<_>>(),
        });
        match &self.value {
            Ok(value) => json["value"] = value.clone(),
            Err(why) => {
                json["error"] = Json::from(why.as_str());
                json["raw"] = self.raw();
            }
        }
        json
    }

    /// In the place of an event: no schema has such fields by accident, so `produce` stops at it.
    fn unread(&self, why: &str) -> Json {
        json!({ "ordermill.error": why, "ordermill.raw": self.raw() })
    }

    fn raw(&self) -> Json {
        self.record.value.as_ref().map_or(Json::Null, |value| Json::from(BASE64.encode(value)))
    }

    fn time(&self) -> Option<String> {
        let time = Timestamp::from_millisecond(self.record.timestamp?).ok()?;
        Some(format!("{time:.3}"))
    }
}

/// Bytes in JSON: as text where they are text.
fn bytes(bytes: &[u8]) -> Json {
    match std::str::from_utf8(bytes) {
        Ok(text) => Json::from(text),
        Err(_) => json!({ "base64": BASE64.encode(bytes) }),
    }
}

/// Bytes on a terminal.
fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => output::visible(text),
        Err(_) => format!("base64:{}", BASE64.encode(bytes)),
    }
}
