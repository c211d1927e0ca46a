//! A field's default as bytes: what the writer would have sent. So a default is read by the same code as
//! data, and written by copying.

use serde_json::Value as Json;

use super::node::{Kind, Node};

/// The longest default, encoded, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// Appends the encoding of a default, as the specification writes defaults in JSON.
pub(super) fn encode(node: &Node, json: &Json, out: &mut Vec<u8>) -> Result<(), String> {
    if out.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let wrong = || format!("{} is no {}", brief(json), node.word());
    match &node.kind {
        Kind::Null => json.is_null().then_some(()).ok_or_else(wrong),
        Kind::Boolean => {
            out.push(u8::from(json.as_bool().ok_or_else(wrong)?));
            Ok(())
        }
        Kind::Int(_) => {
            let int = json.as_i64().and_then(|v| i32::try_from(v).ok());
            put_long(i64::from(int.ok_or_else(wrong)?), out);
            Ok(())
        }
        Kind::Long(_) => {
            put_long(json.as_i64().ok_or_else(wrong)?, out);
            Ok(())
        }
        Kind::Float => {
            #[expect(clippy::cast_possible_truncation, reason = "a float keeps what a float can")]
            let float = json.as_f64().ok_or_else(wrong)? as f32;
            out.extend_from_slice(&float.to_le_bytes());
            Ok(())
        }
        Kind::Double => {
            out.extend_from_slice(&json.as_f64().ok_or_else(wrong)?.to_le_bytes());
            Ok(())
        }
        Kind::String(_) => {
            put_bytes(json.as_str().ok_or_else(wrong)?.as_bytes(), out);
            Ok(())
        }
        Kind::Bytes(_) => {
            put_bytes(&latin1(json).ok_or_else(wrong)?, out);
            Ok(())
        }
        Kind::Fixed(fixed) => {
            let bytes = latin1(json).filter(|b| b.len() == fixed.size);
            out.extend_from_slice(&bytes.ok_or_else(wrong)?);
            Ok(())
        }
        Kind::Enum(of) => {
            let index = of.symbols.iter().position(|s| Some(s.as_str()) == json.as_str());
            put_count(index.ok_or_else(wrong)?, out);
            Ok(())
        }
        Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(_) => {
            encode_nested(node, json, out)
        }
    }
}

fn encode_nested(node: &Node, json: &Json, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("{} is no {}", brief(json), node.word());
    match &node.kind {
        Kind::Array(item) => {
            let items = json.as_array().ok_or_else(wrong)?;
            if !items.is_empty() {
                put_count(items.len(), out);
                items.iter().try_for_each(|value| encode(item, value, out))?;
            }
            out.push(0);
            Ok(())
        }
        Kind::Map(item) => {
            let entries = json.as_object().ok_or_else(wrong)?;
            if !entries.is_empty() {
                put_count(entries.len(), out);
                for (key, value) in entries {
                    put_bytes(key.as_bytes(), out);
                    encode(item, value, out)?;
                }
            }
            out.push(0);
            Ok(())
        }
        // The first branch that the default is of; before 1.12 of the specification it had to be branch 0.
        Kind::Union(branches) => {
            for (index, branch) in branches.iter().enumerate() {
                let start = out.len();
                put_count(index, out);
                match encode(branch, json, out) {
                    Ok(()) => return Ok(()),
                    Err(_) => out.truncate(start),
                }
            }
            Err(format!("{} fits no branch of the union", brief(json)))
        }
        Kind::Record(record) => {
            let entries = json.as_object().ok_or_else(wrong)?;
            for field in &record.fields {
                match (entries.get(&field.name), &field.default) {
                    (Some(value), _) => encode(&field.node, value, out)
                        .map_err(|why| format!("field {}: {why}", field.name))?,
                    (None, Some(default)) => out.extend_from_slice(default),
                    (None, None) => {
                        return Err(format!("field {} is missing and has no default", field.name));
                    }
                }
                if out.len() > BYTES_MAX {
                    return Err(format!("it is longer than {BYTES_MAX} bytes"));
                }
            }
            Ok(())
        }
        _ => Err(wrong()),
    }
}

/// Defaults of bytes and fixed are text whose code points 0 to 255 are the bytes.
fn latin1(json: &Json) -> Option<Vec<u8>> {
    let text = json.as_str()?;
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

fn brief(json: &Json) -> String {
    let text = json.to_string();
    if text.len() > 40 { "what it says".to_owned() } else { text }
}

/// Appends a long as Avro writes it: zigzag, 7 bits a byte, least first.
pub(in crate::codec) fn put_long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a length, count or index.
pub(in crate::codec) fn put_count(count: usize, out: &mut Vec<u8>) {
    // No slice is longer than i64::MAX.
    put_long(i64::try_from(count).unwrap_or(i64::MAX), out);
}

/// Appends bytes with their length in front.
pub(in crate::codec) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_count(bytes.len(), out);
    out.extend_from_slice(bytes);
}
