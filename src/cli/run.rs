//! `run`: pipelines until a signal, or until the last of them has ended.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::args::Common;
use super::{Failure, lint, stop, world};
use crate::pipeline::runner::{self, Ended};
use crate::pipeline::spec;
use crate::pipeline::world::World;
use crate::web::{Server, routes};

/// `run`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: two pipelines, metrics and health on every address
  ordermill run pipelines/inventory.yaml pipelines/audit.yaml \\
    --http 0.0.0.0:9400")]
pub(super) struct Run {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Serves metrics and health [default: 127.0.0.1:9400]
    #[arg(long, value_name = "HOST:PORT")]
    http: Option<String>,
}

/// Runs the pipelines of these files.
///
/// # Errors
/// 78 when a file or the world is not as it must be; 1 when the last pipeline has halted.
pub(super) async fn run(common: &Common, command: &Run) -> Result<(), Failure> {
    let config = world::config(common, command.http.as_deref())?;
    // What contracts at hand can tell is told before anything begins; the others' at the first contact.
    let pipelines = lint::read(&command.paths, Some(&config), &world::contracts(&config)?)?;
    let world = Arc::new(world::open(&config)?);
    let stop = stop::on_signal().map_err(anyhow::Error::new)?;
    let server = Server::start(
        &config.http.listen.to_string(),
        routes(Arc::clone(&world.board), world::rdkafka()),
    )
    .await
    .map_err(anyhow::Error::new)?;
    tracing::info!(address = %server.address(), "http listening");
    verdict(&all(pipelines, &world, &stop).await?)
}

/// Runs pipelines side by side until each has ended.
///
/// # Errors
/// A pipeline's task ended early: a fault of the program.
pub(super) async fn all(
    pipelines: Vec<spec::Pipeline>,
    world: &Arc<World>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Ended>> {
    let mut running = JoinSet::new();
    for pipeline in pipelines {
        running.spawn(runner::run(Arc::new(pipeline), Arc::clone(world), stop.clone()));
    }
    let mut ends = Vec::new();
    while let Some(ended) = running.join_next().await {
        ends.push(ended.context("a pipeline's task ended")?);
    }
    Ok(ends)
}

/// What the process says at the end.
pub(super) fn verdict(ends: &[Ended]) -> Result<(), Failure> {
    let unfit = ends.iter().find_map(|ended| match ended {
        Ended::Unfit(fault) => Some(fault.reason.clone()),
        Ended::Stopped | Ended::Halted(..) => None,
    });
    if let Some(reason) = unfit {
        return Err(Failure::Configuration(reason));
    }
    let halted = ends.iter().filter_map(|ended| match ended {
        Ended::Halted(position, fault) => {
            let at = position.as_ref().map_or_else(String::new, |p| format!(" at {p}"));
            Some(format!("halted{at}: {fault}"))
        }
        Ended::Stopped | Ended::Unfit(_) => None,
    });
    let halted: Vec<String> = halted.collect();
    if halted.is_empty() { Ok(()) } else { Err(Failure::Refused(halted.join("\n"))) }
}
