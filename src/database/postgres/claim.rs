//! The claim of partitions in the progress table.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::super::{Error, Move, Standing};
use super::pool::{Lease, Postgres};
use crate::port::{Beginning, Claim, Refusal, Wanted};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// Locks the rows in the order of the key, so that two members that claim the same partitions at once cannot
/// hold each other up.
const CLAIM: &str = "
INSERT INTO ordermill_progress AS p (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
SELECT $1, w.topic_id, w.partition, w.topic, w.start, w.start, 1
FROM unnest($2::uuid[], $3::int[], $4::text[], $5::bigint[])
     AS w(topic_id, partition, topic, start)
ORDER BY w.topic_id, w.partition
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET owner_epoch = p.owner_epoch + 1, topic = excluded.topic, updated_at = now()
RETURNING p.topic_id, p.partition, p.next, p.owner_epoch, p.replay_mark, p.done_ahead";

/// Moves partitions: what the group had reached by work is the replay mark from then on, and whoever owns
/// them is fenced. Asked again it does the same. A row that was claimed since it was looked at stays: the
/// epoch that it must have is one less than the one that is written; 0 says that any will do.
const MOVE: &str = "
INSERT INTO ordermill_progress AS p (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
SELECT $1, w.topic_id, w.partition, w.topic, w.next, w.next, coalesce(w.epoch + 1, 0)
FROM unnest($2::uuid[], $3::int[], $4::text[], $5::bigint[], $6::bigint[])
     AS w(topic_id, partition, topic, next, epoch)
ORDER BY w.topic_id, w.partition
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET replay_mark = CASE WHEN p.next > p.moved_to THEN greatest(p.replay_mark, p.next)
                                 ELSE p.replay_mark END,
              next = excluded.next, moved_to = excluded.next,
              owner_epoch = p.owner_epoch + 1, topic = excluded.topic,
              done_ahead = CASE WHEN $7 THEN p.done_ahead END, updated_at = now()
WHERE excluded.owner_epoch IN (0, p.owner_epoch + 1)";

/// Where partitions stand.
const STAND: &str = "
SELECT topic_id, partition, topic, next, owner_epoch,
       CASE WHEN next > moved_to THEN greatest(replay_mark, next) ELSE replay_mark END
FROM ordermill_progress WHERE group_name = $1";

/// Where a group begins: for all partitions of a topic of which it knows none.
const BEGIN: &str = "
INSERT INTO ordermill_progress (group_name, topic_id, partition, topic, next, moved_to, owner_epoch)
SELECT $1, $2, b.partition, $3, b.next, b.next, 0
FROM unnest($4::int[], $5::bigint[]) AS b(partition, next)
WHERE NOT EXISTS (SELECT 1 FROM ordermill_progress WHERE group_name = $1 AND topic = $3)
ORDER BY b.partition
ON CONFLICT (group_name, topic_id, partition) DO NOTHING";

/// The fence and the progress of a pipeline whose effects are elsewhere.
const KEEP: &str = "
UPDATE ordermill_progress SET next = $5, done_ahead = $6, updated_at = now()
WHERE group_name = $1 AND topic_id = $2 AND partition = $3 AND owner_epoch = $4 AND next <= $5";

impl Postgres {
    /// Claims partitions; see [`Progress::claim`](crate::port::Progress::claim).
    pub(in crate::database) async fn claim(
        &self,
        group: &Arc<str>,
        wanted: &[Wanted],
    ) -> Result<Vec<Claim>, Error> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.ready().await?;
        let lease = self.lease().await?;
        let moved: Vec<Move> = wanted.iter().filter_map(Move::of).collect();
        if let Some(keep_ahead) = wanted.iter().find_map(|w| w.moved).map(|moved| moved.keep_ahead)
        {
            let done = move_to(&lease, group, &moved, keep_ahead);
            if lease.wait("moving partitions", done).await? != moved.len() as u64 {
                return Err(Error::Overtaken);
            }
        }
        let rows = lease.wait("claiming partitions", claim(&lease, group, wanted)).await?;
        lease.give_back();
        wanted
            .iter()
            .map(|wanted| {
                let key = (wanted.topic_id.0, wanted.partition.partition);
                let standing =
                    rows.get(&key).ok_or(Error::Defect("a claim gave no row for a partition"))?;
                Ok(Claim {
                    group: Arc::clone(group),
                    partition: wanted.partition.clone(),
                    topic_id: wanted.topic_id,
                    epoch: standing.epoch,
                    next: standing.next,
                    replay_mark: standing.replay_mark,
                    done_ahead: standing.done_ahead.clone(),
                    begins: false,
                })
            })
            .collect()
    }

    /// See [`Progress::keep`](crate::port::Progress::keep).
    pub(in crate::database) async fn keep(
        &self,
        claim: &Claim,
        next: NextOffset,
        done_ahead: &[u8],
    ) -> Result<(), Refusal> {
        let lease = self.lease().await.map_err(Fault::from)?;
        let kept = async {
            let statement = lease.statement(KEEP).await?;
            let group = &*claim.group;
            let ahead = Some(done_ahead).filter(|bytes| !bytes.is_empty());
            lease
                .execute(
                    &statement,
                    &[
                        &group,
                        &claim.topic_id.0,
                        &claim.partition.partition,
                        &claim.epoch,
                        &next.0,
                        &ahead,
                    ],
                )
                .await
        };
        let kept = lease.wait("keeping the progress", kept).await.map_err(Fault::from)?;
        lease.give_back();
        if kept == 1 { Ok(()) } else { Err(Refusal::Fenced) }
    }
}

impl Postgres {
    /// See [`Database::move_to`](super::super::Database::move_to).
    pub(in crate::database) async fn move_to(
        &self,
        group: &str,
        moves: &[Move],
        keep_ahead: bool,
    ) -> Result<(), Error> {
        self.ready().await?;
        let lease = self.lease().await?;
        lease.wait("moving partitions", move_to(&lease, group, moves, keep_ahead)).await?;
        lease.give_back();
        Ok(())
    }

    /// See [`Database::standing`](super::super::Database::standing).
    pub(in crate::database) async fn standing(&self, group: &str) -> Result<Vec<Standing>, Error> {
        self.ready().await?;
        let lease = self.lease().await?;
        let rows = async {
            let statement = lease.statement(STAND).await?;
            let rows = lease.query(&statement, &[&group]).await?;
            let rows = rows.iter().map(|row| {
                let topic: &str = row.try_get(2)?;
                Ok(Standing {
                    topic_id: TopicId(row.try_get(0)?),
                    partition: PartitionId::new(topic, row.try_get(1)?),
                    next: NextOffset(row.try_get(3)?),
                    epoch: row.try_get(4)?,
                    replay_mark: NextOffset(row.try_get(5)?),
                })
            });
            rows.collect()
        };
        let rows = lease.wait("looking at the progress", rows).await?;
        lease.give_back();
        Ok(rows)
    }

    /// See [`Progress::begin`](crate::port::Progress::begin).
    pub(in crate::database) async fn begin(
        &self,
        group: &str,
        beginning: &Beginning,
    ) -> Result<(), Error> {
        self.ready().await?;
        let (partitions, nexts): (Vec<i32>, Vec<i64>) =
            (0..).zip(&beginning.starts).map(|(number, next)| (number, next.0)).unzip();
        let (id, topic) = (beginning.topic_id.0, &*beginning.topic);
        let lease = self.lease().await?;
        let begun = async {
            let statement = lease.statement(BEGIN).await?;
            lease.execute(&statement, &[&group, &id, &topic, &partitions, &nexts]).await
        };
        lease.wait("keeping where the group begins", begun).await?;
        lease.give_back();
        Ok(())
    }
}

async fn move_to(
    lease: &Lease,
    group: &str,
    moves: &[Move],
    keep_ahead: bool,
) -> Result<u64, tokio_postgres::Error> {
    let ids: Vec<Uuid> = moves.iter().map(|m| m.topic_id.0).collect();
    let partitions: Vec<i32> = moves.iter().map(|m| m.partition.partition).collect();
    let topics: Vec<&str> = moves.iter().map(|m| &*m.partition.topic).collect();
    let nexts: Vec<i64> = moves.iter().map(|m| m.next.0).collect();
    let epochs: Vec<Option<i64>> = moves.iter().map(|m| m.epoch).collect();
    let statement = lease.statement(MOVE).await?;
    let values: [&(dyn ToSql + Sync); 7] =
        [&group, &ids, &partitions, &topics, &nexts, &epochs, &keep_ahead];
    lease.execute(&statement, &values).await
}

/// All that this room does with the table.
pub(super) const STATEMENTS: [&str; 5] = [CLAIM, KEEP, MOVE, STAND, BEGIN];

/// What the row of a claimed partition says.
struct Claimed {
    next: NextOffset,
    epoch: i64,
    replay_mark: NextOffset,
    done_ahead: Vec<u8>,
}

type Rows = HashMap<(Uuid, i32), Claimed>;

async fn claim(
    lease: &Lease,
    group: &Arc<str>,
    wanted: &[Wanted],
) -> Result<Rows, tokio_postgres::Error> {
    let ids: Vec<Uuid> = wanted.iter().map(|w| w.topic_id.0).collect();
    let partitions: Vec<i32> = wanted.iter().map(|w| w.partition.partition).collect();
    let topics: Vec<&str> = wanted.iter().map(|w| &*w.partition.topic).collect();
    let starts: Vec<i64> = wanted.iter().map(|w| w.start.0).collect();
    let statement = lease.statement(CLAIM).await?;
    let group = &**group;
    lease
        .query(&statement, &[&group, &ids, &partitions, &topics, &starts])
        .await?
        .iter()
        .map(|row| {
            let key = (row.try_get(0)?, row.try_get(1)?);
            let standing = Claimed {
                next: NextOffset(row.try_get(2)?),
                epoch: row.try_get(3)?,
                replay_mark: NextOffset(row.try_get(4)?),
                done_ahead: row.try_get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default(),
            };
            Ok((key, standing))
        })
        .collect()
}
