//! The poll thread's loop: carries out orders, takes batches, hands runs of one partition to the intake.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;

use super::batch::{Batch, PartitionError, Run};
use super::consumer::{BatchConsumer, Polled, Rebalance};
use super::error::{Error, word};
use super::flow::{Lane, Lanes, Phase};
use super::member::Vitals;
use super::outage::Reporter;
use crate::port::{Command, Intake, Room, Trouble};
use crate::record::{NextOffset, PartitionId};

/// Records a poll takes at most. Above a few hundred nothing is gained.
const BATCH_RECORDS: usize = 1_000;
/// How long a poll waits when there is nothing: the loop comes round at least this often.
pub(super) const POLL: Duration = Duration::from_millis(100);
/// How long a stop for a full window waits between two looks at the client's events.
const HELD_UP: Duration = Duration::from_millis(20);
/// How long a seek may wait for the library's own thread.
const SEEK: Duration = Duration::from_secs(1);
/// How long seeks may be refused before the partition is assigned again.
const SEEKS: Duration = Duration::from_secs(5);
/// When the records of a partition that was assigned again are routed again: the library ends the old
/// assignment within moments, unless a broker is slow.
const ROUTE_AGAIN: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
];
/// How long closing may take, with batches still out or brokers away.
const CLOSE: Duration = Duration::from_secs(10);

/// The loop's state; lives on its thread.
pub(super) struct PollThread {
    pub(super) consumer: BatchConsumer<Reporter>,
    pub(super) intake: Arc<dyn Intake>,
    orders: Receiver<Command>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) lanes: Lanes,
    /// Told to the intake and not answered yet.
    pub(super) pending: Option<Rebalance>,
}

impl PollThread {
    /// A loop over this consumer.
    pub(super) fn new(
        consumer: BatchConsumer<Reporter>,
        intake: Arc<dyn Intake>,
        orders: Receiver<Command>,
        vitals: Arc<Vitals>,
    ) -> Self {
        Self { consumer, intake, orders, vitals, lanes: Lanes::default(), pending: None }
    }

    /// Runs until an order or a fatal failure ends it; then closes the client.
    pub(super) fn run(mut self) -> Result<(), Error> {
        while self.turn().is_continue() {}
        // What is parked would keep the client from closing.
        self.lanes.clear();
        if let Some(pending) = self.pending.take() {
            self.accepted(pending);
        }
        self.consumer.close(CLOSE)
    }

    fn turn(&mut self) -> ControlFlow<()> {
        self.vitals.tick();
        self.consumer.awake();
        loop {
            match self.orders.try_recv() {
                Ok(command) => {
                    if self.carry_out(command).is_break() {
                        return ControlFlow::Break(());
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
        let now = Instant::now();
        self.breathe(now);
        match self.lanes.held_up_until(now) {
            Some(until) => self.hold_up(until.saturating_duration_since(now)),
            None => self.take(),
        }
    }

    /// Takes one batch, rebalance or error.
    fn take(&mut self) -> ControlFlow<()> {
        match self.consumer.poll_batch(BATCH_RECORDS, POLL) {
            Ok(Polled::Batch(batch)) => {
                self.deliver(batch);
                ControlFlow::Continue(())
            }
            Ok(Polled::Rebalance(rebalance)) => {
                self.rebalance(rebalance);
                ControlFlow::Continue(())
            }
            Ok(Polled::Idle) => ControlFlow::Continue(()),
            Err(e) => self.failed(&e),
        }
    }

    /// Windows are full and much is put aside: takes nothing, but serves events, and orders at once.
    fn hold_up(&mut self, left: Duration) -> ControlFlow<()> {
        match self.orders.recv_timeout(left.min(HELD_UP)) {
            Ok(command) => {
                if self.carry_out(command).is_break() {
                    return ControlFlow::Break(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        }
        match self.consumer.poll_callbacks() {
            Ok(Some(rebalance)) => {
                self.rebalance(rebalance);
                ControlFlow::Continue(())
            }
            Ok(None) => ControlFlow::Continue(()),
            Err(e) => self.failed(&e),
        }
    }

    fn failed(&mut self, error: &Error) -> ControlFlow<()> {
        match error {
            Error::Call { code, .. } if *code != Code::GroupAuthorizationFailed => {
                // The reporter has said what there is to say of outages and topics.
                tracing::debug!(error = %error, "consume");
                if *code == Code::PollExceeded {
                    tracing::error!(
                        error = %error,
                        "the poll thread stood still for too long; the group has given its partitions away"
                    );
                }
                ControlFlow::Continue(())
            }
            _ => {
                let what_to_do = match error {
                    Error::Call { .. } => ": grant this user READ on the group",
                    _ => "",
                };
                tracing::error!(error = %error, "the group member ends{what_to_do}");
                self.intake.trouble(Trouble::Fatal(format!("{error}{what_to_do}")));
                ControlFlow::Break(())
            }
        }
    }

    // Records

    fn deliver(&mut self, batch: Batch) {
        for run in batch.messages.split() {
            self.deliver_run(run);
        }
        // A failure comes after the partition's last records.
        for error in batch.errors {
            self.partition_failed(&error);
        }
    }

    fn deliver_run(&mut self, run: Run) {
        let Some((topic, number)) = run.partition() else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(topic, number) else {
            tracing::debug!(topic, partition = number, "records of a partition not held");
            return;
        };
        match lane.phase {
            Phase::Running => {
                let now = Instant::now();
                hand_over(lane, run, self.intake.as_ref(), &self.vitals, now);
            }
            Phase::Full(_) => lane.park(run),
            // Left over from before the pause: the start seeks to exactly the next undelivered offset.
            Phase::Waiting | Phase::Starting(_) | Phase::Paused => {}
        }
    }

    fn partition_failed(&mut self, error: &PartitionError) {
        let Some(lane) = self.lanes.get_mut(&error.topic, error.partition) else {
            return;
        };
        if lane.broken {
            return;
        }
        lane.broken = true;
        let reason = format!("{} cannot be read on at {}: {}", lane.id, error.offset, error.code);
        tracing::warn!(partition = %lane.id, offset = error.offset, code = ?error.code, "partition failed");
        self.intake.trouble(Trouble::Partition {
            partition: lane.id.clone(),
            code: word(error.code),
            reason,
        });
    }

    /// Looks after every partition that does not flow: has room come, is patience over, is a seek due?
    fn breathe(&mut self, now: Instant) {
        let (before, held_up) = (self.lanes.in_vain, self.lanes.are_laden());
        let mut in_vain = before;
        for lane in self.lanes.iter_mut() {
            match lane.phase {
                Phase::Running => route_again(&self.consumer, lane, now),
                Phase::Waiting => {}
                Phase::Full(since) => {
                    if self.intake.room(&lane.id) == Room::Free {
                        lane.phase = Phase::Running;
                        while lane.phase == Phase::Running
                            && let Some(run) = lane.unpark()
                        {
                            hand_over(lane, run, self.intake.as_ref(), &self.vitals, now);
                        }
                        continue;
                    }
                    let patience = lane.patience(before, now);
                    if now.saturating_duration_since(since) >= patience {
                        if held_up && patience > Duration::ZERO {
                            in_vain = Some(now);
                        }
                        match self.consumer.pause(&lane.id.topic, lane.id.partition) {
                            Ok(()) => lane.stop(Phase::Paused),
                            Err(e) => tracing::warn!(error = %e, "pause a full partition"),
                        }
                    }
                }
                Phase::Paused => {
                    if self.intake.room(&lane.id) == Room::Free {
                        lane.resumed = Some(now);
                        lane.phase = Phase::Starting(now);
                        start(&self.consumer, lane, now, now);
                    }
                }
                Phase::Starting(since) => start(&self.consumer, lane, since, now),
            }
        }
        self.lanes.in_vain = in_vain;
    }

    // Orders

    fn carry_out(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Accept(entries) => self.accept(&entries),
            Command::Start(id, next) => self.start_at(&id, next),
            Command::Release(commits) => self.release(&commits),
            Command::Commit(commits) => self.commit(&commits),
            Command::CommitNow(commits, answer) => {
                // The asker may have gone away.
                let _ = answer.send(self.commit_first(&commits));
            }
            Command::Hold(id) => self.hold(&id),
            Command::Leave(commits) => {
                self.leave(&commits);
                return ControlFlow::Break(());
            }
            Command::Wake => self.vitals.wake_sent.store(false, Ordering::SeqCst),
        }
        ControlFlow::Continue(())
    }

    fn start_at(&mut self, id: &PartitionId, next: NextOffset) {
        let Some(lane) = self.lanes.get_mut(&id.topic, id.partition) else {
            tracing::debug!(partition = %id, "start of a partition that is no longer held");
            return;
        };
        // Until the seek is taken nothing of the old place may come through.
        if matches!(lane.phase, Phase::Running | Phase::Full(_))
            && let Err(e) = self.consumer.pause(&id.topic, id.partition)
        {
            tracing::warn!(error = %e, "pause before a start");
        }
        let now = Instant::now();
        lane.stop(Phase::Starting(now));
        lane.next = next.0;
        lane.resumed = None;
        self.intake.started(id, next);
        start(&self.consumer, lane, now, now);
    }

    fn hold(&mut self, id: &PartitionId) {
        let Some(lane) = self.lanes.get_mut(&id.topic, id.partition) else {
            return;
        };
        // Whatever the client says: nothing is delivered in this phase.
        lane.stop(Phase::Waiting);
        if let Err(e) = self.consumer.pause(&id.topic, id.partition) {
            tracing::warn!(error = %e, "hold a partition");
        }
    }
}

/// After an assignment that was made again: routes the records again, until the old one has surely ended.
fn route_again(consumer: &BatchConsumer<Reporter>, lane: &mut Lane, now: Instant) {
    let Some((since, times)) = lane.assigned_again else { return };
    let Some(due) = ROUTE_AGAIN.get(times) else {
        lane.assigned_again = None;
        return;
    };
    if now.saturating_duration_since(since) >= *due {
        lane.assigned_again = Some((since, times + 1));
        if let Err(e) = consumer.route_again(&lane.id.topic, lane.id.partition) {
            tracing::warn!(error = %e, "route a partition again");
        }
    }
}

/// Hands a run to the intake, without what it has seen before.
fn hand_over(lane: &mut Lane, mut run: Run, intake: &dyn Intake, vitals: &Vitals, now: Instant) {
    let stale = run.keep_rising_from(lane.next);
    if stale > 0 {
        vitals.stale.fetch_add(stale, Ordering::Relaxed);
        tracing::warn!(
            partition = %lane.id,
            records = stale,
            next = lane.next,
            "records came again and are not delivered again"
        );
    }
    let Some(last) = run.last_offset() else {
        return;
    };
    lane.next = last + 1;
    // Some failures pass by themselves: a grant that came back.
    lane.broken = false;
    if intake.batch(&lane.id, Box::new(run)) == Room::Full {
        lane.phase = Phase::Full(now);
    }
}

/// Lets a partition flow from `next`, now or at the next turn.
fn start(consumer: &BatchConsumer<Reporter>, lane: &mut Lane, since: Instant, now: Instant) {
    let (topic, number) = (&lane.id.topic, lane.id.partition);
    let done = if lane.broken || now.saturating_duration_since(since) > SEEKS {
        // A failed look-up leaves a state that refuses every seek.
        lane.assigned_again = Some((now, 0));
        consumer.assign_again(topic, number, lane.next)
    } else {
        consumer.resume_at(topic, number, lane.next, SEEK)
    };
    match done {
        Ok(()) => {
            lane.broken = false;
            lane.phase = Phase::Running;
        }
        Err(Error::Call {
            code: Code::State | Code::OperationTimedOut | Code::PreviousInProgress,
            ..
        }) => tracing::debug!(partition = %lane.id, "not ready to seek; tried again"),
        Err(e) => tracing::warn!(error = %e, "start a partition; tried again"),
    }
}
