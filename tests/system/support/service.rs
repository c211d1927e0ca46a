//! The services: those that `scripts/with-services` started for all tests, and private ones that a test may stop.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

use tempfile::TempDir;

use super::fresh::{fresh_dir, run_variable};
use super::shell::{output, script, try_output};
use super::{Kafka, Postgres, Registry};

/// The services that all tests share. A test uses fresh names in them and never stops one.
#[derive(Debug)]
pub(crate) struct Services {
    pub(crate) kafka: Kafka,
    pub(crate) registry: Registry,
    pub(crate) postgres: Postgres,
}

impl Services {
    /// Panics where `make test` is not around the tests, saying so.
    pub(crate) fn get() -> &'static Self {
        static SERVICES: OnceLock<Services> = OnceLock::new();
        SERVICES.get_or_init(|| Self {
            kafka: Kafka::new(run_variable("ORDERMILL_TEST_KAFKA")),
            registry: Registry::new(run_variable("ORDERMILL_TEST_REGISTRY")),
            postgres: Postgres::new(run_variable("ORDERMILL_TEST_POSTGRES")),
        })
    }
}

/// A kind of service with its scripts `NAME-up DIR` (prints the address) and `NAME-down DIR [SIGNAL]`.
pub(crate) trait Service {
    const NAME: &'static str;

    fn at(address: String) -> Self;
}

/// A service of one test alone, for those that stop it, kill it and start it again. It keeps its address, and what it
/// stores durably. It ends with this value.
#[derive(Debug)]
pub(crate) struct Private<S: Service> {
    service: S,
    address: String,
    dir: TempDir,
}

impl<S: Service> Private<S> {
    /// Starts one with these `NAME=VALUE` settings beyond the usual ones; returns when it serves.
    pub(crate) fn up(settings: &[&str]) -> Self {
        let dir = fresh_dir(S::NAME);
        let address = start::<S>(dir.path(), settings);
        Self { service: S::at(address.clone()), address, dir }
    }

    /// The directory that its script wrote in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it again after `stop` or `kill9`; returns when it serves.
    #[track_caller]
    pub(crate) fn start(&self) {
        let address = start::<S>(self.dir.path(), &[]);
        assert_eq!(address, self.address, "{} has moved", S::NAME);
    }

    /// Ends it cleanly; returns when it is gone.
    #[track_caller]
    pub(crate) fn stop(&self) {
        output(&mut self.down());
    }

    /// Ends it by SIGKILL; returns when it is gone.
    #[track_caller]
    pub(crate) fn kill9(&self) {
        output(self.down().arg("KILL"));
    }

    fn down(&self) -> Command {
        let mut down = script(&format!("{}-down", S::NAME));
        down.arg(self.dir.path());
        down
    }
}

fn start<S: Service>(dir: &Path, settings: &[&str]) -> String {
    let mut up = script(&format!("{}-up", S::NAME));
    output(up.arg(dir).args(settings)).trim().to_owned()
}

impl<S: Service> Deref for Private<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.service
    }
}

impl<S: Service> Drop for Private<S> {
    fn drop(&mut self) {
        // a failure here would hide the test's own; with-services stops what is left
        let _ = try_output(&mut self.down());
        if thread::panicking() {
            self.dir.disable_cleanup(true);
        }
    }
}
