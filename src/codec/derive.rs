//! A schema for a shape: what a record of these types is written under when nobody has said so.
//!
//! Logical types are kept. What loses its encoding on the way in does not get it back: int and long are
//! long, float and double are double, fixed is bytes, all timestamps are microseconds.

use serde_json::{Value as Json, json};

use super::Error;
use super::schema::short;
use crate::record::{Shape, Type};

/// Where types are named that have no namespace of their own.
const NAMESPACE: &str = "ordermill";
/// Names that Avro keeps for its own types.
const TAKEN: &[&str] =
    &["map", "array", "record", "enum", "fixed", "union", "error", "null", "string", "bytes"];

/// The schema of a record with this shape.
///
/// # Errors
/// `Value` with the field: it is of a type that Avro does not have.
pub fn schema_of(shape: &Shape) -> Result<Json, Error> {
    let mut names = Names::default();
    record(shape, &mut names, &mut Vec::new())
}

/// The names given so far, and to what.
#[derive(Default)]
struct Names {
    given: Vec<(String, Type)>,
}

impl Names {
    /// A name for a type: the wish, or with a number behind it when another type has it. And: was it given
    /// to this very type before? Then the name alone says it.
    fn name(&mut self, wish: &str, ty: &Type) -> (String, bool) {
        let base = match (wish.contains('.'), TAKEN.contains(&wish) || wish.is_empty()) {
            (true, _) => wish.to_owned(),
            (false, true) => format!("{NAMESPACE}.Event"),
            (false, false) => format!("{NAMESPACE}.{wish}"),
        };
        let mut name = base.clone();
        let mut number = 1;
        loop {
            match self.given.iter().find(|(given, _)| *given == name) {
                Some((_, had)) if had == ty => return (name, true),
                Some(_) => {
                    number += 1;
                    name = format!("{base}_{number}");
                }
                None => {
                    self.given.push((name.clone(), ty.clone()));
                    return (name, false);
                }
            }
        }
    }
}

fn record<'s>(shape: &'s Shape, names: &mut Names, at: &mut Vec<&'s str>) -> Result<Json, Error> {
    let whole = Type::Record(std::sync::Arc::new(shape.clone()));
    let (name, known) = names.name(&shape.name, &whole);
    if known {
        return Ok(json!(name));
    }
    let mut fields = Vec::with_capacity(shape.fields.len());
    for field in &shape.fields {
        at.push(&field.name);
        fields.push(json!({ "name": field.name, "type": of(&field.ty, names, at)? }));
        at.pop();
    }
    Ok(json!({ "type": "record", "name": name, "fields": fields }))
}

fn of<'s>(ty: &'s Type, names: &mut Names, at: &mut Vec<&'s str>) -> Result<Json, Error> {
    Ok(match ty {
        Type::Null => json!("null"),
        Type::Bool => json!("boolean"),
        Type::Int => json!("long"),
        Type::Double => json!("double"),
        Type::Decimal { precision, scale } => {
            json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale })
        }
        Type::Str => json!("string"),
        Type::Enum(symbols) => {
            let wish = at.last().copied().map(short).unwrap_or_default();
            match names.name(wish, ty) {
                (name, true) => json!(name),
                (name, false) => json!({ "type": "enum", "name": name, "symbols": &symbols[..] }),
            }
        }
        Type::Bytes => json!("bytes"),
        Type::Uuid => json!({ "type": "string", "logicalType": "uuid" }),
        Type::Date => json!({ "type": "int", "logicalType": "date" }),
        Type::Time => json!({ "type": "long", "logicalType": "time-micros" }),
        Type::Timestamp => json!({ "type": "long", "logicalType": "timestamp-micros" }),
        Type::Duration => {
            return Err(Error::Value {
                at: format!("field {}", at.join(".")),
                why: "it is a duration, which Avro has no type for; map it to a number first"
                    .to_owned(),
            });
        }
        Type::List(item) => json!({ "type": "array", "items": of(item, names, at)? }),
        Type::Map(item) => json!({ "type": "map", "values": of(item, names, at)? }),
        Type::Record(shape) => record(shape, names, at)?,
        Type::Optional(_) | Type::Union(_) => {
            let (mut parts, mut nullable) = (Vec::new(), false);
            flatten(ty, &mut parts, &mut nullable);
            let mut branches = if nullable { vec![json!("null")] } else { Vec::new() };
            for part in parts {
                branches.push(of(part, names, at)?);
            }
            json!(branches)
        }
    })
}

fn flatten<'s>(ty: &'s Type, parts: &mut Vec<&'s Type>, nullable: &mut bool) {
    match ty {
        Type::Null => *nullable = true,
        Type::Optional(some) => {
            *nullable = true;
            flatten(some, parts, nullable);
        }
        Type::Union(of) => of.iter().for_each(|part| flatten(part, parts, nullable)),
        other if parts.contains(&other) => {}
        other => parts.push(other),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::codec::{Encoder, Schema};
    use crate::record::Field;

    fn shape(name: &str, fields: &[(&str, Type)]) -> Shape {
        let fields = fields.iter().map(|(n, ty)| Field { name: (*n).into(), ty: ty.clone() });
        Shape { name: name.into(), fields: fields.collect() }
    }

    fn optional(ty: Type) -> Type {
        Type::Optional(Box::new(ty))
    }

    fn nested(name: &str, fields: &[(&str, Type)]) -> Type {
        Type::Record(Arc::new(shape(name, fields)))
    }

    /// The schema of a shape has that shape, and the encoder takes it.
    fn comes_back(shape: &Shape) {
        let text = schema_of(shape).unwrap().to_string();
        let schema = Schema::parse(&text, &[]).unwrap();
        assert_eq!(
            schema.shape().fields.iter().map(|f| (&f.name, f.ty.to_string())).collect::<Vec<_>>(),
            shape.fields.iter().map(|f| (&f.name, f.ty.to_string())).collect::<Vec<_>>()
        );
        Encoder::compile(&schema, shape).unwrap();
    }

    #[test]
    fn every_type_comes_back_as_itself() {
        let symbols = Type::Enum(["A".to_owned(), "B".to_owned()].into());
        comes_back(&shape(
            "shop.Order",
            &[
                ("a", Type::Bool),
                ("b", Type::Int),
                ("c", Type::Double),
                ("d", Type::Decimal { precision: 15, scale: 2 }),
                ("e", Type::Str),
                ("f", symbols.clone()),
                ("g", Type::Bytes),
                ("h", Type::Uuid),
                ("i", Type::Date),
                ("j", Type::Time),
                ("k", Type::Timestamp),
                ("l", Type::List(Box::new(optional(symbols)))),
                ("m", Type::Map(Box::new(Type::Int))),
                ("n", optional(nested("shop.Line", &[("x", Type::Int)]))),
                ("o", optional(Type::Union([Type::Int, Type::Str].into()))),
            ],
        ));
    }

    #[test]
    fn one_name_for_one_type_and_another_for_another() {
        let (line, other) =
            (nested("Line", &[("x", Type::Int)]), nested("Line", &[("y", Type::Int)]));
        let text = schema_of(&shape(
            "map",
            &[("a", line.clone()), ("b", other), ("c", Type::List(Box::new(line)))],
        ))
        .unwrap();
        assert_eq!(text["name"], "ordermill.Event");
        assert_eq!(text["fields"][0]["type"]["name"], "ordermill.Line");
        assert_eq!(text["fields"][1]["type"]["name"], "ordermill.Line_2");
        assert_eq!(text["fields"][2]["type"]["items"], "ordermill.Line");
        Schema::parse(&text.to_string(), &[]).unwrap();
    }

    #[test]
    fn a_duration_is_refused_with_its_field() {
        let inner = nested("I", &[("took", Type::Duration)]);
        let error = schema_of(&shape("R", &[("inner", inner)])).unwrap_err().to_string();
        assert!(error.contains("inner.took") && error.contains("map it to a number"), "{error}");
    }
}
