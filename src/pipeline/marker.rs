//! The marker that stands in the metadata of every commit of ours.
//!
//! A committed offset without it was set by another tool, such as Kafka's own `--reset-offsets`, which
//! leaves the metadata empty.

use crate::port::{Claim, Commit};
use crate::record::{NextOffset, TopicId};

/// What every marker begins with; the number is the marker's form.
const PREFIX: &str = "ordermill/1";

/// What stands before the topic's identity.
const TOPIC: &str = "topic=";

/// What says that a group begins there.
const BEGIN: &str = "begin";

/// Did we make this commit?
pub fn is_ours(metadata: &str) -> bool {
    metadata.split(' ').next() == Some(PREFIX)
}

/// Is it a commit of ours for a topic that is no more? A commit may reach Kafka after the topic was deleted and
/// made again, and would stand at the new one then.
pub fn is_of_another_topic(metadata: &str, topic_id: TopicId) -> bool {
    let said = metadata.split(' ').find_map(|word| word.strip_prefix(TOPIC));
    is_ours(metadata) && said.is_some_and(|said| said != topic_id.to_string())
}

/// A commit of ours: the watermark with the epoch under which it was reached, and the topic's identity.
pub fn commit(claim: &Claim, next: NextOffset) -> Commit {
    let metadata = match claim.begins && next == claim.next {
        true => of_a_beginning(claim.topic_id),
        false => format!("{PREFIX} epoch={} {TOPIC}{}", claim.epoch, claim.topic_id),
    };
    Commit { partition: claim.partition.clone(), next, metadata }
}

/// What stands beside an offset at which a group begins: nothing before it was worked.
pub fn of_a_beginning(topic_id: TopicId) -> String {
    format!("{PREFIX} {BEGIN} {TOPIC}{topic_id}")
}

/// Does a group begin there?
pub fn is_a_beginning(metadata: &str) -> bool {
    is_ours(metadata) && metadata.split(' ').nth(1) == Some(BEGIN)
}

/// What stands beside an offset that `group reset` has set.
pub fn of_a_reset() -> String {
    format!("{PREFIX} reset")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::record::PartitionId;

    fn claim() -> Claim {
        Claim {
            group: Arc::from("g"),
            partition: PartitionId::new("t", 0),
            topic_id: TopicId(Uuid::nil()),
            epoch: 7,
            next: NextOffset(0),
            replay_mark: NextOffset(0),
            begins: false,
            done_ahead: Vec::new(),
        }
    }

    #[test]
    fn a_commit_says_which_topic_of_its_name_it_is_of() {
        let (old, new) = (TopicId(Uuid::nil()), TopicId(Uuid::max()));
        let ours = commit(&claim(), NextOffset(3)).metadata;
        for ours in [ours, of_a_beginning(old)] {
            assert!(is_of_another_topic(&ours, new) && !is_of_another_topic(&ours, old));
        }
        // who does not say it is believed
        for other in ["", &of_a_reset(), "ordermill/1 epoch=1", "other topic=x"] {
            assert!(!is_of_another_topic(other, new), "{other}");
        }
    }

    #[test]
    fn our_commits_are_known_and_nobody_elses() {
        let claim = claim();
        assert!(is_ours(&commit(&claim, NextOffset(3)).metadata));
        assert!(is_ours(&of_a_reset()) && is_ours(&of_a_beginning(claim.topic_id)));
        let begins = Claim { begins: true, ..claim.clone() };
        for (claim, next, beginning) in
            [(&claim, 0, false), (&begins, 0, true), (&begins, 1, false)]
        {
            let metadata = commit(claim, NextOffset(next)).metadata;
            assert_eq!(is_a_beginning(&metadata), beginning, "{metadata}");
        }
        assert!(!is_ours(""));
        assert!(!is_ours("ordermill/2 epoch=1"));
        assert!(!is_ours("ordermill/10"));
    }
}
