//! A member as its parent has it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::MEMBER;
use crate::member::{Times, Told, WORKING};

/// A running member; it is killed with this value.
pub(crate) struct Member {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Member {
    pub(crate) fn start(told: &Told) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(MEMBER, serde_json::to_string(told).unwrap());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// Waits until it has done something.
    pub(crate) fn wait_for_work(&mut self) {
        assert_eq!(self.line().trim(), WORKING);
    }

    /// Asks it to leave and waits for its end: when it did what.
    pub(crate) fn times(mut self) -> Times {
        drop(self.child.stdin.take());
        let times = serde_json::from_str(&self.line()).unwrap();
        assert!(self.child.wait().unwrap().success());
        times
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // it has ended, or its parent has failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Now, in microseconds of Unix time.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}
