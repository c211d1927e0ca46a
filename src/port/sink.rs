//! What a batch sink is: a pure encoder, and an effect that takes a contiguous range at once.

use std::fmt;
use std::ops::Range;

use super::{Claim, Future, Outbox, Progress};
use crate::record::{DeadLetter, Effects, End, Fault, NextOffset, Offset, Record, Scope};

/// Makes the effect of one event: pure, synchronous, while the record's bytes are still borrowed.
///
/// One per partition task, so it may keep scratch space.
pub trait Encode: Send {
    /// Appends the effect of this event to `out`, in the sink's own form. `record` is the one that the event
    /// comes from, as the broker has it. On an error what was appended is cut off again by the caller.
    ///
    /// # Errors
    /// [`End::Fault`] with class `Poison` when the value can never be an effect: out of the column's
    /// range, null where none may be.
    fn encode(
        &mut self,
        scope: &Scope<'_>,
        record: &Record<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), End>;
}

/// One step of a partition: everything in `[from, to)`, all or nothing.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Whose step it is; its epoch is the fence.
    pub claim: &'a Claim,
    /// Where the partition stood before.
    pub from: NextOffset,
    /// Where it stands after.
    pub to: NextOffset,
    /// Effects of which `rows` belong to this step.
    pub effects: &'a Effects,
    /// The effects of this step; may be empty (all dropped): then only progress moves.
    pub rows: Range<usize>,
    /// The dead letters of this step, in the order of their offsets. A sink with an outbox writes them in
    /// the same transaction; the others get none here.
    pub dead: &'a [DeadLetter],
    /// Who hears of records that end otherwise than in their effect; needed where a step finds that out.
    pub otherwise: Option<&'a dyn Otherwise>,
}

/// Hears, while a step is under way, how records of it end that do not end in their effect.
pub trait Otherwise: Send + Sync + fmt::Debug {
    /// These records of the step, in the order of their offsets, are dropped or rejected; all others of it
    /// end as they would have. Answers all dead letters of the step, those of `Step::dead` among them, in the
    /// order of their offsets: they belong into the step's transaction. Said in every try before it is
    /// committed, also of none: the last word before the step is done is the one that holds.
    ///
    /// # Errors
    /// `Fatal`: a record is not held, or is none of the step's.
    fn end(&self, ends: Vec<(Offset, End)>) -> Future<'_, Result<Vec<DeadLetter>, Fault>>;
}

/// Why a step did not happen. Nothing of it did, or (with `Unavailable`) nobody knows: the same step
/// asked again finds out, and is done once in either case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another owner has claimed the partition: this one must stop and claim again.
    Fenced,
    /// A fault of the step; `Poison` speaks of some row in it, not of all.
    Fault(Fault),
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Refusal::Fault(fault)
    }
}

/// A sink whose effects happen for a contiguous range of a partition at once.
pub trait BatchSink: Send + Sync {
    /// Looks at the real thing before the first record: does the table have the columns, may we write?
    ///
    /// # Errors
    /// `Unavailable`: not reachable yet, ask again. `Fatal`: it can never work; says what to do.
    fn bind(&self) -> Future<'_, Result<(), Fault>>;

    /// A fresh encoder for a partition task; after `bind`.
    ///
    /// # Errors
    /// `Fatal` when it was never bound.
    fn encoder(&self) -> Result<Box<dyn Encode>, Fault>;

    /// The sink's own record of progress, where it has one that is the truth; else Kafka's committed
    /// offset is.
    fn truth(&self) -> Option<&dyn Progress>;

    /// Where dead letters wait for their relay, when they are written with the step; `None`: the pipeline
    /// sends them itself and waits, before the step.
    fn outbox(&self) -> Option<&dyn Outbox> {
        None
    }

    /// May a step reject records by itself, so that one without a dead letter may still write some?
    fn rejects(&self) -> bool {
        false
    }

    /// Does it gather for long, minutes instead of milliseconds? Then what was gathered is applied when the
    /// partition is given up, within the drain time, and records are freed once they are encoded: such a
    /// sink refuses no single record (`Poison`) in a step.
    fn gathers(&self) -> bool {
        false
    }

    /// Does a step: effects and (where `truth` is its own) progress together, fenced by the claim.
    /// Doing the same step twice does it once. Steps of one partition never overlap; those of
    /// different partitions do.
    ///
    /// # Errors
    /// See [`Refusal`].
    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>>;
}
