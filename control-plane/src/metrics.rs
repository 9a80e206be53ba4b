//! Every instrument of the control plane, on `opentelemetry::global::meter("millrace")`. Labels are tenant, connector,
//! operation, state and outcome; never an error text.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, UpDownCounter};

/// OpenTelemetry's own boundaries are meant for milliseconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// The instruments.
#[derive(Debug)]
pub struct Metrics {
    /// `millrace.api.requests`
    requests: Counter<u64>,
    /// `millrace.api.duration`
    request_duration: Histogram<f64>,
    /// `millrace.sessions`
    sessions: UpDownCounter<i64>,
    /// `millrace.assignments.sent`
    assignments: Counter<u64>,
    /// `millrace.assignments.tasks`
    assigned: Arc<Assigned>,
    /// `millrace.statuses.stored`
    statuses: Counter<u64>,
    /// `millrace.reconcile.duration`
    reconcile: Histogram<f64>,
    /// `millrace.connectors`
    connectors: Gauge<u64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// From the global meter: install the provider before.
    #[must_use]
    pub fn new() -> Self {
        let meter = opentelemetry::global::meter("millrace");
        let assigned = Arc::<Assigned>::default();
        let told = Arc::clone(&assigned);
        meter
            .u64_observable_gauge("millrace.assignments.tasks")
            .with_description("Tasks assigned to a worker by its session on this replica")
            .with_callback(move |observer| {
                told.each(|worker, tasks| observer.observe(tasks, &[KeyValue::new("worker", worker.to_owned())]));
            })
            .build();
        Self {
            requests: meter.u64_counter("millrace.api.requests").with_description("API requests").build(),
            request_duration: meter
                .f64_histogram("millrace.api.duration")
                .with_unit("s")
                .with_description("Time to answer an API request")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            sessions: meter
                .i64_up_down_counter("millrace.sessions")
                .with_description("Worker sessions open on this replica")
                .build(),
            assignments: meter
                .u64_counter("millrace.assignments.sent")
                .with_description("Assignments sent to workers, full or delta")
                .build(),
            assigned,
            statuses: meter
                .u64_counter("millrace.statuses.stored")
                .with_description("Task state changes by outcome: stored, outdated")
                .build(),
            reconcile: meter
                .f64_histogram("millrace.reconcile.duration")
                .with_unit("s")
                .with_description("Time of one pass of the reconciler")
                .with_boundaries(SECONDS.to_vec())
                .build(),
            connectors: meter
                .u64_gauge("millrace.connectors")
                .with_description("Connectors by tenant and wanted state")
                .build(),
        }
    }

    /// A request was answered.
    pub fn request(&self, api: &'static str, operation: &str, outcome: String, took: Duration) {
        let labels = [
            KeyValue::new("api", api),
            KeyValue::new("operation", operation.to_owned()),
            KeyValue::new("outcome", outcome),
        ];
        self.requests.add(1, &labels);
        self.request_duration.record(took.as_secs_f64(), &labels[..2]);
    }

    /// A session was opened (1) or closed (-1).
    pub fn session(&self, change: i64) {
        self.sessions.add(change, &[]);
    }

    /// A worker's session has begun: how many tasks it has assigned is told while the answer is kept.
    pub(crate) fn assigned(&self, worker: &str) -> Arc<AtomicU64> {
        self.assigned.enter(worker)
    }

    /// An assignment was sent.
    pub fn assignment(&self, full: bool) {
        self.assignments.add(1, &[KeyValue::new("full", full)]);
    }

    /// A reported state change was stored, or dropped as outdated.
    pub fn status(&self, outcome: &'static str) {
        self.statuses.add(1, &[KeyValue::new("outcome", outcome)]);
    }

    /// The reconciler made a pass.
    pub fn reconciled(&self, took: Duration) {
        self.reconcile.record(took.as_secs_f64(), &[]);
    }

    /// How many connectors of a tenant are wanted in a state.
    pub fn connectors(&self, tenant: &str, state: &'static str, count: usize) {
        let labels = [KeyValue::new("tenant", tenant.to_owned()), KeyValue::new("state", state)];
        self.connectors.record(u64::try_from(count).unwrap_or(u64::MAX), &labels);
    }
}

/// How many tasks each session has assigned. OpenTelemetry's own gauges tell for ever what they were told once, of workers that are
/// gone as well; these numbers are asked for, and end with their session.
#[derive(Debug, Default)]
struct Assigned(Mutex<Vec<(String, Weak<AtomicU64>)>>);

impl Assigned {
    fn enter(&self, worker: &str) -> Arc<AtomicU64> {
        let tasks = Arc::<AtomicU64>::default();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, tasks)| tasks.strong_count() > 0);
        all.push((worker.to_owned(), Arc::downgrade(&tasks)));
        tasks
    }

    /// In the order in which sessions began: of two of one worker the later one counts.
    fn each(&self, mut with: impl FnMut(&str, u64)) {
        for (worker, tasks) in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(tasks) = tasks.upgrade() {
                with(worker, tasks.load(Ordering::Relaxed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_is_gone_is_told_no_longer() {
        let assigned = Assigned::default();
        let told = || {
            let mut told = Vec::new();
            assigned.each(|worker, tasks| told.push((worker.to_owned(), tasks)));
            told
        };
        let (one, other) = (assigned.enter("w1"), assigned.enter("w2"));
        one.store(3, Ordering::Relaxed);
        assert_eq!(told(), [("w1".to_owned(), 3), ("w2".to_owned(), 0)]);
        drop(one);
        assert_eq!(told(), [("w2".to_owned(), 0)]);
        // A worker that comes back before its old session has ended.
        let again = assigned.enter("w2");
        again.store(5, Ordering::Relaxed);
        assert_eq!(told().last(), Some(&("w2".to_owned(), 5)));
        drop(other);
        assert_eq!(told(), [("w2".to_owned(), 5)]);
    }
}
