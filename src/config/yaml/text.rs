//! Text from a file that remembers where each of its characters stood.

use std::fmt;

use super::Place;

/// Text and the place of its first character. An error inside the text can be told as a place in the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    /// The text itself: without quotes, escapes resolved, lines folded.
    pub text: String,
    /// Where its first character stands.
    pub at: Place,
    /// Where the text goes on elsewhere than right after what came before: at line breaks and after escapes.
    turns: Vec<Turn>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Turn {
    byte: usize,
    at: Place,
}

impl Text {
    /// Text on one line that begins at `at`.
    pub fn new(text: impl Into<String>, at: Place) -> Self {
        Self { text: text.into(), at, turns: Vec::new() }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where in the file the character at this byte of the text stands; past the end: just behind it.
    pub fn place(&self, byte: usize) -> Place {
        let byte = byte.min(self.text.len());
        let turns = self.turns.partition_point(|turn| turn.byte <= byte);
        let (from, at) = match self.turns[..turns].last() {
            Some(turn) => (turn.byte, turn.at),
            None => (0, self.at),
        };
        let between = self.text.as_bytes().get(from..byte).unwrap_or_default();
        let columns = between.iter().filter(|byte| starts_character(**byte)).count();
        Place::new(at.line, at.column.saturating_add(u32::try_from(columns).unwrap_or(u32::MAX)))
    }

    /// Where in the file the character at this line and column of the text stands, both from 1, columns in
    /// characters.
    pub fn place_of(&self, line: usize, column: usize) -> Place {
        let start = match line {
            0 | 1 => 0,
            _ => {
                let mut breaks = self.text.match_indices('\n');
                breaks.nth(line - 2).map_or(self.text.len(), |(byte, _)| byte + 1)
            }
        };
        let rest = &self.text[start..];
        let within = rest.char_indices().nth(column.saturating_sub(1));
        self.place(within.map_or(self.text.len(), |(byte, _)| start + byte))
    }

    /// Text that was read from `source` (from its first character on, at `at`), which says it in YAML's
    /// way: with folded lines, indentation and escapes.
    pub(super) fn aligned(text: String, source: &str, at: Place, quote: Quote) -> Self {
        let mut turns = Vec::new();
        let mut cursor = Cursor { rest: source, at, quote };
        let mut expected = at;
        for (byte, character) in text.char_indices() {
            if !character.is_whitespace() {
                cursor.skip_blanks();
            }
            if cursor.at != expected {
                turns.push(Turn { byte, at: cursor.at });
            }
            let before = cursor.at;
            cursor.pass(character);
            expected = Place::new(before.line, before.column.saturating_add(1));
        }
        Self { text, at, turns }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.text, self.at)
    }
}

/// How a scalar was written, as far as it changes what stands for a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quote {
    /// Plain, or a block: each character stands for itself.
    None,
    /// `''` stands for a quote.
    Single,
    /// A backslash escapes.
    Double,
}

/// Goes through a scalar's source beside its text.
struct Cursor<'a> {
    rest: &'a str,
    at: Place,
    quote: Quote,
}

impl Cursor<'_> {
    /// Line breaks, escaped ones too, and the indentation behind them; before a character that is not blank.
    fn skip_blanks(&mut self) {
        loop {
            let escaped = self.rest.starts_with("\\\n") || self.rest.starts_with("\\\r");
            if !(self.rest.starts_with(char::is_whitespace)
                || self.quote == Quote::Double && escaped)
            {
                return;
            }
            self.step();
        }
    }

    /// Passes what stands for `character` in the source.
    fn pass(&mut self, character: char) {
        match (self.quote, self.rest.chars().next()) {
            (Quote::Double, Some('\\')) => self.escape(),
            (Quote::Single, Some('\'')) => {
                self.step();
                self.step();
            }
            (_, Some(_)) if character == '\n' => {
                while self.rest.starts_with([' ', '\t', '\r']) {
                    self.step();
                }
                self.step();
            }
            (_, Some(_)) => self.step(),
            (_, None) => {}
        }
    }

    /// `\n`, `\x41`, `\u0041`, `\U00000041` or a surrogate pair.
    fn escape(&mut self) {
        self.step();
        let digits = match self.rest.as_bytes() {
            [b'x', ..] => 2,
            [b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', ..] => 10,
            [b'u', ..] => 4,
            [b'U', ..] => 8,
            _ => 0,
        };
        for _ in 0..=digits {
            self.step();
        }
    }

    fn step(&mut self) {
        let mut characters = self.rest.chars();
        match characters.next() {
            Some('\r') if characters.as_str().starts_with('\n') => {}
            Some('\n' | '\r') => self.at = Place::new(self.at.line.saturating_add(1), 1),
            Some(_) => self.at.column = self.at.column.saturating_add(1),
            None => {}
        }
        self.rest = characters.as_str();
    }
}

fn starts_character(byte: u8) -> bool {
    byte & 0xc0 != 0x80
}
