//! Sending records: an idempotent client whose own thread serves the delivery reports.
//!
//! Two ways in, one client: [`port::Producer::send`] answers each record of a batch; [`BulkSender`] pushes
//! without waiting and counts, for those who load a topic.
//!
//! Order: records of one partition are written in the order sent. A record that is given up after the
//! delivery time-out leaves that order; those after it may still be written.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::channel::oneshot;
use rdkafka::Message as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

use super::consumer::log_library;
use super::error::{Error, class_of, word};
use super::settings::Settings;
use crate::port::{self, Outgoing};
use crate::record::{Fault, Offset, PartitionId, Position};

type Answer = Result<Position, Fault>;

/// An idempotent producer (acks = all). Cheap to clone; the last clone closes the client, and what is then
/// not acknowledged is lost: call [`Producer::close`] first.
#[derive(Clone)]
pub struct Producer {
    client: Arc<ThreadedProducer<Context>>,
    room: Arc<Room>,
}

/// Told at each delivery: the client's queue has room again.
#[derive(Default)]
struct Room {
    tasks: Notify,
}

struct Context {
    room: Arc<Room>,
}

/// Whom a delivery report is for.
enum Ticket {
    /// The record at `index` of a batch.
    Batch { batch: Arc<Batch>, index: usize },
    /// One of many.
    Bulk(Arc<Bulk>),
}

/// A batch on its way: one answer for each record, and one word when all are there.
struct Batch {
    state: Mutex<BatchState>,
}

struct BatchState {
    answers: Vec<Option<Answer>>,
    open: usize,
    done: Option<oneshot::Sender<Vec<Answer>>>,
}

impl Batch {
    fn answer(&self, index: usize, answer: Answer) {
        let mut state = lock(&self.state);
        let BatchState { answers, open, done } = &mut *state;
        if let Some(slot @ None) = answers.get_mut(index) {
            *slot = Some(answer);
            *open -= 1;
        }
        if *open == 0
            && let Some(done) = done.take()
        {
            let all = answers.drain(..).flatten().collect();
            // Nobody waits any more: the caller was dropped. The records are where they are.
            let _ = done.send(all);
        }
    }
}

impl ClientContext for Context {
    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        // What it means for a record stands in that record's answer.
        tracing::debug!(error = %error, reason, "kafka producer");
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_library(level, facility, message);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        match *ticket {
            Ticket::Batch { batch, index } => {
                let answer = match result {
                    Ok(m) => Ok(Position {
                        partition: PartitionId::new(m.topic(), m.partition()),
                        offset: Offset(m.offset()),
                    }),
                    Err((e, m)) => Err(delivery_fault(e, m.topic())),
                };
                batch.answer(index, answer);
            }
            Ticket::Bulk(bulk) => bulk.answer(match result {
                Ok(_) => Ok(()),
                Err((e, m)) => Err(delivery_fault(e, m.topic())),
            }),
        }
        self.room.tasks.notify_waiters();
    }
}

/// Why a record is not known to be there.
fn delivery_fault(error: &KafkaError, topic: &str) -> Fault {
    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
    let reason = match code {
        Code::MessageTimedOut => {
            format!("produce to {topic}: not acknowledged within the delivery time-out")
        }
        code => format!("produce to {topic}: {code}"),
    };
    Fault::new(class_of(code), word(code), reason)
}

impl Producer {
    /// Makes the client; brokers need not be reachable.
    ///
    /// # Errors
    /// The settings are refused, or the client cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let room = Arc::<Room>::default();
        let context = Context { room: Arc::clone(&room) };
        let client = settings
            .producer()?
            .create_with_context(context)
            .map_err(|cause| Error::Client { what: "producer", cause })?;
        Ok(Self { client: Arc::new(client), room })
    }

    /// Gives a record to the client's queue.
    fn queue(&self, out: &Outgoing, ticket: Box<Ticket>) -> Result<(), (Code, Box<Ticket>)> {
        let mut record = BaseRecord::<[u8], [u8], Box<Ticket>>::with_opaque_to(&out.topic, ticket);
        record.partition = out.partition;
        record.key = out.record.key.as_deref();
        record.payload = out.record.value.as_deref();
        record.timestamp = out.record.timestamp;
        if !out.record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(out.record.headers.len());
            for (key, value) in &out.record.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            record.headers = Some(headers);
        }
        self.client.send(record).map_err(|(e, record)| {
            let code = e.rdkafka_error_code().unwrap_or(Code::InvalidArgument);
            (code, record.delivery_opaque)
        })
    }

    async fn send_all(&self, records: Vec<Outgoing>) -> Vec<Answer> {
        if records.is_empty() {
            return Vec::new();
        }
        let (done, all) = oneshot::channel();
        let batch = Arc::new(Batch {
            state: Mutex::new(BatchState {
                answers: vec![None; records.len()],
                open: records.len(),
                done: Some(done),
            }),
        });
        for (index, out) in records.iter().enumerate() {
            let mut ticket = Box::new(Ticket::Batch { batch: Arc::clone(&batch), index });
            loop {
                // Registered before the attempt, so that no delivery between the two is missed.
                let mut room = std::pin::pin!(self.room.tasks.notified());
                room.as_mut().enable();
                match self.queue(out, ticket) {
                    Ok(()) => break,
                    Err((Code::QueueFull, back)) => {
                        ticket = back;
                        room.await;
                    }
                    Err((code, _)) => {
                        batch.answer(index, Err(refused(code, &out.topic)));
                        break;
                    }
                }
            }
        }
        let count = records.len();
        drop(records);
        all.await.unwrap_or_else(|_| {
            let gone = Fault::unavailable("kafka_closed", "the producer has closed");
            vec![Err(gone); count]
        })
    }

    /// A sender for many records that waits only when `in_flight` of them are not acknowledged.
    pub fn bulk(&self, in_flight: usize) -> BulkSender {
        BulkSender {
            producer: self.clone(),
            bulk: Arc::new(Bulk { state: Mutex::default(), settled: Condvar::new() }),
            in_flight_max: in_flight.max(1),
        }
    }

    /// Waits until everything sent is acknowledged or given up. Blocks.
    ///
    /// # Errors
    /// [`Error::Stuck`]: some still were not at the deadline.
    pub fn close(&self, deadline: Duration) -> Result<(), Error> {
        self.client.flush(deadline).map_err(|_| Error::Stuck)
    }
}

/// The client did not even take the record.
fn refused(code: Code, topic: &str) -> Fault {
    let reason = match code {
        Code::MessageSizeTooLarge => {
            format!("produce to {topic}: larger than message.max.bytes allows")
        }
        code => format!("produce to {topic}: {code}"),
    };
    Fault::new(class_of(code), word(code), reason)
}

impl port::Producer for Producer {
    fn send(&self, records: Vec<Outgoing>) -> port::Future<'_, Vec<Answer>> {
        self.send_all(records).boxed()
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("in_flight", &self.client.in_flight_count())
            .finish_non_exhaustive()
    }
}

/// How a bulk of records ended.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BulkCounts {
    /// Acknowledged by the broker.
    pub delivered: u64,
    /// Given up or refused.
    pub failed: u64,
    /// Why the first of those failed.
    pub first_fault: Option<Fault>,
}

#[derive(Default)]
struct BulkState {
    counts: BulkCounts,
    in_flight: usize,
}

struct Bulk {
    state: Mutex<BulkState>,
    settled: Condvar,
}

impl Bulk {
    fn answer(&self, result: Result<(), Fault>) {
        let mut state = lock(&self.state);
        state.in_flight -= 1;
        state.settle(result);
        drop(state);
        self.settled.notify_one();
    }
}

impl BulkState {
    fn settle(&mut self, result: Result<(), Fault>) {
        match result {
            Ok(()) => self.counts.delivered += 1,
            Err(fault) => {
                self.counts.failed += 1;
                self.counts.first_fault.get_or_insert(fault);
            }
        }
    }
}

/// Sends many records without waiting for each; for one thread, which it blocks when too many are in
/// flight. Not for async tasks.
pub struct BulkSender {
    producer: Producer,
    bulk: Arc<Bulk>,
    in_flight_max: usize,
}

impl BulkSender {
    /// Sends one. Blocks while too many are in flight. A record that the client refuses counts as failed.
    pub fn push(&mut self, out: &Outgoing) {
        let mut state = lock(&self.bulk.state);
        while state.in_flight >= self.in_flight_max {
            state = wait(&self.bulk.settled, state);
        }
        state.in_flight += 1;
        drop(state);
        let mut ticket = Box::new(Ticket::Bulk(Arc::clone(&self.bulk)));
        loop {
            match self.producer.queue(out, ticket) {
                Ok(()) => return,
                Err((Code::QueueFull, back)) => {
                    ticket = back;
                    // Another sender's records fill the client: ours may be none of them, so look again.
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((code, _)) => {
                    self.bulk.answer(Err(refused(code, &out.topic)));
                    return;
                }
            }
        }
    }

    /// What is known so far.
    pub fn counts(&self) -> BulkCounts {
        lock(&self.bulk.state).counts.clone()
    }

    /// Waits until every record pushed is acknowledged or given up, at most until `deadline`; answers how
    /// they ended. What is still in flight then counts as failed.
    pub fn finish(self, deadline: Duration) -> BulkCounts {
        let until = Instant::now() + deadline;
        let mut state = lock(&self.bulk.state);
        while state.in_flight > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let lost = state.in_flight as u64;
                let mut counts = state.counts.clone();
                counts.failed += lost;
                counts.first_fault.get_or_insert_with(|| {
                    Fault::unavailable("in_flight", format!("{lost} records not acknowledged yet"))
                });
                return counts;
            }
            state = match self.bulk.settled.wait_timeout(state, left) {
                Ok((state, _)) => state,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        state.counts.clone()
    }
}

impl fmt::Debug for BulkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkSender").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

/// Counts and slots are whole after every statement, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
