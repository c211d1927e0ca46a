//! The sink `sql` with `execute`.

use std::fmt;
use std::sync::Arc;

use super::Column;
use super::bound::Bound;
use super::plan::parameters;
use crate::database::{self, Database, Demand, SqlText};
use crate::port::{BatchSink, Encode, Future, Outbox, Progress, Refusal, Step};
use crate::record::Fault;

/// What a pipeline file says of a statement.
pub struct ExecuteOptions {
    /// The statement.
    pub statement: Arc<SqlText>,
    /// The event's fields, of which the statement names some.
    pub fields: Vec<(String, Arc<dyn Column>)>,
    /// What each event must have changed; `None`: any number of rows.
    pub demand: Option<Demand>,
}

impl fmt::Debug for ExecuteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecuteOptions")
            .field("statement", &self.statement)
            .field("demand", &self.demand)
            .finish_non_exhaustive()
    }
}

/// Runs a statement for each event, together with the progress.
#[derive(Debug)]
pub struct Execute {
    database: Arc<Database>,
    options: ExecuteOptions,
    bound: Bound<database::Execute>,
}

impl Execute {
    /// A statement in a database that several may share.
    pub fn new(database: Arc<Database>, options: ExecuteOptions) -> Self {
        Self { database, options, bound: Bound::none() }
    }

    async fn look(&self) -> Result<(), Fault> {
        let ExecuteOptions { statement, fields, demand } = &self.options;
        self.database.ready().await?;
        let described = self.database.describe(statement).await?;
        let fields = parameters(statement, &described.parameters, fields).map_err(|problems| {
            Fault::fatal("unfit", format!("execute: {}", problems.join("; ")))
        })?;
        let statement = self.database.execute(statement, &described, *demand);
        self.bound.set(fields, statement);
        Ok(())
    }
}

impl BatchSink for Execute {
    fn bind(&self) -> Future<'_, Result<(), Fault>> {
        Box::pin(self.look())
    }

    fn encoder(&self) -> Result<Box<dyn Encode>, Fault> {
        self.bound.encoder()
    }

    fn truth(&self) -> Option<&dyn Progress> {
        Some(&*self.database)
    }

    fn outbox(&self) -> Option<&dyn Outbox> {
        Some(&*self.database)
    }

    fn rejects(&self) -> bool {
        self.options.demand.is_some_and(|demand| !demand.drops)
    }

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let statement = self.bound.statement()?;
            self.database.step_each(&step, &statement).await
        })
    }
}
