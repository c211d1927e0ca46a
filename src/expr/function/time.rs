//! Functions on dates, times of day, timestamps and durations. Everything is UTC; months, days of the
//! month by `getDayOfMonth`, weekdays (Sunday is 0) and days of the year count from 0, as in CEL.

use super::clock::{civil, days};
use crate::expr::Problem;
use crate::expr::arithmetic::DAY;
use crate::expr::frame::Frame;
use crate::record::Value;

type Made<'a> = Result<Value<'a>, Problem>;

const SECOND: i64 = 1_000_000;

/// The day of a date or timestamp.
fn day(what: &'static str, args: &[Value<'_>]) -> Result<i64, Problem> {
    match args {
        [Value::Date(days)] => Ok(i64::from(*days)),
        [Value::Timestamp(micros)] => Ok(micros.div_euclid(DAY)),
        [other] => Err(Problem::kind(what, other.kind())),
        _ => Err(Problem::Shape),
    }
}

pub(super) fn year<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    Ok(Value::Int(civil(day("getFullYear", args)?).0))
}

pub(super) fn month<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    Ok(Value::Int(civil(day("getMonth", args)?).1 - 1))
}

pub(super) fn date<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    Ok(Value::Int(civil(day("getDate", args)?).2))
}

pub(super) fn day_of_month<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    Ok(Value::Int(civil(day("getDayOfMonth", args)?).2 - 1))
}

pub(super) fn day_of_week<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    // 1970-01-01 was a Thursday.
    Ok(Value::Int((day("getDayOfWeek", args)? + 4).rem_euclid(7)))
}

pub(super) fn day_of_year<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    let day = day("getDayOfYear", args)?;
    Ok(Value::Int(day - days(civil(day).0, 1, 1)))
}

pub(super) fn hours<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    part("getHours", args, 3_600 * SECOND, 24)
}

pub(super) fn minutes<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    part("getMinutes", args, 60 * SECOND, 60)
}

pub(super) fn seconds<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    part("getSeconds", args, SECOND, 60)
}

pub(super) fn milliseconds<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    match args {
        // The odd one out in CEL: of a duration, too, only what is beyond the seconds.
        [Value::Duration(micros)] => Ok(Value::Int(micros / 1_000 % 1_000)),
        args => part("getMilliseconds", args, 1_000, 1_000),
    }
}

/// How many of the unit: of a duration all, of a timestamp or time of day those beyond the next larger.
fn part<'a>(what: &'static str, args: &[Value<'a>], unit: i64, of: i64) -> Made<'a> {
    match args {
        [Value::Duration(micros)] => Ok(Value::Int(micros / unit)),
        [Value::Timestamp(micros) | Value::Time(micros)] => {
            Ok(Value::Int(micros.div_euclid(unit).rem_euclid(of)))
        }
        [other] => Err(Problem::kind(what, other.kind())),
        _ => Err(Problem::Shape),
    }
}
