//! `lint`: everything that files alone can tell, then what the live system says to them.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::join_all;

use super::args::Common;
use super::{Failure, output, world};
use crate::config::{Config, Problems};
use crate::kafka;
use crate::pipeline::compile::compile;
use crate::pipeline::world::World;
use crate::pipeline::{runner, sending, spec};
use crate::record::{Class, Fault};
use crate::registry::contracts::Contracts;

/// `lint`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples: before a commit; before a deployment
  ordermill lint --offline && ordermill test
  ordermill lint

Without --offline it makes the first contact that `run` makes: brokers,
registry, topics, schemas, tables and grants, folders and mail servers. It
reads no record. Like `run` it makes the tables in which pipelines keep where
they stand.")]
pub(super) struct Lint {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look at files only
    #[arg(long)]
    offline: bool,
}

/// Checks settings, pipeline files and, where the contracts folder has their schema, their expressions; then
/// everything that they name.
///
/// # Errors
/// 78, with every problem at its place; 1 when something is away, so that nothing can be said of it.
pub(super) async fn lint(common: &Common, command: &Lint) -> Result<(), Failure> {
    let config = match command.offline {
        true => world::offline(common)?,
        false => world::config(common, None)?,
    };
    let contracts = world::contracts(&config)?;
    let settings = (config.file.is_some() || !command.offline).then_some(&config);
    let pipelines = read(&command.paths, settings, &contracts)?;
    let unchecked = check(&pipelines, &contracts)?;
    let (checked, files) = (pipelines.len() - unchecked.len(), pipelines.len());
    let right = if files == 1 { "1 file is right" } else { &format!("{files} files are right") };
    if !command.offline {
        contact(&config, pipelines).await?;
        output::line(format!("{right}, and so is what they name"));
        return Ok(());
    }
    for pipeline in &unchecked {
        output::say(not_checked(pipeline, &config.avro));
    }
    let whose = if checked == 1 { "its" } else { "their" };
    output::line(format!("{right}; {checked} checked against {whose} schema"));
    Ok(())
}

/// The first contact of every pipeline, each one's first problem said.
async fn contact(config: &Config, pipelines: Vec<spec::Pipeline>) -> Result<(), Failure> {
    let world = Arc::new(world::open(config)?);
    // What all need is asked for once, so that it is missed once.
    kafka::Admin::new(&world.kafka).map_err(|e| e.fault())?.cluster().await?;
    if let Some(pipeline) = pipelines.first() {
        world.schemas.latest(pipeline.source.schema.as_str()).await?;
    }
    let tried = join_all(pipelines.into_iter().map(|pipeline| tried(pipeline, &world))).await;
    let faults: Vec<(bool, String)> = tried.into_iter().flatten().collect();
    let lines: Vec<&str> = faults.iter().map(|(_, line)| line.as_str()).collect();
    match (faults.is_empty(), faults.iter().all(|(away, _)| *away)) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Refused(lines.join("\n"))),
        (false, false) => Err(Failure::Configuration(lines.join("\n"))),
    }
}

/// What keeps a pipeline from starting, and whether that is only away.
async fn tried(pipeline: spec::Pipeline, world: &Arc<World>) -> Option<(bool, String)> {
    let pipeline = Arc::new(pipeline);
    let tried = runner::try_bind(Arc::clone(&pipeline), Arc::clone(world)).await;
    let Fault { class, reason, .. } = tried.err()?;
    let away = matches!(class, Class::Unavailable | Class::Conflict);
    Some((away, format!("{}: {reason}", pipeline.file.display())))
}

/// What is said of a file whose schema is not at hand.
pub(super) fn not_checked(pipeline: &spec::Pipeline, avro: &std::path::Path) -> String {
    format!(
        "{}: expressions were not checked: {} has no subject {}",
        pipeline.file.display(),
        avro.display(),
        pipeline.source.schema.as_str()
    )
}

/// Reads pipeline files and says everything that is wrong with them at once: as files, with the settings where there are
/// some, and with the contracts at hand, as far as a file that is wrong can be read.
pub(super) fn read(
    paths: &[PathBuf],
    settings: Option<&Config>,
    contracts: &Contracts,
) -> Result<Vec<spec::Pipeline>, Problems> {
    let spec::Found { right, wrong, mut problems } = spec::find(paths);
    let fit = settings.map_or(Ok(()), |settings| spec::fit(&right, settings));
    for found in [fit, check(&right, contracts).map(drop), check(&wrong, contracts).map(drop)] {
        if let Err(found) = found {
            problems.append(found);
        }
    }
    problems.or(right)
}

/// Compiles each file against its contract; answers those that have none.
pub(super) fn check<'p>(
    pipelines: &'p [spec::Pipeline],
    contracts: &Contracts,
) -> Result<Vec<&'p spec::Pipeline>, Problems> {
    let (mut unchecked, mut problems) = (Vec::new(), Problems::default());
    for pipeline in pipelines {
        match contracts.latest(pipeline.source.schema.as_str()) {
            None => unchecked.push(pipeline),
            Some(contract) => {
                let compiled = compile(pipeline, &contract.schema)
                    .and_then(|compiled| sending::check(pipeline, &compiled, contracts));
                if let Err(found) = compiled {
                    problems.append(found);
                }
            }
        }
    }
    problems.or(unchecked)
}
