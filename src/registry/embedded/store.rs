//! What the embedded registry knows: schemas by content, subjects with their versions, the levels.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::refusal::Refusal;
use crate::port::{Reference, SchemaText};
use crate::registry::Error;
use crate::registry::compat::{Level, Parsed, check};
use crate::registry::limits::{REFERENCES_MAX, SUBJECT_BYTES_MAX};
use crate::registry::references::{Fetched, Pointer, resolve};

/// Different schemas, and subjects.
const ENTRIES_MAX: usize = 10_000;

/// A Confluent-compatible registry in memory. Share it in an `Arc<Mutex<_>>`.
#[derive(Debug, Default)]
pub struct Registry {
    /// By id: the first has id 1. None is ever taken out, so that an id never changes its meaning.
    schemas: Vec<Stored>,
    /// By content.
    ids: HashMap<String, u32>,
    subjects: BTreeMap<String, Subject>,
    level: Level,
}

#[derive(Debug)]
struct Stored {
    text: String,
    references: Vec<Pointer>,
    parsed: Parsed,
}

#[derive(Debug, Default)]
struct Subject {
    versions: BTreeMap<u32, Version>,
    level: Option<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Version {
    id: u32,
    deleted: bool,
}

/// A version as it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) subject: &'a str,
    pub(super) version: u32,
    pub(super) id: u32,
    pub(super) text: &'a str,
    pub(super) references: &'a [Pointer],
}

/// Which version is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Latest,
    Number(u32),
}

impl Which {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "latest" | "-1" => Ok(Which::Latest),
            number => match number.parse::<i32>().map(u32::try_from) {
                Ok(Ok(number)) if number > 0 => Ok(Which::Number(number)),
                _ => Err(Refusal::bad_version(text)),
            },
        }
    }
}

/// A schema that somebody sent, checked: its place in `ids`, and what it means.
pub(super) struct Sent {
    text: String,
    references: Vec<Pointer>,
    content: String,
    parsed: Parsed,
}

impl Registry {
    /// An empty registry: BACKWARD, no subjects.
    pub fn new() -> Self {
        Self::default()
    }

    // ## Schemas that come in

    /// Checks what was sent, with what it refers to.
    pub(super) fn sent(&self, text: String, references: Vec<Pointer>) -> Result<Sent, Refusal> {
        let json: Value =
            serde_json::from_str(&text).map_err(|why| Refusal::no_avro(&why.to_string()))?;
        if references.len() > REFERENCES_MAX {
            return Err(Refusal::no_avro("it has too many references"));
        }
        let schema = self.with_references(text, references.clone());
        let schema = schema.map_err(|why| Refusal::no_avro(&why.to_string()))?;
        let parsed = Parsed::parse(&schema).map_err(|why| Refusal::no_avro(&why.to_string()))?;
        let mut named: Vec<&Pointer> = references.iter().collect();
        named.sort();
        Ok(Sent {
            content: format!("{}\n{named:?}", content(&json)),
            text: schema.text,
            references,
            parsed,
        })
    }

    /// Registers a schema as the subject's next version, or finds it there. Answers its id.
    pub(super) fn register(&mut self, subject: &str, sent: Sent) -> Result<u32, Refusal> {
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(Refusal::bad_subject(subject));
        }
        if let Some(known) = self.find(subject, &sent, false) {
            return Ok(known.id);
        }
        let wrong = self.wrong(subject, None, &sent);
        if !wrong.is_empty() {
            return Err(Refusal::incompatible(subject, &wrong));
        }
        let has_room = |entries: usize| entries < ENTRIES_MAX;
        if !self.subjects.contains_key(subject) && !has_room(self.subjects.len()) {
            return Err(Refusal::full("subjects"));
        }
        let id = match self.ids.get(&sent.content) {
            Some(id) => *id,
            None if has_room(self.schemas.len()) => {
                self.schemas.push(Stored {
                    text: sent.text,
                    references: sent.references,
                    parsed: sent.parsed,
                });
                // At most ENTRIES_MAX of them.
                let id = u32::try_from(self.schemas.len()).unwrap_or(u32::MAX);
                self.ids.insert(sent.content, id);
                id
            }
            None => return Err(Refusal::full("schemas")),
        };
        let versions = &mut self.subjects.entry(subject.to_owned()).or_default().versions;
        let next = versions.last_key_value().map_or(1, |(last, _)| last + 1);
        let deleted = false;
        versions.insert(next, Version { id, deleted });
        Ok(id)
    }

    /// The newest version of the subject with this content.
    pub(super) fn find(&self, subject: &str, sent: &Sent, deleted: bool) -> Option<Shown<'_>> {
        let id = *self.ids.get(&sent.content)?;
        let (subject, of) = self.subjects.get_key_value(subject)?;
        let mut versions = of.versions.iter().rev();
        let (version, _) = versions.find(|(_, v)| v.id == id && (deleted || !v.deleted))?;
        self.shown(subject, *version, id)
    }

    /// What speaks against a schema as the subject's next version, or as the neighbour of just one.
    pub(super) fn wrong(&self, subject: &str, beside: Option<u32>, sent: &Sent) -> Vec<String> {
        let Some(of) = self.subjects.get(subject) else {
            return Vec::new();
        };
        let counted = |(n, v): &(&u32, &Version)| !v.deleted && beside.is_none_or(|one| one == **n);
        let versions = of.versions.iter().filter(counted);
        let earlier: Vec<(u32, &Parsed)> = versions
            .filter_map(|(number, version)| Some((*number, &self.stored(version.id)?.parsed)))
            .collect();
        check(of.level.unwrap_or(self.level), &sent.parsed, &earlier)
    }

    // ## Schemas by id

    /// The text and the references of an id that a version has, be it deleted softly.
    pub(super) fn by_id(&self, id: u32) -> Option<(&str, &[Pointer])> {
        let stored = self.stored(id)?;
        self.users(id, true).next()?;
        Some((&stored.text, &stored.references))
    }

    /// The versions that have an id.
    pub(super) fn users(&self, id: u32, deleted: bool) -> impl Iterator<Item = (&str, u32)> {
        self.subjects.iter().flat_map(move |(subject, of)| {
            let used = of.versions.iter();
            let used = used.filter(move |(_, v)| v.id == id && (deleted || !v.deleted));
            used.map(move |(number, _)| (subject.as_str(), *number))
        })
    }

    fn stored(&self, id: u32) -> Option<&Stored> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.schemas.get(index)
    }

    fn shown<'a>(&'a self, subject: &'a str, version: u32, id: u32) -> Option<Shown<'a>> {
        let stored = self.stored(id)?;
        Some(Shown { subject, version, id, text: &stored.text, references: &stored.references })
    }

    /// A schema with everything that it refers to.
    pub(super) fn with_references(
        &self,
        text: String,
        references: Vec<Pointer>,
    ) -> Result<SchemaText, Error> {
        let fetch = |pointer: Pointer| {
            let found = self.version(&pointer.subject, Which::Number(pointer.version), true);
            let fetched = found.map(|shown| Fetched {
                text: shown.text.to_owned(),
                references: shown.references.to_vec(),
            });
            let fetched = fetched.map_err(|why| Error::Unusable(why.message));
            std::future::ready(fetched)
        };
        let resolved = resolve(Fetched { text, references }, fetch);
        // Everything is at hand, so the first poll is the last.
        futures::FutureExt::now_or_never(resolved)
            .unwrap_or_else(|| Err(Error::Unusable("its references were not found".to_owned())))
    }

    // ## Subjects and versions

    /// The subjects that start so, each with at least one version that counts.
    pub(super) fn subjects(&self, prefix: &str, deleted: bool) -> Vec<&str> {
        let counts = |of: &Subject| of.versions.values().any(|v| deleted || !v.deleted);
        let subjects = self.subjects.iter();
        let subjects = subjects.filter(|(name, of)| name.starts_with(prefix) && counts(of));
        subjects.map(|(name, _)| name.as_str()).collect()
    }

    /// The versions of a subject.
    pub(super) fn versions(&self, subject: &str, deleted: bool) -> Result<Vec<u32>, Refusal> {
        let of = self.subjects.get(subject).into_iter();
        let versions = of.flat_map(|of| &of.versions);
        let versions: Vec<u32> =
            versions.filter(|(_, v)| deleted || !v.deleted).map(|(number, _)| *number).collect();
        if versions.is_empty() {
            return Err(Refusal::no_subject(subject));
        }
        Ok(versions)
    }

    /// A version of a subject.
    pub(super) fn version(
        &self,
        subject: &str,
        which: Which,
        deleted: bool,
    ) -> Result<Shown<'_>, Refusal> {
        let numbers = self.versions(subject, deleted)?;
        let wanted = match which {
            Which::Latest => numbers.last(),
            Which::Number(number) => numbers.iter().find(|known| **known == number),
        };
        let found = wanted.and_then(|number| {
            let (subject, of) = self.subjects.get_key_value(subject)?;
            self.shown(subject, *number, of.versions.get(number)?.id)
        });
        found.ok_or_else(|| match which {
            Which::Latest => Refusal::no_version("latest"),
            Which::Number(number) => Refusal::no_version(&number.to_string()),
        })
    }

    /// The ids of the schemas that refer to a version.
    pub(super) fn referenced_by(
        &self,
        subject: &str,
        version: u32,
        deleted: bool,
    ) -> BTreeSet<u32> {
        let refers = |stored: &Stored| {
            let mut references = stored.references.iter();
            references.any(|of| of.subject == subject && of.version == version)
        };
        let ids = (1_u32..).zip(&self.schemas);
        let ids = ids.filter(|(id, of)| refers(of) && self.users(*id, deleted).next().is_some());
        ids.map(|(id, _)| id).collect()
    }

    // ## Deleting

    /// Deletes a version: softly first, then permanently.
    pub(super) fn delete_version(
        &mut self,
        subject: &str,
        which: Which,
        permanent: bool,
    ) -> Result<u32, Refusal> {
        let number = match which {
            Which::Number(number) => number,
            Which::Latest => self.version(subject, which, permanent)?.version,
        };
        self.version(subject, Which::Number(number), true)?;
        self.not_referenced(subject, number, permanent)?;
        let of = self.subjects.get_mut(subject);
        let Some(of) = of else {
            return Err(Refusal::no_subject(subject));
        };
        match (of.versions.get_mut(&number), permanent) {
            (None, _) => return Err(Refusal::no_version(&number.to_string())),
            (Some(version), false) if version.deleted => {
                return Err(Refusal::version_was_deleted(subject, number));
            }
            (Some(version), true) if !version.deleted => {
                return Err(Refusal::version_not_yet_deleted(subject, number));
            }
            (Some(version), false) => version.deleted = true,
            (Some(_), true) => {
                of.versions.remove(&number);
            }
        }
        if of.versions.is_empty() {
            self.subjects.remove(subject);
        }
        Ok(number)
    }

    /// Deletes all versions of a subject: softly first, then permanently.
    pub(super) fn delete_subject(
        &mut self,
        subject: &str,
        permanent: bool,
    ) -> Result<Vec<u32>, Refusal> {
        let all = self.versions(subject, true)?;
        let live = self.versions(subject, false).unwrap_or_default();
        if permanent && !live.is_empty() {
            return Err(Refusal::subject_not_yet_deleted(subject));
        }
        if !permanent && live.is_empty() {
            return Err(Refusal::subject_was_deleted(subject));
        }
        let gone = if permanent { all } else { live };
        for number in &gone {
            self.not_referenced(subject, *number, permanent)?;
        }
        if permanent {
            self.subjects.remove(subject);
        } else if let Some(of) = self.subjects.get_mut(subject) {
            for version in of.versions.values_mut() {
                version.deleted = true;
            }
        }
        Ok(gone)
    }

    fn not_referenced(&self, subject: &str, version: u32, deleted: bool) -> Result<(), Refusal> {
        if self.referenced_by(subject, version, deleted).is_empty() {
            Ok(())
        } else {
            Err(Refusal::still_referenced(subject, version))
        }
    }

    // ## Levels

    /// The level of a subject if it has its own, or of all (`None`).
    pub(super) fn level(&self, subject: Option<&str>) -> Option<Level> {
        match subject {
            None => Some(self.level),
            Some(subject) => self.subjects.get(subject).and_then(|of| of.level),
        }
    }

    /// Sets the level of a subject, or of all.
    pub(super) fn set_level(&mut self, subject: Option<&str>, level: Level) -> Result<(), Refusal> {
        let Some(subject) = subject else {
            self.level = level;
            return Ok(());
        };
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(Refusal::bad_subject(subject));
        }
        if !self.subjects.contains_key(subject) && self.subjects.len() >= ENTRIES_MAX {
            return Err(Refusal::full("subjects"));
        }
        self.subjects.entry(subject.to_owned()).or_default().level = Some(level);
        Ok(())
    }

    /// Takes a subject's own level away.
    pub(super) fn unset_level(&mut self, subject: &str) -> Result<Level, Refusal> {
        let of = self.subjects.get_mut(subject);
        let level = of.and_then(|of| of.level.take());
        level.ok_or_else(|| Refusal::no_level_of(subject))
    }

    // ## For those in the same process

    /// A schema with everything that it refers to, by its id.
    pub(super) fn text_of(&self, id: u32) -> Option<Result<SchemaText, Error>> {
        let (text, references) = self.by_id(id)?;
        Some(self.with_references(text.to_owned(), references.to_vec()))
    }

    /// Where the references of a schema lie: only those that its text names are its own.
    pub(super) fn pointers(references: &[&Reference]) -> Vec<Pointer> {
        let pointer = |of: &&Reference| Pointer {
            name: of.name.clone(),
            subject: of.subject.clone(),
            version: of.version,
        };
        references.iter().map(pointer).collect()
    }
}

/// What makes two schemas the same: their JSON without spaces, keys sorted, and primitive types written
/// the short way.
fn content(json: &Value) -> Value {
    match json {
        Value::Object(of) => match of.get("type") {
            Some(Value::String(name)) if of.len() == 1 && is_primitive(name) => {
                Value::String(name.clone())
            }
            _ => {
                let sorted: BTreeMap<&String, Value> =
                    of.iter().map(|(key, value)| (key, content(value))).collect();
                let pairs = sorted.into_iter().map(|(key, value)| (key.clone(), value));
                Value::Object(pairs.collect())
            }
        },
        Value::Array(of) => Value::Array(of.iter().map(content).collect()),
        simple => simple.clone(),
    }
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "null" | "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string")
}
