//! The progress table in a SQLite file, and the claim of partitions in it.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};
use uuid::Uuid;

use super::super::{Error, Move, Standing};
use super::{Sqlite, outbox};
use crate::port::{Beginning, Claim, Refusal, Wanted};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS ordermill_progress (
group_name TEXT NOT NULL,
topic_id TEXT NOT NULL,
partition INTEGER NOT NULL,
topic TEXT NOT NULL,
next INTEGER NOT NULL,
moved_to INTEGER NOT NULL,
owner_epoch INTEGER NOT NULL,
replay_mark INTEGER NOT NULL DEFAULT 0,
done_ahead BLOB,
updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
PRIMARY KEY (group_name, topic_id, partition)
) WITHOUT ROWID";

const CLAIM: &str = "
INSERT INTO ordermill_progress (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1)
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET owner_epoch = owner_epoch + 1, topic = excluded.topic,
              updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
RETURNING next, owner_epoch, replay_mark, done_ahead";

/// Moves a partition: what the group had reached by work is the replay mark from then on, and whoever owns
/// it is fenced. Asked again it does the same. A row that was claimed since it was looked at stays.
const MOVE: &str = "
INSERT INTO ordermill_progress (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, coalesce(?7 + 1, 0))
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET replay_mark = CASE WHEN next > moved_to THEN max(replay_mark, next) ELSE replay_mark END,
              next = excluded.next, moved_to = excluded.next,
              owner_epoch = owner_epoch + 1, topic = excluded.topic,
              done_ahead = CASE WHEN ?6 THEN done_ahead END,
              updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE ?7 IS NULL OR owner_epoch = ?7";

/// Where partitions stand.
const STAND: &str = "
SELECT topic_id, partition, topic, next, owner_epoch,
       CASE WHEN next > moved_to THEN max(replay_mark, next) ELSE replay_mark END
FROM ordermill_progress WHERE group_name = ?1";

/// Does the group know this topic?
const KNOWN: &str = "
SELECT EXISTS (SELECT 1 FROM ordermill_progress WHERE group_name = ?1 AND topic = ?2)";

/// Where a group begins in a partition.
const BEGIN: &str = "
INSERT INTO ordermill_progress (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0) ON CONFLICT DO NOTHING";

/// The fence and the progress of a pipeline whose effects are elsewhere.
const KEEP: &str = "
UPDATE ordermill_progress
SET next = ?5, done_ahead = ?6, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE group_name = ?1 AND topic_id = ?2 AND partition = ?3 AND owner_epoch = ?4 AND next <= ?5";

impl Sqlite {
    /// See [`Database::ready`](super::super::Database::ready).
    pub(in crate::database) async fn ready(&self) -> Result<(), Error> {
        self.run("making the tables of ordermill", |connection| {
            connection.execute_batch(CREATE)?;
            connection.execute_batch(outbox::CREATE)
        })
        .await
    }

    /// Claims partitions; see [`Progress::claim`](crate::port::Progress::claim).
    pub(in crate::database) async fn claim(
        &self,
        group: &Arc<str>,
        wanted: &[Wanted],
    ) -> Result<Vec<Claim>, Error> {
        self.ready().await?;
        let (group, wanted) = (Arc::clone(group), wanted.to_vec());
        let claimed = move |connection: &mut Connection| claim(connection, &group, &wanted);
        self.run("claiming partitions", claimed).await?.ok_or(Error::Overtaken)
    }

    /// See [`Database::move_to`](super::super::Database::move_to).
    pub(in crate::database) async fn move_to(
        &self,
        group: &str,
        moves: &[Move],
        keep_ahead: bool,
    ) -> Result<(), Error> {
        self.ready().await?;
        let (group, moves) = (group.to_owned(), moves.to_vec());
        let all = move |connection: &mut Connection| {
            let behaviour = TransactionBehavior::Immediate;
            let transaction = connection.transaction_with_behavior(behaviour)?;
            move_all(&transaction, &group, &moves, keep_ahead)?;
            transaction.commit()
        };
        self.run("moving partitions", all).await
    }

    /// See [`Database::standing`](super::super::Database::standing).
    pub(in crate::database) async fn standing(&self, group: &str) -> Result<Vec<Standing>, Error> {
        self.ready().await?;
        let group = group.to_owned();
        self.run("looking at the progress", move |connection| standing(connection, &group)).await
    }

    /// See [`Progress::begin`](crate::port::Progress::begin).
    pub(in crate::database) async fn begin(
        &self,
        group: &str,
        beginning: &Beginning,
    ) -> Result<(), Error> {
        self.ready().await?;
        let (group, beginning) = (group.to_owned(), beginning.clone());
        let begun = move |connection: &mut Connection| begin(connection, &group, &beginning);
        self.run("keeping where the group begins", begun).await
    }

    /// See [`Progress::keep`](crate::port::Progress::keep).
    pub(in crate::database) async fn keep(
        &self,
        claim: &Claim,
        next: NextOffset,
        done_ahead: &[u8],
    ) -> Result<(), Refusal> {
        let (claim, ahead) = (claim.clone(), Some(done_ahead.to_vec()).filter(|b| !b.is_empty()));
        let keep = move |connection: &mut Connection| {
            connection.prepare_cached(KEEP)?.execute(params![
                &*claim.group,
                claim.topic_id.to_string(),
                claim.partition.partition,
                claim.epoch,
                next.0,
                ahead
            ])
        };
        let kept = self.run("keeping the progress", keep).await.map_err(Fault::from)?;
        if kept == 1 { Ok(()) } else { Err(Refusal::Fenced) }
    }
}

fn move_all(
    connection: &Connection,
    group: &str,
    moves: &[Move],
    keep_ahead: bool,
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare_cached(MOVE)?;
    let mut moved = 0;
    for one in moves {
        moved += statement.execute(params![
            group,
            one.topic_id.to_string(),
            one.partition.partition,
            &*one.partition.topic,
            one.next.0,
            keep_ahead,
            one.epoch
        ])?;
    }
    Ok(moved)
}

fn standing(connection: &Connection, group: &str) -> rusqlite::Result<Vec<Standing>> {
    let mut statement = connection.prepare_cached(STAND)?;
    let rows = statement.query_map(params![group], |row| {
        let (id, topic): (String, String) = (row.get(0)?, row.get(2)?);
        Ok(Standing {
            // An id that is none belongs to nobody.
            topic_id: TopicId(Uuid::parse_str(&id).unwrap_or_default()),
            partition: PartitionId::new(topic, row.get(1)?),
            next: NextOffset(row.get(3)?),
            epoch: row.get(4)?,
            replay_mark: NextOffset(row.get(5)?),
        })
    })?;
    rows.collect()
}

fn begin(connection: &mut Connection, group: &str, beginning: &Beginning) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let topic = &*beginning.topic;
    let known: bool = transaction.query_row(KNOWN, params![group, topic], |row| row.get(0))?;
    if !known {
        let mut statement = transaction.prepare_cached(BEGIN)?;
        let id = beginning.topic_id.to_string();
        for (number, next) in (0..).zip(&beginning.starts) {
            let number: i32 = number;
            statement.execute(params![group, id, number, topic, next.0])?;
        }
    }
    transaction.commit()
}

/// Nothing: a partition that was to be moved was claimed meanwhile.
fn claim(
    connection: &mut Connection,
    group: &Arc<str>,
    wanted: &[Wanted],
) -> rusqlite::Result<Option<Vec<Claim>>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved: Vec<Move> = wanted.iter().filter_map(Move::of).collect();
    let keep_ahead = wanted.iter().any(|w| w.moved.is_some_and(|moved| moved.keep_ahead));
    if move_all(&transaction, group, &moved, keep_ahead)? != moved.len() {
        return Ok(None);
    }
    let mut claims = Vec::with_capacity(wanted.len());
    {
        let mut statement = transaction.prepare_cached(CLAIM)?;
        for one in wanted {
            claims.push(statement.query_row(
                params![
                    &**group,
                    one.topic_id.to_string(),
                    one.partition.partition,
                    &*one.partition.topic,
                    one.start.0
                ],
                |row| {
                    Ok(Claim {
                        group: Arc::clone(group),
                        partition: one.partition.clone(),
                        topic_id: one.topic_id,
                        next: NextOffset(row.get(0)?),
                        epoch: row.get(1)?,
                        replay_mark: NextOffset(row.get(2)?),
                        done_ahead: row.get::<_, Option<Vec<u8>>>(3)?.unwrap_or_default(),
                        begins: false,
                    })
                },
            )?);
        }
    }
    transaction.commit()?;
    Ok(Some(claims))
}
