//! A running member of the group, as its scrapes show it.

use std::time::Duration;

use crate::support::{Metrics, Process};

const LIMIT: Duration = Duration::from_secs(60);
/// A clean stop drains (4 s), commits and leaves.
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// A member with its last scrape.
#[derive(Debug)]
pub(super) struct Member {
    process: Process,
    last: Metrics,
}

impl Member {
    pub(super) fn new(process: Process) -> Self {
        Self { process, last: Metrics::default() }
    }

    /// Scrapes. Every scrape must balance: what came in is in exactly one place.
    #[track_caller]
    pub(super) fn look(&mut self) -> &Metrics {
        self.last = self.process.scrape();
        let sum = |name: &str| self.last.sum(&format!("ordermill_{name}"), &[]);
        let places = sum("records_effected_total")
            + sum("records_dropped_total")
            + sum("dlq_records_total")
            + sum("records_given_back_total")
            + sum("consumer_in_flight_records");
        assert_eq!(sum("records_consumed_total"), places, "in and out\n{:?}", self.last);
        &self.last
    }

    fn sum(&mut self, name: &str) -> u64 {
        count(self.look().sum(&format!("ordermill_{name}"), &[]))
    }

    /// Records that it was given, by a scrape of now.
    #[track_caller]
    pub(super) fn consumed(&mut self) -> u64 {
        self.sum("records_consumed_total")
    }

    /// Records of which it has made rows.
    #[track_caller]
    pub(super) fn effected(&mut self) -> u64 {
        self.sum("records_effected_total")
    }

    /// Records that it holds and has not settled.
    #[track_caller]
    pub(super) fn in_flight(&mut self) -> u64 {
        self.sum("consumer_in_flight_records")
    }

    /// Records that it has left to the next owner.
    #[track_caller]
    pub(super) fn given_back(&mut self) -> u64 {
        self.sum("records_given_back_total")
    }

    /// How far behind it is over all its partitions; None while it does not know of each of `partitions`.
    #[track_caller]
    pub(super) fn lag(&mut self, partitions: u32) -> Option<u64> {
        let lag = self.sum("consumer_lag_records");
        let known = self.last.count("ordermill_consumer_lag_records", &[]);
        (known == usize::try_from(partitions).unwrap()).then_some(lag)
    }

    /// Partitions that it holds.
    #[track_caller]
    pub(super) fn holds(&mut self) -> u64 {
        self.sum("consumer_assigned_partitions")
    }

    /// What `/readyz` says: may it be counted on, and the state of its pipeline.
    #[track_caller]
    pub(super) fn ready(&mut self) -> (bool, String) {
        let (status, body) = self.process.get("/readyz");
        let said: serde_json::Value = serde_json::from_str(&body).unwrap();
        let state = said["pipelines"]["orders"].as_str();
        (status == 200, state.unwrap_or_else(|| panic!("no pipeline: {body}")).to_owned())
    }

    /// Does its pipeline wait for something that is away?
    #[track_caller]
    pub(super) fn waits(&mut self) -> bool {
        let (ready, state) = self.ready();
        assert!(!state.starts_with("halted"), "{state}");
        !ready && state.starts_with("waiting: ")
    }

    /// Waits; panics when it ends before.
    #[track_caller]
    pub(super) fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) {
        let end = std::time::Instant::now() + limit;
        loop {
            let held = is_so(self);
            let ended = self.process.exit();
            assert!(ended.is_none(), "ended ({ended:?}) before {what}\n{}", self.log());
            if held {
                return;
            }
            let left = end.saturating_duration_since(std::time::Instant::now());
            assert!(!left.is_zero(), "waited {limit:?} in vain until {what}\n{}", self.log());
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Waits until it works: holds partitions and has made rows of more than `rows` records.
    #[track_caller]
    pub(super) fn wait_for_work(&mut self) {
        let before = self.effected();
        self.wait_until(LIMIT, "it works", |member| {
            member.holds() > 0 && member.effected() > before && member.in_flight() > 0
        });
    }

    /// Has it tried to write for a partition that another member has claimed, and been refused?
    pub(super) fn was_fenced(&self) -> bool {
        self.process.stderr().contains("fenced: another owner claimed it")
    }

    /// Asks it to stop by SIGTERM: it must end with 0 by itself.
    #[track_caller]
    pub(super) fn leave(mut self) {
        self.process.sigterm();
        let code = self.process.wait_exit(LEAVE_LIMIT);
        assert_eq!(code, Some(0), "exit code after SIGTERM\n{}", self.log());
        self.assert_never_halted();
    }

    /// Ends it by SIGKILL as soon as it has work in its hands: what it had been given by then.
    #[track_caller]
    pub(super) fn kill(mut self) -> u64 {
        self.wait_until(LIMIT, "it holds records", |member| member.in_flight() > 0);
        let consumed = count(self.last.sum("ordermill_records_consumed_total", &[]));
        self.process.kill9();
        self.assert_never_halted();
        consumed
    }

    #[track_caller]
    pub(super) fn freeze(&mut self) {
        self.process.sigstop();
    }

    #[track_caller]
    pub(super) fn wake(&mut self) {
        self.process.sigcont();
    }

    #[track_caller]
    fn assert_never_halted(&self) {
        let log = self.process.stderr();
        assert!(!log.contains("halted"), "{log}");
    }

    fn log(&self) -> String {
        let text = self.process.stderr();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn count(value: f64) -> u64 {
    value as u64
}
