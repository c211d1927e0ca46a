//! The board: everything that can be seen of this process, in one place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::time::Instant;

use super::metrics::Instruments;
use super::{Health, Ledger, PartitionView, Sparing, State};
use crate::engine::Now;

/// A poll loop that was not heard of for so long is taken for dead: Kafka's `max.poll.interval.ms`.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// A topic's retention seldom changes, and asking takes a client of its own.
const RETENTION_EVERY: Duration = Duration::from_secs(300);

/// An answer that is asked for again from time to time.
#[derive(Debug)]
struct Asked<T> {
    at: Option<Now>,
    answer: Option<T>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self { at: None, answer: None }
    }
}

/// One topic of a pipeline.
#[derive(Debug, Default)]
pub struct TopicView {
    /// Where its records are.
    pub ledger: Ledger,
    partitions: AtomicI64,
    retention: Mutex<Asked<Duration>>,
    letters: Mutex<Sparing>,
    assigned: Mutex<BTreeMap<i32, Arc<PartitionView>>>,
}

impl TopicView {
    /// How many partitions the topic has by the broker's word.
    pub fn set_partitions(&self, partitions: i32) {
        self.partitions.store(i64::from(partitions), Ordering::Relaxed);
    }

    /// See [`TopicView::set_partitions`]; 0: not told yet.
    pub fn partitions(&self) -> i64 {
        self.partitions.load(Ordering::Relaxed)
    }

    /// Whether it is time to ask (again) how long the topic keeps records; counts as asked.
    pub fn ask_retention(&self, now: Now) -> bool {
        let mut asked = self.retention.lock().unwrap_or_else(PoisonError::into_inner);
        let due = asked.at.is_none_or(|at| now.saturating_sub(at) >= RETENTION_EVERY);
        if due {
            asked.at = Some(now);
        }
        due
    }

    /// How long the topic keeps records by the broker's word; `None`: for good, or not told.
    pub fn set_retention(&self, retention: Option<Duration>) {
        self.retention.lock().unwrap_or_else(PoisonError::into_inner).answer = retention;
    }

    /// See [`TopicView::set_retention`].
    pub fn retention(&self) -> Option<Duration> {
        self.retention.lock().unwrap_or_else(PoisonError::into_inner).answer
    }

    /// May the log name this dead letter? A topic may be full of them: see [`Sparing::allows`].
    pub fn names_letter(&self, now: Now) -> Option<u64> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).allows(now)
    }

    /// A partition was assigned: its series begin.
    pub fn assign(&self, partition: i32) -> Arc<PartitionView> {
        let view = Arc::new(PartitionView::default());
        let mut assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        assigned.insert(partition, Arc::clone(&view));
        view
    }

    /// A partition was given up: its series end with this.
    pub fn revoke(&self, partition: i32) {
        self.assigned.lock().unwrap_or_else(PoisonError::into_inner).remove(&partition);
    }

    /// All assigned partitions.
    pub fn assigned(&self) -> Vec<(i32, Arc<PartitionView>)> {
        let assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        assigned.iter().map(|(p, view)| (*p, Arc::clone(view))).collect()
    }

    /// One assigned partition.
    pub fn partition(&self, partition: i32) -> Option<Arc<PartitionView>> {
        let assigned = self.assigned.lock().unwrap_or_else(PoisonError::into_inner);
        assigned.get(&partition).map(Arc::clone)
    }
}

/// One pipeline.
#[derive(Debug)]
pub struct PipelineView {
    /// Its name.
    pub name: String,
    /// Its consumer group.
    pub group: String,
    /// Its state.
    pub health: Health,
    /// Rebalances that it went through.
    pub rebalances: AtomicU64,
    /// Commits to Kafka that failed.
    pub commit_failures: AtomicU64,
    /// Times that a partition's window was full.
    pub windows_full: AtomicU64,
    topics: Mutex<BTreeMap<String, Arc<TopicView>>>,
}

impl PipelineView {
    fn new(name: &str, group: &str) -> Self {
        Self {
            name: name.to_owned(),
            group: group.to_owned(),
            health: Health::default(),
            rebalances: AtomicU64::new(0),
            commit_failures: AtomicU64::new(0),
            windows_full: AtomicU64::new(0),
            topics: Mutex::default(),
        }
    }

    /// The view of a topic; made at the first asking.
    pub fn topic(&self, topic: &str) -> Arc<TopicView> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(topics.entry(topic.to_owned()).or_default())
    }

    /// All its topics.
    pub fn topics(&self) -> Vec<(String, Arc<TopicView>)> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(name, view)| (name.clone(), Arc::clone(view))).collect()
    }
}

/// Everything that can be seen of this process.
#[derive(Debug)]
pub struct Board {
    began: Instant,
    pipelines: RwLock<Vec<Arc<PipelineView>>>,
    /// Histograms and counters that are written as things happen.
    pub instruments: Instruments,
}

impl Board {
    /// An empty board; time on it begins now.
    ///
    /// # Errors
    /// A metric's name or label is not one: a fault of the program, found by any test.
    pub fn new() -> Result<Arc<Self>, prometheus::Error> {
        Ok(Arc::new(Self {
            began: Instant::now(),
            pipelines: RwLock::default(),
            instruments: Instruments::new()?,
        }))
    }

    /// The time since the process began: the `now` of the engine.
    pub fn now(&self) -> Now {
        self.began.elapsed()
    }

    /// Adds a pipeline.
    pub fn pipeline(&self, name: &str, group: &str) -> Arc<PipelineView> {
        let view = Arc::new(PipelineView::new(name, group));
        self.pipelines.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&view));
        view
    }

    /// All pipelines.
    pub fn pipelines(&self) -> Vec<Arc<PipelineView>> {
        self.pipelines.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// May traffic and rollouts count on this process? With the state of each pipeline.
    pub fn ready(&self) -> (bool, Vec<(String, State)>) {
        let states: Vec<_> =
            self.pipelines().iter().map(|p| (p.name.clone(), p.health.state())).collect();
        let ready = !states.is_empty() && states.iter().all(|(_, s)| *s == State::Running);
        (ready, states)
    }

    /// Are the loops turning? Judged by their heartbeat alone, never by records or brokers.
    pub fn alive(&self) -> bool {
        let now = self.now();
        self.pipelines().iter().all(|p| p.health.silence(now).is_none_or(|s| s < SILENCE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_only_when_every_pipeline_runs() {
        let board = Board::new().unwrap();
        assert!(!board.ready().0);
        let a = board.pipeline("a", "ordermill.a");
        let b = board.pipeline("b", "ordermill.b");
        a.health.set(State::Running);
        assert!(!board.ready().0);
        b.health.set(State::Running);
        assert!(board.ready().0);
        b.health.set(State::Waiting("postgres is away".into()));
        assert!(!board.ready().0);
        assert!(board.alive());
    }
}
