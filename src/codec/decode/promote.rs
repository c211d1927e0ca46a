//! Scalars of the writer that become scalars of the reader: promotions, and what numbers and bytes mean.

use super::reader::Reader;
use crate::codec::schema::{Kind, Meaning, Unit};

/// Scalars and their promotions. `Err(None)`: there is no such promotion.
pub(super) fn scalar(writer: &Kind, reader: &Kind) -> Result<Reader, Option<String>> {
    Ok(match (writer, reader) {
        (Kind::Null, Kind::Null) => Reader::Null,
        (Kind::Boolean, Kind::Boolean) => Reader::Boolean,
        (Kind::Float, Kind::Float | Kind::Double) => Reader::Float,
        (Kind::Double, Kind::Double) => Reader::Double,
        (Kind::Int(theirs), Kind::Float) => {
            unmeant(*theirs, Reader::Narrow(Box::new(Reader::LongAsFloat)))?
        }
        (Kind::Int(theirs), Kind::Double) => {
            unmeant(*theirs, Reader::Narrow(Box::new(Reader::LongAsDouble)))?
        }
        (Kind::Long(theirs), Kind::Float) => unmeant(*theirs, Reader::LongAsFloat)?,
        (Kind::Long(theirs), Kind::Double) => unmeant(*theirs, Reader::LongAsDouble)?,
        (Kind::Int(theirs), Kind::Int(ours) | Kind::Long(ours)) => {
            match number(same_meaning(*theirs, *ours)?) {
                Reader::Long => Reader::Int,
                Reader::Time(Unit::Millis) => Reader::TimeMillis,
                read @ (Reader::Time(_) | Reader::Timestamp(_)) => Reader::Narrow(Box::new(read)),
                read => read,
            }
        }
        (Kind::Long(theirs), Kind::Long(ours)) => match number(same_meaning(*theirs, *ours)?) {
            Reader::Date => return Err(None),
            read => read,
        },
        (Kind::String(theirs), Kind::String(ours)) => match same_meaning(*theirs, *ours)? {
            Meaning::Uuid => Reader::Uuid,
            _ => Reader::String,
        },
        (Kind::Bytes(Meaning::Plain), Kind::String(Meaning::Uuid)) => Reader::Uuid,
        (Kind::Bytes(Meaning::Plain), Kind::String(_)) => Reader::String,
        (Kind::String(_), Kind::Bytes(Meaning::Plain)) => Reader::StringAsBytes,
        _ => return Err(None),
    })
}

/// A number that becomes a float must not be a date or a time.
fn unmeant(theirs: Meaning, read: Reader) -> Result<Reader, Option<String>> {
    match theirs {
        Meaning::Plain => Ok(read),
        _ => Err(None),
    }
}

fn number(meaning: Meaning) -> Reader {
    match meaning {
        Meaning::Date => Reader::Date,
        Meaning::Time(unit) => Reader::Time(unit),
        Meaning::Timestamp(unit) | Meaning::LocalTimestamp(unit) => Reader::Timestamp(unit),
        Meaning::Plain | Meaning::Uuid | Meaning::Decimal { .. } => Reader::Long,
    }
}

/// What a value means to the reader, in the writer's unit.
///
/// The specification resolves the underlying types and lets the reader's logical type stand: milliseconds
/// would be read as microseconds, cents as tenths of a cent. Here a unit is converted, and what cannot be
/// converted is refused. Where only one side has a logical type, the reader's word stands.
pub(super) fn same_meaning(theirs: Meaning, ours: Meaning) -> Result<Meaning, String> {
    match (theirs, ours) {
        (Meaning::Plain, _) | (_, Meaning::Plain) => Ok(ours),
        (Meaning::Time(_), Meaning::Time(_))
        | (Meaning::Timestamp(_), Meaning::Timestamp(_))
        | (Meaning::LocalTimestamp(_), Meaning::LocalTimestamp(_)) => Ok(theirs),
        (Meaning::Decimal { scale: a, .. }, Meaning::Decimal { scale: b, .. }) if a == b => {
            Ok(ours)
        }
        (Meaning::Decimal { scale: a, .. }, Meaning::Decimal { scale: b, .. }) => Err(format!(
            "the writer's decimal has {a} digits after the point, the reader's {b}: the same bytes would \
             be another number"
        )),
        _ if theirs == ours => Ok(ours),
        _ => Err(format!(
            "the writer has {}, the reader {}: the same number would mean something else",
            theirs.name(),
            ours.name()
        )),
    }
}
