//! A task on a worker: the handle the worker holds, what a task finds around it, and the parts of the record path.
//!
//! `supervise` keeps a task alive (start, back-off, restart, failure); `sink` and `source` are one life of it. The sink's
//! path is fetch → decode → write (retry) → offsets → commit: `fetch` is the poll thread, `decode` and `write` work on
//! batches, `lanes`, `offsets` and `retry` are pure decisions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::catalog::Catalog;
use crate::kafka::Producers;
use crate::lease::LeaseState;
use crate::metrics::{Metrics, TaskMetrics};
use crate::model::{TaskSpec, TaskStatus};

mod batch;
mod consumer;
mod dead_letter;
mod decode;
mod failure;
mod fetch;
mod lanes;
pub mod offsets;
pub mod offsets_topic;

mod preparing;
mod reports;
mod retry;
mod sink;
pub mod source;
mod supervise;
mod write;

pub use failure::{Failure, Stage};
pub use retry::Backoff;
pub use supervise::{Life, Reporter};

/// How long a task may take to stop in good order.
pub const DEFAULT_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// What every task of a worker finds around it.
pub struct TaskEnvironment {
    /// The connectors that this worker has
    pub catalog: Arc<Catalog>,
    /// Instruments
    pub metrics: Arc<Metrics>,
    /// Where statuses go
    pub statuses: mpsc::UnboundedSender<TaskStatus>,
    /// Whether this worker may act; sinks run on without it, since their group membership fences them
    pub lease: watch::Receiver<LeaseState>,
    /// `host:port` or a name, for logs and headers
    pub worker_id: String,
    /// Kafka producers, made on first use and shared by tasks with equal settings
    pub producers: Arc<Producers>,
    /// How long a task may take to stop in good order
    pub stop_timeout: Duration,
}

/// A running task. Dropping it without [`TaskHandle::stop`] aborts the task where it stands.
pub struct TaskHandle {
    spec: Arc<TaskSpec>,
    paused: watch::Sender<bool>,
    stop: CancellationToken,
    /// A task that has failed is told as failed until it is taken away
    _metrics: Arc<TaskMetrics>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
    stop_timeout: Duration,
}

impl TaskHandle {
    /// Starts the task's supervisor, which reports every change of state to `environment.statuses`. Must be called within
    /// a tokio runtime.
    #[must_use]
    pub fn start(spec: Arc<TaskSpec>, environment: Arc<TaskEnvironment>) -> Self {
        let (paused, pause_seen) = watch::channel(spec.paused);
        let stop = CancellationToken::new();
        let stop_timeout = environment.stop_timeout;
        let class = environment.catalog.name_of(&spec.class).unwrap_or("unknown");
        let metrics = Arc::new(environment.metrics.task(&spec.id, class));
        let told = Arc::clone(&metrics);
        let run = supervise::supervise(Arc::clone(&spec), environment, told, pause_seen, stop.clone());
        let supervisor = Mutex::new(Some(tokio::spawn(run)));
        Self { spec, paused, stop, _metrics: metrics, supervisor, stop_timeout }
    }

    /// What it was started with.
    #[must_use]
    pub fn spec(&self) -> &Arc<TaskSpec> {
        &self.spec
    }

    /// Whether the supervisor has ended, because it was told to or because the task was fenced or has failed for good.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.supervisor.lock().is_ok_and(|guard| guard.as_ref().is_none_or(JoinHandle::is_finished))
    }

    /// Holds the task still, or lets it go on.
    pub fn set_paused(&self, paused: bool) {
        self.paused.send_if_modified(|now| std::mem::replace(now, paused) != paused);
    }

    /// Stops it in good order: writes in flight end, offsets are committed, the consumer closes, STOPPED is reported. What
    /// is not done after `stop_timeout` and a short grace is aborted.
    pub async fn stop(&self) {
        self.stop.cancel();
        let supervisor = self.supervisor.lock().ok().and_then(|mut guard| guard.take());
        let Some(mut supervisor) = supervisor else { return };
        // The loops keep to `stop_timeout` themselves; the margin is for closing clients.
        if tokio::time::timeout(self.stop_timeout + Duration::from_secs(3), &mut supervisor).await.is_err() {
            tracing::warn!(task = %self.spec.id, "task did not stop in time and is aborted");
            supervisor.abort();
        }
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Ok(guard) = self.supervisor.get_mut()
            && let Some(supervisor) = guard.take()
        {
            supervisor.abort();
        }
    }
}
