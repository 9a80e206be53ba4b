//! Signals: the first Ctrl-C or SIGTERM drains, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// 128 + SIGINT, as shells report it.
const INTERRUPTED: i32 = 130;

/// Cancels the token at the first signal. Runs until the process ends.
#[expect(clippy::disallowed_methods, reason = "the second signal asks for exactly that: to end without the drain")]
pub(super) async fn on_signals(shutdown: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("signals cannot be received: the process can only be killed");
        return;
    };
    either(&mut interrupt, &mut terminate).await;
    tracing::info!("draining: tasks commit and end; a second signal ends the process at once");
    shutdown.cancel();
    either(&mut interrupt, &mut terminate).await;
    tracing::warn!("ended by a second signal; what was in flight will be written again");
    std::process::exit(INTERRUPTED);
}

// Cancel-safe: a signal that arrives is not lost when the other branch wins.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
