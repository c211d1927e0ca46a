//! What a mail says, before it is a mail.

use serde_json::{Value as Json, json};

use super::Mailbox;

/// One rendered mail: one sender, one recipient, text that cannot become a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The sender.
    pub from: Mailbox,
    /// The recipient.
    pub to: Mailbox,
    /// The subject, on one line.
    pub subject: String,
    /// The text; its lines end with `\n`.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
}

impl Letter {
    /// As cases of a pipeline file say it: `{ from, to, subject, text, html? }`.
    pub fn to_json(&self) -> Json {
        let mut shown = json!({
            "from": self.from.to_string(),
            "to": self.to.to_string(),
            "subject": self.subject,
            "text": self.text,
        });
        if let Some(html) = &self.html {
            shown["html"] = json!(html);
        }
        shown
    }
}
