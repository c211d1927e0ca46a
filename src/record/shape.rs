//! What an event may hold: the types of its fields, and which of them somebody uses.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The type of a [`Value`](super::Value), as expressions, sinks and the codec agree on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Only null.
    Null,
    /// True or false.
    Bool,
    /// A signed 64-bit integer (Avro int and long).
    Int,
    /// A 64-bit float (Avro float and double).
    Double,
    /// An exact decimal with so many digits, `scale` of them after the point.
    Decimal {
        /// All digits.
        precision: u32,
        /// The digits after the point.
        scale: u32,
    },
    /// Text.
    Str,
    /// One of these symbols; a string to expressions.
    Enum(Arc<[String]>),
    /// Bytes (Avro bytes and fixed).
    Bytes,
    /// A UUID.
    Uuid,
    /// A calendar date.
    Date,
    /// A time of day.
    Time,
    /// A point in time.
    Timestamp,
    /// A span of time.
    Duration,
    /// A list of values of one type.
    List(Box<Type>),
    /// Text to values of one type.
    Map(Box<Type>),
    /// A nested record.
    Record(Arc<Shape>),
    /// The type or null.
    Optional(Box<Type>),
    /// One of several types, none of them null: what it is shows with the value.
    Union(Box<[Type]>),
}

/// The fields of a record in the order of their slots.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Shape {
    /// The record's full name in its schema, or a stage's word for what it made.
    pub name: String,
    /// The fields by slot.
    pub fields: Vec<Field>,
}

/// A field: name and type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in the schema, or the one that `map` or `set` gave it.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl Shape {
    /// The slot and type of a field.
    pub fn field(&self, name: &str) -> Option<(usize, &Type)> {
        self.fields.iter().position(|f| f.name == name).map(|slot| (slot, &self.fields[slot].ty))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("null"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Double => f.write_str("double"),
            Type::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Type::Str => f.write_str("string"),
            Type::Enum(_) => f.write_str("enum"),
            Type::Bytes => f.write_str("bytes"),
            Type::Uuid => f.write_str("uuid"),
            Type::Date => f.write_str("date"),
            Type::Time => f.write_str("time"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::List(item) => write!(f, "list({item})"),
            Type::Map(item) => write!(f, "map({item})"),
            Type::Record(shape) => write!(f, "record {}", shape.name),
            Type::Optional(some) => write!(f, "{some} or null"),
            Type::Union(of) => {
                for (i, ty) in of.iter().enumerate() {
                    write!(f, "{}{ty}", if i > 0 { " or " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// Which fields somebody reads: what the decode plan must yield. Everything else is skipped.
///
/// Paths go through lists and optionals to the record inside: `lines` → `quantity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uses {
    /// The whole value.
    All,
    /// These fields of the record (or of the list's or map's records); none: not read at all.
    Fields(BTreeMap<String, Uses>),
}

impl Uses {
    /// Nothing is read.
    pub fn nothing() -> Self {
        Uses::Fields(BTreeMap::new())
    }

    /// Adds a path of field names; its end is used whole.
    pub fn add(&mut self, path: &[&str]) {
        match (path, &mut *self) {
            ([], _) => *self = Uses::All,
            (_, Uses::All) => {}
            ([first, rest @ ..], Uses::Fields(fields)) => {
                fields.entry((*first).to_owned()).or_insert_with(Uses::nothing).add(rest);
            }
        }
    }

    /// What is used below a field; `None`: the field is not read.
    pub fn below(&self, field: &str) -> Option<&Uses> {
        match self {
            Uses::All => Some(self),
            Uses::Fields(fields) => fields.get(field),
        }
    }

    /// Everything that either of the two uses.
    #[must_use]
    pub fn union(self, other: Uses) -> Uses {
        match (self, other) {
            (Uses::Fields(mut mine), Uses::Fields(theirs)) => {
                for (name, uses) in theirs {
                    let both = match mine.remove(&name) {
                        Some(had) => had.union(uses),
                        None => uses,
                    };
                    mine.insert(name, both);
                }
                Uses::Fields(mine)
            }
            _ => Uses::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_path_never_narrows_a_shorter_one() {
        let mut uses = Uses::nothing();
        uses.add(&["lines"]);
        uses.add(&["lines", "quantity"]);
        assert_eq!(uses.below("lines"), Some(&Uses::All));
        assert_eq!(uses.below("comment"), None);
    }
}
