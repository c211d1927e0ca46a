//! A process that runs the reference pipelines, as its scrapes show it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Metrics, Process};

const LIMIT: Duration = Duration::from_secs(90);
const LEAVE_LIMIT: Duration = Duration::from_secs(30);

/// A member of each pipeline's group.
#[derive(Debug)]
pub(super) struct Member {
    process: Process,
    /// By pipeline.
    groups: BTreeMap<&'static str, String>,
}

impl Member {
    pub(super) fn new(process: Process, groups: BTreeMap<&'static str, String>) -> Self {
        Self { process, groups }
    }

    /// Scrapes. Every pipeline must balance: what came in is in exactly one place.
    #[track_caller]
    fn look(&mut self) -> Metrics {
        let seen = self.process.scrape();
        for group in self.groups.values() {
            let sum = |name: &str| sum(&seen, name, group);
            let places = sum("records_effected_total")
                + sum("records_dropped_total")
                + sum("dlq_records_total")
                + sum("records_given_back_total")
                + sum("consumer_in_flight_records");
            assert_eq!(sum("records_consumed_total"), places, "in and out of {group}\n{seen:?}");
        }
        seen
    }

    /// Records that each pipeline was given and has not left to another member.
    #[track_caller]
    pub(super) fn taken(&mut self) -> BTreeMap<&'static str, u64> {
        let seen = self.look();
        let taken = |group: &str| {
            sum(&seen, "records_consumed_total", group)
                - sum(&seen, "records_given_back_total", group)
        };
        self.groups.iter().map(|(pipeline, group)| (*pipeline, taken(group))).collect()
    }

    /// Do these members hold so many partitions of each group, all at the end of the log and with nothing in hand?
    #[track_caller]
    pub(super) fn are_done(members: &mut [Self], partitions: usize) -> bool {
        let seen: Vec<_> = members.iter_mut().map(Self::look).collect();
        members[0].groups.values().all(|group| {
            let labels = [("group", group.as_str())];
            let count = |seen: &Metrics| seen.count("ordermill_consumer_lag_records", &labels);
            seen.iter().map(count).sum::<usize>() == partitions
                && seen.iter().all(|seen| {
                    sum(seen, "consumer_lag_records", group) == 0
                        && sum(seen, "consumer_in_flight_records", group) == 0
                })
        })
    }

    /// How far behind the pipeline is that is farthest behind.
    #[track_caller]
    pub(super) fn lag(&mut self) -> u64 {
        let seen = self.look();
        let lags = self.groups.values().map(|group| sum(&seen, "consumer_lag_records", group));
        lags.max().unwrap_or(0)
    }

    /// Waits until every pipeline works here: holds partitions, has done more than now.
    #[track_caller]
    pub(super) fn wait_for_work(&mut self) {
        let effected = |seen: &Metrics, group: &str| sum(seen, "records_effected_total", group);
        let before = self.look();
        self.wait_until(LIMIT, "all its pipelines work", |member| {
            let seen = member.look();
            member.groups.values().all(|group| {
                sum(&seen, "consumer_assigned_partitions", group) > 0
                    && effected(&seen, group) > effected(&before, group)
            })
        });
    }

    /// What `/readyz` says of each pipeline.
    #[track_caller]
    pub(super) fn states(&mut self) -> BTreeMap<String, String> {
        let (_, body) = self.process.get("/readyz");
        let said: serde_json::Value = serde_json::from_str(&body).unwrap();
        let pipelines = said["pipelines"].as_object().unwrap();
        let text = |state: &serde_json::Value| state.as_str().unwrap().to_owned();
        pipelines.iter().map(|(name, state)| (name.clone(), text(state))).collect()
    }

    /// Does it wait for something that is away?
    #[track_caller]
    pub(super) fn waits(&mut self) -> bool {
        self.states().values().any(|state| state.starts_with("waiting: "))
    }

    /// Do all its pipelines run?
    #[track_caller]
    pub(super) fn runs(&mut self) -> bool {
        self.states().values().all(|state| state == "running")
    }

    /// Waits; panics when it ends before, or when a pipeline halts.
    #[track_caller]
    pub(super) fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) {
        let end = std::time::Instant::now() + limit;
        while !is_so(self) {
            self.assert_never_halted();
            let ended = self.process.exit();
            assert!(ended.is_none(), "ended ({ended:?}) before {what}\n{}", self.log());
            let late = std::time::Instant::now() > end;
            assert!(!late, "waited {limit:?} in vain until {what}\n{:?}", self.look());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Asks it to stop by SIGTERM: it must end with 0 by itself.
    #[track_caller]
    pub(super) fn leave(mut self) {
        self.process.sigterm();
        let code = self.process.wait_exit(LEAVE_LIMIT);
        assert_eq!(code, Some(0), "exit code after SIGTERM\n{}", self.log());
        self.assert_never_halted();
    }

    /// Ends it by SIGKILL while a mail is under way; what each pipeline had taken by then.
    #[track_caller]
    pub(super) fn kill(mut self) -> BTreeMap<&'static str, u64> {
        self.wait_until(LIMIT, "a mail is under way", |member| {
            let seen = member.look();
            sum(&seen, "consumer_in_flight_records", &member.groups["email"]) > 0
        });
        let taken = self.taken();
        self.process.kill9();
        self.assert_never_halted();
        taken
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

fn sum(seen: &Metrics, name: &str, group: &str) -> u64 {
    let value = seen.sum(&format!("ordermill_{name}"), &[("group", group)]);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let count = value as u64;
    count
}
