//! What is wrong with an expression, and where in it.

use crate::record::Type;

use super::Problem;

/// A mistake in an expression. The reader of the pipeline file adds file and line: see
/// [`Source::place`](super::Source::place).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{mistake}")]
pub struct Error {
    /// Bytes before it in the expression.
    pub offset: usize,
    /// The line within the expression, from 1.
    pub line: u32,
    /// The column within that line, in characters, from 1.
    pub column: u32,
    /// What is wrong and what is allowed.
    pub mistake: Mistake,
}

impl Error {
    /// A mistake at that byte of the text.
    pub(super) fn at(text: &str, offset: usize, mistake: Mistake) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let lines = before.bytes().filter(|b| *b == b'\n').count();
        let column = before[line_start..].chars().count();
        Self {
            offset,
            line: u32::try_from(lines).unwrap_or(u32::MAX).saturating_add(1),
            column: u32::try_from(column).unwrap_or(u32::MAX).saturating_add(1),
            mistake,
        }
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// Nothing stands there.
    #[error("an expression is missing here")]
    Empty,
    /// See [`TEXT_BYTES_MAX`](super::TEXT_BYTES_MAX).
    #[error(
        "the expression has {0} bytes; at most {max} are allowed: split it over stages",
        max = super::TEXT_BYTES_MAX
    )]
    TooLong(usize),
    /// See [`NESTING_MAX`](super::NESTING_MAX) and [`CHAIN_MAX`](super::CHAIN_MAX).
    #[error(
        "the expression is nested too deep (at most {nesting} brackets, {chain} operators one upon another): \
         split it over stages",
        nesting = super::NESTING_MAX,
        chain = super::CHAIN_MAX
    )]
    TooDeep,
    /// It is not CEL.
    #[error("{0}")]
    Syntax(String),
    /// CEL that this language leaves out.
    #[error("{0}")]
    NotHere(String),
    /// A name that nothing has.
    #[error("unknown name `{name}`{}; allowed: {allowed}", nearest(near.as_ref()))]
    UnknownName {
        /// As written.
        name: String,
        /// The nearest known one.
        near: Option<String>,
        /// Everything that may stand there.
        allowed: String,
    },
    /// A field that the record lacks.
    #[error("`{of}` has no field `{field}`{}", nearest(near.as_ref()))]
    UnknownField {
        /// As written.
        field: String,
        /// The record.
        of: String,
        /// The nearest known one.
        near: Option<String>,
    },
    /// A function that does not exist.
    #[error("unknown function `{name}`{}", nearest(near.as_ref()))]
    UnknownFunction {
        /// As written.
        name: String,
        /// The nearest known one.
        near: Option<String>,
    },
    /// An operator or function that does not take these types.
    #[error("`{what}` does not take {got}{}", note(hint))]
    Operands {
        /// Operator or function.
        what: String,
        /// The types it was given.
        got: String,
        /// What it takes, or what to write instead.
        hint: String,
    },
    /// A value of another type was needed.
    #[error("{what} must be {want}, not {got}{}", note(hint))]
    Type {
        /// What it is for.
        what: &'static str,
        /// The type that is needed.
        want: String,
        /// The type that it has.
        got: Type,
        /// What to write instead.
        hint: &'static str,
    },
    /// A constant that an enum can never equal.
    #[error("`{text}` is not one of the symbols ({symbols}){}", nearest(near.as_ref()))]
    Symbol {
        /// The constant.
        text: String,
        /// The nearest symbol.
        near: Option<String>,
        /// All symbols.
        symbols: String,
    },
    /// Comparing with null what cannot be null.
    #[error("a value of type {0} is never null: the comparison says nothing")]
    NeverNull(Type),
    /// A constant expression that fails on every record.
    #[error("{0}")]
    Constant(Problem),
}

fn nearest(near: Option<&String>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

fn note(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(": {hint}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_not_bytes() {
        let error = Error::at("'é' +\n  x", 9, Mistake::Empty);
        assert_eq!((error.offset, error.line, error.column), (9, 2, 3));
        let inside_a_character = Error::at("é", 1, Mistake::Empty);
        assert_eq!(inside_a_character.offset, 0);
    }
}
