//! `+ - * / %` and `-x`. Ints are exact or an error; decimals are exact within 28 digits or an error, but
//! for division, which rounds its 28th digit; doubles follow IEEE 754; timestamps stay between the years
//! 1 and 9999.

use rust_decimal::Decimal;

use super::Problem;
use super::frame::Frame;
use crate::record::Value;

type Made<'a> = Result<Value<'a>, Problem>;

/// 0001-01-01T00:00:00 in microseconds.
pub(super) const TIMESTAMP_MIN: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999 in microseconds.
pub(super) const TIMESTAMP_MAX: i64 = 253_402_300_799_999_999;

/// Microseconds in a day.
pub(super) const DAY: i64 = 86_400_000_000;

pub(super) fn add<'a>(frame: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    use Value as V;
    match args {
        [V::Int(a), V::Int(b)] => int("+", a.checked_add(*b)),
        [V::Double(a), V::Double(b)] => Ok(V::Double(a + b)),
        [V::Str(a), V::Str(b)] => frame.join(&[a, b]),
        [V::Bytes(a), V::Bytes(b)] => frame.bytes(&[*a, *b].concat()),
        [V::List(a), V::List(b)] => {
            let mut list = frame.list();
            for item in a.iter().chain(b.iter()) {
                frame.push(&mut list, *item)?;
            }
            Ok(V::List(list.into_bump_slice()))
        }
        [V::Duration(a), V::Duration(b)] => duration("+", a.checked_add(*b)),
        [V::Timestamp(a), V::Duration(b)] | [V::Duration(b), V::Timestamp(a)] => {
            timestamp("+", a.checked_add(*b))
        }
        args => decimals("+", args, |a, b| {
            exact("+", a, b, Decimal::checked_add, |a, b| a.scale().max(b.scale()))
        }),
    }
}

pub(super) fn subtract<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    use Value as V;
    match args {
        [V::Int(a), V::Int(b)] => int("-", a.checked_sub(*b)),
        [V::Double(a), V::Double(b)] => Ok(V::Double(a - b)),
        [V::Duration(a), V::Duration(b)]
        | [V::Timestamp(a), V::Timestamp(b)]
        | [V::Time(a), V::Time(b)] => duration("-", a.checked_sub(*b)),
        [V::Timestamp(a), V::Duration(b)] => timestamp("-", a.checked_sub(*b)),
        [V::Date(a), V::Date(b)] => duration("-", (i64::from(*a) - i64::from(*b)).checked_mul(DAY)),
        args => decimals("-", args, |a, b| {
            exact("-", a, b, Decimal::checked_sub, |a, b| a.scale().max(b.scale()))
        }),
    }
}

pub(super) fn multiply<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    use Value as V;
    match args {
        [V::Int(a), V::Int(b)] => int("*", a.checked_mul(*b)),
        [V::Double(a), V::Double(b)] => Ok(V::Double(a * b)),
        args => decimals("*", args, |a, b| {
            exact("*", a, b, Decimal::checked_mul, |a, b| a.scale() + b.scale())
        }),
    }
}

pub(super) fn divide<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    use Value as V;
    match args {
        [V::Int(_), V::Int(0)] => Err(Problem::Zero),
        [V::Int(a), V::Int(b)] => int("/", a.checked_div(*b)),
        [V::Double(a), V::Double(b)] => Ok(V::Double(a / b)),
        args => decimals("/", args, |a, b| {
            if b.is_zero() {
                return Err(Problem::Zero);
            }
            a.checked_div(b).ok_or(Problem::Digits("/"))
        }),
    }
}

pub(super) fn remainder<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    use Value as V;
    match args {
        [V::Int(_), V::Int(0)] => Err(Problem::Zero),
        [V::Int(a), V::Int(b)] => int("%", a.checked_rem(*b)),
        args => decimals("%", args, |a, b| {
            if b.is_zero() {
                return Err(Problem::Zero);
            }
            a.checked_rem(b).ok_or(Problem::Digits("%"))
        }),
    }
}

pub(super) fn negate<'a>(_: &Frame<'_, 'a>, args: &[Value<'a>]) -> Made<'a> {
    match args {
        [Value::Int(a)] => int("-", a.checked_neg()),
        [Value::Double(a)] => Ok(Value::Double(-a)),
        [Value::Decimal(a)] => Ok(Value::Decimal(-*a)),
        [Value::Duration(a)] => duration("-", a.checked_neg()),
        [other] => Err(Problem::kind("-", other.kind())),
        _ => Err(Problem::Shape),
    }
}

fn int<'a>(what: &'static str, value: Option<i64>) -> Made<'a> {
    value.map(Value::Int).ok_or(Problem::Overflow(what))
}

fn duration<'a>(what: &'static str, micros: Option<i64>) -> Made<'a> {
    micros.map(Value::Duration).ok_or(Problem::Overflow(what))
}

/// A timestamp within the years that have four digits.
pub(super) fn timestamp<'a>(what: &'static str, micros: Option<i64>) -> Made<'a> {
    micros
        .filter(|micros| (TIMESTAMP_MIN..=TIMESTAMP_MAX).contains(micros))
        .map(Value::Timestamp)
        .ok_or(Problem::Overflow(what))
}

fn decimals<'a>(
    what: &'static str,
    args: &[Value<'a>],
    with: impl Fn(Decimal, Decimal) -> Result<Decimal, Problem>,
) -> Made<'a> {
    let (a, b) = match args {
        [Value::Decimal(a), Value::Decimal(b)] => (*a, *b),
        [Value::Decimal(a), Value::Int(b)] => (*a, Decimal::from(*b)),
        [Value::Int(a), Value::Decimal(b)] => (Decimal::from(*a), *b),
        [a, b] => return Err(Problem::kinds(what, a.kind(), b.kind())),
        _ => return Err(Problem::Shape),
    };
    with(a, b).map(Value::Decimal)
}

/// The exact result. The decimal library rounds away digits that do not fit; that shows in the result's
/// scale, and money must not be rounded silently.
fn exact(
    what: &'static str,
    a: Decimal,
    b: Decimal,
    with: impl Fn(Decimal, Decimal) -> Option<Decimal>,
    scale: impl Fn(Decimal, Decimal) -> u32,
) -> Result<Decimal, Problem> {
    let result = with(a, b).ok_or(Problem::Digits(what))?;
    if result.scale() == scale(a, b) || a.is_zero() || b.is_zero() {
        return Ok(result);
    }
    // Zeros at the end are no digits: without them it may fit.
    let (a, b) = (a.normalize(), b.normalize());
    let result = with(a, b).ok_or(Problem::Digits(what))?;
    if result.scale() == scale(a, b) {
        return Ok(result);
    }
    Err(Problem::Digits(what))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use bumpalo::Bump;

    use super::*;
    use crate::expr::frame::Limits;
    use crate::record::Scope;

    type Operator = for<'a> fn(&Frame<'_, 'a>, &[Value<'a>]) -> Made<'a>;

    #[track_caller]
    fn check(with: Operator, a: &str, b: &str, expect: Result<&str, Problem>) {
        let bump = Bump::new();
        let scope = Scope::of(&[], &bump);
        let frame = Frame { scope: &scope, limits: &Limits::new(), local: None };
        let of = |text| Value::Decimal(Decimal::from_str(text).unwrap());
        assert_eq!(with(&frame, &[of(a), of(b)]), expect.map(of));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        check(add, "0.10", "0.2", Ok("0.30"));
        check(multiply, "19.99", "3", Ok("59.97"));
        check(subtract, "1", "0.001", Ok("0.999"));
        check(add, "9999999999999999999999999999", "0.1", Err(Problem::Digits("+")));
        check(multiply, "0.000000000000001", "0.000000000000001", Err(Problem::Digits("*")));
        check(multiply, "0.00000000000000", "0.000000000000001", Ok("0"));
        check(multiply, "1000000000000000.00000", "0.1000000000000000000", Ok("100000000000000"));
        check(divide, "1", "3", Ok("0.3333333333333333333333333333"));
        check(divide, "1", "0.0", Err(Problem::Zero));
        check(remainder, "7.5", "2", Ok("1.5"));
    }

    #[test]
    fn adding_to_zero_keeps_every_digit() {
        check(add, "0", "0.1234567890123456789012345678", Ok("0.1234567890123456789012345678"));
        check(add, "0.00", "5", Ok("5"));
    }
}
