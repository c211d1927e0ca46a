//! The marker that stands in the metadata of every commit of ours.
//!
//! A committed offset without it was set by another tool, such as Kafka's own `--reset-offsets`, which
//! leaves the metadata empty.

use crate::port::{Claim, Commit};
use crate::record::NextOffset;

/// What every marker begins with; the number is the marker's form.
const PREFIX: &str = "ordermill/1";

/// Did we make this commit?
pub fn is_ours(metadata: &str) -> bool {
    metadata.split(' ').next() == Some(PREFIX)
}

/// A commit of ours: the watermark with the epoch under which it was reached.
pub fn commit(claim: &Claim, next: NextOffset) -> Commit {
    Commit {
        partition: claim.partition.clone(),
        next,
        metadata: format!("{PREFIX} epoch={}", claim.epoch),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::record::{PartitionId, TopicId};

    #[test]
    fn our_commits_are_known_and_nobody_elses() {
        let claim = Claim {
            group: Arc::from("g"),
            partition: PartitionId::new("t", 0),
            topic_id: TopicId(Uuid::nil()),
            epoch: 7,
            next: NextOffset(0),
            replay_mark: NextOffset(0),
            done_ahead: Vec::new(),
        };
        assert!(is_ours(&commit(&claim, NextOffset(3)).metadata));
        assert!(!is_ours(""));
        assert!(!is_ours("ordermill/2 epoch=1"));
        assert!(!is_ours("ordermill/10"));
    }
}
