//! The defaults of a schema, put where an event leaves fields out.

use serde_json::{Map, Value as Json};

use super::write_value;
use crate::codec::Schema;
use crate::codec::decode::with_default;
use crate::codec::schema::{Field, Kind, Node, Record, ty};
use crate::record::Uses;

/// Fills in the fields that the event leaves out and the schema has a default for, also in nested records.
/// What is no event of the schema stays as it is, for [`read`](super::read) to refuse.
pub fn fill(schema: &Schema, event: &mut Json) {
    if let Json::Object(object) = event {
        fill_record(schema.record(), object);
    }
}

fn fill_record(record: &Record, object: &mut Map<String, Json>) {
    for field in &record.fields {
        match object.get_mut(&field.name) {
            Some(json) => fill_node(&field.node, json),
            None => {
                if let Some(json) = default(field) {
                    object.insert(field.name.clone(), json);
                }
            }
        }
    }
}

fn fill_node(node: &Node, json: &mut Json) {
    match (&node.kind, json) {
        (Kind::Record(record), Json::Object(object)) => fill_record(record, object),
        (Kind::Array(item), Json::Array(values)) => {
            values.iter_mut().for_each(|json| fill_node(item, json));
        }
        (Kind::Map(item), Json::Object(entries)) => {
            entries.values_mut().for_each(|json| fill_node(item, json));
        }
        // An object is of the one branch that objects can be of; of several, nothing is guessed.
        (Kind::Union(branches), json) => {
            let takes = |node: &&Node| match json {
                Json::Object(_) => matches!(node.kind, Kind::Record(_) | Kind::Map(_)),
                Json::Array(_) => matches!(node.kind, Kind::Array(_)),
                _ => false,
            };
            let mut able = branches.iter().filter(takes);
            if let (Some(only), None) = (able.next(), able.next()) {
                fill_node(only, json);
            }
        }
        _ => {}
    }
}

/// A field's default as an event would say it.
fn default(field: &Field) -> Option<Json> {
    let bytes = field.default.as_ref()?;
    with_default(&field.node, bytes, |value| write_value(&ty(&field.node, &Uses::All), value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_event_leaves_out_is_the_schemas_default() {
        let schema = Schema::parse(
            r#"{"type":"record","name":"R","fields":[
                {"name":"a","type":"int"},
                {"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0001"},
                {"name":"on","type":{"type":"int","logicalType":"date"},"default":0},
                {"name":"note","type":["string","null"],"default":"none"},
                {"name":"line","type":["null",{"type":"record","name":"L","fields":[
                    {"name":"n","type":"int","default":7},{"name":"m","type":"int"}]}]},
                {"name":"lines","type":{"type":"array","items":"L"},"default":[]}]}"#,
            &[],
        )
        .unwrap();
        let mut event = json!({"line": {"m": 1}, "on": "2026-01-05", "lines": [{"n": 2}, {}]});
        fill(&schema, &mut event);
        assert_eq!(
            event,
            json!({"price": "0.01", "on": "2026-01-05", "note": "none", "line": {"n": 7, "m": 1},
                "lines": [{"n": 2}, {"n": 7}]})
        );
        let mut other = json!([1]);
        fill(&schema, &mut other);
        assert_eq!(other, json!([1]));
    }
}
