//! A real mail server (aiosmtpd) that keeps every mail it takes before it answers.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

use super::fresh::{fresh_dir, run_variable};
use super::process::Process;
use super::shell::repository;

const UP_LIMIT: Duration = Duration::from_secs(30);

/// A mail that was taken.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Taken {
    /// When, in seconds of Unix time, by the server's clock: this machine's.
    pub(crate) at: f64,
    /// Its recipients.
    pub(crate) to: Vec<String>,
    /// Its Message-ID.
    pub(crate) id: String,
    /// Envelope apart, all of it.
    pub(crate) raw: String,
}

/// A running mail server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Mails {
    dir: TempDir,
    port: u16,
    answer: Duration,
    process: Process,
}

impl Mails {
    /// One that answers a mail so long after it has kept it.
    pub(crate) fn up(answer: Duration) -> Self {
        let dir = fresh_dir("mails");
        let (process, port) = start(&dir.path().join("journal"), 0, answer);
        Self { dir, port, answer, process }
    }

    /// On 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it by SIGKILL; returns when it is gone.
    pub(crate) fn kill9(&mut self) {
        self.process.kill9();
    }

    /// Starts it again on its port, with all that it has taken.
    pub(crate) fn start(&mut self) {
        self.process = start(&self.journal(), self.port, self.answer).0;
    }

    /// All mails, in the order in which they were taken.
    pub(crate) fn taken(&self) -> Vec<Taken> {
        let text = fs::read_to_string(self.journal()).unwrap_or_default();
        text.lines().map(read).collect()
    }

    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }
}

/// Now, as the server would say it.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

fn start(journal: &std::path::Path, port: u16, answer: Duration) -> (Process, u16) {
    let mut python = Command::new(run_variable("ORDERMILL_TEST_PYTHON"));
    python.arg(repository().join("scripts/oracle/smtp_receiver.py")).arg(journal);
    python.args([port.to_string(), answer.as_millis().to_string()]);
    let mut process = Process::spawn("smtp_receiver", python);
    let mut said = None;
    process.wait_until(UP_LIMIT, "it says where it listens", |process| {
        said = process.stdout().trim().parse().ok();
        said.is_some()
    });
    (process, said.unwrap())
}

fn read(line: &str) -> Taken {
    let mail: Value = serde_json::from_str(line).unwrap();
    let text = |name: &str| mail[name].as_str().unwrap().to_owned();
    let to = mail["to"].as_array().unwrap();
    Taken {
        at: mail["at"].as_f64().unwrap(),
        to: to.iter().map(|to| to.as_str().unwrap().to_owned()).collect(),
        id: text("id"),
        raw: text("raw"),
    }
}
