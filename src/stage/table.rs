//! The one table of stages: the grammar page is made from it, and a test holds it complete.

use super::{check, dedup, drop, filter, keep, map, route, set, unnest};

/// A stage's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The word in the pipeline file.
    pub name: &'static str,
    /// What may stand behind it; defaults after `=`.
    pub options: &'static str,
    /// What it does, in one line.
    pub does: &'static str,
}

/// All stages, in the order of the grammar page.
pub const TABLE: &[Row] = &[
    Row {
        name: filter::NAME,
        options: "CEL (bool)",
        does: "goes on with events of which it is true; drops the others (`filter`)",
    },
    Row {
        name: check::NAME,
        options: "{ rule: CEL (bool), reason: text }",
        does: "rejects events that break the rule, with that reason",
    },
    Row {
        name: map::NAME,
        options: "{ field: CEL, … }",
        does: "makes a new event of these fields",
    },
    Row {
        name: set::NAME,
        options: "{ field: CEL, … }",
        does: "adds these fields, or replaces those that are there",
    },
    Row { name: keep::NAME, options: "[ field, … ]", does: "keeps only these fields" },
    Row { name: drop::NAME, options: "[ field, … ]", does: "leaves these fields out" },
    Row {
        name: unnest::NAME,
        options: "{ field: field, as: name = item }",
        does: "makes one event of each item of a list: the other fields, and the item as `event.item`; \
               child id = parent/i from 0; an empty list is a drop (`unnest`); one rejected child rejects \
               the record",
    },
    Row {
        name: dedup::NAME,
        options: "{ by: CEL = id, window: records = 10000 }",
        does: "drops an event whose `by` was seen lately in the partition (`duplicate`); best effort \
               within a generation",
    },
    Row {
        name: route::NAME,
        options: "[ { when: CEL (bool), topic: topic }, …, { else: topic, drop or reject } ]",
        does: "says which topic an event goes to; the last stage, with the sink `topic` (`route`; `no route`)",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_file_has_its_row() {
        let files = ["filter", "check", "map", "set", "keep", "drop", "unnest", "dedup", "route"];
        assert_eq!(TABLE.iter().map(|row| row.name).collect::<Vec<_>>(), files);
        let door = include_str!("mod.rs");
        let public = door.lines().filter(|line| line.starts_with("pub mod ")).count();
        assert_eq!(public, files.len(), "a stage is missing from the table");
    }
}
