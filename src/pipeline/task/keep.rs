//! Keeping where a keyed partition stands: twice a second in the state database, and at the end.
//!
//! Effects are not in that database, so they cannot be one with their progress. What repeats after a crash
//! is what was in flight or has settled and is not kept: what settled in a second, at most. So each try has
//! half of it to begin and half to succeed, and when it does not, no new effect starts.

use std::sync::Arc;

use tokio::time::Duration;

use super::lanes::Ended;
use super::{Task, Word, pending_or};
use crate::engine::Now;
use crate::engine::breaker::Breaker;
use crate::engine::partition::Input;
use crate::port::{Future, Progress, Refusal};
use crate::record::{Class, NextOffset};

/// How often.
const EVERY: Duration = Duration::from_millis(500);
/// For so long something may be settled and not kept before effects stop.
const UNKEPT: Duration = Duration::from_secs(1);

/// One partition's progress on its way to the state database.
pub(super) struct Keeper {
    state: Arc<dyn Progress>,
    under_way: Option<Future<'static, Ended>>,
    /// Since when something is settled that is not kept, nor by the try under way.
    changed: Option<Now>,
    /// The same of what the try under way keeps.
    sent: Option<Now>,
    /// The next try after one that failed.
    again_at: Option<Now>,
    breaker: Breaker,
    /// Was the last word of a drain sent?
    last: bool,
}

impl Keeper {
    pub(super) fn new(state: Arc<dyn Progress>) -> Self {
        Self {
            state,
            under_way: None,
            changed: None,
            sent: None,
            again_at: None,
            breaker: Breaker::default(),
            last: false,
        }
    }

    /// The same for a new generation.
    pub(super) fn fresh(self) -> Self {
        Self::new(self.state)
    }

    /// Something was settled.
    pub(super) fn changed(&mut self, now: Now) {
        self.changed.get_or_insert(now);
    }

    /// When the next try is due.
    pub(super) fn due(&self) -> Option<Now> {
        if self.under_way.is_some() {
            return None;
        }
        self.changed.map(|since| self.again_at.unwrap_or(since + EVERY))
    }

    /// May an effect start: is progress kept as often as it must be?
    pub(super) fn allows(&self, now: Now) -> bool {
        let unkept = self.sent.or(self.changed);
        !self.breaker.is_open() && unkept.is_none_or(|since| now < since + UNKEPT)
    }

    /// The outcome of the try under way; never where there is none.
    pub(super) async fn kept(keeper: Option<&mut Self>) -> Ended {
        match keeper {
            Some(keeper) => pending_or(keeper.under_way.as_mut()).await,
            None => std::future::pending().await,
        }
    }
}

impl Task {
    /// Keeps the progress if it is due.
    pub(super) fn keep(&mut self, now: Now) {
        let keeper = self.lanes.as_ref().and_then(|work| work.keeper.as_ref());
        if keeper.and_then(Keeper::due).is_some_and(|due| due <= now) {
            self.send_progress();
        }
    }

    fn send_progress(&mut self) {
        let keeper = self.lanes.as_mut().and_then(|work| work.keeper.as_mut());
        let (Some(keeper), Some(claim)) = (keeper, &self.claim) else { return };
        let (state, claim) = (Arc::clone(&keeper.state), Arc::clone(claim));
        let next = self.tracker.watermark();
        let bytes = self.processor.ahead().with(self.tracker.settled_ahead(), next).bytes();
        (keeper.sent, keeper.changed, keeper.again_at) = (keeper.changed, None, None);
        keeper.under_way = Some(Box::pin(async move {
            let outcome = state.keep(&claim, next, &bytes).await;
            Ended::Kept(next, outcome)
        }));
    }

    /// Keeps what is settled before a drain ends; false: there is nothing (more) to keep.
    pub(super) fn keep_last(&mut self) -> bool {
        let keeper = self.lanes.as_mut().and_then(|work| work.keeper.as_mut());
        let Some(keeper) = keeper else { return false };
        if keeper.under_way.is_some() {
            return true;
        }
        if keeper.changed.is_none() || std::mem::replace(&mut keeper.last, true) {
            return false;
        }
        self.send_progress();
        self.lanes.as_ref().is_some_and(|work| {
            work.keeper.as_ref().is_some_and(|keeper| keeper.under_way.is_some())
        })
    }

    pub(super) fn kept(&mut self, next: NextOffset, outcome: Result<(), Refusal>) {
        let now = self.now();
        let keeper = self.lanes.as_mut().and_then(|work| work.keeper.as_mut());
        let Some(keeper) = keeper else { return };
        keeper.under_way = None;
        let sent = keeper.sent.take();
        match outcome {
            Ok(()) => {
                if keeper.breaker.is_open() {
                    self.wiring.view.set_waiting(None);
                }
                keeper.breaker.succeeded();
                self.stands_at(next);
            }
            Err(Refusal::Fenced) => {
                tracing::info!(partition = %self.partition, "fenced: another owner claimed it");
                let _ = self.wiring.words.send(Word::Hold(self.partition.clone()));
                self.forget();
                self.tell(&Input::Fenced);
            }
            Err(Refusal::Fault(fault)) if fault.class == Class::Fatal => {
                self.tell(&Input::ClaimRefused(&fault));
            }
            Err(Refusal::Fault(fault)) => {
                keeper.again_at = Some(keeper.breaker.failed(now));
                keeper.changed = sent.or(keeper.changed).or(Some(now));
                self.wiring.view.set_waiting(Some(fault.reason.clone()));
                self.count_failure(fault.class);
            }
        }
    }
}
