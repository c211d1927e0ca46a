//! Names and directories of one test alone, so that tests share the services and nothing else.

use std::env;
use std::path::PathBuf;
use std::process;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

/// A name that nobody has used: `what`, this run and a count. Fit for topics, groups, databases, schemas, tables and
/// subjects: what `what` holds and `[0-9a-z_]`.
pub(crate) fn fresh(what: &str) -> String {
    static RUN: LazyLock<String> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        format!("{:x}{:x}", process::id(), now.subsec_nanos())
    });
    static COUNT: AtomicU32 = AtomicU32::new(1);
    format!("{what}_{}_{}", *RUN, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A new directory in the run's own, which everybody may enter (PostgreSQL runs as another user).
pub(crate) fn fresh_dir(what: &str) -> TempDir {
    let run = PathBuf::from(run_variable("ORDERMILL_TEST_RUN"));
    let mut builder = tempfile::Builder::new();
    let prefix = format!("{what}-");
    builder.prefix(&prefix);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o755));
    }
    builder
        .tempdir_in(&run)
        .unwrap_or_else(|cause| panic!("cannot make a directory in {}: {cause}", run.display()))
}

/// What `scripts/with-services` says in that variable.
pub(crate) fn run_variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need real services; run `make test`, or `scripts/with-services cargo test`")
    })
}
