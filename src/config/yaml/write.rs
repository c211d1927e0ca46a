//! JSON data as YAML that reads the same again: for output, never for files that a person keeps.

use std::fmt::Write as _;

use serde_json::Value as Json;

/// The value as block YAML, ending with a line break.
pub fn write(value: &Json) -> String {
    let mut out = String::new();
    block(&mut out, value, 0);
    out
}

/// Writes a value that begins on a line of its own.
fn block(out: &mut String, value: &Json, indent: usize) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (name, value) in map {
                let _ = write!(out, "{:indent$}{}:", "", scalar(name));
                after_name(out, value, indent);
            }
        }
        Json::Array(list) if !list.is_empty() => {
            for value in list {
                let _ = write!(out, "{:indent$}-", "");
                after_name(out, value, indent);
            }
        }
        flat => {
            let _ = writeln!(out, "{:indent$}{}", "", flow(flat));
        }
    }
}

fn after_name(out: &mut String, value: &Json, indent: usize) {
    let nested = match value {
        Json::Object(map) => !map.is_empty(),
        Json::Array(list) => !list.is_empty(),
        _ => false,
    };
    if nested {
        out.push('\n');
        block(out, value, indent + 2);
    } else {
        let _ = writeln!(out, " {}", flow(value));
    }
}

fn flow(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Text without quotes where nothing else could be read from it, else in JSON's quotes, which are YAML's.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-:+@".contains(c))
        && !text.ends_with(':')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { Json::String(text.to_owned()).to_string() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::json;

    use super::super::{BYTES_MAX, read};
    use super::*;

    #[test]
    fn maps_and_lists_are_written_as_blocks() {
        let value =
            json!({ "a": { "b": [1, true, "no"] }, "c": {}, "d": "x: y", "e": "127.0.0.1:9400" });
        let expected = "a:\n  b:\n    - 1\n    - true\n    - \"no\"\nc: {}\nd: \"x: y\"\ne: \"127.0.0.1:9400\"\n";
        assert_eq!(write(&value), expected);
    }

    fn value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            "[ -~éü\n\t]{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[ -~]{1,6}", inner, 0..4)
                    .prop_map(|map| map.into_iter().collect::<Json>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(value in value()) {
            let text = write(&value);
            let read = read(Path::new("f"), text.as_bytes(), BYTES_MAX);
            prop_assert_eq!(read.map(|node| node.to_json()).map_err(|e| format!("{e}\n{text}")), Ok(value));
        }
    }
}
