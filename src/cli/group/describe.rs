//! `group describe`: one group's members and places.

use std::collections::BTreeMap;

use serde_json::json;

use super::members;
use crate::cli::output;
use crate::engine::lag;
use crate::kafka;
use crate::port::{Admin as _, CommittedAt, Watermarks};
use crate::record::{Fault, PartitionId};

/// A group as it is shown.
pub(super) struct Described {
    group: String,
    state: kafka::GroupState,
    rows: Vec<Row>,
}

struct Row {
    partition: PartitionId,
    committed: Option<CommittedAt>,
    ends: Watermarks,
    member: Option<String>,
}

/// Looks at a group.
pub(super) async fn describe(
    admin: &kafka::Admin,
    group: &str,
    topics: &[String],
) -> Result<Described, Fault> {
    let state = admin.group(group).await?;
    let mut owners = BTreeMap::new();
    for member in &state.members {
        for partition in &member.partitions {
            owners.insert(partition.clone(), format!("{} ({})", member.client_id, member.host));
        }
    }
    let mut names: Vec<String> = topics.to_vec();
    names.extend(owners.keys().map(|p| p.topic.to_string()));
    if topics.is_empty() {
        names.extend(admin.committed_anywhere(group).await?.iter().map(|p| p.topic.to_string()));
    }
    names.sort();
    names.dedup();
    let mut partitions = Vec::new();
    for name in &names {
        let info = admin
            .topic(name)
            .await?
            .ok_or_else(|| Fault::fatal("unknown_topic", format!("topic {name} does not exist")))?;
        partitions.extend((0..info.partitions).map(|p| PartitionId::new(name.as_str(), p)));
    }
    // Committed first, the end second: a lag is never negative.
    let committed = admin.committed(group, &partitions).await?;
    let ends = admin.watermarks(&partitions).await?;
    let rows =
        partitions.into_iter().zip(committed).zip(ends).map(|((partition, committed), ends)| {
            let member = owners.get(&partition).cloned();
            Row { partition, committed, ends, member }
        });
    Ok(Described { group: group.to_owned(), rows: rows.collect(), state })
}

impl Row {
    fn lag(&self) -> Option<u64> {
        let at = self.committed.as_ref()?.next;
        Some(lag::records(self.ends.start, self.ends.end, at))
    }
}

impl Described {
    pub(super) fn print(&self) {
        let members = members(self.state.members.len());
        output::line(format!("group {}: {}, {members}", self.group, self.state.state));
        if self.rows.is_empty() {
            output::say(
                "it holds no partition and has committed nothing; name topics with --topic",
            );
            return;
        }
        let dash = || "-".to_owned();
        let rows = self.rows.iter().map(|row| {
            vec![
                row.partition.topic.to_string(),
                row.partition.partition.to_string(),
                row.committed.as_ref().map_or_else(dash, |c| c.next.to_string()),
                row.ends.end.to_string(),
                row.lag().map_or_else(dash, |lag| lag.to_string()),
                row.member.clone().unwrap_or_else(dash),
            ]
        });
        output::table(&["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "MEMBER"], rows);
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "topic": &*row.partition.topic,
                "partition": row.partition.partition,
                "committed": row.committed.as_ref().map(|c| c.next.0),
                "metadata": row.committed.as_ref().map(|c| c.metadata.clone()),
                "start": row.ends.start.0,
                "end": row.ends.end.0,
                "lag": row.lag(),
                "member": row.member,
            })
        });
        json!({
            "group": self.group,
            "state": self.state.state,
            "members": self.state.members.len(),
            "partitions": rows.collect::<Vec<_>>(),
        })
    }
}
