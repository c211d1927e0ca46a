//! A group member with a small pipeline behind it: counts what it is given, refuses gaps and repeats, and
//! commits what it has done with a marker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ordermill::kafka::{Member, MemberHandle, Settings};
use ordermill::port::{Admin, Batch, Command, Commit, Intake, Room, StartAt, Trouble};
use ordermill::record::{NextOffset, PartitionId};

pub(crate) const MARKER: &str = "ordermill test 1";

/// Waits until something holds.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// What all members of a group have done together: the oracle.
#[derive(Default)]
pub(crate) struct Ledger {
    state: Mutex<LedgerState>,
}

#[derive(Default)]
struct LedgerState {
    /// Next offset by partition.
    next: BTreeMap<i32, i64>,
    records: u64,
    /// How often a record came before one that it follows.
    passed_over: u64,
    wrong: Vec<String>,
}

impl Ledger {
    pub(crate) fn records(&self) -> u64 {
        self.state.lock().unwrap().records
    }

    pub(crate) fn next(&self, partition: i32) -> i64 {
        let state = self.state.lock().unwrap();
        state.next.get(&partition).copied().unwrap_or(0)
    }

    /// Everything was given once and in order.
    pub(crate) fn assert_clean(&self) {
        let state = self.state.lock().unwrap();
        assert!(state.wrong.is_empty(), "{:#?}", state.wrong);
    }

    /// Nothing was passed over, however often anything came.
    pub(crate) fn assert_whole(&self) {
        assert_eq!(self.state.lock().unwrap().passed_over, 0, "records were passed over");
    }

    fn record(&self, partition: i32, offset: i64) {
        let mut state = self.state.lock().unwrap();
        let next = state.next.entry(partition).or_insert(0);
        let wanted = *next;
        *next = offset + 1;
        state.records += 1;
        state.passed_over += u64::from(wanted < offset);
        if wanted != offset && state.wrong.len() < 20 {
            state.wrong.push(format!("partition {partition}: wanted {wanted}, got {offset}"));
        }
    }

    fn check_start(&self, partition: i32, start: i64) {
        let mut state = self.state.lock().unwrap();
        let done = state.next.get(&partition).copied().unwrap_or(0);
        if done != start {
            let wrong = format!("partition {partition} starts at {start}, {done} are done");
            state.wrong.push(wrong);
        }
    }

    /// The test says where a partition goes on.
    pub(crate) fn set(&self, partition: i32, next: i64) {
        self.state.lock().unwrap().next.insert(partition, next);
    }
}

enum Event {
    Assigned(Vec<PartitionId>),
    Revoked(Vec<PartitionId>, bool),
    Batch(PartitionId, Box<dyn Batch>),
    Order(Command),
    Leave,
}

/// How the member behaves.
#[derive(Clone)]
pub(crate) struct Manner {
    /// Records of a partition that may wait before its window is full.
    pub(crate) window: usize,
    /// This partition takes so long for each batch.
    pub(crate) slow: Option<(i32, Duration)>,
    /// Accept without a start; the test gives it.
    pub(crate) later: bool,
    /// Where to start instead of the committed offset.
    pub(crate) start: Option<i64>,
    /// The ledger is the truth, as a database is; else Kafka's committed offset is.
    pub(crate) own_truth: bool,
    /// Nothing is done while this is set.
    pub(crate) stuck: Arc<AtomicBool>,
    /// The poll thread stands still for so long in its first batch.
    pub(crate) freeze: Option<Duration>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            window: 10_000,
            slow: None,
            later: false,
            start: None,
            own_truth: false,
            stuck: Arc::default(),
            freeze: None,
        }
    }
}

/// What the poll thread tells, kept for the test to look at.
pub(crate) struct Told {
    events: Mutex<Sender<Event>>,
    manner: Manner,
    waiting: Mutex<BTreeMap<i32, usize>>,
    held: Mutex<Vec<PartitionId>>,
    pub(crate) troubles: Mutex<Vec<Trouble>>,
    pub(crate) commits: AtomicUsize,
    pub(crate) full: AtomicUsize,
    pub(crate) lost: AtomicBool,
    frozen: AtomicBool,
}

impl Told {
    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap().len()
    }

    /// Partitions of which records wait.
    pub(crate) fn reached(&self) -> usize {
        self.waiting.lock().unwrap().values().filter(|count| **count > 0).count()
    }

    pub(crate) fn partitions(&self) -> Vec<PartitionId> {
        self.held.lock().unwrap().clone()
    }

    pub(crate) fn heard(&self, wanted: impl Fn(&Trouble) -> bool) -> usize {
        self.troubles.lock().unwrap().iter().filter(|t| wanted(t)).count()
    }

    fn event(&self, event: Event) {
        // The driver may have ended.
        let _ = self.events.lock().unwrap().send(event);
    }
}

impl Intake for Told {
    fn started(&self, _: &PartitionId, _: NextOffset) {}

    fn assigned(&self, partitions: Vec<PartitionId>) {
        self.event(Event::Assigned(partitions));
    }

    fn revoked(&self, partitions: Vec<PartitionId>, lost: bool) {
        self.event(Event::Revoked(partitions, lost));
    }

    fn batch(&self, partition: &PartitionId, batch: Box<dyn Batch>) -> Room {
        if let Some(time) = self.manner.freeze
            && !self.frozen.swap(true, Ordering::Relaxed)
        {
            thread::sleep(time);
        }
        let mut waiting = self.waiting.lock().unwrap();
        let count = waiting.entry(partition.partition).or_insert(0);
        *count += batch.len();
        let room = room(*count, self.manner.window);
        if room == Room::Full {
            self.full.fetch_add(1, Ordering::Relaxed);
        }
        drop(waiting);
        self.event(Event::Batch(partition.clone(), batch));
        room
    }

    fn room(&self, partition: &PartitionId) -> Room {
        let waiting = self.waiting.lock().unwrap();
        // Hysteresis, as the engine has it.
        let count = waiting.get(&partition.partition).copied().unwrap_or(0);
        room(count, self.manner.window / 2)
    }

    fn committed(&self, result: Result<&[(PartitionId, NextOffset)], String>) {
        match result {
            Ok(_) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
            }
            Err(why) => eprintln!("commit: {why}"),
        }
    }

    fn trouble(&self, trouble: Trouble) {
        self.troubles.lock().unwrap().push(trouble);
    }
}

fn room(waiting: usize, limit: usize) -> Room {
    if waiting > limit { Room::Full } else { Room::Free }
}

/// A running member.
pub(crate) struct Running {
    pub(crate) told: Arc<Told>,
    pub(crate) handle: Arc<MemberHandle>,
    driver: Option<thread::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(
        settings: &Settings,
        group: &str,
        topic: &str,
        admin: Arc<dyn Admin>,
        ledger: Arc<Ledger>,
        manner: &Manner,
    ) -> Self {
        let (events, inbox) = mpsc::channel();
        let told = Arc::new(Told {
            events: Mutex::new(events),
            manner: manner.clone(),
            waiting: Mutex::default(),
            held: Mutex::default(),
            troubles: Mutex::default(),
            commits: AtomicUsize::new(0),
            full: AtomicUsize::new(0),
            lost: AtomicBool::new(false),
            frozen: AtomicBool::new(false),
        });
        let intake = Arc::<Told>::clone(&told);
        let handle = Member::start(settings, group, &[topic.to_owned()], intake).unwrap();
        let handle = Arc::new(handle);
        let driver = Driver {
            told: Arc::clone(&told),
            handle: Arc::clone(&handle),
            admin,
            ledger,
            group: group.to_owned(),
        };
        let driver = thread::spawn(move || driver.run(&inbox));
        Self { told, handle, driver: Some(driver) }
    }

    /// Gives an order in its place behind the batches that came before.
    pub(crate) fn order(&self, command: Command) {
        self.told.event(Event::Order(command));
    }

    /// A clean stop; nothing of it may fail.
    pub(crate) fn leave(mut self) {
        self.told.event(Event::Leave);
        self.driver.take().unwrap().join().unwrap();
        let handle = Arc::into_inner(self.handle).unwrap();
        handle.join(Duration::from_secs(15)).unwrap();
    }
}

/// The small pipeline: does what comes, one after another, so that a revocation finds all done.
struct Driver {
    told: Arc<Told>,
    handle: Arc<MemberHandle>,
    admin: Arc<dyn Admin>,
    ledger: Arc<Ledger>,
    group: String,
}

impl Driver {
    fn run(self, inbox: &Receiver<Event>) {
        for event in inbox {
            match event {
                Event::Assigned(ids) => self.assigned(ids),
                Event::Revoked(ids, lost) => {
                    self.told.lost.fetch_or(lost, Ordering::Relaxed);
                    self.told.held.lock().unwrap().retain(|id| !ids.contains(id));
                    self.handle.send(Command::Release(self.commits(&ids)));
                }
                Event::Batch(id, batch) => self.batch(&id, batch),
                Event::Order(command) => self.handle.send(command),
                Event::Leave => {
                    let ids = self.told.held.lock().unwrap().clone();
                    self.handle.send(Command::Leave(self.commits(&ids)));
                    return;
                }
            }
        }
    }

    fn assigned(&self, ids: Vec<PartitionId>) {
        let manner = &self.told.manner;
        let committed =
            futures::executor::block_on(self.admin.committed(&self.group, &ids)).unwrap();
        let entries = ids
            .iter()
            .zip(committed)
            .map(|(id, at)| {
                let next = manner.start.unwrap_or_else(|| {
                    let committed = at.map_or(0, |at| at.next.0);
                    let next = match manner.own_truth {
                        true => self.ledger.next(id.partition),
                        false => committed,
                    };
                    self.ledger.check_start(id.partition, next);
                    next
                });
                let start = match manner.later {
                    true => StartAt::Later,
                    false => StartAt::Offset(NextOffset(next)),
                };
                (id.clone(), start)
            })
            .collect();
        self.handle.send(Command::Accept(entries));
        self.told.held.lock().unwrap().extend(ids);
    }

    fn batch(&self, id: &PartitionId, batch: Box<dyn Batch>) {
        while self.told.manner.stuck.load(Ordering::Relaxed) {
            thread::park_timeout(Duration::from_millis(10));
        }
        if let Some((slow, time)) = self.told.manner.slow
            && slow == id.partition
        {
            thread::park_timeout(time);
        }
        for i in 0..batch.len() {
            let record = batch.record(i);
            self.ledger.record(id.partition, record.offset.0);
        }
        let count = batch.len();
        drop(batch);
        *self.told.waiting.lock().unwrap().get_mut(&id.partition).unwrap() -= count;
        self.handle.send(Command::Wake);
        self.handle.send(Command::Commit(self.commits(std::slice::from_ref(id))));
    }

    fn commits(&self, ids: &[PartitionId]) -> Vec<Commit> {
        ids.iter()
            .map(|id| Commit {
                partition: id.clone(),
                next: NextOffset(self.ledger.next(id.partition)),
                metadata: MARKER.to_owned(),
            })
            .collect()
    }
}
