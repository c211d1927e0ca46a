//! A member of a consumer group: the handle on its poll thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;

use super::consumer::{BatchConsumer, Waker};
use super::error::{Error, no_nul};
use super::outage::Reporter;
use super::poll::PollThread;
use super::settings::Settings;
use crate::port::{Command, Commit, Commits, Future, Intake};
use crate::record::Fault;

/// Starts members of consumer groups.
#[derive(Debug)]
pub struct Member;

/// What the poll thread shows of itself.
#[derive(Debug)]
pub(super) struct Vitals {
    started: Instant,
    /// Milliseconds after `started` at which the loop last came round.
    polled_ms: AtomicU64,
    /// The group has given us an assignment, maybe an empty one.
    pub(super) joined: AtomicBool,
    /// Records that came again and were not delivered again.
    pub(super) stale: AtomicU64,
    /// A [`Command::Wake`] waits in the channel: one is enough.
    pub(super) wake_sent: AtomicBool,
}

impl Vitals {
    fn new() -> Self {
        Self {
            started: Instant::now(),
            polled_ms: AtomicU64::new(0),
            joined: AtomicBool::new(false),
            stale: AtomicU64::new(0),
            wake_sent: AtomicBool::new(false),
        }
    }

    /// The loop came round.
    pub(super) fn tick(&self) {
        let ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.polled_ms.store(ms, Ordering::Relaxed);
    }

    fn last_poll(&self) -> Instant {
        self.started + Duration::from_millis(self.polled_ms.load(Ordering::Relaxed))
    }
}

/// The handle on a poll thread. Dropped without [`Command::Leave`], the member leaves without a commit.
///
/// Orders are not bounded in number: each is an answer to something that the thread said, or a tick.
pub struct MemberHandle {
    orders: Arc<Sender<Command>>,
    waker: Waker,
    vitals: Arc<Vitals>,
    ended: Mutex<Receiver<Result<(), Error>>>,
    thread: thread::JoinHandle<()>,
}

impl Member {
    /// Joins `group` for these topics on a thread of its own; everything that happens comes to `intake`.
    ///
    /// Returns at once: brokers need not be reachable. [`MemberHandle::joined`] tells when the group has
    /// accepted the member.
    ///
    /// # Errors
    /// The settings are refused, or the client or the thread cannot be made.
    pub fn start(
        settings: &Settings,
        group: &str,
        topics: &[String],
        intake: Arc<dyn Intake>,
    ) -> Result<MemberHandle, Error> {
        no_nul(group)?;
        topics.iter().try_for_each(|topic| no_nul(topic))?;
        let config = settings.consumer(group)?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let reporter = Reporter::new(Arc::clone(&intake));
        let consumer = BatchConsumer::new(&config, reporter, &names)?;
        let waker = consumer.waker();
        let vitals = Arc::new(Vitals::new());
        let (orders, inbox) = mpsc::channel();
        let (done, ended) = mpsc::channel();
        let poll = PollThread::new(consumer, intake, inbox, Arc::clone(&vitals));
        let thread = thread::Builder::new()
            .name(format!("poll-{group}"))
            .spawn(move || {
                // Nobody may be waiting for the end.
                let _ = done.send(poll.run());
            })
            .map_err(|cause| Error::Thread { what: "poll", cause })?;
        Ok(MemberHandle {
            orders: Arc::new(orders),
            waker,
            vitals,
            ended: Mutex::new(ended),
            thread,
        })
    }
}

impl MemberHandle {
    /// Gives an order. Never blocks. Once the thread has ended, nothing happens.
    pub fn send(&self, command: Command) {
        if matches!(command, Command::Wake) && self.vitals.wake_sent.swap(true, Ordering::SeqCst) {
            return;
        }
        if self.orders.send(command).is_err() {
            tracing::debug!("an order for a poll thread that has ended");
        }
        self.waker.wake();
    }

    /// Commits as this member, as long as it is there.
    pub fn commits(&self) -> Arc<dyn Commits> {
        Arc::new(Committer { orders: Arc::downgrade(&self.orders), waker: self.waker.clone() })
    }

    /// When the loop last came round: it does so at least ten times a second, but for a commit that a
    /// broker is slow to answer.
    pub fn last_poll(&self) -> Instant {
        self.vitals.last_poll()
    }

    /// Has the group accepted us? (An assignment was seen, maybe an empty one.)
    pub fn joined(&self) -> bool {
        self.vitals.joined.load(Ordering::Relaxed)
    }

    /// Records that came again from the broker or the client and were not delivered again.
    pub fn stale_records(&self) -> u64 {
        self.vitals.stale.load(Ordering::Relaxed)
    }

    /// Has the thread ended?
    pub fn ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the thread, after [`Command::Leave`] or a fatal trouble. Blocks.
    ///
    /// # Errors
    /// What the client's close said; [`Error::Stuck`] when the thread did not end before the deadline.
    pub fn join(self, deadline: Duration) -> Result<(), Error> {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match ended.recv_timeout(deadline) {
            Ok(result) => result,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::Stuck),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(Error::Ended("poll thread")),
        }
    }
}

impl fmt::Debug for MemberHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberHandle").field("vitals", &self.vitals).finish_non_exhaustive()
    }
}

impl Drop for MemberHandle {
    fn drop(&mut self) {
        // The thread sees that nobody gives orders any more, and leaves.
        self.waker.wake();
    }
}

/// Commits as a member, without keeping it.
struct Committer {
    orders: Weak<Sender<Command>>,
    waker: Waker,
}

impl Commits for Committer {
    fn commit(&self, commits: Vec<Commit>) -> Future<'_, Result<(), Fault>> {
        let (answer, answered) = oneshot::channel();
        let asked = self.orders.upgrade().is_some_and(|orders| {
            let asked = orders.send(Command::CommitNow(commits, answer)).is_ok();
            self.waker.wake();
            asked
        });
        Box::pin(async move {
            let said = match asked {
                true => answered.await.unwrap_or_else(|_| Err("the member has left".to_owned())),
                false => Err("the member has left".to_owned()),
            };
            said.map_err(|reason| Fault::unavailable("commit", reason))
        })
    }
}
