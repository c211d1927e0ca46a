//! An entry: what is kept of one event. The event as the stages left it, and where it came from.

use std::sync::Arc;

use serde_json::json;

use crate::codec::{Encoder, Error, Schema, frame, schema_of};
use crate::port::Encode;
use crate::record::{End, Fault, Field, HeaderList, Name, Record, Scope, Shape, Type, Value};

/// How entries are written: their schema and the encoder for it.
#[derive(Debug)]
pub struct Entries {
    schema: String,
    encoder: Encoder,
}

impl Entries {
    /// What an entry says besides the event's fields.
    pub const NAMES: [Name; 3] = [Name::Id, Name::Topic, Name::Partition];

    /// Entries of events of this shape.
    ///
    /// # Errors
    /// With the field: it is of a type that Avro cannot keep.
    pub fn of(event: &Arc<Shape>) -> Result<Self, Error> {
        let schema = schema(event)?;
        let encoder = Encoder::compile(&Schema::parse(&schema, &[])?, &shape(event))?;
        Ok(Self { schema, encoder })
    }

    /// The schema of every entry of the pipeline.
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

/// Appends entries, each with the writer's schema id in front: see [`split`].
#[derive(Debug)]
pub(super) struct EntryEncoder(pub(super) Arc<Entries>);

/// A row of the effects: the schema id that the record carried, and the entry's Avro body.
pub(super) fn split(row: &[u8]) -> (u32, &[u8]) {
    row.split_first_chunk::<4>().map_or((0, row), |(id, body)| (u32::from_be_bytes(*id), body))
}

impl Encode for EntryEncoder {
    fn encode(
        &mut self,
        scope: &Scope<'_>,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let value = record.value.unwrap_or_default();
        let (schema_id, _) = frame::split(value).map_err(|e| poison(&e))?;
        let timestamp = match record.timestamp {
            // Beyond what microseconds can say it is beyond every calendar too: the encoder refuses it.
            Some(ms) => Value::Timestamp(ms.checked_mul(1_000).unwrap_or(i64::MAX)),
            None => Value::Null,
        };
        let entry = [
            id(scope)?,
            scope.topic,
            scope.partition,
            Value::Int(record.offset.0),
            timestamp,
            record.key.map_or(Value::Null, Value::Bytes),
            headers(record.headers, scope),
            Value::Int(i64::from(schema_id)),
            Value::Record(scope.event),
        ];
        out.extend_from_slice(&schema_id.to_be_bytes());
        self.0.encoder.encode(&entry, out).map_err(|e| poison(&e))
    }
}

fn poison(error: &Error) -> End {
    End::Fault(Fault::poison(error.code(), format!("the event cannot be archived: {error}")))
}

/// The id as text, whatever the file's `id` yields.
fn id<'s>(scope: &'s Scope<'_>) -> Result<Value<'s>, End> {
    use bumpalo::format;
    Ok(match scope.id {
        Value::Str(id) => Value::Str(id),
        Value::Uuid(id) => Value::Str(format!(in scope.bump, "{}", id).into_bump_str()),
        Value::Int(id) => Value::Str(format!(in scope.bump, "{}", id).into_bump_str()),
        other => {
            let what = std::format!("the event's id is {:?}; it must be text", other.kind());
            return Err(End::Fault(Fault::poison("id", what)));
        }
    })
}

fn headers<'s>(headers: HeaderList<'_>, scope: &'s Scope<'_>) -> Value<'s> {
    let bump = scope.bump;
    let mut list = bumpalo::collections::Vec::new_in(bump);
    for (name, value) in headers.iter() {
        let value = value.map_or(Value::Null, |v| Value::Bytes(bump.alloc_slice_copy(v)));
        let pair = [Value::Str(bump.alloc_str(name)), value];
        list.push(Value::Record(bump.alloc_slice_copy(&pair)));
    }
    Value::List(list.into_bump_slice())
}

/// The fields in the order in which [`EntryEncoder`] gives them.
fn shape(event: &Arc<Shape>) -> Shape {
    let of = |name: &str, fields: &[(&str, Type)]| Shape {
        name: name.to_owned(),
        fields: fields.iter().map(|(n, ty)| Field { name: (*n).into(), ty: ty.clone() }).collect(),
    };
    let optional = |ty| Type::Optional(Box::new(ty));
    let header = of(HEADER, &[("name", Type::Str), ("value", optional(Type::Bytes))]);
    of(
        ENTRY,
        &[
            ("id", Type::Str),
            ("topic", Type::Str),
            ("partition", Type::Int),
            ("offset", Type::Int),
            ("timestamp", optional(Type::Timestamp)),
            ("key", optional(Type::Bytes)),
            ("headers", Type::List(Box::new(Type::Record(Arc::new(header))))),
            ("schema_id", Type::Int),
            ("event", Type::Record(Arc::clone(event))),
        ],
    )
}

const ENTRY: &str = "ordermill.archive.Entry";
const HEADER: &str = "ordermill.archive.Header";

/// The schema: as the shape has it, with Kafka's own widths where they are known.
fn schema(event: &Arc<Shape>) -> Result<String, Error> {
    let mut schema = schema_of(&shape(event))?;
    schema["doc"] = json!("one event, as its stages left it, and where it came from");
    for (name, ty, doc) in [
        ("partition", Some(json!("int")), "the partition of the record"),
        ("timestamp", Some(MILLIS()), "the record's, in milliseconds; null: the broker gave none"),
        ("key", None, "the record's key, byte for byte; null: it has none"),
        ("headers", None, "the record's headers in their order; names may repeat"),
        ("schema_id", None, "the registry's id of the schema that the record was written under"),
        ("id", None, "the event's id: the same whenever it is sent again"),
    ] {
        let fields = schema["fields"].as_array_mut().into_iter().flatten();
        for field in fields.filter(|field| field["name"] == name) {
            field["doc"] = json!(doc);
            if let Some(ty) = &ty {
                field["type"] = ty.clone();
            }
        }
    }
    Ok(schema.to_string())
}

/// Kafka's timestamps are milliseconds.
const MILLIS: fn() -> serde_json::Value =
    || json!(["null", { "type": "long", "logicalType": "timestamp-millis" }]);
