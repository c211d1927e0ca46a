//! The breaker: how long to leave a dependency alone that is down.
//!
//! Each failure opens it for longer, up to a bound; then one probe (the head of the work itself) goes out.
//! A success closes it. It never spends an attempt and never gives up.

use std::time::Duration;

use super::Now;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: a dependency that is back is seen within this time.
const LONGEST: Duration = Duration::from_secs(2);

/// One dependency as one partition sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
}

impl Breaker {
    /// It failed at `now`; the next probe may go at the time returned.
    pub fn failed(&mut self, now: Now) -> Now {
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        now + pause
    }

    /// It answered.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Is it open: did the last thing we asked of it fail?
    pub fn is_open(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_a_success_starts_over() {
        let mut breaker = Breaker::default();
        let pauses: Vec<u64> =
            (0..40).map(|_| breaker.failed(Duration::ZERO).as_millis() as u64).collect();
        assert_eq!(&pauses[..6], &[100, 200, 400, 800, 1600, 2000]);
        assert!(pauses[6..].iter().all(|p| *p == 2000));
        assert!(breaker.is_open());
        breaker.succeeded();
        assert!(!breaker.is_open());
        assert_eq!(breaker.failed(Duration::ZERO), FIRST);
    }
}
