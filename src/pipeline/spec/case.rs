//! `cases`: the tests that a file carries.

use jiff::Timestamp;

use super::grammar::{CASE, EXPECT, GIVEN};
use super::{Node, Place};
use crate::config::grammar::Part;
use crate::config::units;

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it shows; no two of a file have the same.
    pub name: String,
    /// Where it stands.
    pub at: Place,
    /// The records, at least one.
    pub given: Vec<Given>,
    /// What becomes of them.
    pub expect: Expect,
}

/// A record that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Where it stands.
    pub at: Place,
    /// Its value.
    pub payload: Payload,
    /// Its key, by the source's `key_type`.
    pub key: Option<Node>,
    /// Its headers, in the order of the file.
    pub headers: Vec<(String, String)>,
    /// Its timestamp; 1970 where the file says none.
    pub timestamp: Timestamp,
}

/// The value of a given record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// An event, to be encoded by the reader schema. Its scalars are text: the schema says what they are.
    Event(Node),
    /// These bytes.
    Raw(Vec<u8>),
    /// No value.
    Tombstone,
}

/// What is expected, exactly and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect {
    /// Where it stands.
    pub at: Place,
    /// What the sink is given.
    pub effects: Vec<Node>,
    /// What is dropped.
    pub dropped: Dropped,
    /// Why each is rejected.
    pub rejected: Vec<String>,
}

/// What is expected to be dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// So many, no matter why.
    Count(usize),
    /// For these reasons.
    Reasons(Vec<String>),
}

/// One entry of `cases` of a checked file; nothing where the file is wrong.
pub(super) fn case(node: &Node) -> Option<Case> {
    let part = Part::new(Some(node), &CASE);
    Some(Case {
        name: part.string("name")?,
        at: node.at,
        given: part.node("given")?.items().iter().map(given).collect::<Option<_>>()?,
        expect: expect(part.node("expect")?)?,
    })
}

fn given(node: &Node) -> Option<Given> {
    if !GIVEN.wraps(node) {
        let payload = Payload::Event(node.clone());
        let (at, timestamp) = (node.at, Timestamp::UNIX_EPOCH);
        return Some(Given { at, payload, key: None, headers: Vec::new(), timestamp });
    }
    let part = Part::new(Some(node), &GIVEN);
    let payload = match part.node("value") {
        Some(value) if value.is_null() => Payload::Tombstone,
        Some(value) => Payload::Event(value.clone()),
        None => Payload::Raw(part.base64("raw")?),
    };
    let headers = match part.node("headers") {
        Some(_) => part.entries("headers")?,
        None => Vec::new(),
    };
    let timestamp = match part.text("timestamp") {
        Some(text) => units::time(text.as_str())?,
        None => Timestamp::UNIX_EPOCH,
    };
    Some(Given {
        at: node.at,
        payload,
        key: part.node("key").filter(|key| !key.is_null()).cloned(),
        headers: headers.into_iter().map(|(name, value)| (name.text, value.text)).collect(),
        timestamp,
    })
}

fn expect(node: &Node) -> Option<Expect> {
    let part = Part::new(Some(node), &EXPECT);
    let reasons = |name: &str| -> Option<Vec<String>> {
        match part.node(name) {
            Some(_) => Some(part.texts(name)?.into_iter().map(|reason| reason.text).collect()),
            None => Some(Vec::new()),
        }
    };
    Some(Expect {
        at: node.at,
        effects: part.node("effects").map(|effects| effects.items().to_vec()).unwrap_or_default(),
        dropped: match part.count("dropped") {
            Some(count) => Dropped::Count(count),
            None if part.node("dropped").is_some() => Dropped::Reasons(reasons("dropped")?),
            None => Dropped::Count(0),
        },
        rejected: reasons("rejected")?,
    })
}
