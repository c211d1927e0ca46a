//! JSON to values, by the type that they must have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bumpalo::Bump;
use jiff::civil;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::codec::Error;
use crate::codec::decode::{MICROS_MAX, MICROS_MIN};
use crate::record::{Shape, Type, Value, nearest};

/// Reads an event: an object with the fields of the shape; the values are by slot, made in `bump`.
///
/// # Errors
/// `Json` with the path: a field that the shape does not have (the nearest is named), one that is missing
/// and not optional, a value that is not of its type.
pub fn read<'a>(shape: &Shape, event: &Json, bump: &'a Bump) -> Result<&'a [Value<'a>], Error> {
    record(shape, event, bump).map_err(Wrong::into_error)
}

/// Reads one value of a type.
///
/// # Errors
/// `Json`, as for [`read`].
pub fn read_value<'a>(ty: &Type, json: &Json, bump: &'a Bump) -> Result<Value<'a>, Error> {
    value(ty, json, bump).map_err(Wrong::into_error)
}

/// What is wrong, and the path to it from the inside out.
#[derive(Debug)]
struct Wrong {
    why: String,
    path: Vec<String>,
}

impl Wrong {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), path: Vec::new() }
    }

    fn within(mut self, step: String) -> Self {
        self.path.push(step);
        self
    }

    fn into_error(self) -> Error {
        let mut at = String::from("event");
        for step in self.path.iter().rev() {
            at.push_str(step);
        }
        Error::Json { at, why: self.why }
    }
}

fn record<'a>(shape: &Shape, json: &Json, bump: &'a Bump) -> Result<&'a [Value<'a>], Wrong> {
    let Json::Object(object) = json else {
        return Err(Wrong::new(format!("must be an object with fields, and is {}", word(json))));
    };
    for name in object.keys() {
        if shape.field(name).is_none() {
            let known = nearest(name, shape.fields.iter().map(|f| f.name.as_str()));
            let hint = known.map_or_else(String::new, |k| format!("; is {k} meant?"));
            return Err(
                Wrong::new(format!("there is no such field{hint}")).within(format!(".{name}"))
            );
        }
    }
    let values = bump.alloc_slice_try_fill_with(shape.fields.len(), |slot| {
        let field = &shape.fields[slot];
        match (object.get(&field.name), &field.ty) {
            (Some(json), ty) => value(ty, json, bump),
            (None, Type::Optional(_) | Type::Null) => Ok(Value::Null),
            (None, ty) => Err(Wrong::new(format!("is missing; it must be {ty}"))),
        }
        .map_err(|wrong| wrong.within(format!(".{}", field.name)))
    })?;
    Ok(values)
}

fn value<'a>(ty: &Type, json: &Json, bump: &'a Bump) -> Result<Value<'a>, Wrong> {
    let wrong = || Wrong::new(format!("must be {}, and is {}", allowed(ty), word(json)));
    Ok(match (ty, json) {
        (Type::Null | Type::Optional(_), Json::Null) => Value::Null,
        (Type::Optional(some), _) => return union(std::slice::from_ref(some), json, bump),
        (Type::Union(types), _) => return union(types, json, bump),
        (Type::Bool, Json::Bool(v)) => Value::Bool(*v),
        (Type::Int, Json::Number(number)) => Value::Int(number.as_i64().ok_or_else(wrong)?),
        (Type::Double, Json::Number(number)) => Value::Double(number.as_f64().ok_or_else(wrong)?),
        (Type::Decimal { precision, scale }, Json::Number(_) | Json::String(_)) => {
            Value::Decimal(decimal(json, *precision, *scale)?)
        }
        (Type::List(item), Json::Array(items)) => {
            Value::List(bump.alloc_slice_try_fill_with(items.len(), |i| {
                value(item, &items[i], bump).map_err(|wrong| wrong.within(format!("[{i}]")))
            })?)
        }
        (Type::Map(item), Json::Object(entries)) => Value::Map(map(item, entries, bump)?),
        (Type::Record(shape), Json::Object(_)) => Value::Record(record(shape, json, bump)?),
        (_, Json::String(text)) => return of_text(ty, text, bump)?.ok_or_else(wrong),
        _ => return Err(wrong()),
    })
}

fn map<'a>(
    item: &Type,
    entries: &Map<String, Json>,
    bump: &'a Bump,
) -> Result<&'a [(&'a str, Value<'a>)], Wrong> {
    let mut made = bumpalo::collections::Vec::with_capacity_in(entries.len(), bump);
    for (key, json) in entries {
        let value = value(item, json, bump).map_err(|wrong| wrong.within(format!("[{key:?}]")))?;
        made.push((&*bump.alloc_str(key), value));
    }
    Ok(made.into_bump_slice())
}

/// What text may say; `None`: the type is not written as text.
fn of_text<'a>(ty: &Type, text: &str, bump: &'a Bump) -> Result<Option<Value<'a>>, Wrong> {
    let wrong = |_| Wrong::new(format!("must be {}", allowed(ty)));
    Ok(Some(match ty {
        Type::Str => Value::Str(bump.alloc_str(text)),
        Type::Enum(symbols) if symbols.iter().any(|s| s == text) => {
            Value::Str(bump.alloc_str(text))
        }
        Type::Enum(symbols) => {
            let known = nearest(text, symbols.iter().map(String::as_str));
            let hint = known.map_or_else(String::new, |k| format!("; is {k} meant?"));
            return Err(Wrong::new(format!("the enum has no such symbol{hint}")));
        }
        Type::Bytes => {
            let bytes = BASE64.decode(text).map_err(|_| wrong(()))?;
            Value::Bytes(bump.alloc_slice_copy(&bytes))
        }
        Type::Uuid if text.len() == 36 => {
            Value::Uuid(Uuid::try_parse(text).map_err(|_| wrong(()))?)
        }
        Type::Double => match text {
            "NaN" => Value::Double(f64::NAN),
            "Infinity" => Value::Double(f64::INFINITY),
            "-Infinity" => Value::Double(f64::NEG_INFINITY),
            _ => return Err(wrong(())),
        },
        Type::Date => Value::Date(date(text).ok_or_else(|| wrong(()))?),
        Type::Time => Value::Time(time(text).ok_or_else(|| wrong(()))?),
        Type::Timestamp => Value::Timestamp(timestamp(text).ok_or_else(|| wrong(()))?),
        Type::Duration => {
            let duration: jiff::SignedDuration = text.parse().map_err(|_| wrong(()))?;
            if duration.subsec_nanos() % 1_000 != 0 {
                return Err(wrong(()));
            }
            let micros = i64::try_from(duration.as_micros()).map_err(|_| wrong(()))?;
            Value::Duration(micros)
        }
        _ => return Ok(None),
    }))
}

/// The first of the types that takes the value as it stands; else the one that `{"type": value}` names.
fn union<'a>(
    types: &[impl std::borrow::Borrow<Type>],
    json: &Json,
    bump: &'a Bump,
) -> Result<Value<'a>, Wrong> {
    let mut first = None;
    for ty in types {
        match value(ty.borrow(), json, bump) {
            Ok(value) => return Ok(value),
            Err(wrong) => first = first.or(Some(wrong)),
        }
    }
    if let Json::Object(object) = json
        && let (1, Some((name, inner))) = (object.len(), object.iter().next())
        && let Some(ty) = types.iter().map(std::borrow::Borrow::borrow).find(|ty| goes_by(ty, name))
    {
        return value(ty, inner, bump).map_err(|wrong| wrong.within(format!(".{name}")));
    }
    match (types, first) {
        ([_], Some(wrong)) => Err(wrong),
        _ => {
            let of: Vec<String> = types.iter().map(|t| allowed(t.borrow())).collect();
            Err(Wrong::new(format!("must be one of: {}; and is {}", of.join("; "), word(json))))
        }
    }
}

/// Is `name` the word of this type in `{"type": value}`?
fn goes_by(ty: &Type, name: &str) -> bool {
    match ty {
        Type::Null => name == "null",
        Type::Bool => matches!(name, "boolean" | "bool"),
        Type::Int => matches!(name, "int" | "long"),
        Type::Double => matches!(name, "double" | "float"),
        Type::Decimal { .. } => name == "decimal",
        Type::Str => name == "string",
        Type::Enum(_) => name == "enum",
        Type::Bytes => matches!(name, "bytes" | "fixed"),
        Type::Uuid => name == "uuid",
        Type::Date => name == "date",
        Type::Time => name == "time",
        Type::Timestamp => name == "timestamp",
        Type::Duration => name == "duration",
        Type::List(_) => matches!(name, "array" | "list"),
        Type::Map(_) => name == "map",
        Type::Record(shape) => shape.name == name || shape.name.rsplit('.').next() == Some(name),
        Type::Optional(_) | Type::Union(_) => false,
    }
}

fn decimal(json: &Json, precision: u32, scale: u32) -> Result<Decimal, Wrong> {
    const DIGITS_OF_NUMBER_MAX: usize = 15;
    let text = match json {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    if json.is_number() && !json.is_i64() && digits(&text) > DIGITS_OF_NUMBER_MAX {
        return Err(Wrong::new("has more digits than a JSON number keeps; write it as text"));
    }
    let mut value = if text.contains(['e', 'E']) {
        Decimal::from_scientific(&text)
    } else {
        Decimal::from_str_exact(&text)
    }
    .map_err(|_| Wrong::new(format!("must be a decimal({precision},{scale}) such as \"12.50\"")))?;
    if value.normalize().scale() > scale {
        return Err(Wrong::new(format!("has more than {scale} digits after the point")));
    }
    value.rescale(scale);
    let bound = 10u128.checked_pow(precision).unwrap_or(u128::MAX);
    if value.scale() != scale || value.mantissa().unsigned_abs() >= bound {
        return Err(Wrong::new(format!("has more digits than decimal({precision},{scale})")));
    }
    Ok(value)
}

/// Days since 1970 of `2026-01-05`.
fn date(text: &str) -> Option<i32> {
    if text.len() != 10 {
        return None;
    }
    let date: civil::Date = text.parse().ok()?;
    (date.year() >= 1).then_some(())?;
    civil::date(1970, 1, 1).until(date).ok().map(|span| span.get_days())
}

/// Microseconds since midnight of `10:00:00`.
fn time(text: &str) -> Option<i64> {
    if text.as_bytes().get(2) != Some(&b':') {
        return None;
    }
    let time: civil::Time = text.parse().ok()?;
    micros(time.duration_since(civil::Time::MIN))
}

/// Microseconds since 1970 of `2026-01-05T10:00:00Z`. Taken apart by hand, because a point in time of the
/// client's own type ends a day before the year 9999 does, and "for ever" is often written as its last.
fn timestamp(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    if pieces.time_zone_annotation().is_some() {
        return None;
    }
    let local = pieces.date().to_datetime(pieces.time()?);
    let since = local.duration_since(civil::date(1970, 1, 1).to_datetime(civil::Time::MIN));
    let ahead = match pieces.offset() {
        Some(PiecesOffset::Numeric(numeric)) => i64::from(numeric.offset().seconds()),
        _ => 0,
    };
    micros(since - jiff::SignedDuration::from_secs(ahead))
        .filter(|micros| (MICROS_MIN..=MICROS_MAX).contains(micros))
}

/// `None`: there are nanoseconds.
fn micros(duration: jiff::SignedDuration) -> Option<i64> {
    (duration.subsec_nanos() % 1_000 == 0).then_some(())?;
    i64::try_from(duration.as_micros()).ok()
}

/// What a value of the type looks like, for messages.
fn allowed(ty: &Type) -> String {
    match ty {
        Type::Bytes => "bytes as base64 text".into(),
        Type::Uuid => "a uuid such as \"0190a1b2-0000-7000-8000-000000000001\"".into(),
        Type::Date => "a date such as \"2026-01-05\"".into(),
        Type::Time => "a time such as \"10:00:00\", with at most 6 digits of fraction".into(),
        Type::Timestamp => {
            "a timestamp such as \"2026-01-05T10:00:00Z\", with at most 6 digits of fraction".into()
        }
        Type::Duration => "a duration such as \"PT1H30M\"".into(),
        other => other.to_string(),
    }
}

fn word(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a bool",
        Json::Number(n) if n.is_f64() => "a number with a point",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
