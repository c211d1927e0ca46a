//! The task of a keyed sink: records into lanes, effects one by one, settled in any order.
//!
//! ```text
//! queue ──decode──▶ job ──admit──▶ lanes ──start──▶ effect under way ──▶ settled (receipt by receipt)
//!                    └─ bad or rejected ──▶ dead letter under way ──────▶ settled
//! ```
//!
//! Records wait as raw batches in the queue; only so many are decoded ahead as lanes need to find work.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, Instant, timeout};

use super::Task;
use super::keep::Keeper;
use crate::engine::Now;
use crate::engine::breaker::Breaker;
use crate::engine::lanes::{Lane, Lanes, Spent};
use crate::engine::offsets::Receipt;
use crate::engine::partition::Input;
use crate::engine::retry::{Policy, Then};
use crate::observe::{Board, PartitionView, Tally};
use crate::pipeline::effect::Keyed;
use crate::pipeline::process::bytes_of;
use crate::pipeline::reader::Unread;
use crate::port::{Future, KeyedSink, Outgoing, Producer, Refusal};
use crate::record::{
    Class, DeadLetter, Effects, End, Fault, NextOffset, Offset, OwnedRecord, Reason,
};

/// Records of a partition that are decoded ahead: where one key is hot, others must be found behind it.
const AHEAD_MAX: usize = 1024;
/// Bytes of effects of a partition that are made ahead, beyond the one that must be.
const AHEAD_BYTES: usize = 1 << 20;

/// A record on its way to its effect.
#[derive(Debug)]
struct Job {
    receipt: Receipt,
    record: OwnedRecord,
    bytes: usize,
    effects: Arc<Effects>,
    /// Effects of it that have happened.
    at: usize,
    /// Why the last try failed.
    fault: Option<Fault>,
}

/// What happened to something under way.
#[derive(Debug)]
pub(super) enum Ended {
    /// A record's effects: so many of them have happened, and the next failed with this.
    Effect(Offset, usize, Option<Fault>),
    /// A record's dead letter has arrived.
    Letter(Offset, Fault),
    /// An effect may start.
    Permit(OwnedSemaphorePermit),
    /// Progress was kept, or not.
    Kept(NextOffset, Result<(), Refusal>),
}

/// The keyed half of a task.
pub(super) struct Work {
    sink: Arc<dyn KeyedSink>,
    permits: Arc<Semaphore>,
    lanes: Lanes,
    jobs: BTreeMap<Offset, Job>,
    /// Bytes of the effects in `jobs`.
    effect_bytes: usize,
    running: FuturesUnordered<Future<'static, Ended>>,
    /// Dead letters under way: what is left of their records is the duty to settle them.
    letters: BTreeMap<Offset, (Receipt, usize)>,
    permit: Option<OwnedSemaphorePermit>,
    asked: Option<Future<'static, Option<OwnedSemaphorePermit>>>,
    draining: bool,
    /// Where progress is kept, if there is a state database.
    pub(super) keeper: Option<Keeper>,
}

impl Work {
    pub(super) fn new(keyed: &Keyed, permits: &Arc<Semaphore>, policy: Policy) -> Self {
        Self {
            sink: Arc::clone(&keyed.sink),
            permits: Arc::clone(permits),
            lanes: Lanes::new(policy),
            jobs: BTreeMap::new(),
            effect_bytes: 0,
            running: FuturesUnordered::new(),
            letters: BTreeMap::new(),
            permit: None,
            asked: None,
            draining: false,
            keeper: keyed.state.clone().map(Keeper::new),
        }
    }

    /// Waits for the next thing that ends; never where nothing is under way.
    pub(super) async fn next(&mut self) -> Ended {
        tokio::select! {
            biased;
            Some(ended) = self.running.next(), if !self.running.is_empty() => ended,
            Some(permit) = super::pending_or(self.asked.as_mut()) => {
                self.asked = None;
                Ended::Permit(permit)
            }
            kept = Keeper::kept(self.keeper.as_mut()) => kept,
            never = std::future::pending() => never,
        }
    }

    fn has_room(&self) -> bool {
        !self.draining
            && self.jobs.len() + self.letters.len() < AHEAD_MAX
            && (self.jobs.is_empty() || self.effect_bytes < AHEAD_BYTES)
    }

    /// A permit to start an effect, if there is one; else it is asked for.
    fn permit(&mut self) -> Option<OwnedSemaphorePermit> {
        if let Some(permit) = self.permit.take() {
            return Some(permit);
        }
        if self.asked.is_some() {
            return None;
        }
        let permits = Arc::clone(&self.permits);
        if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
            return Some(permit);
        }
        self.asked = Some(Box::pin(async move { permits.acquire_owned().await.ok() }));
        None
    }

    /// Is nothing under way?
    fn is_quiet(&self) -> bool {
        self.running.is_empty()
    }

    /// When something is due by the clock alone.
    fn wake_at(&self) -> Option<Now> {
        let keep = self.keeper.as_ref().and_then(Keeper::due);
        [self.lanes.wake_at(), keep].into_iter().flatten().min()
    }

    /// The timestamp of the first record that is not settled.
    pub(super) fn oldest(&self) -> Option<Option<i64>> {
        self.jobs.first_key_value().map(|(_, job)| job.record.timestamp)
    }
}

impl Task {
    /// Decodes what is queued into lanes, as far as they have room.
    pub(super) fn fill_lanes(&mut self) {
        let began = std::time::Instant::now();
        let mut any = false;
        while self.bad.is_none() && self.asking.is_none() && self.ask_at.is_none() {
            let room = self.lanes.as_ref().is_some_and(Work::has_room);
            let Some(batch) = self.queue.front().filter(|_| room) else { break };
            any = true;
            let record = batch.record(self.at);
            let mut effects = Effects::default();
            let read = self.processor.single(&record, &mut effects);
            let (offset, bytes) = (record.offset, bytes_of(&record));
            match read {
                Err(Unread::Schema(id)) => {
                    self.ask(id);
                    break;
                }
                Err(Unread::Ended(End::Fault(fault))) if fault.class != Class::Poison => {
                    self.bad = Some((offset, fault));
                    break;
                }
                Err(Unread::Ended(End::Fault(fault))) => {
                    self.count_failure(fault.class);
                    self.stop.good(std::mem::take(&mut self.through));
                    if self.stop.bad() {
                        self.bad = Some((offset, fault));
                        break;
                    }
                    let letter = self.letter(&record, fault);
                    let receipt = self.duty(offset);
                    self.send_letter(letter, receipt, bytes);
                }
                Err(Unread::Ended(End::Reject(reason))) => {
                    let letter = self.letter(&record, Fault::poison("rejected", reason));
                    let receipt = self.duty(offset);
                    self.send_letter(letter, receipt, bytes);
                }
                Err(Unread::Ended(End::Drop(reason))) => {
                    self.through += 1;
                    let receipt = self.duty(offset);
                    self.settle_one(receipt, bytes, &dropped(reason));
                }
                Ok(lane) => {
                    self.through += 1;
                    let record = OwnedRecord::copy_of(&record);
                    if let Some(receipt) = self.duty(offset) {
                        let effects = Arc::new(effects);
                        let job = Job { receipt, record, bytes, effects, at: 0, fault: None };
                        self.admit(offset, lane, job);
                    }
                }
            }
            self.took_one();
        }
        if any {
            let process = &self.shared.board.instruments.process;
            let process = process.with_label_values(&[&*self.shared.claimer.group]);
            process.observe(began.elapsed().as_secs_f64());
        }
        self.fault_at_head();
    }

    fn admit(&mut self, offset: Offset, lane: Option<Lane>, job: Job) {
        let Some(work) = &mut self.lanes else { return };
        work.lanes.admit(offset, lane);
        work.effect_bytes += job.effects.bytes();
        work.jobs.insert(offset, job);
    }

    /// The record at the head of the queue is taken.
    fn took_one(&mut self) {
        self.at += 1;
        if self.queue.front().is_some_and(|batch| self.at >= batch.len()) {
            self.queue.pop_front();
            self.at = 0;
        }
    }

    /// The duty to settle everything up to a record: holes before it are settled with it.
    fn duty(&mut self, through: Offset) -> Option<Receipt> {
        let (mine, rest) = self.receipts.pop_front()?.split(Offset(through.0 + 1));
        if let Some(rest) = rest {
            self.receipts.push_front(rest);
        }
        mine
    }

    /// A record that nobody can settle halts the pipeline, once all before it are settled.
    fn fault_at_head(&mut self) {
        let quiet = self.lanes.as_ref().is_some_and(|work| work.jobs.is_empty() && work.is_quiet());
        if quiet
            && self.machine.wants_work()
            && let Some((offset, fault)) = self.bad.take()
        {
            self.count_failure(fault.class);
            self.tell(&Input::Bad(offset, &fault));
        }
    }

    /// Starts what may start.
    pub(super) fn start_lanes(&mut self) {
        let now = self.now();
        let limit = self.shared.timeout;
        let may = self.machine.wants_work();
        self.keep(now);
        let Some(work) = &mut self.lanes else { return };
        work.lanes.tick(now);
        let kept = work.keeper.as_ref().is_none_or(|keeper| keeper.allows(now));
        while may && kept && !work.draining && work.lanes.is_ready(now) {
            let Some(permit) = work.permit() else { break };
            let Some(offset) = work.lanes.start(now) else {
                work.permit = Some(permit);
                break;
            };
            let Some(job) = work.jobs.get(&offset) else { continue };
            let (sink, effects, at) = (Arc::clone(&work.sink), Arc::clone(&job.effects), job.at);
            let group = Arc::clone(&self.shared.claimer.group);
            let board = Arc::clone(&self.shared.board);
            work.running.push(Box::pin(async move {
                let began = Instant::now();
                let (done, fault) = all(&*sink, &effects, at, limit).await;
                drop(permit);
                observe(&board, &group, began);
                Ended::Effect(offset, done, fault)
            }));
        }
        if !work.lanes.is_ready(now) {
            // Others may use it.
            (work.permit, work.asked) = (None, None);
        }
        let Some(at) = work.wake_at() else { return };
        self.wake_at = Some(self.wake_at.map_or(at, |had| had.min(at)));
    }

    /// Takes in what ended, with whatever else has ended by now.
    pub(super) fn lanes_ended(&mut self, first: Ended) {
        self.one_ended(first);
        while let Some(Some(ended)) =
            self.lanes.as_mut().and_then(|work| work.running.next().now_or_never())
        {
            self.one_ended(ended);
        }
        self.advance();
        self.drained();
    }

    fn one_ended(&mut self, ended: Ended) {
        match ended {
            Ended::Permit(permit) => {
                if let Some(work) = &mut self.lanes {
                    work.permit = Some(permit);
                }
            }
            Ended::Letter(offset, fault) => {
                let letter = self.lanes.as_mut().and_then(|work| work.letters.remove(&offset));
                if let Some((receipt, bytes)) = letter {
                    self.settle_one(Some(receipt), bytes, &dead(fault.code.clone()));
                    self.say_dead(offset, &fault.code, &fault.reason);
                }
            }
            Ended::Kept(next, outcome) => self.kept(next, outcome),
            Ended::Effect(offset, _, None) => self.effect_done(offset),
            Ended::Effect(offset, at, Some(fault)) => self.effect_failed(offset, at, fault),
        }
    }

    fn effect_done(&mut self, offset: Offset) {
        let now = self.now();
        let Some(work) = &mut self.lanes else { return };
        let was_down = work.lanes.is_waiting();
        let spent = work.lanes.done(offset, now);
        if was_down {
            self.wiring.view.set_waiting(None);
        }
        if let Some(job) = self.leave(offset) {
            self.refused.good(1);
            let rows = job.effects.len() as u64;
            let tally = Tally { effects: 1, rows, ..Tally::default() };
            self.settle_one(Some(job.receipt), job.bytes, &tally);
        }
        self.spent(spent);
    }

    fn effect_failed(&mut self, offset: Offset, at: usize, fault: Fault) {
        let now = self.now();
        self.count_failure(fault.class);
        let Some(work) = &mut self.lanes else { return };
        if let Some(job) = work.jobs.get_mut(&offset) {
            (job.at, job.fault) = (at, Some(fault.clone()));
        }
        if work.draining {
            return;
        }
        match fault.class {
            Class::Poison if self.refused.bad() => self.tell(&Input::Bad(offset, &fault)),
            Class::Poison => self.bury_job(offset, fault),
            Class::Fatal => self.tell(&Input::Bad(offset, &fault)),
            class => {
                if class == Class::Unavailable {
                    self.wiring.view.set_waiting(Some(fault.reason));
                }
                let spent = work.lanes.failed(offset, class, now);
                self.spent(spent);
            }
        }
    }

    fn spent(&mut self, spent: impl IntoIterator<Item = Spent>) {
        for (offset, then) in spent {
            let fault = self.lanes.as_ref().and_then(|work| work.jobs.get(&offset)?.fault.clone());
            let fault =
                fault.unwrap_or_else(|| Fault::poison("attempts", "its attempts are spent"));
            match then {
                Then::Stop => self.tell(&Input::Bad(offset, &fault)),
                Then::DeadLetter => self.bury_job(offset, fault),
            }
        }
    }

    /// A record leaves its key's order for the dead-letter topic.
    fn bury_job(&mut self, offset: Offset, fault: Fault) {
        if let Some(job) = self.leave(offset) {
            let letter = self.letter(&job.record.at(offset), fault);
            self.send_letter(letter, Some(job.receipt), job.bytes);
        }
    }

    fn leave(&mut self, offset: Offset) -> Option<Job> {
        let work = self.lanes.as_mut()?;
        work.lanes.leave(offset);
        let job = work.jobs.remove(&offset)?;
        work.effect_bytes -= job.effects.bytes();
        Some(job)
    }

    fn send_letter(&mut self, letter: DeadLetter, receipt: Option<Receipt>, bytes: usize) {
        let (producer, view) = (Arc::clone(&self.shared.producer), Arc::clone(&self.wiring.view));
        let (Some(work), Some(receipt)) = (&mut self.lanes, receipt) else { return };
        work.letters.insert(letter.position.offset, (receipt, bytes));
        work.running.push(Box::pin(deliver(producer, view, letter)));
    }

    fn settle_one(&mut self, receipt: Option<Receipt>, bytes: usize, tally: &Tally) {
        if let Some(receipt) = receipt {
            self.tracker.settle(receipt);
        }
        self.wiring.topic.ledger.settled(tally);
        self.wiring.load.sub(1, bytes);
        self.settled = true;
    }

    /// Tells what was settled since the last time.
    pub(super) fn advance(&mut self) {
        if !std::mem::take(&mut self.settled) {
            return;
        }
        let now = self.now();
        let keeper = self.lanes.as_mut().and_then(|work| work.keeper.as_mut());
        match keeper {
            // Kafka's committed offset follows what is kept.
            Some(keeper) => keeper.changed(now),
            None => self.stands_at(self.tracker.watermark()),
        }
        self.tell_room();
    }

    pub(super) fn stands_at(&mut self, watermark: NextOffset) {
        self.wiring.view.set_watermark(watermark);
        self.tell(&Input::Advanced(watermark));
    }

    /// Lets what is under way end and forgets the rest. The machine hears of the drain when it is quiet.
    pub(super) fn drain_lanes(&mut self) {
        if let Some(work) = &mut self.lanes {
            work.draining = true;
            work.lanes.forget_idle();
            (work.permit, work.asked) = (None, None);
        }
        self.drained();
    }

    fn drained(&mut self) {
        if !self.lanes.as_ref().is_some_and(|work| work.draining && work.is_quiet()) {
            return;
        }
        if !self.keep_last() {
            self.tell(&Input::Drain);
        }
    }

    /// Gives everything in the lanes up: how many records, and their bytes.
    pub(super) fn forget_lanes(&mut self) -> (usize, usize) {
        let Some(work) = &mut self.lanes else { return (0, 0) };
        work.running.clear();
        (work.permit, work.asked, work.effect_bytes) = (None, None, 0);
        work.lanes = Lanes::new(self.shared.policy);
        work.keeper = work.keeper.take().map(Keeper::fresh);
        let jobs = std::mem::take(&mut work.jobs).into_values().map(|job| (job.receipt, job.bytes));
        let letters = std::mem::take(&mut work.letters).into_values();
        let held: Vec<_> = jobs.chain(letters).collect();
        let sums = (held.len(), held.iter().map(|(_, bytes)| bytes).sum());
        held.into_iter().for_each(|(receipt, _)| self.close(Some(receipt)));
        sums
    }
}

/// Does the effects of a record from `at` on; answers how many have happened, and why not all.
async fn all(
    sink: &dyn KeyedSink,
    effects: &Effects,
    at: usize,
    limit: Duration,
) -> (usize, Option<Fault>) {
    for row in at..effects.len() {
        let outcome = timeout(limit, sink.effect(effects.row(row))).await.unwrap_or_else(|_| {
            let reason = format!("the effect took longer than the sink's timeout, {limit:?}");
            Err(Fault::unavailable("timeout", reason))
        });
        if let Err(fault) = outcome {
            return (row, Some(fault));
        }
    }
    (effects.len(), None)
}

/// Sends a dead letter, again and again until it has arrived.
async fn deliver(
    producer: Arc<dyn Producer>,
    view: Arc<PartitionView>,
    letter: DeadLetter,
) -> Ended {
    let mut breaker = Breaker::default();
    loop {
        let outgoing = Outgoing {
            topic: Arc::clone(&letter.topic),
            partition: Some(letter.position.partition.partition),
            record: letter.outgoing(),
        };
        match producer.send(vec![outgoing]).await.pop() {
            Some(Ok(_)) => {
                if breaker.is_open() {
                    view.set_waiting(None);
                }
                return Ended::Letter(letter.position.offset, letter.fault);
            }
            Some(Err(fault)) => {
                view.set_waiting(Some(format!("dead letters cannot be sent: {}", fault.reason)));
            }
            None => {}
        }
        tokio::time::sleep(breaker.failed(Duration::ZERO)).await;
    }
}

fn observe(board: &Board, group: &str, began: Instant) {
    let effects = board.instruments.operations.with_label_values(&[group, "effect"]);
    effects.observe(began.elapsed().as_secs_f64());
}

fn dropped(reason: Reason) -> Tally {
    Tally { dropped: BTreeMap::from([(reason, 1)]), ..Tally::default() }
}

fn dead(code: Reason) -> Tally {
    Tally { dead_lettered: BTreeMap::from([(code, 1)]), ..Tally::default() }
}
