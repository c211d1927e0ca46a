//! A task's accounts: what it holds, what it gives back, what it shows.

use tokio::time::Instant;

use super::{Feed, Task};
use crate::engine::offsets::Receipt;
use crate::engine::stop::Counter;
use crate::pipeline::chunk::Chunk;
use crate::pipeline::process::bytes_of;
use crate::record::{Class, Offset};

impl Task {
    /// Gives up everything that was delivered: it belongs to a generation that is over. What still comes of it is
    /// not taken, until there is a claim again.
    pub(super) fn forget(&mut self) {
        self.claim = None;
        let (mut records, mut bytes) = (0, 0);
        if let Some(begun) = self.begun.take() {
            records += begun.chunk.records - begun.settled_records;
            bytes += begun.chunk.bytes;
            self.close(begun.receipt);
        }
        let queued: usize = self.queue.iter().map(|b| b.len()).sum();
        let queued_bytes: usize = self.queue.iter().map(|b| b.bytes()).sum();
        // The head of the queue is processed up to `at`, and that much of it stands in the chunk too.
        let (taken, taken_bytes) = self.taken_of_head();
        records += queued - taken + self.building.records;
        bytes += queued_bytes - taken_bytes + self.building.bytes;
        let (in_lanes, in_lanes_bytes) = self.forget_lanes();
        records += in_lanes;
        bytes += in_lanes_bytes;
        self.queue.clear();
        self.kept.clear();
        self.at = 0;
        self.through = 0;
        self.stop = Counter::new(self.shared.stop_after);
        self.refused = Counter::new(self.shared.stop_after);
        self.bad = None;
        self.pressed = false;
        let receipts: Vec<_> = self.receipts.drain(..).collect();
        receipts.into_iter().for_each(|receipt| self.close(Some(receipt)));
        self.building = Chunk::new(self.tracker.position());
        self.give_back(records, bytes);
    }

    pub(super) fn taken_of_head(&self) -> (usize, usize) {
        self.queue.front().map_or((0, 0), |head| {
            let bytes = (0..self.at).map(|i| bytes_of(&head.record(i))).sum();
            (self.at, bytes)
        })
    }

    /// A receipt of a generation that is over: its tracker goes with it.
    pub(super) fn close(&mut self, receipt: Option<Receipt>) {
        if let Some(receipt) = receipt {
            self.tracker.settle(receipt);
        }
    }

    /// Says that a record became a dead letter; of many only a few.
    pub(super) fn say_dead(&self, offset: Offset, code: &str, reason: &str) {
        let Some(kept_back) = self.wiring.topic.names_letter(self.now()) else { return };
        let group = &self.shared.claimer.group;
        let unnamed = (kept_back > 0).then_some(kept_back);
        let record = format_args!("{}@{offset}", self.partition);
        tracing::warn!(%group, unnamed, "dead letter: {record}: {code}: {}", reason);
    }

    pub(super) fn give_back(&self, records: usize, bytes: usize) {
        if records > 0 {
            self.wiring.load.sub(records, bytes);
            self.wiring.topic.ledger.given_back(records as u64);
        }
    }

    /// The end: whatever is still here, or still comes, was not settled by us.
    pub(super) fn give_back_all(&mut self) {
        self.applying = None;
        self.forget();
        self.wiring.feed.close();
        while let Ok(feed) = self.wiring.feed.try_recv() {
            if let Feed::Batch(batch) = feed {
                self.give_back(batch.len(), batch.bytes());
            }
        }
    }

    pub(super) fn show(&self) {
        let in_lanes = self.lanes.as_ref().and_then(super::lanes::Work::oldest);
        let first = self.begun.as_ref().map(|b| b.chunk.oldest).or(in_lanes).or_else(|| {
            if self.building.is_empty() {
                self.queue.front().map(|b| b.record(self.at.min(b.len() - 1)).timestamp)
            } else {
                Some(self.building.oldest)
            }
        });
        self.wiring.view.set_oldest_held(first.flatten());
    }

    pub(super) fn observe(&self, operation: &str, began: Instant) {
        self.shared
            .board
            .instruments
            .operations
            .with_label_values(&[&*self.shared.claimer.group, operation])
            .observe(began.elapsed().as_secs_f64());
    }

    pub(super) fn count_failure(&self, class: Class) {
        self.shared
            .board
            .instruments
            .failures
            .with_label_values(&[
                &*self.shared.claimer.group,
                &*self.partition.topic,
                class.as_str(),
            ])
            .inc();
    }
}
