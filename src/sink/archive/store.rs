//! Where objects lie: a folder, by `object_store`. Everything that is written is there whole, and for good,
//! before it has its name.
//!
//! An object is written under a name of its own in `.unfinished`, synced, then linked to its real name, which
//! fails where one is; then the folder is synced. A crash leaves a file in `.unfinished` at most: no name there
//! is used twice, so that clearing them away can never come between a writer and its object.

use std::error::Error as _;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, Error, ObjectStore, ObjectStoreExt as _, PutPayload};
use uuid::Uuid;

use crate::record::Fault;

/// Where objects are written before they have their name.
const UNFINISHED: &str = ".unfinished";
/// What lies there for longer is of a writer that was killed: far longer than a step may take.
const UNFINISHED_FOR: Duration = Duration::from_secs(600);

/// A store of objects.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// As the file names it, for messages.
    to: Arc<str>,
    /// The folder, where it is one.
    folder: Option<PathBuf>,
}

/// What became of an object that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Created {
    /// It is there.
    New,
    /// Another one was there before it.
    Taken,
}

/// Is it a folder? An address is something that this build cannot reach.
///
/// # Errors
/// Why it cannot be written there.
pub(super) fn reachable(to: &str) -> Result<(), String> {
    match to.split_once("://") {
        None => Ok(()),
        Some((scheme, _)) => Err(format!(
            "the archive cannot be written to {to}: {scheme} is not built in; name a folder, for instance one \
             where that store is mounted"
        )),
    }
}

impl Objects {
    /// The objects under a folder, which is made where it is missing.
    ///
    /// # Errors
    /// `Fatal` where we may not, `Unavailable` where it cannot be done now.
    pub async fn at(to: &str) -> Result<Self, Fault> {
        reachable(to).map_err(|why| Fault::fatal("archive_address", why))?;
        let folder = PathBuf::from(to);
        let made = tokio::task::spawn_blocking(move || {
            make_folder(&folder)?;
            folder.canonicalize()
        });
        let folder =
            made.await.map_err(io::Error::other).flatten().map_err(|e| classify(to, &e))?;
        let store = LocalFileSystem::new_with_prefix(&folder).map_err(|e| fault(to, &e))?;
        let store = Arc::new(store.with_fsync(true));
        Ok(Self { store, to: to.into(), folder: Some(folder) })
    }

    /// Objects in any store: for tests that let it fail.
    pub fn over(store: Arc<dyn ObjectStore>, to: &str) -> Self {
        Self { store, to: to.into(), folder: None }
    }

    /// As the file names it.
    pub(super) fn to(&self) -> &str {
        &self.to
    }

    /// May we write here? Writes an object, and takes it away again.
    ///
    /// # Errors
    /// As [`classify`] has it.
    pub(super) async fn probe(&self) -> Result<(), Fault> {
        let path = Path::from_iter([UNFINISHED, &format!("probe-{}", Uuid::new_v4())]);
        self.create(&path, vec![Bytes::from_static(b"probe")]).await?;
        self.store.delete(&path).await.map_err(|e| self.fault(&e))
    }

    /// Writes an object, whole and durable, unless there is one of that name.
    ///
    /// What was begun goes on to its end, also when nobody waits for it any longer.
    ///
    /// # Errors
    /// As [`classify`] has it. Then nobody knows whether it is there.
    pub(super) async fn create(&self, path: &Path, pieces: Vec<Bytes>) -> Result<Created, Fault> {
        let (this, path) = (self.clone(), path.clone());
        let written = tokio::spawn(async move { this.write(&path, pieces).await });
        written.await.map_err(|e| Fault::unavailable("archive", format!("not written: {e}")))?
    }

    async fn write(&self, path: &Path, pieces: Vec<Bytes>) -> Result<Created, Fault> {
        let unfinished = Path::from_iter([UNFINISHED, &Uuid::new_v4().to_string()]);
        let payload = PutPayload::from_iter(pieces);
        self.store.put(&unfinished, payload).await.map_err(|e| self.fault(&e))?;
        let create = CopyOptions::new().with_mode(CopyMode::Create);
        let named = self.store.copy_opts(&unfinished, path, create).await;
        if let Err(error) = self.store.delete(&unfinished).await {
            tracing::debug!(%error, %unfinished, "left behind; it is cleared away later");
        }
        match named {
            Ok(()) => Ok(Created::New),
            Err(Error::AlreadyExists { .. }) => Ok(Created::Taken),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// The bytes of an object.
    ///
    /// # Errors
    /// As [`classify`] has it.
    pub(super) async fn get(&self, path: &Path) -> Result<Bytes, Fault> {
        let got = self.store.get(path).await.map_err(|e| self.fault(&e))?;
        got.bytes().await.map_err(|e| self.fault(&e))
    }

    /// The names in a folder, unordered.
    ///
    /// # Errors
    /// As [`classify`] has it.
    pub(super) async fn list(&self, folder: &Path) -> Result<Vec<Path>, Fault> {
        let listed = self.store.list(Some(folder)).map_ok(|meta| meta.location);
        match listed.try_collect().await {
            // Nothing was ever written there.
            Err(Error::NotFound { .. }) => Ok(Vec::new()),
            listed => listed.map_err(|e| self.fault(&e)),
        }
    }

    /// Clears away what writers left that were killed.
    pub(super) async fn sweep(&self) {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join(UNFINISHED)) else {
            return;
        };
        let swept = tokio::task::spawn_blocking(move || sweep(&folder)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(to = &*self.to, %error, "unfinished objects cannot be cleared away");
        }
    }

    fn fault(&self, error: &Error) -> Fault {
        fault(&self.to, error)
    }
}

/// Makes a folder and those above it, each durably.
fn make_folder(folder: &Folder) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or_else(|| Folder::new(""));
    make_folder(above)?;
    match fs::create_dir(folder) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        made => made?,
    }
    let above = if above.as_os_str().is_empty() { Folder::new(".") } else { above };
    fs::File::open(above)?.sync_all()
}

fn sweep(folder: &Folder) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // Another member may clear at the same time.
        let Ok(modified) = entry.metadata().and_then(|meta| meta.modified()) else { continue };
        if modified.elapsed().is_ok_and(|age| age > UNFINISHED_FOR) {
            match fs::remove_file(entry.path()) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
    }
    Ok(())
}

/// The fault of a store's error: that of the disk below it, where there is one.
fn fault(to: &str, error: &Error) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return classify(to, io);
        }
        cause = error.source();
    }
    match error {
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            Fault::fatal("archive_permission", format!("the archive {to} refuses us: {error}"))
        }
        _ => Fault::unavailable("archive", format!("the archive {to} cannot be reached: {error}")),
    }
}

/// What an error of the disk means: almost all of them pass when somebody sees to it, so the work waits.
fn classify(to: &str, error: &io::Error) -> Fault {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            let reason = format!(
                "the disk under the archive {to} is full ({error}); free space there, and it goes on"
            );
            Fault::unavailable("disk_full", reason)
        }
        // Also what a file system answers that has no hard links.
        ErrorKind::PermissionDenied | ErrorKind::Unsupported => Fault::fatal(
            "archive_permission",
            format!(
                "the archive {to} cannot be written: {error}; give this user the right to make files and \
                 hard links in that folder, or name another"
            ),
        ),
        ErrorKind::NotADirectory => Fault::fatal(
            "archive_folder",
            format!("the archive {to} is not a folder: {error}; name a folder"),
        ),
        ErrorKind::ReadOnlyFilesystem => Fault::unavailable(
            "read_only",
            format!("the archive {to} is on a file system that is read-only now: {error}"),
        ),
        _ => Fault::unavailable(
            "archive",
            format!("the archive {to} cannot be used now: {error}; is its disk mounted and sound?"),
        ),
    }
}
