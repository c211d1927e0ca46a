//! What can go wrong with an effect, by what must happen next.

use std::borrow::Cow;
use std::fmt;

/// The five classes. Each edge maps its own errors to them in one function, `classify`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The dependency is down or throttles. Never an attempt: the work waits until it is back.
    Unavailable,
    /// A database conflict of concurrent work. Run again, halved; no attempt, no breaker.
    Conflict,
    /// This record failed and may succeed later. Counts as an attempt.
    Retryable,
    /// This record can never succeed.
    Poison,
    /// The program or its configuration is wrong, or the client is fenced for good. The pipeline halts.
    Fatal,
}

impl Class {
    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Unavailable => "unavailable",
            Class::Conflict => "conflict",
            Class::Retryable => "retryable",
            Class::Poison => "poison",
            Class::Fatal => "fatal",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failure with its class. `code` is a short stable word for metrics, `reason` is for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What must happen next.
    pub class: Class,
    /// A bounded word such as `truncated`, `unique_violation`, `connection`: safe as a metric label.
    pub code: Cow<'static, str>,
    /// What happened, where, and what to do: one line, without the record's content.
    pub reason: String,
}

impl Fault {
    /// A fault of that class.
    pub fn new(
        class: Class,
        code: impl Into<Cow<'static, str>>,
        reason: impl Into<String>,
    ) -> Self {
        Self { class, code: code.into(), reason: reason.into() }
    }

    /// The dependency is away.
    pub fn unavailable(code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::new(Class::Unavailable, code, reason)
    }

    /// This record can never succeed.
    pub fn poison(code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::new(Class::Poison, code, reason)
    }

    /// The pipeline cannot go on.
    pub fn fatal(code: impl Into<Cow<'static, str>>, reason: impl Into<String>) -> Self {
        Self::new(Class::Fatal, code, reason)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.class, self.code, self.reason)
    }
}

impl std::error::Error for Fault {}
