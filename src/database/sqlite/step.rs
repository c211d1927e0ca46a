//! A step in a SQLite file: one transaction of the one writer.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::super::outbox::refused;
use super::outbox::{Buried, bury};
use super::{Insert, Sqlite, error};
use crate::port::{Refusal, Step};
use crate::record::Fault;

/// The fence and the progress in one: moves only from where the step starts, and only for the newest owner.
const ADVANCE: &str = "
UPDATE ordermill_progress
SET next = ?5, updated_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE group_name = ?1 AND topic_id = ?2 AND partition = ?3 AND owner_epoch = ?4 AND next = ?6";

const LOOK: &str = "
SELECT next = ?5 AND owner_epoch = ?4 FROM ordermill_progress
WHERE group_name = ?1 AND topic_id = ?2 AND partition = ?3";

/// A step that owns its bytes, for the writer's thread.
struct Job {
    group: String,
    topic_id: String,
    partition: i32,
    epoch: i64,
    from: i64,
    to: i64,
    insert: Insert,
    bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    ends: Vec<usize>,
    letters: Vec<Buried>,
}

/// How it ended when the database itself did its part.
enum Ended {
    Done,
    Fenced,
    /// A dead letter was refused; nothing was done.
    Letter(rusqlite::Error),
}

impl Sqlite {
    /// See [`Database::step`](super::super::Database::step).
    pub(in crate::database) async fn step(
        &self,
        step: &Step<'_>,
        insert: &Insert,
    ) -> Result<(), Refusal> {
        let job = Job::copy_of(step, insert);
        let done = self.run("a step", move |connection| run(connection, &job)).await;
        match done {
            Ok(Ended::Done) => Ok(()),
            Ok(Ended::Fenced) => Err(Refusal::Fenced),
            Ok(Ended::Letter(cause)) => {
                let refused = refused(error("writing dead letters", &cause));
                Err(Refusal::Fault(Fault::from(refused)))
            }
            Err(error) => Err(Refusal::Fault(Fault::from(error))),
        }
    }
}

impl Job {
    fn copy_of(step: &Step<'_>, insert: &Insert) -> Self {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(step.rows.len());
        for row in step.rows.clone() {
            bytes.extend_from_slice(step.effects.row(row));
            ends.push(bytes.len());
        }
        Self {
            group: step.claim.group.to_string(),
            topic_id: step.claim.topic_id.to_string(),
            partition: step.claim.partition.partition,
            epoch: step.claim.epoch,
            from: step.from.0,
            to: step.to.0,
            insert: insert.clone(),
            bytes,
            ends,
            letters: step.dead.iter().map(Buried::copy_of).collect(),
        }
    }
}

/// Does it. Anything but a commit rolls back as the transaction is dropped.
fn run(connection: &mut Connection, job: &Job) -> rusqlite::Result<Ended> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let moved = transaction.prepare_cached(ADVANCE)?.execute(params![
        job.group,
        job.topic_id,
        job.partition,
        job.epoch,
        job.to,
        job.from
    ])?;
    if moved != 1 {
        // Nobody else writes: what is seen now is final.
        let done = transaction
            .prepare_cached(LOOK)?
            .query_row(params![job.group, job.topic_id, job.partition, job.epoch, job.to], |row| {
                row.get::<_, bool>(0)
            })
            .optional()?;
        return Ok(if done == Some(true) { Ended::Done } else { Ended::Fenced });
    }
    if let Err(error) = bury(&transaction, &job.letters) {
        return Ok(Ended::Letter(error));
    }
    {
        let mut statement = transaction.prepare_cached(&job.insert.sql)?;
        let mut start = 0;
        for &end in &job.ends {
            job.insert.row(&mut statement, &job.bytes[start..end])?;
            start = end;
        }
    }
    transaction.commit()?;
    Ok(Ended::Done)
}
