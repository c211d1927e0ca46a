//! What the client says besides records, turned into words of the house: outages, missing topics, commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;

use super::consumer::Hooks;
use super::error::word;
use crate::port::{Intake, Trouble};
use crate::record::{NextOffset, PartitionId};

/// How the library begins its report of a topic that it cannot subscribe to.
const NO_TOPIC: &str = "Subscribed topic not available: ";

/// Tells the intake what happened; said once an outage, in both directions.
///
/// An outage begins when the library says that all brokers are down. It ends when a commit is answered or
/// the statistics show a broker that is up: they come on time even when there is nothing to read.
pub(super) struct Reporter {
    intake: Arc<dyn Intake>,
    away: AtomicBool,
    /// The last connection error: why the brokers are away.
    why: Mutex<String>,
}

/// The part of the statistics that tells whether a broker answers.
#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    brokers: std::collections::HashMap<String, BrokerStats>,
}

#[derive(Deserialize)]
struct BrokerStats {
    state: String,
}

impl Reporter {
    /// Reports to `intake`.
    pub(super) fn new(intake: Arc<dyn Intake>) -> Self {
        Self { intake, away: AtomicBool::new(false), why: Mutex::default() }
    }

    fn reached(&self) {
        if self.away.swap(false, Ordering::Relaxed) {
            tracing::info!("a kafka broker answers again");
            self.intake.trouble(Trouble::Reachable);
        }
    }

    fn unreachable(&self, reason: &str) {
        if !self.away.swap(true, Ordering::Relaxed) {
            let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
            let reason = match why.as_str() {
                "" => reason.to_owned(),
                why => format!("{reason}: {why}"),
            };
            tracing::warn!(reason, "no kafka broker answers; the client goes on trying");
            self.intake.trouble(Trouble::Unreachable(reason));
        }
    }

    fn no_topic(&self, code: Code, reason: &str) {
        // "…: TOPIC: Broker: Unknown topic or partition"
        let topic = reason
            .strip_prefix(NO_TOPIC)
            .and_then(|rest| rest.split(':').next())
            .unwrap_or_default();
        tracing::warn!(topic, reason, "a subscribed topic is not available");
        self.intake.trouble(Trouble::Partition {
            partition: PartitionId::new(topic, -1),
            code: word(code),
            reason: reason.to_owned(),
        });
    }
}

impl Hooks for Reporter {
    fn stats(&self, json: &[u8]) {
        if !self.away.load(Ordering::Relaxed) {
            return;
        }
        match serde_json::from_slice::<Stats>(json) {
            Ok(stats) if stats.brokers.values().any(|b| b.state == "UP") => self.reached(),
            Ok(_) => {}
            Err(e) => tracing::warn!(error = %e, "cannot read the client's statistics"),
        }
    }

    fn error(&self, error: &KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => self.unreachable(reason),
            Some(code) if reason.starts_with(NO_TOPIC) => self.no_topic(code, reason),
            _ => {
                tracing::debug!(error = %error, reason, "kafka client");
                let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
                reason.clone_into(&mut why);
            }
        }
    }

    fn committed(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        let mut done = Vec::with_capacity(offsets.count());
        let mut failed = result.err().map(|e| e.to_string());
        for e in offsets.elements() {
            match (e.error(), e.offset()) {
                (Ok(()), Offset::Offset(next)) => {
                    done.push((PartitionId::new(e.topic(), e.partition()), NextOffset(next)));
                }
                (Ok(()), _) => {}
                (Err(error), _) => {
                    failed = Some(format!("{}[{}]: {error}", e.topic(), e.partition()));
                }
            }
        }
        match failed {
            Some(why) => self.intake.committed(Err(why)),
            None => {
                self.reached();
                self.intake.committed(Ok(&done));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Batch, Room};

    #[derive(Default)]
    struct Heard(Mutex<Vec<Trouble>>);

    impl Intake for Heard {
        fn assigned(&self, _: Vec<PartitionId>) {}
        fn revoked(&self, _: Vec<PartitionId>, _: bool) {}
        fn started(&self, _: &PartitionId, _: NextOffset) {}
        fn batch(&self, _: &PartitionId, _: Box<dyn Batch>) -> Room {
            Room::Free
        }
        fn room(&self, _: &PartitionId) -> Room {
            Room::Free
        }
        fn committed(&self, _: Result<&[(PartitionId, NextOffset)], String>) {}
        fn trouble(&self, trouble: Trouble) {
            self.0.lock().unwrap().push(trouble);
        }
    }

    fn down(reporter: &Reporter) {
        reporter.error(&KafkaError::Global(Code::AllBrokersDown), "1/1 brokers are down");
    }

    #[test]
    fn an_outage_is_said_once_with_its_reason_and_so_is_its_end() {
        let heard = Arc::new(Heard::default());
        let reporter = Reporter::new(Arc::<Heard>::clone(&heard));
        let up = br#"{"brokers":{"a":{"state":"TRY_CONNECT"},"b":{"state":"UP"}}}"#;
        let away = br#"{"brokers":{"a":{"state":"DOWN"}}}"#;

        reporter.stats(up);
        reporter.error(&KafkaError::Global(Code::BrokerTransportFailure), "connection refused");
        down(&reporter);
        down(&reporter);
        reporter.stats(away);
        reporter.stats(b"not json");
        reporter.stats(up);
        reporter.stats(up);
        down(&reporter);

        let lost = || Trouble::Unreachable("1/1 brokers are down: connection refused".to_owned());
        assert_eq!(*heard.0.lock().unwrap(), [lost(), Trouble::Reachable, lost()]);
    }

    #[test]
    fn a_missing_topic_is_named() {
        let heard = Arc::new(Heard::default());
        let reporter = Reporter::new(Arc::<Heard>::clone(&heard));
        let reason =
            "Subscribed topic not available: orders.created: Broker: Unknown topic or partition";
        reporter.error(&KafkaError::Global(Code::UnknownTopicOrPartition), reason);
        assert_eq!(
            *heard.0.lock().unwrap(),
            [Trouble::Partition {
                partition: PartitionId::new("orders.created", -1),
                code: "unknown_topic".to_owned(),
                reason: reason.to_owned(),
            }]
        );
    }
}
