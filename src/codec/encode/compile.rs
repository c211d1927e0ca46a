//! Compiles a schema and a shape into writers.

use std::collections::HashMap;
use std::sync::Arc;

use super::writer::{Branch, Fields, Step, Writer};
use crate::codec::Error;
use crate::codec::schema::{Enum, Kind, Meaning, Node, Record, short};
use crate::record::{Shape, Type, nearest};

/// Why something cannot be written, and the path to it from the inside out.
#[derive(Debug)]
pub(super) struct Unfit {
    why: String,
    path: Vec<String>,
}

impl Unfit {
    #[cold]
    pub(super) fn new(why: impl Into<String>) -> Box<Self> {
        Box::new(Self { why: why.into(), path: Vec::new() })
    }

    #[cold]
    pub(super) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    #[cold]
    pub(super) fn into_error(mut self) -> Error {
        self.path.reverse();
        let at = match self.path.is_empty() {
            true => "the record".to_owned(),
            false => format!("field {}", self.path.join(".")),
        };
        Error::Value { at, why: self.why }
    }
}

/// The writers of a record's fields in the order of the schema.
pub(super) fn record(record: &Record, shape: &Shape) -> Result<Fields, Box<Unfit>> {
    for field in &shape.fields {
        if !record.fields.iter().any(|f| f.name == field.name) {
            let known = nearest(&field.name, record.fields.iter().map(|f| f.name.as_str()));
            let hint = known.map_or_else(String::new, |k| format!("; is {k} meant?"));
            let why = format!("record {} has no such field{hint}", record.name.full);
            return Err(Unfit::new(why).within(&field.name));
        }
    }
    let mut steps: Vec<Step> = Vec::with_capacity(record.fields.len());
    for field in &record.fields {
        match (shape.field(&field.name), &field.default) {
            (Some((slot, ty)), _) => steps.push(Step::Slot {
                slot,
                name: field.name.as_str().into(),
                writer: writer(&field.node, ty).map_err(|unfit| unfit.within(&field.name))?,
            }),
            (None, Some(default)) => steps.push(Step::Default(Arc::clone(default))),
            (None, None) => {
                let why = "it is missing, and the schema has no default for it";
                return Err(Unfit::new(why).within(&field.name));
            }
        }
    }
    Ok(Fields { steps, slots: shape.fields.len() })
}

/// The writer of values of a type under a node of the schema.
fn writer(node: &Node, ty: &Type) -> Result<Writer, Box<Unfit>> {
    match (&node.kind, ty) {
        (Kind::Union(branches), _) => union(branches, ty).map_err(|()| mismatch(node, ty)),
        // A null among the values is an error when it comes: a filter may keep them all away.
        (_, Type::Optional(some)) => writer(node, some),
        (_, Type::Union(parts)) => {
            // Each part must be writable; the node is one, so the last writer is as good as any.
            let mut last = Err(mismatch(node, ty));
            for part in parts {
                last = Ok(writer(node, part)?);
            }
            last
        }
        (Kind::Array(item), Type::List(of)) => Ok(Writer::List(Box::new(writer(item, of)?))),
        (Kind::Map(item), Type::Map(of)) => Ok(Writer::Map(Box::new(writer(item, of)?))),
        (Kind::Record(of), Type::Record(shape)) => Ok(Writer::Record(Box::new(record(of, shape)?))),
        (Kind::Enum(of), Type::Enum(_) | Type::Str) => Ok(Writer::Enum(symbols(of))),
        _ => scalar(node, ty).ok_or_else(|| mismatch(node, ty)),
    }
}

fn scalar(node: &Node, ty: &Type) -> Option<Writer> {
    Some(match (&node.kind, ty) {
        (Kind::Null, Type::Null) => Writer::Null,
        (Kind::Boolean, Type::Bool) => Writer::Boolean,
        (Kind::Int(Meaning::Plain), Type::Int) => Writer::Int,
        (Kind::Long(Meaning::Plain), Type::Int) => Writer::Long,
        (Kind::Float, Type::Double | Type::Int) => Writer::Float,
        (Kind::Double, Type::Double | Type::Int) => Writer::Double,
        (Kind::Int(Meaning::Date), Type::Date) => Writer::Date,
        (Kind::Int(Meaning::Time(unit)) | Kind::Long(Meaning::Time(unit)), Type::Time) => {
            Writer::Time(*unit)
        }
        (Kind::Long(Meaning::Timestamp(unit) | Meaning::LocalTimestamp(unit)), Type::Timestamp) => {
            Writer::Timestamp(*unit)
        }
        (Kind::Bytes(Meaning::Decimal { precision, scale }), Type::Decimal { .. } | Type::Int) => {
            Writer::Decimal(super::scalar::Digits::new(*precision, *scale))
        }
        (Kind::Bytes(Meaning::Plain), Type::Bytes) => Writer::Bytes,
        (Kind::String(Meaning::Uuid), Type::Uuid | Type::Str) => Writer::Uuid,
        (Kind::String(_), Type::Str | Type::Enum(_) | Type::Uuid) => Writer::String,
        (Kind::Fixed(fixed), ty) => match (fixed.meaning, ty) {
            (Meaning::Decimal { precision, scale }, Type::Decimal { .. } | Type::Int) => {
                Writer::DecimalFixed(fixed.size, super::scalar::Digits::new(precision, scale))
            }
            (Meaning::Uuid, Type::Uuid | Type::Str) => Writer::UuidFixed,
            (Meaning::Plain, Type::Bytes) => Writer::Fixed(fixed.size),
            _ => return None,
        },
        _ => return None,
    })
}

fn symbols(of: &Enum) -> HashMap<Box<str>, usize> {
    of.symbols.iter().enumerate().map(|(index, symbol)| (symbol.as_str().into(), index)).collect()
}

/// The branches that parts of the type can go to. Each part must have one.
fn union(branches: &[Node], ty: &Type) -> Result<Writer, ()> {
    let mut parts: Vec<&Type> = Vec::new();
    flatten(ty, &mut parts);
    let mut compiled: Vec<Branch> = Vec::new();
    let mut placed = vec![false; parts.len()];
    for (index, branch) in branches.iter().enumerate() {
        for (part, placed) in parts.iter().zip(&mut placed) {
            // Of several records, which one a value is does not show: by name only one may be left.
            let other = matches!((&branch.kind, part), (Kind::Record(record), Type::Record(shape))
                if several_records(branches) && short(&record.name.full) != short(&shape.name));
            if other {
                continue;
            }
            if let Ok(writer) = writer(branch, part) {
                *placed = true;
                if !compiled.iter().any(|b| b.index == index) {
                    compiled.push(Branch { index, writer });
                }
            }
        }
    }
    // A null that has no branch is an error when it comes.
    let lost = parts.iter().zip(&placed).any(|(part, placed)| !placed && **part != Type::Null);
    let records = |t: &&&Type| matches!(t, Type::Record(_));
    if lost || compiled.is_empty() || parts.iter().filter(records).count() > 1 {
        return Err(());
    }
    Ok(Writer::Union(compiled.into()))
}

fn several_records(branches: &[Node]) -> bool {
    branches.iter().filter(|b| matches!(b.kind, Kind::Record(_))).count() > 1
}

fn flatten<'t>(ty: &'t Type, parts: &mut Vec<&'t Type>) {
    match ty {
        Type::Optional(some) => {
            parts.push(&Type::Null);
            flatten(some, parts);
        }
        Type::Union(of) => of.iter().for_each(|part| flatten(part, parts)),
        _ => parts.push(ty),
    }
}

fn mismatch(node: &Node, ty: &Type) -> Box<Unfit> {
    Unfit::new(format!("it is {ty}, and the schema has {}", node.word()))
}
