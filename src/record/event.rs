//! An event on its way through the stages: its fields and the names that expressions may say.

use bumpalo::Bump;

use super::Value;

/// The names that an expression may say besides fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// The decoded event; its fields by the shape at that stage.
    Event,
    /// The record's key by the source's `key_type`; null where the record has none.
    Key,
    /// The event's id: header `ce_id`, else `topic id:partition:offset[:child]`.
    Id,
    /// The headers as a map of text to bytes; the last of a name wins.
    Headers,
    /// The topic's name.
    Topic,
    /// The partition's number.
    Partition,
    /// The record's offset.
    Offset,
    /// The record's timestamp.
    Timestamp,
}

/// What an expression or a sink's encoder sees of one event. Names that nobody uses stay `Null`.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The event's fields by slot.
    pub event: &'a [Value<'a>],
    /// See [`Name::Key`].
    pub key: Value<'a>,
    /// See [`Name::Id`].
    pub id: Value<'a>,
    /// See [`Name::Headers`].
    pub headers: Value<'a>,
    /// See [`Name::Topic`].
    pub topic: Value<'a>,
    /// See [`Name::Partition`].
    pub partition: Value<'a>,
    /// See [`Name::Offset`].
    pub offset: Value<'a>,
    /// See [`Name::Timestamp`].
    pub timestamp: Value<'a>,
    /// Where made values live until the batch is encoded.
    pub bump: &'a Bump,
}

impl<'a> Scope<'a> {
    /// A scope over these fields in which every other name is null.
    pub fn of(event: &'a [Value<'a>], bump: &'a Bump) -> Self {
        Self {
            event,
            key: Value::Null,
            id: Value::Null,
            headers: Value::Null,
            topic: Value::Null,
            partition: Value::Null,
            offset: Value::Null,
            timestamp: Value::Null,
            bump,
        }
    }

    /// The same record with other fields: what `map`, `set` and `unnest` go on with.
    #[must_use]
    pub fn with_event(self, event: &'a [Value<'a>]) -> Self {
        Self { event, ..self }
    }

    /// The value of a name; `Event` is the record of its fields.
    pub fn name(&self, name: Name) -> Value<'a> {
        match name {
            Name::Event => Value::Record(self.event),
            Name::Key => self.key,
            Name::Id => self.id,
            Name::Headers => self.headers,
            Name::Topic => self.topic,
            Name::Partition => self.partition,
            Name::Offset => self.offset,
            Name::Timestamp => self.timestamp,
        }
    }
}
