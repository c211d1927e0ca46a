//! Where a group begins in a topic that it has never worked: `source.from`, kept for all partitions at once,
//! before the group is joined. A partition that is added later is not among them and starts at its beginning.
//!
//! Where the truth is a database its progress rows say it. Elsewhere it is a commit with our marker, which
//! Kafka takes only as long as the group has no members: so whoever joins first has the last word.

use std::sync::Arc;

use super::effect::Effect;
use super::marker;
use super::spec::{From, OnReplay, Pipeline};
use crate::port::{Admin, Beginning, Commit, CommittedAt, TopicInfo, Watermarks};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// What Kafka calls a commit of somebody who is no member of a group that has some.
const HAS_MEMBERS: &str = "unknown_member_id";

/// Keeps where the pipeline's group begins, in each topic where it has never begun.
///
/// # Errors
/// `Unavailable` while the cluster or the store is away. `Fatal` when we may not ask or commit, or the
/// cluster has no look-up by time.
pub async fn begin(pipeline: &Pipeline, admin: &dyn Admin, sink: &Effect) -> Result<(), Fault> {
    for topic in &pipeline.source.topics {
        // Bind has seen it; if it is gone now, the claim will wait for it.
        let Some(info) = admin.topic(topic).await? else { continue };
        let group = &pipeline.source.group;
        let known = match sink.truth() {
            Some(truth) => truth.knows(group, topic).await?,
            None => None,
        };
        match (sink.truth(), known) {
            (Some(truth), Some(false)) => {
                let ids = partitions(topic, &info);
                if let Some(starts) = starts(pipeline, admin, &ids).await? {
                    let topic = Arc::from(topic.as_str());
                    let beginning = Beginning { topic, topic_id: info.id, starts };
                    truth.begin(group, &beginning).await?;
                }
            }
            (_, Some(_)) => {}
            (truth, None) => {
                let ids = partitions(topic, &info);
                let forgetful = pipeline.on_replay == OnReplay::Skip && truth.is_none();
                by_commits(pipeline, admin, (&ids, info.id), forgetful).await?;
            }
        }
    }
    Ok(())
}

fn partitions(topic: &str, info: &TopicInfo) -> Vec<PartitionId> {
    let topic: Arc<str> = Arc::from(topic);
    (0..info.partitions).map(|number| PartitionId::new(Arc::clone(&topic), number)).collect()
}

/// `source.from` as offsets; nothing: at the beginning, as every partition that nobody knows.
async fn starts(
    pipeline: &Pipeline,
    admin: &dyn Admin,
    partitions: &[PartitionId],
) -> Result<Option<Vec<NextOffset>>, Fault> {
    match pipeline.source.from {
        From::Earliest => Ok(None),
        From::Latest => {
            let ends = admin.watermarks(partitions).await?;
            Ok(Some(ends.into_iter().map(|ends| ends.end).collect()))
        }
        From::Time(time) => {
            let found = admin.offsets_at(time.as_millisecond(), partitions).await;
            found.map(Some).map_err(|fault| Fault {
                reason: format!("`source.from` {time}: {}", fault.reason),
                ..fault
            })
        }
    }
}

/// Where no store keeps it. `forgetful`: what another tool set before the first start is made ours, since
/// nobody could tell it from a move back later.
async fn by_commits(
    pipeline: &Pipeline,
    admin: &dyn Admin,
    (partitions, topic_id): (&[PartitionId], TopicId),
    forgetful: bool,
) -> Result<(), Fault> {
    if pipeline.source.from == From::Earliest && !forgetful {
        return Ok(());
    }
    let group = &pipeline.source.group;
    let committed = admin.committed(group, partitions).await?;
    let any = committed.iter().flatten().next().is_some();
    let ours = committed.iter().flatten().any(|at| marker::is_ours(&at.metadata));
    if ours || (any && admin.had_members(group).await?) {
        return Ok(());
    }
    let starts = starts(pipeline, admin, partitions).await?;
    let ends = admin.watermarks(partitions).await?;
    let commits = commits((partitions, topic_id), &committed, starts.as_deref(), &ends);
    if commits.is_empty() {
        return Ok(());
    }
    match admin.commit(group, commits).await {
        Err(fault) if fault.code == HAS_MEMBERS => {
            // Another process was faster; or members of an older file do not read this topic.
            let committed = admin.committed(group, partitions).await?;
            if committed.iter().all(Option::is_none) {
                tracing::warn!(
                    pipeline = %pipeline.name,
                    "the group has members and has committed nothing here: it begins at the beginning"
                );
            }
            Ok(())
        }
        other => other,
    }
}

fn commits(
    (partitions, topic_id): (&[PartitionId], TopicId),
    committed: &[Option<CommittedAt>],
    starts: Option<&[NextOffset]>,
    ends: &[Watermarks],
) -> Vec<Commit> {
    let all = partitions.iter().zip(committed).zip(ends).enumerate();
    all.filter_map(|(i, ((partition, committed), ends))| {
        let set = committed.as_ref().map(|at| at.next.clamp(ends.start, ends.end));
        let next = set.or_else(|| starts.map(|starts| starts[i]))?;
        let metadata = marker::of_a_beginning(topic_id);
        Some(Commit { partition: partition.clone(), next, metadata })
    })
    .collect()
}
