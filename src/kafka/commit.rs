//! Commits on the poll thread: on the way without waiting, before partitions are given up with.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::assignment::contains;
use super::consumer::Rebalance;
use super::error::Error;
use super::poll::{POLL, PollThread};
use crate::port::Commit;
use crate::record::{NextOffset, PartitionId};

/// How long a commit that is waited for may take. Less than any drain time, which it is a part of.
const COMMIT: Duration = Duration::from_secs(5);
/// How long the last commit may take with everything that is in its way: while a member waits for the
/// others to join, its coordinator answers nothing else.
const LAST_COMMIT: Duration = Duration::from_secs(15);

impl PollThread {
    /// Commits without waiting; every call is answered once at `Intake::committed`.
    pub(super) fn commit(&mut self, commits: &[Commit]) {
        let held: Vec<&Commit> = commits.iter().filter(|c| self.may_commit(c)).collect();
        if held.is_empty() {
            self.intake.committed(Ok(&[]));
            return;
        }
        let sent = offsets(&held).and_then(|l| self.consumer.commit(&l));
        if let Err(e) = sent {
            self.intake.committed(Err(e.to_string()));
        }
    }

    /// Ours, and not lost to somebody else meanwhile.
    pub(super) fn may_commit(&self, commit: &Commit) -> bool {
        let id = &commit.partition;
        let lost = match &self.pending {
            Some(Rebalance::Revoke { partitions, lost: true }) => contains(partitions, id),
            _ => false,
        };
        !lost && self.lanes.get(&id.topic, id.partition).is_some()
    }

    /// Commits and waits; a coordinator that moves is tried a few times.
    pub(super) fn commit_now(&self, commits: &[&Commit]) {
        if !commits.is_empty() {
            self.tell_committed(commits, self.commit_patiently(commits));
        }
    }

    /// Commits what is held, or just being given, before it is worked.
    pub(super) fn commit_first(&self, commits: &[Commit]) -> Result<(), String> {
        let given = |commit: &Commit| match &self.pending {
            Some(Rebalance::Assign(list)) => contains(list, &commit.partition),
            Some(Rebalance::Revoke { .. }) | None => false,
        };
        if let Some(other) = commits.iter().find(|c| !given(c) && !self.may_commit(c)) {
            return Err(format!("{} is no longer held", other.partition));
        }
        let commits: Vec<&Commit> = commits.iter().collect();
        self.commit_patiently(&commits).map_err(|e| e.to_string())
    }

    fn commit_patiently(&self, commits: &[&Commit]) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.commit_once(commits, COMMIT) {
                Err(Error::Call { code, .. }) if tries < 4 && passes(code) => {
                    self.vitals.tick();
                    thread::sleep(Duration::from_millis(50 << tries));
                }
                other => return other,
            }
        }
    }

    fn commit_once(&self, commits: &[&Commit], limit: Duration) -> Result<(), Error> {
        // The list goes at once: one that went through a commit holds its partitions.
        self.consumer.commit_within(&offsets(commits)?, limit)
    }

    fn tell_committed(&self, commits: &[&Commit], result: Result<(), Error>) {
        match result {
            Ok(()) => {
                let done: Vec<(PartitionId, NextOffset)> =
                    commits.iter().map(|c| (c.partition.clone(), c.next)).collect();
                self.intake.committed(Ok(&done));
            }
            Err(e) => {
                tracing::warn!(error = %e, "commit before giving partitions up: they may repeat");
                self.intake.committed(Err(e.to_string()));
            }
        }
    }

    /// The last commit, then the end. A commit between two generations is refused: then the rebalance is
    /// served first, and the commit tried again.
    pub(super) fn leave(&mut self, commits: &[Commit]) {
        let until = Instant::now() + LAST_COMMIT;
        let mut left: Vec<&Commit> = commits.iter().filter(|c| self.may_commit(c)).collect();
        while !left.is_empty() {
            let limit = until.saturating_duration_since(Instant::now());
            let result = self.commit_once(&left, limit);
            let again = matches!(
                &result,
                Err(Error::Call { code, .. }) if passes(*code) || *code == Code::IllegalGeneration
            );
            if !again || Instant::now() >= until {
                self.tell_committed(&left, result);
                break;
            }
            self.vitals.tick();
            self.let_it_pass(&mut left);
        }
    }

    /// Serves the rebalance that is in the way of the last commit.
    fn let_it_pass(&mut self, left: &mut Vec<&Commit>) {
        if let Some(pending) = self.pending.take() {
            self.pass(pending, left);
        }
        let until = Instant::now() + POLL;
        while Instant::now() < until {
            match self.consumer.poll_callbacks() {
                Ok(Some(rebalance)) => self.pass(rebalance, left),
                Ok(None) => thread::sleep(Duration::from_millis(5)),
                Err(Error::Call { .. }) => {}
                Err(e) => {
                    tracing::warn!(error = %e, "while leaving the group");
                    left.clear();
                    return;
                }
            }
        }
    }

    /// Ends a rebalance of a member that has nothing more to do but commit.
    fn pass(&mut self, rebalance: Rebalance, left: &mut Vec<&Commit>) {
        if let Rebalance::Revoke { partitions, lost } = &rebalance {
            if !*lost {
                let ours: Vec<&Commit> =
                    left.iter().copied().filter(|c| contains(partitions, &c.partition)).collect();
                self.commit_now(&ours);
            }
            left.retain(|c| !contains(partitions, &c.partition));
        }
        self.accepted(rebalance);
    }
}

/// Does a commit's failure pass by itself?
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::RebalanceInProgress
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::NotCoordinator
            | Code::WaitingForCoordinator
            | Code::RequestTimedOut
            | Code::BrokerTransportFailure
    )
}

fn offsets(commits: &[&Commit]) -> Result<TopicPartitionList, Error> {
    let mut list = TopicPartitionList::with_capacity(commits.len());
    for commit in commits {
        let id = &commit.partition;
        let mut element = list.add_partition(&id.topic, id.partition);
        element
            .set_offset(Offset::Offset(commit.next.0))
            .map_err(|e| Error::call(format!("commit {id} at {}", commit.next), &e))?;
        if !commit.metadata.is_empty() {
            element.set_metadata(&commit.metadata);
        }
    }
    Ok(list)
}
