//! How many connectors of each tenant are wanted in which state: for the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Shared;
use crate::model::TargetState;

const INTERVAL: Duration = Duration::from_secs(5);

/// Counts until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut counts: BTreeMap<(String, &'static str), usize> = BTreeMap::new();
    loop {
        // What has come to nothing is said once more, as 0.
        counts.retain(|_, count| std::mem::take(count) > 0);
        for (id, definition) in shared.mirror.definitions() {
            let state = match definition.value.target {
                TargetState::Running => "running",
                TargetState::Paused => "paused",
                TargetState::Stopped => "stopped",
            };
            *counts.entry((id.tenant, state)).or_default() += 1;
        }
        for ((tenant, state), count) in &counts {
            shared.metrics.connectors(tenant, state, *count);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
