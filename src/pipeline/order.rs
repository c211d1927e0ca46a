//! What keeps its order in a keyed pipeline: the record's key, or what `key` in the file says.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::engine::lanes::Lane;
use crate::expr::Program;
use crate::record::{End, Fault, Record, Scope, Value};

/// Where a record's lane comes from.
#[derive(Clone, Debug, Default)]
pub enum Order {
    /// Nobody asks: a batch sink keeps the whole partition's order.
    #[default]
    Partition,
    /// The record's key, byte for byte.
    Key,
    /// An expression on the event as it was decoded.
    Expression(Arc<Program>),
}

impl Order {
    /// The lane of a record; `None`: it has no key and stands alone.
    ///
    /// # Errors
    /// `Poison`: the expression fails on this record.
    pub fn lane(&self, record: &Record<'_>, scope: &Scope<'_>) -> Result<Option<Lane>, End> {
        let mut hasher = DefaultHasher::new();
        match self {
            Order::Partition => return Ok(None),
            Order::Key => match record.key {
                None => return Ok(None),
                Some(key) => key.hash(&mut hasher),
            },
            Order::Expression(program) => {
                let value = program.eval(scope).map_err(|error| {
                    let reason = format!("key `{}`: {error}", program.text());
                    End::Fault(Fault::poison("expression", reason))
                })?;
                if matches!(value, Value::Null) {
                    return Ok(None);
                }
                mix(&value, &mut hasher);
            }
        }
        Ok(Some(hasher.finish()))
    }
}

/// Equal values mix equally; the kind goes in too.
fn mix(value: &Value<'_>, hasher: &mut DefaultHasher) {
    value.kind().hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(b) => b.hash(hasher),
        Value::Int(n) | Value::Time(n) | Value::Timestamp(n) | Value::Duration(n) => n.hash(hasher),
        // The two zeros are equal.
        Value::Double(d) => (d + 0.0).to_bits().hash(hasher),
        Value::Decimal(d) => d.hash(hasher),
        Value::Str(s) => s.hash(hasher),
        Value::Bytes(b) => b.hash(hasher),
        Value::Uuid(u) => u.hash(hasher),
        Value::Date(d) => d.hash(hasher),
        Value::List(items) | Value::Record(items) => {
            items.len().hash(hasher);
            items.iter().for_each(|item| mix(item, hasher));
        }
        Value::Map(entries) => {
            entries.len().hash(hasher);
            for (name, value) in *entries {
                name.hash(hasher);
                mix(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    fn hashed(value: &Value<'_>) -> u64 {
        let mut hasher = DefaultHasher::new();
        mix(value, &mut hasher);
        hasher.finish()
    }

    #[test]
    fn equal_values_share_a_lane_and_others_do_not() {
        let (one, same) = (Decimal::new(10, 1), Decimal::new(100, 2));
        assert_eq!(hashed(&Value::Decimal(one)), hashed(&Value::Decimal(same)));
        assert_eq!(hashed(&Value::Double(0.0)), hashed(&Value::Double(-0.0)));
        assert_ne!(hashed(&Value::Int(1)), hashed(&Value::Int(2)));
        let (ab, a_b) = ([Value::Str("ab")], [Value::Str("a"), Value::Str("b")]);
        assert_ne!(hashed(&Value::List(&ab)), hashed(&Value::List(&a_b)));
    }
}
