//! Topics: their ids, their partitions, how long they keep records.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use uuid::Uuid;

use super::{Admin, Client, LIMIT};
use crate::kafka::error::{Error, no_nul};
use crate::kafka::raw;
use crate::port::TopicInfo;
use crate::record::TopicId;

impl Admin {
    pub(super) fn topic_info(&self, name: &str, described: raw::Described) -> TopicInfo {
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

impl Client {
    pub(super) fn describe(&self, topic: &str) -> Result<Option<raw::Described>, Error> {
        if self.embedded.get() != Some(&false) {
            let partitions = self.partitions_of(topic)?;
            if self.is_embedded() {
                let id = id_of_name(topic).0.as_u128();
                return Ok(partitions.map(|partitions| raw::Described { id, partitions }));
            }
        }
        raw::describe_topic(self.rk(), topic, LIMIT)
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

    /// Rare: a client of its own, for the time of the question.
    fn own(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        let config = self.settings.admin()?;
        config.create().map_err(|cause| Error::Client { what: "admin client", cause })
    }

    pub(super) fn retention(&self, topic: &str) -> Result<Option<Duration>, Error> {
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
}

/// The age at which a topic with these settings deletes records; `None`: it is compacted only, or keeps all.
fn retention_of(config: &ConfigResource) -> Option<Duration> {
    let value = |name: &str| config.get(name).and_then(|entry| entry.value.as_deref());
    let deletes = value("cleanup.policy").is_some_and(|policy| policy.contains("delete"));
    let millis = value("retention.ms").and_then(|ms| ms.parse().ok());
    millis.filter(|_| deletes).map(Duration::from_millis)
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

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

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
    fn an_id_of_a_name_is_stable_and_differs_by_name() {
        assert_eq!(id_of_name("orders"), id_of_name("orders"));
        assert_ne!(id_of_name("orders"), id_of_name("order"));
        assert_eq!(
            id_of_name("orders").to_string(),
            id_of_name("orders").0.hyphenated().to_string()
        );
    }
}
