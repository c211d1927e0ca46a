//! The built binary, as a user runs it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::fresh::fresh_dir;
use super::process::Process;

/// A command line of `ordermill` with a working directory of its own, to be filled and started.
#[derive(Debug)]
pub(crate) struct Ordermill {
    command: Command,
    dir: TempDir,
}

impl Ordermill {
    /// The binary with these arguments: the one that was built with the tests, or the one that
    /// `ORDERMILL_TEST_BINARY` names.
    pub(crate) fn new<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        let built = || env!("CARGO_BIN_EXE_ordermill").into();
        let mut command = Command::new(env::var_os("ORDERMILL_TEST_BINARY").unwrap_or_else(built));
        command.args(args);
        Self { command, dir: fresh_dir("ordermill") }
    }

    /// Serves HTTP on a free port; `Process::http_address` finds it.
    pub(crate) fn with_http(mut self) -> Self {
        self.command.args(["--http", "127.0.0.1:0"]);
        self
    }

    /// A variable of its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// A file in its working directory, as `pipelines/orders.yaml`.
    #[track_caller]
    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Starts it.
    #[track_caller]
    pub(crate) fn start(self) -> Process {
        Process::spawn_in(self.dir, "ordermill", self.command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_is_served_on_a_port_that_nobody_fixed() {
        let mill = Ordermill::new(["run"]).with_http();
        let args: Vec<_> = mill.command.get_args().collect();
        assert_eq!(args, ["run", "--http", "127.0.0.1:0"]);
    }
}
