//! Values to JSON, by their type: what [`read`](super::read) reads back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::civil;
use serde_json::{Map, Number, Value as Json};

use crate::record::{Shape, Type, Value};

/// The event of these values, by slot of the shape.
pub fn write(shape: &Shape, values: &[Value<'_>]) -> Json {
    let fields = shape.fields.iter().zip(values);
    Json::Object(fields.map(|(f, v)| (f.name.clone(), write_value(&f.ty, v))).collect())
}

/// One value of a type. A value that is not of the type is written by its kind.
pub fn write_value(ty: &Type, value: &Value<'_>) -> Json {
    match (ty, value) {
        (Type::Optional(some), value) if !value.is_null() => write_value(some, value),
        (Type::Union(types), value) => match types.iter().find(|ty| fits(ty, value)) {
            Some(ty) => write_value(ty, value),
            None => by_kind(value),
        },
        (Type::List(item), Value::List(values)) => {
            Json::Array(values.iter().map(|v| write_value(item, v)).collect())
        }
        (Type::Map(item), Value::Map(entries)) => Json::Object(
            entries.iter().map(|(k, v)| ((*k).to_owned(), write_value(item, v))).collect(),
        ),
        (Type::Record(shape), Value::Record(values)) => write(shape, values),
        _ => by_kind(value),
    }
}

/// The form that follows from the value alone.
fn by_kind(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(v) => Json::Bool(*v),
        Value::Int(v) => Json::from(*v),
        Value::Double(v) => match Number::from_f64(*v) {
            Some(number) => Json::Number(number),
            None if v.is_nan() => Json::from("NaN"),
            None if *v > 0.0 => Json::from("Infinity"),
            None => Json::from("-Infinity"),
        },
        Value::Decimal(v) => Json::from(v.to_string()),
        Value::Str(v) => Json::from(*v),
        Value::Bytes(v) => Json::from(BASE64.encode(v)),
        Value::Uuid(v) => Json::from(v.to_string()),
        Value::Date(days) => date(*days).map_or_else(|| Json::from(*days), Json::from),
        Value::Time(micros) => time(*micros).map_or_else(|| Json::from(*micros), Json::from),
        Value::Timestamp(micros) => {
            timestamp(*micros).map_or_else(|| Json::from(*micros), Json::from)
        }
        Value::Duration(micros) => {
            Json::from(jiff::SignedDuration::from_micros(*micros).to_string())
        }
        Value::List(values) | Value::Record(values) => {
            Json::Array(values.iter().map(by_kind).collect())
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(k, v)| ((*k).to_owned(), by_kind(v)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

/// Is the value one of this type?
fn fits(ty: &Type, value: &Value<'_>) -> bool {
    match (ty, value) {
        (Type::Null, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Double, Value::Double(_))
        | (Type::Decimal { .. }, Value::Decimal(_))
        | (Type::Str, Value::Str(_))
        | (Type::Bytes, Value::Bytes(_))
        | (Type::Uuid, Value::Uuid(_))
        | (Type::Date, Value::Date(_))
        | (Type::Time, Value::Time(_))
        | (Type::Timestamp, Value::Timestamp(_))
        | (Type::Duration, Value::Duration(_)) => true,
        (Type::Enum(symbols), Value::Str(v)) => symbols.iter().any(|s| s == v),
        (Type::List(item), Value::List(values)) => values.iter().all(|v| fits(item, v)),
        (Type::Map(item), Value::Map(entries)) => entries.iter().all(|(_, v)| fits(item, v)),
        (Type::Record(shape), Value::Record(values)) => {
            shape.fields.len() == values.len()
                && shape.fields.iter().zip(*values).all(|(f, v)| fits(&f.ty, v))
        }
        (Type::Optional(some), value) => value.is_null() || fits(some, value),
        (Type::Union(types), value) => types.iter().any(|ty| fits(ty, value)),
        _ => false,
    }
}

fn date(days: i32) -> Option<String> {
    let span = jiff::Span::new().try_days(days).ok()?;
    civil::date(1970, 1, 1).checked_add(span).ok().map(|date| date.to_string())
}

fn time(micros: i64) -> Option<String> {
    let since = jiff::SignedDuration::from_micros(micros);
    civil::Time::MIN.checked_add(since).ok().map(|time| time.to_string())
}

fn timestamp(micros: i64) -> Option<String> {
    let epoch = civil::date(1970, 1, 1).to_datetime(civil::Time::MIN);
    let time = epoch.checked_add(jiff::SignedDuration::from_micros(micros)).ok()?;
    Some(format!("{time}Z"))
}
