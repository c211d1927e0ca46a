//! `run`: pipelines until a signal, or until the last of them has ended.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::args::{Common, Run};
use super::{Failure, lint, stop, world};
use crate::pipeline::runner::{self, Ended};
use crate::pipeline::spec;
use crate::web::{Server, routes};

/// Runs the pipelines of these files.
///
/// # Errors
/// 78 when a file or the world is not as it must be; 1 when the last pipeline has halted.
pub(super) async fn run(common: &Common, command: &Run) -> Result<(), Failure> {
    let config = world::config(common, command.http.as_deref())?;
    let pipelines = spec::read_all(&command.paths)?;
    spec::fit(&pipelines, &config)?;
    let world = Arc::new(world::open(&config)?);
    // What contracts at hand can tell is told before anything begins; the others' at the first contact.
    lint::check(&pipelines, &world.contracts)?;
    let stop = stop::on_signal().map_err(anyhow::Error::new)?;
    let server = Server::start(
        &config.http.listen.to_string(),
        routes(Arc::clone(&world.board), world::rdkafka()),
    )
    .await
    .map_err(anyhow::Error::new)?;
    tracing::info!(address = %server.address(), "http listening");
    let mut running = JoinSet::new();
    for pipeline in pipelines {
        running.spawn(runner::run(Arc::new(pipeline), Arc::clone(&world), stop.clone()));
    }
    let mut ends = Vec::new();
    while let Some(ended) = running.join_next().await {
        ends.push(ended.map_err(|e| anyhow::Error::new(e).context("a pipeline's task ended"))?);
    }
    verdict(&ends)
}

/// What the process says at the end.
fn verdict(ends: &[Ended]) -> Result<(), Failure> {
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
