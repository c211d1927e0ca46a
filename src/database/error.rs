//! What can go wrong with a database, and what must happen then.

use std::path::PathBuf;
use std::time::Duration;

use crate::record::{Class, Fault};

/// A failure of a database. Never carries a row's content: servers put that into their `DETAIL`, which is
/// left behind where their answer is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The database answered with an error.
    #[error("{doing}: {message} ({state})")]
    Answer {
        /// What was being done.
        doing: &'static str,
        /// SQLSTATE, or SQLite's extended result code.
        state: String,
        /// The answer without values.
        message: String,
        /// What must happen next, by the table of the driver.
        class: Class,
        /// A short stable word for it.
        code: &'static str,
    },
    /// There is no connection, or it broke: what was being done may have happened or not.
    #[error("{doing}: {cause}")]
    Connection {
        /// What was being done.
        doing: &'static str,
        /// What the socket, TLS or protocol said.
        cause: String,
    },
    /// No answer in time; the connection was given up.
    #[error("{doing}: no answer within {after:?}")]
    Timeout {
        /// What was being done.
        doing: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The settings cannot work.
    #[error("database settings: {0}")]
    Settings(String),
    /// Another process writes this file.
    #[error(
        "{path} is in use by another process: SQLite has one writer; stop the other one, or use PostgreSQL"
    )]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// A file cannot be opened.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// The database is not as this program needs it; the text says what to do.
    #[error("{0}")]
    Unfit(String),
    /// A partition was claimed while it was being moved.
    #[error("a partition that another tool has moved was claimed meanwhile; it is looked at again")]
    Overtaken,
    /// This program broke its own rule.
    #[error("{0}: this is a defect of ordermill, please report it")]
    Defect(&'static str),
}

impl Error {
    /// What must happen next.
    pub fn classify(&self) -> Class {
        match self {
            Error::Answer { class, .. } => *class,
            // It may come back; whether the work was done, the next look tells.
            Error::Connection { .. } | Error::Timeout { .. } => Class::Unavailable,
            // A disk may come back, and a person may be copying the file.
            Error::File { .. } => Class::Unavailable,
            // The next look tells where it stands.
            Error::Overtaken => Class::Unavailable,
            // Nothing changes without a person.
            Error::Settings(_) | Error::InUse { .. } | Error::Unfit(_) | Error::Defect(_) => {
                Class::Fatal
            }
        }
    }

    /// A short stable word, safe as a metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Answer { code, .. } => code,
            Error::Connection { .. } => "connection",
            Error::Timeout { .. } => "timeout",
            Error::Settings(_) => "settings",
            Error::InUse { .. } => "in_use",
            Error::File { .. } => "file",
            Error::Unfit(_) => "unfit",
            Error::Overtaken => "overtaken",
            Error::Defect(_) => "defect",
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(error.classify(), error.code(), error.to_string())
    }
}
