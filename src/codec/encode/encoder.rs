//! The encoder as sinks see it: values by slot in, a body out.

use super::compile;
use super::writer::Fields;
use crate::codec::{Error, Schema};
use crate::record::{Shape, Value};

/// How the values of a shape are written under a schema.
#[derive(Clone, Debug)]
pub struct Encoder {
    fields: Fields,
    slots: usize,
}

impl Encoder {
    /// Compiles an encoder: fields are matched by name, a field that the shape lacks is written as its
    /// default.
    ///
    /// What may go where: a type into its own (int into int, long, float, double and decimal; text into
    /// string, enum and uuid; a uuid into string too; a double into float, rounded to one; a value that may
    /// be null into a type that may not, which fails on the null).
    ///
    /// # Errors
    /// `Value` with the field and why: the shape has a field that the schema does not have (the nearest is
    /// named), lacks one that has no default, or has one of a type that cannot go there.
    pub fn compile(schema: &Schema, shape: &Shape) -> Result<Self, Error> {
        Ok(Self {
            fields: compile::record(schema.record(), shape).map_err(|unfit| unfit.into_error())?,
            slots: shape.fields.len(),
        })
    }

    /// Appends the body of a record: the values by slot of the shape. On an error `out` is as it was.
    ///
    /// # Errors
    /// `Value` with the field and why: a null where none may be, a number out of range, a symbol that the
    /// enum does not have, a decimal or a time with more digits than the schema keeps, a kind of value that
    /// is not the shape's.
    pub fn encode(&self, values: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), Error> {
        if values.len() != self.slots {
            return Err(Error::Value {
                at: "the record".to_owned(),
                why: format!("it has {} values for {} fields", values.len(), self.slots),
            });
        }
        let start = out.len();
        self.fields.write(values, out).map_err(|unfit| {
            out.truncate(start);
            unfit.into_error()
        })
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::record::{Field, Type};

    fn schema(fields: &str) -> Schema {
        Schema::parse(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#), &[])
            .unwrap()
    }

    fn shape(fields: &[(&str, Type)]) -> Shape {
        Shape {
            name: "made".into(),
            fields: fields
                .iter()
                .map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() })
                .collect(),
        }
    }

    /// One field `f` of that schema type written from a value of that type.
    fn write(node: &str, ty: Type, value: Value<'_>) -> Result<Vec<u8>, String> {
        let schema = schema(&format!(r#"{{"name":"f","type":{node}}}"#));
        let encoder = Encoder::compile(&schema, &shape(&[("f", ty)])).map_err(|e| e.to_string())?;
        let mut out = vec![9];
        match encoder.encode(&[value], &mut out) {
            Ok(()) => Ok(out.split_off(1)),
            Err(error) => {
                assert_eq!(out, [9], "an error leaves what was there");
                Err(error.to_string())
            }
        }
    }

    fn optional(ty: Type) -> Type {
        Type::Optional(Box::new(ty))
    }

    #[test]
    fn fields_go_by_name_and_absent_ones_are_written_as_their_default() {
        let schema = schema(
            r#"{"name":"a","type":"int"},{"name":"b","type":"string","default":"x"},{"name":"c","type":"boolean"}"#,
        );
        let encoder =
            Encoder::compile(&schema, &shape(&[("c", Type::Bool), ("a", Type::Int)])).unwrap();
        let mut out = Vec::new();
        encoder.encode(&[Value::Bool(true), Value::Int(2)], &mut out).unwrap();
        assert_eq!(out, [4, 2, b'x', 1]);
        let missing =
            Encoder::compile(&schema, &shape(&[("a", Type::Int)])).unwrap_err().to_string();
        assert!(missing.contains("field c") && missing.contains("no default"), "{missing}");
        let extra = Encoder::compile(&schema, &shape(&[("a", Type::Int), ("cc", Type::Bool)]));
        assert!(extra.unwrap_err().to_string().contains("is c meant?"));
        assert!(encoder.encode(&[Value::Int(1)], &mut out).is_err());
    }

    #[test]
    fn what_does_not_fit_exactly_names_its_field() {
        let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
        let fixed = r#"{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":4,"scale":2}"#;
        let ty = Type::Decimal { precision: 28, scale: 5 };
        for node in [decimal, fixed] {
            for (mantissa, scale, fits) in [
                (9_999, 2, true),
                (-9_999, 2, true),
                (10_000, 2, false),
                (99_990, 3, true),
                (1_234, 3, false),
                (0, 28, true),
                (100, 0, false),
            ] {
                let value = Value::Decimal(Decimal::new(mantissa, scale));
                let written = write(node, ty.clone(), value);
                assert_eq!(written.is_ok(), fits, "{mantissa}e-{scale}: {written:?}");
            }
        }
        assert_eq!(write(decimal, Type::Int, Value::Int(-1)), Ok(vec![2, 0x9c]));
        assert_eq!(write(fixed, Type::Int, Value::Int(-1)), Ok(vec![0xff, 0xff, 0x9c]));
        let millis = r#"{"type":"long","logicalType":"timestamp-millis"}"#;
        assert_eq!(write(millis, Type::Timestamp, Value::Timestamp(-2_000)), Ok(vec![3]));
        for (node, ty, value, why) in [
            (millis, Type::Timestamp, Value::Timestamp(1_001), "microseconds"),
            (millis, Type::Timestamp, Value::Timestamp(i64::MAX), "out of range"),
            (r#""int""#, Type::Int, Value::Int(1 << 31), "32 bits"),
            (r#""double""#, Type::Int, Value::Int((1 << 53) + 1), "double"),
            (r#""float""#, Type::Double, Value::Double(1e300), "float"),
            (r#""string""#, Type::Str, Value::Null, "null"),
            (r#""string""#, optional(Type::Str), Value::Null, "null"),
            (r#""string""#, Type::Str, Value::Int(1), "kind Int"),
            (r#"{"type":"enum","name":"E","symbols":["A"]}"#, Type::Str, Value::Str("B"), "symbol"),
            (
                r#"{"type":"fixed","name":"F","size":3}"#,
                Type::Bytes,
                Value::Bytes(b"12"),
                "3 bytes",
            ),
            (r#"{"type":"string","logicalType":"uuid"}"#, Type::Str, Value::Str("no"), "uuid"),
            (
                r#"{"type":"int","logicalType":"date"}"#,
                Type::Date,
                Value::Date(i32::MAX),
                "out of range",
            ),
        ] {
            let error = write(node, ty, value).unwrap_err();
            assert!(error.starts_with("field f ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_can_never_be_written_is_refused_before_the_first_record() {
        for (node, ty) in [
            (r#""int""#, Type::Str),
            (r#""string""#, Type::Int),
            (r#""long""#, Type::Timestamp),
            (r#"["null","int"]"#, Type::Str),
            (r#"["null","int"]"#, Type::Union([Type::Int, Type::Str].into())),
            (r#"{"type":"array","items":"int"}"#, Type::List(Box::new(Type::Str))),
            (r#""bytes""#, Type::Duration),
        ] {
            let error = write(node, ty, Value::Null).unwrap_err();
            assert!(error.contains("the schema has"), "{error}");
        }
    }

    #[test]
    fn a_union_takes_a_value_in_its_own_branch_first() {
        let both = Type::Union([Type::Int, Type::Double, Type::Str, Type::Uuid].into());
        let node = r#"["null","float","int","long","double","string",{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}]"#;
        let branch = |value| write(node, optional(both.clone()), value).map(|bytes| bytes[0] / 2);
        assert_eq!(branch(Value::Null), Ok(0));
        assert_eq!(branch(Value::Int(5)), Ok(2));
        assert_eq!(branch(Value::Int(1 << 40)), Ok(3));
        assert_eq!(branch(Value::Double(0.5)), Ok(4));
        assert_eq!(branch(Value::Str("s")), Ok(5));
        assert_eq!(branch(Value::Uuid(Uuid::nil())), Ok(6));
        assert!(branch(Value::Bool(true)).is_err());
    }

    #[test]
    fn of_several_records_in_a_union_the_one_of_that_name_is_written() {
        let node = r#"[{"type":"record","name":"A","fields":[{"name":"x","type":"int"}]},{"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}]"#;
        let record = |name: &str| {
            let mut shape = shape(&[("x", Type::Int)]);
            shape.name = name.into();
            Type::Record(shape.into())
        };
        let value = [Value::Int(1)];
        assert_eq!(write(node, record("n.B"), Value::Record(&value)), Ok(vec![2, 2]));
        assert_eq!(write(node, record("A"), Value::Record(&value)), Ok(vec![0, 2]));
        assert!(write(node, record("made"), Value::Record(&value)).is_err());
        assert!(write(node, Type::Union([record("A"), record("B")].into()), Value::Null).is_err());
    }
}
