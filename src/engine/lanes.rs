//! Lanes: the records of a key one after another, the records of many keys at once.
//!
//! ```text
//! admit ─▶ lane of its key ─head─▶ ready ─next─▶ running ─done─▶ gone, the lane's next becomes ready
//!                                    ▲              │ failed
//!                                    └─── waiting ◀─┘ (the head keeps its place)
//! ```
//!
//! A record that backs off holds its own key back and no other. While the dependency itself is down nothing
//! starts but one probe at a time, another key's head at each turn: so a record that fails by itself is told
//! from an outage.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::Now;
use super::breaker::Breaker;
use super::retry::{Policy, Then, Verdict};
use crate::record::{Class, Offset};

/// A record that failed in so many outages that ended with another key's head failed by itself each time.
const OUTAGES_MAX: u32 = 3;
/// The wait before a conflict is run again: the other work needs its moment.
const CONFLICT_PAUSE: Now = Now::from_millis(20);

/// What a record is kept in order by: the hash of its key. Two keys of one hash only wait for each other.
pub type Lane = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Behind another record of its key.
    Queued,
    /// It may start.
    Ready,
    /// It backs off until then.
    Waiting(Now),
    Running,
}

#[derive(Debug)]
struct Job {
    /// `None`: a record without a key stands alone.
    lane: Option<Lane>,
    state: State,
    /// Attempts that failed.
    failed: u32,
    /// It failed in the outage that we believe in now.
    accused: bool,
    /// Outages that another record ended and in which this one failed.
    outages: u32,
}

/// The lanes of one partition.
#[derive(Debug)]
pub struct Lanes {
    jobs: HashMap<Offset, Job>,
    /// The records of a key in order, its head in front.
    lanes: HashMap<Lane, VecDeque<Offset>>,
    /// Heads that may start.
    ready: VecDeque<Offset>,
    /// Heads that back off.
    waiting: BTreeSet<(Now, Offset)>,
    running: usize,
    policy: Policy,
    breaker: Breaker,
    /// The next probe may go at this time; of meaning while the breaker is open.
    probe_at: Now,
    probe: Option<Offset>,
}

/// A record whose attempts are spent.
pub type Spent = (Offset, Then);

impl Lanes {
    /// Empty lanes.
    pub fn new(policy: Policy) -> Self {
        Self {
            jobs: HashMap::new(),
            lanes: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            running: 0,
            policy,
            breaker: Breaker::default(),
            probe_at: Now::ZERO,
            probe: None,
        }
    }

    /// Takes a record in. Records of a partition come in the order of their offsets.
    pub fn admit(&mut self, offset: Offset, lane: Option<Lane>) {
        let head = lane.is_none_or(|lane| {
            let queue = self.lanes.entry(lane).or_default();
            queue.push_back(offset);
            queue.len() == 1
        });
        let job = Job { lane, state: State::Queued, failed: 0, accused: false, outages: 0 };
        self.jobs.insert(offset, job);
        if head {
            self.make_ready(offset);
        }
    }

    fn make_ready(&mut self, offset: Offset) {
        if let Some(job) = self.jobs.get_mut(&offset) {
            job.state = State::Ready;
            self.ready.push_back(offset);
        }
    }

    fn wait(&mut self, offset: Offset, until: Now) {
        if let Some(job) = self.jobs.get_mut(&offset) {
            job.state = State::Waiting(until);
            self.waiting.insert((until, offset));
        }
    }

    /// How many records are in.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Is none in?
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// How many are running.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Is the dependency down, as far as we know?
    pub fn is_waiting(&self) -> bool {
        self.breaker.is_open()
    }

    /// May a record start now?
    pub fn is_ready(&self, now: Now) -> bool {
        let probing = self.breaker.is_open() && (self.probe.is_some() || now < self.probe_at);
        !self.ready.is_empty() && !probing
    }

    /// Starts a record, if one may.
    pub fn start(&mut self, now: Now) -> Option<Offset> {
        if !self.is_ready(now) {
            return None;
        }
        let offset = self.ready.pop_front()?;
        if self.breaker.is_open() {
            self.probe = Some(offset);
        }
        if let Some(job) = self.jobs.get_mut(&offset) {
            job.state = State::Running;
        }
        self.running += 1;
        Some(offset)
    }

    /// When something is due by the clock alone.
    pub fn wake_at(&self) -> Option<Now> {
        let probe = self.breaker.is_open() && self.probe.is_none() && !self.ready.is_empty();
        let first = self.waiting.first().map(|(at, _)| *at);
        [first, probe.then_some(self.probe_at)].into_iter().flatten().min()
    }

    /// Those whose wait is over may start again.
    pub fn tick(&mut self, now: Now) {
        while let Some((at, offset)) = self.waiting.first().copied()
            && at <= now
        {
            self.waiting.pop_first();
            self.make_ready(offset);
        }
    }

    /// A running record's effect has happened. Answers the records that turn out to have failed by
    /// themselves in what looked like an outage, as far as their attempts are spent.
    pub fn done(&mut self, offset: Offset, now: Now) -> Vec<Spent> {
        self.leave(offset);
        let was_down = self.breaker.is_open();
        self.breaker.succeeded();
        if was_down { self.unmask(now) } else { Vec::new() }
    }

    /// A running record failed in a way that may pass.
    pub fn failed(&mut self, offset: Offset, class: Class, now: Now) -> Option<Spent> {
        let probed = self.stopped(offset);
        match class {
            Class::Unavailable => {
                // One outage fails everything that runs: it is counted once a probe.
                if probed || !self.breaker.is_open() {
                    self.probe_at = self.breaker.failed(now);
                }
                if let Some(job) = self.jobs.get_mut(&offset) {
                    job.accused = true;
                }
                self.make_ready(offset);
                None
            }
            Class::Conflict => {
                self.wait(offset, now + CONFLICT_PAUSE);
                None
            }
            Class::Retryable | Class::Poison | Class::Fatal => {
                self.breaker.succeeded();
                self.attempt_failed(offset, now)
            }
        }
    }

    fn attempt_failed(&mut self, offset: Offset, now: Now) -> Option<Spent> {
        let job = self.jobs.get_mut(&offset)?;
        job.failed += 1;
        (job.accused, job.outages) = (false, 0);
        match self.policy.after(job.failed, now) {
            Verdict::Again(at) => {
                self.wait(offset, at);
                None
            }
            Verdict::Spent(then) => Some((offset, then)),
        }
    }

    /// A record leaves its key's order, whatever became of it: the next of its key may go.
    pub fn leave(&mut self, offset: Offset) {
        self.stopped(offset);
        let Some(job) = self.jobs.remove(&offset) else { return };
        match job.state {
            State::Ready => self.ready.retain(|ready| *ready != offset),
            State::Waiting(until) => {
                self.waiting.remove(&(until, offset));
            }
            State::Queued | State::Running => {}
        }
        let Some((lane, queue)) = job.lane.and_then(|l| Some((l, self.lanes.get_mut(&l)?))) else {
            return;
        };
        queue.retain(|queued| *queued != offset);
        match queue.front().copied() {
            None => {
                self.lanes.remove(&lane);
            }
            Some(next) if self.jobs.get(&next).is_some_and(|job| job.state == State::Queued) => {
                self.make_ready(next);
            }
            Some(_) => {}
        }
    }

    /// Forgets everything that does not run.
    pub fn forget_idle(&mut self) {
        self.jobs.retain(|_, job| job.state == State::Running);
        self.ready.clear();
        self.waiting.clear();
        for queue in self.lanes.values_mut() {
            queue.retain(|offset| self.jobs.contains_key(offset));
        }
        self.lanes.retain(|_, queue| !queue.is_empty());
    }

    /// It runs no more; true: it was the probe.
    fn stopped(&mut self, offset: Offset) -> bool {
        let probe = self.probe == Some(offset);
        if probe {
            self.probe = None;
        }
        if let Some(job) = self.jobs.get_mut(&offset)
            && job.state == State::Running
        {
            job.state = State::Queued;
            self.running -= 1;
        }
        probe
    }

    /// The dependency answers another key's head: a record that failed in outage after outage which ended
    /// so failed by itself.
    fn unmask(&mut self, now: Now) -> Vec<Spent> {
        let mut guilty = Vec::new();
        for (offset, job) in &mut self.jobs {
            if std::mem::take(&mut job.accused) {
                job.outages += 1;
                if job.outages >= OUTAGES_MAX && job.state == State::Ready {
                    guilty.push(*offset);
                }
            }
        }
        self.ready.retain(|offset| !guilty.contains(offset));
        guilty.into_iter().filter_map(|offset| self.attempt_failed(offset, now)).collect()
    }
}

#[cfg(test)]
mod tests;
