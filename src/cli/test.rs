//! `test`: the cases that pipeline files carry.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::args::{Common, Output};
use super::lint::{self, not_checked};
use super::{Failure, output, world};
use crate::config::Problems;
use crate::pipeline::compile::{Compiled, compile};
use crate::pipeline::{case, sending, spec};

/// `test`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example: one file's cases, those that fail
  ordermill test pipelines/inventory.yaml -o json | jq 'select(.passed | not)'")]
pub(super) struct Test {
    /// Pipeline files, or folders of them
    #[arg(default_value = "pipelines", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How the result is printed
    #[arg(long, short, default_value = "table", value_name = "table|json")]
    #[arg(hide_possible_values = true)]
    output: Output,
}

/// Runs the cases of these files.
///
/// # Errors
/// 78 when a file is wrong; 1 when a case fails, with each difference at its place.
pub(super) fn test(common: &Common, command: &Test) -> Result<(), Failure> {
    let config = world::offline(common)?;
    let contracts = world::contracts(&config)?;
    let pipelines = lint::read(&command.paths, None, &contracts)?;
    let mut ready = Vec::new();
    let mut problems = Problems::default();
    for pipeline in &pipelines {
        match contracts.latest(pipeline.source.schema.as_str()) {
            None => output::say(not_checked(pipeline, &config.avro)),
            Some(contract) => match compile(pipeline, &contract.schema) {
                Ok(compiled) => match sending::check(pipeline, &compiled, &contracts) {
                    Ok(()) => ready.push((pipeline, Arc::new(compiled))),
                    Err(found) => problems.append(found),
                },
                Err(found) => problems.append(found),
            },
        }
    }
    let ready = problems.or(ready)?;
    let results: Vec<_> =
        ready.iter().flat_map(|(pipeline, compiled)| of(pipeline, compiled)).collect();
    let (passed, failed): (Vec<_>, Vec<_>) = results.iter().partition(|r| r.failed.is_empty());
    for result in &results {
        result.show(command.output);
    }
    let summary = format!("{} passed, {} failed", passed.len(), failed.len());
    match (command.output, failed.is_empty()) {
        (Output::Json, true) => Ok(()),
        (Output::Table, true) => {
            output::line(summary);
            Ok(())
        }
        (_, false) => Err(Failure::Refused(summary)),
    }
}

struct Outcome<'p> {
    pipeline: &'p spec::Pipeline,
    case: &'p spec::Case,
    failed: Vec<case::Failed>,
}

fn of<'p>(
    pipeline: &'p spec::Pipeline,
    compiled: &Arc<Compiled>,
) -> impl Iterator<Item = Outcome<'p>> {
    let compiled = Arc::clone(compiled);
    pipeline.cases.iter().map(move |case| Outcome {
        pipeline,
        case,
        failed: case::run(pipeline, &compiled, case),
    })
}

impl Outcome<'_> {
    fn show(&self, form: Output) {
        let (pipeline, case) = (&self.pipeline.name, &self.case.name);
        match form {
            Output::Table => {
                let word = if self.failed.is_empty() { "ok" } else { "FAILED" };
                output::line(format!("{pipeline}: {case} ... {word}"));
                for failed in &self.failed {
                    output::line(format!(
                        "  {}:{}: {}",
                        self.pipeline.file.display(),
                        failed.at,
                        failed.what
                    ));
                }
            }
            Output::Json => output::line(json!({
                "pipeline": pipeline,
                "case": case,
                "passed": self.failed.is_empty(),
                "differences": self.failed.iter().map(|f| json!({
                    "file": self.pipeline.file, "line": f.at.line, "column": f.at.column, "what": f.what,
                })).collect::<Vec<_>>(),
            })),
        }
    }
}
