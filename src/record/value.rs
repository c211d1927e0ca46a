//! A decoded value: small, `Copy`, borrowed from the record's bytes or from the batch's bump arena.

use rust_decimal::Decimal;
use uuid::Uuid;

/// One value of an event. Text, bytes and nested values are borrowed: a value costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Avro `null`, or an absent optional field.
    Null,
    /// Avro `boolean`.
    Bool(bool),
    /// Avro `int` and `long`.
    Int(i64),
    /// Avro `float` (widened) and `double`.
    Double(f64),
    /// Avro `decimal` over bytes or fixed; at most 28 significant digits.
    Decimal(Decimal),
    /// Avro `string` and `enum` (its symbol).
    Str(&'a str),
    /// Avro `bytes` and `fixed`.
    Bytes(&'a [u8]),
    /// Avro `uuid`, over a string or fixed(16).
    Uuid(Uuid),
    /// Avro `date`: days since 1970-01-01.
    Date(i32),
    /// Avro `time-millis` and `time-micros`: microseconds since midnight.
    Time(i64),
    /// Avro `timestamp-*` and `local-timestamp-*`: microseconds since 1970-01-01T00:00:00 (UTC for the
    /// former). Nanoseconds are rounded towards the past.
    Timestamp(i64),
    /// A span of time in microseconds: the difference of two timestamps, a literal like `duration("5s")`.
    Duration(i64),
    /// Avro `array`.
    List(&'a [Value<'a>]),
    /// Avro `map`, in the order of the bytes.
    Map(&'a [(&'a str, Value<'a>)]),
    /// Avro `record`: the fields in the order of its [`Shape`](super::Shape).
    Record(&'a [Value<'a>]),
}

/// The kind of a [`Value`], for messages and for dispatch without the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each kind is the value of its name")]
pub enum ValueKind {
    Null,
    Bool,
    Int,
    Double,
    Decimal,
    Str,
    Bytes,
    Uuid,
    Date,
    Time,
    Timestamp,
    Duration,
    List,
    Map,
    Record,
}

impl Value<'_> {
    /// Which kind of value this is.
    pub fn kind(&self) -> ValueKind {
        match self {
            Value::Null => ValueKind::Null,
            Value::Bool(_) => ValueKind::Bool,
            Value::Int(_) => ValueKind::Int,
            Value::Double(_) => ValueKind::Double,
            Value::Decimal(_) => ValueKind::Decimal,
            Value::Str(_) => ValueKind::Str,
            Value::Bytes(_) => ValueKind::Bytes,
            Value::Uuid(_) => ValueKind::Uuid,
            Value::Date(_) => ValueKind::Date,
            Value::Time(_) => ValueKind::Time,
            Value::Timestamp(_) => ValueKind::Timestamp,
            Value::Duration(_) => ValueKind::Duration,
            Value::List(_) => ValueKind::List,
            Value::Map(_) => ValueKind::Map,
            Value::Record(_) => ValueKind::Record,
        }
    }

    /// Is this the null value?
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null)
    }
}
