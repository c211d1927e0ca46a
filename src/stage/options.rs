//! What a pipeline file says about its stages: plain data, one variant a stage.

use super::{check, dedup, drop, filter, keep, map, set, unnest};

/// One stage as the pipeline file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Options {
    /// See [`filter`].
    Filter(filter::Options),
    /// See [`check`].
    Check(check::Options),
    /// See [`map`].
    Map(map::Options),
    /// See [`set`].
    Set(set::Options),
    /// See [`keep`].
    Keep(keep::Options),
    /// See [`drop`].
    Drop(drop::Options),
    /// See [`unnest`].
    Unnest(unnest::Options),
    /// See [`dedup`].
    Dedup(dedup::Options),
}

impl Options {
    /// The stage's word in the file.
    pub fn name(&self) -> &'static str {
        match self {
            Options::Filter(_) => filter::NAME,
            Options::Check(_) => check::NAME,
            Options::Map(_) => map::NAME,
            Options::Set(_) => set::NAME,
            Options::Keep(_) => keep::NAME,
            Options::Drop(_) => drop::NAME,
            Options::Unnest(_) => unnest::NAME,
            Options::Dedup(_) => dedup::NAME,
        }
    }
}
