//! Questions to the cluster: topics and their ids, ends of partitions, groups and what they committed.
//!
//! One client, a few threads that ask (the library blocks), one limit on how long a question may take and
//! one on how many may wait.

mod groups;
mod offsets;
mod topics;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use futures::FutureExt as _;
use futures::channel::oneshot;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::consumer::log_library;
use super::embedded;
use super::error::Error;
use super::settings::Settings;
use super::topics::NewTopic;
use crate::port::{self, Commit, CommittedAt, TopicInfo, Watermarks};
use crate::record::{Fault, NextOffset, PartitionId};

pub use groups::{GroupMember, GroupState};

/// How long one question may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Threads that ask: so many questions run at once.
const THREADS: usize = 3;
/// Questions that may wait for a thread.
const WAITING_MAX: usize = 256;
/// How often an idle thread lets the client say what it has to say.
const IDLE: Duration = Duration::from_secs(1);

type Job = Box<dyn FnOnce(&Client) + Send>;

/// The admin client of a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    jobs: SyncSender<Job>,
    /// It was said that this cluster knows no topic ids.
    told: Arc<AtomicBool>,
}

/// What a question is asked with.
pub(super) struct Client {
    pub(super) settings: Settings,
    /// It only asks. It names a group that nobody joins: the library takes every consumer to have one when a
    /// coordinator answers that it is another's, and would bring the process down without (seen, 2.12.1).
    pub(super) consumer: BaseConsumer<Context>,
    /// Is it the embedded bus of another process (`dev`)? It answers fewer questions.
    embedded: OnceLock<bool>,
}

/// Remembers why connections fail: a question that nobody answers says only that its time is up.
#[derive(Default)]
pub(super) struct Context {
    why: Mutex<String>,
}

impl Context {
    fn why(&self) -> String {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "kafka admin client");
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
            steady(reason).clone_into(&mut why);
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_library(level, facility, message);
    }
}

impl ConsumerContext for Context {}

impl Admin {
    /// Makes the client; brokers need not be reachable.
    ///
    /// # Errors
    /// The settings are refused, or the client or its threads cannot be made.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let consumer = settings
            .admin()?
            .set("group.id", format!("{}-admin", settings.client_id))
            .create_with_context(Context::default())
            .map_err(|cause| Error::Client { what: "admin client", cause })?;
        let (settings, embedded) = (settings.clone(), OnceLock::new());
        let client = Arc::new(Client { settings, consumer, embedded });
        let (jobs, waiting) = mpsc::sync_channel::<Job>(WAITING_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..THREADS {
            let (client, waiting) = (Arc::clone(&client), Arc::clone(&waiting));
            thread::Builder::new()
                .name("kafka-admin".into())
                .spawn(move || work(&client, &waiting))
                .map_err(|cause| Error::Thread { what: "kafka-admin", cause })?;
        }
        Ok(Self { jobs, told: Arc::default() })
    }

    /// Asks on one of the threads.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |client| {
            // The asker may have gone away.
            let _ = answer.send(question(client).map_err(|error| client.explain(error)));
        });
        self.jobs.try_send(job).map_err(|e| match e {
            TrySendError::Full(_) => Error::Busy(WAITING_MAX),
            TrySendError::Disconnected(_) => Error::Ended("admin client"),
        })?;
        answered.await.unwrap_or(Err(Error::Ended("admin client")))
    }

    /// The group as its coordinator sees it; a group that nobody knows has no members and is `Dead`.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    pub async fn group(&self, group: &str) -> Result<GroupState, Fault> {
        let name = group.to_owned();
        self.ask(move |client| client.group(&name)).await.map_err(|e| e.fault())
    }

    /// All groups that their coordinators know, sorted by name.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    pub async fn groups(&self) -> Result<Vec<(String, GroupState)>, Fault> {
        self.ask(Client::groups).await.map_err(|e| e.fault())
    }

    /// All partitions for which a group has committed something, sorted.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    pub async fn committed_anywhere(&self, group: &str) -> Result<Vec<PartitionId>, Fault> {
        let group = group.to_owned();
        self.ask(move |client| client.committed_anywhere(&group)).await.map_err(|e| e.fault())
    }

    /// The timestamps of the first records at or behind these places, in milliseconds since the Unix epoch,
    /// as far as they come within a few seconds.
    ///
    /// # Errors
    /// `Fatal` when no client can be made.
    pub async fn timestamps(
        &self,
        group: &str,
        places: Vec<(PartitionId, NextOffset)>,
    ) -> Result<HashMap<PartitionId, i64>, Fault> {
        let group = group.to_owned();
        self.ask(move |client| client.timestamps(&group, &places)).await.map_err(|e| e.fault())
    }
}

/// One thread: takes questions one after another until nobody can ask any more.
fn work(client: &Client, waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = {
            let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.recv_timeout(IDLE)
        };
        match next {
            Ok(job) => job(client),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        // Log lines and errors would pile up otherwise. A client that joins no group has no records.
        drop(client.consumer.poll(Duration::ZERO));
    }
}

impl Client {
    fn rk(&self) -> *mut rdkafka::types::RDKafka {
        self.consumer.client().native_ptr()
    }

    /// Known once the brokers have answered anything.
    fn is_embedded(&self) -> bool {
        let id = || self.consumer.client().fetch_cluster_id(Duration::ZERO);
        *self.embedded.get_or_init(|| id().is_some_and(|id| embedded::is_embedded(&id)))
    }

    /// Says where the brokers are looked for, and why they do not answer, instead of naming a time-out.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::Call {
                what,
                code:
                    code @ (Code::OperationTimedOut
                    | Code::RequestTimedOut
                    | Code::BrokerTransportFailure),
                ..
            } => {
                let reason = match self.consumer.context().why() {
                    why if why.is_empty() => "no answer".to_owned(),
                    why => why,
                };
                let (brokers, limit) = (&self.settings.bootstrap, LIMIT);
                let reason =
                    format!("kafka at {brokers} does not answer within {limit:?}: {reason}");
                Error::Call { what, code, reason }
            }
            other => other,
        }
    }
}

/// The library's reason without what changes from try to try: `… (after 3ms in state CONNECT, 4 identical
/// error(s) suppressed)`.
fn steady(reason: &str) -> &str {
    reason.find(" (after ").map_or(reason, |end| &reason[..end])
}

impl port::Admin for Admin {
    fn topic<'a>(&'a self, name: &'a str) -> port::Future<'a, Result<Option<TopicInfo>, Fault>> {
        async move {
            let asked = name.to_owned();
            let found = self.ask(move |client| client.describe(&asked)).await;
            found.map(|d| d.map(|d| self.topic_info(name, d))).map_err(|e| e.fault())
        }
        .boxed()
    }

    fn retention<'a>(&'a self, name: &'a str) -> port::Future<'a, Result<Option<Duration>, Fault>> {
        let name = name.to_owned();
        self.ask(move |client| client.retention(&name))
            .map(|found| found.map_err(|e| e.fault()))
            .boxed()
    }

    fn watermarks<'a>(
        &'a self,
        partitions: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<Watermarks>, Fault>> {
        let asked = partitions.to_vec();
        self.ask(move |client| client.watermarks(&asked))
            .map(|found| found.map_err(|e| e.fault()))
            .boxed()
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<Option<CommittedAt>>, Fault>> {
        let (group, asked) = (group.to_owned(), partitions.to_vec());
        self.ask(move |client| client.committed(&group, &asked))
            .map(|found| found.map_err(|e| e.fault()))
            .boxed()
    }

    fn offsets_at<'a>(
        &'a self,
        time_ms: i64,
        partitions: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<NextOffset>, Fault>> {
        let asked = partitions.to_vec();
        self.ask(move |client| client.offsets_at(time_ms, &asked))
            .map(|found| found.map_err(|e| e.fault()))
            .boxed()
    }

    fn commit<'a>(
        &'a self,
        group: &'a str,
        commits: Vec<Commit>,
    ) -> port::Future<'a, Result<(), Fault>> {
        let group = group.to_owned();
        self.ask(move |client| client.commit(&group, &commits))
            .map(|done| done.map_err(|e| e.fault()))
            .boxed()
    }

    fn had_members<'a>(&'a self, group: &'a str) -> port::Future<'a, Result<bool, Fault>> {
        self.group(group).map(|state| state.map(|state| state.had_members)).boxed()
    }

    fn create_topic<'a>(
        &'a self,
        name: &'a str,
        partitions: i32,
        replication: i32,
    ) -> port::Future<'a, Result<(), Fault>> {
        let new = NewTopic { name: name.to_owned(), partitions, replication, settings: Vec::new() };
        self.ask(move |client| client.create(&new))
            .map(|found| found.map_err(|e| e.fault()))
            .boxed()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_failure_has_the_same_reason_at_every_try() {
        let first = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused \
                     (after 0ms in state CONNECT)";
        let again = first.replace(
            "0ms in state CONNECT",
            "7ms in state CONNECT, 1 identical error(s) suppressed",
        );
        assert_eq!(steady(first), steady(&again));
        assert!(steady(first).ends_with("Connection refused"));
    }
}
