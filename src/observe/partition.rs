//! One assigned partition as a scrape sees it; gone with the assignment.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::engine::{Now, lag};
use crate::port::Watermarks;
use crate::record::NextOffset;

/// Not known yet.
const UNKNOWN: i64 = i64::MIN;

/// What is known of a partition that this process holds. Written by its task and by the lag watch.
#[derive(Debug)]
pub struct PartitionView {
    watermark: AtomicI64,
    committed: AtomicI64,
    start: AtomicI64,
    /// Milliseconds since the epoch of the first unsettled record that we hold.
    oldest_held: AtomicI64,
    waiting: Mutex<Option<String>>,
    ends: Mutex<lag::EndTable>,
}

impl Default for PartitionView {
    fn default() -> Self {
        Self {
            watermark: AtomicI64::new(UNKNOWN),
            committed: AtomicI64::new(UNKNOWN),
            start: AtomicI64::new(0),
            oldest_held: AtomicI64::new(UNKNOWN),
            waiting: Mutex::default(),
            ends: Mutex::default(),
        }
    }
}

fn known(value: &AtomicI64) -> Option<i64> {
    Some(value.load(Ordering::Relaxed)).filter(|v| *v != UNKNOWN)
}

impl PartitionView {
    /// Everything below is settled.
    pub fn set_watermark(&self, next: NextOffset) {
        self.watermark.store(next.0, Ordering::Relaxed);
    }

    /// Where it stands, if it was claimed.
    pub fn watermark(&self) -> Option<NextOffset> {
        known(&self.watermark).map(NextOffset)
    }

    /// Kafka has acknowledged this committed offset.
    pub fn set_committed(&self, next: NextOffset) {
        self.committed.store(next.0, Ordering::Relaxed);
    }

    /// What Kafka acknowledged last.
    pub fn committed(&self) -> Option<NextOffset> {
        known(&self.committed).map(NextOffset)
    }

    /// The timestamp of the first unsettled record that the task holds; `None`: it holds none.
    pub fn set_oldest_held(&self, timestamp_ms: Option<i64>) {
        self.oldest_held.store(timestamp_ms.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// What it waits for while a dependency is down; `None`: nothing.
    pub fn set_waiting(&self, reason: Option<String>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// See [`PartitionView::set_waiting`].
    pub fn waiting(&self) -> Option<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The broker told the ends of the log.
    pub fn set_ends(&self, ends: Watermarks, now: Now) {
        self.start.store(ends.start.0, Ordering::Relaxed);
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).sample(ends.end, now);
    }

    /// First and next offset of the log, if the broker told them.
    pub fn ends(&self) -> Option<Watermarks> {
        let end = self.ends.lock().unwrap_or_else(PoisonError::into_inner).end()?;
        Some(Watermarks { start: NextOffset(self.start.load(Ordering::Relaxed)), end })
    }

    /// Lag in records and in seconds; `None` until both the end of the log and our place are known.
    pub fn lag(&self, now: Now) -> Option<(u64, f64)> {
        let ends = self.ends()?;
        let at = self.watermark()?;
        let records = lag::records(ends.start, ends.end, at);
        if records == 0 && known(&self.oldest_held).is_none() {
            return Some((0, 0.0));
        }
        // The end is asked for every few seconds: what we hold beyond it lags too.
        let age = match known(&self.oldest_held) {
            Some(timestamp) => age_of(timestamp),
            None => self.ends.lock().unwrap_or_else(PoisonError::into_inner).age(at, now),
        };
        Some((records, if records == 0 { 0.0 } else { age.as_secs_f64() }))
    }
}

/// Time since a record's timestamp by the wall clock; zero for one from the future.
fn age_of(timestamp_ms: i64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_millis(u64::try_from(timestamp_ms).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_lag_is_shown_before_it_is_known_and_none_at_the_end_of_the_log() {
        let view = PartitionView::default();
        assert_eq!(view.lag(Duration::ZERO), None);
        view.set_ends(
            Watermarks { start: NextOffset(0), end: NextOffset(7) },
            Duration::from_secs(1),
        );
        assert_eq!(view.lag(Duration::ZERO), None);
        view.set_watermark(NextOffset(3));
        assert_eq!(view.lag(Duration::from_secs(4)), Some((4, 3.0)));
        view.set_watermark(NextOffset(7));
        assert_eq!(view.lag(Duration::from_secs(4)), Some((0, 0.0)));
    }

    #[test]
    fn a_held_record_tells_its_own_age() {
        let view = PartitionView::default();
        view.set_ends(
            Watermarks { start: NextOffset(0), end: NextOffset(7) },
            Duration::from_secs(1),
        );
        view.set_watermark(NextOffset(3));
        let ten_minutes_ago =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap() - Duration::from_secs(600);
        view.set_oldest_held(Some(i64::try_from(ten_minutes_ago.as_millis()).unwrap()));
        let (records, seconds) = view.lag(Duration::from_secs(2)).unwrap();
        assert_eq!(records, 4);
        assert!((599.0..700.0).contains(&seconds), "{seconds}");
    }
}
