//! From a batch to a chunk: each record through the reader, each effect into the sink's own form.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::chunk::Chunk;
use super::compile::Compiled;
use super::effect::Effect;
use super::reader::{Known, Reader, Tombstone, Unread};
use super::spec::{KeyType, OnReplay};
use super::task::Limits;
use crate::codec::{Plan, Schema};
use crate::engine::ahead::Ahead;
use crate::engine::lanes::Lane;
use crate::port::{Batch, Claim, Encode, SchemaText};
use crate::record::{Effects, End, Fault, NextOffset, Offset, PartitionId, Reason, Record};

/// What became of a batch.
#[derive(Debug)]
pub enum Processed {
    /// Everything in it is in the chunk.
    All,
    /// The chunk is full; the batch goes on where it stands.
    Full,
    /// The next record needs a schema that is not known yet.
    Schema(u32),
    /// This record cannot be processed; everything before it is in the chunk.
    Bad(Offset, Fault),
    /// A rule refused this record; everything before it is in the chunk.
    Rejected(Offset, Reason),
}

/// Everything that is the same for all partitions of a pipeline.
pub struct Factory {
    compiled: Arc<Compiled>,
    sink: Effect,
    tombstone: Tombstone,
    key_type: KeyType,
    on_replay: OnReplay,
    plans: Mutex<HashMap<u32, Known>>,
}

impl fmt::Debug for Factory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Factory").field("compiled", &self.compiled).finish_non_exhaustive()
    }
}

impl Factory {
    /// A factory over a compiled pipeline and its sink.
    pub fn new(
        compiled: Arc<Compiled>,
        sink: Effect,
        tombstone: Tombstone,
        key_type: KeyType,
        on_replay: OnReplay,
    ) -> Self {
        Self { compiled, sink, tombstone, key_type, on_replay, plans: Mutex::default() }
    }

    /// A processor for a partition.
    ///
    /// # Errors
    /// `Fatal` when the sink was never bound.
    pub fn processor(self: &Arc<Self>, partition: &PartitionId) -> Result<Processor, Fault> {
        let compiled = Arc::clone(&self.compiled);
        Ok(Processor {
            factory: Arc::clone(self),
            reader: Reader::new(compiled, self.tombstone, self.key_type, partition),
            encoder: self.sink.encoder()?,
            ahead: Ahead::default(),
            replayed: NextOffset(0),
        })
    }

    fn plan(&self, id: u32, text: &SchemaText) -> Known {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = plans.get(&id) {
            return known.clone();
        }
        let references: Vec<&str> = text.references.iter().map(|r| r.text.as_str()).collect();
        let compiled = Schema::parse(&text.text, &references)
            .and_then(|writer| Plan::compile(&writer, &self.compiled.reader, &self.compiled.uses))
            .map(Arc::new)
            .map_err(|e| {
                Fault::poison(e.code(), format!("schema {id} does not fit the pipeline: {e}"))
            });
        plans.insert(id, compiled.clone());
        compiled
    }
}

/// The synchronous half of a partition task.
pub struct Processor {
    factory: Arc<Factory>,
    reader: Reader,
    encoder: Box<dyn Encode>,
    /// What is done behind the place where this generation began.
    ahead: Ahead,
    /// Records below it were worked before the group was moved, and are not to be worked again.
    replayed: NextOffset,
}

impl fmt::Debug for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processor").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// Bytes of a record's key and value: what counts against the window.
pub fn bytes_of(record: &Record<'_>) -> usize {
    record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)
}

impl Processor {
    /// What was done ahead when this generation began.
    pub fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// The partition was claimed: a new generation begins.
    pub fn begin(&mut self, claim: &Claim) {
        self.reader.begin(claim.topic_id);
        let skips = self.factory.on_replay == OnReplay::Skip;
        self.replayed = if skips { claim.replay_mark } else { NextOffset(0) };
        self.ahead = Ahead::read(&claim.done_ahead).unwrap_or_else(|unreadable| {
            tracing::warn!(partition = %claim.partition, "{unreadable}: what is behind {} is done again", claim.next);
            Ahead::default()
        });
    }

    /// The registry gave a schema.
    pub fn learn(&mut self, id: u32, text: &SchemaText) {
        self.reader.know(id, self.factory.plan(id, text));
    }

    /// The registry says that there is no such schema: the record at hand that carries the id is poison.
    pub fn refuse(&mut self, id: u32, fault: Fault) {
        self.reader.know(id, Err(fault));
    }

    /// Processes the records from `at` on into the chunk. `at` does not pass a record that ended badly.
    pub fn run(
        &mut self,
        batch: &dyn Batch,
        at: &mut usize,
        chunk: &mut Chunk,
        limits: Limits,
    ) -> Processed {
        while *at < batch.len() {
            if chunk.effects.len() >= limits.rows || chunk.effects.bytes() >= limits.bytes {
                return Processed::Full;
            }
            let record = batch.record(*at);
            let rows = chunk.effects.len();
            let dropped = match self.one(&record, &mut chunk.effects) {
                Ok(()) => None,
                Err(unread) => {
                    chunk.effects.undo(rows);
                    match unread {
                        Unread::Ended(End::Drop(reason)) => Some(reason),
                        Unread::Ended(End::Reject(reason)) => {
                            return Processed::Rejected(record.offset, reason);
                        }
                        Unread::Ended(End::Fault(fault)) => {
                            return Processed::Bad(record.offset, fault);
                        }
                        Unread::Schema(id) => return Processed::Schema(id),
                    }
                }
            };
            if chunk.began.is_none() {
                chunk.began = Some(Instant::now());
                chunk.oldest = record.timestamp;
            }
            chunk.took(record.offset, bytes_of(&record), dropped);
            *at += 1;
        }
        Processed::All
    }

    /// Reads one record for the lanes: its effects, and what keeps its order.
    ///
    /// # Errors
    /// See [`Unread`].
    pub fn single(
        &mut self,
        record: &Record<'_>,
        effects: &mut Effects,
    ) -> Result<Option<Lane>, Unread> {
        self.one(record, effects)?;
        Ok(self.reader.lane())
    }

    fn one(&mut self, record: &Record<'_>, effects: &mut Effects) -> Result<(), Unread> {
        if record.offset.0 < self.replayed.0 {
            return Err(Unread::Ended(End::Drop(Reason::from("replayed"))));
        }
        if !self.ahead.is_empty() && self.ahead.contains(record.offset) {
            return Err(Unread::Ended(End::Drop(Reason::from("done before"))));
        }
        let encoder = &mut self.encoder;
        self.reader.read(record, &mut |scope| {
            encoder.encode(scope, record, effects.buffer())?;
            effects.finish(record.offset);
            Ok(())
        })
    }
}
