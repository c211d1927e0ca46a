//! `lint --offline`: everything that files alone can tell.

use super::args::{Common, Lint};
use super::{Failure, output, world};
use crate::config::Problems;
use crate::pipeline::compile::compile;
use crate::pipeline::{sending, spec};
use crate::registry::contracts::Contracts;

/// Checks settings, pipeline files and, where the contracts folder has their schema, their expressions.
///
/// # Errors
/// 78, with every problem at its place.
pub(super) fn lint(common: &Common, command: &Lint) -> Result<(), Failure> {
    let config = world::offline(common)?;
    let pipelines = spec::read_all(&command.paths)?;
    if config.file.is_some() {
        spec::fit(&pipelines, &config)?;
    }
    let contracts = world::contracts(&config)?;
    let unchecked = check(&pipelines, &contracts)?;
    for pipeline in &unchecked {
        output::say(not_checked(pipeline, &config.avro));
    }
    let (checked, files) = (pipelines.len() - unchecked.len(), pipelines.len());
    let right = if files == 1 { "1 file is right" } else { &format!("{files} files are right") };
    let whose = if checked == 1 { "its" } else { "their" };
    output::line(format!("{right}; {checked} checked against {whose} schema"));
    Ok(())
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
