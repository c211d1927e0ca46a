//! PostgreSQL seen through `psql`: an oracle that shares no code with what it judges.

use std::process::Command;

use super::fresh::fresh;
use super::service::Service;
use super::shell::try_output;

/// One database of a running server.
#[derive(Clone, Debug)]
pub(crate) struct Postgres {
    url: String,
}

impl Postgres {
    pub(crate) fn new(url: String) -> Self {
        Self { url }
    }

    /// `postgres://postgres@127.0.0.1:PORT/DATABASE`
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// `host:port`, for a gate before it.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.url.split_once('@').unwrap();
        rest.split_once('/').unwrap().0
    }

    /// The same database by another `host:port`.
    pub(crate) fn url_by(&self, address: &str) -> String {
        self.url.replace(self.address(), address)
    }

    /// The same database for another role.
    pub(crate) fn url_of(&self, role: &str) -> String {
        self.url.replace("//postgres@", &format!("//{role}@"))
    }

    /// A new, empty database on the same server.
    pub(crate) fn fresh_database(&self) -> Self {
        let name = fresh("db");
        self.query(&format!("CREATE DATABASE {name}"));
        let (server, _) = self.url.rsplit_once('/').unwrap();
        Self::new(format!("{server}/{name}"))
    }

    /// What the statements print: a line a row, columns separated by `|`, NULL as nothing.
    #[track_caller]
    pub(crate) fn query(&self, sql: &str) -> String {
        self.try_query(sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// The same for a statement that may fail, as while the server is down.
    pub(crate) fn try_query(&self, sql: &str) -> Result<String, String> {
        let mut psql = Command::new("psql");
        psql.env("PGCONNECT_TIMEOUT", "5").arg(&self.url).args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            sql,
        ]);
        try_output(&mut psql).map(|text| text.trim_end_matches('\n').to_owned())
    }

    /// The rows of a query, each column as text.
    #[track_caller]
    pub(crate) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let text = self.query(sql);
        let columns = |line: &str| line.split('|').map(str::to_owned).collect();
        text.lines().map(columns).collect()
    }
}

impl Service for Postgres {
    const NAME: &'static str = "postgres";

    fn at(address: String) -> Self {
        Self::new(address)
    }
}
