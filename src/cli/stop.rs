//! Signals: the first asks to stop, the second leaves at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels. At the second one the process ends with 1: what had
/// begun is left to the fence.
///
/// # Errors
/// The signals cannot be listened to.
pub(super) fn on_signal() -> std::io::Result<CancellationToken> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        let name = either(&mut term, &mut int).await;
        tracing::info!(
            signal = name,
            "stopping: draining what has begun; a second signal leaves at once"
        );
        asked.cancel();
        let name = either(&mut term, &mut int).await;
        tracing::warn!(signal = name, "leaving at once");
        std::process::exit(1);
    });
    Ok(stop)
}

async fn either(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
