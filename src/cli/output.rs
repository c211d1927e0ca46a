//! Printing: data to stdout, and to nobody if nobody reads.

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

/// Prints a line to stdout. A reader that has gone (`| head`) is no error.
pub(super) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(io::stdout().lock(), "{text}");
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
