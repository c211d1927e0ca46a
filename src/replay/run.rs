//! A reset: looking at the world, and moving the group.

use std::sync::Arc;

use super::plan::{self, Meaning, Row, Standing, To};
use crate::database::{Database, Move};
use crate::kafka::{Admin, GroupMember};
use crate::pipeline::marker;
use crate::pipeline::spec::{OnReplay, Pipeline, Sink};
use crate::port::{Admin as _, Commit};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// A reset as it would be.
#[derive(Clone, Debug)]
pub struct Reset {
    /// The group.
    pub group: String,
    /// What becomes of its partitions.
    pub rows: Vec<Row>,
    /// What its sink does with records that are read again.
    pub meaning: Meaning,
    /// Who is in it now; it is moved only while it is empty.
    pub members: Vec<GroupMember>,
    /// Where its truth is kept besides Kafka.
    store: Option<Arc<Database>>,
    /// What was done ahead stays done.
    keep_ahead: bool,
}

/// Why a group is not moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such place.
    #[error(transparent)]
    Plan(#[from] plan::Error),
    /// Its sink does not let it.
    #[error("group {group} is not moved: {why}")]
    Refused {
        /// The group.
        group: String,
        /// Why, and what to do.
        why: &'static str,
    },
    /// Somebody works in it.
    #[error("group {group} is not moved: it has members: {members}; stop them first")]
    NotEmpty {
        /// The group.
        group: String,
        /// Their names, where they connect from, what they hold.
        members: String,
    },
    /// The cluster or a database.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Plans a reset of a pipeline's group. Nothing is changed. `topics`: only these of the pipeline's; none:
/// all.
///
/// # Errors
/// See [`Error`]; `Fault` while cluster or database are away, or a topic is missing.
pub async fn look(
    pipeline: &Pipeline,
    (topics, to): (&[String], &To),
    admin: &Admin,
    databases: impl Fn(&str) -> Option<Arc<Database>>,
    state: Option<&Arc<Database>>,
) -> Result<Reset, Error> {
    let group = pipeline.source.group.clone();
    let store = match &pipeline.sink {
        Sink::Sql(sql) => Some(databases(&sql.database).ok_or_else(|| {
            Fault::fatal("unknown_database", format!("database {} is not set", sql.database))
        })?),
        Sink::Mail(_) => state.cloned(),
        Sink::Topic(_) | Sink::Archive(_) => None,
    };
    let partitions = partitions(pipeline, topics, admin).await?;
    let standings = standings(&group, partitions, to, admin, store.as_deref()).await?;
    Ok(Reset {
        rows: plan::rows(&standings, to)?,
        members: admin.group(&group).await?.members,
        meaning: plan::meaning(pipeline, state.is_some()),
        keep_ahead: pipeline.on_replay == OnReplay::Skip,
        group,
        store,
    })
}

async fn partitions(
    pipeline: &Pipeline,
    topics: &[String],
    admin: &Admin,
) -> Result<Vec<(PartitionId, TopicId)>, Error> {
    let source = &pipeline.source.topics;
    if let Some(other) = topics.iter().find(|topic| !source.contains(topic)) {
        return Err(plan::Error::Foreign(other.clone()).into());
    }
    let mut ids = Vec::new();
    for topic in source.iter().filter(|topic| topics.is_empty() || topics.contains(topic)) {
        let info = admin.topic(topic).await?.ok_or_else(|| {
            Fault::fatal("unknown_topic", format!("topic {topic} does not exist"))
        })?;
        let all = (0..info.partitions).map(|p| (PartitionId::new(topic.as_str(), p), info.id));
        ids.extend(all);
    }
    Ok(ids)
}

async fn standings(
    group: &str,
    ids: Vec<(PartitionId, TopicId)>,
    to: &To,
    admin: &Admin,
    store: Option<&Database>,
) -> Result<Vec<Standing>, Fault> {
    let partitions: Vec<PartitionId> = ids.iter().map(|(id, _)| id.clone()).collect();
    let committed = admin.committed(group, &partitions).await?;
    let known = match store {
        Some(store) => Some(store.standing(group).await.map_err(Fault::from)?),
        None => None,
    };
    let found = match to {
        To::Time(time) => Some(admin.offsets_at(*time, &partitions).await?),
        To::Earliest | To::Offsets(_) => None,
    };
    let ends = admin.watermarks(&partitions).await?;
    let all = ids.into_iter().zip(committed).zip(ends).enumerate();
    Ok(all
        .map(|(i, (((partition, topic_id), committed), ends))| {
            let committed = committed.map(|c| c.next);
            let row = known.as_ref().map(|known| {
                known.iter().find(|s| {
                    s.topic_id == topic_id && s.partition.partition == partition.partition
                })
            });
            let at = row.map_or(committed, |row| row.map(|row| row.next));
            let mark = row.map_or(committed, |row| row.map(|row| row.replay_mark));
            let mark = mark.unwrap_or(NextOffset(0));
            let found = found.as_ref().map(|found| found[i]);
            Standing { partition, topic_id, at, mark, ends, found }
        })
        .collect())
}

/// Does a reset: the database first, which fences whoever works the partitions and keeps the replay mark,
/// then Kafka. Whatever ends it half-way, doing it again repairs it.
///
/// # Errors
/// See [`Error`]: refused, or the group has members; `Fault` while cluster or database are away.
pub async fn execute(reset: &Reset, admin: &Admin) -> Result<(), Error> {
    let group = || reset.group.clone();
    if let Meaning::Refused(why) = reset.meaning {
        return Err(Error::Refused { group: group(), why });
    }
    // Asked again: a person may have read the plan for a while.
    let members = admin.group(&reset.group).await?.members;
    if !members.is_empty() {
        return Err(Error::NotEmpty { group: group(), members: names(&members) });
    }
    if let Some(store) = &reset.store {
        let moves = reset.rows.iter().map(|row| Move {
            partition: row.partition.clone(),
            topic_id: row.topic_id,
            next: row.to,
            epoch: None,
        });
        let moves: Vec<Move> = moves.collect();
        store.move_to(&reset.group, &moves, reset.keep_ahead).await.map_err(Fault::from)?;
    }
    let commits = reset.rows.iter().map(|row| Commit {
        partition: row.partition.clone(),
        next: row.to,
        metadata: marker::of_a_reset(),
    });
    Ok(admin.commit(&reset.group, commits.collect()).await?)
}

/// Members for a person.
fn names(members: &[GroupMember]) -> String {
    let name = |member: &GroupMember| {
        let GroupMember { client_id, host, partitions, .. } = member;
        format!("{client_id} at {host} with {} partitions", partitions.len())
    };
    members.iter().map(name).collect::<Vec<_>>().join(", ")
}
