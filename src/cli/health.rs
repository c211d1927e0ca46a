//! `health`: the check of a container that has no shell to make it with.

use anyhow::Context as _;

use super::args::Common;
use super::{Failure, output, world};
use crate::web;

/// `health`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: yes; 1: no, with the reason, or nobody answers.
Example: by hand; in a Dockerfile
  ordermill health --ready
  HEALTHCHECK CMD [\"ordermill\", \"health\"]")]
pub(super) struct Health {
    /// Whether every pipeline runs, and nothing is away
    #[arg(long)]
    ready: bool,
    /// Where it listens [default: as the settings say]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// Asks the process that runs under the same settings.
///
/// # Errors
/// Its answer is no, or it does not answer.
pub(super) async fn health(common: &Common, command: &Health) -> Result<(), Failure> {
    let address = world::own_address(common, command.http.as_deref())?;
    let path = if command.ready { "/readyz" } else { "/livez" };
    let asked = web::ask(address, path).await;
    let (good, said) = asked.with_context(|| format!("nobody answers at {address}{path}"))?;
    let said = said.trim_end();
    if good {
        output::line(said);
        Ok(())
    } else {
        Err(Failure::Refused(said.to_owned()))
    }
}
