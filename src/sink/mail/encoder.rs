//! From an event to a mail's bytes: pure.

use std::sync::Arc;

use super::form::Form;
use super::message::{self, Id};
use super::template::Templates;
use crate::port::Encode;
use crate::record::{End, Record, Scope};

/// Makes the mail of each event.
pub(super) struct Encoder {
    pub(super) templates: Arc<Templates>,
    /// The consumer group: with the event's id it makes the Message-ID.
    pub(super) group: Arc<str>,
    /// The Message-ID's domain; nothing: the sender's.
    pub(super) domain: Option<Arc<str>>,
}

impl Encode for Encoder {
    fn encode(
        &mut self,
        scope: &Scope<'_>,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End> {
        let letter = self.templates.render(scope)?;
        let id = Id::of(&self.group, &scope.id).map_err(End::Fault)?;
        let mail = message::write(&letter, &id, self.domain.as_deref(), record.timestamp)
            .map_err(End::Fault)?;
        let (from, to) = (letter.from.address.to_string(), letter.to.address.to_string());
        Form { id: id.as_str(), from: &from, to: &to, mail: &mail }.put(out);
        Ok(())
    }
}
