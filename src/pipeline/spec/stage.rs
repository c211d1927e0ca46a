//! `stages`: what happens to an event on its way.

use super::grammar::{CHECK, DEDUP, ROUTE, UNNEST};
use super::{Node, Text};
use crate::config::grammar::Part;
use crate::config::yaml::Entry;

/// One stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Goes on with events of which it is true.
    Filter(Text),
    /// Goes on with events that keep the rule.
    Check {
        /// True of a good event.
        rule: Text,
        /// Why the others are rejected.
        reason: String,
    },
    /// Makes a new event of these fields.
    Map(Vec<(String, Text)>),
    /// Adds or replaces these fields.
    Set(Vec<(String, Text)>),
    /// Keeps only these fields.
    Keep(Vec<Text>),
    /// Leaves these fields out.
    Drop(Vec<Text>),
    /// Makes one event of each item of a list.
    Unnest {
        /// The list.
        field: Text,
        /// The field that holds the item.
        as_: String,
    },
    /// Drops events seen lately.
    Dedup {
        /// What makes two events the same; nothing: their id.
        by: Option<Text>,
        /// How many are remembered, per partition.
        window: usize,
    },
    /// Says which topic an event goes to.
    Route(Route),
}

/// `route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Conditions and topics, asked in this order.
    pub when: Vec<(Text, String)>,
    /// What happens when none is true.
    pub otherwise: Otherwise,
}

/// `else` of `route`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Goes to this topic.
    Topic(String),
    /// Dropped.
    Drop,
    /// Rejected.
    Reject,
}

impl Stage {
    /// Its word in pipeline files, also the label in metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Stage::Filter(_) => "filter",
            Stage::Check { .. } => "check",
            Stage::Map(_) => "map",
            Stage::Set(_) => "set",
            Stage::Keep(_) => "keep",
            Stage::Drop(_) => "drop",
            Stage::Unnest { .. } => "unnest",
            Stage::Dedup { .. } => "dedup",
            Stage::Route(_) => "route",
        }
    }
}

/// One entry of `stages` of a checked file; nothing where the file is wrong.
pub(super) fn stage(node: &Node) -> Option<Stage> {
    let [Entry { key, value }] = node.entries() else { return None };
    Some(match key.as_str() {
        "filter" => Stage::Filter(text(value)?),
        "check" => {
            let part = Part::new(Some(value), &CHECK);
            Stage::Check { rule: part.text("rule")?, reason: part.string("reason")? }
        }
        "map" => Stage::Map(named(value)?),
        "set" => Stage::Set(named(value)?),
        "keep" => Stage::Keep(value.texts()?),
        "drop" => Stage::Drop(value.texts()?),
        "unnest" => {
            let part = Part::new(Some(value), &UNNEST);
            Stage::Unnest { field: part.text("field")?, as_: part.string("as")? }
        }
        "dedup" => {
            let part = Part::new(Some(value), &DEDUP);
            Stage::Dedup { by: part.text("by"), window: part.count("window")? }
        }
        "route" => Stage::Route(route(value)?),
        _ => return None,
    })
}

fn route(node: &Node) -> Option<Route> {
    let (last, before) = node.items().split_last()?;
    let when = |item: &Node| {
        let part = Part::new(Some(item), &ROUTE);
        Some((part.text("when")?, part.string("topic")?))
    };
    let otherwise = match Part::new(Some(last), &ROUTE).string("else")?.as_str() {
        "drop" => Otherwise::Drop,
        "reject" => Otherwise::Reject,
        topic => Otherwise::Topic(topic.to_owned()),
    };
    Some(Route { when: before.iter().map(when).collect::<Option<_>>()?, otherwise })
}

fn text(node: &Node) -> Option<Text> {
    node.scalar().map(|scalar| scalar.text.clone())
}

/// Names and expressions.
pub(super) fn named(node: &Node) -> Option<Vec<(String, Text)>> {
    Some(node.text_entries()?.into_iter().map(|(name, value)| (name.text, value)).collect())
}
