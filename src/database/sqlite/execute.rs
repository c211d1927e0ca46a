//! A statement that runs once for each effect, in a SQLite file.

use std::ops::Range;

use rusqlite::Transaction;
use tokio::sync::oneshot;

use super::super::execute::records;
use super::super::{Affinity, Demand, Described, Error, SqlText, SqlType};
use super::outbox::Buried;
use super::step::{Job, Rows, Work};
use super::{Sqlite, error, insert};
use crate::port::{Otherwise, Refusal, Step};
use crate::record::{End, Fault, Offset};

/// How much of a statement is shown where it is refused.
const NEAR_CHARACTERS: usize = 40;

/// A statement that runs once for each effect.
#[derive(Clone, Debug)]
pub(in crate::database) struct Execute {
    sql: String,
    parameters: usize,
    demand: Option<Demand>,
}

impl Execute {
    /// A statement that was described.
    pub(in crate::database) fn new(text: &SqlText, demand: Option<Demand>) -> Self {
        Self { sql: text.numbered('?'), parameters: text.names().len(), demand }
    }
}

/// The statement with what its run needs, for the writer's thread.
pub(super) struct Each {
    execute: Execute,
    judged: Option<Judged>,
}

/// A demand with the records that it is held against, and the way to who hears of them.
struct Judged {
    demand: Demand,
    /// By index among the rows of the step.
    records: Vec<(Offset, Range<usize>)>,
    ends: oneshot::Sender<Vec<(Offset, End)>>,
    letters: oneshot::Receiver<Vec<Buried>>,
}

/// How the rows of a step ended.
pub(super) enum Ended {
    /// All ran.
    All,
    /// All ran; these are all dead letters of the step.
    Letters(Vec<Buried>),
    /// Nobody waits for the step any more, or a record is not at hand.
    Unanswered,
}

impl Each {
    /// Runs it with each row in turn. What changes another number of rows than it must is undone.
    pub(super) fn run(self, transaction: &Transaction<'_>, rows: &Rows) -> rusqlite::Result<Ended> {
        let Execute { sql, parameters, .. } = &self.execute;
        let mut statement = transaction.prepare_cached(sql)?;
        let Some(judged) = self.judged else {
            for row in 0..rows.len() {
                insert::run(&mut statement, *parameters, rows.row(row))?;
            }
            return Ok(Ended::All);
        };
        let mut ends = Vec::new();
        let mut changed = Vec::new();
        let mut save = transaction.prepare_cached("SAVEPOINT record")?;
        let mut keep = transaction.prepare_cached("RELEASE record")?;
        let mut undo = transaction.prepare_cached("ROLLBACK TO record")?;
        for (offset, range) in judged.records {
            save.raw_execute()?;
            changed.clear();
            for row in range {
                changed.push(insert::run(&mut statement, *parameters, rows.row(row))?);
            }
            if let Some(end) = judged.demand.judge(&changed) {
                undo.raw_execute()?;
                ends.push((offset, end));
            }
            keep.raw_execute()?;
        }
        if judged.ends.send(ends).is_err() {
            return Ok(Ended::Unanswered);
        }
        // The writer's own thread may wait; whoever gives the step up ends the wait too.
        Ok(judged.letters.blocking_recv().map_or(Ended::Unanswered, Ended::Letters))
    }
}

impl Sqlite {
    /// See [`Database::describe`](super::super::Database::describe).
    pub(in crate::database) async fn describe(&self, text: &SqlText) -> Result<Described, Error> {
        let (sql, names) = (text.numbered('?'), text.names().len());
        let looked = self.run("checking the statement", move |connection| {
            Ok(match connection.prepare(&sql) {
                Ok(statement) => unfit(&statement, names).map_or(Ok(()), Err),
                Err(refused) => Err(said(&sql, &refused)),
            })
        });
        looked.await??;
        Ok(Described {
            parameters: vec![SqlType::Sqlite(Affinity::Text); names],
            types: Vec::new(),
        })
    }

    /// See [`Database::step_each`](super::super::Database::step_each).
    pub(in crate::database) async fn step_each(
        &self,
        step: &Step<'_>,
        execute: &Execute,
    ) -> Result<(), Refusal> {
        let execute = execute.clone();
        let Some(demand) = execute.demand else {
            let work = Work::Each(Each { execute, judged: None });
            return self.work(Job::copy_of(step, work)).await;
        };
        let Some(otherwise) = step.otherwise else {
            return Err(Fault::from(Error::Defect("a step that nobody judges")).into());
        };
        let (ends, heard) = oneshot::channel();
        let (answer, letters) = oneshot::channel();
        let first = step.rows.start;
        let records = records(step.effects, step.rows.clone())
            .into_iter()
            .map(|(offset, rows)| (offset, rows.start - first..rows.end - first))
            .collect();
        let judged = Some(Judged { demand, records, ends, letters });
        let job = Job::copy_of(step, Work::Each(Each { execute, judged }));
        let (done, answered) = futures::join!(self.work(job), tell(otherwise, heard, answer));
        // Why there was no answer says more than that there was none.
        answered?;
        done
    }
}

/// Tells who ended otherwise, if the step comes so far, and hands the letters back.
async fn tell(
    otherwise: &dyn Otherwise,
    heard: oneshot::Receiver<Vec<(Offset, End)>>,
    answer: oneshot::Sender<Vec<Buried>>,
) -> Result<(), Refusal> {
    let Ok(ends) = heard.await else { return Ok(()) };
    let letters = otherwise.end(ends).await?;
    // When the writer does not wait any more, its own outcome says why.
    let _ = answer.send(letters.iter().map(Buried::copy_of).collect());
    Ok(())
}

/// What a statement is that cannot be run for each event.
fn unfit(statement: &rusqlite::Statement<'_>, names: usize) -> Option<Error> {
    let why = if statement.parameter_count() != names {
        "a parameter that is not written :name"
    } else if statement.readonly() {
        "the statement changes nothing"
    } else if statement.column_count() > 0 {
        "the statement gives rows back: leave RETURNING out"
    } else {
        return None;
    };
    Some(Error::Unfit(format!("execute: {why}")))
}

/// What SQLite says of a statement that it refuses.
fn said(sql: &str, refused: &rusqlite::Error) -> Error {
    let rusqlite::Error::SqlInputError { msg, offset, .. } = refused else {
        return error("checking the statement", refused);
    };
    let at = usize::try_from(*offset).ok().and_then(|at| sql.get(at..));
    let near = at.map_or_else(String::new, |rest| {
        format!(", at `{}`", rest.chars().take(NEAR_CHARACTERS).collect::<String>())
    });
    Error::Unfit(format!("execute: {msg}{near}"))
}
