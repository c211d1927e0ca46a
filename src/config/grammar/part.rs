//! Typed values out of a checked file, with the table's defaults.

use std::time::Duration;

use super::scalar::decode_base64;
use super::{Fields, Is, Need};
use crate::config::problem::Place;
use crate::config::units;
use crate::config::yaml::{Node, Text};

/// A map of a file beside the table of its keys. What was left out has its default.
///
/// Everything answers nothing where the file is wrong: the check has said so already.
#[derive(Clone, Copy, Debug)]
pub struct Part<'n> {
    node: Option<&'n Node>,
    fields: &'static Fields,
}

impl<'n> Part<'n> {
    /// The map at `node`; without a node everything has its default.
    pub fn new(node: Option<&'n Node>, fields: &'static Fields) -> Self {
        Self { node, fields }
    }

    /// Where it begins.
    pub fn at(&self) -> Place {
        self.node.map_or(Place::WHOLE, |node| node.at)
    }

    /// The value of a key as it stands in the file.
    pub fn node(&self, name: &str) -> Option<&'n Node> {
        self.node?.get(name)
    }

    /// Where a key's value begins; without it, where the map does.
    pub fn place(&self, name: &str) -> Place {
        self.node(name).map_or_else(|| self.at(), |node| node.at)
    }

    /// The map of a key, whose keys have their defaults if it was left out.
    pub fn part(&self, name: &str) -> Option<Part<'n>> {
        match self.fields.key(name)?.is {
            Is::Fields(fields) => Some(Part::new(self.node(name), fields)),
            _ => None,
        }
    }

    /// The text of a key.
    pub fn text(&self, name: &str) -> Option<Text> {
        match (self.node(name), self.fields.key(name)?.need) {
            (Some(node), _) => node.scalar().map(|scalar| scalar.text.clone()),
            (None, Need::Default(text)) => Some(Text::new(text, Place::WHOLE)),
            (None, _) => None,
        }
    }

    /// The text of a key without its place.
    pub fn string(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| text.text)
    }

    /// A whole number.
    pub fn count<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        let number: u64 = self.text(name)?.text.parse().ok()?;
        N::try_from(number).ok()
    }

    /// A duration.
    pub fn duration(&self, name: &str) -> Option<Duration> {
        units::duration(&self.text(name)?.text)
    }

    /// A size in bytes.
    pub fn size<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        N::try_from(units::size(&self.text(name)?.text)?).ok()
    }

    /// A part of one.
    pub fn ratio(&self, name: &str) -> Option<f64> {
        units::ratio(&self.text(name)?.text)
    }

    /// Bytes in base64.
    pub fn base64(&self, name: &str) -> Option<Vec<u8>> {
        decode_base64(&self.text(name)?.text)
    }

    /// The scalars of a list.
    pub fn texts(&self, name: &str) -> Option<Vec<Text>> {
        self.node(name)?.texts()
    }

    /// The scalars of a map by their names.
    pub fn entries(&self, name: &str) -> Option<Vec<(Text, Text)>> {
        self.node(name)?.text_entries()
    }
}
