//! The only room that says rdkafka: everything between Ordermill and a Kafka cluster.
//!
//! ```text
//! settings ─▶ member (poll thread) ─▶ port::Intake      records in, whole batches of one partition
//!             producer             ◀─ port::Producer    records out, each one answered
//!             admin                ◀─ port::Admin       questions about topics, ends and groups
//!             tail                                  records without a group: for people
//! ```
//!
//! What never enters: a policy. Where a partition starts, what is committed and when, and what a failure
//! means to a pipeline is decided by those who stand behind `port`.

mod error;
mod settings;

mod raw;

mod assignment;
mod batch;
mod commit;
mod consumer;
mod flow;
mod member;
mod outage;
mod poll;

mod admin;
mod producer;
mod tail;
mod topics;

mod embedded;

pub use admin::{Admin, GroupMember, GroupState};
pub use embedded::{Bus, BusAdmin};
pub use error::Error;
pub use member::{Member, MemberHandle};
pub use producer::{BulkCounts, BulkSender, Producer};
pub use settings::{Sasl, Settings, Tls};
pub use tail::{Tail, Tailed};
pub use topics::{Cluster, NewTopic, PartitionState, TopicSetting, TopicState};

/// A place of the client library that says an error whenever a client closes in order: not to be logged.
pub const NOISE: &str = "rdkafka::consumer::base_consumer";

/// The version of the client library, such as `2.12.1`.
pub fn version() -> &'static str {
    static VERSION: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| rdkafka::util::get_rdkafka_version().1);
    &VERSION
}
