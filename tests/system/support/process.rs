//! A process under test: its output in files, signals, its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::fresh::fresh_dir;
use super::http;
use super::metrics::Metrics;
use super::wait::holds_within;

/// How long a process may take to say where it listens.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);
/// How many lines of its log a failure shows.
const LAST_LINES: usize = 40;

/// A running (or ended) process. It is killed with this value; its files stay when the test fails.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    dir: TempDir,
}

impl Process {
    /// Starts the command, in a directory of its own unless it says otherwise.
    #[track_caller]
    pub(crate) fn spawn(name: &str, command: Command) -> Self {
        Self::spawn_in(fresh_dir(name), name, command)
    }

    /// The same in a directory that was prepared for it.
    #[track_caller]
    pub(crate) fn spawn_in(dir: TempDir, name: &str, mut command: Command) -> Self {
        if command.get_current_dir().is_none() {
            command.current_dir(dir.path());
        }
        let file = |name: &str| File::create(dir.path().join(name)).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap_or_else(|cause| panic!("cannot start {name}: {cause}"));
        Self { name: name.to_owned(), child, ended: None, dir }
    }

    /// Its working directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        self.said("stdout")
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.said("stderr")
    }

    /// Ends it without a word; returns when it is gone.
    pub(crate) fn kill9(&mut self) {
        // fails only when it has ended already
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        self.ended.get_or_insert(status);
    }

    /// Asks it to stop.
    #[track_caller]
    pub(crate) fn sigterm(&mut self) {
        self.signal("TERM");
    }

    /// Freezes it; returns when it stands still.
    #[track_caller]
    pub(crate) fn sigstop(&mut self) {
        self.signal("STOP");
        self.wait_until(Duration::from_secs(5), "it stands still", |process| {
            process.state() == Some('T')
        });
    }

    /// Wakes it.
    #[track_caller]
    pub(crate) fn sigcont(&mut self) {
        self.signal("CONT");
    }

    #[track_caller]
    fn signal(&mut self, signal: &str) {
        assert!(
            self.exit().is_none(),
            "{} has ended before SIG{signal}\n{}",
            self.name,
            self.last_lines()
        );
        // it is our child and not waited for: its number is still its own
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", signal, &self.child.id().to_string()]);
        assert!(sent.status().unwrap().success(), "kill -s {signal} failed");
    }

    /// Processor time that it has used so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // behind the name, which may hold anything: state, ten more, then user and system time in ticks
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        let ticks = rest.split(' ').skip(11).take(2);
        // Linux counts in hundredths of a second on every machine
        ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>() / 100.0
    }

    /// Its state as `/proc` says: R, S, T (frozen), Z (ended).
    fn state(&self) -> Option<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        stat.rsplit_once(") ")?.1.chars().next()
    }

    /// How it ended; None while it runs.
    pub(crate) fn exit(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().unwrap();
        }
        self.ended
    }

    /// Waits for its end: its exit code, None when a signal ended it. Panics when it still runs after `limit`.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> Option<i32> {
        let ended = holds_within(limit, || self.exit().is_some());
        assert!(ended, "{} still runs after {limit:?}\n{}", self.name, self.last_lines());
        self.exit().unwrap().code()
    }

    /// Waits until `is_so` holds. Panics with `what` and the last lines of its log when it does not within `limit`, and
    /// at once when the process has ended.
    #[track_caller]
    pub(crate) fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) {
        let mut ended = false;
        let mut held = false;
        holds_within(limit, || {
            // asked in this order, what it did just before its end still counts
            ended = self.exit().is_some();
            held = is_so(self);
            held || ended
        });
        if !held {
            let name = &self.name;
            let how = if ended {
                format!("{name} ended ({:?}) before {what}", self.ended)
            } else {
                format!("waited {limit:?} for {name} in vain until {what}")
            };
            panic!("{how}\n{}", self.last_lines());
        }
    }

    /// Where it listens, as it says in one line of its log: `… http listening … address=127.0.0.1:PORT`.
    #[track_caller]
    pub(crate) fn http_address(&mut self) -> String {
        let mut address = None;
        self.wait_until(LISTEN_LIMIT, "it says where it listens", |process| {
            address = listening(&process.stderr());
            address.is_some()
        });
        address.unwrap()
    }

    /// The body of a GET and its status. Panics when it does not answer.
    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> (u16, String) {
        let address = self.http_address();
        let answer = http::get(&address, path).unwrap_or_else(|cause| {
            panic!("{} does not answer {path}: {cause}\n{}", self.name, self.last_lines())
        });
        (answer.status, answer.body)
    }

    /// What `/metrics` says now.
    #[track_caller]
    pub(crate) fn scrape(&mut self) -> Metrics {
        let (status, body) = self.get("/metrics");
        assert_eq!(status, 200, "/metrics: {body}");
        Metrics::read(&body)
    }

    fn said(&self, name: &str) -> String {
        let bytes = fs::read(self.dir.path().join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn last_lines(&self) -> String {
        let text = self.stderr();
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let path: PathBuf = self.dir.path().join("stderr");
        format!("{}, last lines:\n{}", path.display(), last.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit().is_none() {
            self.kill9();
        }
        if thread::panicking() {
            self.dir.disable_cleanup(true);
        }
    }
}

/// The address in the line that says `http listening`, as text or as JSON.
fn listening(log: &str) -> Option<String> {
    // a last line without its end may still grow
    let whole = &log[..log.rfind('\n')?];
    let line = whole.lines().find(|line| line.contains("http listening"))?;
    let (_, rest) = line.split_once("address=").or_else(|| line.split_once("\"address\":"))?;
    let address = rest.trim_start_matches('"');
    let end = address
        .find(|char: char| !(char.is_alphanumeric() || ".:[]-".contains(char)))
        .unwrap_or(address.len());
    Some(address[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_a_log_of_text_or_json() {
        let text = "INFO start\nINFO ordermill::web: http listening address=127.0.0.1:4711\n";
        let json = "{\"message\":\"http listening\",\"address\":\"127.0.0.1:4712\"}\n";
        assert_eq!(listening(text).as_deref(), Some("127.0.0.1:4711"));
        assert_eq!(listening(json).as_deref(), Some("127.0.0.1:4712"));
    }

    #[test]
    fn half_a_line_names_no_address() {
        assert_eq!(listening("INFO http listening address=127.0.0.1:47"), None);
        assert_eq!(listening("INFO start\n"), None);
    }
}
