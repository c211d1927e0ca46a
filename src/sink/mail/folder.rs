//! Mails as files: each whole or not there, a repeat over the first.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::form::Form;
use crate::record::Fault;

/// A folder of `.eml` files.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

/// Numbers what this process writes: two tries of one mail never share an unfinished file.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// What unfinished files end with.
const UNFINISHED: &str = ".part";
/// An unfinished file as old as this is of a process that ended in the midst of it.
const STALE: Duration = Duration::from_secs(3600);

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Makes the folder if need be, writes into it, and clears away what a crash left there.
    ///
    /// # Errors
    /// `Fatal`: it cannot be made or written. `Unavailable`: the disk is full or fails.
    pub(super) async fn try_out(&self) -> Result<(), Fault> {
        let folder = self.path.clone();
        let done = blocking(move || {
            fs::create_dir_all(&folder)?;
            sweep(&folder)?;
            let probe = unfinished(&folder, "probe");
            File::create_new(&probe)?;
            fs::remove_file(&probe)
        });
        done.await.map_err(|error| match class(&error) {
            Trouble::Setup => Fault::fatal(
                "mail_folder",
                format!(
                    "{}: {error}: correct `mail.folder` or who may write there",
                    self.path.display()
                ),
            ),
            Trouble::Passing => self.unavailable(&error),
        })
    }

    /// Writes a mail under the name of its Message-ID. The same mail written again is the same file.
    ///
    /// # Errors
    /// `Unavailable`: the disk is full, fails, or does not let us write any more.
    pub(super) async fn write(&self, form: &Form<'_>) -> Result<(), Fault> {
        let (folder, id, mail) = (self.path.clone(), form.id.to_owned(), form.mail.to_owned());
        let done = blocking(move || {
            let part = unfinished(&folder, &id);
            let written = whole(&part, mail.as_bytes())
                .and_then(|()| fs::rename(&part, folder.join(format!("{id}.eml"))));
            if written.is_err() {
                // It may not be there; if it is and stays, the next start sweeps it.
                let _ = fs::remove_file(&part);
            }
            written.and_then(|()| File::open(&folder)?.sync_all())
        });
        done.await.map_err(|error| self.unavailable(&error))
    }

    fn unavailable(&self, error: &io::Error) -> Fault {
        Fault::unavailable("mail_folder", format!("{}: {error}", self.path.display()))
    }
}

fn unfinished(folder: &Path, id: &str) -> PathBuf {
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    folder.join(format!(".{id}-{}-{number}{UNFINISHED}", process::id()))
}

fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let ours = entry.file_name().to_str().is_some_and(|name| name.ends_with(UNFINISHED));
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if ours && age().is_some_and(|age| age > STALE) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// What a failure of the file system speaks of.
enum Trouble {
    /// The path or its permissions: nobody but an operator can help.
    Setup,
    /// The disk: it may pass.
    Passing,
}

fn class(error: &io::Error) -> Trouble {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::PermissionDenied
        | Kind::NotADirectory
        | Kind::AlreadyExists
        | Kind::InvalidFilename
        | Kind::InvalidInput
        | Kind::ReadOnlyFilesystem => Trouble::Setup,
        _ => Trouble::Passing,
    }
}

async fn blocking<F>(work: F) -> io::Result<()>
where
    F: FnOnce() -> io::Result<()> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Class;

    fn form<'a>(id: &'a str, mail: &'a str) -> Form<'a> {
        Form { id, from: "a@b.example", to: "c@d.example", mail }
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_repeat_is_the_same_file_with_the_same_bytes() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("new/mails");
        let folder = Folder::new(&path);
        folder.try_out().await.unwrap();
        assert_eq!(names(&path), [""; 0]);
        for _ in 0..2 {
            folder.write(&form("0a", "one")).await.unwrap();
            folder.write(&form("0b", "two")).await.unwrap();
            assert_eq!(names(&path), ["0a.eml", "0b.eml"]);
            assert_eq!(fs::read(path.join("0a.eml")).unwrap(), b"one");
        }
    }

    #[tokio::test]
    async fn what_a_crash_left_is_swept_when_it_is_old() {
        let at = tempfile::tempdir().unwrap();
        let old = File::create(at.path().join(".0a-1-2.part")).unwrap();
        old.set_modified(std::time::SystemTime::now() - 2 * STALE).unwrap();
        File::create(at.path().join(".0b-1-3.part")).unwrap();
        File::create(at.path().join("mine.txt")).unwrap();
        Folder::new(at.path()).try_out().await.unwrap();
        assert_eq!(names(at.path()), [".0b-1-3.part", "mine.txt"]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_is_fatal_at_bind_and_waited_for_later() {
        let at = tempfile::tempdir().unwrap();
        let file = at.path().join("file");
        fs::write(&file, "").unwrap();
        let fault = Folder::new(&file).try_out().await.unwrap_err();
        assert_eq!((fault.class, &*fault.code), (Class::Fatal, "mail_folder"), "{fault}");
        let folder = Folder::new(&at.path().join("gone"));
        folder.try_out().await.unwrap();
        fs::remove_dir(at.path().join("gone")).unwrap();
        let fault = folder.write(&form("0a", "one")).await.unwrap_err();
        assert_eq!(fault.class, Class::Unavailable, "{fault}");
    }
}
