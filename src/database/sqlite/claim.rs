//! The progress table in a SQLite file, and the claim of partitions in it.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior, params};

use super::super::Error;
use super::{Sqlite, outbox};
use crate::port::{Claim, Refusal, Wanted};
use crate::record::{Fault, NextOffset};

const CREATE: &str = "CREATE TABLE IF NOT EXISTS ordermill_progress (
group_name TEXT NOT NULL,
topic_id TEXT NOT NULL,
partition INTEGER NOT NULL,
topic TEXT NOT NULL,
next INTEGER NOT NULL,
owner_epoch INTEGER NOT NULL,
replay_mark INTEGER NOT NULL DEFAULT 0,
done_ahead BLOB,
updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
PRIMARY KEY (group_name, topic_id, partition)
) WITHOUT ROWID";

const CLAIM: &str = "
INSERT INTO ordermill_progress (group_name, topic_id, partition, topic, next, owner_epoch)
VALUES (?1, ?2, ?3, ?4, ?5, 1)
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET owner_epoch = owner_epoch + 1, topic = excluded.topic,
              updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
RETURNING next, owner_epoch, replay_mark, done_ahead";

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
        self.run("claiming partitions", move |connection| claim(connection, &group, &wanted)).await
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

fn claim(
    connection: &mut Connection,
    group: &Arc<str>,
    wanted: &[Wanted],
) -> rusqlite::Result<Vec<Claim>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
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
                    })
                },
            )?);
        }
    }
    transaction.commit()?;
    Ok(claims)
}
