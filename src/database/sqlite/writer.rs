//! The one writer of a file: a thread that owns the connection and does one job after another.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::{Error, SqliteSettings};
use super::classify;

/// Jobs that wait for the thread; whoever comes then waits before it is queued.
const JOBS_MAX: usize = 64;

/// Prepared statements kept.
const STATEMENTS_MAX: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A SQLite file.
pub(in crate::database) struct Sqlite {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Sqlite {
    /// Takes the file's lock, opens it (makes it where it is missing) and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, or another process has it.
    pub(in crate::database) fn open(settings: &SqliteSettings) -> Result<Self, Error> {
        let path = absolute(&settings.path)?;
        let lock = take_lock(&path)?;
        let mut connection = connect(&path, settings)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(JOBS_MAX);
        let thread = thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
                // Only when the connection is closed may another process have the file.
                drop(connection);
                drop(lock);
            })
            .map_err(|error| at(&path, &error))?;
        Ok(Self { path, jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has the writer do something. Once begun it is done to the end, also when nobody waits any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        doing: &'static str,
        job: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        const GONE: Error = Error::Defect("the writer of a SQLite file ended early");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody may be waiting any more: the next look at the progress tells what happened.
            let _ = reply.send(job(connection));
        });
        let jobs = self.jobs.as_ref().ok_or(GONE)?;
        jobs.send(job).await.map_err(|_| GONE)?;
        let answer = answer.await.map_err(|_| GONE)?;
        answer.map_err(|error| classify::error(doing, &error))
    }
}

/// Closes the file, after the job in hand.
impl Drop for Sqlite {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has closed the file as well.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}

/// One name for one file, so that two ways to it meet the same lock.
fn absolute(path: &Path) -> Result<PathBuf, Error> {
    if let Ok(real) = fs::canonicalize(path) {
        return Ok(real);
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let name = path
        .file_name()
        .ok_or_else(|| Error::Settings(format!("{} is no file name", path.display())))?;
    let parent = fs::canonicalize(parent).map_err(|error| at(parent, &error))?;
    Ok(parent.join(name))
}

fn take_lock(path: &Path) -> Result<File, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| at(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path }),
        Err(TryLockError::Error(error)) => Err(at(&path, &error)),
    }
}

fn connect(path: &Path, settings: &SqliteSettings) -> Result<Connection, Error> {
    let failed = |error: rusqlite::Error| classify::error("opening the SQLite file", &error);
    let connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(settings.lock).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    let mode: String =
        connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(Error::Unfit(format!(
            "{}: its file system cannot do SQLite's WAL; put it on a local disk",
            path.display()
        )));
    }
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")
        .map_err(failed)?;
    Ok(connection)
}

fn at(path: &Path, error: &std::io::Error) -> Error {
    Error::File { path: path.to_owned(), cause: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_process_at_a_time_and_the_next_one_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let settings = SqliteSettings::new(folder.path().join("state.db"));
        let first = Sqlite::open(&settings).unwrap();
        let second = Sqlite::open(&settings).unwrap_err();
        assert!(matches!(second, Error::InUse { .. }), "{second}");
        assert!(second.to_string().contains("another process"));
        drop(first);
        Sqlite::open(&settings).unwrap();
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let error = Sqlite::open(&SqliteSettings::new("/no/such/folder/state.db")).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder"), "{error}");
    }
}
