//! What may be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

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
    /// Run the whole line on an embedded bus, check the result by SQL
    Demo(Demo),
    /// Run the cases that pipeline files carry; needs no broker
    Test(Test),
    /// Check pipeline files and settings
    Lint(Lint),
    /// Produce events to a topic under the registry's schema
    Produce(Produce),
    /// Contracts and the registry
    Schema(Schema),
    /// Consumer groups
    Group(Group),
}

/// `run`
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Serves metrics and health [default: 127.0.0.1:9400]
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) http: Option<String>,
}

/// `demo`
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// How many orders, up to 1,500,000
    #[arg(long, value_name = "N", default_value_t = 15_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_500_000))]
    pub(super) orders: u64,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    pub(super) output: Output,
    /// Keep the database and say where it lies
    #[arg(long)]
    pub(super) keep: bool,
}

/// `test`
#[derive(Debug, clap::Args)]
pub(super) struct Test {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    pub(super) output: Output,
}

/// `lint`
#[derive(Debug, clap::Args)]
pub(super) struct Lint {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Look at files only; `run` itself looks at the live system
    #[arg(long, required = true)]
    pub(super) offline: bool,
}

/// `produce`
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("events").required(true).args(["file", "tpch"]))]
#[command(override_usage = "ordermill produce [OPTIONS] <TOPIC> <FILE|--tpch <SCALE>>")]
pub(super) struct Produce {
    /// The topic
    pub(super) topic: String,
    /// Events as JSON lines; - for standard input
    pub(super) file: Option<PathBuf>,
    /// TPC-H orders by order key; scale 1 has 1,500,000
    #[arg(long, value_name = "SCALE")]
    pub(super) tpch: Option<f64>,
    /// The subject of the schema [default: TOPIC-value]
    #[arg(long)]
    pub(super) subject: Option<String>,
    /// The field that becomes the record's key
    #[arg(long, value_name = "FIELD")]
    pub(super) key: Option<String>,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    pub(super) output: Output,
}

/// `schema`
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    pub(super) command: SchemaCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Register a subject's contract; prints its id
    Register {
        /// The subject, such as orders.created-value
        subject: String,
        /// The schema [default: the newest contract in avro/SUBJECT]
        file: Option<PathBuf>,
    },
}

/// `group`
#[derive(Debug, clap::Args)]
pub(super) struct Group {
    #[command(subcommand)]
    pub(super) command: GroupCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// A group's members, and where it stands in each partition
    Describe {
        /// The group, such as ordermill.inventory
        group: String,
        /// Topics to look at [default: those its members hold]
        #[arg(long, value_name = "TOPIC")]
        topic: Vec<String>,
        /// How the result is printed
        #[arg(long, short, default_value = "table", value_name = "table|json")]
        #[arg(hide_possible_values = true)]
        output: Output,
    },
}
