//! One address, or none: what a template made of `from` and `to` is parsed, never passed on.

use std::fmt;

use lettre::Address;

use super::clean;

/// A sender or a recipient: an address that stands for itself, and perhaps a name before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name; free text on one line.
    pub name: Option<String>,
    /// The address, `local@domain` in ASCII.
    pub address: Address,
}

/// The longest address that SMTP takes.
const BYTES_MAX: usize = 254;

impl Mailbox {
    /// Reads `local@domain` or `name <local@domain>`.
    ///
    /// What stands in the name can be anything but a second address: an event's text there changes no
    /// recipient.
    ///
    /// # Errors
    /// Why it is not exactly one address, without the text itself.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = clean::line(text);
        let Some(inside) = text.strip_suffix('>') else {
            return Ok(Self { name: None, address: address(&text)? });
        };
        let (name, address_text) = inside.rsplit_once('<').ok_or("has `>` without `<`")?;
        let name = unquoted(name.trim());
        if name.contains(['<', '>']) {
            return Err("has more than one address");
        }
        let name = Some(name).filter(|name| !name.is_empty());
        Ok(Self { name, address: address(address_text.trim())? })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// A name as it was meant: `"Lamps, Inc."` is written with quotes and has none.
fn unquoted(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    }
}

fn address(text: &str) -> Result<Address, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    let (local, domain) = text.rsplit_once('@').ok_or("has no `@`")?;
    if local.contains('@') || text.contains([',', ';']) {
        return Err("has more than one address");
    }
    let dotted = |text: &str, fits: fn(char) -> bool| {
        text.split('.').all(|part| !part.is_empty() && part.chars().all(fits))
    };
    // Quoted local parts, comments and address literals are of the standard and of nobody's use.
    let of_local = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    if !dotted(local, of_local) {
        return Err("has a part before `@` that is no plain ASCII name");
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| "has no valid domain")?;
    if !dotted(&domain, |c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("has no valid domain");
    }
    if local.len() + 1 + domain.len() > BYTES_MAX {
        return Err("is longer than 254 bytes");
    }
    Address::new(local, &domain).map_err(|_| "is no valid address")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_address_is_read_with_or_without_a_name() {
        for (text, name, address) in [
            ("a@b.example", None, "a@b.example"),
            (" a.b+c@shop.example\n", None, "a.b+c@shop.example"),
            ("Shop <a@b.example>", Some("Shop"), "a@b.example"),
            ("<a@b.example>", None, "a@b.example"),
            ("\"Lamps, \\\"Inc.\\\"\" <a@b.example>", Some("Lamps, \"Inc.\""), "a@b.example"),
            ("Müller, GmbH <a@bücher.example>", Some("Müller, GmbH"), "a@xn--bcher-kva.example"),
            ("evil@x.example ( <a@b.example>", Some("evil@x.example ("), "a@b.example"),
            ("x\r\nBcc: y@z.example <a@b.example>", Some("x Bcc: y@z.example"), "a@b.example"),
        ] {
            let read = Mailbox::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
            assert_eq!((read.name.as_deref(), read.address.to_string().as_str()), (name, address));
        }
    }

    #[test]
    fn what_is_not_exactly_one_address_is_refused() {
        for text in [
            "",
            "a",
            "a@",
            "@b.example",
            "a@b.example, c@d.example",
            "a@b.example; c@d.example",
            "A <a@b.example>, C <c@d.example>",
            "a@b.example <c@d.example> <e@f.example>",
            "a@b.example\r\nBcc: c@d.example",
            "a@b.example c@d.example",
            "a b@c.example",
            "\"a b\"@c.example",
            "a..b@c.example",
            "a@b..example",
            "a@[127.0.0.1]",
            "ä@b.example",
            "a@b.example>",
            "friends:a@b.example;",
            "a(comment)@b.example",
            "a@b.example\0",
            &format!("a@{}.example", "b.".repeat(150)),
        ] {
            assert!(Mailbox::parse(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_in_the_name_never_changes_the_recipient(value in "\\PC*|[\\x00-\\x7f]*") {
            for template in [format!("{value} <a@b.example>"), format!("\"{value}\" <a@b.example>")] {
                if let Ok(read) = Mailbox::parse(&template) {
                    prop_assert_eq!(read.address.to_string(), "a@b.example");
                }
            }
        }

        #[test]
        fn a_value_before_a_fixed_domain_never_changes_the_domain(value in "\\PC*|[ -~]*") {
            if let Ok(read) = Mailbox::parse(&format!("{value}@customers.example")) {
                prop_assert_eq!(read.address.domain(), "customers.example");
            }
        }
    }
}
