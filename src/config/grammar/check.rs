//! Checks a file against a table: everything that is wrong with it at once.

use std::path::Path;

use super::{Fields, Is, Key, Need, When};
use crate::config::problem::{Place, Problem, Problems};
use crate::config::yaml::{Kind, Node};

/// A check of one file.
#[derive(Debug)]
pub struct Check<'a> {
    /// The file's name in errors.
    pub file: &'a Path,
    newest: When,
    echo: bool,
    /// What was found wrong.
    pub problems: Problems,
    /// The default of the key that is looked at: the best example.
    default: Option<&'static str>,
}

impl<'a> Check<'a> {
    /// A check that lets pass what is built.
    pub fn new(file: &'a Path) -> Self {
        Self { file, newest: When::Now, echo: true, problems: Problems::default(), default: None }
    }

    /// The same, letting pass rows of the table that are as new as this.
    #[must_use]
    pub fn newest(self, newest: When) -> Self {
        Self { newest, ..self }
    }

    /// The same, never repeating a wrong value: it could be a misplaced secret.
    #[must_use]
    pub fn discreet(self) -> Self {
        Self { echo: false, ..self }
    }

    /// Is a row of the table let pass?
    pub fn lets(&self, key: &Key) -> bool {
        key.when <= self.newest
    }

    /// Adds a problem.
    pub fn problem(&mut self, at: Place, what: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(self.file, at, what).hint(hint));
    }

    /// Checks the whole file.
    pub fn root(&mut self, node: &Node, fields: &Fields) {
        match &node.kind {
            Kind::Map(_) => self.fields(node, fields, ""),
            _ => {
                let what = format!("must be a map of keys, not {}", self.found(node));
                let example = fields.keys.first().map_or_else(String::new, in_file);
                self.problem(node.at, what, format!("for example `{example}`"));
            }
        }
    }

    /// Checks one value; `path` is how it is called in errors.
    pub fn value(&mut self, node: &Node, is: &Is, path: &str) {
        match (is, &node.kind) {
            (Is::Any, _) | (Is::Event, Kind::Map(_)) => {}
            (Is::Given(fields), Kind::Map(_)) => {
                if fields.wraps(node) {
                    self.fields(node, fields, path);
                }
            }
            (Is::Either(of), _) => self.either(node, of, path),
            (Is::NotYet(is), _) if self.newest >= When::NotYet => self.value(node, is, path),
            (Is::NotYet(_), _) => {
                let found = self.found(node);
                self.problem(
                    node.at,
                    format!("{found} is not yet possible for `{path}`"),
                    "leave it out",
                );
            }
            (Is::One(scalar), Kind::Scalar(found)) => {
                let nothing = found.is_null() && found.text.text != "null";
                if nothing || !scalar.fits(found) {
                    self.wrong(node, is, path);
                }
            }
            (Is::Word(words), Kind::Scalar(found)) => {
                match words.iter().find(|word| word.name == found.text.text) {
                    Some(word) if word.when <= self.newest => {}
                    Some(word) => {
                        let what = format!("`{}` is not yet possible for `{path}`", word.name);
                        self.problem(node.at, what, format!("possible now: {}", is.expected()));
                    }
                    None => self.wrong(node, is, path),
                }
            }
            (Is::List(of, min), Kind::List(items)) => {
                if items.len() < *min {
                    self.wrong(node, is, path);
                }
                for item in items {
                    match of.same_kind(item) {
                        true => self.value(item, of, path),
                        false => self.wrong_as(&format!("an item of `{path}`"), item, of),
                    }
                }
            }
            (Is::Fields(fields), Kind::Map(_)) => self.fields(node, fields, path),
            (Is::Tag(keys), Kind::Map(_)) => self.tag(node, keys, path),
            (Is::Entries(name, value), Kind::Map(entries)) => {
                if entries.is_empty() {
                    self.wrong(node, is, path);
                }
                for entry in entries {
                    self.entry_name(entry, *name, path);
                    self.value(&entry.value, value, &format!("{path}.{}", entry.key));
                }
            }
            (Is::Secret, Kind::Map(_)) => self.fields(node, &SECRET, path),
            (Is::Secret, Kind::Scalar(found)) if !found.is_null() => {
                let what = format!("`{path}` is a secret and does not belong into a file");
                self.problem(node.at, what, "write where it is: { env: NAME } or { file: PATH }");
            }
            (Is::Fields(fields), Kind::Scalar(_)) if node.is_null() && may_be_empty(fields) => {}
            (Is::List(_, 0), Kind::Scalar(_)) if node.is_null() => {}
            _ => self.wrong(node, is, path),
        }
    }

    fn entry_name(&mut self, entry: &crate::config::yaml::Entry, name: super::Scalar, path: &str) {
        let scalar = crate::config::yaml::Scalar { text: entry.key.clone(), plain: true };
        if !name.fits(&scalar) {
            let what = format!("`{}` in `{path}` must be {}", entry.key, name.expected());
            let hint = if entry.value.is_null() {
                "in { } a comma ends a value: put an expression with a comma in quotes".to_owned()
            } else {
                format!("for example {}", name.example())
            };
            self.problem(entry.key.at, what, hint);
        }
    }

    /// Whichever alternative is of the value's kind is what was meant; among scalars any that fits.
    fn either(&mut self, node: &Node, of: &'static [Is], path: &str) {
        let mut of_kind = of.iter().filter(|is| is.same_kind(node));
        match (of_kind.next(), of_kind.next()) {
            (Some(only), None) if !matches!(node.kind, Kind::Scalar(_)) => {
                self.value(node, only, path)
            }
            (None, _) => self.wrong(node, &Is::Either(of), path),
            _ => self.either_scalar(node, of, path),
        }
    }

    fn either_scalar(&mut self, node: &Node, of: &'static [Is], path: &str) {
        let Some(scalar) = node.scalar() else { return };
        let text = scalar.text.as_str();
        let fits = |is: &&Is| match is {
            Is::Word(words) => words.iter().any(|word| word.name == text),
            Is::One(kind) | Is::NotYet(Is::One(kind)) => !scalar.is_null() && kind.fits(scalar),
            _ => false,
        };
        match of.iter().find(fits) {
            Some(fitting) => self.value(node, fitting, path),
            None => self.wrong(node, &Is::Either(of), path),
        }
    }

    /// A map with exactly one of the keys.
    fn tag(&mut self, node: &Node, keys: &'static [Key], path: &str) {
        let fields = Fields { keys, one_of: &[] };
        match node.entries() {
            [] => self.wrong(node, &Is::Tag(keys), path),
            [_] => self.fields(node, &fields, path),
            [_, second, ..] => {
                let what =
                    format!("`{path}` takes one key here, and `{}` is a second one", second.key);
                self.problem(
                    second.key.at,
                    what,
                    "what belongs to the first is indented below it, or stands in its { }",
                );
                for entry in node.entries() {
                    self.known(entry, &fields, path);
                }
            }
        }
    }

    /// A map with fixed keys: each key known and of its kind, all that must be there, one of the alternatives.
    fn fields(&mut self, node: &Node, fields: &Fields, path: &str) {
        for entry in node.entries() {
            if let Some(key) = self.known(entry, fields, path) {
                self.default = match key.need {
                    Need::Default(text) => Some(text),
                    _ => None,
                };
                self.value(&entry.value, &key.is, &join(path, key.name));
            }
        }
        let has = |name: &str| node.get(name).is_some();
        for key in fields.keys {
            if key.need == Need::Required && self.lets(key) && !has(key.name) {
                let what = format!("`{}` is missing", join(path, key.name));
                self.problem(node.at, what, format!("for example `{}`", in_file(key)));
            }
        }
        let there: Vec<_> =
            node.entries().iter().filter(|e| fields.one_of.contains(&e.key.as_str())).collect();
        match there.as_slice() {
            [] if !fields.one_of.is_empty() => {
                let what = format!("{} is missing", self.alternatives(fields));
                let example = fields.one_of.first().and_then(|name| fields.key(name));
                let hint = example
                    .map_or_else(String::new, |key| format!("for example `{}`", in_file(key)));
                self.problem(node.at, what, hint);
            }
            [first, second, ..] => {
                let what = format!("`{}` cannot stand beside `{}`", second.key, first.key);
                self.problem(second.key.at, what, "keep one of them");
            }
            _ => {}
        }
    }

    fn alternatives(&self, fields: &Fields) -> String {
        let built = |name: &&&str| fields.key(name).is_some_and(|key| self.lets(key));
        let names: Vec<_> =
            fields.one_of.iter().filter(built).map(|name| format!("`{name}`")).collect();
        names.join(" or ")
    }

    /// The row of an entry's name, if it is known and built.
    fn known(
        &mut self,
        entry: &crate::config::yaml::Entry,
        fields: &Fields,
        path: &str,
    ) -> Option<&'static Key> {
        let name = entry.key.as_str();
        match fields.key(name) {
            Some(key) if self.lets(key) => Some(key),
            Some(key) => {
                let what = format!("`{}` is not yet possible", join(path, key.name));
                self.problem(entry.key.at, what, self.allowed(fields));
                None
            }
            None => {
                let within = if path.is_empty() { String::new() } else { format!(" in `{path}`") };
                let words = fields.keys.iter().map(|key| key.name);
                let hint = match nearest(name, words) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => self.allowed(fields),
                };
                self.problem(entry.key.at, format!("unknown key `{name}`{within}"), hint);
                None
            }
        }
    }

    fn allowed(&self, fields: &Fields) -> String {
        let built = fields.keys.iter().filter(|key| self.lets(key));
        format!("allowed: {}", built.map(|key| key.name).collect::<Vec<_>>().join(", "))
    }

    /// Says what was expected and what was found.
    fn wrong(&mut self, node: &Node, is: &Is, path: &str) {
        self.wrong_as(&format!("`{path}`"), node, is);
    }

    fn wrong_as(&mut self, subject: &str, node: &Node, is: &Is) {
        let found = self.found(node);
        let what = format!("{subject} must be {}, not {found}", is.expected());
        let near = match (is, node.scalar()) {
            (Is::Word(words), Some(scalar)) => {
                let built = words.iter().filter(|word| word.when <= self.newest);
                nearest(scalar.text.as_str(), built.map(|word| word.name))
            }
            _ => None,
        };
        let hint = match (near, self.default) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(default)) => format!("for example {default}"),
            (None, None) => format!("for example {}", is.example()),
        };
        self.problem(node.at, what, hint);
    }

    fn found(&self, node: &Node) -> String {
        match &node.kind {
            Kind::Map(entries) if entries.is_empty() => "an empty map".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
            Kind::List(items) if items.is_empty() => "an empty list".to_owned(),
            Kind::List(_) => "a list".to_owned(),
            Kind::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Kind::Scalar(_) if !self.echo => "this".to_owned(),
            Kind::Scalar(scalar) => {
                let text = scalar.text.as_str();
                let short: String = text.chars().take(60).collect();
                let dots = if short.len() < text.len() { "…" } else { "" };
                let quoted = if scalar.plain { "" } else { "the text " };
                format!("{quoted}`{short}{dots}`")
            }
        }
    }
}

/// How a secret is written.
const SECRET: Fields = Fields {
    keys: &[
        Key::new("env", Is::One(super::Scalar::Variable), "the environment variable that holds it"),
        Key::new(
            "file",
            Is::One(super::Scalar::Path),
            "the file that holds it, without a line break at its end",
        ),
    ],
    one_of: &["env", "file"],
};

/// The word that was probably meant: one that begins so, or the nearest one if few letters differ.
pub fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if word.len() > 64 {
        return None;
    }
    let word = word.to_lowercase();
    let distance = |known: &str| match word.len() >= 3 && known.starts_with(&word) {
        true => 1,
        false => strsim::damerau_levenshtein(&word, known),
    };
    let near = words.map(|known| (distance(known), known)).min()?;
    let few = near.1.chars().count().max(3) / 3;
    (near.0 <= few).then_some(near.1)
}

fn may_be_empty(fields: &Fields) -> bool {
    fields.one_of.is_empty() && fields.keys.iter().all(|key| key.need != Need::Required)
}

fn in_file(key: &Key) -> String {
    format!("{}: {}", key.name, key.example())
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
