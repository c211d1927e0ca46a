//! Running the project's scripts and other commands to their end.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A script of `scripts/`.
pub(crate) fn script(name: &str) -> Command {
    Command::new(repository().join("scripts").join(name))
}

/// The repository's root.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the command to its end: its standard output, or everything it said if it failed.
pub(crate) fn try_output(command: &mut Command) -> Result<String, String> {
    let said = command
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| format!("cannot run {command:?}: {cause}"))?;
    answer(command, &said)
}

/// The same for a command that must not fail.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    try_output(command).unwrap_or_else(|said| panic!("{said}"))
}

/// The same for a command that reads `input`.
#[track_caller]
pub(crate) fn output_of_input(command: &mut Command, input: &[u8]) -> String {
    let mut file = tempfile::tempfile().unwrap();
    {
        use std::io::{Seek as _, Write as _};
        file.write_all(input).unwrap();
        file.rewind().unwrap();
    }
    let said = command
        .stdin(file)
        .output()
        .unwrap_or_else(|cause| panic!("cannot run {command:?}: {cause}"));
    answer(command, &said).unwrap_or_else(|said| panic!("{said}"))
}

fn answer(command: &Command, said: &Output) -> Result<String, String> {
    let out = String::from_utf8_lossy(&said.stdout);
    if said.status.success() {
        return Ok(out.into_owned());
    }
    let err = String::from_utf8_lossy(&said.stderr);
    let name = Path::new(command.get_program()).file_name();
    let name = name.map_or_else(|| "command".into(), OsStr::to_string_lossy);
    Err(format!("{name} failed ({}):\n{out}{err}", said.status))
}
