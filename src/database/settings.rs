//! What an operator says of a database, as plain data.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Secret;

/// One database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    /// A PostgreSQL server, 14 or later.
    Postgres(PostgresSettings),
    /// A file, for one process on one machine.
    Sqlite(SqliteSettings),
}

/// A PostgreSQL server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresSettings {
    /// `postgres://user:password@host:port/database?sslmode=…`. TLS as the URL's `sslmode` says:
    /// `require`, `verify-ca` and `verify-full` all check the server's certificate and name; `disable`
    /// goes in the clear. Without one: `disable` for loopback and sockets, else `require`.
    pub url: Secret,
    /// Connections at most, shared by all partitions and pipelines of this database; at least 1.
    pub connections: usize,
    /// A PEM file with the certificate authority of the server, besides the system's own.
    pub ca_file: Option<PathBuf>,
    /// How long things may take.
    pub timeouts: Timeouts,
}

impl PostgresSettings {
    /// Settings with 4 connections and the usual time limits.
    pub fn new(url: Secret) -> Self {
        Self { url, connections: 4, ca_file: None, timeouts: Timeouts::default() }
    }
}

/// A SQLite file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteSettings {
    /// The file; made if missing. Beside it lie `<file>-wal`, `<file>-shm` and the lock `<file>.lock`.
    pub path: PathBuf,
    /// How long a statement waits for another program's lock on the file.
    pub lock: Duration,
}

impl SqliteSettings {
    /// Settings with the usual time limit.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), lock: Duration::from_secs(3) }
    }
}

/// How long things may take. All of them below a pipeline's drain time (20 s), which is below the
/// session of the group: nobody is evicted for waiting on a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first packet to a ready connection.
    pub connect: Duration,
    /// A wait for a lock; then the step is a `Conflict`.
    pub lock: Duration,
    /// A statement. The client itself waits [`Timeouts::GRACE`] longer before it gives the connection up.
    pub statement: Duration,
    /// After this the server ends a transaction whose owner has frozen, so that the next claim gets its
    /// row.
    pub idle_in_transaction: Duration,
}

impl Timeouts {
    /// What a client waits longer than the server, so that normally the server's answer says why.
    pub const GRACE: Duration = Duration::from_secs(2);
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            lock: Duration::from_secs(3),
            statement: Duration::from_secs(10),
            idle_in_transaction: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_shows_in_a_debug_print() {
        let settings = Settings::Postgres(PostgresSettings::new(Secret::written(
            "postgres://me:hunter2@db/shop",
        )));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
