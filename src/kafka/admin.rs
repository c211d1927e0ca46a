//! Questions to the cluster: topics and their ids, ends of partitions, groups and what they committed.
//!
//! One client, a few threads that ask (the library blocks), one limit on how long a question may take and
//! one on how many may wait.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::channel::oneshot;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use uuid::Uuid;

use super::consumer::log_library;
use super::embedded;
use super::error::{Error, no_nul};
use super::raw;
use super::settings::Settings;
use super::topics::NewTopic;
use crate::port::{self, Commit, CommittedAt, TopicInfo, Watermarks};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// How long one question may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// How long first records are waited for.
const LOOK: Duration = Duration::from_secs(3);
/// How long a group's coordinator may take to know what it must, and the time between two questions meanwhile.
const COORDINATOR_WITHIN: Duration = Duration::from_secs(3);
const COORDINATOR_PAUSE: Duration = Duration::from_millis(50);
/// Threads that ask: so many questions run at once.
const THREADS: usize = 3;
/// Questions that may wait for a thread.
const WAITING_MAX: usize = 256;
/// How often an idle thread lets the client say what it has to say.
const IDLE: Duration = Duration::from_secs(1);

/// A group as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`; an embedded bus in
    /// another process tells neither it nor the members.
    pub state: String,
    /// Has it, or had it ever, members? A group that only a tool has set offsets for had none.
    pub had_members: bool,
    /// The members, in the coordinator's order.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator gave it.
    pub id: String,
    /// The name that it gave itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What it is assigned.
    pub partitions: Vec<PartitionId>,
}

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

    fn topic_info(&self, name: &str, described: raw::Described) -> TopicInfo {
        let id = if described.id == 0 {
            if !self.told.swap(true, Ordering::Relaxed) {
                tracing::error!(
                    "this cluster knows no topic ids: a topic deleted and made again under its name \
                     looks like the old one, and its old progress is taken over"
                );
            }
            id_of_name(name)
        } else {
            TopicId(Uuid::from_u128(described.id))
        };
        TopicInfo { id, partitions: described.partitions }
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

    fn describe(&self, topic: &str) -> Result<Option<raw::Described>, Error> {
        if self.embedded.get() != Some(&false) {
            let partitions = self.partitions_of(topic)?;
            if self.is_embedded() {
                let id = id_of_name(topic).0.as_u128();
                return Ok(partitions.map(|partitions| raw::Described { id, partitions }));
            }
        }
        raw::describe_topic(self.rk(), topic, LIMIT)
    }

    /// Known once the brokers have answered anything.
    fn is_embedded(&self) -> bool {
        let id = || self.consumer.client().fetch_cluster_id(Duration::ZERO);
        *self.embedded.get_or_init(|| id().is_some_and(|id| embedded::is_embedded(&id)))
    }

    /// The plain question, which every broker answers; it tells no id.
    fn partitions_of(&self, topic: &str) -> Result<Option<i32>, Error> {
        no_nul(topic)?;
        let what = || format!("describe topic {topic}");
        let found = self
            .consumer
            .fetch_metadata(Some(topic), LIMIT)
            .map_err(|e| Error::call(what(), &e))?;
        let found = found.topics().iter().find(|found| found.name() == topic);
        let Some(found) = found.filter(|found| found.error().is_none()) else { return Ok(None) };
        Ok(Some(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)))
    }

    /// All partitions of one end with one request to each leader.
    fn ends(&self, partitions: &[PartitionId], end: Offset) -> Result<Vec<NextOffset>, Error> {
        let what = || "read the ends of partitions".to_owned();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            // The look-up by time takes the two ends as times -1 and -2.
            list.add_partition_offset(&id.topic, id.partition, end)
                .map_err(|e| Error::call(what(), &e))?;
        }
        let found =
            self.consumer.offsets_for_times(list, LIMIT).map_err(|e| Error::call(what(), &e))?;
        let found: HashMap<(String, i32), _> = found
            .elements()
            .iter()
            .map(|e| {
                let at = e.error().map(|()| e.offset());
                ((e.topic().to_owned(), e.partition()), at)
            })
            .collect();
        partitions
            .iter()
            .map(|id| match found.get(&(id.topic.to_string(), id.partition)) {
                Some(Ok(Offset::Offset(at))) => Ok(NextOffset(*at)),
                Some(Err(e)) => Err(Error::call(format!("read the ends of {id}"), e)),
                Some(Ok(_)) | None => Err(Error::Call {
                    what: format!("read the ends of {id}"),
                    code: Code::UnknownPartition,
                    reason: "the broker does not say".to_owned(),
                }),
            })
            .collect()
    }

    fn watermarks(&self, partitions: &[PartitionId]) -> Result<Vec<Watermarks>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        partitions.iter().try_for_each(|id| no_nul(&id.topic))?;
        // The start first: it never passes an end that is read later.
        let starts = self.ends(partitions, Offset::Beginning)?;
        let ends = self.ends(partitions, Offset::End)?;
        Ok(starts.into_iter().zip(ends).map(|(start, end)| Watermarks { start, end }).collect())
    }

    fn committed(
        &self,
        group: &str,
        partitions: &[PartitionId],
    ) -> Result<Vec<Option<CommittedAt>>, Error> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        partitions.iter().try_for_each(|id| no_nul(&id.topic))?;
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            list.add_partition(&id.topic, id.partition);
        }
        let mut found: HashMap<(String, i32), CommittedAt> =
            patiently(|| raw::committed_offsets(self.rk(), group, Some(&list), LIMIT))?
                .into_iter()
                .filter(|g| g.offset >= 0)
                .map(|g| {
                    let at = CommittedAt { next: NextOffset(g.offset), metadata: g.metadata };
                    ((g.topic, g.partition), at)
                })
                .collect();
        Ok(partitions
            .iter()
            .map(|id| found.remove(&(id.topic.to_string(), id.partition)))
            .collect())
    }

    fn committed_anywhere(&self, group: &str) -> Result<Vec<PartitionId>, Error> {
        let found = patiently(|| raw::committed_offsets(self.rk(), group, None, LIMIT))?;
        let found = found.into_iter().filter(|g| g.offset >= 0);
        let mut all: Vec<_> = found.map(|g| PartitionId::new(g.topic, g.partition)).collect();
        all.sort();
        Ok(all)
    }

    fn timestamps(
        &self,
        group: &str,
        places: &[(PartitionId, NextOffset)],
    ) -> Result<HashMap<PartitionId, i64>, Error> {
        let mut found = HashMap::new();
        if places.is_empty() {
            return Ok(found);
        }
        // Rare: a client of its own, which names the group (it is allowed to read by it) and never joins it.
        let mut config = self.settings.admin()?;
        config.set("group.id", group).set("enable.auto.commit", "false");
        config.set("auto.offset.reset", "earliest").set("queued.min.messages", "1");
        let client: BaseConsumer =
            config.create().map_err(|cause| Error::Client { what: "looking client", cause })?;
        let what = || "read the first records".to_owned();
        let mut list = TopicPartitionList::with_capacity(places.len());
        for (id, next) in places {
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(next.0))
                .map_err(|e| Error::call(what(), &e))?;
        }
        client.assign(&list).map_err(|e| Error::call(what(), &e))?;
        let until = Instant::now() + LOOK;
        while found.len() < places.len() && Instant::now() < until {
            let Some(Ok(record)) = client.poll(Duration::from_millis(100)) else { continue };
            if let Some(time) = record.timestamp().to_millis() {
                found.entry(PartitionId::new(record.topic(), record.partition())).or_insert(time);
            }
        }
        Ok(found)
    }

    fn offsets_at(
        &self,
        time_ms: i64,
        partitions: &[PartitionId],
    ) -> Result<Vec<NextOffset>, Error> {
        let ends = self.ends(partitions, Offset::End)?;
        let what = || "look offsets up by time".to_owned();
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for id in partitions {
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(time_ms.max(0)))
                .map_err(|e| Error::call(what(), &e))?;
        }
        let found =
            self.consumer.offsets_for_times(list, LIMIT).map_err(|e| Error::call(what(), &e))?;
        let at = |id: &PartitionId, end: NextOffset| {
            let element = found.find_partition(&id.topic, id.partition);
            match element.map(|e| e.error().map(|()| e.offset())) {
                Some(Ok(Offset::Offset(at))) => Ok(NextOffset(at)),
                Some(Err(e)) => Err(Error::call(what(), &e)),
                // No record is so young.
                Some(Ok(_)) | None => Ok(end),
            }
        };
        partitions.iter().zip(ends).map(|(id, end)| at(id, end)).collect()
    }

    fn commit(&self, group: &str, commits: &[Commit]) -> Result<(), Error> {
        let what = || format!("commit offsets of group {group}");
        let mut list = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let id = &commit.partition;
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(commit.next.0))
                .map_err(|e| Error::call(what(), &e))?;
            if let Some(mut element) = list.find_partition(&id.topic, id.partition) {
                element.set_metadata(&commit.metadata);
            }
        }
        // Rare: a client of its own, which names the group and never joins it.
        let mut config = self.settings.admin()?;
        config.set("group.id", group);
        let client: BaseConsumer =
            config.create().map_err(|cause| Error::Client { what: "commit client", cause })?;
        // The library asks for the group's coordinator once it is told to do something with the group.
        let found = client.committed_offsets(list.clone(), LIMIT);
        let done = found
            .map_err(|e| Error::call(what(), &e))
            .and_then(|_| raw::commit_within(client.client().native_ptr(), &list, LIMIT));
        if done.is_err() {
            // Its end waits for brokers, which may be away.
            drop(list);
            thread::spawn(move || drop(client));
        }
        done
    }

    fn groups(&self) -> Result<Vec<(String, GroupState)>, Error> {
        let asked = || self.consumer.fetch_group_list(None, LIMIT);
        let found = patiently(|| asked().map_err(|e| Error::call("list groups".to_owned(), &e)))?;
        let mut groups: Vec<_> =
            found.groups().iter().map(|g| (g.name().to_owned(), state_of(g))).collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(groups)
    }

    /// Rare: a client of its own, for the time of the question.
    fn own(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        let config = self.settings.admin()?;
        config.create().map_err(|cause| Error::Client { what: "admin client", cause })
    }

    fn retention(&self, topic: &str) -> Result<Option<Duration>, Error> {
        let what = || format!("read how long topic {topic} keeps records");
        no_nul(topic)?;
        let client = self.own()?;
        let options = AdminOptions::new().request_timeout(Some(LIMIT));
        let asked = [ResourceSpecifier::Topic(topic)];
        let results = futures::executor::block_on(client.describe_configs(&asked, &options))
            .map_err(|e| Error::call(what(), &e))?;
        match results.into_iter().next() {
            Some(Ok(config)) => Ok(retention_of(&config)),
            Some(Err(code)) => Err(Error::Call { what: what(), code, reason: code.to_string() }),
            None => Err(Error::Call {
                what: what(),
                code: Code::BadMessage,
                reason: "the answer has no result".to_owned(),
            }),
        }
    }

    fn group(&self, group: &str) -> Result<GroupState, Error> {
        no_nul(group)?;
        let asked = || self.consumer.fetch_group_list(Some(group), LIMIT);
        let said = patiently(|| match asked() {
            Err(e)
                if e.rdkafka_error_code() == Some(Code::UnsupportedFeature)
                    && self.is_embedded() =>
            {
                Ok(None)
            }
            found => {
                found.map(Some).map_err(|e| Error::call(format!("describe group {group}"), &e))
            }
        })?;
        let Some(found) = said else {
            let state = "not told by an embedded bus".to_owned();
            return Ok(GroupState { state, had_members: true, members: Vec::new() });
        };
        let info = found.groups().iter().find(|g| g.name() == group);
        Ok(info.map_or_else(GroupState::unknown, state_of))
    }
}

impl GroupState {
    fn unknown() -> Self {
        Self { state: "Dead".to_owned(), had_members: false, members: Vec::new() }
    }
}

fn state_of(info: &GroupInfo) -> GroupState {
    let members = info
        .members()
        .iter()
        .map(|m| GroupMember {
            id: m.id().to_owned(),
            client_id: m.client_id().to_owned(),
            host: m.client_host().to_owned(),
            partitions: m.assignment().and_then(assigned).unwrap_or_default(),
        })
        .collect();
    let had_members = !info.protocol_type().is_empty();
    GroupState { state: info.state().to_owned(), had_members, members }
}

/// Asks again for a while where a group's coordinator is moving or still reads what it must know.
fn patiently<T>(ask: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let until = Instant::now() + COORDINATOR_WITHIN;
    loop {
        match ask() {
            Err(Error::Call {
                code:
                    Code::NotCoordinator
                    | Code::CoordinatorNotAvailable
                    | Code::CoordinatorLoadInProgress,
                ..
            }) if Instant::now() < until => thread::sleep(COORDINATOR_PAUSE),
            answered => return answered,
        }
    }
}

/// The library's reason without what changes from try to try: `… (after 3ms in state CONNECT, 4 identical
/// error(s) suppressed)`.
fn steady(reason: &str) -> &str {
    reason.find(" (after ").map_or(reason, |end| &reason[..end])
}

/// The age at which a topic with these settings deletes records; `None`: it is compacted only, or keeps all.
fn retention_of(config: &ConfigResource) -> Option<Duration> {
    let value = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
    let deletes = value("cleanup.policy").is_some_and(|policy| policy.contains("delete"));
    let millis = value("retention.ms").and_then(|ms| ms.parse().ok());
    millis.filter(|_| deletes).map(Duration::from_millis)
}

/// Reads a member's assignment as Kafka's consumer protocol writes it: version, then topics, each with
/// its partitions. `None`: it is something else.
fn assigned(bytes: &[u8]) -> Option<Vec<PartitionId>> {
    let mut rest = bytes.get(2..)?; // the version; all have the same beginning
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at_checked(n)?;
        rest = tail;
        Some(head)
    };
    let mut out = Vec::new();
    let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
    for _ in 0..topics {
        let len = i16::from_be_bytes(take(2)?.try_into().ok()?);
        let topic: Arc<str> = std::str::from_utf8(take(usize::try_from(len).ok()?)?).ok()?.into();
        let partitions = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..partitions {
            let number = i32::from_be_bytes(take(4)?.try_into().ok()?);
            out.push(PartitionId::new(Arc::clone(&topic), number));
        }
    }
    Some(out)
}

/// An id made from the name, for a cluster that knows none: FNV-1a over a fixed word and the name.
fn id_of_name(name: &str) -> TopicId {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let hash = b"ordermill topic "
        .iter()
        .chain(name.as_bytes())
        .fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    TopicId(uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid())
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
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    #[test]
    fn an_assignment_is_read_and_a_cut_one_is_not() {
        let mut bytes = vec![0, 3, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2];
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 9]);
        bytes.extend([0xff; 4]); // no user data
        let want = vec![PartitionId::new("t", 4), PartitionId::new("t", 9)];
        assert_eq!(assigned(&bytes), Some(want));
        for cut in 0..21 {
            assert_eq!(assigned(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(assigned(&[]), None);
    }

    #[test]
    fn a_topic_deletes_by_age_only_where_its_policy_says_so() {
        let retention = |policy: &str, millis: &str| {
            let entry = |name: &str, value: &str| ConfigEntry {
                name: name.to_owned(),
                value: Some(value.to_owned()),
                source: ConfigSource::DynamicTopic,
                is_read_only: false,
                is_default: false,
                is_sensitive: false,
            };
            retention_of(&ConfigResource {
                specifier: OwnedResourceSpecifier::Topic("t".to_owned()),
                entries: vec![entry("cleanup.policy", policy), entry("retention.ms", millis)],
            })
        };
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(retention("delete", "3600000"), hour);
        assert_eq!(retention("compact,delete", "3600000"), hour);
        assert_eq!(retention("compact", "3600000"), None);
        assert_eq!(retention("delete", "-1"), None);
    }

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

    #[test]
    fn an_id_of_a_name_is_stable_and_differs_by_name() {
        assert_eq!(id_of_name("orders"), id_of_name("orders"));
        assert_ne!(id_of_name("orders"), id_of_name("order"));
        assert_eq!(
            id_of_name("orders").to_string(),
            id_of_name("orders").0.hyphenated().to_string()
        );
    }
}
