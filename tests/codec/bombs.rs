//! Small bodies and schemas that ask for much: each must end fast, with little memory.

use std::fs;
use std::time::Duration;

use bumpalo::Bump;
use ordermill::codec::{Plan, Schema};
use ordermill::record::Uses;

/// What a bomb may cost, in work.
const TIME_MAX: Duration = Duration::from_millis(50);
const BYTES_MAX: usize = 16 << 20;

/// What this thread has worked so far: what others do on the machine is not in it.
fn worked() -> Duration {
    let said = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(said.split(' ').next().unwrap().parse().unwrap())
}

fn record(field: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":{field}}}]}}"#)
}

fn long(value: i64) -> Vec<u8> {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// Refused, and cheaply, whether read or skipped.
fn refused(field: &str, body: &[u8]) {
    let schema = Schema::parse(&record(field), &[]).unwrap();
    for uses in [Uses::All, Uses::nothing()] {
        let plan = Plan::compile(&schema, &schema, &uses).unwrap();
        let bump = Bump::new();
        let start = worked();
        let result = plan.decode(body, &bump);
        let took = worked() - start;
        assert!(result.is_err(), "{field} {body:02x?}");
        assert!(took < TIME_MAX, "{field} took {took:?}");
        assert!(bump.allocated_bytes() < BYTES_MAX, "{field}: {} bytes", bump.allocated_bytes());
    }
}

fn nested(open: &str, levels: usize, inner: &str) -> String {
    format!("{}{inner}{}", open.repeat(levels), "}".repeat(levels))
}

#[test]
fn counts_beyond_the_bytes_cost_nothing() {
    for items in ["\"int\"", "\"string\"", "\"double\"", r#"["null","long"]"#] {
        for count in [900_000_000, i64::MAX, i64::MIN, -900_000_000, i64::MIN + 1] {
            for kind in [r#"{"type":"array","items":"#, r#"{"type":"map","values":"#] {
                let field = format!("{kind}{items}}}");
                refused(&field, &long(count));
                let mut sized = long(count);
                sized.extend(long(i64::MAX));
                refused(&field, &sized);
                sized.resize(1_000, 0);
                refused(&field, &sized);
            }
        }
    }
}

#[test]
fn lengths_beyond_the_bytes_cost_nothing() {
    for field in
        ["\"string\"", "\"bytes\"", r#"{"type":"bytes","logicalType":"decimal","precision":9}"#]
    {
        for len in [1, 900_000_000, i64::MAX, -1, i64::MIN] {
            refused(field, &long(len));
        }
    }
}

#[test]
fn nested_arrays_of_lying_counts_stop_at_the_first_lie() {
    let field = nested(r#"{"type":"array","items":"#, 60, "\"boolean\"");
    // Each level claims as many items as there are bytes left.
    for bytes in [42usize, 1_600, 60_000] {
        let mut body = Vec::new();
        while body.len() + 10 < bytes {
            body.extend(long(i64::try_from(bytes - body.len() - 10).unwrap()));
        }
        body.resize(bytes, 0x7f);
        refused(&field, &body);
    }
    refused(&field, &[2; 59]);
}

#[test]
fn a_huge_decimal_is_refused_and_a_padded_one_read() {
    let field = r#"{"type":"bytes","logicalType":"decimal","precision":28}"#;
    let mut body = long(1 << 20);
    body.resize(body.len() + (1 << 20), 0x7f);
    let schema = Schema::parse(&record(field), &[]).unwrap();
    let plan = Plan::compile(&schema, &schema, &Uses::All).unwrap();
    let bump = Bump::new();
    let start = worked();
    assert!(plan.decode(&body, &bump).is_err());
    let length = body.len();
    body[length - (1 << 20)..].fill(0);
    assert!(plan.decode(&body, &bump).is_ok());
    assert!(worked() - start < TIME_MAX);
}

#[test]
fn defaults_that_cost_no_bytes_are_counted_as_values() {
    // Every item of one byte is read as a record of a thousand defaults.
    let item = |fields: &str| {
        record(&format!(
            r#"{{"type":"array","items":{{"type":"record","name":"I","fields":[{{"name":"x","type":"boolean"}}{fields}]}}}}"#
        ))
    };
    let defaults: String =
        (0..1_000).map(|i| format!(r#",{{"name":"d{i}","type":"int","default":1}}"#)).collect();
    let writer = Schema::parse(&item(""), &[]).unwrap();
    let reader = Schema::parse(&item(&defaults), &[]).unwrap();
    let plan = Plan::compile(&writer, &reader, &Uses::All).unwrap();
    let mut body = long(100_000);
    body.resize(body.len() + 100_000, 1);
    body.push(0);
    let bump = Bump::new();
    assert_eq!(plan.decode(&body, &bump).unwrap_err().code(), "too_many_values");
    assert!(bump.allocated_bytes() < 2 * BYTES_MAX);
}

#[test]
fn schemas_that_nest_without_end_are_refused_fast() {
    let start = worked();
    for text in [
        "[".repeat(1 << 20),
        r#"{"type":"#.repeat(100_000),
        record(&nested(r#"{"type":"array","items":"#, 200, "\"int\"")),
        record(&nested(r#"{"type":"array","items":"#, 110, "\"int\"")),
        record(&nested(r#"{"type":"#, 120, "\"int\"")),
    ] {
        if let Ok(schema) = Schema::parse(&text, &[]) {
            // Types in types that add nothing are one level.
            assert!(schema.shape().fields.len() == 1);
        }
    }
    assert!(worked() - start < Duration::from_secs(5));
}

#[test]
fn references_that_name_each_other_in_a_long_row_do_not_nest() {
    // Each reference nests by itself, and all in a row would overflow the stack.
    let part = |n: usize| {
        let inner = if n == 0 { "\"int\"".to_owned() } else { format!("\"P{}\"", n - 1) };
        let deep = nested(r#"{"type":"array","items":"#, 30, &inner);
        format!(r#"{{"type":"record","name":"P{n}","fields":[{{"name":"f","type":{deep}}}]}}"#)
    };
    let parts: Vec<String> = (0..32).map(part).collect();
    let references: Vec<&str> = parts.iter().map(String::as_str).collect();
    assert!(Schema::parse(references[1], &references[..1]).is_ok());
    assert!(Schema::parse(references[31], &references[..31]).is_err());
}
