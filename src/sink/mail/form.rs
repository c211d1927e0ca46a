//! An effect on its way from the encoder to the transport: who, to whom, and the mail's bytes.

use lettre::Address;
use lettre::address::Envelope;

use crate::record::Fault;

/// A mail and its envelope.
#[derive(Debug)]
pub(super) struct Form<'a> {
    /// The Message-ID's part before the `@`: 32 hexadecimal digits.
    pub(super) id: &'a str,
    /// The sender.
    pub(super) from: &'a str,
    /// The recipient.
    pub(super) to: &'a str,
    /// The mail with its headers: ASCII.
    pub(super) mail: &'a str,
}

impl<'a> Form<'a> {
    /// Appends it to `out`: the first three in a line (none of them has a space in it), then the mail.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{} {} {}\n", self.id, self.from, self.to).as_bytes());
        out.extend_from_slice(self.mail.as_bytes());
    }

    /// Reads what [`Form::put`] wrote.
    ///
    /// # Errors
    /// `Fatal`: it did not; a defect.
    pub(super) fn read(effect: &'a [u8]) -> Result<Self, Fault> {
        let split = || {
            let (line, mail) = std::str::from_utf8(effect).ok()?.split_once('\n')?;
            let mut words = line.split(' ');
            let (id, from, to) = (words.next()?, words.next()?, words.next()?);
            Some(Self { id, from, to, mail })
        };
        split().ok_or_else(defect)
    }

    /// Sender and recipient for SMTP.
    ///
    /// # Errors
    /// `Fatal`: they are no addresses; a defect, since the encoder has read them as such.
    pub(super) fn envelope(&self) -> Result<Envelope, Fault> {
        let address = |text: &str| text.parse::<Address>().map_err(|_| defect());
        Envelope::new(Some(address(self.from)?), vec![address(self.to)?]).map_err(|_| defect())
    }
}

fn defect() -> Fault {
    Fault::fatal("defect", "the mail sink was given an effect that its encoder did not make")
}
