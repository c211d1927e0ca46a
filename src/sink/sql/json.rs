//! A value as JSON text, for columns that hold JSON.
//!
//! Decimals keep every digit as numbers; bytes are base64; a date, time or timestamp is its ISO 8601 text; a
//! span of time is its microseconds.

use std::io::Write;

use jiff::civil::{self, DateTime};
use jiff::{Timestamp, ToSpan};

use crate::record::{Type, Value};

/// Is every value of this type told apart by JSON alone?
pub(super) fn can(ty: &Type) -> bool {
    match ty {
        Type::List(item) | Type::Map(item) | Type::Optional(item) => can(item),
        Type::Record(shape) => shape.fields.iter().all(|field| can(&field.ty)),
        Type::Union(of) => {
            // Which record it is does not show with the value.
            let records = of.iter().filter(|ty| matches!(ty, Type::Record(_))).count();
            let lists = of.iter().filter(|ty| matches!(ty, Type::List(_))).count();
            let maps = of.iter().filter(|ty| matches!(ty, Type::Map(_))).count();
            records <= 1 && lists <= 1 && maps <= 1 && of.iter().all(can)
        }
        _ => true,
    }
}

/// The text of a value whose type says that it is JSON text already.
pub(super) fn as_text<'a>(ty: &Type, value: Value<'a>) -> Option<&'a str> {
    let ty = match ty {
        Type::Optional(some) => &**some,
        other => other,
    };
    match (ty, value) {
        (Type::Str, Value::Str(text)) => Some(text),
        _ => None,
    }
}

/// Appends a value as JSON.
///
/// # Errors
/// What JSON cannot say: a number that is none, a date out of range.
pub(super) fn put(out: &mut Vec<u8>, ty: &Type, value: Value<'_>) -> Result<(), &'static str> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => print(out, format_args!("{value}")),
        Value::Int(value) | Value::Duration(value) => print(out, format_args!("{value}")),
        Value::Decimal(value) => print(out, format_args!("{value}")),
        Value::Double(value) if value.is_finite() => print(out, format_args!("{value:?}")),
        Value::Double(_) => return Err("JSON has no infinity and no not-a-number"),
        Value::Str(value) => string(out, value),
        Value::Bytes(value) => base64(out, value),
        Value::Uuid(value) => print(out, format_args!("\"{value}\"")),
        Value::Date(days) => print(out, format_args!("\"{}\"", date(days)?)),
        Value::Time(micros) => print(out, format_args!("\"{:.6}\"", time(micros)?)),
        Value::Timestamp(micros) => print(out, format_args!("\"{:.6}\"", timestamp(micros)?)),
        Value::List(items) => list(out, item(ty), items)?,
        Value::Map(entries) => map(out, item(ty), entries)?,
        Value::Record(fields) => record(out, ty, fields)?,
    }
    Ok(())
}

/// Writing to memory cannot fail.
fn print(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

fn list(out: &mut Vec<u8>, item: &Type, items: &[Value<'_>]) -> Result<(), &'static str> {
    out.push(b'[');
    for (i, value) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put(out, item, *value)?;
    }
    out.push(b']');
    Ok(())
}

fn map(out: &mut Vec<u8>, item: &Type, entries: &[(&str, Value<'_>)]) -> Result<(), &'static str> {
    out.push(b'{');
    for (i, (name, value)) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(out, name);
        out.push(b':');
        put(out, item, *value)?;
    }
    out.push(b'}');
    Ok(())
}

fn record(out: &mut Vec<u8>, ty: &Type, fields: &[Value<'_>]) -> Result<(), &'static str> {
    let shape = alternatives(ty)
        .find_map(|ty| match ty {
            Type::Record(shape) => Some(shape),
            _ => None,
        })
        .filter(|shape| shape.fields.len() == fields.len())
        .ok_or("a record came where its type has none")?;
    out.push(b'{');
    for (i, (field, value)) in shape.fields.iter().zip(fields).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        string(out, &field.name);
        out.push(b':');
        put(out, &field.ty, *value)?;
    }
    out.push(b'}');
    Ok(())
}

/// The type of a list's or map's items.
fn item(ty: &Type) -> &Type {
    alternatives(ty)
        .find_map(|ty| match ty {
            Type::List(item) | Type::Map(item) => Some(&**item),
            _ => None,
        })
        .unwrap_or(&Type::Null)
}

/// The types that a value of this type may have.
fn alternatives(ty: &Type) -> impl Iterator<Item = &Type> {
    let ty = match ty {
        Type::Optional(some) => &**some,
        other => other,
    };
    match ty {
        Type::Union(of) => of.iter(),
        other => std::slice::from_ref(other).iter(),
    }
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let plain = *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        if plain {
            continue;
        }
        out.extend_from_slice(&bytes[start..i]);
        start = i + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            _ => print(out, format_args!("\\u{byte:04x}")),
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for three in bytes.chunks(3) {
        let word = three
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_usize, |word, byte| word << 8 | usize::from(*byte));
        for place in 0..4 {
            out.push(match place <= three.len() {
                true => LETTERS[word >> (18 - 6 * place) & 63],
                false => b'=',
            });
        }
    }
    out.push(b'"');
}

const OUT_OF_RANGE: &str = "the date is outside the years -9999 to 9999";

/// Days since 1970-01-01.
pub(super) fn date(days: i32) -> Result<civil::Date, &'static str> {
    let epoch = civil::Date::constant(1970, 1, 1);
    jiff::Span::new()
        .try_days(days)
        .and_then(|days| epoch.checked_add(days))
        .map_err(|_| OUT_OF_RANGE)
}

/// Microseconds since midnight.
pub(super) fn time(micros: i64) -> Result<civil::Time, &'static str> {
    if !(0..86_400_000_000).contains(&micros) {
        return Err("the time is outside the day");
    }
    Ok(DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
        .checked_add(micros.microseconds())
        .map_err(|_| OUT_OF_RANGE)?
        .time())
}

/// Microseconds since 1970-01-01T00:00:00Z.
pub(super) fn timestamp(micros: i64) -> Result<Timestamp, &'static str> {
    Timestamp::from_microsecond(micros).map_err(|_| OUT_OF_RANGE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::record::{Field, Shape};

    fn json(ty: &Type, value: Value<'_>) -> String {
        let mut out = Vec::new();
        put(&mut out, ty, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_kind_has_its_form() {
        let table = [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Int(-5), "-5"),
            (Value::Double(1.0), "1.0"),
            (Value::Double(1e300), "1e300"),
            (Value::Decimal("12.50".parse().unwrap()), "12.50"),
            (Value::Str("a\"b\\c\n\u{1}é"), r#""a\"b\\c\u000a\u0001é""#),
            (Value::Bytes(b"hello"), "\"aGVsbG8=\""),
            (Value::Date(19_000), "\"2022-01-08\""),
            (Value::Date(-1), "\"1969-12-31\""),
            (Value::Time(3_600_000_001), "\"01:00:00.000001\""),
            (Value::Timestamp(1_500_000), "\"1970-01-01T00:00:01.500000Z\""),
            (Value::Duration(7), "7"),
        ];
        for (value, want) in table {
            assert_eq!(json(&Type::Null, value), want, "{value:?}");
        }
    }

    #[test]
    fn a_record_in_lists_and_optionals_keeps_its_names() {
        let line = Type::Record(Arc::new(Shape {
            name: "Line".to_owned(),
            fields: vec![Field { name: "sku".to_owned(), ty: Type::Str }],
        }));
        let ty = Type::Optional(Box::new(Type::List(Box::new(Type::Optional(Box::new(line))))));
        let fields = [Value::Str("lamp")];
        let items = [Value::Record(&fields), Value::Null];
        assert_eq!(json(&ty, Value::List(&items)), r#"[{"sku":"lamp"},null]"#);
        assert!(can(&ty));
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        for value in [Value::Double(f64::NAN), Value::Timestamp(i64::MAX), Value::Time(-1)] {
            assert!(put(&mut Vec::new(), &Type::Null, value).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_text_reads_back_by_another_reader(text: String, bytes: Vec<u8>) {
            let back: serde_json::Value = serde_json::from_str(&json(&Type::Str, Value::Str(&text))).unwrap();
            prop_assert_eq!(back, serde_json::Value::String(text));
            let coded = json(&Type::Bytes, Value::Bytes(&bytes));
            prop_assert_eq!(coded.len(), 2 + bytes.len().div_ceil(3) * 4);
        }
    }
}
