//! The one table of stages: the grammar's rows are made from it, and tests hold it complete.

use super::{check, dedup, drop, filter, keep, map, route, set, unnest};

/// A stage's row; what may stand behind its word, the grammar of pipeline files says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The word in the pipeline file.
    pub name: &'static str,
    /// What it does, in one line.
    pub does: &'static str,
}

/// All stages, in the order of the grammar page.
pub const TABLE: &[Row] = &[
    filter::ROW,
    check::ROW,
    map::ROW,
    set::ROW,
    keep::ROW,
    drop::ROW,
    unnest::ROW,
    dedup::ROW,
    route::ROW,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_file_has_its_row() {
        let door = include_str!("mod.rs").lines();
        let files = door.filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        assert_eq!(TABLE.iter().map(|row| row.name).collect::<Vec<_>>(), files.collect::<Vec<_>>());
    }
}
