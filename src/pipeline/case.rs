//! A file's own cases: records in, effects, drops and rejections out. No broker, no database; sinks never run.

use std::sync::Arc;

use bumpalo::Bump;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::compile::Compiled;
use super::reader::{Reader, Tombstone, Unread};
use super::spec::{self, Case, Dropped, Given, KeyType, Payload};
use crate::codec::{Encoder, Plan, frame, json};
use crate::record::{End, Offset, OwnedRecord, PartitionId, TopicId, Value};

/// What is wrong with a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Where in the file.
    pub at: spec::Place,
    /// Expected and got.
    pub what: String,
}

/// What became of the given records.
#[derive(Debug, Default)]
struct Came {
    effects: Vec<Json>,
    dropped: Vec<String>,
    rejected: Vec<String>,
    faults: Vec<String>,
}

/// Runs one case of a compiled pipeline; answers every difference.
///
/// The records go the whole way: encoded by the reader schema, framed, decoded, through the stages, and the
/// sink's expressions are evaluated.
pub fn run(pipeline: &spec::Pipeline, compiled: &Arc<Compiled>, case: &Case) -> Vec<Failed> {
    let mut failed = Vec::new();
    let mut came = Came::default();
    let topic = pipeline.source.topics.first().map_or("", String::as_str);
    let partition = PartitionId::new(topic, 0);
    let tombstone = Tombstone::of(&pipeline.source);
    let mut reader =
        Reader::new(Arc::clone(compiled), tombstone, pipeline.source.key_type, &partition);
    reader.begin(TopicId(Uuid::nil()));
    match Plan::compile(&compiled.reader, &compiled.reader, &compiled.uses) {
        Ok(plan) => reader.know(CASE_SCHEMA, Ok(Arc::new(plan))),
        Err(error) => return vec![Failed { at: case.at, what: error.to_string() }],
    }
    for (offset, given) in (0..).zip(&case.given) {
        match record(given, compiled, pipeline.source.key_type) {
            Ok(record) => one(&mut reader, compiled, &record, Offset(offset), &mut came),
            Err(what) => failed.push(Failed { at: given.at, what }),
        }
    }
    compare(case, &came, compiled, &mut failed);
    failed
}

/// The schema id in the frames of cases: any number.
const CASE_SCHEMA: u32 = 1;

fn record(given: &Given, compiled: &Compiled, key_type: KeyType) -> Result<OwnedRecord, String> {
    let value = match &given.payload {
        Payload::Tombstone => None,
        Payload::Raw(bytes) => Some(bytes.clone()),
        Payload::Event(node) => Some(encode(&node.to_json(), compiled)?),
    };
    let key = given.key.as_ref().map(|key| key_bytes(&key.to_json(), key_type)).transpose()?;
    Ok(OwnedRecord {
        key,
        value,
        headers: given.headers.iter().map(|(n, v)| (n.clone(), Some(v.clone().into()))).collect(),
        timestamp: Some(given.timestamp.as_millisecond()),
    })
}

fn encode(event: &Json, compiled: &Compiled) -> Result<Vec<u8>, String> {
    let (bump, shape) = (Bump::new(), compiled.reader.shape());
    let text = |e: crate::codec::Error| e.to_string();
    let fields = json::read(&shape, event, &bump).map_err(text)?;
    let mut bytes = Vec::new();
    frame::put(CASE_SCHEMA, &mut bytes);
    Encoder::compile(&compiled.reader, &shape)
        .and_then(|encoder| encoder.encode(fields, &mut bytes))
        .map_err(text)?;
    Ok(bytes)
}

fn key_bytes(key: &Json, key_type: KeyType) -> Result<Vec<u8>, String> {
    let text = match key {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    match key_type {
        KeyType::String | KeyType::Bytes => Ok(text.into_bytes()),
        KeyType::Long => text
            .parse::<i64>()
            .map(|n| n.to_be_bytes().to_vec())
            .map_err(|_| format!("key: {text} is no 64-bit number, as key_type: long needs")),
    }
}

fn one(
    reader: &mut Reader,
    compiled: &Compiled,
    record: &OwnedRecord,
    offset: Offset,
    came: &mut Came,
) {
    let before = came.effects.len();
    let effects = &mut came.effects;
    let end = reader.read(&record.at(offset), &mut |scope| {
        if let Some(mail) = &compiled.mail {
            effects.push(mail.render(scope)?.to_json());
            return Ok(());
        }
        let mut effect = Map::new();
        for (name, column) in &compiled.columns {
            let value: Value<'_> = column.value(scope)?;
            effect.insert(name.clone(), json::write_value(column.ty(), &value));
        }
        let effect = Json::Object(effect);
        let router = compiled.sending.as_ref().and_then(|s| Some((s, s.router.as_ref()?)));
        effects.push(match router {
            None => effect,
            // Where it goes is a part of what happens.
            Some((sending, router)) => {
                let (topic, _) = &sending.topics[router.pick(scope)?];
                json!({ "topic": topic, "event": effect })
            }
        });
        Ok(())
    });
    if let Err(unread) = end {
        came.effects.truncate(before);
        match unread {
            Unread::Ended(End::Drop(reason)) => came.dropped.push(reason.into_owned()),
            Unread::Ended(End::Reject(reason)) => came.rejected.push(reason.into_owned()),
            Unread::Schema(id) => came.faults.push(format!("unknown_schema: id {id}")),
            Unread::Ended(End::Fault(fault)) => {
                came.faults.push(format!("{}: {}", fault.code, fault.reason))
            }
        }
    }
}

fn compare(case: &Case, came: &Came, compiled: &Compiled, failed: &mut Vec<Failed>) {
    let expect = &case.expect;
    let mut wrong = |at, what: String| failed.push(Failed { at, what });
    for (i, node) in expect.effects.iter().enumerate() {
        let expected = normal(&node.to_json(), compiled);
        match came.effects.get(i) {
            Some(got) if *got == expected => {}
            Some(got) => {
                wrong(node.at, format!("effect {}: {}", i + 1, difference(&expected, got)))
            }
            None => wrong(node.at, format!("effect {} did not happen: expected {expected}", i + 1)),
        }
    }
    for extra in came.effects.iter().skip(expect.effects.len()) {
        wrong(expect.at, format!("an effect that was not expected: {extra}"));
    }
    match &expect.dropped {
        Dropped::Count(count) if *count == came.dropped.len() => {}
        Dropped::Reasons(reasons) if *reasons == came.dropped => {}
        expected => {
            wrong(expect.at, format!("dropped: expected {expected:?}, got {:?}", came.dropped))
        }
    }
    if expect.rejected != came.rejected {
        let what = format!("rejected: expected {:?}, got {:?}", expect.rejected, came.rejected);
        wrong(expect.at, what);
    }
    for fault in &came.faults {
        wrong(expect.at, format!("a record failed: {fault}"));
    }
}

/// What is expected, each value in the form that its column's type is shown in.
fn normal(expected: &Json, compiled: &Compiled) -> Json {
    let Json::Object(fields) = expected else { return expected.clone() };
    if compiled.sending.as_ref().is_some_and(|sending| sending.router.is_some()) {
        let event = fields.get("event").map(|event| normal_event(event, compiled));
        return json!({ "topic": fields.get("topic"), "event": event });
    }
    normal_event(expected, compiled)
}

fn normal_event(expected: &Json, compiled: &Compiled) -> Json {
    let Json::Object(fields) = expected else { return expected.clone() };
    let bump = Bump::new();
    let shown = fields.iter().map(|(name, value)| {
        let column = compiled.columns.iter().find(|(column, _)| column == name);
        // Of a block of text the last line break is no part of a mail.
        if let (Some(_), Some(text)) = (&compiled.mail, value.as_str()) {
            return (name.clone(), Json::from(text.trim_end_matches('\n')));
        }
        let value = column.and_then(|(_, column)| {
            let read = json::read_value(column.ty(), value, &bump).ok()?;
            Some(json::write_value(column.ty(), &read))
        });
        (name.clone(), value.unwrap_or_else(|| fields[name].clone()))
    });
    Json::Object(shown.collect())
}

fn difference(expected: &Json, got: &Json) -> String {
    let (Json::Object(left), Json::Object(right)) = (expected, got) else {
        return format!("expected {expected}, got {got}");
    };
    let mut parts = Vec::new();
    for (name, value) in left {
        match right.get(name) {
            Some(other) if other == value => {}
            Some(other) => parts.push(format!("{name}: expected {value}, got {other}")),
            None => parts.push(format!("{name}: not in the effect")),
        }
    }
    for name in right.keys().filter(|name| !left.contains_key(*name)) {
        parts.push(format!("{name}: not expected, got {}", right[name]));
    }
    parts.join("; ")
}
