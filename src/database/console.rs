//! Plain SQL on a SQLite file, beside the writer: making a demo's tables, reading back what was written.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Error;
use super::sqlite;

/// A connection of its own; small statements, by hand.
#[derive(Debug)]
pub struct Console(Connection);

impl Console {
    /// Opens a file; makes it where it is missing.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Connection::open(path).map(Self).map_err(|error| sqlite::error("opening a file", &error))
    }

    /// Runs statements one after another.
    ///
    /// # Errors
    /// One is refused.
    pub fn run(&self, sql: &str) -> Result<(), Error> {
        self.0.execute_batch(sql).map_err(|error| sqlite::error("running a script", &error))
    }

    /// All rows of a query, each value as text; null is empty.
    ///
    /// # Errors
    /// The query is refused.
    pub fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, Error> {
        let failed = |error: rusqlite::Error| sqlite::error("running a query", &error);
        let mut statement = self.0.prepare(sql).map_err(failed)?;
        let columns = statement.column_count();
        let read =
            |row: &rusqlite::Row<'_>| (0..columns).map(|i| row.get_ref(i).map(text)).collect();
        statement.query_map([], read).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}
