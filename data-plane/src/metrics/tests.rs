use millrace_sdk::Figure;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{Registry, TextEncoder};

use super::*;

static REACH: Figure = Figure { name: "test.reach", unit: "s", description: "A gauge" };
static LOST: Figure = Figure { name: "test.lost", unit: "{event}", description: "A counter" };

/// Instruments, and how they are collected.
fn metrics() -> (Arc<Metrics>, Registry, SdkMeterProvider) {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
    let provider = SdkMeterProvider::builder().with_reader(exporter.build().unwrap()).build();
    (Arc::new(Metrics::new(&provider.meter("test"))), registry, provider)
}

/// The lines of task `index` of connector `c`.
fn of(registry: &Registry, index: u32) -> Vec<String> {
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    let labels = ["connector=\"c\"".to_owned(), format!("task=\"{index}\""), "tenant=\"t\"".to_owned()];
    let lines = text.lines().filter(|line| !line.starts_with('#') && labels.iter().all(|label| line.contains(label)));
    lines.map(|line| format!("{} {}", line.split('{').next().unwrap(), line.rsplit(' ').next().unwrap())).collect()
}

fn id(index: u32) -> TaskId {
    TaskId { tenant: "t".to_owned(), connector: "c".to_owned(), index }
}

fn told(task: &TaskMetrics) {
    task.state(TaskState::Running);
    task.sink_write(10, 9, Duration::from_millis(500));
    task.sink_lag(7, Duration::from_secs(2));
    task.connector_gauge(&REACH, 60.0);
    task.connector_count(&LOST, 2);
    task.errors("write", "BadRecord", 3);
    task.commit(true, Duration::from_secs(1));
}

#[test]
fn a_task_is_told_while_it_is_there() {
    let (metrics, registry, _provider) = metrics();
    let task = metrics.task(&id(0), "sink");
    assert_eq!(of(&registry, 0), Vec::<String>::new());
    told(&task);
    told(&task);
    let mut found = of(&registry, 0);
    // When it was is not known in advance.
    found.retain(|line| !line.starts_with("millrace_errors_last_time"));
    found.sort();
    assert_eq!(
        found,
        [
            "millrace_commit_time_seconds_total 2",
            "millrace_commits_total 2",
            "millrace_errors_failures_total 2",
            "millrace_errors_records_total 6",
            "millrace_sink_lag_records 7",
            "millrace_sink_lag_time_seconds 2",
            "millrace_sink_records_total 18",
            "millrace_sink_write_time_seconds_total 1",
            "millrace_sink_writes_total 2",
            "millrace_task_state_ratio 1",
            "test_lost_total 4",
            "test_reach_seconds 60",
        ]
    );
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("millrace_sink_write_duration_seconds_count{class=\"sink\",tenant=\"t\"} 2"), "{text}");
    assert!(text.contains("state=\"running\""), "{text}");
}

#[test]
fn an_ended_task_keeps_its_counters_for_a_while_and_goes_on_with_them() {
    let (metrics, registry, _provider) = metrics();
    let task = metrics.task(&id(0), "sink");
    told(&task);
    drop(task);
    let lines = of(&registry, 0);
    assert!(lines.contains(&"millrace_sink_records_total 9".to_owned()), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("state") || line.contains("lag") || line.contains("reach")),
        "{lines:?}"
    );
    // Its next life, while a handle of the last one is still there.
    let (one, two) = (metrics.task(&id(0), "sink"), metrics.task(&id(0), "sink"));
    told(&two);
    drop(one);
    let lines = of(&registry, 0);
    assert!(lines.contains(&"millrace_sink_records_total 18".to_owned()), "{lines:?}");
    assert!(lines.contains(&"millrace_sink_lag_records 7".to_owned()), "{lines:?}");
}

#[test]
fn a_task_that_ended_long_ago_is_forgotten() {
    let tasks = Tasks::default();
    let start = Instant::now();
    let told = |at: Instant| {
        let mut numbers = Vec::new();
        tasks.each(at, |series| numbers.push(series.count(Count::Retries)));
        numbers
    };
    let (ends, stays) = (tasks.enter(&id(0), start), tasks.enter(&id(1), start));
    ends.add(Count::Retries, 1);
    stays.add(Count::Retries, 2);
    ends.leave();
    assert_eq!(told(start), [1, 2]);
    let later = Instant::now() + series::KEPT;
    assert_eq!(told(later), [2]);
    // It comes back and begins from nothing.
    assert_eq!(tasks.enter(&id(0), later).count(Count::Retries), 0);
    assert_eq!(told(later), [0, 2]);
}

/// The library's own limit is 2000 sets of labels per instrument, ended tasks included.
#[test]
fn tasks_that_came_and_went_take_no_room() {
    let (metrics, registry, _provider) = metrics();
    let mut now = Instant::now();
    for index in 0..2500 {
        let series = metrics.tasks.enter(&id(index), now);
        series.add(Count::SourceRecords, u64::from(index) + 1);
        assert_eq!(of(&registry, index), [format!("millrace_source_records_total {}", index + 1)]);
        series.leave();
        now = Instant::now() + series::KEPT;
    }
}
