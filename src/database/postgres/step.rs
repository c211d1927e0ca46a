//! A step: one transaction, two round trips, fenced by its first statement.
//!
//! ```text
//! → BEGIN · advance · dead letters · insert      (sent together)
//! ← one row advanced                             → COMMIT ←
//! ← none advanced                                → ROLLBACK · look
//! ```

use futures::FutureExt;
use futures::future::join4;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::super::Error;
use super::super::outbox::refused;
use super::insert::{Arrays, Cut, Insert};
use super::pool::{Lease, Postgres};
use super::send::{Request, all};
use super::{classify, outbox};
use crate::port::{Refusal, Step};
use crate::record::{Class, Fault};

/// The fence and the progress in one: moves only from where the step starts, and only for the newest owner.
pub(super) const ADVANCE: &str = "
UPDATE ordermill_progress SET next = $5, updated_at = now()
WHERE group_name = $1 AND topic_id = $2 AND partition = $3 AND owner_epoch = $4 AND next = $6";

/// Waits for a transaction that may still be about to move it.
const LOOK: &str = "
SELECT next, owner_epoch FROM ordermill_progress
WHERE group_name = $1 AND topic_id = $2 AND partition = $3 FOR UPDATE";

/// How often a step is run again that did not move though nothing stood in its way.
pub(super) const AGAIN_MAX: usize = 3;

/// Statements under way at once.
const PIPELINE_MAX: usize = 64;

/// What the progress row says of a step that did not move it.
pub(super) enum Standing {
    /// It was done before.
    Done,
    /// It was not, and may be now.
    Open,
    /// The partition is another owner's, or was moved by hand.
    Fenced,
}

impl Postgres {
    /// Prepares a statement, so that a table it does not fit is found at bind.
    pub(in crate::database) async fn check(&self, insert: &Insert) -> Result<(), Error> {
        let lease = self.lease().await?;
        lease.wait("checking the insert", lease.statement(insert.sql())).await?;
        lease.give_back();
        Ok(())
    }

    /// See [`Database::step`](super::super::Database::step).
    pub(in crate::database) async fn step(
        &self,
        step: &Step<'_>,
        insert: &Insert,
    ) -> Result<(), Refusal> {
        let mut cut = Cut::ByKey;
        for _ in 0..AGAIN_MAX {
            match self.attempt(step, insert, cut).await {
                Ok(true) => return Ok(()),
                Ok(false) => match self.look(step).await.map_err(Fault::from)? {
                    Standing::Done => return Ok(()),
                    Standing::Fenced => return Err(Refusal::Fenced),
                    Standing::Open => {}
                },
                Err(error) if cut == Cut::ByKey && insert.met_a_row_twice(&error) => {
                    cut = Cut::EachRow;
                }
                Err(error) => return Err(Refusal::Fault(error.into())),
            }
        }
        Err(to_and_fro(step))
    }

    /// One transaction. `false`: the progress did not move, and nothing else did.
    async fn attempt(&self, step: &Step<'_>, insert: &Insert, cut: Cut) -> Result<bool, Error> {
        let arrays = insert.statements(step.effects, step.rows.clone(), cut)?;
        let letters = outbox::statements(step.dead)?;
        let lease = self.lease().await?;
        let moved = transact(&lease, step, insert, arrays, letters).await;
        match &moved {
            Ok(true) => lease.give_back(),
            Ok(false) => lease.roll_back().await,
            // The connection itself is in doubt (a server that became a read-only replica keeps its
            // connections): closed.
            Err(error) if error.classify() == Class::Unavailable => drop(lease),
            Err(_) => lease.roll_back().await,
        }
        moved
    }

    pub(super) async fn look(&self, step: &Step<'_>) -> Result<Standing, Error> {
        let claim = step.claim;
        let group = &*claim.group;
        let lease = self.lease().await?;
        let row = async {
            let statement = lease.statement(LOOK).await?;
            let key: [&(dyn ToSql + Sync); 3] =
                [&group, &claim.topic_id.0, &claim.partition.partition];
            match lease.query_opt(&statement, &key).await? {
                Some(row) => Ok(Some((row.try_get::<_, i64>(0)?, row.try_get::<_, i64>(1)?))),
                None => Ok(None),
            }
        };
        let row = lease.wait("looking at the progress", row).await?;
        lease.give_back();
        Ok(match row {
            Some((next, epoch)) if epoch == claim.epoch && next == step.to.0 => Standing::Done,
            Some((next, epoch)) if epoch == claim.epoch && next == step.from.0 => Standing::Open,
            _ => Standing::Fenced,
        })
    }
}

/// What is said of a progress that does not stay where it is put.
pub(super) fn to_and_fro(step: &Step<'_>) -> Refusal {
    let reason = format!("progress of {} moved to and fro", step.claim.partition);
    Refusal::Fault(Fault::new(Class::Conflict, "progress", reason))
}

async fn transact(
    lease: &Lease,
    step: &Step<'_>,
    insert: &Insert,
    arrays: Vec<Arrays>,
    letters: Vec<Arrays>,
) -> Result<bool, Error> {
    let statements = async {
        let advance = lease.statement(ADVANCE).await?;
        let bury = lease.statement(outbox::INSERT).await?;
        Ok((advance, bury, lease.statement(insert.sql()).await?))
    };
    let (advance, bury, rows) = lease.wait("preparing a step", statements).await?;
    let mut arrays = arrays.into_iter();
    // Polled in this order they are sent in this order, none waiting for the one before.
    let together = join4(
        lease.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        move_on(lease, step, &advance),
        all(requests(lease, &bury, letters)),
        all(requests(lease, &rows, arrays.by_ref().take(PIPELINE_MAX))),
    );
    let (begun, moved, buried, written) = lease.wait("a step", together.map(Ok)).await?;
    // Whoever failed first made the later ones fail: their answers say nothing. And when the progress did
    // not move, the rows have no say: they may be there already.
    begun.map_err(|error| classify::error("beginning a step", &error))?;
    let moved = moved.map_err(|error| classify::error("moving the progress", &error))?;
    if moved != 1 {
        return Ok(false);
    }
    check_letters(buried)?;
    let mut written = check("inserting rows", written)?;
    while written == PIPELINE_MAX {
        let window = all(requests(lease, &rows, arrays.by_ref().take(PIPELINE_MAX)));
        written = check("inserting rows", lease.wait("inserting rows", window.map(Ok)).await?)?;
    }
    let commit = lease.batch_execute("COMMIT");
    lease.wait("committing a step", commit).await?;
    Ok(true)
}

pub(super) async fn move_on(
    client: &Client,
    step: &Step<'_>,
    advance: &Statement,
) -> Result<u64, tokio_postgres::Error> {
    let claim = step.claim;
    let group = &*claim.group;
    let parameters: [&(dyn ToSql + Sync); 6] = [
        &group,
        &claim.topic_id.0,
        &claim.partition.partition,
        &claim.epoch,
        &step.to.0,
        &step.from.0,
    ];
    client.execute(advance, &parameters).await
}

/// Each of these arrays with the statement.
pub(super) fn requests<'a>(
    client: &'a Client,
    statement: &'a Statement,
    arrays: impl IntoIterator<Item = Arrays>,
) -> Vec<Request<'a>> {
    arrays
        .into_iter()
        .map(|arrays| Box::pin(arrays.run(client, statement)) as Request<'a>)
        .collect()
}

/// How many answers there are; or the first error among them.
fn check(
    doing: &'static str,
    answers: Vec<Result<u64, tokio_postgres::Error>>,
) -> Result<usize, Error> {
    let count = answers.len();
    for answer in answers {
        answer.map_err(|error| classify::error(doing, &error))?;
    }
    Ok(count)
}

/// Were the dead letters written?
pub(super) fn check_letters(answers: Vec<Result<u64, tokio_postgres::Error>>) -> Result<(), Error> {
    check("writing dead letters", answers).map(|_| ()).map_err(refused)
}
