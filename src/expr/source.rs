//! A piece of text from a pipeline file with its place there.

use super::Error;

/// An expression (or a field's name) as it stands in a pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Source {
    /// The text.
    pub text: String,
    /// The line of its first character in the file, from 1.
    pub line: u32,
    /// The column of its first character in that line, from 1.
    pub column: u32,
}

impl Source {
    /// The text at that place.
    pub fn new(text: impl Into<String>, line: u32, column: u32) -> Self {
        Self { text: text.into(), line, column }
    }

    /// Line and column in the file of an error in this text. Exact where the text stands in the file as
    /// it is (a plain or quoted scalar without escapes); in a folded one the line is near.
    pub fn place(&self, error: &Error) -> (u32, u32) {
        if error.line == 1 {
            (self.line, self.column.saturating_add(error.column - 1))
        } else {
            (self.line.saturating_add(error.line - 1), error.column)
        }
    }
}

impl From<&str> for Source {
    /// The text at the start of a file: for tests and for text that comes from no file.
    fn from(text: &str) -> Self {
        Self::new(text, 1, 1)
    }
}
