//! Keeps a task alive: one life after another, with back-off between them, until it is stopped, fenced, or has failed in a
//! way that only a new configuration or the user can mend. Reports each change of state.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use millrace_sdk::{ConnectorKind, Error, ErrorKind};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::{Backoff, Failure, Stage, TaskEnvironment, sink, source};
use crate::metrics::TaskMetrics;
use crate::model::{TaskId, TaskSpec, TaskState, TaskStatus};

/// Between lives of a task.
const FIRST_DELAY: Duration = Duration::from_millis(500);
const LAST_DELAY: Duration = Duration::from_secs(30);
/// How many unexpected errors in a row a task may have before it is FAILED …
const INTERNAL_BUDGET: u32 = 5;
/// … where a life of this length ends the row.
const GOOD_LIFE: Duration = Duration::from_secs(60);

/// What one life of a task is given.
#[derive(Clone)]
pub struct Life {
    /// What to run
    pub spec: Arc<TaskSpec>,
    /// What is around it
    pub environment: Arc<TaskEnvironment>,
    /// The task's instruments
    pub metrics: Arc<TaskMetrics>,
    /// Reports states and remarks
    pub reporter: Arc<Reporter>,
    /// Hold still while true
    pub paused: watch::Receiver<bool>,
    /// End in good order
    pub stop: CancellationToken,
}

/// Reports the task's state, with remarks that come and go.
pub struct Reporter {
    spec: Arc<TaskSpec>,
    statuses: mpsc::UnboundedSender<TaskStatus>,
    metrics: Arc<TaskMetrics>,
    current: Mutex<Current>,
}

struct Current {
    state: TaskState,
    error_kind: &'static str,
    trace: String,
    remarks: BTreeMap<&'static str, String>,
}

impl Reporter {
    pub(super) fn new(
        spec: Arc<TaskSpec>,
        statuses: mpsc::UnboundedSender<TaskStatus>,
        metrics: Arc<TaskMetrics>,
    ) -> Self {
        let current =
            Current { state: TaskState::Starting, error_kind: "", trace: String::new(), remarks: BTreeMap::new() };
        Self { spec, statuses, metrics, current: Mutex::new(current) }
    }

    /// The task this is about.
    #[must_use]
    pub fn task(&self) -> &TaskId {
        &self.spec.id
    }

    /// Reports a state without an error.
    pub fn state(&self, state: TaskState) {
        self.report(state, "", String::new());
    }

    /// Reports RUNNING, or PAUSED.
    pub fn running(&self, paused: bool) {
        self.state(if paused { TaskState::Paused } else { TaskState::Running });
    }

    /// Reports a state with the error that led to it.
    pub fn failure(&self, state: TaskState, failure: &Failure) {
        self.report(state, failure.kind().name(), failure.trace());
    }

    /// Sets or takes back the remark on a subject. Only a change is reported.
    pub fn remark(&self, subject: &'static str, text: Option<String>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &text {
            Some(text) => current.remarks.insert(subject, text.clone()),
            None => current.remarks.remove(subject),
        };
        if before != text {
            if let Some(text) = &text {
                tracing::warn!(task = %self.spec.id, remark = text, "task has a remark");
            }
            self.send(&current);
        }
    }

    fn report(&self, state: TaskState, error_kind: &'static str, trace: String) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.state = state;
        current.error_kind = error_kind;
        current.trace = trace;
        if !matches!(state, TaskState::Running | TaskState::Paused) {
            current.remarks.clear();
        }
        self.metrics.state(state);
        self.send(&current);
    }

    fn send(&self, current: &Current) {
        // A worker that no longer listens is about to end.
        let _ = self.statuses.send(TaskStatus {
            id: self.spec.id.clone(),
            generation: self.spec.generation,
            set_revision: self.spec.set_revision,
            state: current.state,
            error_kind: current.error_kind,
            trace: current.trace.clone(),
            warnings: current.remarks.values().cloned().collect(),
        });
    }
}

/// What happens after a life has ended with a failure.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Another life after a delay
    Again(Option<Duration>),
    /// Only a new configuration or the user helps
    Failed,
    /// Somebody newer does the work
    Fenced,
}

/// The decision by the error's kind alone. `internal_in_a_row` counts this one.
fn next(kind: ErrorKind, internal_in_a_row: u32) -> Next {
    match kind {
        ErrorKind::Transient { retry_after } => Next::Again(retry_after),
        ErrorKind::Internal if internal_in_a_row <= INTERNAL_BUDGET => Next::Again(None),
        ErrorKind::Internal | ErrorKind::BadConfig | ErrorKind::BadRecord => Next::Failed,
        ErrorKind::Fenced => Next::Fenced,
    }
}

/// Runs a task until it is stopped, fenced or has failed for good.
pub(super) async fn supervise(
    spec: Arc<TaskSpec>,
    environment: Arc<TaskEnvironment>,
    metrics: Arc<TaskMetrics>,
    paused: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let reporter = Arc::new(Reporter::new(Arc::clone(&spec), environment.statuses.clone(), Arc::clone(&metrics)));
    let life = Life { spec, environment, metrics, reporter, paused, stop };
    let mut backoff = Backoff::new(FIRST_DELAY, LAST_DELAY);
    let mut internal_in_a_row = 0;
    loop {
        life.reporter.state(TaskState::Starting);
        let born = Instant::now();
        let outcome = live(&life).await;
        if born.elapsed() >= GOOD_LIFE {
            backoff.reset();
            internal_in_a_row = 0;
        }
        let failure = match outcome {
            Ok(()) => break life.reporter.state(TaskState::Stopped),
            Err(failure) if life.stop.is_cancelled() => {
                tracing::warn!(task = %life.spec.id, error = failure.trace(), "task failed while it was stopped");
                break life.reporter.state(TaskState::Stopped);
            }
            Err(failure) => failure,
        };
        internal_in_a_row = if failure.kind() == ErrorKind::Internal { internal_in_a_row + 1 } else { 0 };
        match next(failure.kind(), internal_in_a_row) {
            Next::Failed => {
                tracing::error!(task = %life.spec.id, kind = failure.kind().name(), error = failure.trace(), "task failed");
                break life.reporter.failure(TaskState::Failed, &failure);
            }
            Next::Fenced => {
                tracing::info!(task = %life.spec.id, error = failure.trace(), "task was fenced");
                break life.reporter.failure(TaskState::Fenced, &failure);
            }
            Next::Again(wished) => {
                let delay = backoff.delay(wished);
                tracing::warn!(task = %life.spec.id, error = failure.trace(), ?delay, "task is restarted");
                life.metrics.restart();
                life.reporter.failure(TaskState::Restarting, &failure);
                tokio::select! {
                    () = life.stop.cancelled() => break life.reporter.state(TaskState::Stopped),
                    () = tokio::time::sleep(delay) => {}
                }
            }
        }
    }
}

/// One life; a panic in it is an unexpected error.
async fn live(life: &Life) -> Result<(), Failure> {
    let run = async {
        match life.spec.kind {
            ConnectorKind::Sink => Box::pin(sink::run(life.clone())).await,
            ConnectorKind::Source => Box::pin(source::run(life.clone())).await,
        }
    };
    match AssertUnwindSafe(run).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(panic) => Err(Failure::new(Stage::Start, panicked(panic.as_ref()))),
    }
}

/// The error of a panic.
pub(super) fn panicked(panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    Error::internal(format!("panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_kind_one_reaction() {
        for (kind, row, expected) in [
            (ErrorKind::TRANSIENT, 0, Next::Again(None)),
            (
                ErrorKind::Transient { retry_after: Some(Duration::from_secs(3)) },
                0,
                Next::Again(Some(Duration::from_secs(3))),
            ),
            (ErrorKind::Internal, 1, Next::Again(None)),
            (ErrorKind::Internal, INTERNAL_BUDGET, Next::Again(None)),
            (ErrorKind::Internal, INTERNAL_BUDGET + 1, Next::Failed),
            (ErrorKind::BadConfig, 0, Next::Failed),
            (ErrorKind::BadRecord, 0, Next::Failed),
            (ErrorKind::Fenced, 0, Next::Fenced),
        ] {
            assert_eq!(next(kind, row), expected, "{kind:?}");
        }
    }
}
