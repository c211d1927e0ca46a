//! Groups as their coordinators see them.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::groups::GroupInfo;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::{Client, LIMIT};
use crate::kafka::error::{Error, no_nul};
use crate::record::PartitionId;

/// How long a group's coordinator may take to know what it must, and the time between two questions meanwhile.
const COORDINATOR_WITHIN: Duration = Duration::from_secs(3);
const COORDINATOR_PAUSE: Duration = Duration::from_millis(50);

/// A group as its coordinator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupState {
    /// Kafka's word: `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`; an embedded bus in
    /// another process tells neither it nor the members.
    pub state: String,
    /// Has it, or had it ever, members? A group that only a tool has set offsets for had none.
    pub had_members: bool,
    /// The members, in the coordinator's order.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// The id that the coordinator gave it.
    pub id: String,
    /// The name that it gave itself.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What it is assigned.
    pub partitions: Vec<PartitionId>,
}

impl Client {
    pub(super) fn groups(&self) -> Result<Vec<(String, GroupState)>, Error> {
        let asked = || self.consumer.fetch_group_list(None, LIMIT);
        let found = patiently(|| asked().map_err(|e| Error::call("list groups".to_owned(), &e)))?;
        let mut groups: Vec<_> =
            found.groups().iter().map(|g| (g.name().to_owned(), state_of(g))).collect();
        groups.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(groups)
    }

    pub(super) fn group(&self, group: &str) -> Result<GroupState, Error> {
        no_nul(group)?;
        let asked = || self.consumer.fetch_group_list(Some(group), LIMIT);
        let said = patiently(|| match asked() {
            Err(e)
                if e.rdkafka_error_code() == Some(Code::UnsupportedFeature)
                    && self.is_embedded() =>
            {
                Ok(None)
            }
            found => {
                found.map(Some).map_err(|e| Error::call(format!("describe group {group}"), &e))
            }
        })?;
        let Some(found) = said else {
            let state = "not told by an embedded bus".to_owned();
            return Ok(GroupState { state, had_members: true, members: Vec::new() });
        };
        let info = found.groups().iter().find(|g| g.name() == group);
        Ok(info.map_or_else(GroupState::unknown, state_of))
    }
}

impl GroupState {
    fn unknown() -> Self {
        Self { state: "Dead".to_owned(), had_members: false, members: Vec::new() }
    }
}

fn state_of(info: &GroupInfo) -> GroupState {
    let members = info
        .members()
        .iter()
        .map(|m| GroupMember {
            id: m.id().to_owned(),
            client_id: m.client_id().to_owned(),
            host: m.client_host().to_owned(),
            partitions: m.assignment().and_then(assigned).unwrap_or_default(),
        })
        .collect();
    let had_members = !info.protocol_type().is_empty();
    GroupState { state: info.state().to_owned(), had_members, members }
}

/// Asks again for a while where a group's coordinator is moving or still reads what it must know.
pub(super) fn patiently<T>(ask: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    let until = Instant::now() + COORDINATOR_WITHIN;
    loop {
        match ask() {
            Err(Error::Call {
                code:
                    Code::NotCoordinator
                    | Code::CoordinatorNotAvailable
                    | Code::CoordinatorLoadInProgress,
                ..
            }) if Instant::now() < until => thread::sleep(COORDINATOR_PAUSE),
            answered => return answered,
        }
    }
}

/// Reads a member's assignment as Kafka's consumer protocol writes it: version, then topics, each with
/// its partitions. `None`: it is something else.
fn assigned(bytes: &[u8]) -> Option<Vec<PartitionId>> {
    let mut rest = bytes.get(2..)?; // the version; all have the same beginning
    let mut take = |n: usize| {
        let (head, tail) = rest.split_at_checked(n)?;
        rest = tail;
        Some(head)
    };
    let mut out = Vec::new();
    let topics = i32::from_be_bytes(take(4)?.try_into().ok()?);
    for _ in 0..topics {
        let len = i16::from_be_bytes(take(2)?.try_into().ok()?);
        let topic: Arc<str> = std::str::from_utf8(take(usize::try_from(len).ok()?)?).ok()?.into();
        let partitions = i32::from_be_bytes(take(4)?.try_into().ok()?);
        for _ in 0..partitions {
            let number = i32::from_be_bytes(take(4)?.try_into().ok()?);
            out.push(PartitionId::new(Arc::clone(&topic), number));
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_and_a_cut_one_is_not() {
        let mut bytes = vec![0, 3, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2];
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 9]);
        bytes.extend([0xff; 4]); // no user data
        let want = vec![PartitionId::new("t", 4), PartitionId::new("t", 9)];
        assert_eq!(assigned(&bytes), Some(want));
        for cut in 0..21 {
            assert_eq!(assigned(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(assigned(&[]), None);
    }
}
