//! What a mail server's answer means: for this mail, or for all of them.

use std::error::Error as _;
use std::io;

use lettre::transport::smtp;

use crate::record::{Class, Fault};

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Connecting, the greeting, `EHLO`.
    Connect,
    /// `STARTTLS`.
    Encrypt,
    /// `AUTH`.
    Login,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`.
    Recipient,
    /// `DATA` and the mail itself.
    Content,
}

/// When it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Before the first record: what is wrong is most likely the settings.
    Bind,
    /// It has worked before: what is wrong is most likely passing.
    Later,
}

impl When {
    /// The class of what an operator must have set wrong, if it never worked.
    fn setup(self) -> Class {
        match self {
            When::Bind => Class::Fatal,
            When::Later => Class::Unavailable,
        }
    }
}

/// The fault that an error is; `server` is where, for messages.
pub(super) fn classify(server: &str, stage: Stage, when: When, error: &smtp::Error) -> Fault {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let (class, code, said) = match error.status() {
        Some(status) => {
            let status = u16::from(status);
            let detail = enhanced(&cause);
            let (class, code) = of_answer(stage, when, status, detail);
            // What a server says of a mail may repeat its address.
            let said = match stage {
                Stage::Connect | Stage::Encrypt | Stage::Login => format!("{status} {cause}"),
                Stage::Sender | Stage::Recipient | Stage::Content => {
                    format!("{status} {}", detail.unwrap_or_default())
                }
            };
            (class, code, said)
        }
        None => {
            let (class, code) = of_failure(stage, when, error);
            (class, code, error.to_string())
        }
    };
    Fault::new(class, code, format!("{server}: {}: {}", stage.told(), line(&said)))
}

impl Stage {
    fn told(self) -> &'static str {
        match self {
            Stage::Connect => "connecting to the mail server",
            Stage::Encrypt => "starting TLS",
            Stage::Login => "logging in",
            Stage::Sender => "the sender was not taken",
            Stage::Recipient => "the recipient was not taken",
            Stage::Content => "the mail was not taken",
        }
    }
}

/// An answer by its code and, where there is one, its detail such as `4.3.1`.
fn of_answer(stage: Stage, when: When, status: u16, detail: Option<&str>) -> (Class, &'static str) {
    let passing = (400..500).contains(&status);
    match (stage, status) {
        // The server is closing, whatever was asked.
        (_, 421) => (Class::Unavailable, "smtp_closing"),
        // It does not serve us now: overload, a block list, a start that is not finished.
        (Stage::Connect, _) => (Class::Unavailable, "smtp_greeting"),
        (Stage::Encrypt, _) => (Class::Unavailable, "smtp_starttls"),
        // 454: its own check of passwords is away.
        (Stage::Login, _) if passing => (Class::Unavailable, "smtp_login"),
        (Stage::Login, _) => (when.setup(), "smtp_login"),
        // It wants us to log in, or better than we did; a password that was changed while we run.
        (_, 530 | 534 | 535 | 538) => (Class::Unavailable, "smtp_login"),
        // It does not know our commands or their order: the talk is at fault, not the mail.
        (_, 500 | 502 | 503) => (Class::Unavailable, "smtp_protocol"),
        // Nothing was said of the mail yet but who sends it: too many mails, no room, no answer from a check.
        (Stage::Sender, _) if passing => (Class::Unavailable, "smtp_throttled"),
        (Stage::Sender, _) => (Class::Poison, "smtp_sender"),
        // The system behind it, or the way there, is full or down (RFC 3463).
        (_, _) if detail.is_some_and(|d| d.starts_with("4.3.") || d.starts_with("4.4.")) => {
            (Class::Unavailable, "smtp_system")
        }
        // This mailbox is busy, full or greylisted; this mail may pass later.
        (Stage::Recipient, _) if passing => (Class::Retryable, "smtp_recipient"),
        (Stage::Content, _) if passing => (Class::Retryable, "smtp_content"),
        // No such mailbox; a mail that it will never take.
        (Stage::Recipient, _) => (Class::Poison, "smtp_recipient"),
        (Stage::Content, _) => (Class::Poison, "smtp_content"),
    }
}

/// No answer: a network that fails, a server that speaks nonsense, a certificate.
fn of_failure(stage: Stage, when: When, error: &smtp::Error) -> (Class, &'static str) {
    // Only `AUTH` ends at the client: the server knows none of the ways to log in.
    if stage == Stage::Login && error.is_client() {
        return (when.setup(), "smtp_login");
    }
    let (mut tls, mut network) = (error.is_tls(), false);
    let mut next = error.source();
    while let Some(cause) = next {
        tls |= cause.is::<native_tls::Error>();
        network |= cause.is::<io::Error>();
        next = cause.source();
    }
    match tls && !network {
        // A certificate that is expired, of another host or of an unknown authority.
        true => (when.setup(), "smtp_tls"),
        false => (Class::Unavailable, "smtp_connection"),
    }
}

/// The detail of an answer, `class.subject.detail`, at its beginning.
fn enhanced(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let digits =
        |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    (word.split('.').count() == 3 && word.split('.').all(digits)).then_some(word)
}

/// What a stranger says, on one line and within bounds.
fn line(text: &str) -> String {
    super::clean::line(text).chars().take(200).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_speaks_of_the_mail_or_of_the_server() {
        use Class::{Fatal, Poison, Retryable, Unavailable};
        use Stage::{Connect, Content, Encrypt, Login, Recipient, Sender};
        for (stage, status, detail, at_bind, later) in [
            (Connect, 421, None, Unavailable, Unavailable),
            (Connect, 450, None, Unavailable, Unavailable),
            (Connect, 554, None, Unavailable, Unavailable),
            (Encrypt, 454, None, Unavailable, Unavailable),
            (Login, 454, None, Unavailable, Unavailable),
            (Login, 535, Some("5.7.8"), Fatal, Unavailable),
            (Login, 504, None, Fatal, Unavailable),
            (Sender, 530, None, Unavailable, Unavailable),
            (Sender, 451, None, Unavailable, Unavailable),
            (Sender, 452, None, Unavailable, Unavailable),
            (Sender, 503, None, Unavailable, Unavailable),
            (Sender, 553, None, Poison, Poison),
            (Recipient, 421, None, Unavailable, Unavailable),
            (Recipient, 450, None, Retryable, Retryable),
            (Recipient, 451, Some("4.7.1"), Retryable, Retryable),
            (Recipient, 452, None, Retryable, Retryable),
            (Recipient, 451, Some("4.3.0"), Unavailable, Unavailable),
            (Recipient, 550, Some("5.1.1"), Poison, Poison),
            (Content, 451, None, Retryable, Retryable),
            (Content, 452, Some("4.3.1"), Unavailable, Unavailable),
            (Content, 552, None, Poison, Poison),
            (Content, 554, None, Poison, Poison),
        ] {
            let class = |when| of_answer(stage, when, status, detail).0;
            assert_eq!(
                (class(When::Bind), class(When::Later)),
                (at_bind, later),
                "{stage:?} {status} {detail:?}"
            );
        }
    }

    #[test]
    fn a_detail_is_three_numbers_at_the_beginning() {
        assert_eq!(enhanced("4.3.1 full"), Some("4.3.1"));
        for text in ["", "full 4.3.1", "4.3", "4.3.x", "4.3.1.2", "10.0.0.1 rejected"] {
            assert_eq!(enhanced(text), None, "{text}");
        }
    }
}
