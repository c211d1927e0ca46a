//! What can go wrong while an expression runs on one event. Kinds only, never values: these texts end in
//! logs and dead letters.

use super::kinds::word;
use crate::record::ValueKind;

/// An expression failed on this event; another event may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}", column = self.column())]
pub struct EvalError {
    /// Bytes before the failed part in the expression.
    pub offset: u32,
    /// What happened.
    pub problem: Problem,
}

impl EvalError {
    /// The failed part's first byte, from 1: the column, in an expression of one line of ASCII.
    pub fn column(&self) -> u32 {
        self.offset.saturating_add(1)
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Null met an operator or function that needs a value.
    #[error("`{0}` met null; guard it with `!= null` or has()")]
    Null(&'static str),
    /// A field of null.
    #[error("this is a field of null; guard it with `!= null` or has()")]
    FieldOfNull,
    /// A value of a union turned out to be of a kind that does not fit.
    #[error("`{what}` does not take {}", word(*got))]
    Kind {
        /// Operator or function.
        what: &'static str,
        /// What came.
        got: ValueKind,
    },
    /// Two values of unions turned out to be of kinds that do not fit each other.
    #[error("`{what}` does not take {} and {}", word(*left), word(*right))]
    Kinds {
        /// The operator.
        what: &'static str,
        /// What came on the left.
        left: ValueKind,
        /// What came on the right.
        right: ValueKind,
    },
    /// The result is outside its type's range.
    #[error("`{0}` overflows")]
    Overflow(&'static str),
    /// The exact result needs more than 28 digits.
    #[error("`{0}` of decimals needs more than 28 digits")]
    Digits(&'static str),
    /// Division or remainder by zero.
    #[error("division by zero")]
    Zero,
    /// The map lacks the key.
    #[error("the map has no such key; guard it with `in` or has()")]
    NoKey,
    /// A map literal that says a key twice.
    #[error("the map says a key twice")]
    KeyTwice,
    /// An index outside the list or the text.
    #[error("`{0}`: the index is out of range")]
    Index(&'static str),
    /// A text or number that cannot be converted.
    #[error("{0}: the value cannot be converted")]
    Convert(&'static str),
    /// See [`STEPS_MAX`](super::STEPS_MAX).
    #[error("more than {max} steps", max = super::STEPS_MAX)]
    Steps,
    /// See [`MADE_BYTES_MAX`](super::MADE_BYTES_MAX) and [`MADE_ITEMS_MAX`](super::MADE_ITEMS_MAX).
    #[error(
        "made more than {bytes} bytes of text or {items} items",
        bytes = super::MADE_BYTES_MAX,
        items = super::MADE_ITEMS_MAX
    )]
    Output,
    /// The event is not of the shape that the expression was compiled against: an error of the program.
    #[error("the event is not of the shape that the expression was compiled for")]
    Shape,
}

impl Problem {
    /// This problem at that byte of the expression.
    #[cold]
    pub(super) fn at(self, offset: u32) -> EvalError {
        EvalError { offset, problem: self }
    }

    /// An operand of a kind that does not fit: null has its own word.
    #[cold]
    pub(super) fn kind(what: &'static str, got: ValueKind) -> Problem {
        match got {
            ValueKind::Null => Problem::Null(what),
            got => Problem::Kind { what, got },
        }
    }

    /// Two operands that do not fit each other.
    #[cold]
    pub(super) fn kinds(what: &'static str, left: ValueKind, right: ValueKind) -> Problem {
        match (left, right) {
            (ValueKind::Null, _) | (_, ValueKind::Null) => Problem::Null(what),
            (left, right) => Problem::Kinds { what, left, right },
        }
    }
}
