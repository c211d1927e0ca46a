//! One partition's life, from claim to farewell, as a state machine: what happened goes in, what to do
//! comes out.
//!
//! ```text
//! Claiming ──claimed──▶ Running ──drain──▶ Draining ──▶ Gone
//!     ▲                    │ fenced            │ (begun effect ends first)
//!     └────────────────────┘                   └─ halted, lost: Gone at once
//! ```
//!
//! At most one step is under way. A chunk that is refused for a data error or a conflict is cut in halves,
//! the lower half first, so that steps stay contiguous and the watermark moves in order.

use super::Now;
use super::breaker::Breaker;
use super::part::Part;
use super::retry::{Policy, Then, Verdict};
use crate::record::{Class, Effects, Fault, NextOffset, Offset};

/// The wait before a conflict that cannot be halved is run again: the other transaction needs its moment.
const CONFLICT_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// What the driver tells.
#[derive(Debug)]
pub enum Input<'a> {
    /// The claim succeeded: this is where the partition stands.
    Claimed(NextOffset),
    /// The claim failed: the store of progress is away.
    ClaimFailed,
    /// The claim can never succeed.
    ClaimRefused(&'a Fault),
    /// A chunk is ready. Only when [`Partition::wants_work`].
    Offer(Part),
    /// The step under way is done.
    Done,
    /// The step under way was refused because somebody else owns the partition.
    Fenced,
    /// The step under way failed.
    Failed(&'a Fault),
    /// A record ended in a way that the pipeline cannot settle: everything before it is done.
    Bad(Offset, &'a Fault),
    /// The record of this part is a dead letter now: the part goes on without its effects.
    Buried(Part),
    /// Everything below is settled without a step: its records were worked one by one.
    Advanced(NextOffset),
    /// The time that was asked for has come.
    Tick,
    /// Stop intake, finish what has begun, say farewell.
    Drain,
    /// Somebody else has the partition already, or there is no time left: leave everything.
    Lost,
}

/// What the driver must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Claim the partition; answer with `Claimed` or `ClaimFailed`.
    Claim,
    /// Reading starts here: whatever was delivered or made before belongs to an older generation.
    Start(NextOffset),
    /// Do the step; answer with `Done`, `Fenced` or `Failed`.
    Apply(Part),
    /// This part is settled and the watermark stands behind it.
    Settle(Part),
    /// The one record that causes effects in this part can never succeed, or its attempts are spent and it
    /// shall not halt the pipeline. Answer with `Buried` or `Bad`.
    Bury(Part, Offset, Fault),
    /// Send `Tick` at this time.
    Wake(Now),
    /// The pipeline must halt at this record.
    Halt(Option<Offset>, Fault),
    /// The partition is given up. The watermark may be committed unless it was lost.
    Gone(Option<NextOffset>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Claiming,
    Running,
    Draining,
    Halted,
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    Idle,
    Applying(Part),
    Waiting(Part, Now),
}

/// The state of one partition in one assignment.
#[derive(Debug)]
pub struct Partition {
    life: Life,
    work: Work,
    /// Parts of the chunk at hand still to do; the next on top.
    rest: Vec<Part>,
    watermark: Option<NextOffset>,
    failed_attempts: u32,
    policy: Policy,
    breaker: Breaker,
    claim_at: Option<Now>,
}

impl Partition {
    /// A partition that was just assigned, and the first thing to do.
    pub fn new(policy: Policy) -> (Self, Vec<Command>) {
        let this = Self {
            life: Life::Claiming,
            work: Work::Idle,
            rest: Vec::new(),
            watermark: None,
            failed_attempts: 0,
            policy,
            breaker: Breaker::default(),
            claim_at: None,
        };
        (this, vec![Command::Claim])
    }

    /// May a chunk be offered?
    pub fn wants_work(&self) -> bool {
        self.life == Life::Running && self.work == Work::Idle && self.rest.is_empty()
    }

    /// Where it stands; `None` before the first claim.
    pub fn watermark(&self) -> Option<NextOffset> {
        self.watermark
    }

    /// Is it waiting for a dependency that is down?
    pub fn is_waiting(&self) -> bool {
        self.breaker.is_open()
    }

    /// Is a step under way whose outcome must be awaited?
    pub fn is_applying(&self) -> bool {
        matches!(self.work, Work::Applying(_))
    }

    /// Takes what happened, answers what to do. `effects` are those of the chunk at hand.
    pub fn step(&mut self, input: &Input<'_>, effects: &Effects, now: Now) -> Vec<Command> {
        if self.life == Life::Gone {
            return Vec::new();
        }
        match input {
            Input::Claimed(next) => self.claimed(*next),
            Input::ClaimFailed => self.claim_failed(now),
            Input::ClaimRefused(fault) => self.halt(None, (*fault).clone()),
            Input::Offer(part) => self.offer(part.clone()),
            Input::Done => self.done(),
            Input::Fenced => self.fenced(),
            Input::Failed(fault) => self.failed(fault, effects, now),
            Input::Bad(offset, fault) => self.halt(Some(*offset), (*fault).clone()),
            Input::Buried(part) => self.buried(part.clone()),
            Input::Advanced(next) => self.advanced(*next),
            Input::Tick => self.tick(now),
            Input::Drain => self.drain(),
            Input::Lost => self.leave(false),
        }
    }

    fn claimed(&mut self, next: NextOffset) -> Vec<Command> {
        self.breaker.succeeded();
        self.claim_at = None;
        match self.life {
            Life::Claiming => {
                self.life = Life::Running;
                self.watermark = Some(next);
                vec![Command::Start(next)]
            }
            // The claim was under way when the drain began: nothing was done under it.
            Life::Draining => self.leave(false),
            Life::Running | Life::Halted | Life::Gone => Vec::new(),
        }
    }

    fn claim_failed(&mut self, now: Now) -> Vec<Command> {
        match self.life {
            Life::Claiming => {
                let at = self.breaker.failed(now);
                self.claim_at = Some(at);
                vec![Command::Wake(at)]
            }
            Life::Draining => self.leave(false),
            Life::Running | Life::Halted | Life::Gone => Vec::new(),
        }
    }

    fn offer(&mut self, part: Part) -> Vec<Command> {
        if !self.wants_work() || part.is_empty() {
            return Vec::new();
        }
        self.failed_attempts = 0;
        self.apply(part)
    }

    fn apply(&mut self, part: Part) -> Vec<Command> {
        self.work = Work::Applying(part.clone());
        vec![Command::Apply(part)]
    }

    fn done(&mut self) -> Vec<Command> {
        let Work::Applying(part) = std::mem::replace(&mut self.work, Work::Idle) else {
            return Vec::new();
        };
        self.breaker.succeeded();
        self.failed_attempts = 0;
        self.watermark = Some(part.to);
        let mut commands = vec![Command::Settle(part)];
        match self.life {
            Life::Draining => commands.extend(self.leave(true)),
            Life::Running => {
                if let Some(next) = self.rest.pop() {
                    commands.extend(self.apply(next));
                }
            }
            Life::Claiming | Life::Halted | Life::Gone => {}
        }
        commands
    }

    /// Another owner came. If the partition is still ours by the group's word, claim it again.
    fn fenced(&mut self) -> Vec<Command> {
        self.work = Work::Idle;
        self.rest.clear();
        match self.life {
            Life::Draining | Life::Halted => self.leave(false),
            Life::Claiming | Life::Running | Life::Gone => {
                self.life = Life::Claiming;
                self.watermark = None;
                vec![Command::Claim]
            }
        }
    }

    fn failed(&mut self, fault: &Fault, effects: &Effects, now: Now) -> Vec<Command> {
        let Work::Applying(part) = std::mem::replace(&mut self.work, Work::Idle) else {
            return Vec::new();
        };
        if fault.class != Class::Unavailable {
            self.breaker.succeeded();
        }
        if matches!(self.life, Life::Draining | Life::Halted) {
            // Nothing of the step happened, or nobody knows: the next owner's claim finds out.
            return self.leave(true);
        }
        match fault.class {
            Class::Unavailable => {
                let at = self.breaker.failed(now);
                self.wait(part, at)
            }
            Class::Conflict => match part.halve(effects) {
                Some(halves) => self.halves(halves),
                None => self.wait(part, now + CONFLICT_PAUSE),
            },
            Class::Retryable => match part.halve(effects) {
                Some(halves) => self.halves(halves),
                None => self.attempt_failed(part, fault, effects, now),
            },
            Class::Poison => match (part.halve(effects), part.only_record(effects)) {
                (Some(halves), _) => self.halves(halves),
                (None, Some(offset)) => vec![Command::Bury(part, offset, fault.clone())],
                // No effect is left to blame: the step itself cannot succeed.
                (None, None) => self.halt(None, fault.clone()),
            },
            Class::Fatal => self.halt(None, fault.clone()),
        }
    }

    fn buried(&mut self, mut part: Part) -> Vec<Command> {
        if self.life != Life::Running || self.work != Work::Idle {
            return Vec::new();
        }
        part.rows = part.rows.start..part.rows.start;
        self.failed_attempts = 0;
        self.apply(part)
    }

    fn advanced(&mut self, next: NextOffset) -> Vec<Command> {
        if matches!(self.life, Life::Running | Life::Draining) {
            self.watermark = Some(next);
        }
        Vec::new()
    }

    fn attempt_failed(
        &mut self,
        part: Part,
        fault: &Fault,
        effects: &Effects,
        now: Now,
    ) -> Vec<Command> {
        self.failed_attempts += 1;
        match self.policy.after(self.failed_attempts, now) {
            Verdict::Again(at) => self.wait(part, at),
            Verdict::Spent(then) => match (then, part.only_record(effects)) {
                (Then::DeadLetter, Some(offset)) => {
                    vec![Command::Bury(part, offset, fault.clone())]
                }
                // A step without effects that fails is no record's fault.
                (Then::DeadLetter | Then::Stop, at) => self.halt(at, fault.clone()),
            },
        }
    }

    fn halves(&mut self, (low, high): (Part, Part)) -> Vec<Command> {
        self.rest.push(high);
        self.apply(low)
    }

    fn wait(&mut self, part: Part, until: Now) -> Vec<Command> {
        self.work = Work::Waiting(part, until);
        vec![Command::Wake(until)]
    }

    fn tick(&mut self, now: Now) -> Vec<Command> {
        if let Some(at) = self.claim_at {
            if now < at {
                return vec![Command::Wake(at)];
            }
            self.claim_at = None;
            return vec![Command::Claim];
        }
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Waiting(part, until) if now >= until => self.apply(part),
            Work::Waiting(part, until) => self.wait(part, until),
            other => {
                self.work = other;
                Vec::new()
            }
        }
    }

    fn drain(&mut self) -> Vec<Command> {
        self.rest.clear();
        let claim_under_way = self.life == Life::Claiming && self.claim_at.is_none();
        if self.is_applying() || claim_under_way {
            self.life = Life::Draining;
            return Vec::new();
        }
        self.leave(true)
    }

    fn halt(&mut self, at: Option<Offset>, fault: Fault) -> Vec<Command> {
        if self.life == Life::Halted {
            return Vec::new();
        }
        self.life = Life::Halted;
        self.rest.clear();
        if !self.is_applying() {
            self.work = Work::Idle;
        }
        vec![Command::Halt(at, fault)]
    }

    fn leave(&mut self, commit: bool) -> Vec<Command> {
        self.life = Life::Gone;
        self.work = Work::Idle;
        self.rest.clear();
        vec![Command::Gone(self.watermark.filter(|_| commit))]
    }
}

#[cfg(test)]
mod tests;
