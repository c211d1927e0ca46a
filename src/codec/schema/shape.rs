//! What expressions and sinks see of a schema: its types without their encoding, and only the fields used.

use std::sync::Arc;

use super::node::{Kind, Meaning, Node, Record};
use crate::codec::Error;
use crate::record::{self, Shape, Type, Uses, nearest};

/// The used fields of a record in the order of its schema.
pub(in crate::codec) fn shape(record: &Record, uses: &Uses) -> Shape {
    let fields = record.fields.iter().filter_map(|field| {
        uses.below(&field.name)
            .map(|below| record::Field { name: field.name.clone(), ty: ty(&field.node, below) })
    });
    Shape { name: record.name.full.clone(), fields: fields.collect() }
}

/// The type of a node's values; below records only what is used.
pub(in crate::codec) fn ty(node: &Node, uses: &Uses) -> Type {
    match &node.kind {
        Kind::Null => Type::Null,
        Kind::Boolean => Type::Bool,
        Kind::Int(meaning) | Kind::Long(meaning) => meant(*meaning, Type::Int),
        Kind::Float | Kind::Double => Type::Double,
        Kind::Bytes(meaning) => meant(*meaning, Type::Bytes),
        Kind::String(meaning) => meant(*meaning, Type::Str),
        Kind::Fixed(fixed) => meant(fixed.meaning, Type::Bytes),
        Kind::Enum(of) => Type::Enum(Arc::clone(&of.symbols)),
        Kind::Array(item) => Type::List(Box::new(ty(item, uses))),
        Kind::Map(item) => Type::Map(Box::new(ty(item, uses))),
        Kind::Record(record) => Type::Record(Arc::new(shape(record, uses))),
        Kind::Union(branches) => union(branches, uses),
    }
}

/// Branches of one type are one: `int` and `long` are both `Int`.
fn union(branches: &[Node], uses: &Uses) -> Type {
    let mut types: Vec<Type> = Vec::with_capacity(branches.len());
    let mut nullable = false;
    for branch in branches {
        match ty(branch, uses) {
            Type::Null => nullable = true,
            some if types.contains(&some) => {}
            some => types.push(some),
        }
    }
    let some = match types.len() {
        0 => return Type::Null,
        1 => types.remove(0),
        _ => Type::Union(types.into()),
    };
    if nullable { Type::Optional(Box::new(some)) } else { some }
}

fn meant(meaning: Meaning, plain: Type) -> Type {
    match meaning {
        Meaning::Plain => plain,
        Meaning::Date => Type::Date,
        Meaning::Time(_) => Type::Time,
        Meaning::Timestamp(_) | Meaning::LocalTimestamp(_) => Type::Timestamp,
        Meaning::Uuid => Type::Uuid,
        Meaning::Decimal { precision, scale } => Type::Decimal { precision, scale },
    }
}

/// Refuses a use of a field that the record does not have.
pub(in crate::codec) fn check_uses(record: &Record, uses: &Uses) -> Result<(), Error> {
    let Uses::Fields(used) = uses else {
        return Ok(());
    };
    for (name, below) in used {
        match record.fields.iter().find(|f| f.name == *name) {
            Some(field) => check_below(&field.node, below)?,
            None => {
                let known = nearest(name, record.fields.iter().map(|f| f.name.as_str()));
                let hint = known.map_or_else(String::new, |k| format!("; is {k} meant?"));
                return Err(Error::Incompatible {
                    at: name.clone(),
                    why: format!("record {} has no such field{hint}", record.name.full),
                });
            }
        }
    }
    Ok(())
}

fn check_below(node: &Node, uses: &Uses) -> Result<(), Error> {
    match &node.kind {
        Kind::Array(item) | Kind::Map(item) => check_below(item, uses),
        Kind::Record(record) => check_uses(record, uses),
        Kind::Union(branches) => {
            // A field of several records needs to be in one of them only.
            let mut records = branches.iter().filter(|b| matches!(b.kind, Kind::Record(_)));
            match (records.next(), records.next()) {
                (Some(only), None) => check_below(only, uses),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}
