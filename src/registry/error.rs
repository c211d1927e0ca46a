//! What can go wrong with the registry, and what must happen then.

use std::time::Duration;

use crate::record::{Class, Fault};

/// An answer that the registry did not give, or one that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The settings cannot be used.
    #[error("the registry's settings: {0}")]
    Settings(String),
    /// No connection, or it broke.
    #[error("the registry at {url} cannot be reached: {cause}")]
    Unreachable {
        /// The base URL or the host.
        url: String,
        /// The chain of causes.
        cause: String,
    },
    /// It took longer than the limit.
    #[error("the registry at {url} gave no whole answer within {limit:?}")]
    Timeout {
        /// The base URL or the host.
        url: String,
        /// The limit.
        limit: Duration,
    },
    /// 401 or 403.
    #[error(
        "the registry at {url} refuses our credentials (HTTP {status}): set the ones that it knows, \
         or grant them read access"
    )]
    Unauthorized {
        /// The base URL or the host.
        url: String,
        /// 401 or 403.
        status: u16,
    },
    /// 5xx, 408, 425 or 429: it is there and cannot answer now.
    #[error("the registry at {url} cannot answer now (HTTP {status}): {message}")]
    Busy {
        /// The base URL or the host.
        url: String,
        /// The status.
        status: u16,
        /// Its own words, cut.
        message: String,
    },
    /// 3xx: never followed.
    #[error(
        "the registry at {url} redirects (HTTP {status}), which is never followed: set the URL that it \
         points to"
    )]
    Redirected {
        /// The base URL or the host.
        url: String,
        /// The status.
        status: u16,
    },
    /// An answer that no registry gives: garbage, too large, a page of something else.
    #[error("the registry at {url} gave an answer that is none: {what}")]
    BadReply {
        /// The base URL or the host.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The registry itself says that it has no such subject, version or schema.
    #[error("the registry says that there is no such thing ({code}): {message}")]
    Absent {
        /// 40401 subject, 40402 version, 40403 schema.
        code: u32,
        /// Its own words, cut.
        message: String,
    },
    /// The registry refuses what we sent: not compatible, not a schema, read-only.
    #[error("the registry refuses it (HTTP {status}, {code}): {message}")]
    Refused {
        /// 400, 409, 413 or 422.
        status: u16,
        /// Its own code.
        code: u32,
        /// Its own words, cut.
        message: String,
    },
    /// Denied, but not yet for as long as the grace time.
    #[error(
        "the registry says that it has no schema with id {id}; it is asked again for up to {grace:?}"
    )]
    NotYetKnown {
        /// The id.
        id: u32,
        /// The grace time.
        grace: Duration,
    },
    /// Denied for longer than the grace time.
    #[error(
        "the registry has said for more than {grace:?} that it has no schema with id {id}: was the record \
         written with another registry?"
    )]
    Unknown {
        /// The id.
        id: u32,
        /// The grace time.
        grace: Duration,
    },
    /// The id stood for another schema before.
    #[error(
        "the registry gives another schema for id {id} than before ({before}): an id never changes, so \
         nothing is decoded with either; if the registry was rebuilt on purpose, {remedy}"
    )]
    Changed {
        /// The id.
        id: u32,
        /// Where the other one is known from.
        before: &'static str,
        /// What to do after making sure.
        remedy: String,
    },
    /// A whole, honest answer that no record can be decoded with.
    #[error("the schema cannot be used: {0}")]
    Unusable(String),
}

impl Error {
    /// The class, with the reason for each.
    pub fn classify(&self) -> Class {
        match self {
            // Only a person can mend them, and nothing was asked yet.
            Error::Settings(_) => Class::Fatal,
            // The registry, or the way to it, is down or throttles: the work waits. Credentials are here
            // because they are rotated, and garbage because it comes from what stands between.
            Error::Unreachable { .. }
            | Error::Timeout { .. }
            | Error::Unauthorized { .. }
            | Error::Busy { .. }
            | Error::Redirected { .. }
            | Error::BadReply { .. } => Class::Unavailable,
            // It may be a replica that is behind; the grace time tells.
            Error::NotYetKnown { .. } => Class::Unavailable,
            // Whoever asks for a subject handles it; where nobody does, the configuration names a
            // subject that is not there.
            Error::Absent { .. } => Class::Fatal,
            // What we send is fixed by the configuration: sending it again changes nothing.
            Error::Refused { .. } => Class::Fatal,
            // The record's id will never be known.
            Error::Unknown { .. } => Class::Poison,
            // Decoding money with the wrong schema is worse than standing still.
            Error::Changed { .. } => Class::Fatal,
            // The id is known and its schema will never decode anything.
            Error::Unusable(_) => Class::Poison,
        }
    }

    /// A bounded word, safe as a metric label.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Settings(_) => "registry_settings",
            Error::Unreachable { .. } => "registry_unreachable",
            Error::Timeout { .. } => "registry_timeout",
            Error::Unauthorized { .. } => "registry_unauthorized",
            Error::Busy { .. } => "registry_busy",
            Error::Redirected { .. } => "registry_redirected",
            Error::BadReply { .. } => "registry_bad_reply",
            Error::Absent { .. } => "registry_absent",
            Error::Refused { .. } => "schema_refused",
            Error::NotYetKnown { .. } => "schema_not_yet_known",
            Error::Unknown { .. } => "unknown_schema",
            Error::Changed { .. } => "schema_changed",
            Error::Unusable(_) => "unusable_schema",
        }
    }

    /// May the same question be answered a moment later? Credentials and redirects do not mend
    /// themselves within a second.
    pub(super) fn is_passing(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::Timeout { .. }
                | Error::Busy { .. }
                | Error::BadReply { .. }
        )
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::new(error.classify(), error.code(), error.to_string())
    }
}
