//! A schema, parsed once: its text becomes a tree of nodes with every name resolved.

mod default;
mod node;
mod parse;
mod prepare;
mod shape;

use std::sync::Arc;

pub(super) use default::{put_bytes, put_count, put_long};
pub(super) use node::{Enum, Field, Fixed, Kind, Meaning, Node, Record, Unit, short};
pub(super) use shape::{check_uses, shape, ty};

use super::Error;
use crate::record::{Shape, Uses};

/// An Avro schema of a record, resolved and found harmless.
#[derive(Clone, Debug)]
pub struct Schema {
    record: Arc<Record>,
}

impl Schema {
    /// Parses a schema's text. `references` are the texts of the schemas that it names, transitively, each
    /// before those that name it; their order among equals does not matter, and one may stand there twice.
    ///
    /// # Errors
    /// `Schema` for what is no Avro schema, and for what no record may be decoded under: a type that
    /// contains itself, more than 64 levels, more than 65,536 types when every name is written out, text
    /// of more than 1 MiB, a `fixed` of more than 1 MiB, items of arrays and maps that take no bytes, a
    /// decimal whose digits are missing or do not fit, a default that is not of its field's type, a name
    /// defined twice; and for a schema whose top is not a record, since an event has fields.
    pub fn parse(text: &str, references: &[&str]) -> Result<Self, Error> {
        let node = parse::parse(text, references)?;
        match node.kind {
            Kind::Record(record) => Ok(Self { record }),
            _ => Err(Error::Schema {
                at: "the schema".to_owned(),
                why: format!("it is {}; the value of a record must be an Avro record", node.word()),
            }),
        }
    }

    /// The full name of the record.
    pub fn name(&self) -> &str {
        &self.record.name.full
    }

    /// All fields with their types.
    pub fn shape(&self) -> Shape {
        shape(&self.record, &Uses::All)
    }

    /// The fields that are used, with their types: what a plan to this reader yields.
    ///
    /// # Errors
    /// `Incompatible` for a use of a field that there is not, with the nearest that there is.
    pub fn projected(&self, uses: &Uses) -> Result<Shape, Error> {
        check_uses(&self.record, uses)?;
        Ok(shape(&self.record, uses))
    }

    pub(super) fn record(&self) -> &Arc<Record> {
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Type;

    fn refusal(text: &str) -> String {
        match Schema::parse(text, &[]) {
            Ok(schema) => panic!("accepted {}", schema.name()),
            Err(error) => error.to_string(),
        }
    }

    fn of_field(ty: &str) -> String {
        format!(r#"{{"type":"record","name":"a.R","fields":[{{"name":"f","type":{ty}}}]}}"#)
    }

    #[test]
    fn the_shape_has_the_types_without_their_encoding() {
        let schema = Schema::parse(
            r#"{"type":"record","name":"Order","namespace":"shop","fields":[
                {"name":"id","type":{"type":"string","logicalType":"uuid"}},
                {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}},
                {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
                {"name":"note","type":["null","string"],"default":null},
                {"name":"either","type":["int","null","string","long"]},
                {"name":"lines","type":{"type":"array","items":
                    {"type":"record","name":"Line","fields":[{"name":"n","type":"int"}]}}}]}"#,
            &[],
        )
        .unwrap();
        assert_eq!(schema.name(), "shop.Order");
        let types: Vec<String> = schema.shape().fields.iter().map(|f| f.ty.to_string()).collect();
        assert_eq!(
            types,
            [
                "uuid",
                "decimal(15,2)",
                "timestamp",
                "string or null",
                "int or string or null",
                "list(record shop.Line)"
            ]
        );
    }

    #[test]
    fn only_what_is_used_is_projected_in_the_order_of_the_schema() {
        let text = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":
            {"type":"array","items":{"type":"record","name":"L","fields":[{"name":"x","type":"int"},{"name":"y","type":"string"}]}}},
            {"name":"c","type":"long"}]}"#;
        let schema = Schema::parse(text, &[]).unwrap();
        let mut uses = Uses::nothing();
        uses.add(&["c"]);
        uses.add(&["b", "y"]);
        let shape = schema.projected(&uses).unwrap();
        let names: Vec<&str> = shape.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["b", "c"]);
        let Type::List(item) = &shape.fields[0].ty else { panic!() };
        let Type::Record(line) = &**item else { panic!() };
        assert_eq!(line.fields.len(), 1);
        uses.add(&["b", "yy"]);
        let error = schema.projected(&uses).unwrap_err().to_string();
        assert!(error.contains("is y meant?"), "{error}");
    }

    #[test]
    fn references_are_resolved_in_their_order_and_may_repeat() {
        let money = r#"{"type":"fixed","name":"shop.Money","size":8,"logicalType":"decimal","precision":15,"scale":2}"#;
        let line = r#"{"type":"record","name":"Line","namespace":"shop","fields":[{"name":"price","type":"Money"}]}"#;
        let order = r#"{"type":"record","name":"shop.Order","fields":[
            {"name":"lines","type":{"type":"array","items":"Line"}},{"name":"total","type":"shop.Money"}]}"#;
        let schema = Schema::parse(order, &[money, line, money]).unwrap();
        // The logical type stays with the name.
        assert_eq!(schema.shape().fields[1].ty, Type::Decimal { precision: 15, scale: 2 });
        assert!(Schema::parse(order, &[line, money]).is_err());
    }

    #[test]
    fn what_no_record_may_be_decoded_under_is_refused() {
        let node = r#"{"type":"record","name":"N","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","N"]}]}"#;
        assert!(refusal(node).contains("contains itself"));
        assert!(
            refusal(&of_field(r#"{"type":"fixed","name":"F","size":1048577}"#))
                .contains("1048577 bytes")
        );
        for item in [
            r#""null""#,
            r#"{"type":"fixed","name":"F","size":0}"#,
            r#"{"type":"record","name":"E","fields":[]}"#,
            r#"{"type":"record","name":"E","fields":[{"name":"n","type":"null"}]}"#,
        ] {
            let array = of_field(&format!(r#"{{"type":"array","items":{item}}}"#));
            assert!(refusal(&array).contains("take no bytes"));
            let map = of_field(&format!(r#"{{"type":"map","values":{item}}}"#));
            assert!(refusal(&map).contains("take no bytes"));
        }
        for digits in [
            "",
            r#","precision":0"#,
            r#","precision":2,"scale":3"#,
            r#","precision":-2"#,
            r#","precision":"5""#,
            r#","precision":5,"scale":1.5"#,
        ] {
            let decimal =
                of_field(&format!(r#"{{"type":"bytes","logicalType":"decimal"{digits}}}"#));
            assert!(refusal(&decimal).contains("precision"), "{digits}");
        }
        let narrow =
            r#"{"type":"fixed","name":"F","size":4,"logicalType":"decimal","precision":10}"#;
        assert!(refusal(&of_field(narrow)).contains("holds 9 digits"));
        assert!(
            refusal(&of_field(r#"{"type":"string","logicalType":"decimal","precision":4}"#))
                .contains("bytes or fixed")
        );
        assert!(
            refusal(&format!("{}{}", " ".repeat(1 << 20), of_field("\"int\""))).contains("1048576")
        );
        assert!(refusal(r#""string""#).contains("must be an Avro record"));
        assert!(refusal(r#"["null","int"]"#).contains("must be an Avro record"));
        assert!(refusal("{").contains("no JSON"));
        assert!(
            refusal(r#"{"type":"record","name":"R","fields":["a"]}"#).contains("not an object")
        );
        assert!(refusal(r#"{"type":"record","name":"R","fields":{}}"#).contains("not a list"));
        assert!(refusal(&of_field("[]")).contains("no branches"));
        assert!(
            refusal(&of_field(r#"{"type":"enum","name":"a.R","symbols":["A"]}"#))
                .contains("defined twice")
        );
        let twice = r#"{"type":"record","name":"R","fields":[{"name":"f","type":"int"},{"name":"f","type":"int"}]}"#;
        refusal(twice);
    }

    #[test]
    fn nesting_is_bounded_whether_written_out_or_by_name() {
        let arrays = |levels: usize| {
            of_field(&format!(
                "{}\"int\"{}",
                r#"{"type":"array","items":"#.repeat(levels),
                "}".repeat(levels)
            ))
        };
        assert!(Schema::parse(&arrays(63), &[]).is_ok());
        assert!(refusal(&arrays(64)).contains("deeper than 64"));
        // Each level names the one below twice: 2^40 types when written out.
        let mut fields = String::from(
            r#"{"name":"l0","type":{"type":"record","name":"L0","fields":[{"name":"x","type":"int"}]}}"#,
        );
        for level in 1..40 {
            let below = level - 1;
            fields.push_str(&format!(
                r#",{{"name":"l{level}","type":{{"type":"record","name":"L{level}","fields":[
                    {{"name":"a","type":"L{below}","default":{{}}}},{{"name":"b","type":"L{below}","default":{{}}}}]}}}}"#
            ));
        }
        let bomb = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let start = std::time::Instant::now();
        assert!(Schema::parse(&bomb, &[]).is_err());
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_default_must_be_of_its_type() {
        let with = |ty: &str, default: &str| {
            format!(
                r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{ty},"default":{default}}}]}}"#
            )
        };
        for (ty, good, bad) in [
            (r#""int""#, "5", "2147483648"),
            (r#""long""#, "2147483648", "1.5"),
            (r#""boolean""#, "true", "1"),
            (r#""bytes""#, r#""\u00ff""#, r#""\u0100""#),
            (r#""string""#, r#""ü""#, "null"),
            (r#"["null","int"]"#, "null", r#""x""#),
            (r#"["null","int"]"#, "7", "true"),
            (r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, r#""B""#, r#""C""#),
            (r#"{"type":"fixed","name":"F","size":2}"#, r#""\u0000\u00ff""#, r#""a""#),
            (r#"{"type":"array","items":"int"}"#, "[1,2]", "[null]"),
            (r#"{"type":"map","values":"int"}"#, r#"{"a":1}"#, "[]"),
            (
                r#"{"type":"record","name":"N","fields":[{"name":"x","type":"int"},{"name":"y","type":"int","default":3}]}"#,
                r#"{"x":1}"#,
                r#"{"y":1}"#,
            ),
        ] {
            assert!(Schema::parse(&with(ty, good), &[]).is_ok(), "{ty} {good}");
            assert!(refusal(&with(ty, bad)).contains("default"), "{ty} {bad}");
        }
    }
}
