//! From a letter to the bytes of a mail: the same letter gives the same bytes, at every try and in every
//! process.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{MultiPart, SinglePart};
use sha2::{Digest as _, Sha256};

use super::{Letter, Mailbox};
use crate::record::{Fault, Value};

/// What tells a mail from all others, and a repeat of it not at all: made of the consumer group and the
/// event's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(String);

/// The last second of the year 9999: what a date in a mail can say.
const SECONDS_MAX: u64 = 253_402_300_799;
/// Longer lines are folded.
const LINE_MAX: usize = 76;
/// Bytes of text in one encoded word: with its frame it has 75 characters, the most allowed.
const WORD_BYTES: usize = 45;

impl Id {
    /// The id of an event's mail.
    ///
    /// # Errors
    /// `Poison`: the event has no id that is text, a UUID or a number.
    pub(super) fn of(group: &str, id: &Value<'_>) -> Result<Self, Fault> {
        let id = match id {
            Value::Str(id) => (*id).to_owned(),
            Value::Uuid(id) => id.to_string(),
            Value::Int(id) => id.to_string(),
            _ => {
                let reason =
                    "the event's id is no text, UUID or number: correct `id` in the pipeline file";
                return Err(Fault::poison("mail_id", reason));
            }
        };
        let hash = Sha256::new().chain_update((group.len() as u64).to_be_bytes());
        Ok(Self(hex(&hash.chain_update(group).chain_update(id).finalize()[..16])))
    }

    /// 32 hexadecimal digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The mail of a letter. `domain` is what follows the `@` of its Message-ID, the sender's where nobody says
/// another; `timestamp` the record's, in milliseconds, for the date.
///
/// # Errors
/// `Fatal`: the mail library does not take what it must; a defect.
pub(super) fn write(
    letter: &Letter,
    id: &Id,
    domain: Option<&str>,
    timestamp: Option<i64>,
) -> Result<String, Fault> {
    let (from, to) = (&letter.from, &letter.to);
    let defect = |e: &dyn std::fmt::Display| Fault::fatal("defect", format!("making a mail: {e}"));
    let domain = domain.unwrap_or_else(|| from.address.domain());
    let seconds = u64::try_from(timestamp.unwrap_or(0) / 1000).unwrap_or(0).min(SECONDS_MAX);
    let envelope = Envelope::new(Some(from.address.clone()), vec![to.address.clone()])
        .map_err(|e| defect(&e))?;
    let builder = Message::builder()
        .envelope(envelope)
        .raw_header(mailbox("From", from))
        .raw_header(mailbox("To", to))
        .raw_header(header("Subject", letter.subject.clone(), encoded(&letter.subject, "Subject")))
        .date(UNIX_EPOCH + Duration::from_secs(seconds))
        .message_id(Some(format!("<{}@{domain}>", id.as_str())))
        .raw_header(header("Auto-Submitted", String::new(), "auto-generated".to_owned()));
    let text = SinglePart::plain(letter.text.clone());
    let message = match &letter.html {
        None => builder.singlepart(text),
        Some(html) => builder.multipart(
            MultiPart::alternative()
                .boundary(boundary(id, letter))
                .singlepart(text)
                .singlepart(SinglePart::html(html.clone())),
        ),
    };
    String::from_utf8(message.map_err(|e| defect(&e))?.formatted()).map_err(|e| defect(&e))
}

/// What parts the text from the HTML. It is a hash of both, so neither can contain it.
fn boundary(id: &Id, letter: &Letter) -> String {
    let mut hash = Sha256::new().chain_update(id.as_str());
    for text in std::iter::once(&letter.text).chain(&letter.html) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hex(&hash.finalize()[..20])
}

fn mailbox(name: &'static str, mailbox: &Mailbox) -> HeaderValue {
    let address = mailbox.address.to_string();
    let value = match &mailbox.name {
        None => address.clone(),
        Some(said) if plain(said) && name.len() + said.len() + address.len() + 8 <= LINE_MAX => {
            format!("\"{}\" <{address}>", said.replace('\\', "\\\\").replace('"', "\\\""))
        }
        Some(said) => format!("{}\r\n <{address}>", words(said)),
    };
    header(name, address, value)
}

/// A header whose value is written here, as it stands in the mail; `meant` is what it means.
fn header(name: &'static str, meant: String, written: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), meant, written)
}

/// Free text in a header: as it is where that is safe and short, else as encoded words.
fn encoded(text: &str, name: &str) -> String {
    if plain(text) && name.len() + 2 + text.len() <= LINE_MAX {
        text.to_owned()
    } else {
        words(text)
    }
}

/// Visible ASCII with single spaces, and nothing that a reader would decode.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?") && !text.contains("  ")
}

/// Encoded words (RFC 2047), one a line: readers join them again without what is between.
fn words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.floor_char_boundary(WORD_BYTES);
        let (word, after) = rest.split_at(end);
        words.push(format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
        rest = after;
    }
    words.join("\r\n ")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use mail_parser::{Address, MessageParser, MimeHeaders as _};
    use proptest::prelude::*;

    use super::*;
    use crate::sink::mail::clean;

    fn letter(name: &str, subject: &str, text: &str, html: Option<&str>) -> Letter {
        let name = Some(clean::line(name)).filter(|name| !name.is_empty());
        let address = |text: &str| text.parse().unwrap();
        Letter {
            from: Mailbox { name: None, address: address("shop@shop.example") },
            to: Mailbox { name, address: address("anna@customers.example") },
            subject: clean::line(subject),
            text: clean::body(text),
            html: html.map(clean::body),
        }
    }

    fn id() -> Id {
        Id::of("ordermill.email", &Value::Str("e-1")).unwrap()
    }

    fn written(letter: &Letter) -> String {
        write(letter, &id(), None, Some(1_767_607_200_123)).unwrap()
    }

    #[test]
    fn a_plain_mail_reads_as_it_was_meant() {
        let letter = letter("Anna", "Your order of 2 lamps", "Hello Anna,\n\nthanks.", None);
        assert_eq!(
            written(&letter),
            "From: shop@shop.example\r\n\
             To: \"Anna\" <anna@customers.example>\r\n\
             Subject: Your order of 2 lamps\r\n\
             Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n\
             Message-ID: <de793e5f2ee96dd1f069fbe517e450ec@shop.example>\r\n\
             Auto-Submitted: auto-generated\r\n\
             MIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 7bit\r\n\
             \r\n\
             Hello Anna,\r\n\r\nthanks.\r\n"
        );
    }

    #[test]
    fn an_id_is_of_the_group_and_the_event_and_of_nothing_else() {
        let of = |group, id: &str| Id::of(group, &Value::Str(id)).unwrap();
        assert_eq!(of("g", "1"), of("g", "1"));
        assert_eq!(of("g", "17"), Id::of("g", &Value::Int(17)).unwrap());
        for (group, id) in [("g", "2"), ("h", "1"), ("g1", ""), ("", "g1")] {
            assert_ne!(of(group, id), of("g", "1"));
        }
        assert!(Id::of("g", &Value::Null).is_err());
    }

    #[test]
    fn any_timestamp_gives_a_date() {
        let letter = letter("a", "b", "c", None);
        for (timestamp, year) in
            [(None, 1970), (Some(-1), 1970), (Some(i64::MIN), 1970), (Some(i64::MAX), 9999)]
        {
            let mail = write(&letter, &id(), Some("d.example"), timestamp).unwrap();
            let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
            assert_eq!(parsed.date().unwrap().year, year);
            assert!(parsed.message_id().unwrap().ends_with("@d.example"));
        }
    }

    /// Text as a hostile producer would send it.
    fn hostile() -> impl Strategy<Value = String> {
        let nasty = prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\0",
            "\u{1b}[2J",
            "Bcc: eve@evil.example",
            "To: eve@evil.example",
            "\r\n.\r\n",
            "\r\n\r\n",
            "=?utf-8?q?=0D=0ABcc:_eve@evil.example?=",
            "<eve@evil.example>",
            ",",
            ";",
            ":",
            "\"",
            "\\",
            "--",
            "Content-Type: text/html",
            "  ",
            "\t",
            "ü",
            "🏮",
            "\u{2028}",
            "\u{85}",
            "?=",
            "=?",
            "lamp",
            " ",
        ]);
        let word = prop_oneof![nasty.prop_map(str::to_owned), any::<String>(), "[ -~]{0,100}"];
        prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
    }

    fn check(letter: &Letter) -> Result<(), TestCaseError> {
        let mail = written(letter);
        prop_assert!(mail.is_ascii());
        let bare = mail.as_bytes().windows(2).any(|two| (two[1] == b'\n') != (two[0] == b'\r'));
        prop_assert!(!bare, "a line break that is none");
        prop_assert!(mail.split("\r\n").all(|line| line.len() <= 998));
        let (head, _) = mail.split_once("\r\n\r\n").unwrap();
        let names: Vec<_> = head
            .split("\r\n")
            .filter(|line| !line.starts_with(' '))
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect();
        let mut expected: Vec<_> = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
        ]
        .into();
        if letter.html.is_none() {
            expected.push("Content-Transfer-Encoding");
        }
        prop_assert_eq!(names, expected);
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        prop_assert_eq!(parsed.subject().unwrap_or_default(), &letter.subject);
        let Some(Address::List(to)) = parsed.to() else { panic!("{:?}", parsed.to()) };
        prop_assert_eq!(to.len(), 1);
        prop_assert_eq!(to[0].address(), Some("anna@customers.example"));
        prop_assert_eq!(to[0].name(), letter.to.name.as_deref());
        prop_assert!(parsed.cc().is_none() && parsed.bcc().is_none());
        let lines = |text: &str| text.replace("\r\n", "\n").trim_end_matches('\n').to_owned();
        prop_assert_eq!(lines(&parsed.body_text(0).unwrap()), letter.text.clone());
        prop_assert_eq!(parsed.text_body_count(), 1);
        prop_assert_eq!(parsed.attachment_count(), 0);
        if let Some(html) = &letter.html {
            prop_assert_eq!(lines(&parsed.body_html(0).unwrap()), html.clone());
            let types = parsed.parts.iter().filter_map(|part| part.content_type());
            prop_assert_eq!(types.count(), 3);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn whatever_the_fields_say_it_is_one_mail_to_one_recipient_with_that_subject(
            name in hostile(), subject in hostile(), text in hostile(), html in prop::option::of(hostile())
        ) {
            check(&letter(&name, &subject, &text, html.as_deref()))?;
        }
    }

    #[test]
    fn names_of_ten_kilobytes_are_folded() {
        for text in ["x".repeat(10_000), "🏮".repeat(2_500), "a b ".repeat(2_500)] {
            check(&letter(&text, &text, &text, Some(&text))).unwrap();
        }
    }

    #[test]
    fn a_text_cannot_contain_its_own_boundary() {
        let mut text = "x".to_owned();
        for _ in 0..3 {
            let letter = letter("a", "b", &text, Some("<p>"));
            let before = boundary(&id(), &letter);
            text = format!("--{before}\r\nContent-Type: text/html\r\n\r\nevil\r\n--{before}--");
            let forged = self::letter("a", "b", &text, Some("<p>"));
            assert_ne!(boundary(&id(), &forged), before);
            check(&forged).unwrap();
        }
    }

    #[test]
    fn a_repeat_has_the_same_bytes() {
        let letter = letter("Änne", "ü", "text", Some("<p>"));
        assert_eq!(written(&letter), written(&letter));
    }
}
