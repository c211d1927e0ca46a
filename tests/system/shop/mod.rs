//! The reference system: the pipelines that ship, one topic of orders, real Kafka, registry, PostgreSQL and mail server.
//!
//! Judged from outside: by SQL, by the mail server's journal, by public Avro and Kafka clients, by the orders themselves.

mod ground;
mod member;
mod orders;

mod kills;
mod outages;

mod faults;
mod whole;
