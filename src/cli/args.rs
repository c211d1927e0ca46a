//! What may be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use super::config::Config;
use super::demo::Demo;
use super::dev::Dev;
use super::group::Group;
use super::health::Health;
use super::lint::Lint;
use super::produce::Produce;
use super::run::Run;
use super::schema::Schema;
use super::tail::Tail;
use super::test::Test;
use super::topic::Topic;

/// An event bus for orders on Apache Kafka: exactly-once effects, kept order.
#[derive(Debug, Parser)]
#[command(
    name = "ordermill",
    version,
    after_help = "\
Exit codes: 0 done, 1 failed, 2 usage, 78 configuration.
Flags go before environment variables, those before the settings file:
  ORDERMILL_CONFIG, ORDERMILL_KAFKA_BOOTSTRAP, ORDERMILL_REGISTRY_URL,
  ORDERMILL_TELEMETRY_LOG, ORDERMILL_TELEMETRY_LEVEL, ORDERMILL_HTTP_LISTEN"
)]
pub struct Args {
    /// Settings that every command takes.
    #[command(flatten)]
    pub common: Common,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Settings that every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Common {
    /// The operator's settings [default: ordermill.yaml]
    #[arg(long, short, global = true, env = "ORDERMILL_CONFIG", hide_env = true)]
    #[arg(value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Kafka's bootstrap servers
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub kafka: Option<String>,
    /// The schema registry
    #[arg(long, global = true, value_name = "URL")]
    pub registry: Option<String>,
    /// The form of log lines
    #[arg(long, global = true, value_name = "text|json", hide_possible_values = true)]
    pub log: Option<LogForm>,
    /// What is logged, such as info or ordermill=debug
    #[arg(long, global = true, value_name = "FILTER")]
    pub log_level: Option<String>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For a person.
    Text,
    /// For a collector.
    Json,
}

/// The form of what is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Output {
    /// For a person.
    #[default]
    Table,
    /// For a program.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run pipelines until a signal: one drains, a second leaves at once
    Run(Run),
    /// Watch the order system at work, with nothing else installed
    Demo(Demo),
    /// Run your own pipeline files, with nothing else installed
    Dev(Dev),
    /// Run the cases that pipeline files carry; needs no broker
    Test(Test),
    /// Check pipeline files and settings, and the world that they name
    Lint(Lint),
    /// Produce events to a topic under the registry's schema
    Produce(Produce),
    /// Show what lies in a topic: Avro as JSON, without a group
    Tail(Tail),
    /// Topics: list, describe, make those that files name
    Topic(Topic),
    /// Contracts and the registry
    Schema(Schema),
    /// Consumer groups
    Group(Group),
    /// Ask the process that runs here whether it lives, or is ready
    Health(Health),
    /// The settings that hold; the JSON Schema of files
    Config(Config),
}
