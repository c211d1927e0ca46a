//! Compiles a writer's and a reader's schema into a plan: schema resolution as the Avro specification has
//! it, and stricter where following it would change what a number means.

use std::sync::Arc;

use bumpalo::Bump;

use super::input::Input;
use super::promote::{same_meaning, scalar};
use super::reader::{Absent, Fields, Items, Reader, Step};
use super::scalar::Digits;
use super::skip::Skip;
use crate::codec::Error;
use crate::codec::schema::{Enum, Fixed, Kind, Meaning, Node, Record};
use crate::record::Uses;

/// The most steps of a plan: union branches are tried against each other, so it is not bounded by the
/// schemas alone.
const STEPS_MAX: usize = 1 << 18;

/// Compiles one pair of schemas.
#[derive(Debug)]
pub(super) struct Resolver {
    path: Vec<String>,
    steps: usize,
    /// What is being resolved will also be read.
    read: bool,
    /// Refuse also what only some data of the writer would be refused for.
    every_value: bool,
}

impl Resolver {
    /// `every_value`: also branches and symbols that the reader lacks are errors now, not when they come.
    pub(super) fn new(every_value: bool) -> Self {
        Self { path: Vec::new(), steps: 0, read: true, every_value }
    }

    /// The plan for the used fields of a record. The unused ones are resolved too, so that what fits does
    /// not depend on what is used.
    pub(super) fn record(
        &mut self,
        writer: &Record,
        reader: &Record,
        uses: &Uses,
    ) -> Result<Fields, Error> {
        if !reader.name.takes(&writer.name) {
            let (writer, reader) = (&writer.name.full, &reader.name.full);
            return Err(self.unfit(format!("the writer has record {writer}, the reader {reader}")));
        }
        let mut slots = vec![None; reader.fields.len()];
        let mut count = 0;
        for (slot, field) in slots.iter_mut().zip(&reader.fields) {
            if uses.below(&field.name).is_some() {
                *slot = Some(count);
                count += 1;
            }
        }
        let mut filled = vec![false; reader.fields.len()];
        let mut steps: Vec<Step> = Vec::with_capacity(writer.fields.len());
        for theirs in &writer.fields {
            let Some(index) = counterpart(&theirs.name, writer, reader) else {
                skip(&mut steps, &theirs.node);
                continue;
            };
            let ours = &reader.fields[index];
            if std::mem::replace(&mut filled[index], true) {
                self.path.push(ours.name.clone());
                return Err(self.unfit("two fields of the writer go by its name or aliases".into()));
            }
            self.path.push(ours.name.clone());
            match (slots[index], uses.below(&ours.name)) {
                (Some(slot), Some(below)) => steps.push(Step::Field {
                    slot,
                    name: ours.name.as_str().into(),
                    reader: self.node(&theirs.node, &ours.node, below)?,
                }),
                _ => {
                    self.unread(&theirs.node, &ours.node)?;
                    skip(&mut steps, &theirs.node);
                }
            }
            self.path.pop();
        }
        let mut absent = Vec::new();
        for ((ours, slot), filled) in reader.fields.iter().zip(slots).zip(filled) {
            if filled {
                continue;
            }
            self.path.push(ours.name.clone());
            let read = self.read;
            self.read = read && slot.is_some();
            let default =
                self.default(&ours.node, ours.default.as_ref(), uses.below(&ours.name))?;
            self.read = read;
            absent.extend(slot.map(|slot| (slot, default)));
            self.path.pop();
        }
        let straight = absent.is_empty()
            && steps.len() == count
            && steps
                .iter()
                .enumerate()
                .all(|(i, step)| matches!(step, Step::Field { slot, .. } if *slot == i));
        Ok(Fields { steps, absent, slots: count, straight })
    }

    /// A field that the writer does not have: its default, which must be readable.
    fn default(
        &mut self,
        node: &Node,
        bytes: Option<&Arc<[u8]>>,
        uses: Option<&Uses>,
    ) -> Result<Absent, Error> {
        let Some(bytes) = bytes else {
            return Err(
                self.unfit("the writer has no such field, and the reader no default".into())
            );
        };
        let default = Absent {
            bytes: Arc::clone(bytes),
            reader: self.node(node, node, uses.unwrap_or(&Uses::All))?,
        };
        let bump = Bump::new();
        let mut input = Input::new(&default.bytes, &bump);
        match default.reader.read(&mut input) {
            Ok(_) => Ok(default),
            Err(_) => Err(self.unfit("the reader's default is no value of its own type".into())),
        }
    }

    /// Resolves what nobody reads, for the sake of the answer.
    fn unread(&mut self, writer: &Node, reader: &Node) -> Result<(), Error> {
        let read = std::mem::replace(&mut self.read, false);
        self.node(writer, reader, &Uses::nothing())?;
        self.read = read;
        Ok(())
    }

    /// A decimal, if it can be read: the limit of digits is ours, so it matters only where one is made.
    fn digits(&self, precision: u32, scale: u32) -> Result<Option<Digits>, Error> {
        match Digits::new(precision, scale) {
            None if self.read => Err(self.unfit(format!(
                "a decimal with {scale} digits after the point; at most 28 can be read"
            ))),
            digits => Ok(digits),
        }
    }

    /// The plan for one value.
    pub(super) fn node(
        &mut self,
        writer: &Node,
        reader: &Node,
        uses: &Uses,
    ) -> Result<Reader, Error> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(self.unfit(format!("the plan would have more than {STEPS_MAX} steps")));
        }
        match (&writer.kind, &reader.kind) {
            (Kind::Union(branches), _) => self.writer_union(branches, reader, uses),
            (_, Kind::Union(branches)) => match self.branch(writer, branches, uses) {
                Some(reader) => Ok(reader),
                None => Err(self.mismatch(writer, reader)),
            },
            (Kind::Array(theirs), Kind::Array(ours)) => Ok(Reader::List(Box::new(Items {
                item: self.node(theirs, ours, uses)?,
                bytes_min: theirs.bytes_min,
            }))),
            (Kind::Map(theirs), Kind::Map(ours)) => Ok(Reader::Map(Box::new(Items {
                item: self.node(theirs, ours, uses)?,
                bytes_min: theirs.bytes_min.saturating_add(1),
            }))),
            (Kind::Record(theirs), Kind::Record(ours)) => {
                Ok(Reader::Record(Box::new(self.record(theirs, ours, uses)?)))
            }
            (Kind::Enum(theirs), Kind::Enum(ours)) => self.enumeration(theirs, ours),
            (Kind::Fixed(theirs), Kind::Fixed(ours)) => self.fixed(theirs, ours),
            (Kind::Bytes(theirs), Kind::Bytes(ours)) => self.bytes(*theirs, *ours),
            _ => match scalar(&writer.kind, &reader.kind) {
                Ok(read) => Ok(read),
                Err(Some(why)) => Err(self.unfit(why)),
                Err(None) => Err(self.mismatch(writer, reader)),
            },
        }
    }

    fn writer_union(
        &mut self,
        branches: &[Node],
        reader: &Node,
        uses: &Uses,
    ) -> Result<Reader, Error> {
        let mut readers = Vec::with_capacity(branches.len());
        let mut first_error = None;
        for branch in branches {
            let depth = self.path.len();
            match self.node(branch, reader, uses) {
                Ok(read) => readers.push(read),
                Err(error) => {
                    self.path.truncate(depth);
                    first_error.get_or_insert(error);
                    readers.push(Reader::Nowhere);
                }
            }
        }
        let none = readers.iter().all(|r| matches!(r, Reader::Nowhere));
        match first_error {
            Some(error) if none || self.every_value => Err(error),
            _ => Ok(Reader::Union(readers.into())),
        }
    }

    /// The reader's branch for a writer's type: the first of the same type and name, else the first that
    /// it can be promoted to.
    fn branch(&mut self, writer: &Node, branches: &[Node], uses: &Uses) -> Option<Reader> {
        for wanted in [Match::Same, Match::Alike, Match::Promoted] {
            for branch in branches.iter().filter(|b| likeness(writer, b) == wanted) {
                let depth = self.path.len();
                match self.node(writer, branch, uses) {
                    Ok(read) => return Some(read),
                    Err(_) => self.path.truncate(depth),
                }
            }
        }
        None
    }

    fn enumeration(&mut self, writer: &Enum, reader: &Enum) -> Result<Reader, Error> {
        if !reader.name.takes(&writer.name) {
            let (writer, reader) = (&writer.name.full, &reader.name.full);
            return Err(self.unfit(format!("the writer has enum {writer}, the reader {reader}")));
        }
        let default = reader.default.map(|index| &reader.symbols[index]);
        let mut symbols: Vec<Option<Arc<str>>> = Vec::with_capacity(writer.symbols.len());
        for symbol in writer.symbols.iter() {
            let ours = reader.symbols.iter().find(|s| *s == symbol).or(default);
            if ours.is_none() && self.every_value {
                return Err(self.unfit(format!(
                    "the reader's enum has neither the symbol {symbol} nor a default"
                )));
            }
            symbols.push(ours.map(|s| s.as_str().into()));
        }
        Ok(Reader::Enum(symbols.into()))
    }

    fn fixed(&mut self, writer: &Fixed, reader: &Fixed) -> Result<Reader, Error> {
        if !reader.name.takes(&writer.name) {
            let (writer, reader) = (&writer.name.full, &reader.name.full);
            return Err(self.unfit(format!("the writer has fixed {writer}, the reader {reader}")));
        }
        if writer.size != reader.size {
            let (writer, reader) = (writer.size, reader.size);
            return Err(
                self.unfit(format!("the writer's fixed has {writer} bytes, the reader's {reader}"))
            );
        }
        let size = writer.size;
        match same_meaning(writer.meaning, reader.meaning) {
            Ok(Meaning::Uuid) => Ok(Reader::UuidFixed),
            Ok(Meaning::Decimal { precision, scale }) => {
                Ok(match self.digits(precision, scale)? {
                    Some(digits) => Reader::DecimalFixed(size, digits),
                    None => Reader::Fixed(size),
                })
            }
            Ok(_) => Ok(Reader::Fixed(size)),
            Err(why) => Err(self.unfit(why)),
        }
    }

    fn bytes(&mut self, writer: Meaning, reader: Meaning) -> Result<Reader, Error> {
        match same_meaning(writer, reader) {
            Ok(Meaning::Decimal { precision, scale }) => {
                Ok(self.digits(precision, scale)?.map_or(Reader::Bytes, Reader::Decimal))
            }
            Ok(_) => Ok(Reader::Bytes),
            Err(why) => Err(self.unfit(why)),
        }
    }

    fn mismatch(&self, writer: &Node, reader: &Node) -> Error {
        self.unfit(format!(
            "the writer has {}, which cannot be read as {}",
            writer.word(),
            reader.word()
        ))
    }

    fn unfit(&self, why: String) -> Error {
        Error::Incompatible {
            at: match self.path.is_empty() {
                true => "the record".to_owned(),
                false => self.path.join("."),
            },
            why,
        }
    }
}

/// How a branch of the reader's union suits a type of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// The same type, and the same full name if it has one.
    Same,
    /// The same type, under a name that also matches.
    Alike,
    /// Another type, which it may be promoted to.
    Promoted,
}

fn likeness(writer: &Node, reader: &Node) -> Match {
    let named = |same: bool| if same { Match::Same } else { Match::Alike };
    match (&writer.kind, &reader.kind) {
        (Kind::Record(w), Kind::Record(r)) => named(w.name.full == r.name.full),
        (Kind::Enum(w), Kind::Enum(r)) => named(w.name.full == r.name.full),
        (Kind::Fixed(w), Kind::Fixed(r)) => named(w.name.full == r.name.full),
        (w, r) if std::mem::discriminant(w) == std::mem::discriminant(r) => Match::Same,
        _ => Match::Promoted,
    }
}

/// The reader's field for a field of the writer: by name, else by the reader's alias. An alias gives way
/// where the writer has a field of the reader's own name.
fn counterpart(name: &str, writer: &Record, reader: &Record) -> Option<usize> {
    let own = reader.fields.iter().position(|f| f.name == name);
    own.or_else(|| {
        reader.fields.iter().position(|ours| {
            ours.aliases.iter().any(|alias| alias == name)
                && !writer.fields.iter().any(|theirs| theirs.name == ours.name)
        })
    })
}

fn skip(steps: &mut Vec<Step>, node: &Node) {
    if let Some(Step::Skip(skip)) = steps.last_mut() {
        skip.add(node);
    } else {
        let mut skip = Skip::default();
        skip.add(node);
        steps.push(Step::Skip(skip));
    }
}
