//! Waiting for something to become true, instead of sleeping and hoping.

use std::thread;
use std::time::{Duration, Instant};

/// Polls `is_so` until it holds; panics with `what` when it does not within `limit`.
#[track_caller]
pub(crate) fn wait_until(limit: Duration, what: &str, is_so: impl FnMut() -> bool) {
    assert!(holds_within(limit, is_so), "waited {limit:?} in vain until {what}");
}

/// Polls `is_so`, at first often and then less, until it holds or `limit` has passed; whether it held.
pub(crate) fn holds_within(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    const PAUSE_MAX: Duration = Duration::from_millis(200);
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(5);
    loop {
        if is_so() {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(pause.min(left));
        pause = (pause * 3 / 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_comes_is_given_up_at_the_limit() {
        let begin = Instant::now();
        assert!(!holds_within(Duration::from_millis(30), || false));
        assert!(begin.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn what_comes_is_seen() {
        let mut asked = 0;
        wait_until(Duration::from_secs(10), "asked three times", || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
    }

    #[test]
    #[should_panic(expected = "in vain until pigs fly")]
    fn the_panic_says_what_was_waited_for() {
        wait_until(Duration::from_millis(1), "pigs fly", || false);
    }
}
