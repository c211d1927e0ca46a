//! An event's values as a row for PostgreSQL: fields in binary, each behind its length.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use uuid::Uuid;

use super::plan::Field;
use super::{json, numeric};
use crate::database::{PostgresType, SqlType};
use crate::port::Encode;
use crate::record::{End, Record, Scope, Value};

/// From 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

/// The days that PostgreSQL's calendar has, from 4714-11-24 BC to 5874897-12-31. Outside lie its infinities.
const DAYS: Range<i32> = -2_451_545..2_145_031_949;

/// The same first day for timestamps; their last lies beyond what microseconds since 1970 can say.
const MICROS_MIN: i64 = DAYS.start as i64 * 86_400_000_000;

/// A day, with its last instant.
const TIMES: RangeInclusive<i64> = 0..=86_400_000_000;

/// Doubles hold every integer up to here.
const DOUBLE_INT_MAX: u64 = 1 << 53;

/// Writes rows for one partition task.
pub(super) struct Encoder(pub(super) Arc<[Field]>);

impl Encode for Encoder {
    fn encode(&mut self, scope: &Scope<'_>, _: &Record<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        for field in &*self.0 {
            let value = field.source.value(scope)?;
            put(field, value, out)?;
        }
        Ok(())
    }
}

fn put(field: &Field, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), End> {
    use PostgresType as P;
    let SqlType::Postgres(ty) = &field.ty else {
        return Err(field.defect());
    };
    match (ty, value) {
        (_, Value::Null) if field.not_null => return Err(field.refuse_null()),
        (_, Value::Null) => out.extend_from_slice(&(-1_i32).to_be_bytes()),
        (P::Bool, Value::Bool(value)) => fixed(out, [u8::from(value)]),
        (P::Int2, value) => {
            let value = i16::try_from(whole(field, value)?).map_err(|_| range(field))?;
            fixed(out, value.to_be_bytes());
        }
        (P::Int4, value) => {
            let value = i32::try_from(whole(field, value)?).map_err(|_| range(field))?;
            fixed(out, value.to_be_bytes());
        }
        (P::Int8, value) => fixed(out, whole(field, value)?.to_be_bytes()),
        (P::Float4, Value::Double(value)) => fixed(out, single(field, value)?.to_be_bytes()),
        (P::Float8, Value::Double(value)) => fixed(out, value.to_be_bytes()),
        (P::Float8, Value::Int(value)) if value.unsigned_abs() <= DOUBLE_INT_MAX => {
            fixed(out, (value as f64).to_be_bytes());
        }
        (P::Float8, Value::Int(_)) => return Err(range(field)),
        (P::Numeric { .. }, Value::Int(value)) => {
            behind_length(out, |out| numeric::put(out, Decimal::from(value)));
        }
        (P::Numeric { digits }, Value::Decimal(value)) => {
            check_digits(field, *digits, value)?;
            behind_length(out, |out| numeric::put(out, value));
        }
        (P::Text { max }, Value::Str(value)) => {
            check_length(field, *max, value)?;
            text(field, value, out)?;
        }
        (P::Cast(_), Value::Str(value)) => text(field, value, out)?,
        (P::Text { .. }, Value::Uuid(value)) => {
            let mut room = Uuid::encode_buffer();
            bytes(field, value.hyphenated().encode_lower(&mut room).as_bytes(), out)?;
        }
        (P::Bytea, Value::Bytes(value)) => bytes(field, value, out)?,
        (P::Uuid, Value::Uuid(value)) => fixed(out, *value.as_bytes()),
        (P::Uuid, Value::Str(value)) => {
            let value = Uuid::try_parse(value)
                .map_err(|_| field.refuse("not_a_uuid", "the text is not a uuid"))?;
            fixed(out, *value.as_bytes());
        }
        (P::Date, Value::Date(days)) => {
            let days = days.checked_sub(EPOCH_DAYS).filter(|days| DAYS.contains(days));
            fixed(out, days.ok_or_else(|| range(field))?.to_be_bytes());
        }
        (P::Time, Value::Time(micros)) if TIMES.contains(&micros) => {
            fixed(out, micros.to_be_bytes());
        }
        (P::Time, Value::Time(_)) => return Err(range(field)),
        (P::Timestamp | P::TimestampTz, Value::Timestamp(micros)) => {
            let micros = micros.checked_sub(EPOCH_MICROS).filter(|micros| *micros >= MICROS_MIN);
            fixed(out, micros.ok_or_else(|| range(field))?.to_be_bytes());
        }
        (P::Interval, Value::Duration(micros)) => {
            let mut interval = [0; 16];
            interval[..8].copy_from_slice(&micros.to_be_bytes());
            fixed(out, interval);
        }
        (P::Json, value) => json_field(field, value, None, out)?,
        (P::Jsonb, value) => json_field(field, value, Some(1), out)?,
        _ => return Err(field.defect()),
    }
    Ok(())
}

fn fixed<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// Puts the length before what `put` writes.
fn behind_length(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    put(out);
    let length = (out.len() - at - 4) as i32;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn text(field: &Field, text: &str, out: &mut Vec<u8>) -> Result<(), End> {
    if text.as_bytes().contains(&0) {
        return Err(field.refuse(
            "nul_in_text",
            "the text holds a NUL character, which PostgreSQL cannot store",
        ));
    }
    bytes(field, text.as_bytes(), out)
}

fn bytes(field: &Field, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), End> {
    let length = i32::try_from(bytes.len())
        .map_err(|_| field.refuse("too_large", "the value is larger than a field can be"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// JSON: a text is JSON already, anything else is written as such. `jsonb` has a version before it.
fn json_field(
    field: &Field,
    value: Value<'_>,
    version: Option<u8>,
    out: &mut Vec<u8>,
) -> Result<(), End> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend(version);
    if let Some(text) = json::as_text(field.source.ty(), value) {
        if text.as_bytes().contains(&0) {
            return Err(field.refuse("nul_in_text", "the text holds a NUL character"));
        }
        out.extend_from_slice(text.as_bytes());
    } else {
        json::put(out, field.source.ty(), value).map_err(|why| field.refuse("no_json", why))?;
    }
    let length = i32::try_from(out.len() - at - 4)
        .map_err(|_| field.refuse("too_large", "the value is larger than a field can be"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// An integer, also out of a decimal that is one.
fn whole(field: &Field, value: Value<'_>) -> Result<i64, End> {
    match value {
        Value::Int(value) => Ok(value),
        Value::Decimal(value) => whole_of(field, value),
        _ => Err(field.defect()),
    }
}

/// The integer that a decimal is.
pub(super) fn whole_of(field: &Field, value: Decimal) -> Result<i64, End> {
    if !value.fract().is_zero() {
        return Err(field.refuse(
            "not_whole",
            "the decimal has digits after the point, the column none; round it in the expression",
        ));
    }
    value.to_i64().ok_or_else(|| range(field))
}

/// A double as a float: rounded, since both are approximations, but never to infinity.
fn single(field: &Field, value: f64) -> Result<f32, End> {
    let single = value as f32;
    if single.is_infinite() && value.is_finite() {
        return Err(range(field));
    }
    Ok(single)
}

/// The server would round silently what does not fit behind the point, and does not say which column what stands
/// before it is too large for.
fn check_digits(field: &Field, digits: Option<(u16, i16)>, value: Decimal) -> Result<(), End> {
    let Some((precision, scale)) = digits else { return Ok(()) };
    let precise = match u32::try_from(scale) {
        Ok(scale) => value.scale() > scale && value.normalize().scale() > scale,
        // A negative scale keeps only hundreds, thousands, …; beyond all decimals it keeps only zero.
        Err(_) => match power(i32::from(-scale)) {
            Some(unit) => !(value % unit).is_zero(),
            None => !value.is_zero(),
        },
    };
    if precise {
        return Err(field.refuse(
            "too_precise",
            "the decimal has more digits after the point than the column keeps; round it in the \
             expression",
        ));
    }
    match power(i32::from(precision) - i32::from(scale)) {
        Some(limit) if value.abs() >= limit => Err(range(field)),
        _ => Ok(()),
    }
}

/// A power of ten, as far as decimals go.
fn power(exponent: i32) -> Option<Decimal> {
    match u32::try_from(exponent) {
        Ok(exponent) => {
            let whole = 10_i128.checked_pow(exponent)?;
            Decimal::try_from_i128_with_scale(whole, 0).ok()
        }
        Err(_) => Decimal::try_from_i128_with_scale(1, exponent.unsigned_abs()).ok(),
    }
}

/// Characters, counted only where the bytes are too many.
fn check_length(field: &Field, max: Option<usize>, text: &str) -> Result<(), End> {
    match max {
        Some(max) if text.len() > max && text.chars().count() > max => {
            Err(field.refuse("too_long", "the text is longer than the column"))
        }
        _ => Ok(()),
    }
}

fn range(field: &Field) -> End {
    field.refuse("out_of_range", "the value is out of the column's range")
}
