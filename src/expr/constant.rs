//! Constants of a program: owned, so that a program outlives every event.

use rust_decimal::Decimal;
use uuid::Uuid;

use super::Problem;
use super::frame::Frame;
use crate::record::Value;

/// A constant. Lists and maps are no constants: they are made where they are used, but for the set of an
/// `in`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Const {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Decimal(Decimal),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    Uuid(Uuid),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    Duration(i64),
}

impl Const {
    /// The value, borrowed from here.
    pub(super) fn look(&self) -> Value<'_> {
        match self {
            Const::Null => Value::Null,
            Const::Bool(truth) => Value::Bool(*truth),
            Const::Int(n) => Value::Int(*n),
            Const::Double(n) => Value::Double(*n),
            Const::Decimal(n) => Value::Decimal(*n),
            Const::Text(text) => Value::Str(text),
            Const::Bytes(bytes) => Value::Bytes(bytes),
            Const::Uuid(id) => Value::Uuid(*id),
            Const::Date(day) => Value::Date(*day),
            Const::Time(micros) => Value::Time(*micros),
            Const::Timestamp(micros) => Value::Timestamp(*micros),
            Const::Duration(micros) => Value::Duration(*micros),
        }
    }

    /// The value, copied to where the event's made values live.
    pub(super) fn keep<'a>(&self, frame: &Frame<'_, 'a>) -> Result<Value<'a>, Problem> {
        Ok(match self {
            Const::Text(text) => return frame.text(text),
            Const::Bytes(bytes) => return frame.bytes(bytes),
            Const::Null => Value::Null,
            Const::Bool(truth) => Value::Bool(*truth),
            Const::Int(n) => Value::Int(*n),
            Const::Double(n) => Value::Double(*n),
            Const::Decimal(n) => Value::Decimal(*n),
            Const::Uuid(id) => Value::Uuid(*id),
            Const::Date(day) => Value::Date(*day),
            Const::Time(micros) => Value::Time(*micros),
            Const::Timestamp(micros) => Value::Timestamp(*micros),
            Const::Duration(micros) => Value::Duration(*micros),
        })
    }

    /// A scalar as a constant; `None`: lists, maps and records are none.
    pub(super) fn of(value: &Value<'_>) -> Option<Const> {
        Some(match value {
            Value::Null => Const::Null,
            Value::Bool(truth) => Const::Bool(*truth),
            Value::Int(n) => Const::Int(*n),
            Value::Double(n) => Const::Double(*n),
            Value::Decimal(n) => Const::Decimal(*n),
            Value::Str(text) => Const::Text((*text).into()),
            Value::Bytes(bytes) => Const::Bytes((*bytes).into()),
            Value::Uuid(id) => Const::Uuid(*id),
            Value::Date(day) => Const::Date(*day),
            Value::Time(micros) => Const::Time(*micros),
            Value::Timestamp(micros) => Const::Timestamp(*micros),
            Value::Duration(micros) => Const::Duration(*micros),
            Value::List(_) | Value::Map(_) | Value::Record(_) => return None,
        })
    }
}
