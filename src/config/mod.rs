//! What the operator sets: `ordermill.yaml`, environment and flags, resolved once; and how files that people
//! write are read and checked.
//!
//! Nothing here connects to anything. A secret leaves this room only through [`Secret::reveal`].

pub mod problem;
pub mod units;
pub mod yaml;

pub mod grammar;

mod build;
mod keys;
mod load;
mod secret;
mod settings;
mod show;

pub use keys::{Setting, json_schema, page, settings};
pub use load::{FILE, Overrides, load};
pub use problem::{Place, Problem, Problems};
pub use secret::{Origin, Secret};
pub use settings::{
    Auth, Config, Database, Http, Kafka, LogForm, Mail, MailWay, Postgres, Protocol, Registry,
    Sasl, Security, Smtp, SmtpTls, Sqlite, Telemetry, Tls,
};
