//! From bytes to a tree, within bounds.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span};

use super::text::Quote;
use super::{Entry, Kind, Node, Place, Problem, Problems, Scalar, Text};

/// The most bytes that any file read here may have.
pub const BYTES_MAX: usize = 1 << 20;

/// How deep lists and maps may lie in one another.
pub const DEPTH_MAX: usize = 64;

/// How many values, names among them, a file may have.
pub const NODES_MAX: usize = 20_000;

/// What is said of a file that holds nothing.
pub const EMPTY: &str = "is empty";

/// Reads a file of at most `bytes_max` bytes.
///
/// # Errors
/// The file cannot be read, or see [`read`].
pub fn read_file(file: &Path, bytes_max: usize) -> Result<Node, Problems> {
    let cannot = |error: std::io::Error| {
        Problem::new(file, Place::WHOLE, format!("cannot be read: {error}"))
    };
    let limit = bytes_max.min(BYTES_MAX);
    let opened = File::open(file).map_err(cannot)?;
    if opened.metadata().map_err(cannot)?.is_dir() {
        return Err(Problem::new(file, Place::WHOLE, "is a directory, not a file").into());
    }
    let mut bytes = Vec::new();
    opened.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    read(file, &bytes, limit)
}

/// Reads text of at most `bytes_max` bytes; `file` is only its name in errors.
///
/// # Errors
/// Everything that can be said about the text at once; what breaks YAML's own rules ends the reading.
pub fn read(file: &Path, bytes: &[u8], bytes_max: usize) -> Result<Node, Problems> {
    let limit = bytes_max.min(BYTES_MAX);
    if bytes.len() > limit {
        let what = format!("is larger than {limit} bytes");
        return Err(Problem::new(file, Place::WHOLE, what).hint("split it").into());
    }
    let source = utf8(file, bytes)?;
    let mut options = Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    options.emit_anchor_events = true;
    options.flow_nesting_limit = DEPTH_MAX;
    options.block_nesting_limit = DEPTH_MAX;
    options.set_emit_comments(false);

    let mut tree = Tree {
        file,
        source,
        problems: Problems::default(),
        stack: Vec::new(),
        root: None,
        nodes: 0,
    };
    for next in Parser::new_from_str_with_options(source, options) {
        let going = match next {
            Ok((event, span)) => tree.event(event, &span),
            Err(error) => {
                tree.problems.push(explained(file, source, &error));
                false
            }
        };
        if !going {
            break;
        }
    }
    match tree.root {
        Some(root) => tree.problems.or(root),
        None if tree.problems.is_empty() => Err(Problem::new(file, Place::WHOLE, EMPTY).into()),
        None => Err(tree.problems),
    }
}

/// The text, or where it stops being UTF-8.
fn utf8<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    let not = |at, what: String| Problem::new(file, at, what).hint("save the file as UTF-8");
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(not(Place::WHOLE, "is UTF-16".to_owned()));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let good = String::from_utf8_lossy(good);
        let line = good.matches('\n').count() + 1;
        let column = good
            .rsplit('\n')
            .next()
            .map_or(0, |last| last.trim_start_matches('\u{feff}').chars().count());
        let byte = bad.first().copied().unwrap_or_default();
        not(place_of(line, column), format!("is not UTF-8: byte 0x{byte:02x}"))
    })
}

/// The tree while it grows.
struct Tree<'a> {
    file: &'a Path,
    source: &'a str,
    problems: Problems,
    stack: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

/// A list or map whose end has not come.
struct Open {
    at: Place,
    of: Of,
}

enum Of {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// Where each name stood first.
        names: HashMap<String, Place>,
        /// The name whose value comes next; its flag: is the value kept?
        key: Option<(Text, bool)>,
    },
}

impl Tree<'_> {
    /// Takes an event; says whether to go on.
    fn event(&mut self, event: Event<'_>, span: &Span) -> bool {
        let at = place(&span.start);
        // None of these is repeated in the problem: it could be a password without its quotes.
        if event.tag().is_some() {
            let at = span.tag_start().as_ref().map_or(at, place);
            self.problem(
                at,
                "a tag is not allowed".to_owned(),
                "put text that begins with `!` in quotes",
            );
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let scalar = self.scalar(text.into_owned(), style, span);
                self.value(Node { at, kind: Kind::Scalar(scalar) })
            }
            Event::SequenceStart(..) => self.open(at, Of::List(Vec::new())),
            Event::MappingStart(..) => {
                self.open(at, Of::Map { entries: Vec::new(), names: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Anchor(..) => {
                self.problem(at, "an anchor is not allowed".to_owned(), ANCHOR_HINT);
                true
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.problem(at, "an alias is not allowed".to_owned(), ALIAS_HINT);
                self.value(Node::plain("", at))
            }
            Event::DocumentStart(..) if self.root.is_some() => {
                self.problem(
                    at,
                    "a second document begins here".to_owned(),
                    "one file, one document: put it into a file of its own",
                );
                false
            }
            _ => true,
        }
    }

    fn problem(&mut self, at: Place, what: String, hint: &str) {
        self.problems.push(Problem::new(self.file, at, what).hint(hint));
    }

    fn scalar(&self, text: String, style: ScalarStyle, span: &Span) -> Scalar {
        let at = place(&span.start);
        let source = span.slice(self.source).unwrap_or_default();
        let plain = style == ScalarStyle::Plain;
        if plain && source.is_empty() {
            return Scalar { text: Text::new("", at), plain };
        }
        let after_quote = Place::new(at.line, at.column.saturating_add(1));
        let text = match style {
            ScalarStyle::SingleQuoted => {
                Text::aligned(text, source.get(1..).unwrap_or_default(), after_quote, Quote::Single)
            }
            ScalarStyle::DoubleQuoted => {
                Text::aligned(text, source.get(1..).unwrap_or_default(), after_quote, Quote::Double)
            }
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => {
                Text::aligned(text, source, at, Quote::None)
            }
        };
        Scalar { text, plain }
    }

    fn open(&mut self, at: Place, of: Of) -> bool {
        if self.stack.len() >= DEPTH_MAX {
            let what = format!("lists and maps lie more than {DEPTH_MAX} deep in one another");
            self.problems.push(Problem::new(self.file, at, what));
            return false;
        }
        self.stack.push(Open { at, of });
        true
    }

    fn close(&mut self) -> bool {
        let Some(Open { at, of }) = self.stack.pop() else { return false };
        let kind = match of {
            Of::List(items) => Kind::List(items),
            Of::Map { entries, .. } => Kind::Map(entries),
        };
        self.value(Node { at, kind })
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, mut node: Node) -> bool {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            let what = format!("has more than {NODES_MAX} values");
            self.problems.push(Problem::new(self.file, node.at, what).hint("split the file"));
            return false;
        }
        match self.stack.last_mut().map(|open| &mut open.of) {
            None => self.root = Some(node),
            Some(Of::List(items)) => items.push(node),
            Some(Of::Map { entries, key, .. }) => match key.take() {
                Some((key, kept)) => {
                    if node
                        .scalar()
                        .is_some_and(|scalar| scalar.plain && scalar.text.text.is_empty())
                    {
                        node.at = key.at;
                    }
                    if kept {
                        entries.push(Entry { key, value: node });
                    }
                }
                None => return self.name(node),
            },
        }
        true
    }

    /// Takes a node that stands where a map's name belongs.
    fn name(&mut self, node: Node) -> bool {
        let at = node.at;
        let (text, wrong) = match node.kind {
            Kind::Scalar(scalar) if scalar.plain && scalar.text.text == "<<" => (
                scalar.text,
                Some(("the merge key `<<` is not allowed".to_owned(), "write the entries out")),
            ),
            Kind::Scalar(scalar) if scalar.text.text.is_empty() => {
                (scalar.text, Some(("a name is missing before `:`".to_owned(), NAME_HINT)))
            }
            Kind::Scalar(scalar) => (scalar.text, None),
            Kind::List(_) | Kind::Map(_) => {
                (Text::new("", at), Some(("a list or map cannot be a name".to_owned(), NAME_HINT)))
            }
        };
        let Some(Of::Map { names, key, .. }) = self.stack.last_mut().map(|open| &mut open.of)
        else {
            return false;
        };
        let wrong = wrong.or_else(|| match names.entry(text.text.clone()) {
            Vacant(slot) => {
                slot.insert(at);
                None
            }
            Occupied(slot) => {
                let first = slot.get();
                Some((format!("`{text}` stands here twice, first at {first}"), "keep one of them"))
            }
        });
        *key = Some((text, wrong.is_none()));
        if let Some((what, hint)) = wrong {
            self.problem(at, what, hint);
        }
        true
    }
}

const ANCHOR_HINT: &str = "write the value out, or put text that begins with `&` in quotes";
const ALIAS_HINT: &str = "write the value out, or put text that begins with `*` in quotes";
const NAME_HINT: &str = "a map is written `name: value`";

/// What the parser found, and what a person may have meant.
fn explained(file: &Path, source: &str, error: &ScanError) -> Problem {
    use ErrorKind as E;
    let problem = |what: String| Problem::new(file, place(error.marker()), what);
    let broken = || format!("is not YAML: {}", error.kind());
    match error.kind() {
        E::TabNotAllowed | E::TabInBlockIndentation | E::TabInIndentation | E::TabAtBlockScalarStart | E::TabInPlainScalar => {
            problem("a tab stands where YAML wants spaces".to_owned()).hint("indent with spaces only")
        }
        _ if tab_before(source, error.marker()) => {
            problem(broken()).hint("there is a tab before this place: indent with spaces only")
        }
        E::InvalidTrailingDoubleQuotedScalar | E::InvalidTrailingSingleQuotedScalar => {
            problem("text goes on after the closing quote".to_owned())
                .hint("put the whole value in quotes, such as '\"a\" == event.b', or begin a block with `|`")
        }
        E::MappingValueNotAllowed | E::MappingKeyNotAllowed | E::InvalidColonPlacement => problem(broken())
            .hint("a value with `: ` or ` ?` in it needs quotes, such as 'a ? b : c'; else look at the indentation"),
        E::RecursionLimitExceeded => {
            problem(format!("lists and maps lie more than {DEPTH_MAX} deep in one another"))
        }
        E::DirectiveDisallowed => problem("a directive is not allowed".to_owned())
            .hint("leave out the line that begins with `%`"),
        E::MultipleDocumentsUnsupported => problem("a second document begins here".to_owned()),
        E::UnexpectedCharacter { character: '@' | '`' } => {
            problem(broken()).hint("a value that begins with this character needs quotes")
        }
        E::UnexpectedCharacter { character } if character.is_control() => {
            problem(format!("holds the control character 0x{:02x}", u32::from(*character)))
        }
        _ => problem(broken()),
    }
}

/// Is there a tab in the indentation of the line of this place?
fn tab_before(source: &str, marker: &Marker) -> bool {
    let line = source.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
}

fn place(marker: &Marker) -> Place {
    place_of(marker.line(), marker.col())
}

/// The parser counts columns from 0.
fn place_of(line: usize, column_from_0: usize) -> Place {
    let limited = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place::new(limited(line), limited(column_from_0).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tree(text: &[u8]) -> Result<Node, String> {
        read(Path::new("f"), text, BYTES_MAX).map_err(|problems| problems.to_string())
    }

    /// What is refused, as `line:column: what; hint`, one a line.
    fn refused(text: impl AsRef<[u8]>) -> String {
        match tree(text.as_ref()) {
            Ok(node) => format!("read: {node:?}"),
            Err(problems) => problems.replace("f:", ""),
        }
    }

    /// The place in the file of each character of the scalar `x`.
    fn places(text: &str) -> Vec<(char, String)> {
        let node = tree(text.as_bytes()).unwrap();
        let scalar = node.get("x").unwrap().scalar().unwrap();
        let text = &scalar.text;
        text.as_str().char_indices().map(|(byte, c)| (c, text.place(byte).to_string())).collect()
    }

    #[test]
    fn everything_knows_its_place() {
        let node = tree("a: 1\nb:\n  - x\n  - { c: 'q', d: }\né: ü\n".as_bytes()).unwrap();
        let shown = |node: &Node| node.at.to_string();
        assert_eq!(shown(node.get("a").unwrap()), "1:4");
        let list = node.get("b").unwrap();
        assert_eq!(shown(list), "3:3");
        assert_eq!(shown(&list.items()[0]), "3:5");
        assert_eq!(shown(&list.items()[1]), "4:5");
        let quoted = list.items()[1].get("c").unwrap();
        assert_eq!(shown(quoted), "4:10");
        assert_eq!(quoted.scalar().unwrap().text.at.to_string(), "4:11");
        assert_eq!(
            shown(list.items()[1].get("d").unwrap()),
            "4:15",
            "what is left out stands at its key"
        );
        assert_eq!(node.entries()[2].key.at.to_string(), "5:1");
        assert_eq!(shown(node.get("é").unwrap()), "5:4");
    }

    #[test]
    fn a_character_of_a_scalar_is_found_in_the_file_however_it_was_written() {
        for (yaml, wanted) in [
            ("x: abc\n", [('a', "1:4"), ('c', "1:6")]),
            ("x: 'a''c'\n", [('a', "1:5"), ('c', "1:8")]),
            ("x: \"a\\u0042c\"\n", [('a', "1:5"), ('c', "1:12")]),
            ("x: \"a\\\n    c\"\n", [('a', "1:5"), ('c', "2:5")]),
            ("x: \"a ''c\"\n", [('a', "1:5"), ('c', "1:9")]),
            ("x: \"a\\n\\\"c\"\n", [('a', "1:5"), ('c', "1:10")]),
            ("x: a\n   b\n    c\n", [('a', "1:4"), ('c', "3:5")]),
            ("x: |\n    a\n      b\n\n    c\n", [('a', "2:5"), ('c', "5:5")]),
            ("x: >-\n  a b\n  c\n", [('a', "2:3"), ('c', "3:3")]),
            ("x: >-\r\n  a b\r\n\r\n  c\r\n", [('a', "2:3"), ('c', "4:3")]),
            ("\u{feff}x: ač c\n", [('a', "1:4"), ('c', "1:7")]),
        ] {
            let places = places(yaml);
            for (character, place) in wanted {
                let found = places.iter().find(|(c, _)| *c == character);
                assert_eq!(
                    found.map(|(_, place)| place.as_str()),
                    Some(place),
                    "{character} of {yaml:?}"
                );
            }
        }
    }

    #[test]
    fn a_line_and_column_of_a_text_are_found_in_the_file() {
        let node = tree(b"x: |\n    a &&\n      bc\n").unwrap();
        let text = &node.get("x").unwrap().scalar().unwrap().text;
        assert_eq!(text.as_str(), "a &&\n  bc\n");
        assert_eq!(text.place_of(1, 3).to_string(), "2:7");
        assert_eq!(text.place_of(2, 4).to_string(), "3:8");
        assert_eq!(text.place_of(9, 9), text.place(usize::MAX));
    }

    #[test]
    fn the_tricks_of_yaml_are_refused_where_they_stand() {
        for (text, expected) in [
            ("", " is empty"),
            ("# nothing\n", " is empty"),
            (
                "a: 1\nb: 2\na: 3\na: 4\n",
                "3:1: `a` stands here twice, first at 1:1; keep one of them\n4:1: `a` stands here twice, first at 1:1; keep one of them",
            ),
            ("{a: 1, \"a\": 2}", "1:8: `a` stands here twice, first at 1:2; keep one of them"),
            (
                "a: &x 1\nb: *x\nc: *y\n",
                "1:4: an anchor is not allowed; write the value out, or put text that begins with `&` in quotes\n2:4: an alias is not allowed; write the value out, or put text that begins with `*` in quotes\n3:4: an alias is not allowed; write the value out, or put text that begins with `*` in quotes",
            ),
            (
                "a: {}\nb:\n  <<: {c: 1}\n",
                "3:3: the merge key `<<` is not allowed; write the entries out",
            ),
            ("a: !!str 1\n", "1:4: a tag is not allowed; put text that begins with `!` in quotes"),
            (
                "a: !include x\n",
                "1:4: a tag is not allowed; put text that begins with `!` in quotes",
            ),
            (
                "a: 1\n---\nb: 2\n",
                "2:1: a second document begins here; one file, one document: put it into a file of its own",
            ),
            (
                "%YAML 1.1\n---\na: 1\n",
                "1:1: a directive is not allowed; leave out the line that begins with `%`",
            ),
            ("a:\n\tb: 1\n", "2:2: a tab stands where YAML wants spaces; indent with spaces only"),
            ("? [a]\n: b\n", "1:3: a list or map cannot be a name; a map is written `name: value`"),
            (": b\n", "1:1: a name is missing before `:`; a map is written `name: value`"),
            (
                "a: \"x\" == event.y\n",
                "1:8: text goes on after the closing quote; put the whole value in quotes, such as '\"a\" == event.b', or begin a block with `|`",
            ),
            (
                "a: x ? y : z\n",
                "1:10: is not YAML: mapping values are not allowed in this context; a value with `: ` or ` ?` in it needs quotes, such as 'a ? b : c'; else look at the indentation",
            ),
            ("a: [1, 2\n", "1:4: is not YAML: unclosed bracket '['"),
        ] {
            assert_eq!(refused(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_said_with_its_place() {
        assert_eq!(
            refused(b"a: 1\nb: \xfcber\n"),
            "2:4: is not UTF-8: byte 0xfc; save the file as UTF-8"
        );
        assert_eq!(refused(b"\xff\xfea\0"), " is UTF-16; save the file as UTF-8");
        assert_eq!(refused("a: \u{0}\n"), "1:4: holds the control character 0x00");
    }

    #[test]
    fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
        let plain = tree(b"a: 1\nb:\n  - c\n").unwrap();
        assert_eq!(tree("\u{feff}a: 1\r\nb:\r\n  - c\r\n".as_bytes()).unwrap(), plain);
    }

    #[test]
    fn size_depth_and_number_of_values_are_bounded() {
        let large = vec![b' '; BYTES_MAX + 1];
        assert_eq!(refused(large), " is larger than 1048576 bytes; split it");
        let deep = "[".repeat(DEPTH_MAX + 1);
        assert!(refused(&deep).contains("more than 64 deep"), "{}", refused(&deep));
        let mixed = "- ".repeat(40) + &"[".repeat(40) + &"]".repeat(40);
        assert!(refused(&mixed).contains("more than 64 deep"), "{}", refused(&mixed));
        let fits = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert!(tree(fits.as_bytes()).is_ok());
        let many = format!("[{}]", "1,".repeat(NODES_MAX));
        assert!(refused(many).contains("more than 20000 values"));
    }

    #[test]
    fn text_that_looks_like_something_else_stays_text() {
        let node =
            tree(b"a: no\nb: 1_000\nc: 2026-01-05T10:00:00Z\nd: 0o17\ne: event.quantity > 0\n")
                .unwrap();
        let texts: Vec<_> = node.entries().iter().map(|e| e.value.to_json()).collect();
        assert_eq!(texts, ["no", "1_000", "2026-01-05T10:00:00Z", "0o17", "event.quantity > 0"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("none.yaml");
        let said = read_file(&missing, BYTES_MAX).unwrap_err().to_string();
        assert!(said.contains("none.yaml: cannot be read: No such file"), "{said}");
        let said = read_file(folder.path(), BYTES_MAX).unwrap_err().to_string();
        assert!(said.ends_with("is a directory, not a file"), "{said}");
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = tree(&bytes);
        }

        #[test]
        fn nothing_that_looks_like_yaml_makes_the_reader_panic(text in "([-?:,\\[\\]{}#&*!|>'\"%@`~ \t\r\na-cé]|<<|\\\\u|: |- |\n  ){0,120}") {
            let read = tree(text.as_bytes());
            if let Ok(node) = read {
                let _ = node.to_json();
            }
        }

        #[test]
        fn every_character_of_a_literal_block_is_found_where_it_stands(
            lines in prop::collection::vec("[a-z ]{0,6}[a-z]", 1..6), indent in 1_usize..6,
        ) {
            let mut file = String::from("x: |\n");
            for (i, line) in lines.iter().enumerate() {
                // A first line that begins with blanks would set another indentation.
                let line = if i == 0 { line.trim_start() } else { line };
                file.push_str(&format!("{:indent$}{line}\n", ""));
            }
            let rows: Vec<Vec<char>> = file.lines().map(|line| line.chars().collect()).collect();
            let node = tree(file.as_bytes()).unwrap();
            let text = &node.get("x").unwrap().scalar().unwrap().text;
            for (byte, c) in text.as_str().char_indices().filter(|(_, c)| !c.is_whitespace()) {
                let at = text.place(byte);
                prop_assert_eq!(rows[at.line as usize - 1][at.column as usize - 1], c);
            }
        }
    }
}
