//! Is a pipeline at work, and if not, why?

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::engine::Now;

/// What a pipeline is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not at work yet: this is what it waits for.
    Starting(String),
    /// A member of its group, working.
    Running,
    /// A member of its group, but something it needs is away.
    Waiting(String),
    /// Finishing what has begun.
    Draining,
    /// It stopped at something that a person must look at.
    Halted(String),
    /// It has left its group as asked.
    Stopped,
}

impl State {
    /// The word in metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            State::Starting(_) => "starting",
            State::Running => "running",
            State::Waiting(_) => "waiting",
            State::Draining => "draining",
            State::Halted(_) => "halted",
            State::Stopped => "stopped",
        }
    }

    /// All words, for the state set.
    pub const WORDS: [&'static str; 6] =
        ["starting", "running", "waiting", "draining", "halted", "stopped"];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Starting(why) | State::Waiting(why) | State::Halted(why) => {
                write!(f, "{}: {why}", self.as_str())
            }
            State::Running | State::Draining | State::Stopped => f.write_str(self.as_str()),
        }
    }
}

/// A pipeline's state with the heartbeat of its loops.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    beat: Mutex<Option<Now>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            state: Mutex::new(State::Starting("nothing asked yet".into())),
            beat: Mutex::default(),
        }
    }
}

impl Health {
    /// Sets the state; true if it is another one than before. A halt is never overwritten.
    pub fn set(&self, state: State) -> bool {
        let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == state || matches!(*held, State::Halted(_)) {
            return false;
        }
        *held = state;
        true
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The loops went round at `now`.
    pub fn beat(&self, now: Now) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// How long ago the loops last went round; `None` before they began and after they ended.
    pub fn silence(&self, now: Now) -> Option<Duration> {
        if matches!(self.state(), State::Halted(_) | State::Stopped | State::Starting(_)) {
            return None;
        }
        self.beat.lock().unwrap_or_else(PoisonError::into_inner).map(|at| now.saturating_sub(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_stays_until_the_process_ends() {
        let health = Health::default();
        assert!(health.set(State::Running));
        assert!(!health.set(State::Running));
        assert!(health.set(State::Halted("at orders[3]@7".into())));
        assert!(!health.set(State::Stopped));
        assert_eq!(health.state(), State::Halted("at orders[3]@7".into()));
    }
}
