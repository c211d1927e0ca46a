//! Compiled writers: what to append for each value, in the order of the schema.

use std::collections::HashMap;
use std::sync::Arc;

use rust_decimal::Decimal;
use uuid::Uuid;

use super::compile::Unfit;
use super::scalar::{Digits, double_of, put_micros};
use crate::codec::decode::{DAY_MAX, DAY_MIN, MICROS_MAX, MICROS_MIN, MICROS_OF_DAY};
use crate::codec::schema::{Unit, put_bytes, put_count, put_long};
use crate::record::Value;

/// How a value is written.
#[derive(Clone, Debug)]
pub(super) enum Writer {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Uuid,
    UuidFixed,
    Fixed(usize),
    Decimal(Digits),
    DecimalFixed(usize, Digits),
    Date,
    Time(Unit),
    Timestamp(Unit),
    Enum(HashMap<Box<str>, usize>),
    List(Box<Writer>),
    Map(Box<Writer>),
    Union(Box<[Branch]>),
    Record(Box<Fields>),
}

/// A branch of a union that some values of the shape can go to.
#[derive(Clone, Debug)]
pub(super) struct Branch {
    pub(super) index: usize,
    pub(super) writer: Writer,
}

/// The fields of a record in the order of its schema.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) steps: Vec<Step>,
    /// How many values the shape has.
    pub(super) slots: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Slot { slot: usize, name: Box<str>, writer: Writer },
    Default(Arc<[u8]>),
}

type Written = Result<(), Box<Unfit>>;

impl Fields {
    /// Appends all fields.
    pub(super) fn write(&self, values: &[Value<'_>], out: &mut Vec<u8>) -> Written {
        if values.len() != self.slots {
            let (is, should) = (values.len(), self.slots);
            return Err(Unfit::new(format!("a record has {is} values for {should} fields")));
        }
        for step in &self.steps {
            match step {
                Step::Slot { slot, name, writer } => {
                    writer.write(&values[*slot], out).map_err(|unfit| unfit.within(name))?
                }
                Step::Default(bytes) => out.extend_from_slice(bytes),
            }
        }
        Ok(())
    }
}

impl Writer {
    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Written {
        match (self, value) {
            (Writer::Null, Value::Null) => {}
            (Writer::Boolean, Value::Bool(v)) => out.push(u8::from(*v)),
            (Writer::Int, Value::Int(v)) => {
                let int = i32::try_from(*v).map_err(|_| {
                    Unfit::new("the schema has an int, and the value is beyond 32 bits")
                })?;
                put_long(i64::from(int), out);
            }
            (Writer::Long, Value::Int(v)) => put_long(*v, out),
            (Writer::Float, Value::Double(v)) => put_float(*v, out)?,
            (Writer::Float, Value::Int(v)) => put_float(double_of(*v)?, out)?,
            (Writer::Double, Value::Double(v)) => out.extend_from_slice(&v.to_le_bytes()),
            (Writer::Double, Value::Int(v)) => out.extend_from_slice(&double_of(*v)?.to_le_bytes()),
            (Writer::Bytes, Value::Bytes(v)) => put_bytes(v, out),
            (Writer::String, Value::Str(v)) => put_bytes(v.as_bytes(), out),
            (Writer::String | Writer::Uuid, Value::Uuid(v)) => put_uuid(*v, out),
            (Writer::Uuid, Value::Str(v)) => put_uuid(parse_uuid(v)?, out),
            (Writer::UuidFixed, Value::Uuid(v)) => out.extend_from_slice(v.as_bytes()),
            (Writer::UuidFixed, Value::Str(v)) => out.extend_from_slice(parse_uuid(v)?.as_bytes()),
            (Writer::Fixed(size), Value::Bytes(v)) if v.len() == *size => out.extend_from_slice(v),
            (Writer::Fixed(size), Value::Bytes(v)) => {
                let len = v.len();
                return Err(Unfit::new(format!(
                    "the schema has {size} bytes, and the value {len}"
                )));
            }
            (Writer::Decimal(digits), Value::Decimal(v)) => digits.put_bytes(*v, out)?,
            (Writer::Decimal(digits), Value::Int(v)) => digits.put_bytes(Decimal::from(*v), out)?,
            (Writer::DecimalFixed(size, digits), Value::Decimal(v)) => {
                digits.put_fixed(*v, *size, out)?;
            }
            (Writer::DecimalFixed(size, digits), Value::Int(v)) => {
                digits.put_fixed(Decimal::from(*v), *size, out)?;
            }
            _ => return self.write_more(value, out),
        }
        Ok(())
    }

    fn write_more(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Written {
        match (self, value) {
            (Writer::Date, Value::Date(v)) => {
                within(i64::from(DAY_MIN)..=i64::from(DAY_MAX), i64::from(*v), "date")?;
                put_long(i64::from(*v), out);
            }
            (Writer::Time(unit), Value::Time(v)) => {
                within(0..=MICROS_OF_DAY - 1, *v, "time of day")?;
                put_micros(*v, *unit, out)?;
            }
            (Writer::Timestamp(unit), Value::Timestamp(v)) => {
                within(MICROS_MIN..=MICROS_MAX, *v, "timestamp")?;
                put_micros(*v, *unit, out)?;
            }
            (Writer::Enum(symbols), Value::Str(v)) => match symbols.get(*v) {
                Some(index) => put_count(*index, out),
                None => return Err(Unfit::new("the schema's enum has no such symbol")),
            },
            (Writer::List(item), Value::List(values)) => {
                if !values.is_empty() {
                    put_count(values.len(), out);
                    values.iter().try_for_each(|value| item.write(value, out))?;
                }
                out.push(0);
            }
            (Writer::Map(item), Value::Map(entries)) => {
                if !entries.is_empty() {
                    put_count(entries.len(), out);
                    for (key, value) in *entries {
                        put_bytes(key.as_bytes(), out);
                        item.write(value, out)?;
                    }
                }
                out.push(0);
            }
            (Writer::Record(fields), Value::Record(values)) => fields.write(values, out)?,
            (Writer::Union(branches), value) => write_union(branches, value, out)?,
            (_, Value::Null) => {
                return Err(Unfit::new("the value is null, and the schema allows none here"));
            }
            (_, value) => {
                let kind = value.kind();
                return Err(Unfit::new(format!(
                    "a value of kind {kind:?} is not what its type says"
                )));
            }
        }
        Ok(())
    }

    /// Does the branch hold values of this kind as they are?
    fn is_home_of(&self, value: &Value<'_>) -> bool {
        if let (Writer::Decimal(digits) | Writer::DecimalFixed(_, digits), Value::Decimal(v)) =
            (self, value)
        {
            return digits.has_scale_of(*v);
        }
        matches!(
            (self, value),
            (Writer::Null, Value::Null)
                | (Writer::Boolean, Value::Bool(_))
                | (Writer::Int | Writer::Long, Value::Int(_))
                | (Writer::Double, Value::Double(_))
                | (Writer::Bytes | Writer::Fixed(_), Value::Bytes(_))
                | (Writer::String | Writer::Enum(_), Value::Str(_))
                | (Writer::Uuid | Writer::UuidFixed, Value::Uuid(_))
                | (Writer::Date, Value::Date(_))
                | (Writer::Time(_), Value::Time(_))
                | (Writer::Timestamp(_), Value::Timestamp(_))
                | (Writer::List(_), Value::List(_))
                | (Writer::Map(_), Value::Map(_))
                | (Writer::Record(_), Value::Record(_))
        )
    }
}

/// The first branch that takes the value as it is; if none does, the first that takes it at all.
fn write_union(branches: &[Branch], value: &Value<'_>, out: &mut Vec<u8>) -> Written {
    let start = out.len();
    let mut error = None;
    for home in [true, false] {
        for branch in branches.iter().filter(|b| b.writer.is_home_of(value) == home) {
            put_count(branch.index, out);
            match branch.writer.write(value, out) {
                Ok(()) => return Ok(()),
                Err(unfit) => {
                    out.truncate(start);
                    error.get_or_insert(unfit);
                }
            }
        }
    }
    Err(error.unwrap_or_else(|| Unfit::new("the schema's union has no branch for it")))
}

fn within(range: std::ops::RangeInclusive<i64>, value: i64, what: &str) -> Written {
    match range.contains(&value) {
        true => Ok(()),
        false => Err(Unfit::new(format!("the {what} is out of range"))),
    }
}

/// A float keeps what a float can; only what is beyond its range is refused.
fn put_float(value: f64, out: &mut Vec<u8>) -> Written {
    #[expect(clippy::cast_possible_truncation, reason = "a float keeps what a float can")]
    let float = value as f32;
    if float.is_infinite() && value.is_finite() {
        return Err(Unfit::new("the schema has a float, and the value is beyond its range"));
    }
    out.extend_from_slice(&float.to_le_bytes());
    Ok(())
}

fn put_uuid(value: Uuid, out: &mut Vec<u8>) {
    let mut text = Uuid::encode_buffer();
    put_bytes(value.hyphenated().encode_lower(&mut text).as_bytes(), out);
}

fn parse_uuid(text: &str) -> Result<Uuid, Box<Unfit>> {
    match text.len() {
        36 => Uuid::try_parse(text).ok(),
        _ => None,
    }
    .ok_or_else(|| Unfit::new("the schema has a uuid, and the text is none"))
}
