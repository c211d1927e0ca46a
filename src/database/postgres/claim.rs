//! The claim of partitions in the progress table.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use super::super::Error;
use super::pool::{Lease, Postgres};
use crate::port::{Claim, Refusal, Wanted};
use crate::record::{Fault, NextOffset};

/// Locks the rows in the order of the key, so that two members that claim the same partitions at once cannot
/// hold each other up.
pub(super) const CLAIM: &str = "
INSERT INTO ordermill_progress AS p (group_name, topic_id, partition, topic, next, owner_epoch)
SELECT $1, w.topic_id, w.partition, w.topic, w.start, 1
FROM unnest($2::uuid[], $3::int[], $4::text[], $5::bigint[])
     AS w(topic_id, partition, topic, start)
ORDER BY w.topic_id, w.partition
ON CONFLICT (group_name, topic_id, partition)
DO UPDATE SET owner_epoch = p.owner_epoch + 1, topic = excluded.topic, updated_at = now()
RETURNING p.topic_id, p.partition, p.next, p.owner_epoch, p.replay_mark, p.done_ahead";

/// The fence and the progress of a pipeline whose effects are elsewhere.
pub(super) const KEEP: &str = "
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

/// What the row of a claimed partition says.
struct Standing {
    next: NextOffset,
    epoch: i64,
    replay_mark: NextOffset,
    done_ahead: Vec<u8>,
}

type Rows = HashMap<(Uuid, i32), Standing>;

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
            let standing = Standing {
                next: NextOffset(row.try_get(2)?),
                epoch: row.try_get(3)?,
                replay_mark: NextOffset(row.try_get(4)?),
                done_ahead: row.try_get::<_, Option<Vec<u8>>>(5)?.unwrap_or_default(),
            };
            Ok((key, standing))
        })
        .collect()
}
