//! `docs/quickstart.md`, run block by block as a reader would.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::plain::SOON;
use crate::support::{Process, output, repository};

/// The page's shell blocks, in their order.
fn blocks() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/quickstart.md")).unwrap();
    let mut parts = page.split("```sh\n").skip(1);
    let blocks: Vec<String> =
        parts.by_ref().map(|part| part.split_once("```").unwrap().0.to_owned()).collect();
    assert!(blocks.len() >= 5, "{blocks:?}");
    blocks
}

/// The binary's folder first in the path.
fn path() -> String {
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_ordermill"));
    let binary = env::var_os("ORDERMILL_TEST_BINARY").map_or_else(built, PathBuf::from);
    format!("{}:{}", binary.parent().unwrap().display(), env::var("PATH").unwrap())
}

fn shell(folder: &Path, block: &str, exports: &BTreeMap<String, String>) -> String {
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", block]).current_dir(folder).env("PATH", path());
    output(bash.envs(exports))
}

/// `dev` is the one block that goes on: it runs beside the others, which get what it prints.
fn start(folder: &Path, block: &str) -> Process {
    let words: Vec<&str> = block.split_whitespace().skip(1).collect();
    let folder = folder.to_string_lossy();
    let mut command = Command::new("env");
    let path = format!("PATH={}", path());
    command.args(["-C", &*folder, path.as_str(), "ordermill"]).args(words);
    Process::spawn("quickstart", command)
}

#[test]
fn every_command_of_the_quickstart_does_what_it_says() {
    let home = tempfile::tempdir().unwrap();
    let (mut dev, mut exports, mut said) = (None, BTreeMap::new(), String::new());
    for block in blocks() {
        if block.starts_with("ordermill dev") {
            let block = format!("{} --http 127.0.0.1:0", block.trim());
            let mut running = start(home.path(), &block);
            running
                .wait_until(SOON, "it prints its exports", |dev| dev.stdout().lines().count() == 2);
            for line in running.stdout().lines() {
                let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
                exports.insert(name.to_owned(), value.to_owned());
            }
            dev = Some(running);
        } else {
            let until_there = block.contains("sqlite3");
            said = shell(home.path(), &block, &exports);
            if let Some(dev) = dev.as_mut().filter(|_| until_there) {
                // a reader who is quicker than the pipeline looks again
                dev.wait_until(SOON, "the row is there", |_| {
                    said = shell(home.path(), &block, &exports);
                    said.contains("b-1|Ada|12000")
                });
            }
        }
    }
    assert!(said.contains("nothing to pay"), "{said}");
    assert!(!said.contains("b-2|"), "{said}");
    let mut dev = dev.expect("the page runs `ordermill dev`");
    dev.sigterm();
    assert_eq!(dev.wait_exit(SOON), Some(0), "{}", dev.stderr());
}
