//! What a YAML file says, as a tree in which everything knows its place.

use serde_json::Value as Json;

use super::{Place, Text};

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it begins; a value that was left out stands where its key does.
    pub at: Place,
    /// What it is.
    pub kind: Kind,
}

/// The three kinds of values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text, a number, true, false or nothing: what it is depends on who asks.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// Names and values in the order of the file, no name twice.
    Map(Vec<Entry>),
}

/// A scalar keeps its text as it was written: `no`, `007` and `2026-01-05` are not made into something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text without quotes; empty when nothing was written.
    pub text: Text,
    /// Was it written without quotes, on no block of its own? Only then can it be a number, true, false
    /// or null.
    pub plain: bool,
}

/// A name and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub key: Text,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A plain scalar, for values that come from elsewhere than a file.
    pub fn plain(text: impl Into<String>, at: Place) -> Self {
        let text = Text::new(text, at);
        Self { at, kind: Kind::Scalar(Scalar { text, plain: true }) }
    }

    /// An empty map, for values that come from elsewhere than a file.
    pub fn map(at: Place) -> Self {
        Self { at, kind: Kind::Map(Vec::new()) }
    }

    /// Puts a value at a path of names with dots between them, making the maps on the way; what stands
    /// there already is replaced.
    pub fn put(&mut self, path: &str, value: Node) {
        let Kind::Map(entries) = &mut self.kind else {
            *self = Node::map(self.at);
            return self.put(path, value);
        };
        let (name, rest) = path.split_once('.').unwrap_or((path, ""));
        let slot = entries.iter().position(|entry| entry.key.text == name).unwrap_or_else(|| {
            let key = Text::new(name, Place::WHOLE);
            entries.push(Entry { key, value: Node::map(Place::WHOLE) });
            entries.len() - 1
        });
        match rest {
            "" => entries[slot].value = value,
            rest => entries[slot].value.put(rest, value),
        }
    }

    /// The value of a name, if this is a map that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key.text == name).map(|entry| &entry.value)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            Kind::Scalar(_) | Kind::List(_) => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Scalar(_) | Kind::Map(_) => &[],
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// The scalars of a list of nothing else.
    pub fn texts(&self) -> Option<Vec<Text>> {
        self.items().iter().map(|item| Some(item.scalar()?.text.clone())).collect()
    }

    /// Names and scalars of a map of nothing else.
    pub fn text_entries(&self) -> Option<Vec<(Text, Text)>> {
        let both = |entry: &Entry| Some((entry.key.clone(), entry.value.scalar()?.text.clone()));
        self.entries().iter().map(both).collect()
    }

    /// The value as JSON by YAML 1.2's core schema; a number that neither a 64-bit integer nor a double
    /// holds exactly stays text, and so does everything that is only nearly a number or a bool.
    pub fn to_json(&self) -> Json {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.to_json(),
            Kind::List(items) => items.iter().map(Node::to_json).collect(),
            Kind::Map(entries) => {
                entries.iter().map(|e| (e.key.text.clone(), e.value.to_json())).collect()
            }
        }
    }
}

impl Scalar {
    /// Nothing, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// True or false, if it is one of them.
    pub fn bool(&self) -> Option<bool> {
        match self.text.text.as_str() {
            "true" | "True" | "TRUE" if self.plain => Some(true),
            "false" | "False" | "FALSE" if self.plain => Some(false),
            _ => None,
        }
    }

    fn to_json(&self) -> Json {
        let text = self.text.text.as_str();
        if self.is_null() {
            return Json::Null;
        }
        if let Some(bool) = self.bool() {
            return Json::Bool(bool);
        }
        match number(text).filter(|_| self.plain) {
            Some(number) => Json::Number(number),
            None => Json::String(text.to_owned()),
        }
    }
}

/// A decimal number as JSON writes them, if it is held exactly enough to be written back the same.
fn number(text: &str) -> Option<serde_json::Number> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    let same = number.to_string() == text
        || text.contains(['e', 'E', '.']) && significant(text) <= 15 && number.is_f64();
    same.then_some(number)
}

/// How many digits say something: those of the mantissa without leading noughts.
fn significant(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits = mantissa.chars().filter(char::is_ascii_digit);
    digits.skip_while(|digit| *digit == '0').count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain(text: &str) -> Json {
        Node::plain(text, Place::new(1, 1)).to_json()
    }

    #[test]
    fn only_what_yaml_1_2_calls_a_number_a_bool_or_null_becomes_one() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("yes", json!("yes")),
            ("no", json!("no")),
            ("on", json!("on")),
            ("-17", json!(-17)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
            ("007", json!("007")),
            ("0x1F", json!("0x1F")),
            ("1_000", json!("1_000")),
            ("1.50", json!(1.5)),
            ("1e3", json!(1000.0)),
            (".5", json!(".5")),
            ("nan", json!("nan")),
            ("1.", json!("1.")),
            ("2026-01-05T10:00:00Z", json!("2026-01-05T10:00:00Z")),
            ("0190a1b2-0000-7000-8000-000000000001", json!("0190a1b2-0000-7000-8000-000000000001")),
            ("12:30:00", json!("12:30:00")),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }

    #[test]
    fn a_number_that_a_double_would_change_stays_text() {
        assert_eq!(plain("123456789012345678.91"), json!("123456789012345678.91"));
        assert_eq!(plain("99999999999999999999"), json!("99999999999999999999"));
    }
}
