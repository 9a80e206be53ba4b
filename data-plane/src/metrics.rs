//! Every instrument of the data plane, in one place. Names are OpenTelemetry's (`millrace.<subject>…`, with units); labels
//! are tenant, connector and task, for errors also stage and kind: never a key, a topic's name or an error text.
//!
//! A task asks once for its [`TaskMetrics`], which holds the prebuilt labels; loops add per batch, never per record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_sdk::Figure;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

use crate::model::{TaskId, TaskState};

/// Boundaries of durations, in seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Boundaries of batch sizes, in records.
const RECORDS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];

/// The instruments.
#[derive(Debug)]
pub struct Metrics {
    sink_records: Counter<u64>,
    sink_batch_size: Histogram<u64>,
    sink_write_duration: Histogram<f64>,
    sink_lag_records: Gauge<u64>,
    sink_lag_seconds: Gauge<f64>,
    sink_superseded: Counter<u64>,
    source_records: Counter<u64>,
    source_poll_duration: Histogram<f64>,
    commits: Counter<u64>,
    commit_duration: Histogram<f64>,
    dead_letter_requests: Counter<u64>,
    dead_letter_failures: Counter<u64>,
    errors: Counter<u64>,
    failures: Counter<u64>,
    retries: Counter<u64>,
    skipped: Counter<u64>,
    logged: Counter<u64>,
    last_error: Gauge<f64>,
    task_restarts: Counter<u64>,
    task_state: Gauge<u64>,
    worker_tasks: Gauge<u64>,
    worker_headless: Gauge<u64>,
    session_connects: Counter<u64>,
    meter: Meter,
    /// Those of connectors, made when they are first used: a name must not be made twice
    gauges: Mutex<BTreeMap<&'static str, Gauge<f64>>>,
    counters: Mutex<BTreeMap<&'static str, Counter<u64>>>,
}

impl Metrics {
    /// The instruments of the process's meter provider; what is recorded before one is installed is lost.
    #[must_use]
    pub fn global() -> Arc<Self> {
        Arc::new(Self::new(&opentelemetry::global::meter("millrace")))
    }

    /// The instruments of `meter`.
    #[must_use]
    pub fn new(meter: &Meter) -> Self {
        let count = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit(unit).with_description(what).build()
        };
        let gauge = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_gauge(name).with_unit(unit).with_description(what).build()
        };
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(what).with_boundaries(SECONDS.to_vec()).build()
        };
        let moment = |name: &'static str, what: &'static str| {
            meter.f64_gauge(name).with_unit("s").with_description(what).build()
        };
        Self {
            sink_records: count("millrace.sink.records", "{record}", "Records that the store has confirmed"),
            sink_batch_size: meter
                .u64_histogram("millrace.sink.batch.size")
                .with_unit("{record}")
                .with_description("Records per write")
                .with_boundaries(RECORDS.to_vec())
                .build(),
            sink_write_duration: seconds("millrace.sink.write.duration", "Time of one write of a batch to the store"),
            sink_lag_records: gauge(
                "millrace.sink.lag.records",
                "{record}",
                "Records in Kafka that are not written yet",
            ),
            sink_lag_seconds: moment("millrace.sink.lag.time", "Age of the oldest record that waits to be written"),
            sink_superseded: count("millrace.sink.superseded", "{record}", "Writes refused: there is a newer version"),
            source_records: count("millrace.source.records", "{record}", "Records that Kafka has acknowledged"),
            source_poll_duration: seconds("millrace.source.poll.duration", "Time of one poll of the source"),
            commits: count("millrace.commits", "{commit}", "Commits of offsets or source positions"),
            commit_duration: seconds("millrace.commit.duration", "Time of one commit of offsets or source positions"),
            dead_letter_requests: count("millrace.dead_letter.requests", "{record}", "Dead letters that were produced"),
            dead_letter_failures: count("millrace.dead_letter.failures", "{record}", "Dead letters that Kafka refused"),
            errors: count("millrace.errors.records", "{record}", "Records that failed, by stage and kind of error"),
            failures: count("millrace.errors.failures", "{failure}", "Failed operations, by stage and kind of error"),
            retries: count("millrace.errors.retries", "{retry}", "Operations that were tried again"),
            skipped: count("millrace.errors.skipped", "{record}", "Records passed over, as errors.tolerance allows"),
            logged: count("millrace.errors.logged", "{error}", "Errors written to the log (errors.log.enable)"),
            last_error: moment("millrace.errors.last.time", "When the task had its last error, in seconds since 1970"),
            task_restarts: count("millrace.task.restarts", "{restart}", "Restarts of a task after an error"),
            task_state: gauge("millrace.task.state", "1", "1 for the state that the task is in, 0 for all others"),
            worker_tasks: gauge("millrace.worker.tasks", "{task}", "Tasks of this worker"),
            worker_headless: gauge(
                "millrace.worker.headless",
                "1",
                "1 while the control plane has not been heard for a whole lease",
            ),
            session_connects: count(
                "millrace.worker.session.connects",
                "{connect}",
                "Sessions with the control plane, by outcome",
            ),
            meter: meter.clone(),
            gauges: Mutex::default(),
            counters: Mutex::default(),
        }
    }

    /// The handle of a task.
    #[must_use]
    pub fn task(self: &Arc<Self>, id: &TaskId) -> TaskMetrics {
        TaskMetrics {
            metrics: Arc::clone(self),
            labels: vec![
                KeyValue::new("tenant", id.tenant.clone()),
                KeyValue::new("connector", id.connector.clone()),
                KeyValue::new("task", i64::from(id.index)),
            ],
            state: Mutex::new(None),
            lag_shown: AtomicBool::new(false),
            shown: Mutex::default(),
        }
    }

    fn gauge_of(&self, figure: &'static Figure) -> Gauge<f64> {
        let mut gauges = self.gauges.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || {
            let builder = self.meter.f64_gauge(figure.name).with_unit(figure.unit);
            builder.with_description(figure.description).build()
        };
        gauges.entry(figure.name).or_insert_with(build).clone()
    }

    fn counter_of(&self, figure: &'static Figure) -> Counter<u64> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || {
            let builder = self.meter.u64_counter(figure.name).with_unit(figure.unit);
            builder.with_description(figure.description).build()
        };
        counters.entry(figure.name).or_insert_with(build).clone()
    }

    /// Tasks that this worker has.
    pub fn worker_tasks(&self, tasks: usize) {
        self.worker_tasks.record(tasks as u64, &[]);
    }

    /// Whether the lease has ended.
    pub fn worker_headless(&self, headless: bool) {
        self.worker_headless.record(u64::from(headless), &[]);
    }

    /// An attempt to open a session: `welcome`, `refused` or `unreachable`.
    pub fn session_connect(&self, outcome: &'static str) {
        self.session_connects.add(1, &[KeyValue::new("outcome", outcome)]);
    }
}

/// What a task records, with its labels prebuilt. Dropping it leaves no state, no lag and no figure of the connector behind.
#[derive(Debug)]
pub struct TaskMetrics {
    metrics: Arc<Metrics>,
    labels: Vec<KeyValue>,
    state: Mutex<Option<TaskState>>,
    lag_shown: AtomicBool,
    /// Gauges of the connector that have a value
    shown: Mutex<BTreeMap<&'static str, Gauge<f64>>>,
}

impl TaskMetrics {
    /// One write of `attempted` records to the store, of which `written` are durable.
    pub fn sink_write(&self, attempted: usize, written: usize, took: Duration) {
        self.metrics.sink_batch_size.record(attempted as u64, &self.labels);
        self.metrics.sink_write_duration.record(took.as_secs_f64(), &self.labels);
        if written > 0 {
            self.metrics.sink_records.add(written as u64, &self.labels);
        }
    }

    /// What failed for a passing reason is tried again: a write, the producing of a record, a question of a converter.
    pub fn retry(&self) {
        self.metrics.retries.add(1, &self.labels);
    }

    /// Writes that the store refused in favour of a newer version.
    pub fn sink_superseded(&self, records: u64) {
        if records > 0 {
            self.metrics.sink_superseded.add(records, &self.labels);
        }
    }

    /// How far the task is behind, over all its partitions.
    pub fn sink_lag(&self, records: u64, age: Duration) {
        self.lag_shown.store(true, Ordering::Relaxed);
        self.metrics.sink_lag_records.record(records, &self.labels);
        self.metrics.sink_lag_seconds.record(age.as_secs_f64(), &self.labels);
    }

    /// Records that Kafka acknowledged.
    pub fn source_records(&self, records: u64) {
        self.metrics.source_records.add(records, &self.labels);
    }

    /// One poll of the source that brought something.
    pub fn source_poll(&self, took: Duration) {
        self.metrics.source_poll_duration.record(took.as_secs_f64(), &self.labels);
    }

    /// One commit of offsets or positions.
    pub fn commit(&self, succeeded: bool, took: Duration) {
        let labels = self.labels_and([KeyValue::new("outcome", if succeeded { "done" } else { "failed" })]);
        self.metrics.commits.add(1, &labels);
        self.metrics.commit_duration.record(took.as_secs_f64(), &labels);
    }

    /// A dead letter was produced, or refused.
    pub fn dead_letter(&self, acknowledged: bool) {
        self.metrics.dead_letter_requests.add(1, &self.labels);
        if !acknowledged {
            self.metrics.dead_letter_failures.add(1, &self.labels);
        }
    }

    /// Records passed over because the user tolerates them.
    pub fn skipped(&self, records: u64) {
        self.metrics.skipped.add(records, &self.labels);
    }

    /// An error was written to the log.
    pub fn logged(&self) {
        self.metrics.logged.add(1, &self.labels);
    }

    /// An operation that failed, on so many records; `stage` as in `fetch`, `decode`, `encode`, `write`; `kind` is `ErrorKind::name`.
    pub fn errors(&self, stage: &'static str, kind: &'static str, records: u64) {
        let labels = self.labels_and([KeyValue::new("stage", stage), KeyValue::new("kind", kind)]);
        self.metrics.errors.add(records, &labels);
        self.metrics.failures.add(1, &labels);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.metrics.last_error.record(now.as_secs_f64(), &self.labels);
    }

    /// A figure of the connector's own has this value now.
    pub fn connector_gauge(&self, figure: &'static Figure, value: f64) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let gauge = shown.entry(figure.name).or_insert_with(|| self.metrics.gauge_of(figure));
        gauge.record(value, &self.labels);
    }

    /// A figure of the connector's own has grown.
    pub fn connector_count(&self, figure: &'static Figure, more: u64) {
        self.metrics.counter_of(figure).add(more, &self.labels);
    }

    /// The task starts again after an error.
    pub fn restart(&self) {
        self.metrics.task_restarts.add(1, &self.labels);
    }

    /// The state that the task is in.
    pub fn state(&self, state: TaskState) {
        let mut current = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == Some(state) {
            return;
        }
        if let Some(old) = current.replace(state) {
            self.metrics.task_state.record(0, &self.labels_and([KeyValue::new("state", state_name(old))]));
        }
        self.metrics.task_state.record(1, &self.labels_and([KeyValue::new("state", state_name(state))]));
    }

    fn labels_and<const N: usize>(&self, more: [KeyValue; N]) -> Vec<KeyValue> {
        self.labels.iter().cloned().chain(more).collect()
    }
}

impl Drop for TaskMetrics {
    fn drop(&mut self) {
        if let Some(last) = *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            self.metrics.task_state.record(0, &self.labels_and([KeyValue::new("state", state_name(last))]));
        }
        if self.lag_shown.load(Ordering::Relaxed) {
            self.metrics.sink_lag_records.record(0, &self.labels);
            self.metrics.sink_lag_seconds.record(0.0, &self.labels);
        }
        // Zero would be a figure, and may be an alarming one.
        for gauge in self.shown.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            gauge.record(f64::NAN, &self.labels);
        }
    }
}

fn state_name(state: TaskState) -> &'static str {
    match state {
        TaskState::Starting => "starting",
        TaskState::Running => "running",
        TaskState::Paused => "paused",
        TaskState::Restarting => "restarting",
        TaskState::Failed => "failed",
        TaskState::Stopped => "stopped",
        TaskState::Fenced => "fenced",
    }
}
