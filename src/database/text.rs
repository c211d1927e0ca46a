//! An SQL statement as a pipeline file says it, with `:name` where values go.
//!
//! Read by the lexical rules that PostgreSQL and SQLite share, so that nothing inside of a string, a quoted
//! name or a comment is taken for a name. Values are bound, never written into the text.

use std::fmt::{self, Write};

/// What a statement may begin with: whatever can be prepared, and does not end or leave a transaction.
const COMMANDS: [&str; 7] = ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "WITH", "SELECT"];

/// Those of which "no row changed" means that nothing did: the others may change more than the rows they count.
const PLAIN: [&str; 5] = ["INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE"];

/// One statement with the names of its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlText {
    pieces: Vec<Piece>,
    names: Vec<Name>,
    plain: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Sql(String),
    /// The parameter of this index.
    Parameter(usize),
}

/// A parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Without the colon.
    pub name: String,
    /// The byte at which it stands for the first time.
    pub at: usize,
}

/// What is wrong with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The byte at which it stands.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: &'static str,
}

impl SqlText {
    /// Reads a statement. A semicolon at its end is left out.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as its text tells.
    pub fn parse(text: &str) -> Result<Self, Vec<Flaw>> {
        let mut reader = Reader { text, at: 0, copied: 0, flaws: Vec::new(), read: Self::empty() };
        let mut first = None;
        let mut end = None;
        while let Some(token) = reader.next() {
            match token {
                Token::Blank => continue,
                Token::End(at) => {
                    end.get_or_insert(at);
                    continue;
                }
                Token::Word(at) => {
                    first.get_or_insert_with(|| (at, &text[at..reader.at]));
                }
                Token::Other(at) => {
                    first.get_or_insert((at, ""));
                }
            }
            if let Some(semicolon) = end {
                reader.flaw(semicolon, "more than one statement", "leave one, without `;`");
                break;
            }
        }
        reader.copy_to(end.unwrap_or(text.len()));
        reader.read.plain = command(first, &mut reader);
        match reader.flaws.is_empty() {
            true => Ok(reader.read),
            false => Err(reader.flaws),
        }
    }

    fn empty() -> Self {
        Self { pieces: Vec::new(), names: Vec::new(), plain: false }
    }

    /// The parameters, each once, in the order in which they come first.
    pub fn names(&self) -> &[Name] {
        &self.names
    }

    /// Does it change nothing when it counts no changed row?
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }

    /// The statement with numbered marks behind `sign`, from 1.
    pub(super) fn numbered(&self, sign: char) -> String {
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Sql(text) => sql.push_str(text),
                // Writing to memory cannot fail.
                Piece::Parameter(index) => {
                    let _ = write!(sql, "{sign}{}", index + 1);
                }
            }
        }
        sql
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what, self.hint)
    }
}

/// Is it one that may be run for each event? And is it plain?
fn command(first: Option<(usize, &str)>, reader: &mut Reader<'_>) -> bool {
    const HINT: &str =
        "write one INSERT, UPDATE, DELETE, MERGE, REPLACE, or one that begins with WITH or SELECT";
    let Some((at, word)) = first else {
        reader.flaw(0, "there is no statement", HINT);
        return false;
    };
    let word = word.to_ascii_uppercase();
    if !COMMANDS.contains(&&*word) {
        let what = match word.is_empty() {
            true => "a statement does not begin like this".to_owned(),
            false => format!("{word} cannot be run for each event"),
        };
        reader.flaws.push(Flaw { at, what, hint: HINT });
    }
    PLAIN.contains(&&*word)
}

/// A stretch of text; where it began.
enum Token {
    /// White space or a comment.
    Blank,
    /// A semicolon.
    End(usize),
    /// A word without quotes.
    Word(usize),
    Other(usize),
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Up to here the text stands in pieces.
    copied: usize,
    flaws: Vec<Flaw>,
    read: SqlText,
}

fn begins_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

/// Letters beyond ASCII count, and the dollar sign, as in both databases.
fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || !byte.is_ascii()
}

impl Reader<'_> {
    fn flaw(&mut self, at: usize, what: &str, hint: &'static str) {
        self.flaws.push(Flaw { at, what: what.to_owned(), hint });
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn copy_to(&mut self, end: usize) {
        if end > self.copied {
            self.read.pieces.push(Piece::Sql(self.text[self.copied..end].to_owned()));
            self.copied = end;
        }
    }

    fn next(&mut self) -> Option<Token> {
        let at = self.at;
        if at >= self.text.len() {
            return None;
        }
        Some(match (self.byte(0), self.byte(1)) {
            (byte, _) if byte.is_ascii_whitespace() => {
                self.at += 1;
                Token::Blank
            }
            (b'-', b'-') => {
                let rest = &self.text[at..];
                self.at += rest.find('\n').unwrap_or(rest.len());
                Token::Blank
            }
            (b'/', b'*') => {
                self.comment();
                Token::Blank
            }
            (b';', _) => {
                self.at += 1;
                Token::End(at)
            }
            (b'\'', _) => self.quoted(b'\'', false, "this string never ends"),
            (b'"', _) => self.quoted(b'"', false, "this quoted name never ends"),
            (b'`', _) => self.quoted(b'`', false, "this quoted name never ends"),
            // A string in which a backslash escapes.
            (b'e' | b'E', b'\'') => {
                self.at += 1;
                self.quoted(b'\'', true, "this string never ends")
            }
            (b':', b':') => {
                self.at += 2;
                Token::Other(at)
            }
            (b':', next) if begins_name(next) => self.parameter(),
            (b'$', _) => self.dollar(),
            (byte, _) if begins_name(byte) || !byte.is_ascii() => {
                self.word();
                Token::Word(at)
            }
            // A number, with what may follow it: `1e5`, `0x1f`.
            (byte, _) if byte.is_ascii_digit() => {
                self.word();
                Token::Other(at)
            }
            _ => {
                self.at += 1;
                Token::Other(at)
            }
        })
    }

    fn word(&mut self) {
        while in_word(self.byte(0)) && self.at < self.text.len() {
            self.at += 1;
        }
    }

    /// Comments nest, as in PostgreSQL.
    fn comment(&mut self) {
        let at = self.at;
        let mut depth = 0;
        while self.at < self.text.len() {
            match (self.byte(0), self.byte(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        self.flaw(at, "this comment never ends", "end it with `*/`");
    }

    /// The quote itself is doubled inside.
    fn quoted(&mut self, quote: u8, escapes: bool, unended: &str) -> Token {
        let at = self.at;
        self.at += 1;
        while self.at < self.text.len() {
            match self.byte(0) {
                b'\\' if escapes => self.at += 2,
                byte if byte == quote && self.byte(1) == quote => self.at += 2,
                byte if byte == quote => {
                    self.at += 1;
                    return Token::Other(at);
                }
                _ => self.at += 1,
            }
        }
        self.at = self.text.len();
        self.flaw(at, unended, "put its closing quote");
        Token::Other(at)
    }

    fn parameter(&mut self) -> Token {
        let at = self.at;
        self.copy_to(at);
        self.at += 1;
        let start = self.at;
        while begins_name(self.byte(0)) || self.byte(0).is_ascii_digit() {
            self.at += 1;
        }
        let name = &self.text[start..self.at];
        let known = self.read.names.iter().position(|known| known.name == name);
        let index = known.unwrap_or_else(|| {
            self.read.names.push(Name { name: name.to_owned(), at });
            self.read.names.len() - 1
        });
        self.read.pieces.push(Piece::Parameter(index));
        self.copied = self.at;
        Token::Other(at)
    }

    /// `$tag$ … $tag$` is a string; `$1` would be taken for one of ours.
    fn dollar(&mut self) -> Token {
        let at = self.at;
        self.at += 1;
        if self.byte(0).is_ascii_digit() {
            self.word();
            self.flaw(at, "a parameter by its number", "write `:name`, with the event's field");
            return Token::Other(at);
        }
        while begins_name(self.byte(0)) || self.byte(0).is_ascii_digit() {
            self.at += 1;
        }
        if self.byte(0) != b'$' {
            return Token::Other(at);
        }
        self.at += 1;
        let tag = &self.text[at..self.at];
        match self.text[self.at..].find(tag) {
            Some(end) => self.at += end + tag.len(),
            None => {
                self.at = self.text.len();
                let what = format!("this {tag} string never ends");
                self.flaws.push(Flaw { at, what, hint: "put its closing tag" });
            }
        }
        Token::Other(at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(text: &str) -> String {
        let read = SqlText::parse(text).unwrap_or_else(|flaws| panic!("{text}: {flaws:?}"));
        let names: Vec<_> = read.names().iter().map(|name| name.name.as_str()).collect();
        format!("{} | {}", read.numbered('$'), names.join(" "))
    }

    #[test]
    fn a_name_outside_of_quotes_and_comments_is_a_parameter_and_nothing_else_is() {
        let table = [
            (
                "UPDATE s SET a = a - :q WHERE k = :k AND a >= :q",
                "UPDATE s SET a = a - $1 WHERE k = $2 AND a >= $1 | q k",
            ),
            (
                "SELECT :a::text, b :: int, ':b', \":c\", `:d`",
                "SELECT $1::text, b :: int, ':b', \":c\", `:d` | a",
            ),
            (
                "SELECT 'it''s :a', E'\\':b', e'\\\\', :c",
                "SELECT 'it''s :a', E'\\':b', e'\\\\', $1 | c",
            ),
            ("SELECT '\\', :c", "SELECT '\\', $1 | c"),
            (
                "SELECT $$ :a $$, $t$ :b $$ :c $t$, x$1, :d",
                "SELECT $$ :a $$, $t$ :b $$ :c $t$, x$1, $1 | d",
            ),
            (
                "-- :a; BEGIN\nUPDATE t SET b = :b -- :c",
                "-- :a; BEGIN\nUPDATE t SET b = $1 -- :c | b",
            ),
            (
                "/* :a /* ; */ :b */ DELETE FROM t WHERE a = :c",
                "/* :a /* ; */ :b */ DELETE FROM t WHERE a = $1 | c",
            ),
            ("SELECT f(a := :a), c[1:2], :_x9y", "SELECT f(a := $1), c[1:2], $2 | a _x9y"),
            ("SELECT 'é:a', é, :b; -- done", "SELECT 'é:a', é, $1 | b"),
            ("insert into t values (:a,:b)", "insert into t values ($1,$2) | a b"),
        ];
        for (text, want) in table {
            assert_eq!(numbered(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_single_command_is_refused_at_its_place() {
        let table = [
            ("BEGIN", "0: BEGIN cannot be run for each event"),
            ("  commit", "2: COMMIT cannot be run for each event"),
            ("-- x\n VACUUM", "6: VACUUM cannot be run for each event"),
            ("(SELECT 1)", "0: a statement does not begin like this"),
            ("DELETE FROM a; DELETE FROM b", "13: more than one statement"),
            ("DELETE FROM a;;DELETE FROM b", "13: more than one statement"),
            ("UPDATE t SET a = 'x", "17: this string never ends"),
            ("UPDATE \"t SET a = 1", "7: this quoted name never ends"),
            ("SELECT $a$ $b$", "7: this $a$ string never ends"),
            ("DELETE /* /* */ FROM t", "7: this comment never ends"),
            ("DELETE FROM t WHERE a = $1", "24: a parameter by its number"),
            (" -- nothing", "0: there is no statement"),
        ];
        for (text, want) in table {
            let flaws = SqlText::parse(text).unwrap_err();
            let said: Vec<_> = flaws.iter().map(|f| format!("{}: {}", f.at, f.what)).collect();
            assert_eq!(said, [want], "{text}");
        }
        let all = SqlText::parse("COMMIT $1; 'x").unwrap_err();
        assert_eq!(all.len(), 4, "all at once: {all:?}");
    }

    #[test]
    fn only_what_counts_all_it_changes_is_plain() {
        let plain = |text| SqlText::parse(text).unwrap().is_plain();
        assert!(plain("update t set a = 1"));
        assert!(!plain("WITH x AS (DELETE FROM t) UPDATE u SET a = 1"));
        assert!(!plain("SELECT f()"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end_and_kept_whole(text in "[ae:;$'\"`/*\\-\\\\ \n1é_]{0,40}") {
            let text = format!("SELECT {text}");
            if let Ok(read) = SqlText::parse(&text) {
                let mut again = String::new();
                for piece in &read.pieces {
                    match piece {
                        Piece::Sql(sql) => again.push_str(sql),
                        Piece::Parameter(index) => {
                            again.push(':');
                            again.push_str(&read.names[*index].name);
                        }
                    }
                }
                prop_assert!(text.starts_with(&again), "{:?} of {:?}", again, text);
            }
        }
    }
}
