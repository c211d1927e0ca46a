//! Conversions: `string() int() double() bytes() bool() decimal() uuid() date() time() timestamp()
//! duration()`, and `round()`.

use std::fmt::Write as _;
use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use uuid::Uuid;

use super::clock;
use crate::expr::Problem;
use crate::expr::arithmetic::{self, DAY};
use crate::expr::frame::Frame;
use crate::record::Value;

type Made<'a> = Result<Value<'a>, Problem>;

pub(super) fn string<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    const WHAT: Problem = Problem::Convert("string()");
    let [value] = args else {
        return Err(Problem::Shape);
    };
    let mut text = String::new();
    match value {
        Value::Str(_) => return Ok(*value),
        Value::Bytes(bytes) => {
            frame.limits.look(bytes.len())?;
            return std::str::from_utf8(bytes).map(Value::Str).map_err(|_| WHAT);
        }
        Value::Bool(b) => return Ok(Value::Str(if *b { "true" } else { "false" })),
        Value::Int(n) => write!(text, "{n}").map_err(|_| WHAT)?,
        Value::Double(n) => write!(text, "{n}").map_err(|_| WHAT)?,
        Value::Decimal(n) => write!(text, "{n}").map_err(|_| WHAT)?,
        Value::Uuid(id) => write!(text, "{}", id.hyphenated()).map_err(|_| WHAT)?,
        Value::Duration(micros) => text = clock::duration_text(*micros),
        Value::Timestamp(micros) => text = clock::timestamp_text(*micros),
        Value::Date(day) => text = clock::date_text(i64::from(*day)),
        Value::Time(micros) => text = clock::time_text(*micros),
        other => return Err(Problem::kind("string", other.kind())),
    }
    frame.text(&text)
}

pub(super) fn int<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let value = match args {
        [Value::Int(n)] => Some(*n),
        // Cut towards zero; the comparison is false for NaN, too.
        [Value::Double(n)] if *n > -LIMIT && *n < LIMIT => Some(*n as i64),
        [Value::Decimal(n)] => n.trunc().to_i64(),
        [Value::Str(text)] => text.parse().ok(),
        [Value::Timestamp(micros)] => Some(micros.div_euclid(1_000_000)),
        _ => None,
    };
    value.map(Value::Int).ok_or(Problem::Convert("int()"))
}

pub(super) fn double<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Double(n)] => Some(*n),
        [Value::Int(n)] => Some(*n as f64),
        [Value::Decimal(n)] => n.to_f64(),
        [Value::Str(text)] => text.parse().ok(),
        _ => None,
    };
    value.map(Value::Double).ok_or(Problem::Convert("double()"))
}

pub(super) fn boolean<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    match args {
        [Value::Bool(b)] => Ok(Value::Bool(*b)),
        [Value::Str("1" | "t" | "T" | "true" | "True" | "TRUE")] => Ok(Value::Bool(true)),
        [Value::Str("0" | "f" | "F" | "false" | "False" | "FALSE")] => Ok(Value::Bool(false)),
        _ => Err(Problem::Convert("bool()")),
    }
}

pub(super) fn bytes<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    match args {
        [Value::Bytes(_)] => Ok(args[0]),
        [Value::Str(text)] => Ok(Value::Bytes(text.as_bytes())),
        _ => Err(Problem::Convert("bytes()")),
    }
}

pub(super) fn decimal<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Decimal(n)] => Some(*n),
        [Value::Int(n)] => Some(Decimal::from(*n)),
        [Value::Str(text)] => Decimal::from_str_exact(text).ok().filter(fits),
        _ => None,
    };
    value.map(Value::Decimal).ok_or(Problem::Convert("decimal()"))
}

/// A value has at most 28 digits; the library would take a 29th below 2^96.
fn fits(n: &Decimal) -> bool {
    n.mantissa().unsigned_abs() < 10_u128.pow(28)
}

/// `round(number, places)`: half away from zero, as on an invoice.
pub(super) fn round<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    match args {
        [Value::Decimal(n), Value::Int(places)] => {
            let places = u32::try_from(*places)
                .ok()
                .filter(|places| *places <= 28)
                .ok_or(Problem::Index("round"))?;
            let rounded = n.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
            Ok(Value::Decimal(rounded))
        }
        [other, _] => Err(Problem::kind("round", other.kind())),
        _ => Err(Problem::Shape),
    }
}

pub(super) fn uuid<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Uuid(id)] => Some(*id),
        [Value::Str(text)] => uuid_of(text),
        _ => None,
    };
    value.map(Value::Uuid).ok_or(Problem::Convert("uuid()"))
}

/// The hyphenated form only, as Avro has it; letters in any case.
pub(in crate::expr) fn uuid_of(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::from_str(text).ok()).flatten()
}

pub(super) fn date<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Date(day)] => Some(*day),
        [Value::Timestamp(micros)] => i32::try_from(micros.div_euclid(DAY)).ok(),
        [Value::Str(text)] => clock::date_of(text).and_then(|day| i32::try_from(day).ok()),
        _ => None,
    };
    value.map(Value::Date).ok_or(Problem::Convert("date()"))
}

pub(super) fn time<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Time(micros)] => Some(*micros),
        [Value::Timestamp(micros)] => Some(micros.rem_euclid(DAY)),
        [Value::Str(text)] => clock::time_of(text),
        _ => None,
    };
    value.map(Value::Time).ok_or(Problem::Convert("time()"))
}

/// From text (RFC 3339, with its offset), from seconds since the epoch, or the midnight that begins a date.
pub(super) fn timestamp<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    const WHAT: &str = "timestamp()";
    let micros = match args {
        [Value::Timestamp(micros)] => Some(*micros),
        [Value::Int(seconds)] => seconds.checked_mul(1_000_000),
        [Value::Date(day)] => i64::from(*day).checked_mul(DAY),
        [Value::Str(text)] => clock::timestamp_of(text),
        _ => None,
    };
    match micros {
        Some(micros) => arithmetic::timestamp(WHAT, Some(micros)),
        None => Err(Problem::Convert(WHAT)),
    }
}

pub(super) fn duration<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let value = match args {
        [Value::Duration(micros)] => Some(*micros),
        [Value::Str(text)] => {
            frame.limits.look(text.len())?;
            clock::duration_of(text)
        }
        _ => None,
    };
    value.map(Value::Duration).ok_or(Problem::Convert("duration()"))
}
