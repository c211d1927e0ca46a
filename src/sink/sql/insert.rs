//! The sink `sql` with `insert`.

use std::fmt;
use std::sync::Arc;

use super::Column;
use super::bound::Bound;
use super::plan::plan;
use crate::database::{self, Conflict, Database};
use crate::port::{BatchSink, Encode, Future, Outbox, Progress, Refusal, Step};
use crate::record::Fault;

/// What a pipeline file says of an insert.
pub struct Options {
    /// The table, with its schema where it is not on the search path.
    pub table: String,
    /// The columns that are filled, and from what.
    pub columns: Vec<(String, Arc<dyn Column>)>,
    /// What happens to a row whose key is there already.
    pub conflict: Conflict,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> =
            self.columns.iter().map(|(name, source)| (name, source.ty())).collect();
        f.debug_struct("Options")
            .field("table", &self.table)
            .field("columns", &columns)
            .field("conflict", &self.conflict)
            .finish()
    }
}

/// Inserts a row for each event, together with the progress.
#[derive(Debug)]
pub struct Insert {
    database: Arc<Database>,
    options: Options,
    bound: Bound<database::Insert>,
}

impl Insert {
    /// An insert into a database that several may share.
    pub fn new(database: Arc<Database>, options: Options) -> Self {
        Self { database, options, bound: Bound::none() }
    }

    async fn look(&self) -> Result<(), Fault> {
        let name = &self.options.table;
        self.database.ready().await?;
        let table = self.database.table(name).await?.ok_or_else(|| {
            Fault::fatal(
                "no_table",
                format!(
                    "table {name} is missing: create it, or correct the name in the pipeline file"
                ),
            )
        })?;
        let fields = plan(&table, &self.options).map_err(|problems| {
            Fault::fatal("unfit", format!("table {name}: {}", problems.join("; ")))
        })?;
        let columns: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        let statement = self.database.insert(&table, &columns, &self.options.conflict).await?;
        self.bound.set(fields, statement);
        Ok(())
    }
}

impl BatchSink for Insert {
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

    fn apply<'a>(&'a self, step: Step<'a>) -> Future<'a, Result<(), Refusal>> {
        Box::pin(async move {
            let statement = self.bound.statement()?;
            self.database.step(&step, &statement).await
        })
    }
}
