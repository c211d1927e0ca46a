//! From a record to what its stages leave of it: frame, decode, names, stages. Synchronous, and without an
//! allocation a record: values are borrowed from the record and from a bump arena that is emptied after it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bumpalo::Bump;
use uuid::Uuid;

use super::compile::Compiled;
use super::spec::{self, KeyType};
use crate::codec::{Plan, frame};
use crate::engine::lanes::Lane;
use crate::record::{End, Fault, Name, PartitionId, Reason, Record, Scope, TopicId, Type, Value};
use crate::stage::Chain;

/// A plan, or why there is none.
pub type Known = Result<Arc<Plan>, Fault>;

/// Why a record did not come through.
#[derive(Debug)]
pub enum Unread {
    /// Its schema is not known yet: ask for it, then read it again.
    Schema(u32),
    /// It ended here.
    Ended(End),
}

/// What happens to a record without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// It is refused.
    Reject,
    /// It is dropped.
    Drop,
}

impl Tombstone {
    /// As the file says it.
    pub fn of(source: &spec::Source) -> Self {
        match source.tombstone {
            spec::Tombstone::Reject => Tombstone::Reject,
            spec::Tombstone::Drop => Tombstone::Drop,
        }
    }
}

/// The type of the key in expressions: a record may have none.
pub fn key_type(key_type: KeyType) -> Type {
    let some = match key_type {
        KeyType::String => Type::Str,
        KeyType::Bytes => Type::Bytes,
        KeyType::Long => Type::Int,
    };
    Type::Optional(Box::new(some))
}

/// Where records come from: what `topic`, `partition` and `id` say.
#[derive(Debug)]
struct Place {
    topic: Arc<str>,
    partition: i32,
    id: Option<TopicId>,
}

/// Reads the records of one partition.
pub struct Reader {
    compiled: Arc<Compiled>,
    tombstone: Tombstone,
    key_type: KeyType,
    chain: Chain,
    bump: Bump,
    plans: Plans,
    place: Place,
    lane: Option<Lane>,
}

/// The plans of the schemas that were met.
#[derive(Default)]
struct Plans {
    known: HashMap<u32, Known>,
    /// The one that was used last: nearly always the next one too. It is lent, not cloned: all partitions
    /// share it, and a count on all cores would be written for each record.
    last: Option<(u32, Arc<Plan>)>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader that knows no schema yet.
    pub fn new(
        compiled: Arc<Compiled>,
        tombstone: Tombstone,
        key_type: KeyType,
        partition: &PartitionId,
    ) -> Self {
        Self {
            chain: compiled.chain.fresh(),
            compiled,
            tombstone,
            key_type,
            bump: Bump::with_capacity(16 * 1024),
            plans: Plans::default(),
            place: Place {
                topic: Arc::clone(&partition.topic),
                partition: partition.partition,
                id: None,
            },
            lane: None,
        }
    }

    /// A new generation begins: what stages have seen is forgotten.
    pub fn begin(&mut self, topic: TopicId) {
        self.place.id = Some(topic);
        self.chain = self.compiled.chain.fresh();
    }

    /// The plan of a schema, or why there is none. A refusal holds for the next record that carries the id;
    /// after that it is asked for again, since the registry may have learnt it.
    pub fn know(&mut self, id: u32, known: Known) {
        self.plans.known.insert(id, known);
    }

    /// What keeps the order of the record that was read last.
    pub fn lane(&self) -> Option<Lane> {
        self.lane
    }

    /// Reads one record; `out` gets what the stages leave of it. On an end what `out` got before belongs to
    /// a record that did not pass: forget it.
    ///
    /// # Errors
    /// See [`Unread`].
    pub fn read(
        &mut self,
        record: &Record<'_>,
        out: &mut dyn FnMut(&Scope<'_>) -> Result<(), End>,
    ) -> Result<(), Unread> {
        let Self { compiled, tombstone, key_type, chain, bump, plans, place, lane } = self;
        let (id, body) = framed(record, *tombstone).map_err(Unread::Ended)?;
        let plan = plans.of(id)?;
        let end = plan.decode(body, bump).map_err(|e| poison(&e)).and_then(|fields| {
            let mut scope = Scope::of(fields, bump);
            for name in &compiled.names {
                place.fill(*name, *key_type, record, &mut scope)?;
            }
            if let Some(id) = &compiled.id {
                scope.id = id.eval(&scope).map_err(|error| {
                    End::Fault(Fault::poison("expression", format!("id `{}`: {error}", id.text())))
                })?;
            }
            *lane = compiled.order.lane(record, &scope)?;
            chain.run(scope, &mut |scope| out(scope)).map(|_children| ())
        });
        bump.reset();
        end.map_err(Unread::Ended)
    }
}

impl Plans {
    fn of(&mut self, id: u32) -> Result<&Plan, Unread> {
        if self.last.as_ref().is_none_or(|(last, _)| *last != id) {
            match self.known.get(&id) {
                None => return Err(Unread::Schema(id)),
                Some(Ok(plan)) => self.last = Some((id, Arc::clone(plan))),
                Some(Err(fault)) => {
                    let fault = fault.clone();
                    self.known.remove(&id);
                    return Err(Unread::Ended(End::Fault(fault)));
                }
            }
        }
        self.last.as_ref().map(|(_, plan)| &**plan).ok_or(Unread::Schema(id))
    }
}

/// The record's schema id and what follows it.
fn framed<'a>(record: &Record<'a>, tombstone: Tombstone) -> Result<(u32, &'a [u8]), End> {
    match (record.value, tombstone) {
        (Some(value), _) => frame::split(value).map_err(|e| poison(&e)),
        (None, Tombstone::Drop) => Err(End::Drop(Reason::from("tombstone"))),
        (None, Tombstone::Reject) => Err(End::Fault(Fault::poison(
            "tombstone",
            "the record has no value; `tombstone: drop` would let it pass",
        ))),
    }
}

fn poison(error: &crate::codec::Error) -> End {
    End::Fault(Fault::poison(error.code(), error.to_string()))
}

impl Place {
    /// Fills in a name that somebody uses.
    fn fill<'a>(
        &'a self,
        name: Name,
        key_type: KeyType,
        record: &Record<'a>,
        scope: &mut Scope<'a>,
    ) -> Result<(), End> {
        let bump = scope.bump;
        match name {
            Name::Event => {}
            Name::Key => scope.key = key(key_type, record)?,
            Name::Id => scope.id = Value::Str(self.event_id(record, bump)),
            Name::Headers => {
                let mut seen: Vec<(&'a str, Value<'a>)> = Vec::new();
                for (name, value) in record.headers.iter() {
                    let value = value.map_or(Value::Null, Value::Bytes);
                    match seen.iter_mut().find(|(had, _)| *had == name) {
                        Some(had) => had.1 = value,
                        None => seen.push((name, value)),
                    }
                }
                scope.headers = Value::Map(bump.alloc_slice_copy(&seen));
            }
            Name::Topic => scope.topic = Value::Str(&self.topic),
            Name::Partition => scope.partition = Value::Int(i64::from(self.partition)),
            Name::Offset => scope.offset = Value::Int(record.offset.0),
            Name::Timestamp => {
                let micros = record.timestamp.and_then(|ms| ms.checked_mul(1000));
                scope.timestamp = micros.map_or(Value::Null, Value::Timestamp);
            }
        }
        Ok(())
    }

    /// The event's id: what its producer called it, else where it lies.
    fn event_id<'a>(&self, record: &Record<'a>, bump: &'a Bump) -> &'a str {
        let given = record.headers.last("ce_id").and_then(|id| std::str::from_utf8(id).ok());
        if let Some(id) = given.filter(|id| !id.is_empty()) {
            return id;
        }
        let topic = self.id.map_or(Uuid::nil(), |id| id.0);
        bumpalo::format!(in bump, "{topic}:{}:{}", self.partition, record.offset).into_bump_str()
    }
}

fn key<'a>(key_type: KeyType, record: &Record<'a>) -> Result<Value<'a>, End> {
    let wrong = |what: &str| End::Fault(Fault::poison("key", format!("the key is {what}")));
    let Some(bytes) = record.key else { return Ok(Value::Null) };
    match key_type {
        KeyType::Bytes => Ok(Value::Bytes(bytes)),
        KeyType::String => std::str::from_utf8(bytes)
            .map(Value::Str)
            .map_err(|_| wrong("not UTF-8 text; set key_type: bytes")),
        KeyType::Long => <[u8; 8]>::try_from(bytes)
            .map(|b| Value::Int(i64::from_be_bytes(b)))
            .map_err(|_| wrong("not eight bytes long, as key_type: long needs")),
    }
}
