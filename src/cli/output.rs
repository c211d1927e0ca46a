//! Printing: data to stdout, and to nobody if nobody reads.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::record::is_hidden;

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// Prints text that ends its own lines. A reader that has gone is no error.
pub(super) fn text(text: impl std::fmt::Display) {
    let _ = write!(io::stdout().lock(), "{text}");
}

/// Prints a line to stdout at once; answers whether somebody still reads.
pub(super) fn reaches(text: &str) -> bool {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).is_ok()
}

/// Says something to the person at the terminal, on stderr.
pub(super) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Prints a table with a heading, columns aligned, nothing drawn around it.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(NOTHING);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(heading.iter().copied());
    table.add_rows(rows);
    for row in table.lines() {
        line(row.trim_end());
    }
}

/// Text as it may stand on a terminal: in quotes, escaped, where it has anything that does more than show
/// itself, or that a reader could take for the end of it.
pub(super) fn visible(text: &str) -> String {
    let plain = |c: char| !is_hidden(c) && !c.is_whitespace() && c != '"';
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    json_line(&serde_json::Value::from(text))
}

/// JSON on one line without a character that does more than show itself: those are escaped, so that it reads
/// the same.
pub(super) fn json_line(json: &serde_json::Value) -> String {
    let text = json.to_string();
    if !text.chars().any(is_hidden) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = fmt::Write::write_fmt(&mut out, format_args!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_does_more_than_show_itself_is_printed_and_json_reads_the_same() {
        let text = "\u{1b}[31mred\u{7f}\u{9b}2J\r\n\0\u{202e}evil\u{e0041} ü 世界 \"q\"";
        let line = json_line(&serde_json::Value::from(text));
        assert!(!line.chars().any(is_hidden), "{line}");
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        assert_eq!(visible(text), line);
        for plain in ["o-17", "ü", "世界", "{a}"] {
            assert_eq!(visible(plain), plain);
        }
        for (quoted, shown) in [("", "\"\""), ("a b", "\"a b\""), ("\"", "\"\\\"\"")] {
            assert_eq!(visible(quoted), shown);
        }
    }
}
