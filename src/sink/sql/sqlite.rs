//! An event's values as a row for SQLite.
//!
//! | value | column | stored |
//! |---|---|---|
//! | bool, int, duration | INTEGER | 0 or 1; the number; microseconds |
//! | double | REAL | the number |
//! | decimal | TEXT | every digit: `12.50` |
//! | decimal | INTEGER | if it is whole: give it cents, and sums are exact |
//! | string, enum | TEXT | the text |
//! | uuid | TEXT or BLOB | `0190a1b2-…`, or its 16 bytes |
//! | date, time, timestamp | TEXT | `2026-01-05`, `10:00:00.000000`, `2026-01-05T10:00:00.000000Z` |
//! | bytes | BLOB | the bytes |
//! | list, map, record, union | TEXT | JSON |

use std::io::Write;
use std::sync::Arc;

use super::json;
use super::plan::Field;
use super::postgres::whole_of;
use crate::database::{Affinity, Cell, SqlType};
use crate::port::Encode;
use crate::record::{End, Record, Scope, Value};

/// Writes rows for one partition task.
pub(super) struct Encoder {
    fields: Arc<[Field]>,
    text: Vec<u8>,
}

impl Encoder {
    /// Writes rows of these columns.
    pub(super) fn new(fields: Arc<[Field]>) -> Self {
        Self { fields, text: Vec::new() }
    }

    fn put(&mut self, i: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        let field = &self.fields[i];
        let SqlType::Sqlite(affinity) = field.ty else {
            return Err(field.defect());
        };
        let range = |why| field.refuse("out_of_range", why);
        let cell = match value {
            Value::Null if field.not_null => return Err(field.refuse_null()),
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Int(value.into()),
            Value::Int(value) | Value::Duration(value) => Cell::Int(value),
            // SQLite would store null.
            Value::Double(value) if value.is_nan() => return Err(range("not a number")),
            Value::Double(value) => Cell::Real(value),
            Value::Str(value) => Cell::Text(value.as_bytes()),
            Value::Bytes(value) => Cell::Blob(value),
            Value::Uuid(ref value) if affinity == Affinity::Blob => Cell::Blob(value.as_bytes()),
            Value::Uuid(value) => written(&mut self.text, format_args!("{value}")),
            Value::Decimal(value) if affinity == Affinity::Integer => {
                Cell::Int(whole_of(field, value)?)
            }
            Value::Decimal(value) => written(&mut self.text, format_args!("{value}")),
            Value::Date(days) => {
                let date = json::date(days).map_err(range)?;
                written(&mut self.text, format_args!("{date}"))
            }
            Value::Time(micros) => {
                let time = json::time(micros).map_err(range)?;
                written(&mut self.text, format_args!("{time:.6}"))
            }
            Value::Timestamp(micros) => {
                let timestamp = json::timestamp(micros).map_err(range)?;
                written(&mut self.text, format_args!("{timestamp:.6}"))
            }
            Value::List(_) | Value::Map(_) | Value::Record(_) => {
                self.text.clear();
                json::put(&mut self.text, field.source.ty(), value)
                    .map_err(|why| field.refuse("no_json", why))?;
                Cell::Text(&self.text)
            }
        };
        cell.put(out);
        Ok(())
    }
}

/// Writes a text into scratch space; writing to memory cannot fail.
fn written<'a>(space: &'a mut Vec<u8>, text: std::fmt::Arguments<'_>) -> Cell<'a> {
    space.clear();
    let _ = space.write_fmt(text);
    Cell::Text(space)
}

impl Encode for Encoder {
    fn encode(&mut self, scope: &Scope<'_>, _: &Record<'_>, out: &mut Vec<u8>) -> Result<(), End> {
        for i in 0..self.fields.len() {
            let value = self.fields[i].source.value(scope)?;
            self.put(i, value, out)?;
        }
        Ok(())
    }
}
