//! What can fail at the broker's edge, and what must happen next.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::record::{Class, Fault};

/// A failure at the broker's edge.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting cannot be taken as it is.
    #[error("kafka setting `{key}`: {reason}")]
    Setting {
        /// The setting's name in the client library.
        key: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The client could not be made.
    #[error("make the kafka {what}: {cause}")]
    Client {
        /// Consumer, producer or admin client.
        what: &'static str,
        /// The library's reason.
        cause: KafkaError,
    },
    /// A call to the client or the cluster failed.
    #[error("{what}: {reason} ({code:?})")]
    Call {
        /// What was asked.
        what: String,
        /// The library's or the broker's code.
        code: Code,
        /// For a person.
        reason: String,
    },
    /// The client is fenced or broken for good.
    #[error("the kafka client is broken for good: {reason} ({code:?}); start the process again")]
    Fatal {
        /// The library's code.
        code: Code,
        /// For a person.
        reason: String,
    },
    /// A record came past the member's own queue: a partition was assigned behind its back.
    #[error("record {partition}@{offset} came past the member's own queue")]
    Stray {
        /// The partition's number.
        partition: i32,
        /// The record's offset.
        offset: i64,
    },
    /// A name cannot be given to the library: it has a NUL byte.
    #[error("`{0}` has a NUL byte")]
    Nul(String),
    /// So many records were still held at the deadline: the client stays allocated.
    #[error("{0} records were still held when the consumer closed: its memory is not given back")]
    StillHeld(usize),
    /// The library did not finish in time; it goes on trying in the background.
    #[error("the kafka client did not finish before the deadline")]
    Stuck,
    /// A thread could not be started.
    #[error("start the {what} thread: {cause}")]
    Thread {
        /// Which.
        what: &'static str,
        /// The system's reason.
        cause: std::io::Error,
    },
    /// The thread or client behind a handle has ended.
    #[error("the kafka {0} has ended")]
    Ended(&'static str),
    /// More questions are waiting than the admin client takes.
    #[error("more than {0} questions wait for the kafka admin client")]
    Busy(usize),
    /// This broker cannot do it.
    #[error("{0}")]
    Unsupported(&'static str),
}

impl Error {
    /// A failed call from the library's own error.
    pub(super) fn call(what: impl Into<String>, cause: &KafkaError) -> Self {
        let reason = cause.to_string();
        match cause {
            KafkaError::MessageConsumptionFatal(code) => Self::Fatal { code: *code, reason },
            other => Self::Call {
                what: what.into(),
                code: other.rdkafka_error_code().unwrap_or(Code::Fail),
                reason,
            },
        }
    }

    /// What must happen next.
    pub fn classify(&self) -> Class {
        match self {
            // Written by a person, and wrong until a person changes it.
            Self::Setting { .. } | Self::Nul(_) | Self::Unsupported(_) => Class::Fatal,
            // The library refuses a configuration, or the process has no more threads or memory.
            Self::Client { .. } | Self::Thread { .. } => Class::Fatal,
            Self::Call { code, .. } => class_of(*code),
            // A fenced client never comes back.
            Self::Fatal { .. } => Class::Fatal,
            // Our own assignment is broken: going on could skip or repeat records.
            Self::Stray { .. } => Class::Fatal,
            // The client is gone or going; whoever still asks is stopping too.
            Self::StillHeld(_) | Self::Stuck | Self::Ended(_) => Class::Unavailable,
            // Asked too often while the cluster does not answer.
            Self::Busy(_) => Class::Unavailable,
        }
    }

    /// The failure as the rest of the house knows it.
    pub fn fault(&self) -> Fault {
        let code = match self {
            Self::Call { code, .. } | Self::Fatal { code, .. } => word(*code),
            Self::Setting { .. } | Self::Nul(_) => "kafka_setting".to_owned(),
            Self::Client { .. } | Self::Thread { .. } => "kafka_client".to_owned(),
            Self::Stray { .. } => "stray_record".to_owned(),
            Self::StillHeld(_) | Self::Stuck | Self::Ended(_) => "kafka_closed".to_owned(),
            Self::Busy(_) => "kafka_busy".to_owned(),
            Self::Unsupported(_) => "unsupported".to_owned(),
        };
        Fault::new(self.classify(), code, self.to_string())
    }
}

/// Refuses a name that the library cannot take.
pub(super) fn no_nul(name: &str) -> Result<(), Error> {
    if name.contains('\0') { Err(Error::Nul(name.to_owned())) } else { Ok(()) }
}

/// What a broker's or the library's code means for the work that met it.
pub(super) fn class_of(code: Code) -> Class {
    match code {
        // The record itself is refused, now and for ever.
        Code::MessageSizeTooLarge
        | Code::InvalidMessageSize
        | Code::InvalidMessage
        | Code::InvalidRecord
        | Code::InvalidTimestamp => Class::Poison,
        // A grant, a name or a setting is wrong: nothing but a person changes that.
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed
        | Code::TransactionalIdAuthorizationFailed
        | Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::InvalidTopic
        | Code::InvalidPartitions
        | Code::InvalidReplicationFactor
        | Code::InvalidConfig
        | Code::InvalidRequest
        | Code::InvalidArgument
        | Code::PolicyViolation
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedForMessageFormat => Class::Fatal,
        // Another client has taken this one's identity.
        Code::Fatal | Code::Fenced | Code::FencedInstanceId | Code::InvalidProducerEpoch => {
            Class::Fatal
        }
        // Everything else comes from a cluster that is away, busy or moving: it passes.
        _ => Class::Unavailable,
    }
}

/// A code as a short stable word: `offset_out_of_range`, `unknown_topic`, `message_timed_out`.
pub(super) fn word(code: Code) -> String {
    match code {
        // Two names of one fact: the library says the former when no reset is allowed.
        Code::AutoOffsetReset | Code::OffsetOutOfRange => "offset_out_of_range".to_owned(),
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "unknown_topic".to_owned()
        }
        other => snake(&format!("{other:?}")),
    }
}

/// `MessageTimedOut` as `message_timed_out`.
fn snake(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 8);
    for (i, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && i > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codes_word_is_snake_case_and_one_fact_has_one_word() {
        for (code, want) in [
            (Code::MessageTimedOut, "message_timed_out"),
            (Code::AutoOffsetReset, "offset_out_of_range"),
            (Code::OffsetOutOfRange, "offset_out_of_range"),
            (Code::UnknownPartition, "unknown_topic"),
            (Code::TopicAuthorizationFailed, "topic_authorization_failed"),
        ] {
            assert_eq!(word(code), want);
        }
    }

    #[test]
    fn an_outage_is_never_the_records_fault() {
        for code in [
            Code::AllBrokersDown,
            Code::BrokerTransportFailure,
            Code::MessageTimedOut,
            Code::NotLeaderForPartition,
            Code::NotEnoughReplicas,
            Code::RequestTimedOut,
            Code::Resolve,
            Code::QueueFull,
        ] {
            assert_eq!(class_of(code), Class::Unavailable, "{code:?}");
        }
        assert_eq!(class_of(Code::MessageSizeTooLarge), Class::Poison);
        assert_eq!(class_of(Code::TopicAuthorizationFailed), Class::Fatal);
    }
}
