//! Files of the repository, and tools run to their end.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A path in the repository.
pub(crate) fn path(inside: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(inside)
}

/// A file of the repository.
#[track_caller]
pub(crate) fn text(inside: &str) -> String {
    fs::read_to_string(path(inside)).unwrap_or_else(|cause| panic!("{inside}: {cause}"))
}

/// The names in a folder of the repository, sorted.
#[track_caller]
pub(crate) fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|cause| panic!("{folder}: {cause}"));
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Runs a tool in the repository to its end: whether it succeeded, its standard output, its standard error.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> (bool, String, String) {
    let said = command.current_dir(path("")).output();
    let said = said.unwrap_or_else(|cause| panic!("cannot run {command:?}: {cause}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (said.status.success(), text(&said.stdout), text(&said.stderr))
}

/// The standard output of a tool that must succeed.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let (good, out, error) = run(command);
    assert!(good, "{command:?}:\n{out}{error}");
    out
}

/// A program that lies beside the tests' Python, or that Python itself.
#[track_caller]
pub(crate) fn tool(name: &str) -> Command {
    Command::new(python().with_file_name(name))
}

/// The real Compose: the program inside its package, whose own wrapper hides failures.
#[track_caller]
pub(crate) fn compose(arguments: &[&str]) -> Command {
    let place = output(tool("python").args(["-c", "import compose; print(compose.__path__[0])"]));
    let mut compose = Command::new(Path::new(place.trim()).join("docker-compose"));
    compose.args(["-f", "docker-compose.yml"]).args(arguments);
    compose
}

/// JSON that must be some.
#[track_caller]
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|cause| panic!("no JSON: {cause}: {text}"))
}

#[track_caller]
fn python() -> PathBuf {
    let python = env::var_os("ORDERMILL_TEST_PYTHON");
    python.expect("ORDERMILL_TEST_PYTHON is not set: run `make test`").into()
}
