//! The pipeline files that ship with the project: their cases pass, and every stage is shown by one.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests may")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use ordermill::pipeline::compile::compile;
use ordermill::pipeline::{case, spec};
use ordermill::registry::contracts::Contracts;
use ordermill::stage;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

fn files() -> Vec<spec::Pipeline> {
    spec::read_all(&[PathBuf::from(REPOSITORY).join("pipelines")]).unwrap()
}

#[test]
fn the_cases_of_all_files_pass() {
    let mut mill = Command::new(env!("CARGO_BIN_EXE_ordermill"));
    let said = mill.args(["test", "pipelines"]).current_dir(REPOSITORY).output().unwrap();
    let out = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{out}{}", String::from_utf8_lossy(&said.stderr));
    let passed = out.lines().filter(|line| line.ends_with("... ok")).count();
    assert_eq!(passed, files().iter().map(|file| file.cases.len()).sum::<usize>(), "{out}");
}

#[test]
fn every_stage_of_the_table_is_used_in_a_file() {
    let files = files();
    let used: BTreeSet<_> =
        files.iter().flat_map(|file| &file.stages).map(spec::Stage::word).collect();
    let table: BTreeSet<_> = stage::TABLE.iter().map(|row| row.name).collect();
    let missing: Vec<_> = table.difference(&used).collect();
    assert!(missing.is_empty(), "no file under pipelines/ has {missing:?}");
}

/// A case that would pass without a stage says nothing of it.
#[test]
fn a_case_fails_when_a_stage_is_taken_out() {
    let contracts = Contracts::read(&Path::new(REPOSITORY).join("avro")).unwrap();
    for file in files() {
        assert!(passes(&file, &contracts), "{}", file.name);
        for (index, stage) in file.stages.iter().enumerate() {
            let mut without = file.clone();
            without.stages.remove(index);
            let shown = !passes(&without, &contracts);
            assert!(shown, "{}: no case needs stage {index}, {}", file.name, stage.word());
        }
    }
}

fn passes(file: &spec::Pipeline, contracts: &Contracts) -> bool {
    let contract = contracts.latest(file.source.schema.as_str()).unwrap();
    let Ok(compiled) = compile(file, &contract.schema) else { return false };
    let compiled = Arc::new(compiled);
    file.cases.iter().all(|case| case::run(file, &compiled, case).is_empty())
}
