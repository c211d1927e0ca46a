//! A store that fails as it is told: before a write, after it, or so that the write lands much later.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Pass,
    /// It fails.
    Lost(ErrorKind),
    /// It is done, and the answer is an error.
    Unheard,
    /// The answer is an error; a naming is done when [`Faulty::land`] is called, as a frozen owner does it.
    Late,
}

/// A store in memory, and what becomes of the next calls; without an entry they pass.
#[derive(Debug, Default)]
pub(super) struct Faulty {
    pub(super) inner: Arc<InMemory>,
    pub(super) fates: Mutex<VecDeque<Fate>>,
    late: Mutex<Vec<(Path, bytes::Bytes)>>,
}

impl Faulty {
    fn fate(&self) -> Fate {
        self.fates.lock().unwrap().pop_front().unwrap_or(Fate::Pass)
    }

    /// What was late happens now.
    pub(super) async fn land(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        for (path, bytes) in late {
            let create = PutOptions::from(PutMode::Create);
            let _ = self.inner.put_opts(&path, bytes.into(), create).await;
        }
    }
}

fn broken(kind: ErrorKind) -> Error {
    Error::Generic { store: "test", source: Box::new(io::Error::from(kind)) }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        path: &Path,
        bytes: PutPayload,
        with: PutOptions,
    ) -> Result<PutResult> {
        match self.fate() {
            Fate::Pass => self.inner.put_opts(path, bytes, with).await,
            Fate::Lost(kind) => Err(broken(kind)),
            Fate::Unheard | Fate::Late => {
                self.inner.put_opts(path, bytes, with).await?;
                Err(broken(ErrorKind::TimedOut))
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(broken(ErrorKind::Unsupported))
    }

    async fn get_opts(&self, path: &Path, with: GetOptions) -> Result<GetResult> {
        match self.fate() {
            Fate::Pass => self.inner.get_opts(path, with).await,
            _ => Err(broken(ErrorKind::TimedOut)),
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, with: CopyOptions) -> Result<()> {
        match self.fate() {
            Fate::Pass => self.inner.copy_opts(from, to, with).await,
            Fate::Lost(kind) => Err(broken(kind)),
            Fate::Unheard => {
                self.inner.copy_opts(from, to, with).await?;
                Err(broken(ErrorKind::TimedOut))
            }
            Fate::Late => {
                let bytes = self.inner.get(from).await?.bytes().await?;
                self.late.lock().unwrap().push((to.clone(), bytes));
                Err(broken(ErrorKind::TimedOut))
            }
        }
    }
}
