//! A table as JSON Schema, for editors. What is not built is left out.

use serde_json::{Map, Value as Json, json};

use super::{Fields, Is, Key, Need, Scalar, When};

/// The schema (draft 2020-12) of a whole file.
pub fn json_schema(title: &str, fields: &Fields) -> Json {
    let mut schema = of_fields(fields);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema
}

fn of_fields(fields: &Fields) -> Json {
    let mut schema = properties(fields.keys);
    let required: Vec<_> =
        built(fields.keys).filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    let alternatives: Vec<_> = built(fields.keys)
        .filter(|key| fields.one_of.contains(&key.name))
        .map(|key| json!({ "required": [key.name] }))
        .collect();
    if !alternatives.is_empty() {
        schema["oneOf"] = json!(alternatives);
    }
    schema
}

fn properties(keys: &[Key]) -> Json {
    let mut properties = Map::new();
    for key in built(keys) {
        let mut schema = of(&key.is);
        schema["description"] = json!(key.doc);
        if let Need::Default(text) = key.need {
            schema["default"] =
                text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number));
        }
        properties.insert(key.name.to_owned(), schema);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn built(keys: &[Key]) -> impl Iterator<Item = &Key> {
    keys.iter().filter(|key| key.when == When::Now)
}

fn of(is: &Is) -> Json {
    match is {
        Is::One(scalar) => of_scalar(*scalar),
        Is::Word(words) => {
            let words = words.iter().filter(|word| word.when == When::Now).map(|word| word.name);
            json!({ "enum": words.collect::<Vec<_>>() })
        }
        Is::List(of_item, min) => json!({ "type": "array", "items": of(of_item), "minItems": min }),
        Is::Fields(fields) => of_fields(fields),
        Is::Tag(keys) => {
            let mut schema = properties(keys);
            schema["minProperties"] = json!(1);
            schema["maxProperties"] = json!(1);
            schema
        }
        Is::Entries(name, value) => {
            let names = of_scalar(*name);
            json!({ "type": "object", "propertyNames": names, "additionalProperties": of(value), "minProperties": 1 })
        }
        Is::Either(alternatives) => {
            let built = alternatives.iter().filter(|is| !matches!(is, Is::NotYet(_)));
            json!({ "anyOf": built.map(of).collect::<Vec<_>>() })
        }
        Is::NotYet(_) => json!(false),
        Is::Secret => json!({
            "type": "object",
            "properties": { "env": { "type": "string" }, "file": { "type": "string" } },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        }),
        Is::Event | Is::Given(_) => json!({ "type": "object" }),
        Is::Any => json!({}),
    }
}

/// Editors read `007` as a number and `true` as a bool: where text is wanted they may stand as well.
fn of_scalar(scalar: Scalar) -> Json {
    match scalar {
        Scalar::Count(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Scalar::Name => json!({ "type": ["string", "number"], "pattern": "^[a-z0-9-]{1,63}$" }),
        Scalar::Duration(..) => json!({ "type": "string", "pattern": "^([0-9]+(d|h|m|s|ms))+$" }),
        Scalar::Size(..) => json!({ "type": "string", "pattern": "^[0-9]+([kMG]?B|[KMG]iB)$" }),
        Scalar::Ratio => json!({ "type": "string", "pattern": "^[0-9.]+%$" }),
        Scalar::Topic => {
            json!({ "type": ["string", "number"], "pattern": "^[a-zA-Z0-9._-]{1,249}$" })
        }
        Scalar::Field => json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" }),
        Scalar::Column => json!({ "type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_$]*$" }),
        // without a password: a secret does not belong into a file
        Scalar::Postgres => {
            json!({ "type": "string", "not": { "pattern": "^[a-z]+://[^/@]*:[^/]*@|password" } })
        }
        Scalar::Expression => json!({ "type": ["string", "number", "boolean", "null"] }),
        _ => json!({ "type": ["string", "number", "boolean"] }),
    }
}
