//! `schema`: contracts and the registry.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::json;

use super::args::{Common, Output};
use super::{Failure, output, world};
use crate::config::Config;
use crate::port::{SchemaText, Schemas as _};
use crate::record::Fault;
use crate::registry::compat::Level;
use crate::registry::contracts::{Contract, Contracts, Wrong};
use crate::registry::{Client, Entry, Error};

/// Questions to the registry at once.
const ASKED_MAX: usize = 8;

/// `schema`
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    #[command(subcommand)]
    command: SchemaCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum SchemaCommand {
    /// The registry's subjects, with the ids of their versions
    #[command(after_help = "\
Example: one subject
  ordermill schema list orders.created-value")]
    List {
        /// Only this subject
        subject: Option<String>,
        /// How the result is printed
        #[arg(long, short, default_value = "table", value_name = "table|json")]
        #[arg(hide_possible_values = true)]
        output: Output,
    },
    /// Check that contracts get on with their earlier versions
    #[command(after_help = "\
Each version must read what all earlier ones of its subject wrote, and they
what it writes (FULL_TRANSITIVE). Then the registry is asked whether it would
take the newest one under the rule that it has for the subject.

Exit code 0: they do. 1: one does not; each reason is printed.

Example: in CI, where no registry is
  ordermill schema check --offline")]
    Check {
        /// Only this subject [default: all in the contracts' folder]
        subject: Option<String>,
        /// Look at files only; do not ask the registry
        #[arg(long)]
        offline: bool,
    },
    /// Register a subject's contract; prints its id
    #[command(after_help = "\
Example: the newest version below avro/
  ordermill schema register orders.created-value")]
    Register {
        /// The subject, such as orders.created-value
        subject: String,
        /// The schema [default: the newest contract in avro/SUBJECT]
        file: Option<PathBuf>,
    },
}

/// Does what was asked of schemas.
///
/// # Errors
/// A file that cannot be read or is no schema, a registry that refuses or is away.
pub(super) async fn schema(common: &Common, command: &Schema) -> Result<(), Failure> {
    match &command.command {
        SchemaCommand::List { subject, output } => {
            let registry = world::registry(&world::config(common, None)?)?;
            list(&registry, subject.as_deref(), *output).await
        }
        SchemaCommand::Check { subject, offline: true } => {
            check(&world::offline(common)?, subject.as_deref(), None).await
        }
        SchemaCommand::Check { subject, offline: false } => {
            let config = world::config(common, None)?;
            let registry = world::registry(&config)?;
            check(&config, subject.as_deref(), Some(&registry)).await
        }
        SchemaCommand::Register { subject, file } => {
            let config = world::config(common, None)?;
            let registry = world::registry(&config)?;
            let schema = match file {
                Some(file) => {
                    let text = std::fs::read_to_string(file)
                        .with_context(|| format!("failed to read {}", file.display()))?;
                    Arc::new(SchemaText { text, references: Vec::new() })
                }
                None => {
                    let contracts = world::contracts(&config)?;
                    let newest = contract(&contracts, &config, subject, "; name a file")?;
                    Arc::clone(&newest.schema)
                }
            };
            let id = registry.register(subject, &schema).await?;
            output::line(id);
            Ok(())
        }
    }
}

/// The newest contract of a subject.
fn contract<'c>(
    contracts: &'c Contracts,
    config: &Config,
    subject: &str,
    remedy: &str,
) -> Result<&'c Contract, Failure> {
    let found = contracts.latest(subject).with_context(|| {
        format!("{} has no contract of {subject}{remedy}", config.avro.display())
    })?;
    Ok(found)
}

async fn list(client: &Client, subject: Option<&str>, output: Output) -> Result<(), Failure> {
    let subjects = match subject {
        Some(subject) => vec![subject.to_owned()],
        None => client.subjects().await.map_err(Fault::from)?,
    };
    let versions = stream::iter(&subjects).map(|subject| client.entries(subject));
    let versions: Vec<Vec<Entry>> =
        versions.buffered(ASKED_MAX).try_collect().await.map_err(Fault::from)?;
    if let (Some(subject), [found]) = (subject, &*versions)
        && found.is_empty()
    {
        return Err(Failure::Refused(format!("the registry has no subject {subject}")));
    }
    // one that was deleted since has no versions any more
    let listed = subjects.iter().zip(&versions).filter(|(_, versions)| !versions.is_empty());
    match output {
        Output::Table => {
            let rows = listed.flat_map(|(subject, versions)| {
                versions.iter().map(move |of| {
                    vec![
                        subject.clone(),
                        of.version.to_string(),
                        of.id.to_string(),
                        of.kind.clone(),
                    ]
                })
            });
            output::table(&["SUBJECT", "VERSION", "ID", "TYPE"], rows);
        }
        Output::Json => {
            let version = |of: &Entry| json!({"version": of.version, "id": of.id, "type": of.kind});
            let subjects = listed.map(|(subject, versions)| {
                json!({
                    "subject": subject,
                    "versions": versions.iter().map(version).collect::<Vec<_>>(),
                })
            });
            output::line(json!(subjects.collect::<Vec<_>>()));
        }
    }
    Ok(())
}

async fn check(
    config: &Config,
    subject: Option<&str>,
    client: Option<&Client>,
) -> Result<(), Failure> {
    let contracts = world::contracts(config)?;
    let subjects = match subject {
        Some(subject) => vec![contract(&contracts, config, subject, "")?],
        None => contracts.newest().collect(),
    };
    if subjects.is_empty() {
        return Err(Failure::Refused(format!("{} has no contracts", config.avro.display())));
    }
    let judge = |of: &&Contract| contracts.judge_subject(Level::FullTransitive, &of.subject);
    let mut wrong: Vec<Wrong> = subjects.iter().flat_map(judge).collect();
    if let Some(client) = client {
        let asked = stream::iter(&subjects).map(|contract| refused(client, contract));
        let refused: Vec<Vec<Wrong>> =
            asked.buffered(ASKED_MAX).try_collect().await.map_err(Fault::from)?;
        wrong.extend(refused.into_iter().flatten());
    }
    wrong.iter().for_each(output::line);
    if !wrong.is_empty() {
        let flaws = if wrong.len() == 1 { "1 flaw" } else { &format!("{} flaws", wrong.len()) };
        return Err(Failure::Refused(format!("{flaws} in the contracts")));
    }
    let versions: u32 = subjects.iter().map(|newest| newest.version).sum();
    let registry = if client.is_some() { "; the registry takes the newest" } else { "" };
    output::line(format!("{versions} versions of {} subjects get on{registry}", subjects.len()));
    Ok(())
}

/// Why the registry would not take a contract as its subject's next version.
async fn refused(client: &Client, contract: &Contract) -> Result<Vec<Wrong>, Error> {
    let wrong = |why: String| Wrong { file: contract.file.clone(), why };
    let verdict = match client.compatibility(&contract.subject, &contract.schema).await {
        Err(Error::Refused { message, .. }) => {
            return Ok(vec![wrong(format!("the registry refuses it: {message}"))]);
        }
        verdict => verdict?,
    };
    let says = |why: &str| wrong(format!("the registry would refuse it: {why}"));
    Ok(match &*verdict.messages {
        _ if verdict.compatible => Vec::new(),
        [] => vec![says("it may not follow the versions that are registered")],
        messages => messages.iter().map(|why| says(why)).collect(),
    })
}
