//! What is done to a schema's JSON before apache-avro sees it.
//!
//! Defaults are set aside: it would resolve them by a walk that can double with each level. What it passes
//! over in silence is refused: fields that are no objects, which would be missing from the layout, and
//! decimals that do not say their digits, which would be plain bytes.

use serde_json::{Map, Value as Json};

/// Where a field's default waits while apache-avro parses.
pub(super) const SET_ASIDE: &str = "ordermill.default";

/// Sets the defaults of all fields aside and refuses what apache-avro would pass over in silence.
pub(super) fn prepare(json: &mut Json) -> Result<(), String> {
    match json {
        Json::Array(branches) => branches.iter_mut().try_for_each(prepare),
        Json::Object(object) => {
            if object.get("logicalType").and_then(Json::as_str) == Some("decimal") {
                decimal(object)?;
            }
            match object.get_mut("fields") {
                Some(Json::Array(fields)) => fields.iter_mut().try_for_each(field)?,
                Some(_) => return Err("\"fields\" is not a list".into()),
                None => {}
            }
            for key in ["type", "items", "values"] {
                object.get_mut(key).map_or(Ok(()), prepare)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn field(json: &mut Json) -> Result<(), String> {
    let Json::Object(object) = json else {
        return Err("an item of \"fields\" is not an object".into());
    };
    if let Some(default) = object.remove("default") {
        object.insert(SET_ASIDE.into(), default);
    }
    object.get_mut("type").map_or(Ok(()), prepare)
}

/// A decimal that does not say its digits properly: apache-avro would read plain bytes instead.
fn decimal(object: &Map<String, Json>) -> Result<(), String> {
    let mut base = object.get("type");
    while let Some(Json::Object(inner)) = base {
        base = inner.get("type");
    }
    if !matches!(base.and_then(Json::as_str), Some("bytes" | "fixed")) {
        return Err("a decimal must be bytes or fixed".into());
    }
    let precision = object.get("precision").and_then(Json::as_u64);
    let scale = object.get("scale").map_or(Some(0), Json::as_u64);
    match (precision, scale) {
        (Some(1..=DIGITS_MAX), Some(scale)) if Some(scale) <= precision => Ok(()),
        _ => Err(format!(
            "a decimal needs a precision from 1 to {DIGITS_MAX} and a scale from 0 to its precision"
        )),
    }
}

/// The largest precision that is understood; values of more than 28 digits are refused when they come.
const DIGITS_MAX: u64 = 1_000;
