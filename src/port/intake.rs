//! Between the poll thread of a group member and the tasks that work its partitions.
//!
//! ```text
//! poll thread ── assigned / revoked / batch / trouble ──▶ Intake
//! poll thread ◀── Command ─────────────────────────────── tasks
//! ```

use std::fmt;

use futures::channel::oneshot;

use crate::record::{NextOffset, PartitionId, Record};

/// Owned records of one partition, in order. Sent between threads, never shared; freed on drop.
pub trait Batch: Send + fmt::Debug {
    /// How many records, at least one.
    fn len(&self) -> usize;

    /// Never true of a batch that was delivered; here because every `len` has one.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The record at `index`, borrowed from the batch.
    ///
    /// # Panics
    /// Past the end, as a slice does.
    fn record(&self, index: usize) -> Record<'_>;

    /// Bytes of keys and values together: what counts against the window.
    fn bytes(&self) -> usize;
}

/// Is there room for more of a partition?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Deliver on.
    Free,
    /// The window is full: deliver nothing more of it until `room` says `Free` again.
    Full,
}

/// What a poll thread reports. Called on the poll thread: must return at once and never block.
pub trait Intake: Send + Sync {
    /// The group gave these partitions. Answer with [`Command::Accept`]; nothing of them is delivered
    /// before. Other partitions flow on meanwhile.
    fn assigned(&self, partitions: Vec<PartitionId>);

    /// The group takes these partitions. Nothing more of them is delivered. Answer with
    /// [`Command::Release`]. With `lost` they belong to somebody else already: commit nothing.
    fn revoked(&self, partitions: Vec<PartitionId>, lost: bool);

    /// Reading of a partition starts (again) at `next`, as `Accept` or `Start` said: every batch of it that
    /// comes after this lies at or behind `next`, every one that came before belongs to an older start.
    fn started(&self, partition: &PartitionId, next: NextOffset);

    /// Records of an accepted partition, in order, without a repeat. Answers whether there is room for more.
    fn batch(&self, partition: &PartitionId, batch: Box<dyn Batch>) -> Room;

    /// Is there room for more of it now? Asked while it was `Full`.
    fn room(&self, partition: &PartitionId) -> Room;

    /// The outcome of a commit: the offsets, or why not. A failed one is simply sent again later.
    fn committed(&self, result: Result<&[(PartitionId, NextOffset)], String>);

    /// Something is wrong with the client, the group or a partition.
    fn trouble(&self, trouble: Trouble);
}

/// What went wrong on the poll thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// All brokers are out of reach; the client goes on trying. Said once an outage.
    Unreachable(String),
    /// A broker answers again after `Unreachable`.
    Reachable,
    /// A partition cannot be read on: offset out of range, not authorised, topic gone.
    Partition {
        /// Which.
        partition: PartitionId,
        /// A short word, such as `offset_out_of_range`.
        code: String,
        /// For a person.
        reason: String,
    },
    /// The client is fenced or broken for good. The thread ends after this.
    Fatal(String),
}

/// Where reading of an accepted partition starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At this offset.
    Offset(NextOffset),
    /// Nowhere yet: accepted and paused; [`Command::Start`] says where later.
    Later,
}

/// A committed offset with the text that goes beside it (at most 4,096 bytes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The partition.
    pub partition: PartitionId,
    /// Next to read.
    pub next: NextOffset,
    /// The metadata: Ordermill's marker. Kafka's own tools leave it empty.
    pub metadata: String,
}

/// What a poll thread is asked to do. Orders are carried out in the order in which they were sent.
#[derive(Debug)]
pub enum Command {
    /// Answers `assigned`: one entry for each partition that was given.
    Accept(Vec<(PartitionId, StartAt)>),
    /// Starts a partition that was accepted with [`StartAt::Later`].
    Start(PartitionId, NextOffset),
    /// Answers `revoked`: commits these (synchronously), then gives the partitions up.
    Release(Vec<Commit>),
    /// Commits without waiting; the outcome comes to [`Intake::committed`]. Offsets of partitions that
    /// are no longer held are left out.
    Commit(Vec<Commit>),
    /// Commits these synchronously, of partitions that are held or just being given; the answer: done, or
    /// why not.
    CommitNow(Vec<Commit>, oneshot::Sender<Result<(), String>>),
    /// Stops delivering a partition until [`Command::Start`] says where to go on.
    Hold(PartitionId),
    /// Commits these synchronously, leaves the group, ends the thread.
    Leave(Vec<Commit>),
    /// Nothing but a wake-up: room may have come free.
    Wake,
}
