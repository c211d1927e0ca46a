//! Topics as the cluster has them: their partitions, copies and settings; and new ones.

use std::collections::BTreeMap;

use futures::executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigSource, NewTopic as Wanted, ResourceSpecifier,
    TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::admin::{Admin, Client, LIMIT};
use super::error::{Error, no_nul};
use crate::record::Fault;

/// What the cluster has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How many brokers.
    pub brokers: usize,
    /// The topics that we may see, by name.
    pub topics: BTreeMap<String, TopicState>,
}

/// A topic's partitions, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// The partitions.
    pub partitions: Vec<PartitionState>,
}

/// A partition's copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// Its number.
    pub partition: i32,
    /// The broker that leads it; `None`: nobody does.
    pub leader: Option<i32>,
    /// The brokers that shall have a copy.
    pub replicas: Vec<i32>,
    /// Those whose copy is up to date.
    pub in_sync: Vec<i32>,
}

/// A setting of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicSetting {
    /// The value; `None`: the broker does not show it.
    pub value: Option<String>,
    /// Was it set for this topic, not for the brokers?
    pub own: bool,
}

/// A topic to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many copies of each.
    pub replication: i32,
    /// Its own settings, by Kafka's names.
    pub settings: Vec<(String, String)>,
}

impl TopicState {
    /// How many partitions.
    pub fn count(&self) -> i32 {
        i32::try_from(self.partitions.len()).unwrap_or(i32::MAX)
    }

    /// How many copies the partition has that has fewest.
    pub fn replication(&self) -> usize {
        self.partitions.iter().map(|partition| partition.replicas.len()).min().unwrap_or(0)
    }

    /// How many partitions lack a copy that is up to date.
    pub fn under_replicated(&self) -> usize {
        let lacks =
            |partition: &&PartitionState| partition.in_sync.len() < partition.replicas.len();
        self.partitions.iter().filter(lacks).count()
    }
}

impl Admin {
    /// The brokers and all topics that we may see.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask.
    pub async fn cluster(&self) -> Result<Cluster, Fault> {
        self.ask(Client::cluster).await.map_err(|e| e.fault())
    }

    /// The settings of these topics, by topic and name. `None`: this cluster does not tell, as the embedded
    /// bus.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when we may not ask or there is no such topic.
    pub async fn topic_settings(
        &self,
        topics: Vec<String>,
    ) -> Result<Option<BTreeMap<String, BTreeMap<String, TopicSetting>>>, Fault> {
        match self.ask(move |client| client.topic_settings(&topics)).await {
            Ok(settings) => Ok(Some(settings)),
            Err(Error::Call { code: Code::UnsupportedFeature, .. }) => Ok(None),
            Err(error) => Err(error.fault()),
        }
    }

    /// Makes a topic with settings of its own; one that is there already is left as it is.
    ///
    /// # Errors
    /// `Unavailable`, or `Fatal` when the cluster refuses.
    pub async fn make_topic(&self, new: NewTopic) -> Result<(), Fault> {
        self.ask(move |client| client.create(&new)).await.map_err(|e| e.fault())
    }
}

impl Client {
    fn cluster(&self) -> Result<Cluster, Error> {
        let found = self
            .consumer
            .fetch_metadata(None, LIMIT)
            .map_err(|e| Error::call("list topics", &e))?;
        let topics = found.topics().iter().map(|topic| {
            let mut partitions: Vec<_> = topic
                .partitions()
                .iter()
                .map(|partition| PartitionState {
                    partition: partition.id(),
                    leader: Some(partition.leader()).filter(|broker| *broker >= 0),
                    replicas: partition.replicas().to_vec(),
                    in_sync: partition.isr().to_vec(),
                })
                .collect();
            partitions.sort_by_key(|partition| partition.partition);
            (topic.name().to_owned(), TopicState { partitions })
        });
        Ok(Cluster { brokers: found.brokers().len(), topics: topics.collect() })
    }

    fn topic_settings(
        &self,
        topics: &[String],
    ) -> Result<BTreeMap<String, BTreeMap<String, TopicSetting>>, Error> {
        let what = || "read the settings of topics".to_owned();
        topics.iter().try_for_each(|topic| no_nul(topic))?;
        if topics.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked: Vec<_> = topics.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let answers = block_on(self.admin_client()?.describe_configs(&asked, &options()))
            .map_err(|e| Error::call(what(), &e))?;
        let mut found = BTreeMap::new();
        for (topic, answer) in topics.iter().zip(answers) {
            let answer = answer.map_err(|code| Error::Call {
                what: format!("read the settings of topic {topic}"),
                code,
                reason: code.to_string(),
            })?;
            let settings = answer.entries.into_iter().map(|entry| {
                let own = matches!(entry.source, ConfigSource::DynamicTopic);
                (entry.name, TopicSetting { value: entry.value, own })
            });
            found.insert(topic.clone(), settings.collect());
        }
        Ok(found)
    }

    /// See [`Admin::make_topic`].
    pub(super) fn create(&self, new: &NewTopic) -> Result<(), Error> {
        let what = || format!("create topic {} with {} partitions", new.name, new.partitions);
        no_nul(&new.name)?;
        let replication = TopicReplication::Fixed(new.replication);
        let settings = new.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let wanted = settings
            .fold(Wanted::new(&new.name, new.partitions, replication), |new, (name, value)| {
                new.set(name, value)
            });
        let results = block_on(self.admin_client()?.create_topics([&wanted], &options()))
            .map_err(|e| Error::call(what(), &e))?;
        match results.into_iter().next() {
            Some(Ok(_)) | Some(Err((_, Code::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => {
                Err(Error::Call { what: what(), code, reason: code.to_string() })
            }
            None => Err(Error::Call {
                what: what(),
                code: Code::BadMessage,
                reason: "the answer has no result".to_owned(),
            }),
        }
    }

    /// Rare: a client of its own, for the time of the question.
    fn admin_client(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        let made = self.settings.admin()?.create();
        made.map_err(|cause| Error::Client { what: "admin client", cause })
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(LIMIT)).operation_timeout(Some(LIMIT))
}
