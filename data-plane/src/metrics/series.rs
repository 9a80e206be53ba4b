//! What is counted for each task. OpenTelemetry's library keeps for ever what it has once counted for a set of labels; here a task's
//! series are its own, asked for when somebody collects, and forgotten a while after its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;

use crate::model::{TaskId, TaskState};

/// Counters of a task that has ended are told so long, so that whoever collects now and then misses nothing of them. A task
/// that comes back within that time goes on counting.
pub(super) const KEPT: Duration = Duration::from_mins(5);

/// What is counted, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    SinkRecords,
    SinkWrites,
    Superseded,
    Lost,
    SourceRecords,
    SourcePolls,
    CommitsDone,
    CommitsFailed,
    DeadLetterRequests,
    DeadLetterFailures,
    Retries,
    Skipped,
    Logged,
    Restarts,
}

/// What time is spent on, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spent {
    SinkWrites,
    SourcePolls,
    Commits,
}

/// What is told while a task is there.
#[derive(Debug, Default)]
pub(super) struct Now {
    pub(super) state: Option<TaskState>,
    /// Records, and the age of the oldest in seconds
    pub(super) lag: Option<(u64, f64)>,
    /// The connector's own, by name
    pub(super) gauges: BTreeMap<&'static str, f64>,
}

/// What is counted under names that are not known in advance.
#[derive(Debug, Default)]
pub(super) struct Named {
    /// Records and failures by stage and kind of error
    pub(super) errors: BTreeMap<(&'static str, &'static str), (u64, u64)>,
    /// When the last one was, in seconds since 1970
    pub(super) last_error: Option<f64>,
    /// The connector's own
    pub(super) counters: BTreeMap<&'static str, u64>,
}

/// The series of one task.
#[derive(Debug)]
pub(super) struct Series {
    /// Connector, task, tenant: in this order they need not be sorted when they are observed
    labels: Vec<KeyValue>,
    counts: [AtomicU64; Count::Restarts as usize + 1],
    nanos: [AtomicU64; Spent::Commits as usize + 1],
    now: Mutex<Now>,
    named: Mutex<Named>,
    /// How many handles there are: a task's last one may live on beside its next one's
    users: AtomicUsize,
    ended: Mutex<Option<Instant>>,
}

impl Series {
    fn new(id: &TaskId) -> Self {
        Self {
            labels: vec![
                KeyValue::new("connector", id.connector.clone()),
                KeyValue::new("task", i64::from(id.index)),
                KeyValue::new("tenant", id.tenant.clone()),
            ],
            counts: Default::default(),
            nanos: Default::default(),
            now: Mutex::default(),
            named: Mutex::default(),
            users: AtomicUsize::new(0),
            ended: Mutex::default(),
        }
    }

    pub(super) fn labels(&self) -> &[KeyValue] {
        &self.labels
    }

    pub(super) fn labels_and<const N: usize>(&self, more: [(&'static str, &'static str); N]) -> Vec<KeyValue> {
        self.labels.iter().cloned().chain(more.map(|(name, value)| KeyValue::new(name, value))).collect()
    }

    pub(super) fn add(&self, count: Count, more: u64) {
        self.counts[count as usize].fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn count(&self, count: Count) -> u64 {
        self.counts[count as usize].load(Ordering::Relaxed)
    }

    pub(super) fn spend(&self, on: Spent, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.nanos[on as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn seconds(&self, on: Spent) -> f64 {
        Duration::from_nanos(self.nanos[on as usize].load(Ordering::Relaxed)).as_secs_f64()
    }

    pub(super) fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self, at: Instant) -> bool {
        let ended = *self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.is_some_and(|ended| at.saturating_duration_since(ended) >= KEPT)
    }

    /// A handle of the task's is gone.
    pub(super) fn leave(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.now() = Now::default();
            *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }
}

/// The series of all tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<BTreeMap<TaskId, Arc<Series>>>);

impl Tasks {
    /// Those of a task that begins at this moment. Others that ended long before are forgotten.
    pub(super) fn enter(&self, id: &TaskId, at: Instant) -> Arc<Series> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, series| !series.is_over(at));
        let series = Arc::clone(all.entry(id.clone()).or_insert_with(|| Arc::new(Series::new(id))));
        series.users.fetch_add(1, Ordering::AcqRel);
        *series.ended.lock().unwrap_or_else(PoisonError::into_inner) = None;
        series
    }

    /// Calls for each task that is there at this moment or ended a short while before.
    pub(super) fn each(&self, at: Instant, mut with: impl FnMut(&Series)) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|series| !series.is_over(at)).for_each(|series| with(series));
    }
}
