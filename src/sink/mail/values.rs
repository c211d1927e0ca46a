//! An event's values as templates see them.

use minijinja::Value as Shown;
use serde_json::Value as Json;

use crate::codec::json;
use crate::record::{Type, Value};

/// A value of that type; what a template has no type for (decimals, times, UUIDs) is text in the form that
/// cases have.
pub(super) fn shown(ty: &Type, value: &Value<'_>) -> Shown {
    of_json(&json::write_value(ty, value))
}

/// Headers: their values are text, with a mark where they are not UTF-8.
pub(super) fn headers(headers: &Value<'_>) -> Shown {
    let Value::Map(headers) = headers else { return Shown::from(()) };
    let of = |value: &Value<'_>| match value {
        Value::Bytes(bytes) => Shown::from(String::from_utf8_lossy(bytes).into_owned()),
        _ => Shown::from(()),
    };
    Shown::from_pairs(headers.iter().map(|(name, value)| (*name, of(value))))
}

/// Some value of that type, to try a template on.
pub(super) fn sample(ty: &Type) -> Shown {
    match ty {
        Type::Null => Shown::from(()),
        Type::Bool => Shown::from(true),
        Type::Int => Shown::from(1),
        Type::Double => Shown::from(1.0),
        Type::Enum(symbols) => Shown::from(symbols.first().map_or("", String::as_str)),
        Type::List(item) => [sample(item)].into_iter().collect(),
        Type::Map(_) => Shown::from_pairs(std::iter::empty::<(Shown, Shown)>()),
        Type::Record(shape) => {
            let fields = shape.fields.iter();
            Shown::from_pairs(fields.map(|field| (field.name.as_str(), sample(&field.ty))))
        }
        Type::Optional(some) => sample(some),
        Type::Union(of) => of.first().map_or_else(|| Shown::from(()), sample),
        Type::Decimal { .. }
        | Type::Str
        | Type::Bytes
        | Type::Uuid
        | Type::Date
        | Type::Time
        | Type::Timestamp
        | Type::Duration => Shown::from("1"),
    }
}

fn of_json(json: &Json) -> Shown {
    match json {
        Json::Null => Shown::from(()),
        Json::Bool(bool) => Shown::from(*bool),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Shown::from(int),
            (None, Some(double)) => Shown::from(double),
            (None, None) => Shown::from(number.to_string()),
        },
        Json::String(text) => Shown::from(text.as_str()),
        Json::Array(items) => items.iter().map(of_json).collect(),
        Json::Object(fields) => {
            Shown::from_pairs(fields.iter().map(|(name, value)| (name.as_str(), of_json(value))))
        }
    }
}
