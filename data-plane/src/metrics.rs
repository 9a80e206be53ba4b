//! Every instrument of the data plane, in one place; `docs/metrics.md` lists them for users. Names are OpenTelemetry's
//! (`millrace.<subject>…`, with units); labels are tenant, connector and task, for errors also stage and kind: never a key, a
//! topic's name or an error text.
//!
//! A task asks once for its [`TaskMetrics`]; loops add per batch, never per record. Its series end with it. Histograms, which have
//! twenty lines each and cannot be forgotten, are kept for each tenant and connector class instead.

mod series;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use millrace_sdk::Figure;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Counter, Gauge, Histogram, Meter};

use crate::model::{TaskId, TaskState};
use series::{Count, Series, Spent, Tasks};

/// Boundaries of durations, in seconds.
const SECONDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Boundaries of batch sizes, in records.
const RECORDS: [f64; 12] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0];

/// Counters of tasks that have no labels besides a task's.
const COUNTERS: &[(Count, &str, &str, &str)] = &[
    (Count::SinkRecords, "millrace.sink.records", "{record}", "Records that the store has confirmed"),
    (Count::SinkWrites, "millrace.sink.writes", "{write}", "Writes of a batch to the store"),
    (Count::Superseded, "millrace.sink.superseded", "{record}", "Writes refused: there is a newer version"),
    (Count::Lost, "millrace.sink.lost", "{record}", "Offsets that Kafka had deleted before they were read"),
    (Count::SourceRecords, "millrace.source.records", "{record}", "Records that Kafka has acknowledged"),
    (Count::SourcePolls, "millrace.source.polls", "{poll}", "Polls of the source that brought something"),
    (Count::DeadLetterRequests, "millrace.dead_letter.requests", "{record}", "Dead letters that were produced"),
    (Count::DeadLetterFailures, "millrace.dead_letter.failures", "{record}", "Dead letters that Kafka refused"),
    (Count::Retries, "millrace.errors.retries", "{retry}", "Operations that were tried again"),
    (Count::Skipped, "millrace.errors.skipped", "{record}", "Records passed over, as errors.tolerance allows"),
    (Count::Logged, "millrace.errors.logged", "{error}", "Errors written to the log (errors.log.enable)"),
    (Count::Restarts, "millrace.task.restarts", "{restart}", "Restarts of a task after an error"),
];

/// Time that tasks spend.
const TIMES: &[(Spent, &str, &str)] = &[
    (Spent::SinkWrites, "millrace.sink.write.time", "Time spent on writes to the store; those of lanes overlap"),
    (Spent::SourcePolls, "millrace.source.poll.time", "Time spent on polls of the source that brought something"),
    (Spent::Commits, "millrace.commit.time", "Time spent on commits of offsets or source positions"),
];

/// The instruments.
#[derive(Debug)]
pub struct Metrics {
    tasks: Arc<Tasks>,
    sink_batch_size: Histogram<u64>,
    sink_write_duration: Histogram<f64>,
    source_poll_duration: Histogram<f64>,
    commit_duration: Histogram<f64>,
    worker_tasks: Gauge<u64>,
    worker_headless: Gauge<u64>,
    session_connects: Counter<u64>,
    meter: Meter,
    /// Those of connectors, made when they are first used: a name must not be made twice
    figures: Mutex<BTreeSet<&'static str>>,
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
        let seconds = |name: &'static str, what: &'static str| {
            meter.f64_histogram(name).with_unit("s").with_description(what).with_boundaries(SECONDS.to_vec()).build()
        };
        let tasks = Arc::<Tasks>::default();
        observe_tasks(meter, &tasks);
        Self {
            tasks,
            sink_batch_size: meter
                .u64_histogram("millrace.sink.batch.size")
                .with_unit("{record}")
                .with_description("Records per write")
                .with_boundaries(RECORDS.to_vec())
                .build(),
            sink_write_duration: seconds("millrace.sink.write.duration", "Time of one write of a batch to the store"),
            source_poll_duration: seconds("millrace.source.poll.duration", "Time of one poll of the source"),
            commit_duration: seconds("millrace.commit.duration", "Time of one commit of offsets or source positions"),
            worker_tasks: meter
                .u64_gauge("millrace.worker.tasks")
                .with_unit("{task}")
                .with_description("Tasks of this worker")
                .build(),
            worker_headless: meter
                .u64_gauge("millrace.worker.headless")
                .with_unit("1")
                .with_description("1 while the control plane has not been heard for a whole lease")
                .build(),
            session_connects: meter
                .u64_counter("millrace.worker.session.connects")
                .with_unit("{connect}")
                .with_description("Sessions with the control plane, by outcome")
                .build(),
            meter: meter.clone(),
            figures: Mutex::default(),
        }
    }

    /// The handle of a task of a connector class.
    #[must_use]
    pub fn task(self: &Arc<Self>, id: &TaskId, class: &'static str) -> TaskMetrics {
        TaskMetrics {
            metrics: Arc::clone(self),
            series: self.tasks.enter(id, Instant::now()),
            class: [KeyValue::new("class", class), KeyValue::new("tenant", id.tenant.clone())],
        }
    }

    /// Makes the instrument of a connector's figure, if it is not there yet.
    fn make(&self, figure: &'static Figure, kind: Kind) {
        if !self.figures.lock().unwrap_or_else(PoisonError::into_inner).insert(figure.name) {
            return;
        }
        let Figure { name, unit, description } = *figure;
        match kind {
            Kind::Gauge => observe_gauge(&self.meter, &self.tasks, (name, unit, description), move |series| {
                series.now().gauges.get(name).copied()
            }),
            Kind::Counter => {
                observe_counter(&self.meter, &self.tasks, (name, unit, description), move |series, observer| {
                    if let Some(count) = series.named().counters.get(name) {
                        observer.observe(*count, series.labels());
                    }
                });
            }
        }
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

/// What a figure of a connector is.
enum Kind {
    Gauge,
    Counter,
}

/// Name, unit and description of an instrument.
type Described = (&'static str, &'static str, &'static str);

/// Makes a counter that asks the tasks' series when somebody collects.
fn observe_counter(
    meter: &Meter,
    tasks: &Arc<Tasks>,
    (name, unit, what): Described,
    observe: impl Fn(&Series, &dyn AsyncInstrument<u64>) + Send + Sync + 'static,
) {
    let tasks = Arc::clone(tasks);
    let told = move |observer: &dyn AsyncInstrument<u64>| {
        tasks.each(Instant::now(), |series| observe(series, observer));
    };
    meter.u64_observable_counter(name).with_unit(unit).with_description(what).with_callback(told).build();
}

/// As `observe_counter`, for what has a value now or has none.
fn observe_gauge(
    meter: &Meter,
    tasks: &Arc<Tasks>,
    (name, unit, what): Described,
    value: impl Fn(&Series) -> Option<f64> + Send + Sync + 'static,
) {
    let tasks = Arc::clone(tasks);
    let told = move |observer: &dyn AsyncInstrument<f64>| {
        tasks.each(Instant::now(), |series| {
            if let Some(value) = value(series) {
                observer.observe(value, series.labels());
            }
        });
    };
    meter.f64_observable_gauge(name).with_unit(unit).with_description(what).with_callback(told).build();
}

/// Makes the counters of tasks.
fn observe_tasks(meter: &Meter, tasks: &Arc<Tasks>) {
    for &(count, name, unit, what) in COUNTERS {
        observe_counter(meter, tasks, (name, unit, what), move |series, observer| {
            // What has never happened is no series.
            if series.count(count) > 0 {
                observer.observe(series.count(count), series.labels());
            }
        });
    }
    for &(spent, name, what) in TIMES {
        let tasks = Arc::clone(tasks);
        let told = move |observer: &dyn AsyncInstrument<f64>| {
            tasks.each(Instant::now(), |series| {
                if series.seconds(spent) > 0.0 {
                    observer.observe(series.seconds(spent), series.labels());
                }
            });
        };
        meter.f64_observable_counter(name).with_unit("s").with_description(what).with_callback(told).build();
    }
    let commits = ("millrace.commits", "{commit}", "Commits of offsets or source positions");
    observe_counter(meter, tasks, commits, |series, observer| {
        for (count, outcome) in [(Count::CommitsDone, "done"), (Count::CommitsFailed, "failed")] {
            if series.count(count) > 0 {
                observer.observe(series.count(count), &series.labels_and([("outcome", outcome)]));
            }
        }
    });
    let errors = |described: Described, pick: fn(&(u64, u64)) -> u64| {
        observe_counter(meter, tasks, described, move |series, observer| {
            for ((stage, kind), counts) in &series.named().errors {
                observer.observe(pick(counts), &series.labels_and([("stage", stage), ("kind", kind)]));
            }
        });
    };
    let records = ("millrace.errors.records", "{record}", "Records that failed, by stage and kind of error");
    errors(records, |(records, _)| *records);
    let failures = ("millrace.errors.failures", "{failure}", "Failed operations, by stage and kind of error");
    errors(failures, |(_, failures)| *failures);
    observe_now(meter, tasks);
}

/// Makes the gauges of tasks.
fn observe_now(meter: &Meter, tasks: &Arc<Tasks>) {
    let all = Arc::clone(tasks);
    meter
        .u64_observable_gauge("millrace.task.state")
        .with_unit("1")
        .with_description("1, with the state that the task is in")
        .with_callback(move |observer| {
            all.each(Instant::now(), |series| {
                if let Some(state) = series.now().state {
                    observer.observe(1, &series.labels_and([("state", state_name(state))]));
                }
            });
        })
        .build();
    let all = Arc::clone(tasks);
    meter
        .u64_observable_gauge("millrace.sink.lag.records")
        .with_unit("{record}")
        .with_description("Records in Kafka that are not written yet")
        .with_callback(move |observer| {
            all.each(Instant::now(), |series| {
                if let Some((records, _)) = series.now().lag {
                    observer.observe(records, series.labels());
                }
            });
        })
        .build();
    let lag = ("millrace.sink.lag.time", "s", "Age of the oldest record that waits to be written");
    observe_gauge(meter, tasks, lag, |series| series.now().lag.map(|(_, age)| age));
    let last = ("millrace.errors.last.time", "s", "When the task had its last error, in seconds since 1970");
    observe_gauge(meter, tasks, last, |series| series.named().last_error);
}

/// What a task records. With the last handle of a task its state, its lag and its connector's gauges are gone at once, its
/// counters a few minutes later.
#[derive(Debug)]
pub struct TaskMetrics {
    metrics: Arc<Metrics>,
    series: Arc<Series>,
    /// Labels of histograms
    class: [KeyValue; 2],
}

impl TaskMetrics {
    /// One write of `attempted` records to the store, of which `written` are durable.
    pub fn sink_write(&self, attempted: usize, written: usize, took: Duration) {
        self.metrics.sink_batch_size.record(attempted as u64, &self.class);
        self.metrics.sink_write_duration.record(took.as_secs_f64(), &self.class);
        self.series.add(Count::SinkWrites, 1);
        self.series.spend(Spent::SinkWrites, took);
        self.series.add(Count::SinkRecords, written as u64);
    }

    /// What failed for a passing reason is tried again: a write, the producing of a record, a question of a converter.
    pub fn retry(&self) {
        self.series.add(Count::Retries, 1);
    }

    /// Offsets that Kafka no longer had when they were to be read.
    pub fn sink_lost(&self, offsets: u64) {
        self.series.add(Count::Lost, offsets);
    }

    /// Writes that the store refused in favour of a newer version.
    pub fn sink_superseded(&self, records: u64) {
        self.series.add(Count::Superseded, records);
    }

    /// How far the task is behind, over all its partitions.
    pub fn sink_lag(&self, records: u64, age: Duration) {
        self.series.now().lag = Some((records, age.as_secs_f64()));
    }

    /// Records that Kafka acknowledged.
    pub fn source_records(&self, records: u64) {
        self.series.add(Count::SourceRecords, records);
    }

    /// One poll of the source that brought something.
    pub fn source_poll(&self, took: Duration) {
        self.metrics.source_poll_duration.record(took.as_secs_f64(), &self.class);
        self.series.add(Count::SourcePolls, 1);
        self.series.spend(Spent::SourcePolls, took);
    }

    /// One commit of offsets or positions.
    pub fn commit(&self, succeeded: bool, took: Duration) {
        self.metrics.commit_duration.record(took.as_secs_f64(), &self.class);
        self.series.add(if succeeded { Count::CommitsDone } else { Count::CommitsFailed }, 1);
        self.series.spend(Spent::Commits, took);
    }

    /// A dead letter was produced, or refused.
    pub fn dead_letter(&self, acknowledged: bool) {
        self.series.add(Count::DeadLetterRequests, 1);
        self.series.add(Count::DeadLetterFailures, u64::from(!acknowledged));
    }

    /// Records passed over because the user tolerates them.
    pub fn skipped(&self, records: u64) {
        self.series.add(Count::Skipped, records);
    }

    /// An error was written to the log.
    pub fn logged(&self) {
        self.series.add(Count::Logged, 1);
    }

    /// An operation that failed, on so many records; `stage` as in `fetch`, `decode`, `encode`, `write`; `kind` is `ErrorKind::name`.
    pub fn errors(&self, stage: &'static str, kind: &'static str, records: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut named = self.series.named();
        let counts = named.errors.entry((stage, kind)).or_default();
        *counts = (counts.0 + records, counts.1 + 1);
        named.last_error = Some(now.as_secs_f64());
    }

    /// A figure of the connector's own has this value now; none when it is no number.
    pub fn connector_gauge(&self, figure: &'static Figure, value: f64) {
        self.metrics.make(figure, Kind::Gauge);
        self.series.now().gauges.insert(figure.name, value);
    }

    /// A figure of the connector's own has grown.
    pub fn connector_count(&self, figure: &'static Figure, more: u64) {
        self.metrics.make(figure, Kind::Counter);
        *self.series.named().counters.entry(figure.name).or_default() += more;
    }

    /// The task starts again after an error.
    pub fn restart(&self) {
        self.series.add(Count::Restarts, 1);
    }

    /// The state that the task is in.
    pub fn state(&self, state: TaskState) {
        self.series.now().state = Some(state);
    }
}

impl Drop for TaskMetrics {
    fn drop(&mut self) {
        self.series.leave();
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

#[cfg(test)]
mod tests;
