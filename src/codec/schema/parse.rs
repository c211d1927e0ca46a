//! From schema text to nodes: apache-avro parses and checks the grammar, this file resolves the names and
//! refuses what no record may be decoded under.
//!
//! What apache-avro is kept from stands in `prepare`.

use std::collections::HashMap;
use std::sync::Arc;

use apache_avro::schema::{self as avro, Schema as Avro};
use serde_json::Value as Json;

use super::default;
use super::node::{Enum, Field, Fixed, Kind, Meaning, Name, Node, Record, Unit};
use super::prepare::{SET_ASIDE, prepare};
use crate::codec::Error;

/// The longest schema text, all its references together, in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting of records, arrays, maps and unions.
pub(super) const DEPTH_MAX: usize = 64;
/// The largest `fixed`, in bytes.
pub(super) const FIXED_BYTES_MAX: usize = 1 << 20;
/// The most nodes of a schema when every name in it is written out.
pub(super) const NODES_MAX: usize = 1 << 16;

/// Parses `text`, which may name the types that `references` define (each before those that name it).
pub(super) fn parse(text: &str, references: &[&str]) -> Result<Node, Error> {
    let bytes = references.iter().map(|r| r.len()).sum::<usize>() + text.len();
    if bytes > TEXT_BYTES_MAX {
        let why = format!("the text has {bytes} bytes, and {TEXT_BYTES_MAX} are allowed");
        return Err(refused("the schema", why));
    }
    let mut texts: Vec<&str> = Vec::with_capacity(references.len() + 1);
    for reference in references.iter().chain([&text]) {
        if !texts.contains(reference) {
            texts.push(reference);
        }
    }
    let mut parts = Vec::with_capacity(texts.len());
    for text in texts {
        let mut json: Json = serde_json::from_str(text)
            .map_err(|e| refused("the schema", format!("the text is no JSON: {e}")))?;
        prepare(&mut json).map_err(|why| refused("the schema", why))?;
        parts.push(json);
    }
    // Read as one list, each part can name what stands before it, and no part nests in another.
    let alone = parts.len() == 1;
    let json = if alone { parts.remove(0) } else { Json::Array(parts) };
    let parsed = Avro::parse(&json).map_err(|e| refused("the schema", brief(&e.to_string())))?;
    let mut reader = Reader::default();
    match &parsed {
        Avro::Union(union) if !alone => {
            let mut last = None;
            for part in union.variants() {
                last = Some(reader.node(part)?);
            }
            last.ok_or_else(|| refused("the schema", "it is empty".into()))
        }
        _ => reader.node(&parsed),
    }
}

/// Turns apache-avro's schemas into nodes and remembers the named ones.
#[derive(Default)]
struct Reader {
    /// By full name and alias; `None` while the type is being read.
    named: HashMap<String, Option<Node>>,
    path: Vec<String>,
}

impl Reader {
    fn node(&mut self, schema: &Avro) -> Result<Node, Error> {
        let node = match schema {
            Avro::Ref { name } => self.known(&name.fullname(None))?,
            Avro::Array(array) => {
                let item = self.item(&array.items)?;
                Node::new(Kind::Array(Arc::new(item)))
            }
            Avro::Map(map) => {
                let item = self.item(&map.types)?;
                Node::new(Kind::Map(Arc::new(item)))
            }
            Avro::Union(union) => self.union(union)?,
            Avro::Record(record) => self.record(record)?,
            Avro::Enum(of) => self.enumeration(of)?,
            Avro::Fixed(fixed) | Avro::Duration(fixed) => self.fixed(fixed, Meaning::Plain)?,
            Avro::Uuid(avro::UuidSchema::Fixed(fixed)) => self.fixed(fixed, Meaning::Uuid)?,
            Avro::Decimal(decimal) => self.decimal(decimal)?,
            scalar => Node::new(scalar_kind(scalar)),
        };
        if node.depth > DEPTH_MAX {
            return Err(self.refuse(format!("it nests deeper than {DEPTH_MAX} levels")));
        }
        if node.nodes > NODES_MAX {
            return Err(self.refuse(format!("it has more than {NODES_MAX} types when written out")));
        }
        Ok(node)
    }

    fn known(&self, name: &str) -> Result<Node, Error> {
        match self.named.get(name) {
            Some(Some(node)) => Ok(node.clone()),
            Some(None) => {
                Err(self.refuse(format!("{name} contains itself; recursive schemas are refused")))
            }
            None => Err(self.refuse(format!("nothing defines {name}"))),
        }
    }

    fn item(&mut self, schema: &Avro) -> Result<Node, Error> {
        let node = self.node(schema)?;
        if node.bytes_min == 0 {
            return Err(self.refuse(format!(
                "items of type {} take no bytes, so a few bytes could claim any number of them",
                node.word()
            )));
        }
        Ok(node)
    }

    fn union(&mut self, union: &avro::UnionSchema) -> Result<Node, Error> {
        if union.variants().is_empty() {
            return Err(self.refuse("a union has no branches".into()));
        }
        let branches = union
            .variants()
            .iter()
            .map(|branch| self.node(branch))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Node::new(Kind::Union(branches.into())))
    }

    fn record(&mut self, record: &avro::RecordSchema) -> Result<Node, Error> {
        let name = self.open(&record.name, record.aliases.as_ref())?;
        let top = self.path.is_empty();
        if top {
            self.path.push(name.full.clone());
        }
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            self.path.push(field.name.clone());
            fields.push(self.field(field)?);
            self.path.pop();
        }
        if top {
            self.path.pop();
        }
        let node = Node::new(Kind::Record(Arc::new(Record { name: name.clone(), fields })));
        self.close(&name, &node);
        Ok(node)
    }

    fn field(&mut self, field: &avro::RecordField) -> Result<Field, Error> {
        let node = self.node(&field.schema)?;
        let default = match field.custom_attributes.get(SET_ASIDE) {
            Some(json) => {
                let mut bytes = Vec::new();
                default::encode(&node, json, &mut bytes)
                    .map_err(|why| self.refuse(format!("its default: {why}")))?;
                Some(bytes.into())
            }
            None => None,
        };
        Ok(Field { name: field.name.clone(), aliases: field.aliases.clone(), node, default })
    }

    fn enumeration(&mut self, of: &avro::EnumSchema) -> Result<Node, Error> {
        let name = self.open(&of.name, of.aliases.as_ref())?;
        let default = match &of.default {
            Some(word) => match of.symbols.iter().position(|s| s == word) {
                Some(index) => Some(index),
                None => return Err(self.refuse(format!("the enum's default {word} is no symbol"))),
            },
            None => None,
        };
        let node = Node::new(Kind::Enum(Arc::new(Enum {
            name: name.clone(),
            symbols: of.symbols.clone().into(),
            default,
        })));
        self.close(&name, &node);
        Ok(node)
    }

    fn fixed(&mut self, fixed: &avro::FixedSchema, meaning: Meaning) -> Result<Node, Error> {
        let name = self.open(&fixed.name, fixed.aliases.as_ref())?;
        if fixed.size > FIXED_BYTES_MAX {
            return Err(self.refuse(format!(
                "a fixed of {} bytes; {FIXED_BYTES_MAX} are allowed",
                fixed.size
            )));
        }
        let node = Node::new(Kind::Fixed(Arc::new(Fixed {
            name: name.clone(),
            size: fixed.size,
            meaning,
        })));
        self.close(&name, &node);
        Ok(node)
    }

    fn decimal(&mut self, decimal: &avro::DecimalSchema) -> Result<Node, Error> {
        // `decimal` above has bounded both.
        let meaning = Meaning::Decimal {
            precision: u32::try_from(decimal.precision).unwrap_or(u32::MAX),
            scale: u32::try_from(decimal.scale).unwrap_or(u32::MAX),
        };
        match &decimal.inner {
            avro::InnerDecimalSchema::Bytes => Ok(Node::new(Kind::Bytes(meaning))),
            avro::InnerDecimalSchema::Fixed(fixed) => {
                // 8 n - 1 bits hold so many decimal digits: the factor is log10(2), rounded down.
                let digits = (fixed.size * 8).saturating_sub(1) * 30_102 / 100_000;
                if decimal.precision > digits {
                    return Err(self.refuse(format!(
                        "a fixed of {} bytes holds {digits} digits, and the decimal asks for {}",
                        fixed.size, decimal.precision
                    )));
                }
                self.fixed(fixed, meaning)
            }
        }
    }

    /// Begins a named type; until `close`, naming it is recursion.
    fn open(
        &mut self,
        name: &avro::Name,
        aliases: Option<&Vec<avro::Alias>>,
    ) -> Result<Name, Error> {
        let name = Name {
            full: name.fullname(None),
            aliases: aliases
                .map(Vec::as_slice)
                .unwrap_or_default()
                .iter()
                .map(|alias| alias.fullname(name.namespace()))
                .collect(),
        };
        if self.named.contains_key(&name.full) {
            return Err(self.refuse(format!("{} is defined twice", name.full)));
        }
        self.named.insert(name.full.clone(), None);
        for alias in &name.aliases {
            self.named.entry(alias.clone()).or_insert(None);
        }
        Ok(name)
    }

    fn close(&mut self, name: &Name, node: &Node) {
        for known in name.aliases.iter().chain([&name.full]) {
            if let Some(open @ None) = self.named.get_mut(known) {
                *open = Some(node.clone());
            }
        }
    }

    fn refuse(&self, why: String) -> Error {
        let at = if self.path.is_empty() { "the schema".to_owned() } else { self.path.join(".") };
        refused(&at, why)
    }
}

fn scalar_kind(schema: &Avro) -> Kind {
    match schema {
        Avro::Boolean => Kind::Boolean,
        Avro::Int => Kind::Int(Meaning::Plain),
        Avro::Date => Kind::Int(Meaning::Date),
        Avro::TimeMillis => Kind::Int(Meaning::Time(Unit::Millis)),
        Avro::Long => Kind::Long(Meaning::Plain),
        Avro::TimeMicros => Kind::Long(Meaning::Time(Unit::Micros)),
        Avro::TimestampMillis => Kind::Long(Meaning::Timestamp(Unit::Millis)),
        Avro::TimestampMicros => Kind::Long(Meaning::Timestamp(Unit::Micros)),
        Avro::TimestampNanos => Kind::Long(Meaning::Timestamp(Unit::Nanos)),
        Avro::LocalTimestampMillis => Kind::Long(Meaning::LocalTimestamp(Unit::Millis)),
        Avro::LocalTimestampMicros => Kind::Long(Meaning::LocalTimestamp(Unit::Micros)),
        Avro::LocalTimestampNanos => Kind::Long(Meaning::LocalTimestamp(Unit::Nanos)),
        Avro::Float => Kind::Float,
        Avro::Double => Kind::Double,
        Avro::String => Kind::String(Meaning::Plain),
        Avro::Uuid(avro::UuidSchema::String) => Kind::String(Meaning::Uuid),
        // Neither is in the specification for bytes: they stay bytes.
        Avro::Bytes | Avro::BigDecimal | Avro::Uuid(_) => Kind::Bytes(Meaning::Plain),
        // Everything else has been taken apart by `Reader::node`.
        _ => Kind::Null,
    }
}

fn refused(at: &str, why: String) -> Error {
    Error::Schema { at: at.to_owned(), why }
}

/// Others' messages may quote the whole schema.
fn brief(message: &str) -> String {
    const CHARS_MAX: usize = 300;
    match message.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}
