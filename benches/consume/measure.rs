//! CPU and time of an arm, and the settings that all arms share.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What an arm did.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) records: u64,
    /// Of partition and offset.
    pub(crate) places: u64,
    /// Of a decoded field.
    pub(crate) fields: u64,
    /// All threads.
    pub(crate) cpu_ns: u64,
    /// The threads of librdkafka.
    pub(crate) library_ns: u64,
    pub(crate) wall_ns: u64,
}

/// Counts and hashes on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) records: u64,
    pub(crate) places: u64,
    pub(crate) fields: u64,
}

/// One moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    at: Instant,
    cpu_ns: u64,
    library_ns: u64,
}

impl Moment {
    /// What all threads of this process have used so far.
    pub(crate) fn now() -> Self {
        let (mut cpu_ns, mut library_ns) = (0, 0);
        for thread in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let ns = used(&thread.path());
            cpu_ns += ns;
            let name = std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
            if name.starts_with("rdk:") {
                library_ns += ns;
            }
        }
        Self { at: Instant::now(), cpu_ns, library_ns }
    }

    pub(crate) fn until(self, end: Moment, sums: Sums) -> Outcome {
        Outcome {
            records: sums.records,
            places: sums.places,
            fields: sums.fields,
            cpu_ns: end.cpu_ns - self.cpu_ns,
            library_ns: end.library_ns - self.library_ns,
            wall_ns: u64::try_from((end.at - self.at).as_nanos()).unwrap(),
        }
    }
}

/// Nanoseconds on a core; none for a thread that has just ended.
fn used(thread: &Path) -> u64 {
    let text = std::fs::read_to_string(thread.join("schedstat")).unwrap_or_default();
    text.split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0)
}

/// Keeps this process on the last core; `make bench` keeps the services off it, where there is another.
#[expect(unsafe_code, reason = "there is no safe call for it")]
pub(crate) fn pin() {
    // SAFETY: plain calls on a set of our own.
    unsafe {
        let cores = libc::sysconf(libc::_SC_NPROCESSORS_ONLN);
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(usize::try_from(cores - 1).unwrap(), &mut set);
        assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &raw const set), 0);
    }
}

/// What the engine sets; the other arms get the same, so that they fetch alike.
pub(crate) fn client_settings() -> [(&'static str, &'static str); 10] {
    [
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("partition.assignment.strategy", "cooperative-sticky"),
        ("check.crcs", "true"),
        ("isolation.level", "read_committed"),
        ("fetch.queue.backoff.ms", "20"),
        ("queued.min.messages", "20000"),
        ("queued.max.messages.kbytes", "32768"),
        ("session.timeout.ms", "45000"),
        ("heartbeat.interval.ms", "3000"),
    ]
}

/// A consumer of the arms that are written by hand: they start at the beginning by the reset policy.
pub(crate) fn consumer(bootstrap: &str, group: &str) -> rdkafka::ClientConfig {
    let mut config = rdkafka::ClientConfig::new();
    for (key, value) in client_settings() {
        config.set(key, value);
    }
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest");
    config
}
