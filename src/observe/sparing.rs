//! Lines that come in crowds are said a few at a time.

use std::time::Duration;

use crate::engine::Now;

/// So many at once.
const LINES: u32 = 5;
/// And then no more for so long.
const EVERY: Duration = Duration::from_secs(10);

/// Lets a few lines through in each span of time, and counts those that it kept back.
#[derive(Debug, Default)]
pub struct Sparing {
    /// When this span began.
    since: Option<Now>,
    said: u32,
    kept_back: u64,
}

impl Sparing {
    /// May this line be said? Then: how many were kept back since the last one that was.
    pub fn allows(&mut self, now: Now) -> Option<u64> {
        if self.since.is_none_or(|since| now.saturating_sub(since) >= EVERY) {
            (self.since, self.said) = (Some(now), 0);
        }
        if self.said == LINES {
            self.kept_back += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_lines_in_ten_seconds_are_said_and_the_next_tells_how_many_were_not() {
        let mut lines = Sparing::default();
        let second = Duration::from_secs;
        for _ in 0..5 {
            assert_eq!(lines.allows(second(100)), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(lines.allows(second(109)), None);
        }
        assert_eq!(lines.allows(second(110)), Some(7));
        assert_eq!(lines.allows(second(110)), Some(0));
    }
}
