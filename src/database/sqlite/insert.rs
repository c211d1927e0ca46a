//! Rows into a table of a SQLite file: one statement, run for each row.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Statement, ToSql};

use super::super::table::quoted;
use super::super::{Conflict, Error, Table};
use super::Sqlite;

/// One value of a row, as SQLite stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Null.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// A 64-bit float.
    Real(f64),
    /// Text.
    Text(&'a [u8]),
    /// Bytes.
    Blob(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Appends it to a row.
    pub fn put(self, row: &mut Vec<u8>) {
        let (tag, bytes) = match self {
            Cell::Null => return row.push(0),
            Cell::Int(value) => {
                row.push(1);
                return row.extend_from_slice(&value.to_le_bytes());
            }
            Cell::Real(value) => {
                row.push(2);
                return row.extend_from_slice(&value.to_le_bytes());
            }
            Cell::Text(text) => (3, text),
            Cell::Blob(bytes) => (4, bytes),
        };
        row.push(tag);
        row.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        row.extend_from_slice(bytes);
    }

    /// Takes the next one off a row; `None`: it is no row.
    pub(super) fn take(row: &mut &'a [u8]) -> Option<Self> {
        let (tag, rest) = row.split_first()?;
        if *tag == 0 {
            *row = rest;
            return Some(Cell::Null);
        }
        let (word, rest) = rest.split_first_chunk::<8>()?;
        *row = rest;
        Some(match tag {
            1 => Cell::Int(i64::from_le_bytes(*word)),
            2 => Cell::Real(f64::from_le_bytes(*word)),
            3 | 4 => {
                let length = usize::try_from(u64::from_le_bytes(*word)).ok()?;
                let (bytes, rest) = rest.split_at_checked(length)?;
                *row = rest;
                if *tag == 3 { Cell::Text(bytes) } else { Cell::Blob(bytes) }
            }
            _ => return None,
        })
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Cell::Null => ValueRef::Null,
            Cell::Int(value) => ValueRef::Integer(value),
            Cell::Real(value) => ValueRef::Real(value),
            Cell::Text(text) => ValueRef::Text(text),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// The statement by which rows get into a table.
#[derive(Clone, Debug)]
pub(in crate::database) struct Insert {
    pub(super) sql: String,
    columns: usize,
}

impl Insert {
    /// Writes the statement for these columns of a table, in this order.
    pub(in crate::database) fn new(table: &Table, columns: &[String], conflict: &Conflict) -> Self {
        let list = |names: &[String]| {
            let quoted: Vec<_> = names.iter().map(|name| quoted(name).to_string()).collect();
            quoted.join(", ")
        };
        let marks: Vec<_> = (1..=columns.len()).map(|i| format!("?{i}")).collect();
        let on = match conflict {
            Conflict::Reject => String::new(),
            Conflict::Ignore => " ON CONFLICT DO NOTHING".to_owned(),
            Conflict::Update { on, update } => {
                let set: Vec<_> =
                    update.iter().map(|name| format!("{0} = excluded.{0}", quoted(name))).collect();
                format!(" ON CONFLICT ({}) DO UPDATE SET {}", list(on), set.join(", "))
            }
        };
        Self {
            sql: format!(
                "INSERT INTO {} ({}) VALUES ({}){on}",
                table.name,
                list(columns),
                marks.join(", ")
            ),
            columns: columns.len(),
        }
    }

    /// Inserts one row.
    pub(super) fn row(&self, statement: &mut Statement<'_>, row: &[u8]) -> rusqlite::Result<()> {
        run(statement, self.columns, row).map(|_| ())
    }
}

/// Runs a statement with the cells of a row; answers how many rows it changed.
pub(super) fn run(
    statement: &mut Statement<'_>,
    cells: usize,
    mut row: &[u8],
) -> rusqlite::Result<u64> {
    for i in 1..=cells {
        let cell =
            Cell::take(&mut row).ok_or_else(|| rusqlite::Error::InvalidParameterCount(i, cells))?;
        statement.raw_bind_parameter(i, cell)?;
    }
    statement.raw_execute().map(|changed| changed as u64)
}

impl Sqlite {
    /// Prepares a statement, so that a table it does not fit is found at bind.
    pub(in crate::database) async fn check(&self, insert: &Insert) -> Result<(), Error> {
        let sql = insert.sql.clone();
        self.run("checking the insert", move |connection| {
            connection.prepare_cached(&sql).map(|_| ())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_row_reads_back_as_it_was_put(
            int: i64, real: f64, text: String, bytes: Vec<u8>
        ) {
            let cells = [
                Cell::Blob(&bytes), Cell::Null, Cell::Int(int), Cell::Text(text.as_bytes()), Cell::Real(real),
            ];
            let mut row = Vec::new();
            for cell in cells {
                cell.put(&mut row);
            }
            let mut rest = &row[..];
            for cell in cells {
                let back = Cell::take(&mut rest).unwrap();
                prop_assert_eq!(format!("{:?}", back), format!("{:?}", cell));
            }
            prop_assert!(rest.is_empty());
            prop_assert!(Cell::take(&mut rest).is_none());
        }
    }
}
