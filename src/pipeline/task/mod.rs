//! One partition's task: the driver of `engine::partition`.
//!
//! ```text
//! feed ──batches──▶ queue ──process──▶ chunk being built ──offer──▶ machine ──▶ step under way
//!                                                                      ▲             │
//!                                                                      └── outcome ──┘
//! ```
//!
//! The machine decides; this file carries out, and keeps the machine told. It holds two chunks at most:
//! one under way and one being built, so that decoding overlaps the database.

mod account;
mod claim;
mod intake;
mod keep;
mod lanes;
mod otherwise;
mod step;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Duration, Instant};

use super::chunk::{Begun, Chunk};
use super::claim::Claimer;
use super::effect::Effect;
use super::load::Load;
use super::process::Processor;
use crate::engine::offsets::Tracker;
use crate::engine::partition::{Input, Partition};
use crate::engine::retry::Policy;
use crate::engine::stop::{Counter, StopAfter};
use crate::engine::{Now, breaker::Breaker};
use crate::observe::{Board, PartitionView, TopicView};
use crate::port::{self, Batch, Claim, Future, Producer, Progress, Refusal, SchemaText, Schemas};
use crate::record::{Fault, NextOffset, Offset, PartitionId, Position, TopicId};

/// What the poll thread feeds a task with.
#[derive(Debug)]
pub enum Feed {
    /// Reading starts at this offset: batches before this belong to an older start.
    Start(NextOffset),
    /// Records.
    Batch(Box<dyn Batch>),
    /// The window is full: what was gathered must not wait for more.
    Full,
}

/// What the group tells a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Finish what has begun, forget the rest, end.
    Drain,
    /// End now: somebody else owns the partition, or the time is up.
    Lost,
    /// The topic was deleted and made again: forget what is under way, claim anew.
    Again,
}

/// A partition cannot be read, as one of another topic of its name cannot.
#[derive(Clone, Debug)]
pub struct Suspicion {
    /// The identity under which it was claimed then; none: it was not.
    pub claimed: Option<TopicId>,
    /// Why to halt, if its topic is still the same.
    pub fault: Fault,
}

impl Suspicion {
    /// Is it no reason to halt, if the topic has this identity now?
    pub fn is_explained(&self, now: TopicId) -> bool {
        self.claimed != Some(now) || self.fault.code == "unknown_topic"
    }
}

/// What a task tells its group.
#[derive(Debug)]
pub enum Word {
    /// The pipeline must halt, at this record if it is one.
    Halt(Option<Position>, Fault),
    /// It must be fed again from here; nothing more is taken until then.
    Start(Claim),
    /// Nothing of it shall be delivered until `Start`.
    Hold(PartitionId),
    /// There may be room again.
    Room,
    /// A topic has this identity now; none: it is not there. With what made somebody ask.
    Topic(Arc<str>, Option<TopicId>, Option<Suspicion>),
    /// It has ended; this may be committed.
    Gone(PartitionId, Option<(Claim, NextOffset)>),
}

/// How much goes into one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Effects.
    pub rows: usize,
    /// Bytes of effects.
    pub bytes: usize,
    /// The longest that a record waits for others to share its step.
    pub every: Duration,
}

/// What all tasks of a pipeline share.
pub struct Shared {
    /// Where effects go.
    pub sink: Effect,
    /// How many effects of a keyed sink may be under way.
    pub permits: Arc<Semaphore>,
    /// The truth, where the sink has none of its own.
    pub committed: Arc<dyn Progress>,
    /// How partitions are claimed.
    pub claimer: Claimer,
    /// Schemas by id.
    pub schemas: Arc<dyn Schemas>,
    /// What is seen from outside.
    pub board: Arc<Board>,
    /// Size of a step.
    pub limits: Limits,
    /// How long one try of a step may take.
    pub timeout: Duration,
    /// Retry.
    pub policy: Policy,
    /// When to halt instead of dead-lettering on.
    pub stop_after: StopAfter,
    /// Where dead letters go, by source topic.
    pub dead_letter_topics: BTreeMap<String, Arc<str>>,
    /// Sends dead letters.
    pub producer: Arc<dyn Producer>,
    /// Told when letters were written to the outbox.
    pub letters: Notify,
    /// The relay cannot send: no more letters are written.
    pub letters_wait: AtomicBool,
    /// Why it cannot.
    pub letters_why: Mutex<Option<String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("claimer", &self.claimer).finish_non_exhaustive()
    }
}

impl Shared {
    /// The store that is the truth for where partitions stand.
    pub fn truth(&self) -> &dyn Progress {
        self.sink.truth().unwrap_or(&*self.committed)
    }

    fn dead_letter_topic(&self, topic: &str) -> Arc<str> {
        self.dead_letter_topics
            .get(topic)
            .map_or_else(|| Arc::from(format!("{topic}.dlq")), Arc::clone)
    }
}

/// A task's ends of its channels and its views.
#[derive(Debug)]
pub struct Wiring {
    /// Records in.
    pub feed: UnboundedReceiver<Feed>,
    /// Orders in.
    pub control: UnboundedReceiver<Control>,
    /// Words out.
    pub words: UnboundedSender<Word>,
    /// What it holds, as the poll thread judges it.
    pub load: Arc<Load>,
    /// Was the window judged full? Then freed room is told.
    pub full: Arc<AtomicBool>,
    /// The partition as a scrape sees it.
    pub view: Arc<PartitionView>,
    /// Its topic's ledger.
    pub topic: Arc<TopicView>,
}

type Applying = Future<'static, Result<(), Refusal>>;
type Claiming = Future<'static, Result<Claim, Fault>>;
type Asking = Future<'static, (u32, Result<Arc<SchemaText>, Fault>)>;

/// How far the task is with giving its partition up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It was not asked to.
    Open,
    /// Nothing more is processed; what was gathered is applied.
    Closing,
    /// The machine was told to drain.
    Drained,
}

/// The driver of one partition.
pub struct Task {
    shared: Arc<Shared>,
    partition: PartitionId,
    wiring: Wiring,
    processor: Processor,
    machine: Partition,
    tracker: Tracker,
    claim: Option<Arc<Claim>>,
    /// Where the start that we wait for lies; batches before it are of an older start.
    awaited: Option<NextOffset>,
    queue: VecDeque<Box<dyn Batch>>,
    /// Batches that are processed and not settled: a refused effect's record is found here.
    kept: VecDeque<Box<dyn Batch>>,
    /// Records processed since the last bad one.
    through: u64,
    /// Records that could not be processed.
    stop: Counter,
    /// Records whose effect was refused.
    refused: Counter,
    /// Where this partition's dead letters go.
    dead_letters: Arc<str>,
    /// How far the head of the queue is processed.
    at: usize,
    receipts: VecDeque<crate::engine::offsets::Receipt>,
    building: Chunk,
    begun: Option<Begun>,
    /// The records of a keyed sink; the chunks are a batch sink's.
    lanes: Option<lanes::Work>,
    /// Was a record of the lanes settled and not told yet?
    settled: bool,
    /// A record that ended badly, right behind the chunk being built.
    bad: Option<(Offset, Fault)>,
    schemas: Breaker,
    ask_at: Option<(u32, Now)>,
    wake_at: Option<Now>,
    applying: Option<(Applying, Instant)>,
    /// What the step under way asks.
    asked: Option<UnboundedReceiver<otherwise::Question>>,
    claiming: Option<Claiming>,
    asking: Option<Asking>,
    /// The window was full: the chunk being built is offered as it is.
    pressed: bool,
    stage: Stage,
    gone: bool,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "task of {}", self.partition)
    }
}

impl Task {
    /// A task for an assigned partition. With a claim that was made already it waits for its start; else
    /// it claims by itself.
    pub fn new(
        shared: Arc<Shared>,
        partition: PartitionId,
        claim: Option<Claim>,
        processor: Processor,
        wiring: Wiring,
    ) -> Self {
        let (machine, first) = Partition::new(shared.policy);
        let shared_stop = shared.stop_after;
        let dead_letters = shared.dead_letter_topic(&partition.topic);
        let lanes = match &shared.sink {
            Effect::Batch(_) => None,
            Effect::Keyed(keyed) => Some(lanes::Work::new(keyed, &shared.permits, shared.policy)),
        };
        let mut this = Self {
            shared,
            partition,
            wiring,
            processor,
            machine,
            tracker: Tracker::new(NextOffset(0)),
            claim: None,
            awaited: None,
            queue: VecDeque::new(),
            kept: VecDeque::new(),
            through: 0,
            stop: Counter::new(shared_stop),
            refused: Counter::new(shared_stop),
            dead_letters,
            at: 0,
            receipts: VecDeque::new(),
            building: Chunk::new(NextOffset(0)),
            begun: None,
            lanes,
            settled: false,
            bad: None,
            schemas: Breaker::default(),
            ask_at: None,
            wake_at: None,
            applying: None,
            asked: None,
            claiming: None,
            asking: None,
            pressed: false,
            stage: Stage::Open,
            gone: false,
        };
        match claim {
            Some(claim) => this.claimed(claim, false),
            None => this.carry_out(first),
        }
        this
    }

    /// Runs until the partition is given up.
    pub async fn run(mut self) {
        while !self.gone {
            self.work();
            if self.gone {
                break;
            }
            self.wait().await;
            if self.tracker.is_broken() {
                self.restart("a receipt was dropped unsettled");
            }
        }
        self.give_back_all();
    }

    fn work(&mut self) {
        match self.stage {
            _ if self.lanes.is_some() => {
                self.fill_lanes();
                // Before what arms the timer of the progress: a batch may settle without one effect.
                self.advance();
                self.start_lanes();
            }
            Stage::Open => {
                self.fill();
                self.offer();
            }
            Stage::Closing => self.close_up(),
            Stage::Drained => {}
        }
    }

    /// Waits for whatever comes first and takes it in.
    async fn wait(&mut self) {
        let deadline = self.deadline();
        tokio::select! {
            biased;
            Some(control) = self.wiring.control.recv() => match control {
                Control::Drain if self.lanes.is_some() => self.drain_lanes(),
                Control::Drain => self.close_up(),
                Control::Lost => self.tell(&Input::Lost),
                Control::Again => self.restart("its topic was deleted and made again"),
            },
            outcome = pending_or(self.applying.as_mut().map(|(step, _)| step)) => self.applied(outcome),
            Some(question) = otherwise::next(self.asked.as_mut()) => self.asked(question),
            ended = next_of(self.lanes.as_mut()) => self.lanes_ended(ended),
            outcome = pending_or(self.claiming.as_mut()) => {
                self.claiming = None;
                match outcome {
                    Ok(claim) => self.claimed(claim, true),
                    Err(fault) => self.claim_failed(&fault),
                }
            }
            (id, answer) = pending_or(self.asking.as_mut()) => {
                self.asking = None;
                self.schema_came(id, answer);
            }
            Some(feed) = self.wiring.feed.recv() => self.fed(feed),
            () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                self.timer();
            }
        }
    }

    fn now(&self) -> Now {
        self.shared.board.now()
    }

    /// The next moment at which something is due by the clock alone.
    fn deadline(&self) -> Option<Instant> {
        let linger = (self.machine.wants_work() && self.bad.is_none() && !self.letters_stand())
            .then_some(self.building.began)
            .flatten()
            .map(|began| began + self.shared.limits.every);
        let now = self.now();
        let at = |then: Now| Instant::now() + then.saturating_sub(now);
        [linger, self.wake_at.map(at), self.ask_at.map(|(_, then)| at(then))]
            .into_iter()
            .flatten()
            .min()
    }

    /// Do letters of the chunk being built, or those that its step may write, wait for their topic?
    fn letters_stand(&self) -> bool {
        (self.building.has_letters() || self.shared.sink.rejects())
            && self.shared.letters_wait.load(Ordering::Acquire)
    }

    fn wake_in(&mut self, pause: Duration) {
        let at = self.now() + pause;
        self.wake_at = Some(self.wake_at.map_or(at, |had| had.min(at)));
    }

    fn timer(&mut self) {
        let now = self.now();
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            self.tell(&Input::Tick);
        }
        if let Some((id, at)) = self.ask_at
            && at <= now
        {
            self.ask_at = None;
            self.ask(id);
        }
    }
}

/// Awaits a future if there is one; else never ends.
async fn pending_or<T>(future: Option<&mut port::Future<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

/// What ends next in the lanes, if there are lanes; else never ends.
async fn next_of(lanes: Option<&mut lanes::Work>) -> lanes::Ended {
    match lanes {
        Some(lanes) => lanes.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
