//! What the client counted. Plain numbers: who turns them into metrics reads them when it is scraped.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the client was made. They only grow.
#[derive(Debug, Default)]
pub struct Stats {
    ok: AtomicU64,
    redirected: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    unanswered: AtomicU64,
    cache_misses: AtomicU64,
    from_disk: AtomicU64,
}

impl Stats {
    /// Requests by the class of their answer: `2xx`, `3xx`, `4xx`, `5xx`, and `none` for those that got
    /// no answer at all.
    pub fn requests(&self) -> [(&'static str, u64); 5] {
        [
            ("2xx", self.ok.load(Ordering::Relaxed)),
            ("3xx", self.redirected.load(Ordering::Relaxed)),
            ("4xx", self.refused.load(Ordering::Relaxed)),
            ("5xx", self.failed.load(Ordering::Relaxed)),
            ("none", self.unanswered.load(Ordering::Relaxed)),
        ]
    }

    /// Ids that were asked for and not in memory.
    pub fn cache_misses(&self) -> u64 {
        self.cache_misses.load(Ordering::Relaxed)
    }

    /// Ids that were answered from the disk because the registry could not.
    pub fn from_disk(&self) -> u64 {
        self.from_disk.load(Ordering::Relaxed)
    }

    pub(super) fn count_answer(&self, status: u16) {
        let counter = match status {
            200..=299 => &self.ok,
            300..=399 => &self.redirected,
            400..=499 => &self.refused,
            _ => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_miss(&self) {
        self.cache_misses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_from_disk(&self) {
        self.from_disk.fetch_add(1, Ordering::Relaxed);
    }
}
