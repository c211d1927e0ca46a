//! A pipeline's member of its consumer group: assignments become tasks, tasks become commits.
//!
//! ```text
//! assigned ─▶ claim ─▶ tasks ─▶ accept with offsets          (accept paused when the store is away)
//! revoked  ─▶ drain tasks ─▶ commit ─▶ release
//! stop     ─▶ drain all   ─▶ commit ─▶ leave
//! ```

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant, MissedTickBehavior, timeout};
use tokio_util::sync::CancellationToken;

use super::claim;
use super::door::{Door, Event, Slot};
use super::load::Load;
use super::marker;
use super::process::Factory;
use super::relay;
use super::task::{Control, Shared, Suspicion, Task, Wiring, Word};
use crate::engine::flow::{Gate, Window};
use crate::kafka::MemberHandle;
use crate::observe::{PartitionView, PipelineView, State};
use crate::port::{Claim, Command, Commit, StartAt, Trouble};
use crate::record::{Class, Fault, NextOffset, PartitionId, Position, TopicId};

/// How often watermarks are committed to Kafka.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// How often the ends of the logs are asked for: the freshness of lag.
const LAG_EVERY: Duration = Duration::from_secs(3);
/// How long an assignment waits for its claim before it is accepted paused: far below the session timeout.
const CLAIM_WITHIN: Duration = Duration::from_secs(3);
/// How long leaving the group may take after everything has drained.
const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to stop and has drained.
    Stopped,
    /// It halted, and why.
    Halted(Option<Position>, Fault),
}

/// A partition at work.
#[derive(Debug)]
struct Held {
    control: UnboundedSender<Control>,
    view: Arc<PartitionView>,
    claim: Option<Claim>,
    /// The watermark that was last sent to be committed.
    sent: Option<NextOffset>,
}

/// The group's driver.
#[derive(Debug)]
pub struct Group {
    shared: Arc<Shared>,
    factory: Arc<Factory>,
    view: Arc<PipelineView>,
    drain: Duration,
    door: Arc<Door>,
    member: MemberHandle,
    events: UnboundedReceiver<Event>,
    words: UnboundedReceiver<Word>,
    words_in: UnboundedSender<Word>,
    held: HashMap<PartitionId, Held>,
    shared_bytes: Arc<AtomicUsize>,
    unreachable: Option<String>,
    /// A topic is not there.
    missing: BTreeSet<Arc<str>>,
    halt: Option<(Option<Position>, Fault)>,
    lag_watch: Option<tokio::task::JoinHandle<()>>,
    relay: tokio::task::JoinHandle<()>,
    relay_stop: CancellationToken,
}

/// The door of a pipeline and the events that come through it.
pub fn door(view: &Arc<PipelineView>, window: Window) -> (Arc<Door>, UnboundedReceiver<Event>) {
    let (say, events) = unbounded_channel();
    (Arc::new(Door::new(say, window, Arc::clone(view))), events)
}

impl Group {
    /// A group over a member that was just started with `door` as its intake.
    pub fn new(
        shared: Arc<Shared>,
        factory: Arc<Factory>,
        view: Arc<PipelineView>,
        (door, events): (Arc<Door>, UnboundedReceiver<Event>),
        member: MemberHandle,
        drain: Duration,
    ) -> Self {
        let (words_in, words) = unbounded_channel();
        let relay_stop = CancellationToken::new();
        let relay = tokio::spawn(relay::run(Arc::clone(&shared), relay_stop.clone()));
        Self {
            relay,
            relay_stop,
            shared,
            factory,
            view,
            drain,
            door,
            member,
            events,
            words,
            words_in,
            held: HashMap::new(),
            shared_bytes: Arc::default(),
            unreachable: None,
            missing: BTreeSet::new(),
            halt: None,
            lag_watch: None,
        }
    }

    /// Works until `stop` is called or the pipeline halts; drains, commits and leaves the group.
    pub async fn run(mut self, stop: CancellationToken) -> Ended {
        let mut commit = tokio::time::interval(COMMIT_EVERY);
        commit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.show(State::Starting("joining the group".into()));
        while self.halt.is_none() {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(event) = self.events.recv() => self.event(event).await,
                Some(word) = self.words.recv() => self.word(word),
                _ = commit.tick() => self.tick(),
            }
        }
        self.leave().await
    }

    fn show(&self, state: State) {
        let line = state.to_string();
        if self.view.health.set(state) {
            tracing::info!(pipeline = %self.view.name, state = %line, "pipeline");
        }
    }

    // ---- once a second

    fn tick(&mut self) {
        self.commit();
        self.watch_lag();
        let now = self.shared.board.now();
        if self.member.last_poll().elapsed() < Duration::from_secs(5) {
            self.view.health.beat(now);
        }
        let letters = &self.shared.letters_why;
        let letters = letters.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let waiting = self.held.values().find_map(|held| held.view.waiting()).or(letters);
        let state = match (&self.unreachable, waiting) {
            _ if !self.member.joined() && self.unreachable.is_none() => {
                State::Starting("joining the group".into())
            }
            (Some(why), _) => State::Waiting(format!("kafka: {why}")),
            (None, Some(why)) => State::Waiting(why),
            (None, None) => match self.missing.first() {
                Some(topic) => State::Waiting(claim::gone(topic).reason),
                None => State::Running,
            },
        };
        self.show(state);
    }

    fn commit(&mut self) {
        let mut commits = Vec::new();
        for held in self.held.values_mut() {
            let (Some(claim), Some(at)) = (&held.claim, held.view.watermark()) else { continue };
            if held.sent != Some(at) {
                commits.push(marker::commit(claim, at));
                held.sent = Some(at);
            }
        }
        if !commits.is_empty() {
            self.member.send(Command::Commit(commits));
        }
    }

    /// Asks for the ends of the logs off this task; one question at a time.
    fn watch_lag(&mut self) {
        if self.held.is_empty() || self.lag_watch.as_ref().is_some_and(|w| !w.is_finished()) {
            return;
        }
        let (partitions, views): (Vec<_>, Vec<_>) =
            self.held.iter().map(|(p, held)| (p.clone(), Arc::clone(&held.view))).unzip();
        let (shared, pipeline) = (Arc::clone(&self.shared), Arc::clone(&self.view));
        let words = self.words_in.clone();
        self.lag_watch = Some(tokio::spawn(async move {
            if let Ok(ends) = shared.claimer.admin.watermarks(&partitions).await {
                let now = shared.board.now();
                views.iter().zip(ends).for_each(|(view, ends)| view.set_ends(ends, now));
            }
            for (topic, view) in pipeline.topics() {
                if let Ok(info) = shared.claimer.admin.topic(&topic).await {
                    if let Some(info) = &info {
                        view.set_partitions(info.partitions);
                    }
                    let id = info.map(|info| info.id);
                    let _ = words.send(Word::Topic(topic.as_str().into(), id, None));
                }
                if view.ask_retention(shared.board.now()) {
                    match shared.claimer.admin.retention(&topic).await {
                        Ok(age) => view.set_retention(age),
                        Err(fault) => tracing::debug!(topic, %fault, "retention is not known"),
                    }
                }
            }
            tokio::time::sleep(LAG_EVERY).await;
        }));
    }

    // ---- what the poll thread says

    async fn event(&mut self, event: Event) {
        match event {
            Event::Assigned(partitions) => self.assigned(partitions).await,
            Event::Revoked(partitions, lost) => self.revoked(partitions, lost).await,
            Event::Committed(offsets) => {
                for (partition, next) in offsets {
                    if let Some(held) = self.held.get(&partition) {
                        held.view.set_committed(next);
                    }
                }
            }
            Event::CommitFailed(reason) => {
                self.view.commit_failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(pipeline = %self.view.name, %reason, "commit failed; the next one repeats it");
                self.held.values_mut().for_each(|held| held.sent = None);
            }
            Event::Trouble(trouble) => self.trouble(trouble),
        }
    }

    async fn assigned(&mut self, partitions: Vec<PartitionId>) {
        self.view.rebalances.fetch_add(1, Ordering::Relaxed);
        if partitions.is_empty() {
            self.member.send(Command::Accept(Vec::new()));
            return;
        }
        self.missing.clear();
        let began = Instant::now();
        let claiming = self.shared.claimer.claim(self.shared.truth(), &partitions);
        let claims = match timeout(CLAIM_WITHIN, claiming).await {
            Ok(Ok(claims)) => claims.into_iter().map(Some).collect(),
            Ok(Err(fault)) => {
                tracing::warn!(pipeline = %self.view.name, %fault, "claim failed; the partitions wait");
                vec![None; partitions.len()]
            }
            Err(_) => {
                tracing::warn!(pipeline = %self.view.name, "claim takes long; the partitions wait");
                vec![None; partitions.len()]
            }
        };
        self.shared
            .board
            .instruments
            .operations
            .with_label_values(&[self.view.group.as_str(), "claim"])
            .observe(began.elapsed().as_secs_f64());
        let mut starts = Vec::with_capacity(partitions.len());
        for (partition, claim) in partitions.into_iter().zip(claims) {
            let start = claim.as_ref().map_or(StartAt::Later, |c| StartAt::Offset(c.next));
            starts.push((partition.clone(), start));
            self.begin(partition, claim);
        }
        tracing::info!(pipeline = %self.view.name, partitions = starts.len(), "assigned");
        self.member.send(Command::Accept(starts));
    }

    fn begin(&mut self, partition: PartitionId, claim: Option<Claim>) {
        let topic = self.view.topic(&partition.topic);
        let view = topic.assign(partition.partition);
        let load = Arc::new(Load::new(Arc::clone(&self.shared_bytes)));
        let full = Arc::new(AtomicBool::new(false));
        let (feed_in, feed) = unbounded_channel();
        let (control, orders) = unbounded_channel();
        let slot = Slot {
            feed: feed_in,
            load: Arc::clone(&load),
            full: Arc::clone(&full),
            topic: Arc::clone(&topic),
            gate: Gate::default(),
        };
        self.door.open(partition.clone(), slot);
        let words = self.words_in.clone();
        let wiring =
            Wiring { feed, control: orders, words, load, full, view: Arc::clone(&view), topic };
        match self.factory.processor(&partition) {
            Ok(processor) => {
                let shared = Arc::clone(&self.shared);
                let task = Task::new(shared, partition.clone(), claim.clone(), processor, wiring);
                tokio::spawn(task.run());
            }
            Err(fault) => self.halt = Some((None, fault)),
        }
        self.held.insert(partition, Held { control, view, claim, sent: None });
    }

    async fn revoked(&mut self, partitions: Vec<PartitionId>, lost: bool) {
        self.view.rebalances.fetch_add(1, Ordering::Relaxed);
        tracing::info!(pipeline = %self.view.name, partitions = partitions.len(), lost, "revoked");
        let order = if lost { Control::Lost } else { Control::Drain };
        let commits = self.end(&partitions, order).await;
        self.member.send(Command::Release(if lost { Vec::new() } else { commits }));
    }

    fn trouble(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Unreachable(why) => {
                self.unreachable = Some(why);
                self.tick();
            }
            Trouble::Reachable => self.unreachable = None,
            Trouble::Partition { partition, code, reason } => {
                let fault = Fault::fatal(code, format!("{partition} cannot be read: {reason}"));
                match self.held.get(&partition) {
                    Some(held) => {
                        let claimed = held.claim.as_ref().map(|claim| claim.topic_id);
                        self.suspect(partition.topic, Suspicion { claimed, fault });
                    }
                    // Of a whole topic, that is not there, or that may not be read.
                    None if fault.code == "unknown_topic" => {
                        self.suspect(partition.topic, Suspicion { claimed: None, fault });
                    }
                    None => self.halt = Some((None, fault)),
                }
            }
            Trouble::Fatal(reason) => {
                self.halt = Some((None, Fault::fatal("client", reason)));
            }
        }
    }

    /// A partition that cannot be read may be of a topic that was deleted, and maybe made again: the cluster
    /// is asked before the pipeline halts.
    fn suspect(&self, topic: Arc<str>, suspicion: Suspicion) {
        let (shared, words) = (Arc::clone(&self.shared), self.words_in.clone());
        tokio::spawn(async move {
            while !words.is_closed() {
                match shared.claimer.admin.topic(&topic).await {
                    Ok(info) => {
                        let id = info.map(|info| info.id);
                        let _ = words.send(Word::Topic(topic, id, Some(suspicion)));
                        return;
                    }
                    Err(fault) if fault.class == Class::Fatal => {
                        let _ = words.send(Word::Halt(None, fault));
                        return;
                    }
                    Err(_) => tokio::time::sleep(LAG_EVERY).await,
                }
            }
        });
    }

    /// What is known of a topic's identity now. Its partitions that are claimed under another one are given
    /// up and claimed anew, each as a partition that nobody has read. One that is not there is waited for.
    fn identified(&mut self, topic: &str, id: Option<TopicId>, suspicion: Option<Suspicion>) {
        let Some(id) = id else {
            self.missing.insert(Arc::from(topic));
            return;
        };
        self.missing.remove(topic);
        let held = self.held.iter_mut().filter(|(partition, _)| &*partition.topic == topic);
        for (partition, held) in held {
            if held.claim.as_ref().is_none_or(|claim| claim.topic_id == id) {
                continue;
            }
            tracing::warn!(pipeline = %self.view.name, %partition, "its topic was deleted and made again");
            // What it has done is of a topic that is no more: nothing of it is committed.
            (held.claim, held.sent) = (None, None);
            let _ = held.control.send(Control::Again);
        }
        if let Some(suspicion) = suspicion.filter(|why| !why.is_explained(id)) {
            self.halt = Some((None, suspicion.fault));
        }
    }

    // ---- what tasks say

    fn word(&mut self, word: Word) {
        match word {
            Word::Halt(position, fault) => self.halt = Some((position, fault)),
            Word::Hold(partition) => self.member.send(Command::Hold(partition)),
            Word::Start(claim) => {
                self.member.send(Command::Start(claim.partition.clone(), claim.next));
                if let Some(held) = self.held.get_mut(&claim.partition) {
                    held.claim = Some(claim);
                    held.sent = None;
                }
            }
            Word::Room => self.member.send(Command::Wake),
            Word::Topic(topic, id, suspicion) => self.identified(&topic, id, suspicion),
            // Only tasks that were told to end do so, and `end` waits for their word.
            Word::Gone(..) => {}
        }
    }

    /// Ends the tasks of these partitions and answers what may be committed. Those that are not done
    /// within the drain time are left: what they have begun is fenced.
    async fn end(&mut self, partitions: &[PartitionId], order: Control) -> Vec<Commit> {
        let mut commits = Vec::new();
        let mut ending: Vec<PartitionId> = Vec::new();
        for partition in partitions {
            self.door.close(partition);
            if let Some(held) = self.held.get(partition)
                && held.control.send(order).is_ok()
            {
                ending.push(partition.clone());
            }
        }
        let until = Instant::now() + self.drain;
        while !ending.is_empty() {
            match tokio::time::timeout_at(until, self.words.recv()).await {
                Ok(Some(Word::Gone(partition, commit))) => {
                    ending.retain(|p| *p != partition);
                    commits.extend(commit.map(|(claim, next)| marker::commit(&claim, next)));
                }
                Ok(Some(word)) => self.word(word),
                Ok(None) => break,
                Err(_) => {
                    tracing::warn!(
                        pipeline = %self.view.name, partitions = ending.len(),
                        "not drained in time; what they have begun is left to the fence"
                    );
                    self.leave_behind(&ending, &mut commits);
                    break;
                }
            }
        }
        for partition in partitions {
            self.held.remove(partition);
            self.view.topic(&partition.topic).revoke(partition.partition);
        }
        commits
    }

    fn leave_behind(&self, late: &[PartitionId], commits: &mut Vec<Commit>) {
        for partition in late {
            let Some(held) = self.held.get(partition) else { continue };
            let _ = held.control.send(Control::Lost);
            if let (Some(claim), Some(at)) = (&held.claim, held.view.watermark()) {
                commits.push(marker::commit(claim, at));
            }
        }
    }

    /// The end: drains everything, commits, leaves the group.
    async fn leave(mut self) -> Ended {
        if let Some((position, fault)) = &self.halt {
            let at = position.as_ref().map_or_else(String::new, |p| format!(" at {p}"));
            tracing::error!(pipeline = %self.view.name, "halted{at}: {fault}");
            self.view.health.set(State::Halted(format!("halted{at}: {fault}")));
        } else {
            self.show(State::Draining);
        }
        let partitions: Vec<PartitionId> = self.held.keys().cloned().collect();
        let commits = self.end(&partitions, Control::Drain).await;
        self.member.send(Command::Leave(commits));
        self.relay_stop.cancel();
        // It ends by itself within its own limit.
        let _ = self.relay.await;
        let member = self.member;
        let left = tokio::task::spawn_blocking(move || member.join(LEAVE_WITHIN)).await;
        if !matches!(left, Ok(Ok(()))) {
            tracing::warn!(pipeline = %self.view.name, "the client did not close in time; it is left behind");
        }
        match self.halt {
            Some((position, fault)) => Ended::Halted(position, fault),
            None => {
                if self.view.health.set(State::Stopped) {
                    tracing::info!(pipeline = %self.view.name, state = "stopped", "pipeline");
                }
                Ended::Stopped
            }
        }
    }
}
