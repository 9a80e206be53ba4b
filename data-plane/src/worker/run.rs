//! The worker's loop: whatever changes (assignment, lease, the end of a task), look at everything again and act on the
//! difference. Knows neither gRPC nor Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use millrace_sdk::ConnectorKind;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::diff::{Action, Here, diff};
use crate::lease::LeaseState;
use crate::metrics::Metrics;
use crate::model::{Assignment, TaskId, TaskSpec, TaskState, TaskStatus};

/// Without a lease a task has this long: the control plane gives it to another soon after.
const LEASE_STOP_LIMIT: Duration = Duration::from_millis(1000);

/// Starts tasks; the real one is [`crate::task`], tests have their own.
pub(crate) trait Launch: Send {
    fn launch(&self, spec: Arc<TaskSpec>) -> Arc<dyn Launched>;
    /// Whether it may run only while the lease holds: it has nothing of its own that keeps a second copy of it away, as the
    /// group membership of a sink and the transactional id of a source that runs exactly once do.
    fn needs_lease(&self, spec: &TaskSpec) -> bool {
        spec.kind == ConnectorKind::Source
    }
}

/// A started task. Dropped, it ends at once.
#[async_trait]
pub(crate) trait Launched: Send + Sync {
    fn set_paused(&self, paused: bool);
    /// Ends it in good order.
    async fn stop(&self);
}

struct Slot {
    spec: Arc<TaskSpec>,
    paused: bool,
    /// None while it is on its way out
    task: Option<Arc<dyn Launched>>,
}

/// What the loop works with.
pub(crate) struct Hands {
    pub(crate) launch: Box<dyn Launch>,
    pub(crate) assignment: watch::Receiver<Assignment>,
    pub(crate) lease: watch::Receiver<LeaseState>,
    pub(crate) statuses: mpsc::UnboundedReceiver<TaskStatus>,
    pub(crate) applied: watch::Sender<i64>,
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<Metrics>,
}

pub(crate) struct Loop {
    hands: Hands,
    slots: BTreeMap<TaskId, Slot>,
    stops: JoinSet<TaskId>,
    live: bool,
}

impl Loop {
    pub(crate) fn new(hands: Hands) -> Self {
        Self { hands, slots: BTreeMap::new(), stops: JoinSet::new(), live: false }
    }

    /// Serves until `shutdown`, then stops all tasks at the same time and returns when they are gone.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            self.look();
            let stopping = !self.stops.is_empty();
            // Cancel-safe: receivers lose nothing when dropped.
            tokio::select! {
                () = shutdown.cancelled() => break,
                changed = self.hands.assignment.changed() => if changed.is_err() { break },
                changed = self.hands.lease.changed() => if changed.is_err() { break },
                Some(status) = self.hands.statuses.recv() => self.hands.board.update(status),
                Some(stopped) = self.stops.join_next(), if stopping => self.gone(stopped),
            }
        }
        self.drain().await;
    }

    /// Acts on the difference between what is here and what is assigned.
    fn look(&mut self) {
        let live = self.hands.lease.borrow_and_update().is_live(Instant::now());
        if live != self.live {
            self.turned(live);
        }
        let assignment = self.hands.assignment.borrow_and_update().clone();
        let here = self
            .slots
            .iter()
            .map(|(id, slot)| {
                let here = match slot.task {
                    Some(_) => Here::Running { spec: &slot.spec, paused: slot.paused },
                    None => Here::Stopping,
                };
                (id.clone(), here)
            })
            .collect();
        let actions = diff(&here, &assignment, live, |spec| self.hands.launch.needs_lease(spec));
        drop(here);
        for action in actions {
            self.act(action, &assignment);
        }
        let here: BTreeSet<TaskId> = self.slots.keys().cloned().collect();
        self.hands.board.stop_unbegun(&assignment, &here, Instant::now());
        self.hands.metrics.worker_tasks(self.slots.len());
        self.hands
            .applied
            .send_if_modified(|applied| std::mem::replace(applied, assignment.revision) != assignment.revision);
    }

    fn turned(&mut self, live: bool) {
        self.live = live;
        self.hands.metrics.worker_headless(!live);
        self.hands.board.set_headless(!live);
        if live {
            tracing::info!("the control plane is heard, the lease holds");
        } else {
            tracing::warn!(
                tasks = self.slots.len(),
                "the control plane has not been heard for a whole lease: sinks run on headless, sources stop"
            );
        }
    }

    fn act(&mut self, action: Action, assignment: &Assignment) {
        match action {
            Action::Start(spec) => {
                tracing::info!(task = %spec.id, generation = spec.generation, class = %spec.class, "starting task");
                self.hands.board.begin(&spec);
                let task = self.hands.launch.launch(Arc::clone(&spec));
                self.slots.insert(spec.id.clone(), Slot { paused: spec.paused, task: Some(task), spec });
            }
            Action::SetPaused(id, paused) => {
                if let Some(slot) = self.slots.get_mut(&id) {
                    slot.paused = paused;
                    if let Some(task) = &slot.task {
                        task.set_paused(paused);
                    }
                }
            }
            Action::Stop(id) => {
                let Some(slot) = self.slots.get_mut(&id) else { return };
                let Some(task) = slot.task.take() else { return };
                tracing::info!(task = %id, generation = slot.spec.generation, "stopping task");
                // Nobody else has the task while it is still ours and the lease holds.
                let hurried =
                    !self.live && self.hands.launch.needs_lease(&slot.spec) && assignment.tasks.contains_key(&id);
                self.stops.spawn(async move {
                    let limit = if hurried { LEASE_STOP_LIMIT } else { Duration::MAX };
                    let stop = AssertUnwindSafe(task.stop()).catch_unwind();
                    match tokio::time::timeout(limit, stop).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => tracing::error!(task = %id, "stopping the task panicked; it is cut off"),
                        Err(_) => tracing::warn!(task = %id, "task is cut off: its lease has ended"),
                    }
                    drop(task);
                    id
                });
            }
        }
    }

    fn gone(&mut self, stopped: Result<TaskId, tokio::task::JoinError>) {
        // What the task said before its end comes before the end.
        while let Ok(status) = self.hands.statuses.try_recv() {
            self.hands.board.update(status);
        }
        match stopped {
            Ok(id) => self.confirm(&id),
            Err(error) => tracing::error!(%error, "the end of a task was not seen"),
        }
    }

    fn confirm(&mut self, id: &TaskId) {
        let Some(slot) = self.slots.remove(id) else { return };
        let assigned = self.hands.assignment.borrow().tasks.get(id).cloned();
        let same = assigned.is_some_and(|spec| spec.generation == slot.spec.generation);
        if same && !self.live && self.hands.launch.needs_lease(&slot.spec) {
            self.hands.board.update(suspended(&slot.spec));
        } else {
            self.hands.board.stopped(id, slot.spec.generation, Instant::now());
        }
    }

    /// Stops everything at the same time; each task bounds its own stop.
    async fn drain(mut self) {
        let here = self.slots.len();
        if here > 0 {
            tracing::info!(tasks = here, "stopping all tasks");
        }
        let none = Assignment::default();
        let ids: Vec<TaskId> = self.slots.keys().cloned().collect();
        for id in ids {
            self.act(Action::Stop(id), &none);
        }
        while let Some(stopped) = self.stops.join_next().await {
            self.gone(stopped);
        }
        self.hands.metrics.worker_tasks(0);
    }
}

/// The status of a task that waits for the lease to come back.
fn suspended(spec: &TaskSpec) -> TaskStatus {
    TaskStatus {
        id: spec.id.clone(),
        generation: spec.generation,
        set_revision: spec.set_revision,
        state: TaskState::Restarting,
        error_kind: "transient",
        trace: "stopped because the control plane was not heard for a whole lease; it starts again when it is"
            .to_owned(),
        warnings: Vec::new(),
    }
}
