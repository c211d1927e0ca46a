//! One face over the two drivers.

use std::sync::Arc;

use super::outbox::Letter;
use super::postgres::{self, Postgres};
use super::relay::{Hold, Turns};
use super::sqlite::{self, Sqlite};
use super::{Conflict, Demand, Described, Error, Settings, SqlText, Table};
use crate::port::{Beginning, Claim, Future, Progress, Refusal, Step, Wanted};
use crate::record::{Fault, NextOffset, PartitionId, TopicId};

/// A database that holds effects and progress. Shared by all pipelines and partitions that use it.
#[derive(Debug)]
pub struct Database {
    driver: Driver,
    /// The groups whose dead letters this process is sending.
    pub(super) turns: Turns,
}

#[derive(Debug)]
enum Driver {
    /// A server, by a pool of connections.
    Postgres(Postgres),
    /// A file, by its one writer.
    Sqlite(Sqlite),
}

/// Where a partition of a group goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub partition: PartitionId,
    /// The topic's identity.
    pub topic_id: TopicId,
    /// Next to read.
    pub next: NextOffset,
    /// Only as long as it stands under this epoch; 0: only as long as nobody has claimed it.
    pub epoch: Option<i64>,
}

impl Move {
    /// Where another tool has moved what is wanted, if one has.
    pub(super) fn of(wanted: &Wanted) -> Option<Self> {
        let moved = wanted.moved?;
        let (partition, topic_id) = (wanted.partition.clone(), wanted.topic_id);
        Some(Self { partition, topic_id, next: wanted.start, epoch: Some(moved.epoch) })
    }
}

/// Where a partition of a group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The partition.
    pub partition: PartitionId,
    /// The topic's identity.
    pub topic_id: TopicId,
    /// Next to read.
    pub next: NextOffset,
    /// Its owner's number; 0: nobody has claimed it.
    pub epoch: i64,
    /// Records below it are replayed ones, if the group moves from here.
    pub replay_mark: NextOffset,
}

/// The statement by which rows get into a table; made once, at bind, by [`Database::insert`].
#[derive(Debug)]
pub struct Insert(Statement);

#[derive(Debug)]
enum Statement {
    Postgres(postgres::Insert),
    Sqlite(sqlite::Insert),
}

/// A statement that runs once for each effect; made once, at bind, by [`Database::execute`].
#[derive(Debug)]
pub struct Execute(Each);

#[derive(Debug)]
enum Each {
    Postgres(postgres::Execute),
    Sqlite(sqlite::Execute),
}

const OTHER_DATABASE: Error = Error::Defect("a statement of one kind of database met the other");

impl Database {
    /// Opens it. PostgreSQL is not called yet: a server that is away is met at the first use.
    ///
    /// # Errors
    /// Settings that cannot work; a SQLite file that cannot be opened or is another process's.
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let driver = match settings {
            Settings::Postgres(settings) => Driver::Postgres(Postgres::open(settings)?),
            Settings::Sqlite(settings) => Driver::Sqlite(Sqlite::open(settings)?),
        };
        Ok(Self { driver, turns: Turns::default() })
    }

    /// Makes the tables of our own (progress, outbox) where they are missing, and checks that we may use them.
    ///
    /// # Errors
    /// `Unavailable` while the database is away; `Fatal` with the SQL to run when we may not.
    pub async fn ready(&self) -> Result<(), Error> {
        match &self.driver {
            Driver::Postgres(database) => database.ready().await,
            Driver::Sqlite(database) => database.ready().await,
        }
    }

    /// What a table is like; `None`: there is none of that name. The name may carry a schema.
    ///
    /// # Errors
    /// `Unavailable` while the database is away; `Fatal` when we may not look.
    pub async fn table(&self, name: &str) -> Result<Option<Table>, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.table(name).await,
            Driver::Sqlite(database) => database.table(name).await,
        }
    }

    /// Makes and checks the statement that inserts rows with these columns, in this order.
    ///
    /// Rows for PostgreSQL are fields, each an `i32` length (-1: null) and the bytes of the column's binary
    /// form, all big-endian; rows for SQLite are [`Cell`](super::Cell)s.
    ///
    /// # Errors
    /// `Unavailable` while the database is away; `Fatal` when it refuses the statement.
    pub async fn insert(
        &self,
        table: &Table,
        columns: &[String],
        conflict: &Conflict,
    ) -> Result<Insert, Error> {
        Ok(Insert(match &self.driver {
            Driver::Postgres(database) => {
                let insert = postgres::Insert::new(table, columns, conflict)?;
                database.check(&insert).await?;
                Statement::Postgres(insert)
            }
            Driver::Sqlite(database) => {
                let insert = sqlite::Insert::new(table, columns, conflict);
                database.check(&insert).await?;
                Statement::Sqlite(insert)
            }
        }))
    }

    /// Does a step: moves the partition's progress from `from` to `to`, puts the dead letters into the outbox
    /// and inserts the rows, all or nothing, if the claim is still the newest. Doing the same step twice does
    /// it once.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn step(&self, step: &Step<'_>, insert: &Insert) -> Result<(), Refusal> {
        match (&self.driver, &insert.0) {
            (Driver::Postgres(database), Statement::Postgres(insert)) => {
                database.step(step, insert).await
            }
            (Driver::Sqlite(database), Statement::Sqlite(insert)) => {
                database.step(step, insert).await
            }
            _ => Err(Refusal::Fault(OTHER_DATABASE.into())),
        }
    }

    /// Has the database look at a statement: what it is, whether we may run it, and of which types its
    /// parameters are. Nothing is run.
    ///
    /// # Errors
    /// `Unavailable` while the database is away; `Fatal` when it refuses the statement.
    pub async fn describe(&self, text: &SqlText) -> Result<Described, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.describe(text).await,
            Driver::Sqlite(database) => database.describe(text).await,
        }
    }

    /// Makes the statement that runs once for each effect, of the types that [`Database::describe`] said.
    ///
    /// Effects are rows as those of [`Database::insert`], a field for each parameter in the order of the names.
    pub fn execute(
        &self,
        text: &SqlText,
        described: &Described,
        demand: Option<Demand>,
    ) -> Execute {
        Execute(match &self.driver {
            Driver::Postgres(_) => Each::Postgres(postgres::Execute::new(text, described, demand)),
            Driver::Sqlite(_) => Each::Sqlite(sqlite::Execute::new(text, demand)),
        })
    }

    /// Does a step as [`Database::step`] does, with the statement once for each effect in their order. Records
    /// that changed another number of rows than is demanded leave no change; `step.otherwise` hears of them and
    /// gives the dead letters that are written with the step.
    ///
    /// # Errors
    /// See [`Refusal`].
    pub async fn step_each(&self, step: &Step<'_>, execute: &Execute) -> Result<(), Refusal> {
        match (&self.driver, &execute.0) {
            (Driver::Postgres(database), Each::Postgres(execute)) => {
                database.step_each(step, execute).await
            }
            (Driver::Sqlite(database), Each::Sqlite(execute)) => {
                database.step_each(step, execute).await
            }
            _ => Err(Refusal::Fault(OTHER_DATABASE.into())),
        }
    }

    /// Moves partitions of a group, all or none: each one's epoch is raised, so that an owner of it is fenced,
    /// and what the group had reached by work is its replay mark. `keep_ahead`: what was done ahead stays done.
    /// Asked again it does the same.
    ///
    /// # Errors
    /// `Unavailable` while the database is away.
    pub async fn move_to(
        &self,
        group: &str,
        moves: &[Move],
        keep_ahead: bool,
    ) -> Result<(), Error> {
        match &self.driver {
            Driver::Postgres(database) => database.move_to(group, moves, keep_ahead).await,
            Driver::Sqlite(database) => database.move_to(group, moves, keep_ahead).await,
        }
    }

    /// Where the partitions of a group stand, as far as they are known.
    ///
    /// # Errors
    /// `Unavailable` while the database is away.
    pub async fn standing(&self, group: &str) -> Result<Vec<Standing>, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.standing(group).await,
            Driver::Sqlite(database) => database.standing(group).await,
        }
    }

    /// Does a dead letter of this group wait?
    pub(super) async fn has_letters(&self, group: &str) -> Result<bool, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.has_letters(group).await,
            Driver::Sqlite(database) => database.has_letters(group).await,
        }
    }

    /// The oldest dead letters of a group behind `after`, the lowest first: at most `max` of them, and no
    /// more when they have `bytes` bytes together.
    pub(super) async fn oldest(
        &self,
        group: &str,
        after: i64,
        max: usize,
        bytes: usize,
    ) -> Result<Vec<Letter>, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.oldest(group, after, max, bytes).await,
            Driver::Sqlite(database) => database.oldest(group, after, max, bytes).await,
        }
    }

    /// Deletes dead letters that were sent.
    pub(super) async fn forget(&self, ids: &[i64]) -> Result<(), Error> {
        match &self.driver {
            Driver::Postgres(database) => database.forget(ids).await,
            Driver::Sqlite(database) => database.forget(ids).await,
        }
    }

    /// Takes or renews this process's right to send a group's dead letters.
    pub(super) async fn hold(&self, group: &str) -> Result<Hold, Error> {
        match &self.driver {
            Driver::Postgres(database) => database.hold(group).await,
            // No other process has the file.
            Driver::Sqlite(_) => Ok(Hold::Ours),
        }
    }

    /// Lets other processes send, and tells them what kept this one from it, if anything did.
    pub(super) async fn let_go(&self, group: &str, trouble: Option<&str>) -> Result<(), Error> {
        match &self.driver {
            Driver::Postgres(database) => database.let_go(group, trouble).await,
            Driver::Sqlite(_) => Ok(()),
        }
    }
}

impl Progress for Database {
    fn claim<'a>(
        &'a self,
        group: &'a Arc<str>,
        wanted: &'a [Wanted],
    ) -> Future<'a, Result<Vec<Claim>, Fault>> {
        Box::pin(async move {
            let claims = match &self.driver {
                Driver::Postgres(database) => database.claim(group, wanted).await,
                Driver::Sqlite(database) => database.claim(group, wanted).await,
            };
            claims.map_err(Fault::from)
        })
    }

    fn epochs<'a>(
        &'a self,
        group: &'a str,
        wanted: &'a [(PartitionId, TopicId)],
    ) -> Future<'a, Result<Vec<i64>, Fault>> {
        Box::pin(async move {
            let standing = self.standing(group).await.map_err(Fault::from)?;
            let epoch = |(partition, id): &(PartitionId, TopicId)| {
                let found = standing
                    .iter()
                    .find(|s| s.topic_id == *id && s.partition.partition == partition.partition);
                found.map_or(0, |standing| standing.epoch)
            };
            Ok(wanted.iter().map(epoch).collect())
        })
    }

    fn knows<'a>(
        &'a self,
        group: &'a str,
        topic: &'a str,
    ) -> Future<'a, Result<Option<bool>, Fault>> {
        Box::pin(async move {
            let standing = self.standing(group).await.map_err(Fault::from)?;
            Ok(Some(standing.iter().any(|standing| *standing.partition.topic == *topic)))
        })
    }

    fn begin<'a>(
        &'a self,
        group: &'a str,
        beginning: &'a Beginning,
    ) -> Future<'a, Result<(), Fault>> {
        Box::pin(async move {
            let begun = match &self.driver {
                Driver::Postgres(database) => database.begin(group, beginning).await,
                Driver::Sqlite(database) => database.begin(group, beginning).await,
            };
            begun.map_err(Fault::from)
        })
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        next: NextOffset,
        done_ahead: &'a [u8],
    ) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            match &self.driver {
                Driver::Postgres(database) => database.keep(claim, next, done_ahead).await,
                Driver::Sqlite(database) => database.keep(claim, next, done_ahead).await,
            }
        })
    }
}
