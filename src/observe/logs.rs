//! Logs: to stderr, one line an event, as text or as JSON.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};

use tracing_subscriber::EnvFilter;

use crate::record::is_hidden;

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Form {
    /// For a person.
    #[default]
    Text,
    /// For a collector.
    Json,
}

/// Starts logging. `level` is a filter such as `info` or `ordermill=debug`; what `quiet` names is not said.
///
/// # Errors
/// The filter is not one, or logging was started before.
pub fn start(
    form: Form,
    level: &str,
    quiet: &[&str],
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut filter = EnvFilter::try_new(level)?;
    for target in quiet {
        filter = filter.add_directive(format!("{target}=off").parse()?);
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    match form {
        Form::Text => {
            let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(ansi).with_writer(move || Lines { to: io::stderr(), ansi }).try_init()
        }
        Form::Json => lines.json().with_writer(io::stderr).try_init(),
    }
}

/// Writes each event as one line, whatever a database or a mail server said in it.
#[derive(Debug)]
struct Lines<W> {
    to: W,
    /// Escape sequences are the formatter's own, which lets nobody else's through.
    ansi: bool,
}

impl<W: Write> Write for Lines<W> {
    /// An event comes whole, with its line's end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut line = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            match is_hidden(c) && !(self.ansi && c == '\u{1b}') {
                true => _ = write!(line, "{}", c.escape_default()),
                false => line.push(c),
            }
        }
        line.push('\n');
        self.to.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_visible_characters() {
        let event = "refused: lamp\r\n2026 ERROR all is lost\u{9b}\u{202e}\u{1b}[2J\0 ü\n";
        for (ansi, escape) in [(false, "\\u{1b}"), (true, "\u{1b}")] {
            let mut lines = Lines { to: Vec::new(), ansi };
            lines.write_all(event.as_bytes()).unwrap();
            let line = String::from_utf8(lines.to).unwrap();
            let rest = format!("\\u{{9b}}\\u{{202e}}{escape}[2J\\u{{0}} ü\n");
            assert_eq!(line, format!("refused: lamp\\r\\n2026 ERROR all is lost{rest}"));
        }
    }
}
