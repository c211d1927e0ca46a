//! Where a column's value comes from.

use crate::record::{End, Scope, Type, Value};

/// Gives the value of one column for each event: an expression, or a field as it is.
pub trait Column: Send + Sync {
    /// The type of what it gives; checked against the table's column at bind.
    fn ty(&self) -> &Type;

    /// The value for this event.
    ///
    /// # Errors
    /// Where the expression fails on it.
    fn value<'a>(&self, scope: &Scope<'a>) -> Result<Value<'a>, End>;
}

/// A field of the event as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its slot.
    pub slot: usize,
    /// Its type.
    pub ty: Type,
}

impl Column for Slot {
    fn ty(&self) -> &Type {
        &self.ty
    }

    fn value<'a>(&self, scope: &Scope<'a>) -> Result<Value<'a>, End> {
        Ok(scope.event.get(self.slot).copied().unwrap_or(Value::Null))
    }
}
