//! A statement that runs once for each effect, in one transaction with the progress.
//!
//! ```text
//! → BEGIN · advance · (savepoint · rows)…            (sent together)
//! ← each changed what it must, or nothing at all     → who ended otherwise? · dead letters · COMMIT
//! ← one changed something else                       → ROLLBACK TO that savepoint, its rows one by one, go on
//! ```
//!
//! So a record that is refused for changing nothing costs one dead letter, and no second run.

use std::collections::VecDeque;
use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use futures::future::join4;
use tokio::sync::MutexGuard;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::{Format, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Statement};

use super::super::execute::records;
use super::super::{Demand, Described, Error, PostgresType, SqlText, SqlType};
use super::catalog::kind;
use super::insert::{MALFORMED, field};
use super::pool::{Lease, Postgres};
use super::send::{Request, all};
use super::step::{ADVANCE, AGAIN_MAX, Standing, check_letters, move_on, requests, to_and_fro};
use super::{classify, outbox};
use crate::port::{Refusal, Step};
use crate::record::{Class, Effects, End, Fault, Offset};

/// Rows that share a savepoint, and are run one by one when one of them must be undone.
const SPAN_ROWS: usize = 64;

/// Spans sent together. Below 64 savepoints, as many as the server keeps at hand for each transaction.
const FLIGHT_SPANS: usize = 16;

/// A step that takes longer runs again in halves, so that it ends within all other limits.
const SLOW: Duration = Duration::from_secs(5);

/// How long steps take turns after two of them met in a deadlock: the statement's rows will cross again.
const TURNS: Duration = Duration::from_secs(300);

/// One step of a group at a time, also of other processes, until the transaction ends.
const TAKE_TURN: &str = "SELECT pg_advisory_xact_lock(hashtextextended('ordermill ' || $1, 0))";

/// A statement that runs once for each effect.
#[derive(Debug)]
pub(in crate::database) struct Execute {
    sql: String,
    types: Vec<Type>,
    /// Which parameters go as text, for the server to read.
    as_text: Vec<bool>,
    demand: Option<Demand>,
    plain: bool,
    turns: Turns,
}

/// Whether steps of this process run one after another.
#[derive(Debug, Default)]
struct Turns {
    until: Mutex<Option<Instant>>,
    turn: tokio::sync::Mutex<()>,
}

impl Turns {
    /// Waits for its turn, if turns are taken.
    async fn take(&self) -> Option<MutexGuard<'_, ()>> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        match until {
            Some(until) if Instant::now() < until => Some(self.turn.lock().await),
            _ => None,
        }
    }

    fn begin(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + TURNS);
    }
}

/// A parameter's value.
struct Given<'a> {
    /// Behind the length, which is -1 for null.
    field: &'a [u8],
    format: Format,
}

/// Its size only: rows are personal data.
impl fmt::Debug for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.field.len())
    }
}

impl ToSql for Given<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        if self.field.first() == Some(&0xff) {
            return Ok(IsNull::Yes);
        }
        out.extend_from_slice(self.field.get(4..).unwrap_or_default());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        self.format
    }

    to_sql_checked!();
}

impl Execute {
    /// A statement as it was described.
    pub(in crate::database) fn new(
        text: &SqlText,
        described: &Described,
        demand: Option<Demand>,
    ) -> Self {
        let as_text = described
            .parameters
            .iter()
            .map(|ty| matches!(ty, SqlType::Postgres(PostgresType::Cast(_))))
            .collect();
        Self {
            sql: text.numbered('$'),
            types: described.types.clone(),
            as_text,
            demand,
            plain: text.is_plain(),
            turns: Turns::default(),
        }
    }

    fn given<'a>(&self, mut row: &'a [u8]) -> Result<Vec<Given<'a>>, Error> {
        let mut given = Vec::with_capacity(self.as_text.len());
        for as_text in &self.as_text {
            let format = if *as_text { Format::Text } else { Format::Binary };
            given.push(Given { field: field(&mut row)?, format });
        }
        if row.is_empty() { Ok(given) } else { Err(MALFORMED) }
    }
}

impl Postgres {
    /// See [`Database::describe`](super::super::Database::describe).
    pub(in crate::database) async fn describe(&self, text: &SqlText) -> Result<Described, Error> {
        const DOING: &str = "checking the statement";
        let sql = text.numbered('$');
        let lease = self.lease().await?;
        let asked = async { answered(lease.prepare(&sql).await) };
        let statement = lease.wait(DOING, asked).await?.map_err(|error| unfit(&sql, &error))?;
        let types = statement.params().to_vec();
        if types.len() != text.names().len() {
            return Err(Error::Unfit("execute: a parameter that is not written :name".to_owned()));
        }
        // Nothing is run, but the server asks whether it might be. Nulls may make the plan itself fail, which
        // says nothing.
        let plan = format!("EXPLAIN {sql}");
        let asked = async {
            let nulls = types.iter().map(|_| Given { field: &[0xff], format: Format::Binary });
            answered(match lease.prepare_typed(&plan, &types).await {
                Ok(statement) => lease.execute_raw(&statement, nulls.collect::<Vec<_>>()).await,
                Err(error) => Err(error),
            })
        };
        if let Err(error) = lease.wait(DOING, asked).await?
            && classify::error(DOING, &error).code() == "grant"
        {
            return Err(unfit(&plan, &error));
        }
        lease.give_back();
        let parameters = types.iter().map(|ty| SqlType::Postgres(parameter(ty))).collect();
        Ok(Described { parameters, types })
    }

    /// See [`Database::step_each`](super::super::Database::step_each).
    pub(in crate::database) async fn step_each(
        &self,
        step: &Step<'_>,
        execute: &Execute,
    ) -> Result<(), Refusal> {
        let mut last = to_and_fro(step);
        for _ in 0..AGAIN_MAX {
            let turn = execute.turns.take().await;
            match self.attempt_each(step, execute, turn.is_some()).await {
                Ok(true) => return Ok(()),
                Ok(false) => match self.look(step).await.map_err(Fault::from)? {
                    Standing::Done => return Ok(()),
                    Standing::Fenced => return Err(Refusal::Fenced),
                    Standing::Open => {}
                },
                // Also with a turn: those that began before turns were taken have none.
                Err(fault) if fault.code == "deadlock" => {
                    execute.turns.begin();
                    last = Refusal::Fault(fault);
                }
                Err(fault) => return Err(Refusal::Fault(fault)),
            }
        }
        Err(last)
    }

    /// One transaction. `false`: the progress did not move, and nothing else did.
    async fn attempt_each(
        &self,
        step: &Step<'_>,
        execute: &Execute,
        turn: bool,
    ) -> Result<bool, Fault> {
        let lease = self.lease().await?;
        // A single record cannot be halved: it has the time that the server gives it.
        let several = records(step.effects, step.rows.clone()).len() > 1;
        let limit = if several { SLOW } else { Duration::MAX };
        let Ok(moved) = timeout(limit, transact(&lease, step, execute, turn)).await else {
            drop(lease);
            let reason = format!("execute: a step took longer than {SLOW:?}: again in halves");
            return Err(Fault::new(Class::Conflict, "slow", reason));
        };
        match &moved {
            Ok(true) => lease.give_back(),
            Ok(false) => lease.roll_back().await,
            // The connection itself is in doubt: closed.
            Err(fault) if fault.class == Class::Unavailable => drop(lease),
            Err(_) => lease.roll_back().await,
        }
        moved
    }
}

async fn transact(
    lease: &Lease,
    step: &Step<'_>,
    execute: &Execute,
    turn: bool,
) -> Result<bool, Fault> {
    let statements = async {
        let advance = lease.statement(ADVANCE).await?;
        let bury = lease.statement(outbox::INSERT).await?;
        let turn = lease.statement(TAKE_TURN).await?;
        Ok((advance, bury, turn, lease.statement_of(&execute.sql, &execute.types).await?))
    };
    let (advance, bury, take_turn, each) = lease.wait("preparing a step", statements).await?;
    let mut run = Run::new(lease, &each, execute, step);
    let flight = run.take();
    let group = &*step.claim.group;
    let turn = async {
        match turn {
            true => lease.execute(&take_turn, &[&group]).await,
            false => Ok(0),
        }
    };
    // Polled in this order they are sent in this order, none waiting for the one before.
    let together = join4(
        lease.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        turn,
        move_on(lease, step, &advance),
        all(run.requests(&flight)?),
    );
    let (begun, turn, moved, answers) = lease.wait("a step", together.map(Ok)).await?;
    begun.map_err(|error| classify::error("beginning a step", &error))?;
    turn.map_err(|error| classify::error("waiting for its turn", &error))?;
    let moved = moved.map_err(|error| classify::error("moving the progress", &error))?;
    if moved != 1 {
        return Ok(false);
    }
    let ends = run.fly(flight, answers).await?;
    let letters = match (execute.demand, step.otherwise) {
        (None, _) => outbox::statements(step.dead)?,
        (Some(_), Some(otherwise)) => outbox::statements(&otherwise.end(ends).await?)?,
        (Some(_), None) => return Err(Error::Defect("a step that nobody judges").into()),
    };
    run.clear().await?;
    if !letters.is_empty() {
        let written = all(requests(lease, &bury, letters));
        check_letters(lease.wait("writing dead letters", written.map(Ok)).await?)?;
    }
    lease.wait("committing a step", lease.batch_execute("COMMIT")).await?;
    Ok(true)
}

/// Rows behind one savepoint, whole records.
type Span = Vec<(Offset, Range<usize>)>;

type Answer = Result<u64, tokio_postgres::Error>;

/// What became of a flight.
enum Landed {
    /// All of it stands.
    Whole,
    /// In the span of this number a record must be undone.
    Torn(usize),
}

/// The rows of a step on their way.
struct Run<'s> {
    lease: &'s Lease,
    statement: &'s Statement,
    execute: &'s Execute,
    effects: &'s Effects,
    spans: VecDeque<Span>,
    /// What must be said before anything else: savepoints to let go or to return to.
    lead: String,
    ends: Vec<(Offset, End)>,
}

impl<'s> Run<'s> {
    fn new(
        lease: &'s Lease,
        statement: &'s Statement,
        execute: &'s Execute,
        step: &Step<'s>,
    ) -> Self {
        let mut spans: VecDeque<Span> = VecDeque::new();
        let mut room = 0;
        for (offset, rows) in records(step.effects, step.rows.clone()) {
            if room == 0 {
                spans.push_back(Span::new());
                room = SPAN_ROWS;
            }
            room = room.saturating_sub(rows.len());
            if let Some(span) = spans.back_mut() {
                span.push((offset, rows));
            }
        }
        let (lead, ends) = (String::new(), Vec::new());
        Self { lease, statement, execute, effects: step.effects, spans, lead, ends }
    }

    fn client(&self) -> &'s Client {
        self.lease
    }

    fn take(&mut self) -> Vec<Span> {
        let count = self.spans.len().min(FLIGHT_SPANS);
        self.spans.drain(..count).collect()
    }

    /// The requests of a flight: for each span its savepoint, where one may be needed, and its rows.
    fn requests(&self, flight: &[Span]) -> Result<Vec<Request<'s>>, Error> {
        let mut requests = Vec::new();
        for (number, span) in flight.iter().enumerate() {
            if self.execute.demand.is_some() {
                requests.push(self.say(format!("SAVEPOINT s{number}")));
            }
            for (_, rows) in span {
                self.rows(rows, &mut requests)?;
            }
        }
        Ok(requests)
    }

    fn rows(&self, rows: &Range<usize>, requests: &mut Vec<Request<'s>>) -> Result<(), Error> {
        let (client, statement) = (self.client(), self.statement);
        for row in rows.clone() {
            let given = self.execute.given(self.effects.row(row))?;
            requests.push(Box::pin(async move { client.execute_raw(statement, given).await }));
        }
        Ok(())
    }

    fn say(&self, sql: String) -> Request<'s> {
        let client = self.client();
        Box::pin(async move { client.batch_execute(&sql).await.map(|()| 0) })
    }

    /// Waits for this flight, which was sent already, and for all that follow; answers who ended otherwise.
    async fn fly(
        &mut self,
        mut flight: Vec<Span>,
        mut answers: Vec<Answer>,
    ) -> Result<Vec<(Offset, End)>, Error> {
        loop {
            match self.land(&flight, answers)? {
                Landed::Whole if self.execute.demand.is_some() && !self.spans.is_empty() => {
                    "RELEASE SAVEPOINT s0".clone_into(&mut self.lead);
                }
                Landed::Whole => {}
                Landed::Torn(number) => {
                    for span in flight.drain(number + 1..).rev() {
                        self.spans.push_front(span);
                    }
                    if let Some(span) = flight.pop() {
                        self.one_by_one(number, &span).await?;
                    }
                }
            }
            flight = self.take();
            if flight.is_empty() {
                return Ok(std::mem::take(&mut self.ends));
            }
            self.clear().await?;
            let requests = all(self.requests(&flight)?);
            answers = self.lease.wait("running the statement", requests.map(Ok)).await?;
        }
    }

    /// Judges a flight by its answers. What comes behind a record that must be undone says nothing.
    fn land(&mut self, flight: &[Span], answers: Vec<Answer>) -> Result<Landed, Error> {
        let failed = |error| classify::error("running the statement", &error);
        let mut answers = answers.into_iter();
        for (number, span) in flight.iter().enumerate() {
            if self.execute.demand.is_some() {
                answers.next().transpose().map_err(failed)?;
            }
            let before = self.ends.len();
            for (offset, rows) in span {
                let changed: Vec<u64> =
                    answers.by_ref().take(rows.len()).collect::<Result<_, _>>().map_err(failed)?;
                let Some(end) = self.execute.demand.and_then(|demand| demand.judge(&changed))
                else {
                    continue;
                };
                if !self.execute.plain || changed.iter().any(|changed| *changed > 0) {
                    self.ends.truncate(before);
                    return Ok(Landed::Torn(number));
                }
                self.ends.push((*offset, end));
            }
        }
        Ok(Landed::Whole)
    }

    /// Runs the records of a span again, each behind a savepoint of its own.
    async fn one_by_one(&mut self, number: usize, span: &Span) -> Result<(), Error> {
        let mut lead = format!("ROLLBACK TO SAVEPOINT s{number}; SAVEPOINT r");
        for (offset, rows) in span {
            let mut requests = vec![self.say(lead)];
            self.rows(rows, &mut requests)?;
            let answers = self.lease.wait("running the statement", all(requests).map(Ok)).await?;
            let changed: Vec<u64> = answers
                .into_iter()
                .collect::<Result<_, _>>()
                .map_err(|error| classify::error("running the statement", &error))?;
            lead = match self.execute.demand.and_then(|demand| demand.judge(&changed[1..])) {
                None => "RELEASE SAVEPOINT r; SAVEPOINT r".to_owned(),
                Some(end) => {
                    self.ends.push((*offset, end));
                    "ROLLBACK TO SAVEPOINT r".to_owned()
                }
            };
        }
        self.lead = format!("{lead}; RELEASE SAVEPOINT s0");
        Ok(())
    }

    /// Says what must be said before anything else.
    async fn clear(&mut self) -> Result<(), Error> {
        if self.lead.is_empty() {
            return Ok(());
        }
        let lead = std::mem::take(&mut self.lead);
        self.lease.wait("running the statement", self.client().batch_execute(&lead)).await
    }
}

/// An answer of the server, be it an error, apart from a connection that broke.
fn answered<T>(
    answer: Result<T, tokio_postgres::Error>,
) -> Result<Result<T, tokio_postgres::Error>, tokio_postgres::Error> {
    match answer {
        Err(error) if error.as_db_error().is_none() => Err(error),
        answer => Ok(answer),
    }
}

/// What the server says of a statement that it refuses; no value of a row is in it.
fn unfit(sql: &str, error: &tokio_postgres::Error) -> Error {
    let Some(answer) = error.as_db_error() else {
        return classify::error("checking the statement", error);
    };
    let known = classify::error("checking the statement", error);
    if matches!(known.classify(), Class::Unavailable | Class::Conflict) {
        return known;
    }
    let mut text = format!("execute: {}", answer.message());
    if let Some(ErrorPosition::Original(at)) = answer.position() {
        let from = usize::try_from(*at).unwrap_or(1).saturating_sub(1);
        let near: String = sql.chars().skip(from).take(NEAR_CHARACTERS).collect();
        text.push_str(&format!(", at `{near}`"));
    }
    if let Some(hint) = answer.hint() {
        text.push_str(&format!("; {hint}"));
    }
    text.push_str(&format!(" ({})", answer.code().code()));
    Error::Unfit(text)
}

/// How much of a statement is shown where it is refused.
const NEAR_CHARACTERS: usize = 40;

/// A parameter's type by how a value gets into it.
fn parameter(ty: &Type) -> PostgresType {
    match ty.kind() {
        Kind::Domain(of) => parameter(of),
        Kind::Composite(_) | Kind::Pseudo => PostgresType::Unsupported,
        _ => kind(ty.oid(), -1, ty.name().to_owned()),
    }
}
