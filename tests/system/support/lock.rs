//! A table that somebody else holds.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use super::Postgres;

/// An open transaction that locks a table for itself; it ends with this value.
#[derive(Debug)]
pub(crate) struct Lock(Child);

impl Lock {
    /// Returns when the lock is held.
    #[track_caller]
    pub(crate) fn on(database: &Postgres, table: &str) -> Self {
        Self::by(database, &format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    }

    /// Returns when all rows of the table are locked: they can be read, and not changed.
    #[track_caller]
    pub(crate) fn on_rows(database: &Postgres, table: &str) -> Self {
        let all = format!("PERFORM 1 FROM {table} FOR UPDATE");
        Self::by(database, &format!("DO $$ BEGIN {all}; END $$"))
    }

    #[track_caller]
    fn by(database: &Postgres, statement: &str) -> Self {
        let mut psql = Command::new("psql");
        psql.arg(database.url()).args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
        let mut psql = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut orders = psql.stdin.as_ref().unwrap();
        writeln!(orders, "BEGIN; {statement}; SELECT 'locked';").unwrap();
        let mut said = String::new();
        BufReader::new(psql.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Self(psql)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // it reads the end of its input, leaves, and the server rolls back
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
