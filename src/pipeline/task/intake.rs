//! What comes in: batches into the queue, records into the chunk being built, chunks to the machine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Duration, Instant};
use uuid::Uuid;

use super::{Feed, Stage, Task, Word};
use crate::engine::offsets::{Receipt, Tracker};
use crate::engine::partition::Input;
use crate::pipeline::chunk::Chunk;
use crate::pipeline::process::{Processed, bytes_of};
use crate::record::{
    Class, DeadLetter, Fault, NextOffset, Offset, OwnedRecord, Position, Record, TopicId,
};

/// How long a chunk with dead letters waits before it looks again whether they can leave.
const LETTERS_PAUSE: Duration = Duration::from_millis(200);

impl Task {
    pub(super) fn fed(&mut self, feed: Feed) {
        match feed {
            Feed::Start(next) => {
                if self.awaited == Some(next) {
                    self.awaited = None;
                }
            }
            Feed::Full => self.pressed |= !self.building.is_empty() || !self.queue.is_empty(),
            Feed::Batch(batch) if self.awaited.is_some() || self.claim.is_none() => {
                // Of an older start: its offsets say nothing about where this one stands.
                self.give_back(batch.len(), batch.bytes());
            }
            Feed::Batch(batch) => {
                let (first, last) = (batch.record(0).offset, batch.record(batch.len() - 1).offset);
                match self.tracker.deliver(first, last) {
                    Ok(receipt) => {
                        self.receipts.push_back(receipt);
                        self.queue.push_back(batch);
                    }
                    Err(error) => {
                        self.give_back(batch.len(), batch.bytes());
                        self.restart(&error.to_string());
                    }
                }
            }
        }
    }

    /// Claims again and begins from where the claim stands: the safe answer to whatever should not be.
    pub(super) fn restart(&mut self, why: &str) {
        tracing::warn!(partition = %self.partition, why, "begins again from its watermark");
        let _ = self.wiring.words.send(Word::Hold(self.partition.clone()));
        // A step under way is left to the fence: the new claim waits for it.
        self.applying = None;
        self.forget();
        self.tracker = Tracker::new(self.tracker.position());
        self.tell(&Input::Fenced);
    }

    /// Processes what is queued into the chunk being built, until it is full or something is missing.
    pub(super) fn fill(&mut self) {
        let limits = self.shared.limits;
        while self.bad.is_none() && self.asking.is_none() && self.ask_at.is_none() {
            let Some(batch) = self.queue.front() else { return };
            if self.building.effects.len() >= limits.rows
                || self.building.effects.bytes() >= limits.bytes
            {
                return;
            }
            let began = std::time::Instant::now();
            let before = self.building.records;
            let done = self.processor.run(&**batch, &mut self.at, &mut self.building, limits);
            self.through += (self.building.records - before) as u64;
            self.shared
                .board
                .instruments
                .process
                .with_label_values(&[&*self.shared.claimer.group])
                .observe(began.elapsed().as_secs_f64());
            match done {
                Processed::All => {
                    let done = self.queue.pop_front();
                    // What is gathered for minutes is not held twice.
                    self.kept.extend(done.filter(|_| !self.shared.sink.gathers()));
                    self.at = 0;
                }
                Processed::Full => return,
                Processed::Schema(id) => self.ask(id),
                Processed::Bad(offset, fault) if fault.class != Class::Poison => {
                    self.bad = Some((offset, fault));
                }
                Processed::Bad(offset, fault) => {
                    self.count_failure(fault.class);
                    self.stop.good(std::mem::take(&mut self.through));
                    if self.stop.bad() {
                        self.bad = Some((offset, fault));
                    } else {
                        self.bury_head(fault);
                    }
                }
                Processed::Rejected(_, reason) => {
                    self.bury_head(Fault::poison("rejected", reason));
                }
            }
        }
    }

    /// The record at the head of the queue becomes a dead letter of the chunk being built.
    fn bury_head(&mut self, fault: Fault) {
        let Some(batch) = self.queue.front() else { return };
        let record = batch.record(self.at);
        let letter = self.letter(&record, fault);
        self.building.took(record.offset, bytes_of(&record), None);
        if self.building.began.is_none() {
            self.building.began = Some(Instant::now());
            self.building.oldest = record.timestamp;
        }
        self.building.bury(letter);
        self.at += 1;
    }

    /// A dead letter of this partition.
    pub(super) fn letter(&self, record: &Record<'_>, fault: Fault) -> DeadLetter {
        let topic_id = self.claim.as_ref().map_or(TopicId(Uuid::nil()), |claim| claim.topic_id);
        DeadLetter {
            topic: Arc::clone(&self.dead_letters),
            topic_id,
            position: Position { partition: self.partition.clone(), offset: record.offset },
            group: Arc::clone(&self.shared.claimer.group),
            fault,
            record: OwnedRecord::copy_of(record),
        }
    }

    /// Offers the chunk being built when it is due and the machine has nothing else to do.
    pub(super) fn offer(&mut self) {
        if !self.machine.wants_work() {
            return;
        }
        if self.building.is_empty() {
            if let Some((offset, fault)) = self.bad.take() {
                self.count_failure(fault.class);
                self.tell(&Input::Bad(offset, &fault));
            }
            return;
        }
        let limits = self.shared.limits;
        let full = self.building.effects.len() >= limits.rows
            || self.building.effects.bytes() >= limits.bytes
            // All dropped: no effect fills it, but progress must not wait for ever.
            || self.building.records >= limits.rows.saturating_mul(16);
        let due = self.building.began.is_none_or(|began| began.elapsed() >= limits.every);
        let pressed = self.pressed || self.wiring.full.load(Ordering::Acquire);
        if !(full || due || pressed || self.bad.is_some()) {
            return;
        }
        if self.letters_stand() {
            // The dead-letter topic is away: more letters would only pile up in the database.
            return self.wake_in(LETTERS_PAUSE);
        }
        self.offer_built();
    }

    /// The partition is given up: what was gathered is applied, behind the step that is under way; then the
    /// machine hears of it.
    pub(super) fn close_up(&mut self) {
        self.stage = Stage::Closing;
        if self.shared.sink.gathers() {
            if self.machine.wants_work() && !self.building.is_empty() {
                return self.offer_built();
            }
            if self.machine.is_applying() {
                return;
            }
        }
        self.stage = Stage::Drained;
        self.tell(&Input::Drain);
    }

    fn offer_built(&mut self) {
        self.pressed = false;
        let chunk = std::mem::replace(&mut self.building, Chunk::new(NextOffset(0)));
        self.building.from = chunk.to;
        self.building.to = chunk.to;
        let mut receipt = None;
        while let Some(next) = self.receipts.pop_front() {
            let (mine, rest) = next.split(Offset(chunk.to.0));
            receipt = match (receipt, mine) {
                (Some(had), Some(more)) => match Receipt::join(had, more) {
                    Ok(both) => Some(both),
                    // They come from one tracker in order, so they join; settled one by one otherwise.
                    Err((had, more)) => {
                        self.tracker.settle(had);
                        Some(more)
                    }
                },
                (had, more) => had.or(more),
            };
            if let Some(rest) = rest {
                self.receipts.push_front(rest);
                break;
            }
        }
        let part = chunk.whole();
        self.begun = Some(chunk.begin(receipt));
        self.tell(&Input::Offer(part));
    }
}
