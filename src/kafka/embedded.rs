//! The embedded bus: librdkafka's mock cluster, in this process, for `demo`, `dev` and unit tests.
//!
//! It speaks the real protocol on a loopback port, so member and producer are the real ones. It is not
//! durable, keeps 5 MB or 100,000 batches a partition, has no look-up by time, and refuses
//! commits while a rebalance is being prepared, which a real one takes. Each start counts as
//! new topics: the ids are our own and random, so that progress from an earlier start is never taken for
//! this one's.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::FutureExt as _;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::admin::Admin;
use super::consumer::log_library;
use super::error::Error;
use super::raw;
use super::settings::Settings;
use crate::port::{self, Commit, CommittedAt, TopicInfo, Watermarks};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// How long the first member of a group waits for more before it is given its partitions.
const FIRST_REBALANCE_MS: i32 = 100;
/// How often the bus lets its own client say what it has to say.
const IDLE: Duration = Duration::from_secs(1);

/// How the ids of such clusters begin; a real one's never does.
const CLUSTER: &str = "mockCluster";

/// Is it the cluster id of an embedded bus, also that of another process?
pub(super) fn is_embedded(cluster_id: &str) -> bool {
    cluster_id.starts_with(CLUSTER)
}

/// A broker in this process. It ends, and with it everything in it, when the last clone is dropped.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    bootstrap: String,
    orders: Mutex<Sender<Order>>,
    topics: Mutex<BTreeMap<String, TopicInfo>>,
}

/// What the bus's own thread does, since a mock cluster stays on one.
enum Order {
    Create {
        topic: String,
        partitions: i32,
        done: Sender<Result<(), Code>>,
    },
    /// Takes all brokers down, or up again.
    Up {
        up: bool,
        done: Sender<Result<(), Code>>,
    },
}

/// The client that carries the cluster.
struct Carrier;

impl ClientContext for Carrier {
    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(error = %error, reason, "embedded bus");
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_library(level, facility, message);
    }
}

impl ProducerContext for Carrier {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::message::DeliveryResult<'_>, (): ()) {}
}

impl Bus {
    /// Starts a cluster of so many brokers on loopback ports that the system chooses.
    ///
    /// # Errors
    /// The client or its thread cannot be made.
    pub fn start(brokers: u32) -> Result<Self, Error> {
        let (orders, inbox) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        thread::Builder::new()
            .name("embedded-bus".into())
            .spawn(move || carry(brokers, &inbox, &ready))
            .map_err(|cause| Error::Thread { what: "embedded-bus", cause })?;
        let bootstrap = started.recv().unwrap_or(Err(Error::Ended("embedded bus")))?;
        Ok(Self {
            inner: Arc::new(Inner {
                bootstrap,
                orders: Mutex::new(orders),
                topics: Mutex::default(),
            }),
        })
    }

    /// Its address: `host:port`, several with commas.
    pub fn bootstrap(&self) -> &str {
        &self.inner.bootstrap
    }

    /// Settings for clients of this bus.
    pub fn settings(&self) -> Settings {
        Settings::at(self.bootstrap())
    }

    /// Makes a topic; one that is there already is left as it is.
    ///
    /// # Errors
    /// The cluster refuses, or has ended.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<TopicInfo, Error> {
        let mut topics = self.topics();
        if let Some(there) = topics.get(name) {
            return Ok(there.clone());
        }
        self.order(
            |done| Order::Create { topic: name.to_owned(), partitions, done },
            || format!("create topic {name} on the embedded bus"),
        )?;
        let info = TopicInfo { id: TopicId(Uuid::new_v4()), partitions };
        topics.insert(name.to_owned(), info.clone());
        Ok(info)
    }

    /// Takes all brokers down, or up again with everything they had: to show what an outage does.
    ///
    /// # Errors
    /// The cluster has ended.
    pub fn set_up(&self, up: bool) -> Result<(), Error> {
        self.order(|done| Order::Up { up, done }, || "take the embedded bus down or up".to_owned())
    }

    /// Questions to this bus.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn admin(&self) -> Result<BusAdmin, Error> {
        Ok(BusAdmin { bus: self.clone(), wire: Admin::new(&self.settings())? })
    }

    fn topics(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, TopicInfo>> {
        // Whole after every insert.
        self.inner.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(
        &self,
        order: impl FnOnce(Sender<Result<(), Code>>) -> Order,
        what: impl Fn() -> String,
    ) -> Result<(), Error> {
        let (done, answer) = mpsc::channel();
        let orders = self.inner.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = || Error::Ended("embedded bus");
        orders.send(order(done)).map_err(|_| ended())?;
        answer.recv().map_err(|_| ended())?.map_err(|code| Error::Call {
            what: what(),
            code,
            reason: code.to_string(),
        })
    }
}

/// The bus's thread: carries the cluster until nobody can give orders any more.
fn carry(brokers: u32, inbox: &Receiver<Order>, ready: &Sender<Result<String, Error>>) {
    let client: Result<BaseProducer<Carrier>, _> = ClientConfig::new()
        .set("test.mock.num.brokers", brokers.max(1).to_string())
        .create_with_context(Carrier);
    let client = match client {
        Ok(client) => client,
        Err(cause) => {
            let failed = Error::Client { what: "embedded bus", cause };
            // The starter waits for this; if it is gone, so is the need.
            let _ = ready.send(Err(failed));
            return;
        }
    };
    raw::mock_initial_rebalance_delay(client.client().native_ptr(), FIRST_REBALANCE_MS);
    let Some(cluster) = client.client().mock_cluster() else {
        let _ = ready.send(Err(Error::Ended("embedded bus")));
        return;
    };
    if ready.send(Ok(cluster.bootstrap_servers())).is_err() {
        return;
    }
    let code = |e: KafkaError| e.rdkafka_error_code().unwrap_or(Code::Fail);
    loop {
        match inbox.recv_timeout(IDLE) {
            Ok(Order::Create { topic, partitions, done }) => {
                let made = cluster.create_topic(&topic, partitions, 1).map_err(code);
                let _ = done.send(made);
            }
            Ok(Order::Up { up, done }) => {
                let ids = 1..=i32::try_from(brokers.max(1)).unwrap_or(i32::MAX);
                let all = ids.map(|id| match up {
                    true => cluster.broker_up(id),
                    false => cluster.broker_down(id),
                });
                let _ = done.send(all.collect::<Result<(), _>>().map_err(code));
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        client.poll(Duration::ZERO);
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("bootstrap", &self.inner.bootstrap).finish_non_exhaustive()
    }
}

/// Questions to an embedded bus: it knows its own topics, the rest goes over the wire as ever.
#[derive(Clone, Debug)]
pub struct BusAdmin {
    bus: Bus,
    wire: Admin,
}

impl port::Admin for BusAdmin {
    fn topic<'a>(&'a self, name: &'a str) -> port::Future<'a, Result<Option<TopicInfo>, Fault>> {
        let found = self.bus.topics().get(name).cloned();
        async move { Ok(found) }.boxed()
    }

    fn watermarks<'a>(
        &'a self,
        partitions: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<Watermarks>, Fault>> {
        self.wire.watermarks(partitions)
    }

    fn committed<'a>(
        &'a self,
        group: &'a str,
        partitions: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<Option<CommittedAt>>, Fault>> {
        self.wire.committed(group, partitions)
    }

    fn offsets_at<'a>(
        &'a self,
        _: i64,
        _: &'a [PartitionId],
    ) -> port::Future<'a, Result<Vec<NextOffset>, Fault>> {
        let reason = "the embedded bus has no look-up by time";
        async move { Err(Fault::fatal("unsupported", reason)) }.boxed()
    }

    fn commit<'a>(
        &'a self,
        group: &'a str,
        commits: Vec<Commit>,
    ) -> port::Future<'a, Result<(), Fault>> {
        self.wire.commit(group, commits)
    }

    /// The bus does not say: as far as anybody knows it had.
    fn had_members<'a>(&'a self, _: &'a str) -> port::Future<'a, Result<bool, Fault>> {
        async move { Ok(true) }.boxed()
    }

    fn create_topic<'a>(
        &'a self,
        name: &'a str,
        partitions: i32,
        _replication: i32,
    ) -> port::Future<'a, Result<(), Fault>> {
        let made = self.bus.create_topic(name, partitions);
        async move { made.map(|_| ()).map_err(|e| e.fault()) }.boxed()
    }
}
