//! May a schema follow another? The rules of the registry's levels, judged by apache-avro's checker.
//!
//! Two things are done before it is asked, because it compares trees as they are written: references are
//! put in, and every mention of a named type is replaced by its definition (so that it does not matter
//! which mention carries the definition). And its *partial* verdict, "some values can be read", is a no:
//! a registry promises every value. What it does not know is an alias of a record's own name: renaming a
//! record is refused even with one.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::error::CompatibilityError;
use apache_avro::schema::{Name, RecordField, RecordSchema, UnionSchema};
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use serde_json::{Value, json};

use super::Error;
use super::limits::{DEPTH_MAX, excerpt, within_depth};
use crate::port::SchemaText;

/// Types in a schema after every mention was replaced by its definition.
const NODES_MAX: usize = 20_000;
/// Types within types, after that.
const NESTING_MAX: usize = 128;

/// Which earlier versions a new one must get on with, and in which direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// None.
    None,
    /// The new one reads what the newest wrote.
    #[default]
    Backward,
    /// The new one reads what any wrote.
    BackwardTransitive,
    /// The newest reads what the new one writes.
    Forward,
    /// All read what the new one writes.
    ForwardTransitive,
    /// Both directions with the newest.
    Full,
    /// Both directions with all.
    FullTransitive,
}

impl Level {
    /// The level by its name in the registry's API.
    pub fn parse(name: &str) -> Option<Self> {
        [
            Level::None,
            Level::Backward,
            Level::BackwardTransitive,
            Level::Forward,
            Level::ForwardTransitive,
            Level::Full,
            Level::FullTransitive,
        ]
        .into_iter()
        .find(|level| level.as_str() == name)
    }

    /// Its name in the registry's API.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::None => "NONE",
            Level::Backward => "BACKWARD",
            Level::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Level::Forward => "FORWARD",
            Level::ForwardTransitive => "FORWARD_TRANSITIVE",
            Level::Full => "FULL",
            Level::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    fn is_transitive(self) -> bool {
        matches!(self, Level::BackwardTransitive | Level::ForwardTransitive | Level::FullTransitive)
    }

    fn new_reads_old(self) -> bool {
        matches!(
            self,
            Level::Backward | Level::BackwardTransitive | Level::Full | Level::FullTransitive
        )
    }

    fn old_reads_new(self) -> bool {
        matches!(
            self,
            Level::Forward | Level::ForwardTransitive | Level::Full | Level::FullTransitive
        )
    }
}

/// A schema, ready to be compared: parsed, and every mention of a named type replaced by its definition.
#[derive(Clone, Debug)]
pub struct Parsed(Schema);

impl Parsed {
    /// Parses a schema with its references.
    ///
    /// # Errors
    /// `Unusable`: not an Avro schema, or beyond the limits.
    pub fn parse(schema: &SchemaText) -> Result<Self, Error> {
        let main = json_of(&schema.text)?;
        let root = if schema.references.is_empty() {
            Schema::parse(&main).map_err(|why| Error::Unusable(excerpt(&why.to_string())))?
        } else {
            bundled(main, schema)?
        };
        let mut names = HashMap::new();
        definitions(&root, &mut names);
        // The schema itself is the bundle's last field.
        let main = match &root {
            Schema::Record(bundle) if !schema.references.is_empty() => {
                bundle.fields.last().map_or(&root, |field| &field.schema)
            }
            schema => schema,
        };
        let mut expansion = Expansion { names: &names, inside: Vec::new(), nodes: 0, nesting: 0 };
        Ok(Self(expansion.of(main)?))
    }
}

/// Checks a new schema against the earlier ones, oldest first, each with its version. Answers what is
/// wrong; nothing: it may follow.
pub fn check(level: Level, new: &Parsed, earlier: &[(u32, &Parsed)]) -> Vec<String> {
    let judged =
        if level.is_transitive() { earlier } else { &earlier[earlier.len().saturating_sub(1)..] };
    let mut wrong = Vec::new();
    for (version, old) in judged {
        if level.new_reads_old() {
            for why in unreadable(&old.0, &new.0) {
                wrong.push(format!(
                    "the new schema cannot read what version {version} wrote: {why}"
                ));
            }
        }
        if level.old_reads_new() {
            for why in unreadable(&new.0, &old.0) {
                wrong.push(format!(
                    "version {version} cannot read what the new schema writes: {why}"
                ));
            }
        }
    }
    wrong
}

fn json_of(text: &str) -> Result<Value, Error> {
    if !within_depth(text, DEPTH_MAX) {
        return Err(Error::Unusable(format!("it is nested deeper than {DEPTH_MAX} brackets")));
    }
    serde_json::from_str(text).map_err(|why| Error::Unusable(format!("it is no JSON: {why}")))
}

/// A record without a namespace whose fields are the references in their order, then the schema: one
/// ordinary parse then finds every name, also of types that lie within a referred schema.
fn bundled(main: Value, schema: &SchemaText) -> Result<Schema, Error> {
    let mut fields = Vec::new();
    for reference in &schema.references {
        fields.push(json_of(&reference.text)?);
    }
    fields.push(main);
    let fields: Vec<Value> = fields
        .into_iter()
        .enumerate()
        .map(|(i, of)| json!({"name": format!("of{i}"), "type": of}))
        .collect();
    let bundle = json!({"type": "record", "name": "BundleOfReferences", "fields": fields});
    Schema::parse(&bundle).map_err(|why| Error::Unusable(excerpt(&why.to_string())))
}

/// All named types that are defined within a schema.
fn definitions(schema: &Schema, names: &mut HashMap<Name, Schema>) {
    if !matches!(schema, Schema::Ref { .. })
        && let Some(name) = schema.name()
    {
        names.insert(name.clone(), schema.clone());
    }
    match schema {
        Schema::Record(record) => {
            for field in &record.fields {
                definitions(&field.schema, names);
            }
        }
        Schema::Array(array) => definitions(&array.items, names),
        Schema::Map(map) => definitions(&map.types, names),
        Schema::Union(union) => {
            for variant in union.variants() {
                definitions(variant, names);
            }
        }
        _ => {}
    }
}

/// Replaces mentions by definitions, within limits: a small schema can mean a huge tree.
struct Expansion<'a> {
    names: &'a HashMap<Name, Schema>,
    inside: Vec<Name>,
    nodes: usize,
    nesting: usize,
}

impl Expansion<'_> {
    fn of(&mut self, schema: &Schema) -> Result<Schema, Error> {
        self.nodes += 1;
        self.nesting += 1;
        if self.nodes > NODES_MAX || self.nesting > NESTING_MAX {
            return Err(Error::Unusable(format!(
                "written out it has more than {NODES_MAX} types, or {NESTING_MAX} within each other"
            )));
        }
        let expanded = match schema {
            // A recursive mention stays one: written out it would have no end.
            Schema::Ref { name } if self.inside.contains(name) => schema.clone(),
            Schema::Ref { name } => match self.names.get(name) {
                Some(definition) => self.of(definition)?,
                None => {
                    return Err(Error::Unusable(format!("it names {name}, which is nowhere")));
                }
            },
            Schema::Record(record) => self.record(record)?,
            Schema::Array(array) => {
                let mut array = array.clone();
                array.items = Box::new(self.of(&array.items)?);
                Schema::Array(array)
            }
            Schema::Map(map) => {
                let mut map = map.clone();
                map.types = Box::new(self.of(&map.types)?);
                Schema::Map(map)
            }
            Schema::Union(union) => {
                let variants = union.variants().iter();
                let variants: Result<Vec<_>, _> = variants.map(|of| self.of(of)).collect();
                let union = UnionSchema::new(variants?);
                Schema::Union(union.map_err(|why| Error::Unusable(excerpt(&why.to_string())))?)
            }
            simple => simple.clone(),
        };
        self.nesting -= 1;
        Ok(expanded)
    }

    fn record(&mut self, record: &RecordSchema) -> Result<Schema, Error> {
        self.inside.push(record.name.clone());
        let mut record = record.clone();
        for field in &mut record.fields {
            field.schema = self.of(&field.schema)?;
        }
        self.inside.pop();
        Ok(Schema::Record(record))
    }
}

/// What of the writer's values the reader cannot read; empty: nothing.
fn unreadable(writer: &Schema, reader: &Schema) -> Vec<String> {
    let mut wrong = Vec::new();
    look(writer, reader, "", &mut wrong);
    wrong
}

/// The checker says whether; to say where, it is asked again of the parts.
fn look(writer: &Schema, reader: &Schema, path: &str, wrong: &mut Vec<String>) {
    let verdict = SchemaCompatibility::can_read(writer, reader);
    if verdict == Ok(Compatibility::Full) {
        return;
    }
    let known = wrong.len();
    match (writer, reader) {
        (Schema::Record(writer), Schema::Record(reader))
            if writer.name.name() == reader.name.name() =>
        {
            for field in &reader.fields {
                let path = join(path, &field.name);
                match written_as(field, &writer.fields) {
                    Some(written) => look(&written.schema, &field.schema, &path, wrong),
                    None if field.default.is_none() => {
                        wrong.push(format!("{path}: not written, and the reader has no default"));
                    }
                    None => {}
                }
            }
        }
        (Schema::Array(writer), Schema::Array(reader)) => {
            look(&writer.items, &reader.items, &join(path, "[]"), wrong);
        }
        (Schema::Map(writer), Schema::Map(reader)) => {
            look(&writer.types, &reader.types, &join(path, "{}"), wrong);
        }
        _ => {}
    }
    if wrong.len() == known {
        let path = if path.is_empty() { "the whole" } else { path };
        wrong.push(format!("{path}: {}", words(&verdict)));
    }
}

fn written_as<'a>(field: &RecordField, written: &'a [RecordField]) -> Option<&'a RecordField> {
    std::iter::once(&field.name)
        .chain(&field.aliases)
        .find_map(|name| written.iter().find(|of| of.name == *name))
}

fn join(path: &str, next: &str) -> String {
    if path.is_empty() { next.to_owned() } else { format!("{path}.{next}") }
}

fn words(verdict: &Result<Compatibility, CompatibilityError>) -> String {
    // The checker prints whole schemas here: the first word of each says what it is.
    let kind = |printed: &str| -> String {
        let word = printed.chars().take_while(char::is_ascii_alphanumeric);
        word.collect::<String>().to_lowercase()
    };
    match verdict {
        Ok(_) => "an enum's symbol or a union's branch is missing in the reader".to_owned(),
        Err(CompatibilityError::WrongType { writer_schema_type, reader_schema_type }) => {
            format!("written as {}, read as {}", kind(writer_schema_type), kind(reader_schema_type))
        }
        Err(other) => {
            let text = other.to_string();
            let text = text.strip_prefix("Incompatible schemata! ").unwrap_or(&text);
            excerpt(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Reference;

    fn parsed(text: &str) -> Parsed {
        Parsed::parse(&schema(text)).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    fn schema(text: &str) -> SchemaText {
        SchemaText { text: text.to_owned(), references: Vec::new() }
    }

    fn record(fields: &str) -> Parsed {
        parsed(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#))
    }

    const A: &str = r#"{"name":"a","type":"int"}"#;
    const A_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#;
    const A_B_DEFAULT: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":0}"#;
    const A_LONG: &str = r#"{"name":"a","type":"long"}"#;

    #[test]
    fn each_level_judges_its_directions() {
        let levels = [Level::None, Level::Backward, Level::Forward, Level::Full];
        for (old, new, expected) in [
            (A, A, [true; 4]),
            (A, A_B, [true, false, true, false]),
            (A_B, A, [true, true, false, false]),
            (A, A_B_DEFAULT, [true; 4]),
            (A_B_DEFAULT, A, [true; 4]),
            (A, A_LONG, [true, true, false, false]),
        ] {
            for (level, expected) in levels.into_iter().zip(expected) {
                let wrong = check(level, &record(new), &[(1, &record(old))]);
                assert_eq!(wrong.is_empty(), expected, "{old} → {new} {level:?}: {wrong:?}");
            }
        }
    }

    #[test]
    fn only_transitive_levels_look_past_the_newest() {
        let (oldest, newest) = (record(A), record(A_B_DEFAULT));
        let earlier = [(1, &oldest), (2, &newest)];
        // What it reads of version 2 it cannot read of version 1.
        let new = record(A_B);
        assert!(check(Level::Backward, &new, &earlier).is_empty());
        let wrong = check(Level::BackwardTransitive, &new, &earlier);
        assert_eq!(
            wrong,
            [
                "the new schema cannot read what version 1 wrote: b: not written, and the reader has no default"
            ]
        );
    }

    #[test]
    fn a_partial_verdict_is_a_no_and_says_where() {
        let of = |symbols: &str| {
            record(&format!(
                r#"{{"name":"lines","type":{{"type":"array","items":{{"type":"record","name":"L","fields":[
                {{"name":"s","type":{{"type":"enum","name":"E","symbols":{symbols}}}}}]}}}}}}"#
            ))
        };
        let wrong = check(Level::Backward, &of(r#"["A"]"#), &[(1, &of(r#"["A","B"]"#))]);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("lines.[].s: an enum's symbol"), "{wrong:?}");
        let union = check(
            Level::Backward,
            &parsed(r#"["null","int"]"#),
            &[(1, &parsed(r#"["null","int","string"]"#))],
        );
        assert_eq!(union.len(), 1);
    }

    #[test]
    fn it_does_not_matter_which_mention_carries_the_definition() {
        let definition = r#"{"type":"record","name":"P","fields":[{"name":"x","type":"int"}]}"#;
        let one =
            record(&format!(r#"{{"name":"a","type":{definition}}},{{"name":"b","type":"P"}}"#));
        let other =
            record(&format!(r#"{{"name":"b","type":{definition}}},{{"name":"a","type":"P"}}"#));
        assert_eq!(check(Level::Full, &one, &[(1, &other)]), Vec::<String>::new());
        // And a difference inside is seen at every mention.
        let wider = definition.replace("\"int\"", "\"long\"");
        let changed =
            record(&format!(r#"{{"name":"b","type":{wider}}},{{"name":"a","type":"P"}}"#));
        let wrong = check(Level::Forward, &changed, &[(1, &one)]);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn types_within_a_reference_are_found_and_compared() {
        let with = |inner: &str| {
            let text = r#"{"type":"record","name":"C","namespace":"x","fields":[
                {"name":"p","type":"a.b.P"},{"name":"q","type":"a.b.Q"}]}"#;
            let reference = format!(
                r#"{{"type":"record","name":"P","namespace":"a.b","fields":[
                {{"name":"q","type":{{"type":"record","name":"Q","fields":[{{"name":"x","type":"{inner}"}}]}}}}]}}"#
            );
            Parsed::parse(&SchemaText {
                text: text.to_owned(),
                references: vec![Reference {
                    name: "a.b.P".to_owned(),
                    subject: "p".to_owned(),
                    version: 1,
                    text: reference,
                }],
            })
            .unwrap()
        };
        let (int, long) = (with("int"), with("long"));
        assert!(check(Level::Backward, &long, &[(1, &int)]).is_empty());
        let wrong = check(Level::Backward, &int, &[(1, &long)]);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("p.q.x: written as long, read as int"), "{wrong:?}");
    }

    #[test]
    fn a_recursive_schema_is_compared_without_end() {
        let list = |value: &str| {
            parsed(&format!(
                r#"{{"type":"record","name":"L","fields":[{{"name":"v","type":"{value}"}},
                {{"name":"next","type":["null","L"]}}]}}"#
            ))
        };
        assert!(check(Level::Full, &list("int"), &[(1, &list("int"))]).is_empty());
        assert!(!check(Level::Full, &list("int"), &[(1, &list("long"))]).is_empty());
    }

    #[test]
    fn a_schema_that_is_none_or_means_too_much_is_refused() {
        for bad in ["", "nonsense", "\"nonsense\"", r#"{"type":"record"}"#, "7"] {
            assert!(Parsed::parse(&schema(bad)).is_err(), "{bad}");
        }
        assert!(Parsed::parse(&schema(&"[".repeat(100_000))).is_err());
        // Each record holds the one before twice: 30 lines of text, 2^30 types.
        let mut fields =
            vec![r#"{"name":"f0","type":{"type":"record","name":"R0","fields":[]}}"#.to_owned()];
        for i in 1..30 {
            let before = i - 1;
            fields.push(format!(
                r#"{{"name":"f{i}","type":{{"type":"record","name":"R{i}","fields":[
                {{"name":"a","type":"R{before}"}},{{"name":"b","type":"R{before}"}}]}}}}"#
            ));
        }
        let bomb = format!(r#"{{"type":"record","name":"Bomb","fields":[{}]}}"#, fields.join(","));
        let error = Parsed::parse(&schema(&bomb)).expect_err("a bomb").to_string();
        assert!(error.contains("more than"), "{error}");
    }

    #[test]
    fn a_long_chain_of_types_does_not_exhaust_the_stack() {
        let mut fields =
            vec![r#"{"name":"f0","type":{"type":"record","name":"R0","fields":[]}}"#.to_owned()];
        for i in 1..5_000 {
            let before = i - 1;
            fields.push(format!(
                r#"{{"name":"f{i}","type":{{"type":"record","name":"R{i}","fields":[{{"name":"a","type":"R{before}"}}]}}}}"#
            ));
        }
        let chain =
            format!(r#"{{"type":"record","name":"Chain","fields":[{}]}}"#, fields.join(","));
        assert!(Parsed::parse(&schema(&chain)).is_err());
    }
}
