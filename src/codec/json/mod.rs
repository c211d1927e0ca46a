//! Events as people write them: JSON to values by a type, and values to JSON.
//!
//! | type | JSON |
//! |---|---|
//! | int | a whole number |
//! | double | a number, or `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | decimal | text such as `"12.50"`; read also from a number of at most 15 digits, which JSON keeps exactly |
//! | string, enum | text |
//! | bytes | text in base64, the standard alphabet with padding |
//! | uuid | text, 8-4-4-4-12 hexadecimal digits |
//! | date | `"2026-01-05"` |
//! | time | `"10:00:00"`, up to 6 digits of fraction |
//! | timestamp | `"2026-01-05T10:00:00Z"`, up to 6 digits of fraction; any offset is read, none means UTC |
//! | duration | ISO 8601, such as `"PT1H30M"` |
//! | list, map, record | an array, an object, an object |
//! | optional | the value or `null`; in a record it may be left out |
//! | union | the value, which the first type takes that can, or `{"type": value}` by the type's word or the record's name |

mod defaults;
mod read;
mod write;

pub use defaults::fill;
pub use read::{read, read_value};
pub use write::{write, write_value};

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use serde_json::json;

    use super::*;
    use crate::record::{Field, Shape, Type};

    fn round(ty: &Type, json: &serde_json::Value) -> Result<serde_json::Value, String> {
        let bump = Bump::new();
        read_value(ty, json, &bump).map(|v| write_value(ty, &v)).map_err(|e| e.to_string())
    }

    fn optional(ty: Type) -> Type {
        Type::Optional(Box::new(ty))
    }

    fn shape(name: &str, fields: &[(&str, Type)]) -> Shape {
        Shape {
            name: name.into(),
            fields: fields
                .iter()
                .map(|(name, ty)| Field { name: (*name).into(), ty: ty.clone() })
                .collect(),
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let decimal = Type::Decimal { precision: 15, scale: 2 };
        let symbols = Type::Enum(["A".to_owned(), "B".to_owned()].into());
        for (ty, json) in [
            (Type::Null, json!(null)),
            (Type::Bool, json!(true)),
            (Type::Int, json!(i64::MIN)),
            (Type::Double, json!(0.1)),
            (Type::Double, json!("NaN")),
            (Type::Double, json!("-Infinity")),
            (decimal.clone(), json!("-12.50")),
            (Type::Str, json!("ü")),
            (symbols, json!("B")),
            (Type::Bytes, json!("AP8=")),
            (Type::Uuid, json!("0190a1b2-0000-7000-8000-000000000001")),
            (Type::Date, json!("2026-01-05")),
            (Type::Date, json!("0001-01-01")),
            (Type::Time, json!("10:00:00.123456")),
            (Type::Timestamp, json!("2026-01-05T10:00:00Z")),
            (Type::Timestamp, json!("1969-12-31T23:59:59.999999Z")),
            (Type::Timestamp, json!("9999-12-31T23:59:59.999999Z")),
            (Type::Duration, json!("PT1H30M")),
            (Type::List(Box::new(Type::Int)), json!([1, 2])),
            (Type::Map(Box::new(Type::Int)), json!({"a": 1})),
            (optional(Type::Int), json!(null)),
            (optional(decimal), json!("1.00")),
            (Type::Union([Type::Int, Type::Str].into()), json!("x")),
        ] {
            assert_eq!(round(&ty, &json), Ok(json.clone()), "{ty}");
        }
    }

    #[test]
    fn other_spellings_are_read_too() {
        let decimal = Type::Decimal { precision: 15, scale: 2 };
        let either = Type::Union([Type::Int, Type::Timestamp, Type::Str].into());
        for (ty, json, reads) in [
            (decimal.clone(), json!(12.5), json!("12.50")),
            (decimal.clone(), json!(-3), json!("-3.00")),
            (decimal.clone(), json!("1e3"), json!("1000.00")),
            (decimal, json!("9999999999999.99"), json!("9999999999999.99")),
            (Type::Double, json!(3), json!(3.0)),
            (Type::Timestamp, json!("2026-01-05T11:30:00+01:30"), json!("2026-01-05T10:00:00Z")),
            (Type::Timestamp, json!("2026-01-05T10:00:00"), json!("2026-01-05T10:00:00Z")),
            (Type::Timestamp, json!("2026-01-05 10:00:00Z"), json!("2026-01-05T10:00:00Z")),
            (Type::Time, json!("10:00"), json!("10:00:00")),
            (optional(Type::Str), json!({"string": "x"}), json!("x")),
            (
                either.clone(),
                json!({"string": "2026-01-05T10:00:00Z"}),
                json!("2026-01-05T10:00:00Z"),
            ),
            (either, json!({"int": 4}), json!(4)),
        ] {
            assert_eq!(round(&ty, &json), Ok(reads), "{ty} {json}");
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_refused() {
        let decimal = Type::Decimal { precision: 4, scale: 2 };
        for (ty, json) in [
            (Type::Int, json!(1.0)),
            (Type::Int, json!("1")),
            (Type::Int, json!(u64::MAX)),
            (Type::Bool, json!(1)),
            (Type::Str, json!(null)),
            (Type::Double, json!("1")),
            (decimal.clone(), json!("100")),
            (decimal.clone(), json!("0.001")),
            (decimal.clone(), json!("")),
            (decimal, json!(0.123_456_789_012_345_6)),
            (Type::Bytes, json!("A")),
            (Type::Uuid, json!("0190a1b2000070008000000000000001")),
            (Type::Date, json!("2026-01-05T10:00:00Z")),
            (Type::Date, json!("2026-13-05")),
            (Type::Date, json!("-0001-01-05")),
            (Type::Time, json!("10:00:00.1234567")),
            (Type::Time, json!("24:00:00")),
            (Type::Time, json!("2026-01-05T10:00:00")),
            (Type::Timestamp, json!("2026-01-05")),
            (Type::Timestamp, json!(1_767_607_200_000i64)),
            (Type::Timestamp, json!("2026-01-05T10:00:00.1234567Z")),
            (Type::List(Box::new(Type::Int)), json!({})),
            (Type::Union([Type::Int, Type::Bool].into()), json!("x")),
        ] {
            assert!(round(&ty, &json).is_err(), "{ty} {json}");
        }
    }

    #[test]
    fn an_event_is_complete_and_its_errors_have_a_path() {
        let line = shape("shop.Line", &[("n", Type::Int), ("note", optional(Type::Str))]);
        let order = shape(
            "shop.Order",
            &[("quantity", Type::Int), ("lines", Type::List(Box::new(Type::Record(line.into()))))],
        );
        let bump = Bump::new();
        let good = json!({"quantity": 2, "lines": [{"n": 1}]});
        let values = read(&order, &good, &bump).unwrap();
        assert_eq!(
            write(&order, values),
            json!({"quantity": 2, "lines": [{"n": 1, "note": null}]})
        );
        for (event, error) in [
            (
                json!({"quantty": 2, "lines": []}),
                "event.quantty: there is no such field; is quantity meant?",
            ),
            (json!({"quantity": 2}), "event.lines: is missing; it must be list(record shop.Line)"),
            (
                json!({"quantity": 2, "lines": [{"n": 1}, {"n": "x"}]}),
                "event.lines[1].n: must be int, and is text",
            ),
            (json!([]), "event: must be an object with fields, and is an array"),
        ] {
            assert_eq!(read(&order, &event, &bump).unwrap_err().to_string(), error);
        }
    }
}
