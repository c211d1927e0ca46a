//! The relay: takes dead letters from the outbox to their topic.
//!
//! They were written with the step that settled their record; from there they are sent at least once. While
//! they cannot be sent, steps with more of them wait: see `Shared::letters_wait`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::{Duration, Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::task::Shared;
use crate::engine::breaker::Breaker;

/// Letters in one go.
const LETTERS_MAX: usize = 500;
/// How often the outbox is looked at when nobody said that there is something: what a process that was
/// killed left behind is found so.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the last letters may take when the pipeline ends; what is left goes with the next start.
const LAST_WITHIN: Duration = Duration::from_secs(3);

/// Runs until `stop`; then sends what is left, if that is quick.
pub async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut breaker = Breaker::default();
    loop {
        let Some(pause) = ship(&shared, &mut breaker).await else { continue };
        tokio::select! {
            () = stop.cancelled() => break,
            () = shared.letters.notified(), if !breaker.is_open() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    let until = Instant::now() + LAST_WITHIN;
    while Instant::now() < until {
        let left = until.saturating_duration_since(Instant::now());
        if !matches!(timeout(left, ship(&shared, &mut breaker)).await, Ok(None)) {
            break;
        }
    }
}

/// Sends one go; answers how long to wait, or nothing when there may be more.
async fn ship(shared: &Shared, breaker: &mut Breaker) -> Option<Duration> {
    let Some(outbox) = shared.sink.outbox() else { return Some(LOOK_EVERY) };
    match outbox.ship(&shared.claimer.group, &*shared.producer, LETTERS_MAX).await {
        Ok(sent) => {
            breaker.succeeded();
            if shared.letters_wait.swap(false, Ordering::AcqRel) {
                tracing::info!(group = %shared.claimer.group, "dead letters leave again");
            }
            *shared.letters_why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
            (sent < LETTERS_MAX).then_some(LOOK_EVERY)
        }
        Err(fault) => {
            if !shared.letters_wait.swap(true, Ordering::AcqRel) {
                tracing::warn!(group = %shared.claimer.group, %fault, "dead letters cannot leave; steps with more of them wait");
            }
            let why = format!("dead letters cannot leave: {}", fault.reason);
            *shared.letters_why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                Some(why);
            Some(breaker.failed(Duration::ZERO))
        }
    }
}
