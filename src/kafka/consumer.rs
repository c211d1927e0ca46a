//! Batched consumption inside a group, over rust-rdkafka.
//!
//! Each assigned partition's queue is routed to one queue of our own; batches are taken from that with one
//! C call. Rebalances, errors, statistics and commit results stay on the consumer's queue and are served
//! by `BaseConsumer::poll(0)` between batches. A rebalance is *returned*, not called back, and ended by
//! [`BatchConsumer::accept`]: nothing blocks in between.
//!
//! What the library does meanwhile: it pauses all assigned partitions from the rebalance event until the
//! answer, so what flows in that time is what was taken before. Answer soon, and have what flows again fetched
//! at once.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::batch::{Batch, PartitionError, Run};
use super::error::Error;
use super::raw::{self, Messages, Queue};

/// What the client reports besides records. All of it runs inside the poll calls, on their thread.
pub(super) trait Hooks: Send + Sync + 'static {
    /// The library's statistics, as JSON.
    fn stats(&self, json: &[u8]);
    /// An error of the client as a whole.
    fn error(&self, error: &KafkaError, reason: &str);
    /// The outcome of an asynchronous commit.
    fn committed(&self, result: KafkaResult<()>, offsets: &TopicPartitionList);
}

/// A change of the assignment. The group waits until it is given to [`BatchConsumer::accept`].
#[derive(Debug)]
#[must_use = "the group waits until it is given to `accept`"]
pub(super) enum Rebalance {
    /// Offsets may be set in the list before `accept`: that replaces a seek.
    Assign(TopicPartitionList),
    /// No record of these partitions is returned any more.
    Revoke {
        /// Which.
        partitions: TopicPartitionList,
        /// They belong to somebody else already: commit nothing.
        lost: bool,
    },
}

/// What a poll found.
#[derive(Debug)]
#[must_use]
pub(super) enum Polled {
    /// Records, or failures of partitions.
    Batch(Batch),
    /// A rebalance to answer.
    Rebalance(Rebalance),
    /// Nothing: the time is over, or somebody called the [`Waker`].
    Idle,
}

struct Context<H> {
    hooks: H,
    rebalances: Mutex<VecDeque<Rebalance>>,
    /// Rebalances are answered here: the poll loop has ended.
    leaving: AtomicBool,
    /// The library's close has begun.
    closing: AtomicBool,
}

impl<H: Hooks> ClientContext for Context<H> {
    fn stats_raw(&self, json: &[u8]) {
        self.hooks.stats(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.hooks.error(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_library(level, facility, message);
    }
}

/// The library's log lines. Connection errors arrive as events too and are told once there; here they
/// would repeat with every attempt.
pub(super) fn log_library(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match (level, facility) {
        (RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical, _) => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        // An operator's properties go to every client, also those of consumers to a producer.
        (_, "CONFWARN") if message.contains("property and will be ignored by this") => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        (_, "CONFWARN") => tracing::warn!(target: "librdkafka", facility, "{message}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

impl<H: Hooks> ConsumerContext for Context<H> {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assigned = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.leaving.load(Ordering::Relaxed) {
            // Nobody is there to answer, and without an answer the library would wait for ever. Once its
            // close has begun, it takes no assignment any more.
            let done = if assigned && !self.closing.load(Ordering::Relaxed) {
                take_and_read_nothing(consumer, list)
            } else {
                release(consumer, list)
            };
            if let Err(e) = done {
                tracing::debug!(error = %e, "answer a rebalance while leaving");
            }
            return;
        }
        let found = if assigned {
            Rebalance::Assign(list.clone())
        } else {
            Rebalance::Revoke { partitions: list.clone(), lost: consumer.assignment_lost() }
        };
        self.waiting().push_back(found);
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.hooks.committed(result, offsets);
    }
}

impl<H> Context<H> {
    fn waiting(&self) -> std::sync::MutexGuard<'_, VecDeque<Rebalance>> {
        // The queue is whole after every push and pop, so a panic elsewhere does not spoil it.
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn release<H: Hooks>(
    consumer: &BaseConsumer<Context<H>>,
    list: &TopicPartitionList,
) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Accepts an assignment that is given up right afterwards.
fn take_and_read_nothing<H: Hooks>(
    consumer: &BaseConsumer<Context<H>>,
    list: &mut TopicPartitionList,
) -> KafkaResult<()> {
    list.set_all_offsets(Offset::End)?;
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}

/// Ends a blocked [`BatchConsumer::poll_batch`] from another thread.
#[derive(Clone, Debug)]
pub(super) struct Waker {
    queue: Weak<Queue>,
    called: Arc<AtomicBool>,
}

impl Waker {
    /// The poll that runs, or the next one, returns at once. Never lost.
    pub(super) fn wake(&self) {
        self.called.store(true, Ordering::SeqCst);
        if let Some(queue) = self.queue.upgrade() {
            queue.wake();
        }
    }
}

/// A group member that gives whole batches.
pub(super) struct BatchConsumer<H: Hooks> {
    /// Where events arrive; `None`: closed.
    callbacks: Option<Queue>,
    own: Option<Arc<Queue>>,
    consumer: Option<BaseConsumer<Context<H>>>,
    /// Of an unanswered revocation: their records are dropped.
    revoking: Vec<(String, i32)>,
    unanswered: bool,
    fatal: Option<RDKafkaErrorCode>,
    held: Arc<AtomicUsize>,
    called: Arc<AtomicBool>,
}

impl<H: Hooks> BatchConsumer<H> {
    /// Makes the client and subscribes it.
    ///
    /// # Errors
    /// The library refuses the configuration or the topics.
    pub(super) fn new(config: &ClientConfig, hooks: H, topics: &[&str]) -> Result<Self, Error> {
        let client = |cause| Error::Client { what: "consumer", cause };
        let context = Context {
            hooks,
            rebalances: Mutex::default(),
            leaving: AtomicBool::new(false),
            closing: AtomicBool::new(false),
        };
        let mut consumer: BaseConsumer<_> = config.create_with_context(context).map_err(client)?;
        let rk = consumer.client().native_ptr();
        let callbacks = Queue::of_consumer(rk).ok_or_else(|| Error::Setting {
            key: "group.id".into(),
            reason: "a consumer needs a group".into(),
        })?;
        let own = Arc::new(Queue::new(rk)?);
        let waker = Arc::downgrade(&own); // weak: the queue must go before the client does
        consumer.set_nonempty_callback(move || {
            if let Some(queue) = waker.upgrade() {
                queue.wake();
            }
        });
        consumer.subscribe(topics).map_err(client)?;
        Ok(Self {
            callbacks: Some(callbacks),
            own: Some(own),
            consumer: Some(consumer),
            revoking: Vec::new(),
            unanswered: false,
            fatal: None,
            held: Arc::default(),
            called: Arc::default(),
        })
    }

    /// For other threads.
    pub(super) fn waker(&self) -> Waker {
        Waker {
            queue: self.own.as_ref().map(Arc::downgrade).unwrap_or_default(),
            called: Arc::clone(&self.called),
        }
    }

    /// Forgets wake-ups up to now. Call it *before* looking at what they announce.
    pub(super) fn awake(&self) {
        self.called.store(false, Ordering::SeqCst);
    }

    /// Records in batches taken and not yet dropped.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    fn client(&self) -> Result<&BaseConsumer<Context<H>>, Error> {
        self.consumer.as_ref().ok_or(Error::Ended("consumer"))
    }

    /// Returns as soon as there is one record, one rebalance or one error, with at most `max` records.
    ///
    /// # Errors
    /// [`Error::Fatal`] ends the consumer; others are reports.
    pub(super) fn poll_batch(&mut self, max: usize, timeout: Duration) -> Result<Polled, Error> {
        if let Some(code) = self.fatal {
            // The queue would go on giving records.
            return Err(fatal(code));
        }
        let deadline = Instant::now() + timeout;
        let mut messages = Messages::new(&self.held);
        loop {
            if let Some(rebalance) = self.serve()? {
                return Ok(Polled::Rebalance(rebalance));
            }
            let (Some(own), Some(callbacks)) = (&self.own, &self.callbacks) else {
                return Err(Error::Ended("consumer"));
            };
            if own.take(&mut messages, max, 0) == 0 {
                // `take` swallowed a wake-up that came before it, so look at what it may have announced;
                // one that comes from here on ends the blocking `take`.
                if callbacks.len() > 0 {
                    continue;
                }
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || self.called.load(Ordering::SeqCst) {
                    return Ok(Polled::Idle);
                }
                // It waits for *all* it is asked for: ask for one, then for what else is there.
                let ms = i32::try_from(left.as_millis().clamp(1, 60_000)).unwrap_or(60_000);
                if own.take(&mut messages, 1, ms) == 1 && max > 1 {
                    own.take(&mut messages, max - 1, 0);
                }
            }
            let batch = self.sift(&mut messages);
            if !batch.messages.is_empty() || !batch.errors.is_empty() {
                return Ok(Polled::Batch(batch));
            }
        }
    }

    /// Takes out what is being revoked, and failures.
    fn sift(&self, messages: &mut Messages) -> Batch {
        let mut messages = mem::replace(messages, Messages::new(&self.held));
        if !self.revoking.is_empty() {
            let gone = &self.revoking;
            messages.retain(|m| {
                !gone
                    .iter()
                    .any(|(topic, partition)| *partition == m.partition() && topic == m.topic())
            });
        }
        let mut errors = Vec::new();
        if messages.iter().any(|m| m.error().is_some()) {
            messages.retain(|m| match m.error() {
                Some(code) => {
                    errors.push(PartitionError {
                        topic: m.topic().to_owned(),
                        partition: m.partition(),
                        offset: m.offset(),
                        code,
                    });
                    false
                }
                None => true,
            });
        }
        Batch { messages: Run::new(messages), errors }
    }

    /// For a caller that can take no records now: keeps membership, statistics and commits alive.
    /// Counts as polling, so stuck processing must be watched elsewhere.
    ///
    /// # Errors
    /// As [`BatchConsumer::poll_batch`].
    pub(super) fn poll_callbacks(&mut self) -> Result<Option<Rebalance>, Error> {
        if let found @ Some(_) = self.poll_once()? {
            return Ok(found);
        }
        self.serve()
    }

    /// Serves the consumer's own queue: rebalances, errors, statistics, commit results.
    fn serve(&mut self) -> Result<Option<Rebalance>, Error> {
        while self.callbacks.as_ref().is_some_and(|q| q.len() > 0) {
            if let found @ Some(_) = self.poll_once()? {
                return Ok(found);
            }
        }
        // One that came while another was unanswered.
        self.next_rebalance()
    }

    fn poll_once(&mut self) -> Result<Option<Rebalance>, Error> {
        let consumer = self.client()?;
        match consumer.poll(Duration::ZERO) {
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                self.fatal = Some(code);
                return Err(fatal(code));
            }
            Some(Err(e)) => return Err(Error::call("consume", &e)),
            Some(Ok(m)) => {
                let (partition, offset) = (m.partition(), m.offset());
                return Err(Error::Stray { partition, offset });
            }
            None => {}
        }
        self.next_rebalance()
    }

    /// One at a time: the next is told when the last is answered.
    fn next_rebalance(&mut self) -> Result<Option<Rebalance>, Error> {
        if self.unanswered {
            return Ok(None);
        }
        let next = self.client()?.context().waiting().pop_front();
        if let Some(Rebalance::Revoke { partitions, .. }) = &next {
            self.revoking = partitions
                .elements()
                .iter()
                .map(|e| (e.topic().to_owned(), e.partition()))
                .collect();
        }
        self.unanswered = next.is_some();
        Ok(next)
    }

    /// Ends a rebalance: assigns (at the offsets in the list) or unassigns.
    ///
    /// # Errors
    /// The library refuses.
    pub(super) fn accept(&mut self, rebalance: Rebalance) -> Result<(), Error> {
        self.unanswered = false;
        let consumer = self.client()?;
        match rebalance {
            Rebalance::Assign(list) => {
                let own = self.own.as_ref().ok_or(Error::Ended("consumer"))?;
                let rk = consumer.client().native_ptr();
                for e in list.elements() {
                    own.route_partition_here(rk, e.topic(), e.partition())?;
                }
                match consumer.rebalance_protocol() {
                    RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
                    _ => consumer.assign(&list),
                }
                .map_err(|e| Error::call("assign", &e))
            }
            Rebalance::Revoke { partitions, .. } => {
                // In the library a pause outlives the assignment: without this the partition would stand
                // still, silently, when the group gives it to us again.
                if let Err(e) = consumer.resume(&partitions) {
                    tracing::warn!(error = %e, "take back the pause of given up partitions");
                }
                let done = release(consumer, &partitions);
                // What is left of them in the queue is outdated now: `take` skips it.
                self.revoking.clear();
                done.map_err(|e| Error::call("unassign", &e))
            }
        }
    }

    /// Commits these offsets (next to read), with their metadata; the outcome comes to
    /// [`Hooks::committed`].
    ///
    /// # Errors
    /// It cannot even be sent.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), Error> {
        let rk = self.client()?.client().native_ptr();
        let callbacks = self.callbacks.as_ref().ok_or(Error::Ended("consumer"))?;
        raw::commit_answered_on(rk, offsets, callbacks)
    }

    /// As above, and waits for the outcome.
    ///
    /// # Errors
    /// The broker's answer, or none within `limit`.
    pub(super) fn commit_within(
        &self,
        offsets: &TopicPartitionList,
        limit: Duration,
    ) -> Result<(), Error> {
        raw::commit_within(self.client()?.client().native_ptr(), offsets, limit)
    }

    /// No record of this partition is returned after this.
    ///
    /// # Errors
    /// The library refuses.
    pub(super) fn pause(&self, topic: &str, partition: i32) -> Result<(), Error> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, partition);
        self.client()?
            .pause(&list)
            .map_err(|e| Error::call(format!("pause {topic}[{partition}]"), &e))
    }

    /// Goes on at exactly `next`, whatever the library thinks its position is.
    ///
    /// Plain `resume` goes on at the library's position, which a batch call moves one too far on an error:
    /// a record would be skipped, or the offset be out of range.
    ///
    /// # Errors
    /// `State` while the library is still looking up the partition's first offset: try again.
    pub(super) fn resume_at(
        &self,
        topic: &str,
        partition: i32,
        next: i64,
        limit: Duration,
    ) -> Result<(), Error> {
        let what = || format!("seek {topic}[{partition}] to {next}");
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(next))
            .map_err(|e| Error::call(what(), &e))?;
        let client = self.client()?;
        let sought = client.seek_partitions(list, limit).map_err(|e| Error::call(what(), &e))?;
        for e in sought.elements() {
            e.error().map_err(|e| Error::call(what(), &e))?;
        }
        client
            .resume(&sought)
            .map_err(|e| Error::call(format!("resume {topic}[{partition}]"), &e))?;
        self.fetch_at_once([(topic, partition, next)])
    }

    /// Has partitions that flow again fetched for at once, each from its `next`.
    ///
    /// The library lets them flow without waking the threads that fetch for them, which sleep for up to a
    /// second where they had nothing to fetch. A seek wakes them.
    ///
    /// # Errors
    /// The library refuses.
    pub(super) fn fetch_at_once<'a>(
        &self,
        places: impl IntoIterator<Item = (&'a str, i32, i64)>,
    ) -> Result<(), Error> {
        let mut list = TopicPartitionList::new();
        for (topic, partition, next) in places {
            list.add_partition_offset(topic, partition, Offset::Offset(next))
                .map_err(|e| Error::call("seek", &e))?;
        }
        if list.count() > 0 {
            // Nothing is waited for: what cannot be sought has not begun yet, and is fetched when it does.
            let sought = self.client()?.seek_partitions(list, Duration::ZERO);
            sought.map_err(|e| Error::call("seek", &e))?;
        }
        Ok(())
    }

    /// Sends the partition's records to the own queue: to be said again after [`Self::assign_again`], since
    /// the library ends the old assignment at its leisure, and clears the route with it. Said once too often
    /// it changes nothing.
    ///
    /// # Errors
    /// The consumer is closed.
    pub(super) fn route_again(&self, topic: &str, partition: i32) -> Result<(), Error> {
        let own = self.own.as_ref().ok_or(Error::Ended("consumer"))?;
        own.route_partition_here(self.client()?.client().native_ptr(), topic, partition)
    }

    /// Gives the partition up and takes it again at `next`, inside the member: the way out of the state
    /// that a failed offset look-up leaves, in which every seek is refused.
    ///
    /// Not while a rebalance is unanswered: the library would take this for the answer. (One that is on its
    /// way and not seen yet can still be: its partitions then go without a drain, as if lost.)
    ///
    /// # Errors
    /// `State` while a rebalance is unanswered: try again. Or the library refuses.
    pub(super) fn assign_again(&self, topic: &str, partition: i32, next: i64) -> Result<(), Error> {
        let what = || format!("assign {topic}[{partition}] again at {next}");
        if self.unanswered {
            return Err(Error::Call {
                what: what(),
                code: RDKafkaErrorCode::State,
                reason: "a rebalance is unanswered".to_owned(),
            });
        }
        let client = self.client()?;
        let own = self.own.as_ref().ok_or(Error::Ended("consumer"))?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Offset::Offset(next))
            .map_err(|e| Error::call(what(), &e))?;
        // Before, not after: a pause outlives the assignment, and a resume on the heels of the new one may
        // overtake its start, so that the library looks for an offset that nobody set.
        client.resume(&list).map_err(|e| Error::call(what(), &e))?;
        client.incremental_unassign(&list).map_err(|e| Error::call(what(), &e))?;
        own.route_partition_here(client.client().native_ptr(), topic, partition)?;
        client.incremental_assign(&list).map_err(|e| Error::call(what(), &e))
    }

    /// Leaves the group, then waits until all batches are dropped. Batches still held at the deadline: the
    /// client is leaked, not destroyed under them.
    ///
    /// # Errors
    /// [`Error::StillHeld`], [`Error::Stuck`].
    pub(super) fn close(mut self, deadline: Duration) -> Result<(), Error> {
        self.shutdown(deadline)
    }

    /// Leaves the group: gives everything up, says so to the coordinator. Answers whether that is done.
    ///
    /// A plain close says nothing to the coordinator when the member holds no partitions: the group would
    /// then wait for it for the whole session, and the others could not commit meanwhile.
    fn leave(&self, consumer: &BaseConsumer<Context<H>>, until: Instant) -> bool {
        if self.fatal.is_some() {
            return false; // it is out already
        }
        consumer.unsubscribe();
        let rk = consumer.client().native_ptr();
        while raw::is_member(rk) {
            if Instant::now() >= until {
                return false;
            }
            // What still comes is for nobody: the member has said its last word.
            drop(consumer.poll(Duration::from_millis(20)));
        }
        true
    }

    fn shutdown(&mut self, deadline: Duration) -> Result<(), Error> {
        self.unanswered = false;
        while let Ok(Some(rebalance)) = self.next_rebalance() {
            if let Err(e) = self.accept(rebalance) {
                tracing::debug!(error = %e, "end a rebalance before closing");
            }
        }
        let Some(consumer) = self.consumer.take() else {
            return Ok(());
        };
        let until = Instant::now() + deadline;
        let late = || Instant::now() >= until;
        let own = self.own.take();
        consumer.context().leaving.store(true, Ordering::Relaxed);
        if let Some(queue) = self.callbacks.take() {
            queue.silence();
        }
        // An error of close: a fatal one came before, the group is left already.
        let left = self.leave(&consumer, Instant::now() + deadline / 2);
        consumer.context().closing.store(true, Ordering::Relaxed);
        if !left && consumer.close_queue().is_ok() {
            while !consumer.closed() && !late() {
                drop(consumer.poll(Duration::from_millis(50)));
            }
        }
        while self.held() > 0 && !late() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.held() > 0 {
            // Destroying the client now would block until they are gone.
            mem::forget((own, consumer));
            return Err(Error::StillHeld(self.held()));
        }
        // Destroying blocks too, in some failures for ever: so elsewhere, and not waited for past the
        // deadline.
        let (done, gone) = mpsc::channel();
        std::thread::Builder::new()
            .name("kafka-close".into())
            .spawn(move || {
                drop(own); // in this order
                drop(consumer);
                // Nobody listens after the deadline.
                let _ = done.send(());
            })
            .map_err(|cause| Error::Thread { what: "kafka-close", cause })?;
        let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        gone.recv_timeout(left).map_err(|_| Error::Stuck)
    }
}

impl<H: Hooks> Drop for BatchConsumer<H> {
    fn drop(&mut self) {
        if let Err(e) = self.shutdown(Duration::from_secs(5)) {
            tracing::warn!(error = %e, "close the consumer");
        }
    }
}

impl<H: Hooks> fmt::Debug for BatchConsumer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchConsumer")
            .field("open", &self.consumer.is_some())
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}

fn fatal(code: RDKafkaErrorCode) -> Error {
    Error::Fatal { code, reason: code.to_string() }
}
