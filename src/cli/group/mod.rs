//! `group`: where consumer groups stand, and moving them.

mod describe;
mod lag;
mod reset;

use std::path::PathBuf;

use serde_json::json;

use super::args::{Common, Output};
use super::{Failure, output, world};
use crate::kafka;
use crate::record::Fault;

/// `group`
#[derive(Debug, clap::Args)]
pub(super) struct Group {
    #[command(subcommand)]
    command: GroupCommand,
}

#[derive(Debug, clap::Subcommand)]
enum GroupCommand {
    /// All groups of the cluster, with state and members
    #[command(after_help = "\
Example: the groups that have no member now
  ordermill group list -o json | jq '.groups[] | select(.members == 0)'")]
    List(Shown),
    /// A group's members, and where it stands in each partition
    #[command(after_help = "\
Example: a group that is stopped, in one of its topics
  ordermill group describe ordermill.inventory --topic orders.created")]
    Describe {
        /// The group, such as ordermill.inventory
        group: String,
        /// Topics to look at [default: held or committed]
        #[arg(long, value_name = "TOPIC")]
        topic: Vec<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// How far groups are behind: records, and seconds where a record tells
    #[command(after_help = "\
Example: the pipelines of a folder; one group alone
  ordermill group lag pipelines
  ordermill group lag --group ordermill.inventory -o json")]
    Lag {
        /// Pipeline files, or folders of them
        #[arg(default_value = "pipelines", value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Only this pipeline, or any group
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        #[command(flatten)]
        shown: Shown,
    },
    /// Move a stopped group: shows the plan, does it with --execute
    Reset(reset::Reset),
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct Shown {
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    output: Output,
}

/// Does what was asked of groups.
///
/// # Errors
/// The cluster is away, or does not let us look; a reset is refused.
pub(super) async fn group(common: &Common, command: &Group) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    let admin = kafka::Admin::new(&world::kafka(&config)?).map_err(|e| e.fault())?;
    match &command.command {
        GroupCommand::List(shown) => list(&admin, shown.output).await,
        GroupCommand::Describe { group, topic, shown } => {
            let described = describe::describe(&admin, group, topic).await.map_err(failed)?;
            match shown.output {
                Output::Table => described.print(),
                Output::Json => output::line(described.json()),
            }
            Ok(())
        }
        GroupCommand::Lag { paths, group, shown } => {
            lag::lag(&admin, group.as_deref(), paths, shown.output).await
        }
        GroupCommand::Reset(reset) => reset::reset(&config, &admin, reset).await,
    }
}

/// A cluster that does not let us is no mistake in a file.
fn failed(fault: Fault) -> Failure {
    match fault.code.ends_with("authorization_failed") {
        true => Failure::Failed(anyhow::Error::new(fault)),
        false => fault.into(),
    }
}

fn members(count: usize) -> String {
    match count {
        1 => "1 member".to_owned(),
        count => format!("{count} members"),
    }
}

async fn list(admin: &kafka::Admin, form: Output) -> Result<(), Failure> {
    let groups = admin.groups().await.map_err(failed)?;
    match form {
        Output::Table => {
            let rows = groups
                .into_iter()
                .map(|(name, state)| vec![name, state.state, state.members.len().to_string()]);
            output::table(&["GROUP", "STATE", "MEMBERS"], rows);
        }
        Output::Json => {
            let groups = groups.iter().map(|(name, state)| {
                json!({ "group": name, "state": state.state, "members": state.members.len() })
            });
            output::line(json!({ "groups": groups.collect::<Vec<_>>() }));
        }
    }
    Ok(())
}
