//! Retry: how often a record that failed is tried again, and what happens when its attempts are spent.

use std::time::Duration;

use super::Now;

/// What happens to a record whose attempts are spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The pipeline halts at it.
    Stop,
    /// It goes to the dead-letter topic.
    DeadLetter,
}

/// The policy of a pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Tries in all, the first included; at least 1.
    pub attempts: u32,
    /// From one try to the next.
    pub every: Duration,
    /// Afterwards.
    pub then: Then,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Try again at this time.
    Again(Now),
    /// No attempt is left.
    Spent(Then),
}

impl Policy {
    /// The verdict after `failed` attempts of one record, the last of which ended at `now`.
    pub fn after(&self, failed: u32, now: Now) -> Verdict {
        if failed >= self.attempts {
            Verdict::Spent(self.then)
        } else {
            Verdict::Again(now + self.every)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_counts_all_tries() {
        let policy = Policy { attempts: 3, every: Duration::from_secs(5), then: Then::Stop };
        let now = Duration::from_secs(100);
        assert_eq!(policy.after(1, now), Verdict::Again(Duration::from_secs(105)));
        assert_eq!(policy.after(2, now), Verdict::Again(Duration::from_secs(105)));
        assert_eq!(policy.after(3, now), Verdict::Spent(Then::Stop));
    }
}
