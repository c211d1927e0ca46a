//! What is wrong with a file that a person wrote, where, and what would be right.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many problems are kept of one reading; the rest is only counted.
pub const PROBLEMS_MAX: usize = 100;

/// A place in a file: line and column from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// The column in characters, from 1; 0 when the whole file is meant.
    pub column: u32,
}

/// One thing that is wrong. Printed as `file:line:column: what; hint`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, or what stands for it, such as `environment variable ORDERMILL_HTTP_LISTEN`.
    pub file: PathBuf,
    /// Where in it.
    pub at: Place,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: Option<String>,
}

/// Everything that is wrong, in the order of files, lines and columns, each thing once. One a line.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    more: usize,
}

impl Place {
    /// No particular line: the whole file.
    pub const WHOLE: Place = Place { line: 0, column: 0 };

    /// The place at this line and column, both from 1.
    pub const fn new(line: u32, column: u32) -> Self {
        Self { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Problem {
    /// A problem without a hint.
    pub fn new(file: &Path, at: Place, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), at, what: what.into(), hint: None }
    }

    /// The same with what would be right.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", one_line(&self.file.display().to_string()))?;
        if self.at != Place::WHOLE {
            write!(f, "{}:", self.at)?;
        }
        write!(f, " {}", one_line(&self.what))?;
        match &self.hint {
            Some(hint) => write!(f, "; {}", one_line(hint)),
            None => Ok(()),
        }
    }
}

impl Problems {
    /// Adds one, unless it is there already or [`PROBLEMS_MAX`] are.
    pub fn push(&mut self, problem: Problem) {
        match self.kept.binary_search(&problem) {
            Ok(_) => {}
            Err(_) if self.kept.len() >= PROBLEMS_MAX => self.more += 1,
            Err(slot) => self.kept.insert(slot, problem),
        }
    }

    /// Adds all of the other.
    pub fn append(&mut self, other: Problems) {
        self.more += other.more;
        for problem in other.kept {
            self.push(problem);
        }
    }

    /// Is nothing wrong?
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many things are wrong, those that were not kept among them.
    pub fn len(&self) -> usize {
        self.kept.len() + self.more
    }

    /// Those that were kept, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.kept.iter()
    }

    /// The value, if nothing is wrong.
    ///
    /// # Errors
    /// Itself, if something is.
    pub fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self { kept: vec![problem], more: 0 }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.kept.iter().enumerate() {
            write!(f, "{}{problem}", if i > 0 { "\n" } else { "" })?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

/// Control characters of a file must neither break a line of output nor reach a terminal.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u32, what: &str) -> Problem {
        Problem::new(Path::new("a.yaml"), Place::new(line, 1), what)
    }

    #[test]
    fn problems_come_in_the_order_of_the_file_and_each_once() {
        let mut problems = Problems::default();
        for line in [3, 1, 2, 3] {
            problems.push(problem(line, "is wrong"));
        }
        problems.push(Problem::new(Path::new("a.yaml"), Place::WHOLE, "is bad").hint("mend it"));
        assert_eq!(
            problems.to_string(),
            "a.yaml: is bad; mend it\na.yaml:1:1: is wrong\na.yaml:2:1: is wrong\na.yaml:3:1: is wrong"
        );
    }

    #[test]
    fn no_more_than_the_limit_is_kept_and_the_rest_is_counted() {
        let mut problems = Problems::default();
        for line in 1..=150 {
            problems.push(problem(line, "is wrong"));
        }
        assert_eq!(problems.iter().count(), PROBLEMS_MAX);
        assert_eq!(problems.len(), 150);
        assert!(problems.to_string().ends_with("\nand 50 more"));
    }

    #[test]
    fn a_problem_is_one_line_without_control_characters() {
        let shown = problem(1, "found `a\nb\u{1b}[31m`").to_string();
        assert_eq!(shown, "a.yaml:1:1: found `a\u{fffd}b\u{fffd}[31m`");
    }
}
