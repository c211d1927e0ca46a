//! What a table is like, as its catalog tells.

use std::fmt;

/// A table that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its full name, quoted for SQL.
    pub name: String,
    /// Its columns in their order.
    pub columns: Vec<TableColumn>,
    /// The sets of columns that are unique, each usable as a conflict's target.
    pub unique: Vec<Vec<String>>,
    /// Who we are to it, for what must be granted; empty where there are no grants.
    pub role: String,
}

impl Table {
    /// A column by its exact name.
    pub fn column(&self, name: &str) -> Option<&TableColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Is there a unique index over exactly these columns?
    pub fn is_unique(&self, columns: &[String]) -> bool {
        self.unique.iter().any(|unique| {
            unique.len() == columns.len() && columns.iter().all(|column| unique.contains(column))
        })
    }
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of the catalog, and they are independent"
)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type as declared, for messages.
    pub declared: String,
    /// Its type.
    pub ty: SqlType,
    /// Refuses null.
    pub not_null: bool,
    /// Gets a value when none is given.
    pub has_default: bool,
    /// Takes no value from us: computed, or an identity that is always generated.
    pub generated: bool,
    /// We may insert into it.
    pub may_insert: bool,
    /// We may update it.
    pub may_update: bool,
    /// We may read it; a conflict's target needs that.
    pub may_select: bool,
}

/// A column's type in its own database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlType {
    /// In PostgreSQL.
    Postgres(PostgresType),
    /// In SQLite.
    Sqlite(Affinity),
}

/// PostgreSQL's types by how a value gets into them. A domain counts as what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`; with a declared scale a value of more digits after the point is refused, not rounded.
    Numeric {
        /// All digits and those of them after the point, where declared.
        digits: Option<(u16, i16)>,
    },
    /// `text`, `varchar`, `char(n)`
    Text {
        /// Characters at most, of a `varchar(n)`.
        max: Option<usize>,
    },
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
    /// `interval`
    Interval,
    /// `json`
    Json,
    /// `jsonb`
    Jsonb,
    /// An enum or another type that is given as text and cast; its name for SQL.
    Cast(String),
    /// A type that nothing goes into.
    Unsupported,
}

/// SQLite's affinities: what a column makes of a value that is put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affinity {
    /// `INTEGER`, and what contains `INT`.
    Integer,
    /// `REAL`, and what contains `REAL`, `FLOA`, `DOUB`.
    Real,
    /// `TEXT`, and what contains `CHAR`, `CLOB`, `TEXT`.
    Text,
    /// `BLOB`, `ANY`, or nothing declared: kept as it comes.
    Blob,
    /// Everything else (`NUMERIC`, `DECIMAL(15,2)`, `DATE`, `BOOLEAN`): text that looks like a number becomes
    /// one, and a number that is not whole becomes a float.
    Numeric,
}

/// What a row does that meets one with the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// It is an error: `Poison`, code `unique_violation`.
    Reject,
    /// It is left out.
    Ignore,
    /// It changes the row that is there.
    Update {
        /// The columns whose equality is the conflict; they must be unique together.
        on: Vec<String>,
        /// The columns that take the new row's values.
        update: Vec<String>,
    },
}

/// A name as SQL's quoted identifier.
pub(super) fn quoted(name: &str) -> Quoted<'_> {
    Quoted(name)
}

/// See [`quoted`].
pub(super) struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for part in self.0.split_inclusive('"') {
            f.write_str(part)?;
            if part.ends_with('"') {
                f.write_str("\"")?;
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_cannot_end_the_name() {
        assert_eq!(quoted("plain").to_string(), "\"plain\"");
        assert_eq!(quoted("a\"; drop").to_string(), "\"a\"\"; drop\"");
    }
}
