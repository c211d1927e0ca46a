//! The connections: lent for one transaction at a time, closed when anything about them is in doubt.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult};
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};
use uuid::Uuid;

use super::super::{Error, PostgresSettings, Timeouts};
use super::{classify, connect};

/// A PostgreSQL server.
pub(in crate::database) struct Postgres {
    pool: Pool<Door>,
    /// How long a client waits for one answer.
    patience: Duration,
    connect: Duration,
    /// Where it is, for messages.
    address: String,
    /// Our tables were seen to be there and ours to use.
    pub(super) ready: AtomicBool,
    /// Who we are where processes take turns.
    pub(super) shipper: Uuid,
}

/// Opens connections and judges those that come back.
struct Door {
    way: connect::Way,
    /// What a session is told first.
    first: String,
}

/// An open connection.
pub(super) struct Connection {
    client: Client,
    /// Moves its bytes; ending it closes the socket.
    task: JoinHandle<()>,
    /// By their SQL: as many as the pipelines on this database have statements.
    prepared: Mutex<HashMap<String, Statement>>,
    /// It was given back outside any transaction.
    sound: bool,
}

/// A connection in use. Goes back to the pool only by [`Lease::give_back`]: dropped in the middle of a
/// transaction (time-out, error, cancelled future) it is closed at once, and the server rolls back.
pub(super) struct Lease {
    object: Object<Door>,
    patience: Duration,
}

impl Postgres {
    /// Reads the settings; connects to nothing yet.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub(in crate::database) fn open(settings: &PostgresSettings) -> Result<Self, Error> {
        if settings.connections == 0 {
            return Err(Error::Settings("connections must be at least 1".to_owned()));
        }
        let way = connect::way(settings)?;
        let address = connect::address(&way.config);
        let door = Door { way, first: connect::session(&settings.timeouts) };
        let pool = Pool::builder(door)
            .max_size(settings.connections)
            .runtime(Runtime::Tokio1)
            // No limit on the wait for a free connection: whoever holds one is bounded, the queue is
            // fair, and a busy pool is not a database that is down.
            .create_timeout(Some(settings.timeouts.connect))
            .build()
            .map_err(|error| Error::Settings(error.to_string()))?;
        Ok(Self {
            pool,
            patience: settings.timeouts.statement + Timeouts::GRACE,
            connect: settings.timeouts.connect,
            address,
            ready: AtomicBool::new(false),
            shipper: Uuid::new_v4(),
        })
    }

    /// A connection for one piece of work.
    pub(super) async fn lease(&self) -> Result<Lease, Error> {
        const DOING: &str = "connecting to PostgreSQL";
        let mut object = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => match classify::error(DOING, &error) {
                Error::Connection { doing, cause } => {
                    Error::Connection { doing, cause: format!("{}: {cause}", self.address) }
                }
                answer => answer,
            },
            PoolError::Timeout(_) => {
                let (at, limit) = (&self.address, self.connect);
                let cause = format!("{at}: no connection within {limit:?}");
                Error::Connection { doing: DOING, cause }
            }
            other => Error::Connection { doing: DOING, cause: other.to_string() },
        })?;
        object.sound = false;
        Ok(Lease { object, patience: self.patience })
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("connections", &self.pool.status().max_size)
            .finish_non_exhaustive()
    }
}

impl managed::Manager for Door {
    type Type = Connection;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Connection, tokio_postgres::Error> {
        let (client, connection) = self.way.config.connect(self.way.tls.clone()).await?;
        // The task's own error reaches every call on the client.
        let task = tokio::spawn(async move {
            let _ = connection.await;
        });
        let connection = Connection { client, task, prepared: Mutex::default(), sound: true };
        connection.batch_execute(&self.first).await?;
        Ok(connection)
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        _: &Metrics,
    ) -> RecycleResult<tokio_postgres::Error> {
        if connection.sound && !connection.is_closed() {
            Ok(())
        } else {
            Err(RecycleError::message("closed"))
        }
    }
}

impl Connection {
    /// A statement by its SQL, prepared at the first use.
    pub(super) async fn statement(&self, sql: &str) -> Result<Statement, tokio_postgres::Error> {
        self.statement_of(sql, &[]).await
    }

    /// The same, with its parameters' types where they are known: the server does not choose others.
    pub(super) async fn statement_of(
        &self,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, tokio_postgres::Error> {
        let known = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare_typed(sql, types).await?;
        self.prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Deref for Connection {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Lease {
    /// Waits for an answer, no longer than the server may take and a little more.
    pub(super) async fn wait<T>(
        &self,
        doing: &'static str,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.map_err(|error| classify::error(doing, &error)),
            Err(_) => Err(Error::Timeout { doing, after: self.patience }),
        }
    }

    /// The connection is in no transaction: the next one may have it.
    pub(super) fn give_back(mut self) {
        self.object.sound = true;
    }

    /// Ends a transaction without its effects and gives the connection back, if the server says so.
    pub(super) async fn roll_back(self) {
        let rolled_back = self.wait("rolling back", self.batch_execute("ROLLBACK")).await;
        if rolled_back.is_ok() {
            self.give_back();
        }
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.object
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.object.sound {
            self.object.task.abort();
        }
    }
}
