//! The plan as the pipeline sees it: bytes in, the fields that are used out.

use std::sync::Arc;

use bumpalo::Bump;

use super::input::Input;
use super::reader::Fields;
use super::resolve::Resolver;
use crate::codec::schema::{Node, check_uses, shape};
use crate::codec::{Error, Flaw, Schema};
use crate::record::{Shape, Uses, Value};

/// How records of one writer's schema become the used fields of the reader's.
#[derive(Clone, Debug)]
pub struct Plan {
    shape: Arc<Shape>,
    fields: Fields,
}

impl Plan {
    /// Compiles a plan. Every field is resolved, also those that are not used: what fits does not depend on
    /// what is used.
    ///
    /// Beyond the specification, a meaning never changes in silence: times and timestamps are converted
    /// from the writer's unit, decimals of another scale and other logical types are refused, where a
    /// reader by the letter would reinterpret the number.
    ///
    /// # Errors
    /// `Incompatible`, with the field and why: the reader lacks a default for what the writer does not
    /// send, types do not resolve, names do not match, or `uses` names a field that the reader does not
    /// have. A union branch or enum symbol that the reader lacks is an error of the record that has it.
    pub fn compile(writer: &Schema, reader: &Schema, uses: &Uses) -> Result<Self, Error> {
        check_uses(reader.record(), uses)?;
        Ok(Self {
            shape: Arc::new(shape(reader.record(), uses)),
            fields: Resolver::new(false).record(writer.record(), reader.record(), uses)?,
        })
    }

    /// The used fields in the order of the reader's schema: a field's place is its slot.
    pub fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Decodes the body of a record (what stands behind the frame); the values are by slot of
    /// [`shape`](Self::shape). Text and bytes stay in the body, symbols and defaults in the plan, lists and
    /// records are made in `bump`.
    ///
    /// # Errors
    /// `Data`, with field, byte and flaw: whatever is not exactly one record of the writer's schema, or
    /// holds more than 300,000 values. In fields that are not used, only the encoding is checked: text need
    /// not be UTF-8, and UUIDs, decimals, dates and times may be out of range.
    #[inline]
    pub fn decode<'a>(&'a self, body: &'a [u8], bump: &'a Bump) -> Result<&'a [Value<'a>], Error> {
        let mut input = Input::new(body, bump);
        let done = match self.fields.read(&mut input) {
            Ok(values) if input.left() == 0 => return Ok(values),
            Ok(_) => input.stop(Flaw::Trailing),
            Err(stop) => Err(stop),
        };
        done.map_err(|stop| stop.into_error(body.len()))
    }
}

/// Gives the value of a default, which lies there as bytes. `None`: it is no value of its own type.
pub(in crate::codec) fn with_default<T>(
    node: &Node,
    bytes: &[u8],
    give: impl FnOnce(&Value<'_>) -> T,
) -> Option<T> {
    let reader = Resolver::new(false).node(node, node, &Uses::All).ok()?;
    let bump = Bump::new();
    let value = reader.read(&mut Input::new(bytes, &bump)).ok()?;
    Some(give(&value))
}

/// Can every record of `writer` be read as `reader`? A union branch or enum symbol that the reader lacks
/// counts as no.
///
/// # Errors
/// `Incompatible`, with the first field that does not fit and why.
pub fn compatible(writer: &Schema, reader: &Schema) -> Result<(), Error> {
    let mut resolver = Resolver::new(true);
    resolver.record(writer.record(), reader.record(), &Uses::All)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::codec::Encoder;

    fn schema(fields: &str) -> Schema {
        Schema::parse(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#), &[])
            .unwrap()
    }

    fn plan(writer: &str, reader: &str) -> Result<Plan, Error> {
        Plan::compile(&schema(writer), &schema(reader), &Uses::All)
    }

    /// What the reader sees of a body, printed; or the error's code.
    fn read(writer: &str, reader: &str, body: &[u8]) -> Result<String, String> {
        let plan = plan(writer, reader).map_err(|e| e.to_string())?;
        let bump = Bump::new();
        plan.decode(body, &bump).map(|v| format!("{v:?}")).map_err(|e| e.code().to_owned())
    }

    fn ok(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }

    fn code(text: &str) -> Result<String, String> {
        Err(text.to_owned())
    }

    const A_INT: &str = r#"{"name":"a","type":"int"}"#;
    const B_STRING: &str = r#"{"name":"b","type":"string"}"#;

    #[test]
    fn a_value_is_as_small_as_a_decimal_and_its_kind() {
        assert_eq!(size_of::<Value<'_>>(), 24);
        assert_eq!(size_of::<Result<Value<'_>, Box<u8>>>(), 24);
    }

    #[test]
    fn fields_are_found_by_name_in_any_order_and_missing_ones_have_their_default() {
        let writer = format!("{A_INT},{B_STRING}");
        let reader = format!(
            r#"{B_STRING},{{"name":"c","type":{{"type":"array","items":"int"}},"default":[1,2]}},{A_INT}"#
        );
        assert_eq!(
            read(&writer, &reader, &[4, 4, b'h', b'i']),
            ok(r#"[Str("hi"), List([Int(1), Int(2)]), Int(2)]"#)
        );
        assert!(
            read(&writer, r#"{"name":"d","type":"int"}"#, &[]).unwrap_err().contains("no default")
        );
    }

    #[test]
    fn a_field_goes_by_its_alias_unless_its_own_name_is_there() {
        let reader = r#"{"name":"z","type":"int","aliases":["a"]}"#;
        assert_eq!(read(A_INT, reader, &[4]), ok("[Int(2)]"));
        let both = r#"{"name":"a","type":"int"},{"name":"z","type":"int"}"#;
        assert_eq!(read(both, reader, &[4, 6]), ok("[Int(3)]"));
    }

    #[test]
    fn record_names_match_without_namespace_or_by_alias() {
        let named = |name: &str, aliases: &str| {
            let text = format!(r#"{{"type":"record","name":"{name}"{aliases},"fields":[]}}"#);
            Schema::parse(&text, &[]).unwrap()
        };
        let fits = |w: &Schema, r: &Schema| Plan::compile(w, r, &Uses::All).is_ok();
        assert!(fits(&named("a.R", ""), &named("b.R", "")));
        assert!(!fits(&named("a.R", ""), &named("a.S", "")));
        assert!(fits(&named("a.R", ""), &named("a.S", r#","aliases":["R"]"#)));
    }

    #[test]
    fn numbers_are_promoted_and_text_and_bytes_are_exchanged() {
        let f = |ty: &str| format!(r#"{{"name":"f","type":"{ty}"}}"#);
        assert_eq!(read(&f("int"), &f("long"), &[4]), ok("[Int(2)]"));
        assert_eq!(read(&f("int"), &f("float"), &[4]), ok("[Double(2.0)]"));
        assert_eq!(read(&f("long"), &f("double"), &[4]), ok("[Double(2.0)]"));
        // 2^24 + 1 as a float.
        assert_eq!(
            read(&f("long"), &f("float"), &[0x82, 0x80, 0x80, 0x10]),
            ok("[Double(16777216.0)]")
        );
        assert_eq!(read(&f("float"), &f("double"), &1.5f32.to_le_bytes()), ok("[Double(1.5)]"));
        assert_eq!(read(&f("string"), &f("bytes"), b"\x02a"), ok("[Bytes([97])]"));
        assert_eq!(read(&f("bytes"), &f("string"), b"\x02a"), ok(r#"[Str("a")]"#));
        assert_eq!(read(&f("bytes"), &f("string"), b"\x02\xff"), code("bad_utf8"));
        // An int stays an int of the writer.
        let wide = [0x80, 0x80, 0x80, 0x80, 0x20];
        assert_eq!(read(&f("int"), &f("long"), &wide), code("int_range"));
        assert_eq!(read(&f("int"), &f("double"), &wide), code("int_range"));
        for (w, r) in [
            ("long", "int"),
            ("double", "float"),
            ("string", "int"),
            ("boolean", "int"),
            ("null", "int"),
        ] {
            let why = read(&f(w), &f(r), &[]).unwrap_err();
            assert!(why.contains("at f:") && why.contains("cannot be read"), "{why}");
        }
    }

    #[test]
    fn a_unit_of_time_is_converted_and_a_meaning_never_changes_in_silence() {
        let f = |base: &str, logical: &str| {
            format!(
                r#"{{"name":"f","type":{{"type":"{base}","logicalType":"{logical}","precision":9,"scale":2}}}}"#
            )
        };
        let millis = f("long", "timestamp-millis");
        assert_eq!(read(&millis, &f("long", "timestamp-micros"), &[4]), ok("[Timestamp(2000)]"));
        assert_eq!(
            read(&f("long", "timestamp-nanos"), &f("long", "timestamp-micros"), &[3]),
            ok("[Timestamp(-1)]")
        );
        assert_eq!(
            read(&f("int", "time-millis"), &f("long", "time-micros"), &[4]),
            ok("[Time(2000)]")
        );
        assert_eq!(read(&millis, r#"{"name":"f","type":"long"}"#, &[4]), ok("[Int(2)]"));
        assert_eq!(read(r#"{"name":"f","type":"long"}"#, &millis, &[4]), ok("[Timestamp(2000)]"));
        assert_eq!(
            read(A_INT, &f("long", "timestamp-millis").replace("\"f\"", "\"a\""), &[4]),
            ok("[Timestamp(2000)]")
        );
        for (w, r) in [
            (f("int", "date"), millis.clone()),
            (millis.clone(), f("long", "local-timestamp-millis")),
            (f("bytes", "decimal"), f("bytes", "decimal").replace("2}", "3}")),
            (f("bytes", "decimal"), r#"{"name":"f","type":"string"}"#.to_owned()),
            (f("int", "date"), r#"{"name":"f","type":"double"}"#.to_owned()),
        ] {
            assert!(plan(&w, &r).is_err(), "{w} {r}");
        }
    }

    #[test]
    fn logical_types_out_of_range_are_refused_when_read() {
        let f = |base: &str, logical: &str| {
            format!(r#"{{"name":"f","type":{{"type":"{base}","logicalType":"{logical}"}}}}"#)
        };
        let long = |v: i64| {
            let mut bytes = Vec::new();
            crate::codec::schema::put_long(v, &mut bytes);
            bytes
        };
        for (base, logical, good, bad, name) in [
            ("int", "date", 2_932_896, 2_932_897, "bad_date"),
            ("int", "date", -719_162, -719_163, "bad_date"),
            ("int", "time-millis", 86_399_999, 86_400_000, "bad_time"),
            ("long", "time-micros", 0, -1, "bad_time"),
            ("long", "timestamp-millis", 253_402_300_799_999, 253_402_300_800_000, "bad_timestamp"),
            (
                "long",
                "timestamp-micros",
                -62_135_596_800_000_000,
                -62_135_596_800_000_001,
                "bad_timestamp",
            ),
            ("long", "timestamp-millis", 0, i64::MAX, "bad_timestamp"),
        ] {
            let f = f(base, logical);
            assert!(read(&f, &f, &long(good)).is_ok(), "{logical} {good}");
            assert_eq!(read(&f, &f, &long(bad)), code(name), "{logical} {bad}");
            // Skipped, it is refused too.
            assert_eq!(read(&f, "", &long(bad)), code(name), "{logical} {bad}");
            assert_eq!(read(&f, "", &long(good)), ok("[]"), "{logical} {good}");
        }
        let uuid = f("string", "uuid");
        assert_eq!(
            read(&uuid, &uuid, b"\x48 190a1b2-0000-7000-8000-000000000001"),
            code("bad_uuid")
        );
        assert_eq!(
            read(&uuid, &uuid, b"\x40\x30190a1b20000700080000000000000010"),
            code("bad_uuid")
        );
    }

    #[test]
    fn a_union_branch_or_symbol_that_the_reader_lacks_is_the_records_error() {
        let w = r#"{"name":"f","type":["null","int","string"]}"#;
        let r = r#"{"name":"f","type":["null","long"]}"#;
        assert_eq!(read(w, r, &[0]), ok("[Null]"));
        assert_eq!(read(w, r, &[2, 4]), ok("[Int(2)]"));
        assert_eq!(read(w, r, &[4, 2, b'a']), code("unknown_branch"));
        assert_eq!(read(w, r, &[6]), code("bad_union_index"));
        assert_eq!(read(w, r#"{"name":"f","type":"double"}"#, &[2, 4]), ok("[Double(2.0)]"));
        assert_eq!(read(r#"{"name":"f","type":"int"}"#, r, &[4]), ok("[Int(2)]"));
        assert!(plan(w, r#"{"name":"f","type":"boolean"}"#).is_err());
        assert!(compatible(&schema(w), &schema(r)).is_err());
        assert!(
            compatible(&schema(r), &schema(r#"{"name":"f","type":["double","null"]}"#)).is_ok()
        );

        let e = |symbols: &str, rest: &str| {
            format!(
                r#"{{"name":"f","type":{{"type":"enum","name":"E","symbols":[{symbols}]{rest}}}}}"#
            )
        };
        let w = e(r#""A","B","C""#, "");
        assert_eq!(read(&w, &e(r#""C","A""#, ""), &[4]), ok(r#"[Str("C")]"#));
        assert_eq!(read(&w, &e(r#""C","A""#, ""), &[2]), code("unknown_symbol"));
        assert_eq!(read(&w, &e(r#""C","A""#, r#","default":"A""#), &[2]), ok(r#"[Str("A")]"#));
        assert_eq!(read(&w, &w, &[6]), code("bad_enum_index"));
        assert_eq!(read(&w, &w, &[1]), code("bad_enum_index"));
    }

    #[test]
    fn the_same_type_goes_before_a_promotion() {
        let w = r#"{"name":"f","type":"long"}"#;
        assert_eq!(read(w, r#"{"name":"f","type":["double","long"]}"#, &[4]), ok("[Int(2)]"));
        assert_eq!(read(w, r#"{"name":"f","type":["float","double"]}"#, &[4]), ok("[Double(2.0)]"));
    }

    #[test]
    fn blocks_may_be_many_and_give_their_size_which_must_be_true() {
        let f = r#"{"name":"f","type":{"type":"array","items":"int"}}"#;
        let list = ok("[List([Int(1), Int(2), Int(3)])]");
        assert_eq!(read(f, f, &[6, 2, 4, 6, 0]), list);
        assert_eq!(read(f, f, &[2, 2, 4, 4, 6, 0]), list);
        assert_eq!(read(f, f, &[3, 4, 2, 4, 2, 6, 0]), list);
        for (body, name) in [
            (&[3u8, 6, 2, 4, 0, 0][..], "bad_block_size"),
            (&[3, 2, 2, 4, 0][..], "bad_block_size"),
            (&[3, 3, 2, 4, 0][..], "bad_length"),
            (&[3, 40, 2, 4, 0][..], "bad_block_size"),
            (&[8, 2, 4][..], "bad_block_count"),
            (&[6, 2, 4, 6][..], "truncated"),
            (&[6, 2, 4, 6, 0, 0][..], "trailing_bytes"),
        ] {
            assert_eq!(read(f, f, body), code(name), "{body:?}");
            assert_eq!(read(f, "", body), code(name), "skipped {body:?}");
        }
        let m = r#"{"name":"f","type":{"type":"map","values":"int"}}"#;
        assert_eq!(
            read(m, m, &[2, 2, b'a', 2, 1, 6, 2, b'b', 4, 0]),
            ok(r#"[Map([("a", Int(1)), ("b", Int(2))])]"#)
        );
    }

    #[test]
    fn a_flaw_is_told_with_field_and_place() {
        let f = r#"{"name":"lines","type":{"type":"array","items":{"type":"record","name":"L","fields":[
            {"name":"n","type":"int"},{"name":"sku","type":"string"}]}}}"#;
        let plan = plan(f, f).unwrap();
        let bump = Bump::new();
        let error = plan.decode(&[2, 2, 2, 0xff, 0], &bump).unwrap_err();
        assert_eq!(error.to_string(), "byte 4 of the body, field lines.sku: text is not UTF-8");
    }

    #[test]
    fn fields_that_are_not_used_are_skipped_but_resolved() {
        let all = schema(&format!(
            r#"{A_INT},{B_STRING},{{"name":"c","type":["null","boolean"]}},{{"name":"d","type":{{"type":"map","values":"bytes"}}}},{{"name":"e","type":"long"}}"#
        ));
        let mut uses = Uses::nothing();
        uses.add(&["e"]);
        uses.add(&["a"]);
        let plan = Plan::compile(&all, &all, &uses).unwrap();
        let bump = Bump::new();
        let body = [2, 2, 0xff, 2, 1, 2, 2, b'k', 2, 7, 0, 8];
        assert_eq!(plan.decode(&body, &bump), Ok(&[Value::Int(1), Value::Int(4)][..]));
        let mut bad = body;
        bad[4] = 2;
        assert_eq!(plan.decode(&bad, &bump).unwrap_err().code(), "bad_bool");
        let other = schema(r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#);
        uses = Uses::nothing();
        uses.add(&["a"]);
        assert!(Plan::compile(&all, &other, &uses).is_err());
    }

    #[test]
    fn what_one_record_may_hold_is_bounded() {
        let f = r#"{"name":"f","type":{"type":"array","items":"boolean"}}"#;
        let plan = plan(f, f).unwrap();
        let body = |items: usize| {
            let mut bytes = Vec::new();
            crate::codec::schema::put_count(items, &mut bytes);
            bytes.resize(bytes.len() + items, 1);
            bytes.push(0);
            bytes
        };
        let bump = Bump::new();
        assert!(plan.decode(&body(299_999), &bump).is_ok());
        assert_eq!(plan.decode(&body(300_000), &bump).unwrap_err().code(), "too_many_values");
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let f = r#"{"name":"id","type":{"type":"string","logicalType":"uuid"}},
            {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":15,"scale":2}},
            {"name":"state","type":{"type":"enum","name":"E","symbols":["OPEN","DONE"]}},
            {"name":"note","type":["null","string"],"default":null},
            {"name":"lines","type":{"type":"array","items":{"type":"record","name":"L","fields":[
                {"name":"n","type":"int"},{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}}}"#;
        let schema = schema(f);
        let encoder = Encoder::compile(&schema, &schema.shape()).unwrap();
        let line = [Value::Int(-3), Value::Timestamp(1_000)];
        let lines = [Value::Record(&line), Value::Record(&line)];
        let values = [
            Value::Uuid(uuid::Uuid::from_u128(7)),
            Value::Decimal(Decimal::new(-12_345, 2)),
            Value::Str("DONE"),
            Value::Null,
            Value::List(&lines),
        ];
        let mut body = Vec::new();
        encoder.encode(&values, &mut body).unwrap();
        let plan = Plan::compile(&schema, &schema, &Uses::All).unwrap();
        let bump = Bump::new();
        assert_eq!(plan.decode(&body, &bump), Ok(&values[..]));
        for end in 0..body.len() {
            assert!(plan.decode(&body[..end], &bump).is_err(), "cut at {end}");
        }
        body.push(0);
        assert_eq!(plan.decode(&body, &bump).unwrap_err().code(), "trailing_bytes");
    }
}
