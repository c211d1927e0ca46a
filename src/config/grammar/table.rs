//! The rows of a grammar: keys, what they may hold, and since when.

use super::Scalar;
use crate::config::yaml::{Kind, Node};

/// Is it built?
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// It works.
    Now,
    /// Known and read, refused with "not yet" until the room that does it is there.
    NotYet,
    /// Only a known word so far; refused with "not yet".
    Later,
}

/// What happens without the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The file is refused.
    Required,
    /// It stands for nothing, or for the defaults of what lies in it.
    Optional,
    /// This text stands in its place.
    Default(&'static str),
    /// Something that depends on other keys; in words.
    Otherwise(&'static str),
}

/// One key of a map.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub is: Is,
    /// What happens without it.
    pub need: Need,
    /// Is it built?
    pub when: When,
    /// What it is for, in a sentence.
    pub doc: &'static str,
}

/// The keys of a map with fixed keys.
#[derive(Clone, Copy, Debug)]
pub struct Fields {
    /// The keys.
    pub keys: &'static [Key],
    /// Exactly one of these must be there; nothing: no such rule.
    pub one_of: &'static [&'static str],
}

/// A word of a closed list.
#[derive(Clone, Copy, Debug)]
pub struct Word {
    /// The word.
    pub name: &'static str,
    /// Is it built?
    pub when: When,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Is {
    /// A scalar of this kind.
    One(Scalar),
    /// One of these words.
    Word(&'static [Word]),
    /// A list with at least so many items.
    List(&'static Is, usize),
    /// A map with these keys.
    Fields(&'static Fields),
    /// A map with exactly one of these keys, which says what it is.
    Tag(&'static [Key]),
    /// A map from names of this kind to such values, with at least one entry.
    Entries(Scalar, &'static Is),
    /// Whichever of these fits.
    Either(&'static [Is]),
    /// This, once it is built; until then refused with "not yet".
    NotYet(&'static Is),
    /// A secret: `{ env: NAME }` or `{ file: PATH }`, never the secret itself.
    Secret,
    /// An event: a map of anything.
    Event,
    /// An event, or a map of these keys: see [`Fields::wraps`].
    Given(&'static Fields),
    /// Anything.
    Any,
}

impl Key {
    /// A key that may be left out.
    pub const fn new(name: &'static str, is: Is, doc: &'static str) -> Self {
        Self { name, is, need: Need::Optional, when: When::Now, doc }
    }

    /// The same, which must be there.
    pub const fn required(self) -> Self {
        Self { need: Need::Required, ..self }
    }

    /// The same with a default.
    pub const fn default(self, text: &'static str) -> Self {
        Self { need: Need::Default(text), ..self }
    }

    /// The same with a default that depends on other keys.
    pub const fn otherwise(self, words: &'static str) -> Self {
        Self { need: Need::Otherwise(words), ..self }
    }

    /// The same, not built yet.
    pub const fn not_yet(self) -> Self {
        Self { when: When::NotYet, ..self }
    }

    /// Only a known word so far.
    pub const fn later(name: &'static str, doc: &'static str) -> Self {
        Self { name, is: Is::Any, need: Need::Optional, when: When::Later, doc }
    }
}

impl Fields {
    /// Keys without a rule between them.
    pub const fn of(keys: &'static [Key]) -> Self {
        Self { keys, one_of: &[] }
    }

    /// The key of that name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Is this map one of these keys, rather than an event? It is, if it has one of `one_of` and no other
    /// keys than these.
    pub fn wraps(&self, node: &Node) -> bool {
        node.entries().iter().all(|entry| self.key(entry.key.as_str()).is_some())
            && self.one_of.iter().any(|name| node.get(name).is_some())
    }
}

impl Word {
    /// A word that works.
    pub const fn now(name: &'static str) -> Self {
        Self { name, when: When::Now }
    }

    /// A word that is not built yet.
    pub const fn not_yet(name: &'static str) -> Self {
        Self { name, when: When::NotYet }
    }

    /// A word that comes later.
    pub const fn later(name: &'static str) -> Self {
        Self { name, when: When::Later }
    }
}

impl Is {
    /// Is the value a scalar, a list or a map as this wants one? More is not looked at.
    pub fn same_kind(&self, node: &Node) -> bool {
        match self {
            Is::One(_) | Is::Word(_) => matches!(node.kind, Kind::Scalar(_)),
            Is::List(..) => matches!(node.kind, Kind::List(_)),
            Is::Fields(_)
            | Is::Tag(_)
            | Is::Entries(..)
            | Is::Secret
            | Is::Event
            | Is::Given(_) => {
                matches!(node.kind, Kind::Map(_))
            }
            Is::Either(of) => of.iter().any(|is| is.same_kind(node)),
            Is::NotYet(is) => is.same_kind(node),
            Is::Any => true,
        }
    }

    /// What is expected, in words that follow "must be".
    pub fn expected(&self) -> String {
        match self {
            Is::One(scalar) => scalar.expected(),
            Is::Word(words) => {
                let built = words.iter().filter(|word| word.when == When::Now);
                built.map(|word| format!("`{}`", word.name)).collect::<Vec<_>>().join(" or ")
            }
            Is::List(of, _) => format!("a list, each item {}", of.expected()),
            Is::Fields(_) => "a map".to_owned(),
            Is::Tag(_) => "a map with one key".to_owned(),
            Is::Entries(name, value) => {
                format!("a map from {} to {}", name.expected(), value.expected())
            }
            Is::Either(of) => {
                let mut all: Vec<_> = of.iter().map(Is::expected).collect();
                all.retain(|expected| !expected.is_empty());
                all.join(" or ")
            }
            Is::NotYet(_) => String::new(),
            Is::Secret => "a secret's place, `{ env: NAME }` or `{ file: PATH }`".to_owned(),
            Is::Event => "an event: a map of its fields".to_owned(),
            Is::Given(_) => "an event: a map of its fields, or `{ value: EVENT }`".to_owned(),
            Is::Any => "any value".to_owned(),
        }
    }

    /// A value as it could stand in a file, on one line.
    pub fn example(&self) -> String {
        match self {
            Is::One(scalar) => scalar.example().to_owned(),
            Is::Word(words) => {
                let built = words.iter().find(|word| word.when == When::Now);
                built.map_or_else(String::new, |word| word.name.to_owned())
            }
            Is::List(of, _) => format!("[{}]", of.example()),
            Is::Fields(fields) => {
                let shown = |key: &&Key| {
                    key.need == Need::Required || fields.one_of.first() == Some(&key.name)
                };
                let mut keys: Vec<_> = fields.keys.iter().filter(shown).collect();
                if keys.is_empty() {
                    keys.extend(fields.keys.first());
                }
                let keys = keys.iter().map(|key| format!("{}: {}", key.name, key.example()));
                format!("{{ {} }}", keys.collect::<Vec<_>>().join(", "))
            }
            Is::Tag(keys) => keys
                .first()
                .map_or_else(String::new, |key| format!("{{ {}: {} }}", key.name, key.example())),
            Is::Entries(name, value) => format!("{{ {}: {} }}", name.example(), value.example()),
            Is::Either(of) => of.first().map_or_else(String::new, Is::example),
            Is::NotYet(is) => is.example(),
            Is::Secret => "{ env: NAME }".to_owned(),
            Is::Event | Is::Given(_) => "{ order_id: 1 }".to_owned(),
            Is::Any => "1".to_owned(),
        }
    }
}

impl Key {
    /// A value as it could stand in a file: the default, else an example of its kind.
    pub fn example(&self) -> String {
        match self.need {
            Need::Default(text) => text.to_owned(),
            _ => self.is.example(),
        }
    }
}
