//! What an expression may say: the event's fields and the other names, with their types.

use std::sync::Arc;

use crate::record::{Name, Shape, Type};

/// The names that an expression may say and their types.
#[derive(Clone, Debug)]
pub struct Env {
    event: Arc<Shape>,
    key: Type,
}

/// The names as they are written.
pub(super) const NAMES: [(&str, Name); 8] = [
    ("event", Name::Event),
    ("key", Name::Key),
    ("id", Name::Id),
    ("headers", Name::Headers),
    ("topic", Name::Topic),
    ("partition", Name::Partition),
    ("offset", Name::Offset),
    ("timestamp", Name::Timestamp),
];

impl Env {
    /// An event of that shape, and keys of that type (null always is one more possible key).
    pub fn new(event: Arc<Shape>, key: Type) -> Self {
        Self { event, key }
    }

    /// The event's shape.
    pub fn event(&self) -> &Arc<Shape> {
        &self.event
    }

    /// The type of keys, as it was given.
    pub fn key(&self) -> &Type {
        &self.key
    }

    /// The same names around another event.
    #[must_use]
    pub fn with_event(&self, event: Arc<Shape>) -> Self {
        Self { event, key: self.key.clone() }
    }

    /// The type of a name. A record may have no key and no timestamp, a header no value.
    pub(super) fn ty(&self, name: Name) -> Type {
        let optional = |ty| Type::Optional(Box::new(ty));
        match name {
            Name::Event => Type::Record(Arc::clone(&self.event)),
            Name::Key => super::kinds::optional(self.key.clone()),
            Name::Id | Name::Topic => Type::Str,
            Name::Headers => Type::Map(Box::new(optional(Type::Bytes))),
            Name::Partition | Name::Offset => Type::Int,
            Name::Timestamp => optional(Type::Timestamp),
        }
    }
}
