//! The door between the poll thread and the tasks: where batches go, and whether there is room.
//!
//! Everything here runs on the poll thread: it looks up, counts, sends and returns.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::UnboundedSender;

use super::load::Load;
use super::task::Feed;
use crate::engine::flow::{Gate, Window};
use crate::observe::{PipelineView, TopicView};
use crate::port::{Batch, Intake, Room, Trouble};
use crate::record::{NextOffset, PartitionId};

/// What the poll thread tells the group's task.
#[derive(Debug)]
pub enum Event {
    /// Given by the group.
    Assigned(Vec<PartitionId>),
    /// Taken by the group; lost already?
    Revoked(Vec<PartitionId>, bool),
    /// A commit was acknowledged.
    Committed(Vec<(PartitionId, NextOffset)>),
    /// A commit failed.
    CommitFailed(String),
    /// Something is wrong.
    Trouble(Trouble),
}

/// Where the records of one partition go.
#[derive(Debug)]
pub struct Slot {
    /// To its task.
    pub feed: UnboundedSender<Feed>,
    /// What the task holds.
    pub load: Arc<Load>,
    /// Is the window full? The task tells of freed room then.
    pub full: Arc<AtomicBool>,
    /// The topic's ledger.
    pub topic: Arc<TopicView>,
    /// The window's gate.
    pub gate: Gate,
}

/// The door of one pipeline.
#[derive(Debug)]
pub struct Door {
    slots: Mutex<HashMap<PartitionId, Slot>>,
    events: UnboundedSender<Event>,
    window: Window,
    view: Arc<PipelineView>,
}

impl Door {
    /// A door without slots.
    pub fn new(events: UnboundedSender<Event>, window: Window, view: Arc<PipelineView>) -> Self {
        Self { slots: Mutex::default(), events, window, view }
    }

    /// From now on the partition's records go there.
    pub fn open(&self, partition: PartitionId, slot: Slot) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, slot);
    }

    /// Nothing more goes to the partition's task.
    pub fn close(&self, partition: &PartitionId) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).remove(partition);
    }

    fn with<T>(&self, partition: &PartitionId, act: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).get_mut(partition).map(act)
    }

    /// Judges a slot's load; when its window has just become full, says so to the tasks that fill it.
    fn judge(&self, partition: &PartitionId) -> Room {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get_mut(partition) else { return Room::Full };
        let (was, load) = (slot.full.load(Ordering::Relaxed), slot.load.now());
        let full = slot.gate.judge(load, self.window);
        slot.full.store(full, Ordering::Release);
        if full && !was {
            self.view.windows_full.fetch_add(1, Ordering::Relaxed);
            // Of shared bytes others may hold most, and hear nothing as long as nothing comes for them.
            let shared = load.shared_bytes >= self.window.bytes;
            for (_, slot) in slots.iter().filter(|(other, _)| shared || *other == partition) {
                // A task that has ended has nothing to offer.
                let _ = slot.feed.send(Feed::Full);
            }
        }
        if full { Room::Full } else { Room::Free }
    }

    fn say(&self, event: Event) {
        // The group's task is gone only when the pipeline has ended: nobody needs to hear it then.
        let _ = self.events.send(event);
    }
}

impl Intake for Door {
    fn assigned(&self, partitions: Vec<PartitionId>) {
        self.say(Event::Assigned(partitions));
    }

    fn revoked(&self, partitions: Vec<PartitionId>, lost: bool) {
        self.say(Event::Revoked(partitions, lost));
    }

    fn started(&self, partition: &PartitionId, next: NextOffset) {
        self.with(partition, |slot| {
            let _ = slot.feed.send(Feed::Start(next));
        });
    }

    fn batch(&self, partition: &PartitionId, batch: Box<dyn Batch>) -> Room {
        let (records, bytes) = (batch.len(), batch.bytes());
        let delivered = self.with(partition, |slot| {
            slot.load.add(records, bytes);
            slot.topic.ledger.consumed(records as u64);
            if slot.feed.send(Feed::Batch(batch)).is_err() {
                slot.load.sub(records, bytes);
                slot.topic.ledger.given_back(records as u64);
            }
        });
        delivered.map_or(Room::Full, |()| self.judge(partition))
    }

    fn room(&self, partition: &PartitionId) -> Room {
        self.judge(partition)
    }

    fn committed(&self, result: Result<&[(PartitionId, NextOffset)], String>) {
        match result {
            Ok(offsets) => self.say(Event::Committed(offsets.to_vec())),
            Err(reason) => self.say(Event::CommitFailed(reason)),
        }
    }

    fn trouble(&self, trouble: Trouble) {
        self.say(Event::Trouble(trouble));
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;
    use crate::observe::Board;
    use crate::record::{HeaderList, Offset, Record};

    /// One record of so many bytes.
    #[derive(Debug)]
    struct One(Vec<u8>);

    impl Batch for One {
        fn len(&self) -> usize {
            1
        }

        fn record(&self, _: usize) -> Record<'_> {
            let (key, headers) = (None, HeaderList::none());
            Record { offset: Offset(0), timestamp: None, key, value: Some(&self.0), headers }
        }

        fn bytes(&self) -> usize {
            self.0.len()
        }
    }

    fn told(feed: &mut UnboundedReceiver<Feed>) -> bool {
        std::iter::from_fn(|| feed.try_recv().ok()).any(|feed| matches!(feed, Feed::Full))
    }

    type Fed = UnboundedReceiver<Feed>;

    /// A door with two partitions that share their bytes, and what their tasks are fed.
    fn two(window: Window) -> (Door, [PartitionId; 2], [Fed; 2]) {
        let board = Board::new().unwrap();
        let door = Door::new(unbounded_channel().0, window, board.pipeline("p", "g"));
        let shared = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let partitions = [0, 1].map(|number| PartitionId::new("t", number));
        let fed = partitions.clone().map(|partition| {
            let (feed, fed) = unbounded_channel();
            let slot = Slot {
                feed,
                load: Arc::new(Load::new(Arc::clone(&shared))),
                full: Arc::default(),
                topic: door.view.topic("t"),
                gate: Gate::default(),
            };
            door.open(partition, slot);
            fed
        });
        (door, partitions, fed)
    }

    /// One of them may hold all of it, and nothing may come for it any longer.
    #[test]
    fn when_the_shared_window_is_full_all_that_fill_it_are_told_once() {
        let (door, [first, second], [mut idle, mut busy]) = two(Window { records: 3, bytes: 1000 });
        assert_eq!(door.batch(&first, Box::new(One(vec![0; 990]))), Room::Free);
        assert!(!told(&mut idle));
        assert_eq!(door.batch(&second, Box::new(One(vec![0; 20]))), Room::Full);
        assert!(told(&mut idle) && told(&mut busy));
        assert_eq!(door.room(&second), Room::Full);
        assert!(!told(&mut idle) && !told(&mut busy));
    }

    #[test]
    fn a_partition_with_too_many_records_is_told_alone() {
        let (door, [first, _], [mut full, mut other]) = two(Window { records: 1, bytes: 1000 });
        assert_eq!(door.batch(&first, Box::new(One(vec![0; 2]))), Room::Full);
        assert!(told(&mut full) && !told(&mut other));
    }
}
