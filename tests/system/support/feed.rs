//! A producer at a steady pace, so that there is load while things break: lines through a pipe into `ordermill produce`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;

use super::Process;

/// The time from one heap of lines to the next.
const EVERY: Duration = Duration::from_millis(50);

/// A running producer. Dropped early, it goes on to its end by itself, or ends with the test.
#[derive(Debug)]
pub(crate) struct Feed {
    produce: Process,
    writer: JoinHandle<usize>,
    pace: Sender<Pace>,
    _dir: TempDir,
}

#[derive(Debug)]
enum Pace {
    /// And say how many lines there were until now.
    Hold(Sender<usize>),
    Go,
    /// End when so many lines are written.
    Enough(usize),
}

impl Feed {
    /// Begins to write so many of the lines a second into the pipe that `produce` is given to read.
    pub(crate) fn start(
        a_second: usize,
        lines: impl Iterator<Item = String> + Send + 'static,
        produce: impl FnOnce(&str) -> Process,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("orders");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let produce = produce(pipe.to_str().unwrap());
        // both ends: opening does not wait for the reader, and a reader that ends breaks nothing
        let mut into = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
        let heap = a_second / 20;
        let (pace, told) = mpsc::channel();
        let writer = thread::spawn(move || {
            let mut lines = lines.peekable();
            let (mut written, mut enough) = (0, usize::MAX);
            while lines.peek().is_some() && written < enough {
                let mut word = told.recv_timeout(EVERY);
                if let Ok(Pace::Hold(answer)) = word {
                    // nothing until the next word
                    answer.send(written).unwrap();
                    word = told.recv().map_err(|_| RecvTimeoutError::Disconnected);
                }
                match word {
                    Ok(Pace::Enough(lines)) => enough = lines,
                    Ok(Pace::Hold(_) | Pace::Go) | Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let heap: Vec<String> = lines.by_ref().take(heap).collect();
                into.write_all(heap.concat().as_bytes()).unwrap();
                written += heap.len();
            }
            written
        });
        Self { produce, writer, pace, _dir: dir }
    }

    /// Nothing more comes until `go`. How many lines there were: some may still be on their way.
    pub(crate) fn hold(&self) -> usize {
        let (answer, written) = mpsc::channel();
        self.pace.send(Pace::Hold(answer)).unwrap();
        written.recv().unwrap()
    }

    /// Goes on.
    pub(crate) fn go(&self) {
        self.pace.send(Pace::Go).unwrap();
    }

    /// Ends as soon as there are at least so many lines, and waits until each record is acknowledged; how many there were.
    ///
    /// What broke until now broke under load: panics when the lines had ended by then.
    #[track_caller]
    pub(crate) fn enough(mut self, lines: usize, limit: Duration) -> usize {
        assert!(self.pace.send(Pace::Enough(lines)).is_ok(), "the load had ended");
        let code = self.produce.wait_exit(limit);
        assert_eq!(code, Some(0), "produce failed\n{}", self.produce.stderr());
        self.writer.join().unwrap()
    }
}
