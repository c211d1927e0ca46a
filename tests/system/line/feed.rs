//! A producer at a steady pace, so that there is load while things break: orders through a pipe into `produce`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tpchgen::generators::OrderGenerator;

use super::ground::{Line, json_line};
use crate::support::Process;

/// Orders at once, and the time from one such heap to the next: 2,000 a second.
const HEAP: usize = 100;
const EVERY: Duration = Duration::from_millis(50);

/// A running producer. Dropped early, it goes on to its end by itself, or ends with the test.
#[derive(Debug)]
pub(super) struct Feed {
    produce: Process,
    writer: JoinHandle<()>,
    pace: Sender<Pace>,
    _dir: TempDir,
}

#[derive(Debug)]
enum Pace {
    Hold,
    Go,
}

impl Feed {
    /// Begins to put the orders of a scale into the topic.
    pub(super) fn start(line: &Line<'_>, scale: f64) -> Self {
        line.register();
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("orders");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let produce = line.producing([pipe.to_str().unwrap(), "--key", "o_orderkey"]);
        // both ends: opening does not wait for the reader, and a reader that ends breaks nothing
        let mut into = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let (pace, told) = mpsc::channel();
        let writer = thread::spawn(move || {
            let mut orders = OrderGenerator::new(scale, 1, 1).into_iter().peekable();
            while orders.peek().is_some() {
                match told.recv_timeout(EVERY) {
                    // nothing until the next word
                    Ok(Pace::Hold) => drop(told.recv()),
                    Ok(Pace::Go) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                let heap: String =
                    orders.by_ref().take(HEAP).map(|order| json_line(&order)).collect();
                into.write_all(heap.as_bytes()).unwrap();
            }
        });
        Self { produce, writer, pace, _dir: dir }
    }

    /// Nothing more comes until `go`.
    pub(super) fn hold(&self) {
        self.pace.send(Pace::Hold).unwrap();
    }

    /// Goes on.
    pub(super) fn go(&self) {
        self.pace.send(Pace::Go).unwrap();
    }

    /// Does it still have orders to give?
    pub(super) fn runs(&self) -> bool {
        !self.writer.is_finished()
    }

    /// Waits until everything is in the topic: each record acknowledged.
    #[track_caller]
    pub(super) fn finish(mut self, limit: Duration) {
        let code = self.produce.wait_exit(limit);
        assert_eq!(code, Some(0), "produce failed\n{}", self.produce.stderr());
        self.writer.join().unwrap();
    }
}
