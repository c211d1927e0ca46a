//! What the tests stand on: services, processes, oracles. Nothing in here uses the crate under test, but for
//! `bad`: what it makes is checked against the codec.

mod bad;
mod closed;
mod disk;
mod evict;
mod feed;
mod fresh;
mod gate;
mod http;
mod kafka;
mod letters;
mod lock;
mod mails;
mod metrics;
mod ordermill;
mod postgres;
mod process;
mod prometheus;
mod records;
mod registry;
mod service;
mod shell;
mod wait;

pub(crate) use bad::Kind;
pub(crate) use closed::Closed;
pub(crate) use disk::Disk;
pub(crate) use feed::Feed;
pub(crate) use fresh::fresh;
pub(crate) use gate::Gate;
pub(crate) use kafka::{GroupOffset, Kafka};
pub(crate) use letters::{Letter, letters};
pub(crate) use lock::Lock;
pub(crate) use mails::{Mails, Taken, unix_now};
pub(crate) use metrics::Metrics;
pub(crate) use ordermill::Ordermill;
pub(crate) use postgres::Postgres;
pub(crate) use process::Process;
pub(crate) use prometheus::{Dashboard, Prometheus, Series};
pub(crate) use records::{Seen, firsts, records};
pub(crate) use registry::Registry;
pub(crate) use service::{Private, Services};
pub(crate) use shell::{output, output_of_input, repository};
pub(crate) use wait::{holds_within, wait_until};
