//! E-mail, one an event: at least once, each with a Message-ID of its own that a repeat has too.
//!
//! ```text
//! read     templates are checked against the event's shape; what they use is what is decoded
//! encode   an event ──▶ a letter ──▶ the mail's bytes, the same at every try (pure, within bounds)
//! effect   the bytes to an SMTP server, or into a folder as a `.eml` file
//! ```
//!
//! What an event says never becomes a header, an address or a line of SMTP by itself: addresses are parsed,
//! header text is encoded, bodies are encoded, and a mail has one recipient or is none.

mod clean;

mod address;

mod values;

mod paths;

mod template;

mod letter;

mod message;

mod form;

mod encoder;

mod reply;

mod smtp;

mod folder;

mod transport;

mod keyed;

pub use address::Mailbox;
pub use keyed::{Mail, Options};
pub use letter::Letter;
pub use template::{Templates, Texts};
pub use transport::Transport;
