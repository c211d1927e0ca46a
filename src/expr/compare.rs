//! Equality and order of two values.
//!
//! Equality never fails: values of kinds that do not compare are unequal, null equals only null. Order
//! fails on null and on kinds that have none in common. Int and decimal compare as exact numbers; so do
//! int and double where a union lets them meet; decimal and double never do. NaN is unequal to
//! everything and has no order: `<` and `>=` are both false.

use std::cmp::Ordering;

use rust_decimal::Decimal;

use super::Problem;
use super::frame::Limits;
use crate::record::Value;

/// An order to test for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    /// The sign, for messages.
    pub(super) fn sign(self) -> &'static str {
        match self {
            Order::Less => "<",
            Order::LessOrEqual => "<=",
            Order::Greater => ">",
            Order::GreaterOrEqual => ">=",
        }
    }

    /// The order that holds with the sides exchanged.
    pub(super) fn flipped(self) -> Order {
        match self {
            Order::Less => Order::Greater,
            Order::LessOrEqual => Order::GreaterOrEqual,
            Order::Greater => Order::Less,
            Order::GreaterOrEqual => Order::LessOrEqual,
        }
    }

    /// Does it hold of two ordered values?
    #[inline]
    pub(super) fn of<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Order::Less => left < right,
            Order::LessOrEqual => left <= right,
            Order::Greater => left > right,
            Order::GreaterOrEqual => left >= right,
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        self.of(&ordering, &Ordering::Equal)
    }
}

/// Does the order hold of these values?
pub(super) fn ordered(
    order: Order,
    left: &Value<'_>,
    right: &Value<'_>,
    limits: &Limits,
) -> Result<bool, Problem> {
    use Value as V;
    Ok(match (left, right) {
        (V::Int(a), V::Int(b)) => order.of(a, b),
        (V::Double(a), V::Double(b)) => order.of(a, b),
        (V::Decimal(a), V::Decimal(b)) => order.of(a, b),
        (V::Int(a), V::Decimal(b)) => order.of(&Decimal::from(*a), b),
        (V::Decimal(a), V::Int(b)) => order.of(a, &Decimal::from(*b)),
        (V::Int(a), V::Double(b)) => int_double(*a, *b).is_some_and(|o| order.holds(o)),
        (V::Double(a), V::Int(b)) => int_double(*b, *a).is_some_and(|o| order.holds(o.reverse())),
        (V::Str(a), V::Str(b)) => {
            limits.look(a.len().min(b.len()))?;
            order.of(*a, *b)
        }
        (V::Bytes(a), V::Bytes(b)) => {
            limits.look(a.len().min(b.len()))?;
            order.of(*a, *b)
        }
        (V::Bool(a), V::Bool(b)) => order.of(a, b),
        (V::Uuid(a), V::Uuid(b)) => order.of(a, b),
        (V::Date(a), V::Date(b)) => order.of(a, b),
        (V::Time(a), V::Time(b))
        | (V::Timestamp(a), V::Timestamp(b))
        | (V::Duration(a), V::Duration(b)) => order.of(a, b),
        (a, b) => return Err(Problem::kinds(order.sign(), a.kind(), b.kind())),
    })
}

/// Are these values equal? Fails only when the budget is spent.
pub(super) fn equal(left: &Value<'_>, right: &Value<'_>, limits: &Limits) -> Result<bool, Problem> {
    use Value as V;
    Ok(match (left, right) {
        (V::Int(a), V::Int(b)) => a == b,
        (V::Str(a), V::Str(b)) => {
            a.len() == b.len() && {
                limits.look(a.len())?;
                a == b
            }
        }
        (V::Bytes(a), V::Bytes(b)) => {
            a.len() == b.len() && {
                limits.look(a.len())?;
                a == b
            }
        }
        (V::Null, V::Null) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Double(a), V::Double(b)) => a == b,
        (V::Decimal(a), V::Decimal(b)) => a == b,
        (V::Int(a), V::Decimal(b)) | (V::Decimal(b), V::Int(a)) => Decimal::from(*a) == *b,
        (V::Int(a), V::Double(b)) | (V::Double(b), V::Int(a)) => {
            int_double(*a, *b) == Some(Ordering::Equal)
        }
        (V::Uuid(a), V::Uuid(b)) => a == b,
        (V::Date(a), V::Date(b)) => a == b,
        (V::Time(a), V::Time(b))
        | (V::Timestamp(a), V::Timestamp(b))
        | (V::Duration(a), V::Duration(b)) => a == b,
        (V::List(a), V::List(b)) | (V::Record(a), V::Record(b)) => all_equal(a, b, limits)?,
        (V::Map(a), V::Map(b)) => maps_equal(a, b, limits)?,
        _ => false,
    })
}

fn all_equal(a: &[Value<'_>], b: &[Value<'_>], limits: &Limits) -> Result<bool, Problem> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        limits.step(1)?;
        if !equal(a, b, limits)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(
    a: &[(&str, Value<'_>)],
    b: &[(&str, Value<'_>)],
    limits: &Limits,
) -> Result<bool, Problem> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, value) in a {
        let Some(other) = entry(b, key, limits)? else {
            return Ok(false);
        };
        if !equal(value, &other, limits)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The value of a key; of a key that is said twice, the last.
pub(super) fn entry<'a>(
    map: &[(&str, Value<'a>)],
    key: &str,
    limits: &Limits,
) -> Result<Option<Value<'a>>, Problem> {
    limits.step(1 + map.len() / 8)?;
    Ok(map.iter().rfind(|(k, _)| *k == key).map(|(_, v)| *v))
}

/// Is the value one of the items?
pub(super) fn among(
    value: &Value<'_>,
    items: &[Value<'_>],
    limits: &Limits,
) -> Result<bool, Problem> {
    for item in items {
        limits.step(1)?;
        if equal(value, item, limits)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The exact order of an int and a double; `None` for NaN.
fn int_double(int: i64, double: f64) -> Option<Ordering> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= LIMIT {
        return Some(Ordering::Less);
    }
    if double < -LIMIT {
        return Some(Ordering::Greater);
    }
    // In this range the whole part is an i64 exactly.
    let whole = double.trunc();
    Some(int.cmp(&(whole as i64)).then(0.0_f64.partial_cmp(&(double - whole))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_int_and_a_double_compare_exactly_at_the_edges() {
        let max = i64::MAX;
        assert_eq!(int_double(max, max as f64), Some(Ordering::Less));
        assert_eq!(int_double(i64::MIN, i64::MIN as f64), Some(Ordering::Equal));
        assert_eq!(int_double(1, 1.5), Some(Ordering::Less));
        assert_eq!(int_double(-1, -1.5), Some(Ordering::Greater));
        assert_eq!(int_double(0, f64::NAN), None);
        assert_eq!(int_double(max, f64::INFINITY), Some(Ordering::Less));
    }

    #[test]
    fn maps_are_equal_in_any_order_of_their_keys() {
        let a = [("x", Value::Int(1)), ("y", Value::Int(2))];
        let b = [("y", Value::Int(2)), ("x", Value::Int(1))];
        let limits = Limits::new();
        assert_eq!(equal(&Value::Map(&a), &Value::Map(&b), &limits), Ok(true));
        assert_eq!(equal(&Value::Map(&a), &Value::Map(&b[..1]), &limits), Ok(false));
    }

    #[test]
    fn null_has_no_order() {
        let limits = Limits::new();
        assert_eq!(
            ordered(Order::Less, &Value::Null, &Value::Int(1), &limits),
            Err(Problem::Null("<"))
        );
        assert_eq!(equal(&Value::Null, &Value::Int(1), &limits), Ok(false));
    }
}
