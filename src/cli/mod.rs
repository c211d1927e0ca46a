//! The command line: one file a command family. Parse, call, print.
//!
//! Data goes to stdout, logs to stderr. Exit codes: 0 done, 1 failed, 2 usage, 78 configuration.

mod args;
mod config;
mod demo;
mod dev;
mod embedded;
mod group;
mod health;
mod lint;
mod output;
mod page;
mod produce;
mod run;
mod schema;
mod stop;
mod tail;
mod test;
mod topic;
pub mod tpch;
mod world;

pub use args::Args;
pub use page::page;

use std::process::ExitCode;

use args::Command;

use crate::config::Problems;

/// Why a command failed, by its exit code.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It did not work. Exit code 1.
    #[error("{0:#}")]
    Failed(anyhow::Error),
    /// It worked, and the answer is no: the details were printed. Exit code 1.
    #[error("{0}")]
    Refused(String),
    /// Files or settings are wrong. Exit code 78.
    #[error("{0}")]
    Configuration(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        match self {
            Failure::Failed(_) | Failure::Refused(_) => ExitCode::FAILURE,
            Failure::Configuration(_) => ExitCode::from(78),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Failure::Failed(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Failure::Configuration(problems.to_string())
    }
}

impl From<crate::record::Fault> for Failure {
    fn from(fault: crate::record::Fault) -> Self {
        match fault.class {
            // What we may not, somebody else must change.
            crate::record::Class::Fatal if fault.code.ends_with("authorization_failed") => {
                Failure::Refused(fault.reason)
            }
            crate::record::Class::Fatal => Failure::Configuration(fault.reason),
            _ => Failure::Failed(anyhow::Error::new(fault)),
        }
    }
}

/// Runs the command that was asked for.
///
/// # Errors
/// See [`Failure`].
pub fn call(args: Args) -> Result<(), Failure> {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::Failed(anyhow::Error::new(e).context("failed to start threads")))
    };
    let common = &args.common;
    match args.command {
        Command::Run(command) => runtime()?.block_on(run::run(common, &command)),
        Command::Demo(command) => runtime()?.block_on(demo::demo(common, &command)),
        Command::Dev(command) => runtime()?.block_on(dev::dev(common, &command)),
        Command::Test(command) => test::test(common, &command),
        Command::Lint(command) => runtime()?.block_on(lint::lint(common, &command)),
        Command::Produce(command) => runtime()?.block_on(produce::produce(common, &command)),
        Command::Schema(command) => runtime()?.block_on(schema::schema(common, &command)),
        Command::Tail(command) => runtime()?.block_on(tail::tail(common, &command)),
        Command::Topic(command) => runtime()?.block_on(topic::topic(common, &command)),
        Command::Config(command) => config::config(common, &command),
        Command::Group(command) => runtime()?.block_on(group::group(common, &command)),
        Command::Health(command) => runtime()?.block_on(health::health(common, &command)),
    }
}
