//! `group`: where consumer groups stand.

use std::collections::BTreeMap;

use serde_json::json;

use super::args::{Common, Group, GroupCommand, Output};
use super::{Failure, output, world};
use crate::engine::lag;
use crate::kafka;
use crate::port::{Admin as _, CommittedAt, Watermarks};
use crate::record::{Fault, PartitionId};

/// Does what was asked of groups.
///
/// # Errors
/// The cluster is away, or does not let us look.
pub(super) async fn group(common: &Common, command: &Group) -> Result<(), Failure> {
    let config = world::config(common, None)?;
    let admin = kafka::Admin::new(&world::kafka(&config)?).map_err(|e| e.fault())?;
    match &command.command {
        GroupCommand::Describe { group, topic, output } => {
            let described = describe(&admin, group, topic).await?;
            match output {
                Output::Table => described.print(),
                Output::Json => output::line(described.json()),
            }
            Ok(())
        }
    }
}

/// A group as it is shown.
struct Described {
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

async fn describe(
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
    fn print(&self) {
        let members = match self.state.members.len() {
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        };
        output::line(format!("group {}: {}, {members}", self.group, self.state.state));
        if self.rows.is_empty() {
            output::say(
                "no member holds a partition; name topics with --topic to see what is committed",
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

    fn json(&self) -> serde_json::Value {
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
