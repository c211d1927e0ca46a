//! A step in a SQLite file: one transaction of the one writer.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::super::Error;
use super::super::outbox::refused;
use super::execute::{Each, Ended as EachEnded};
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
pub(super) struct Job {
    group: String,
    topic_id: String,
    partition: i32,
    epoch: i64,
    from: i64,
    to: i64,
    work: Work,
    rows: Rows,
    letters: Vec<Buried>,
}

/// What is done with the rows.
pub(super) enum Work {
    Insert(Insert),
    Each(Each),
}

/// Rows that are owned.
#[derive(Default)]
pub(super) struct Rows {
    bytes: Vec<u8>,
    /// Where each row ends in `bytes`.
    ends: Vec<usize>,
}

impl Rows {
    /// How many.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The row of this index.
    pub(super) fn row(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
}

/// How it ended when the database itself did its part.
enum Ended {
    Done,
    Fenced,
    /// A dead letter was refused; nothing was done.
    Letter(rusqlite::Error),
    /// Nobody said what becomes of the records that ended otherwise; nothing was done.
    Unanswered,
}

impl Ended {
    /// What the step's caller hears.
    fn outcome(self) -> Result<(), Refusal> {
        match self {
            Ended::Done => Ok(()),
            Ended::Fenced => Err(Refusal::Fenced),
            Ended::Letter(cause) => {
                let refused = refused(error("writing dead letters", &cause));
                Err(Refusal::Fault(Fault::from(refused)))
            }
            Ended::Unanswered => {
                Err(Fault::from(Error::Defect("a step that nobody judges")).into())
            }
        }
    }
}

impl Sqlite {
    /// See [`Database::step`](super::super::Database::step).
    pub(in crate::database) async fn step(
        &self,
        step: &Step<'_>,
        insert: &Insert,
    ) -> Result<(), Refusal> {
        self.work(Job::copy_of(step, Work::Insert(insert.clone()))).await
    }

    /// Has the writer do it.
    pub(super) async fn work(&self, job: Job) -> Result<(), Refusal> {
        match self.run("a step", move |connection| run(connection, job)).await {
            Ok(ended) => ended.outcome(),
            Err(error) => Err(Refusal::Fault(Fault::from(error))),
        }
    }
}

impl Job {
    /// A step's own copy of it.
    pub(super) fn copy_of(step: &Step<'_>, work: Work) -> Self {
        let mut rows = Rows::default();
        for row in step.rows.clone() {
            rows.bytes.extend_from_slice(step.effects.row(row));
            rows.ends.push(rows.bytes.len());
        }
        Self {
            group: step.claim.group.to_string(),
            topic_id: step.claim.topic_id.to_string(),
            partition: step.claim.partition.partition,
            epoch: step.claim.epoch,
            from: step.from.0,
            to: step.to.0,
            work,
            rows,
            letters: step.dead.iter().map(Buried::copy_of).collect(),
        }
    }
}

/// Does it. Anything but a commit rolls back as the transaction is dropped.
fn run(connection: &mut Connection, job: Job) -> rusqlite::Result<Ended> {
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
    let mut letters = job.letters;
    match job.work {
        Work::Insert(insert) => {
            let mut statement = transaction.prepare_cached(&insert.sql)?;
            for row in 0..job.rows.len() {
                insert.row(&mut statement, job.rows.row(row))?;
            }
        }
        Work::Each(each) => match each.run(&transaction, &job.rows)? {
            EachEnded::All => {}
            EachEnded::Letters(all) => letters = all,
            EachEnded::Unanswered => return Ok(Ended::Unanswered),
        },
    }
    if let Err(error) = bury(&transaction, &letters) {
        return Ok(Ended::Letter(error));
    }
    transaction.commit()?;
    Ok(Ended::Done)
}
