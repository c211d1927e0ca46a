//! From text to syntax tree: the `cel` crate parses, behind our own bounds.
//!
//! Its parser recurses with the nesting of the text, and later we recurse with the depth of the tree, so
//! both are bounded before it is called. List functions and `has` are left as the calls that they are
//! written as: an environment without macros.

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::{ParseError, ParseErrors};

use super::error::{Error, Mistake};

/// Bytes of an expression, at most.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Brackets within brackets, at most.
pub const NESTING_MAX: usize = 64;

/// Operators, selections and calls one upon another, brackets included, at most: the depth of the tree.
/// The parts of a `&&` or `||` chain and the items of a list stand side by side and do not count.
pub const CHAIN_MAX: usize = 128;

/// Enough for [`CHAIN_MAX`] in a debug build; only what is touched takes memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Parses a text within bounds.
pub(super) fn parse(text: &str) -> Result<(IdedExpr, SourceInfo), Vec<Error>> {
    let error = |offset, mistake| vec![Error::at(text, offset, mistake)];
    if text.len() > TEXT_BYTES_MAX {
        return Err(error(0, Mistake::TooLong(text.len())));
    }
    if text.trim().is_empty() {
        return Err(error(0, Mistake::Empty));
    }
    if let Some(offset) = too_deep(text) {
        return Err(error(offset, Mistake::TooDeep));
    }
    match on_deep_stack(text) {
        Some(Ok(parsed)) => Ok(parsed),
        Some(Err(errors)) => Err(syntax(text, &errors)),
        None => Err(error(0, Mistake::Syntax("this is no CEL expression".into()))),
    }
}

/// Runs the parser on a thread of its own: it takes up to 200 KiB of stack for a bracket. `None`: it
/// panicked, or there was no thread to be had. The generated parser walks on through what it could not
/// recover, with unwraps of its own; a text that trips one of them is a syntax error like any other.
fn on_deep_stack(text: &str) -> Option<Result<(IdedExpr, SourceInfo), ParseErrors>> {
    let parse = || {
        cel::Env::default()
            .with_optional_support(false)
            .parser()
            .enable_ident_escape_syntax(true)
            .max_recursion_depth(u16::try_from(CHAIN_MAX).unwrap_or(u16::MAX))
            .parse_with_source_info(text)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("expression".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, parse);
        thread.ok()?.join().ok()
    })
}

/// The parser's errors, the first eight of them, each once.
fn syntax(text: &str, errors: &ParseErrors) -> Vec<Error> {
    let mut found: Vec<Error> = errors
        .errors
        .iter()
        .map(|e| Error::at(text, offset(text, e), Mistake::Syntax(message(&e.msg))))
        .collect();
    found.dedup();
    found.truncate(8);
    found
}

fn message(raw: &str) -> String {
    let text = raw.strip_prefix("Syntax error: ").unwrap_or(raw);
    // The list of all tokens that might stand there is longer than the expression.
    let text = text.split(" expecting {").next().unwrap_or(text);
    format!("not CEL: {}", text.replace("'<EOF>'", "the end").replace("<EOF>", "the end"))
}

/// The parser gives line and column, in characters, both from 1.
fn offset(text: &str, error: &ParseError) -> usize {
    let (line, column) = error.pos;
    let (line, column) =
        (usize::try_from(line - 1).unwrap_or(0), usize::try_from(column - 1).unwrap_or(0));
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let within: usize = text[start..].chars().take(column).map(char::len_utf8).sum();
    start + within
}

/// One level of brackets: how deep the tree is so far.
#[derive(Default)]
struct Level {
    /// `?` of this level: each stands upon the next.
    ternaries: usize,
    /// Operators since the last `&&`, `||`, `?`, `:` or comma: each stands upon the one before.
    operators: usize,
    /// Selections, indexes and calls since the last operator, and the most of them.
    selections: usize,
    most_selections: usize,
    /// The deepest bracket since then.
    inner: usize,
    /// The deepest part before.
    deepest: usize,
}

impl Level {
    fn operator(&mut self) {
        self.operators += 1;
        self.selections = 0;
    }

    fn selection(&mut self) {
        self.selections += 1;
        self.most_selections = self.most_selections.max(self.selections);
    }

    fn part(&mut self) {
        let deepest = self.deepest.max(self.part_depth());
        *self = Level { ternaries: self.ternaries, deepest, ..Level::default() };
    }

    fn part_depth(&self) -> usize {
        self.operators + self.most_selections + self.inner
    }

    fn depth(&self) -> usize {
        self.ternaries + self.deepest.max(self.part_depth()) + 1
    }
}

/// The place where the text gets deeper than allowed. Bounds from above: what this lets pass, the parser
/// and everything after it can recurse through.
fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut levels = vec![Level::default()];
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        at += 1;
        let level = levels.last_mut()?;
        match bytes[start] {
            b'"' | b'\'' => at = string_end(bytes, start),
            b'`' => at = escaped_end(bytes, start),
            b'/' if bytes.get(at) == Some(&b'/') => {
                at = bytes[at..].iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| at + n);
            }
            b'(' | b'[' | b'{' => {
                level.selection();
                levels.push(Level::default());
            }
            b')' | b']' | b'}' => close(&mut levels),
            b',' | b':' => level.part(),
            b'&' | b'|' => {
                level.part();
                // Of `&&` the second; a single one is a syntax error.
                at += usize::from(bytes.get(at) == Some(&bytes[start]));
            }
            b'?' => {
                level.ternaries += 1;
                level.part();
            }
            b'.' => level.selection(),
            b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' | b'!' => {
                level.operator();
                // `==` is one operator.
                at += usize::from(bytes.get(at) == Some(&b'='));
            }
            c if c.is_ascii_alphabetic() || c == b'_' => {
                at = word_end(bytes, start);
                match &bytes[start..at] {
                    b"in" => level.operator(),
                    prefix if is_prefix(prefix) && matches!(bytes.get(at), Some(b'"' | b'\'')) => {
                        let raw = prefix.iter().any(|b| b.eq_ignore_ascii_case(&b'r'));
                        at = if raw { raw_end(bytes, at) } else { string_end(bytes, at) };
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        let depth: usize = levels.iter().map(Level::depth).sum();
        if levels.len() > NESTING_MAX + 1 || depth > CHAIN_MAX + levels.len() {
            return Some(start);
        }
    }
    None
}

/// Ends the innermost bracket; one too many is the parser's to refuse.
fn close(levels: &mut Vec<Level>) {
    if let Some(closed) = levels.pop() {
        match levels.last_mut() {
            Some(outer) => outer.inner = outer.inner.max(closed.depth()),
            None => levels.push(closed),
        }
    }
}

fn is_prefix(word: &[u8]) -> bool {
    word.len() <= 2 && word.iter().all(|b| matches!(b, b'r' | b'R' | b'b' | b'B'))
}

fn word_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..]
        .iter()
        .position(|b| !b.is_ascii_alphanumeric() && *b != b'_')
        .map_or(bytes.len(), |n| start + n)
}

/// Behind an escaped name, which may hold points and slashes; behind the sign alone where it is none.
fn escaped_end(bytes: &[u8], start: usize) -> usize {
    let rest = &bytes[start + 1..];
    let name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'/' | b' ');
    match rest.iter().position(|b| !name(b)) {
        Some(end) if rest[end] == b'`' => start + end + 2,
        _ => start + 1,
    }
}

/// Behind a string literal whose quote stands at `start`; an open one ends with the text.
fn string_end(bytes: &[u8], start: usize) -> usize {
    literal_end(bytes, start, true)
}

fn raw_end(bytes: &[u8], start: usize) -> usize {
    literal_end(bytes, start, false)
}

fn literal_end(bytes: &[u8], start: usize, escapes: bool) -> usize {
    let quote = bytes[start];
    let triple = bytes[start..].starts_with(&[quote; 3]);
    let mut at = start + if triple { 3 } else { 1 };
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if escapes => at += 1,
            b if b == quote && !triple => return at + 1,
            b if b == quote && bytes[at..].starts_with(&[quote; 3]) => return at + 3,
            // A single-quoted literal that is not closed on its line: go on as the lexer does, behind
            // the quote, so that brackets in the rest still count.
            b'\n' | b'\r' if !triple => return start + 1,
            _ => {}
        }
        at += 1;
    }
    if triple { bytes.len() } else { start + 1 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn mistake(text: &str) -> Mistake {
        parse(text).unwrap_err().swap_remove(0).mistake
    }

    #[test]
    fn deep_texts_are_refused_before_they_are_parsed() {
        for (open, body, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{'a':", "1", "}"),
            ("f(", "1", ")"),
            ("!(", "true", ")"),
            ("-(", "1", ")"),
        ] {
            let text = |n: usize| format!("{}{body}{}", open.repeat(n), close.repeat(n));
            assert!(parse(&text(20)).is_ok(), "{open}");
            assert_eq!(mistake(&text(400)), Mistake::TooDeep, "{open}");
        }
        for part in ["a.", "1 + ", "1 < ", "a ? b : ", "-", "!"] {
            assert_eq!(mistake(&format!("{}a", part.repeat(400))), Mistake::TooDeep, "{part}");
        }
        assert_eq!(mistake(&format!("a{}", "[0]".repeat(400))), Mistake::TooDeep);
    }

    #[test]
    fn depth_does_not_hide_behind_what_looks_like_text_or_a_comment() {
        let deep = format!("{}1{}", "(".repeat(900), ")".repeat(900));
        for before in
            ["a.`b//c` + ", "'\\'' + ", "r'\\' + ", "b'' + ", "\"\"\"'\"\"\" + ", "// '\n", "'a\n"]
        {
            assert_eq!(mistake(&format!("{before}{deep}")), Mistake::TooDeep, "{before}");
        }
        // No token at all, so the parser meets the brackets: it has its own bound and stack.
        assert!(parse(&format!("'\\q{deep}'")).is_err());
        assert!(parse(&format!("'\\q{}1'", "1+".repeat(1_900))).is_err());
    }

    #[test]
    fn what_stands_side_by_side_is_not_deep() {
        assert!(parse(&vec!["a.b == 1"; 200].join(" && ")).is_ok());
        assert!(parse(&format!("a in [{}]", vec!["-1"; 500].join(", "))).is_ok());
        assert!(parse("'((((((' + r'[[[[\\' + \"\"\"{{{'\"{\"\"\" // ((((((").is_ok());
    }

    #[test]
    fn the_deepest_allowed_text_is_parsed_on_a_small_stack() {
        let nested = format!("{}a{}", "(".repeat(62), ")".repeat(62));
        let chained = format!("a{}", " + a".repeat(120));
        let ternary = format!("{}a", "a ? a : ".repeat(120));
        let run = move || [nested, chained, ternary].map(|text| parse(&text).is_ok());
        let ok = std::thread::Builder::new()
            .stack_size(2 * 1024 * 1024)
            .spawn(run)
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(ok, [true; 3]);
    }

    #[test]
    fn an_error_of_the_parser_has_its_place() {
        let errors = parse("'é' +\n  * 2").unwrap_err();
        assert_eq!((errors[0].line, errors[0].column), (2, 3), "{errors:?}");
        assert_eq!(mistake("  "), Mistake::Empty);
        assert_eq!(mistake(&"a".repeat(5000)), Mistake::TooLong(5000));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn no_text_panics_through(text in "[a-c0-9 .,()\\[\\]{}'\"\\\\?:!&|<>=+*/%rbé\n`-]{0,60}") {
            let _ = parse(&text);
        }
    }
}
