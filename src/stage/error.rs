//! What is wrong with a pipeline's stages, and where.

use crate::expr;
use crate::record::Type;

use super::chain::STAGES_MAX;
use super::dedup::WINDOW_MAX;

/// A mistake in a stage's options, with its place in the pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stage {number} ({name}): {mistake}")]
pub struct Error {
    /// The line in the file, from 1.
    pub line: u32,
    /// The column in that line, from 1.
    pub column: u32,
    /// The number of the stage, from 1.
    pub number: usize,
    /// The stage's word.
    pub name: &'static str,
    /// What is wrong and what is allowed.
    pub mistake: Mistake,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistake {
    /// An expression is wrong.
    #[error(transparent)]
    Expression(expr::Mistake),
    /// A condition that is no condition.
    #[error("the expression must be true or false, but it is {0}{hint}", hint = hint(.0))]
    NotBool(Type),
    /// A field that the event has not at this stage.
    #[error("the event has no field `{field}` here{}", near(nearest.as_ref()))]
    UnknownField {
        /// As written.
        field: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// `unnest` of something else.
    #[error("`{field}` must be a list, but it is {ty}")]
    NotAList {
        /// The field.
        field: String,
        /// Its type.
        ty: Type,
    },
    /// A new field that the event has already.
    #[error("the event has a field `{0}` already: choose another name by `as`")]
    Taken(String),
    /// A field that is named twice.
    #[error("`{0}` stands here twice")]
    Twice(String),
    /// A name that expressions could not say.
    #[error("`{0}` is no field name: letters, digits and _, not a digit first")]
    Name(String),
    /// A list or map of fields without any.
    #[error("no fields are named")]
    NoFields,
    /// A value that is compared by its hash must be one value.
    #[error("`by` must be one value (a string, a number, an id, a time), not {0}")]
    By(Type),
    /// A window of no use or beyond memory.
    #[error("`window` is {0}; allowed are 1 to {max} records", max = WINDOW_MAX)]
    Window(usize),
    /// Too many stages.
    #[error("{0} stages; at most {max} are allowed", max = STAGES_MAX)]
    TooMany(usize),
}

fn near(nearest: Option<&String>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

fn hint(ty: &Type) -> &'static str {
    match ty {
        Type::Optional(some) if **some == Type::Bool => ": say what null means, as in `… == true`",
        _ => "",
    }
}
