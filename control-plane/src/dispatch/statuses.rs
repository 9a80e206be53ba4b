//! From reports to the store: a task's status is written when it changes, at most once a second per task unless it is one
//! that others wait for, and only while its generation is the placed one. The newest status of a task waits for a store that
//! is away; older ones are dropped.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::model::{Placement, TaskId, TaskState, TaskStatus};
use crate::store::keys;
use crate::store::{Commit, Guard, Store, StoreError, Write};

const MIN_INTERVAL: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(500);
const CONCURRENT: usize = 16;

/// Takes statuses from sessions.
#[derive(Debug, Clone)]
pub(crate) struct StatusWriter {
    queue: mpsc::UnboundedSender<(TaskId, TaskStatus)>,
}

impl StatusWriter {
    /// The writer, and what [`run`] reads.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<(TaskId, TaskStatus)>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { queue }, receiver)
    }

    /// Hands a status over.
    pub(crate) fn submit(&self, id: TaskId, status: TaskStatus) {
        // Closed only while the control plane ends.
        let _ = self.queue.send((id, status));
    }
}

/// What waits and what was written. Pure.
#[derive(Debug, Default)]
struct Queue {
    waiting: HashMap<TaskId, TaskStatus>,
    written: HashMap<TaskId, (TaskStatus, Instant)>,
}

impl Queue {
    fn offer(&mut self, id: TaskId, status: TaskStatus) {
        let newest = self.waiting.get(&id).or_else(|| self.written.get(&id).map(|(status, _)| status));
        match newest {
            Some(known) if known.generation > status.generation => {}
            Some(known) if same(known, &status) => {}
            _ => drop(self.waiting.insert(id, status)),
        }
    }

    /// When the next status may be written; None when nothing waits.
    fn next_due(&self, now: Instant) -> Option<Instant> {
        self.waiting.iter().map(|(id, status)| self.due(id, status, now)).min()
    }

    fn due(&self, id: &TaskId, status: &TaskStatus, now: Instant) -> Instant {
        match self.written.get(id) {
            Some((before, at)) if before.generation == status.generation && !awaited(status.state) => {
                *at + MIN_INTERVAL
            }
            _ => now,
        }
    }

    fn take_due(&mut self, now: Instant) -> Vec<(TaskId, TaskStatus)> {
        let due: Vec<TaskId> = self
            .waiting
            .iter()
            .filter(|(id, status)| self.due(id, status, now) <= now)
            .map(|(id, _)| id.clone())
            .collect();
        due.into_iter().filter_map(|id| self.waiting.remove_entry(&id)).collect()
    }

    fn done(&mut self, id: TaskId, status: TaskStatus, now: Instant) {
        // A task that has ended is not heard of again under this generation.
        if matches!(status.state, TaskState::Stopped | TaskState::Fenced) {
            self.written.remove(&id);
        } else {
            self.written.insert(id, (status, now));
        }
    }

    /// The store did not take it: back, unless something newer waits.
    fn again(&mut self, id: TaskId, status: TaskStatus) {
        self.waiting.entry(id).or_insert(status);
    }
}

fn same(a: &TaskStatus, b: &TaskStatus) -> bool {
    TaskStatus { since_ms: 0, ..a.clone() } == TaskStatus { since_ms: 0, ..b.clone() }
}

/// States that a move or a user waits for.
fn awaited(state: TaskState) -> bool {
    matches!(state, TaskState::Stopped | TaskState::Fenced | TaskState::Failed)
}

/// Writes until `shutdown` and the queue has run dry.
pub(crate) async fn run(
    store: Arc<dyn Store>,
    mut incoming: mpsc::UnboundedReceiver<(TaskId, TaskStatus)>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) {
    let mut queue = Queue::default();
    let mut pause = None;
    loop {
        let now = Instant::now();
        let wake = queue.next_due(now).map(|due| pause.map_or(due, |pause| due.max(pause)));
        tokio::select! {
            biased;
            received = incoming.recv() => match received {
                Some((id, status)) => {
                    queue.offer(id, status);
                    while let Ok((id, status)) = incoming.try_recv() {
                        queue.offer(id, status);
                    }
                    continue;
                }
                None => return,
            },
            () = sleep_until(wake) => {}
            () = shutdown.cancelled() => return,
        }
        let due = queue.take_due(Instant::now());
        let outcomes: Vec<_> = futures::stream::iter(due)
            .map(|(id, status)| async {
                let outcome = write(store.as_ref(), &id, &status).await;
                (id, status, outcome)
            })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        pause = None;
        for (id, status, outcome) in outcomes {
            match outcome {
                Ok(stored) => {
                    metrics.status(if stored { "stored" } else { "outdated" });
                    queue.done(id, status, Instant::now());
                }
                Err(error) => {
                    tracing::warn!(connector = %id.connector, task = id.index, %error, "cannot store a task's status yet");
                    queue.again(id, status);
                    pause = Some(Instant::now() + RETRY);
                }
            }
        }
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// Whether it was written, or already there; false when it is outdated.
async fn write(store: &dyn Store, id: &TaskId, status: &TaskStatus) -> Result<bool, StoreError> {
    let (placement_key, status_key) = (keys::placement(id), keys::status(id));
    for _ in 0..4 {
        let Some(placement) = store.get(&placement_key).await? else { return Ok(false) };
        let placed: Option<Placement> = serde_json::from_slice(&placement.value).ok();
        if placed.is_none_or(|placed| placed.generation != status.generation) {
            return Ok(false);
        }
        let known = store.get(&status_key).await?;
        let known: Option<TaskStatus> = known.and_then(|entry| serde_json::from_slice(&entry.value).ok());
        if known.is_some_and(|known| same(&known, status)) {
            return Ok(true);
        }
        let value = serde_json::to_vec(status).map_err(|error| StoreError::Internal(error.to_string()))?;
        let commit = Commit {
            guards: vec![Guard::Revision { key: placement_key.clone(), revision: placement.revision }],
            writes: vec![Write::Put { key: status_key.clone(), value, lease: None }],
        };
        match store.commit(commit).await {
            Err(StoreError::Conflict) => {}
            other => return other.map(|_| true),
        }
    }
    Err(StoreError::Conflict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectorId, Generation};

    fn id() -> TaskId {
        TaskId { connector: ConnectorId { tenant: "t".into(), connector: "c".into() }, index: 0 }
    }

    fn status(generation: i64, state: TaskState) -> TaskStatus {
        TaskStatus {
            generation: Generation(generation),
            worker: "w".into(),
            address: String::new(),
            state,
            error_kind: String::new(),
            trace: String::new(),
            warnings: Vec::new(),
            since_ms: crate::wire::now_ms(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn changes_are_written_once_and_not_too_often() {
        let mut queue = Queue::default();
        queue.offer(id(), status(1, TaskState::Running));
        let now = Instant::now();
        let due = queue.take_due(now);
        assert_eq!(due.len(), 1);
        queue.done(id(), status(1, TaskState::Running), now);
        queue.offer(id(), status(1, TaskState::Running));
        assert_eq!(queue.next_due(now), None);
        queue.offer(id(), status(1, TaskState::Restarting));
        assert_eq!(queue.next_due(now), Some(now + MIN_INTERVAL));
        assert!(queue.take_due(now).is_empty());
        // Somebody waits for this one, and for a new generation.
        queue.offer(id(), status(1, TaskState::Stopped));
        assert_eq!(queue.take_due(now)[0].1.state, TaskState::Stopped);
        queue.offer(id(), status(2, TaskState::Starting));
        queue.offer(id(), status(1, TaskState::Running));
        assert_eq!(queue.take_due(now)[0].1.generation, Generation(2));
        queue.again(id(), status(2, TaskState::Starting));
        assert_eq!(queue.waiting.len(), 1);
    }
}
