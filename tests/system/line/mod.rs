//! The laws of the line from a Kafka topic to exact rows, with TPC-H orders.
//!
//! Judged from outside: by SQL, by Kafka's own tools, by the generator itself. The long forms are in `faults`.

mod feed;
mod ground;
mod member;

mod archive;
mod clean;
mod freeze;
mod inventory;
mod joins;
mod kafka_outage;
mod kills;
mod postgres_outage;
mod registry_outage;
mod remade;
mod topic;
mod zombie;

mod faults;
