//! What is asked of a statement that runs once for each effect, and how it is judged.

use std::borrow::Cow;
use std::ops::Range;

use super::SqlType;
use crate::record::{Effects, End, Offset};

/// How many rows a statement must change, and how a record ends whose did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// So many rows, for each effect of the record.
    pub rows: u64,
    /// Dropped; else rejected.
    pub drops: bool,
}

impl Demand {
    /// How the record ends of which an effect changed so many rows.
    fn end(self, changed: u64) -> End {
        if self.drops {
            return End::Drop(Cow::Borrowed("rows"));
        }
        let rows = |n| if n == 1 { "1 row".to_owned() } else { format!("{n} rows") };
        End::Reject(format!("execute changed {}, not {}", rows(changed), self.rows).into())
    }

    /// How a record ends by the rows that its effects changed; `None`: in its effects.
    pub(super) fn judge(self, changed: &[u64]) -> Option<End> {
        changed.iter().find(|n| **n != self.rows).map(|n| self.end(*n))
    }
}

/// What a database says of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The types of its parameters, in the order of their names.
    pub parameters: Vec<SqlType>,
    /// The same as the server names them, so that every connection has the same ones.
    pub(super) types: Vec<tokio_postgres::types::Type>,
}

/// Cuts rows into records: the effects of one stay together.
pub(super) fn records(effects: &Effects, rows: Range<usize>) -> Vec<(Offset, Range<usize>)> {
    let mut records: Vec<(Offset, Range<usize>)> = Vec::new();
    for row in rows {
        let offset = effects.offset(row);
        match records.last_mut() {
            Some((last, range)) if *last == offset => range.end = row + 1,
            _ => records.push((offset, row..row + 1)),
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_in_its_effects_only_when_each_changed_what_is_demanded() {
        let demand = Demand { rows: 1, drops: false };
        assert_eq!(demand.judge(&[1, 1, 1]), None);
        assert_eq!(
            demand.judge(&[1, 0, 1]),
            Some(End::Reject("execute changed 0 rows, not 1".into()))
        );
        let drops = Demand { rows: 2, drops: true };
        assert_eq!(drops.judge(&[1]), Some(End::Drop("rows".into())));
    }
}
