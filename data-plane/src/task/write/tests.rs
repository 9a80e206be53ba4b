use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use millrace_sdk::{Datum, Record, RecordFailure, TimestampKind, TopicPartition, Value, async_trait};
use proptest::prelude::*;

use super::*;
use crate::model::{TaskId, TaskSpec, TaskState};
use crate::task::batch::BatchBuilder;

/// A store that fails as a list of random numbers says, and knows records that can never be written.
struct Fickle {
    luck: Mutex<std::vec::IntoIter<u8>>,
    bad: BTreeSet<i64>,
    /// Refuses a batch with a bad record as a whole
    refuses_whole: bool,
    rows: Mutex<BTreeMap<i64, i64>>,
}

const KEYS: i64 = 4;

#[async_trait]
impl SinkTask for Fickle {
    async fn write(&self, batch: &Batch) -> millrace_sdk::Result<WriteReport> {
        let next = || self.luck.lock().unwrap().next().unwrap_or(u8::MAX);
        if next() < 40 {
            return Err(Error::transient("away"));
        }
        let has_bad = batch.records.iter().any(|record| self.bad.contains(&record.offset));
        if self.refuses_whole && has_bad {
            return Err(Error::bad_record("one of these is bad"));
        }
        let mut report = WriteReport::default();
        for (index, record) in batch.records.iter().enumerate() {
            if self.bad.contains(&record.offset) {
                report.failures.push(RecordFailure { index, error: Error::bad_record("bad") });
            } else if next() < 60 {
                report.failures.push(RecordFailure { index, error: Error::transient("busy") });
            } else {
                self.rows.lock().unwrap().insert(record.offset % KEYS, record.offset);
            }
        }
        Ok(report)
    }
}

fn chunk(len: i64, ties: Ties) -> Chunk {
    let origin = TopicPartition { topic: Arc::from("t"), partition: 0 };
    let records = (0..len).map(|offset| Record {
        offset,
        timestamp_ms: None,
        timestamp_kind: TimestampKind::None,
        renamed_topic: None,
        key: Datum::Null,
        value: Datum::schemaless(Value::Int(offset)),
        headers: Vec::new(),
    });
    let mut raw = BatchBuilder::default();
    (0..len).for_each(|offset| raw.put(offset, None, None, &[]));
    let raw = Arc::new(raw.take(origin.clone()));
    Chunk { batch: Batch { origin, records: records.collect() }, ties, raw }
}

pub(in crate::task) fn spec(tolerance: &str) -> Arc<TaskSpec> {
    Arc::new(TaskSpec {
        id: TaskId { tenant: "default".to_owned(), connector: "c".to_owned(), index: 0 },
        generation: 1,
        set_revision: 1,
        fingerprint: String::new(),
        class: "c".to_owned(),
        kind: millrace_sdk::ConnectorKind::Sink,
        tasks_total: 1,
        paused: false,
        config: [("name", "n"), ("connector.class", "c"), ("topics", "t"), ("errors.tolerance", tolerance)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        task_config: BTreeMap::new(),
        tenant_settings: BTreeMap::new(),
    })
}

/// A writer to `store`.
pub(in crate::task) fn writer(store: Arc<dyn SinkTask>, tolerance: &str) -> Writer {
    let (statuses, _) = tokio::sync::mpsc::unbounded_channel();
    telling_writer(store, tolerance, statuses)
}

/// A writer to `store` whose task's statuses are heard.
fn telling_writer(
    store: Arc<dyn SinkTask>,
    tolerance: &str,
    statuses: tokio::sync::mpsc::UnboundedSender<crate::model::TaskStatus>,
) -> Writer {
    let spec = spec(tolerance);
    let metrics = Arc::new(crate::metrics::Metrics::global().task(&spec.id, "c"));
    let reporter = Arc::new(Reporter::new(Arc::clone(&spec), statuses, Arc::clone(&metrics)));
    reporter.state(TaskState::Running);
    let settings: crate::framework::SinkSettings =
        millrace_sdk::config::parse(&crate::framework::definition(spec.kind), &spec.config).unwrap();
    let dead_letters = futures::executor::block_on(DeadLetters::open(
        &spec,
        &settings.common,
        &crate::kafka::Producers::default(),
        &metrics,
    ));
    Writer {
        task: store,
        class: "c".to_owned(),
        dead_letters: Arc::new(dead_letters.unwrap()),
        metrics,
        reporter,
        retry_limit: Duration::from_millis(1),
        retry_timeout: None,
        superseded: std::sync::Mutex::default(),
    }
}

fn run(store: &Arc<Fickle>, tolerance: &str, chunk: &Chunk) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let writer = writer(Arc::<Fickle>::clone(store), tolerance);
    runtime.block_on(writer.write(chunk, &CancellationToken::new()))
}

fn fickle(luck: Vec<u8>, bad: &BTreeSet<i64>, refuses_whole: bool) -> Arc<Fickle> {
    Arc::new(Fickle { luck: Mutex::new(luck.into_iter()), bad: bad.clone(), refuses_whole, rows: Mutex::default() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    /// Whatever a store does, every key ends with its newest good record, whether bad ones are named or spoil their batch.
    #[test]
    fn every_key_ends_with_its_newest_good_record(
        len in 1_i64..40,
        bad in prop::collection::btree_set(0_i64..40, 0..6),
        luck in prop::collection::vec(any::<u8>(), 0..300),
        refuses_whole in any::<bool>(),
        total in any::<bool>(),
    ) {
        let ties = if total { Ties::All } else { Ties::Keys((0..len).map(|i| u64::try_from(i % KEYS).unwrap()).collect()) };
        let store = fickle(luck, &bad, refuses_whole);
        let outcome = run(&store, "all", &chunk(len, ties));
        prop_assert!(matches!(outcome, Outcome::Done), "{outcome:?}");
        let mut expected = BTreeMap::new();
        for offset in (0..len).filter(|offset| !bad.contains(offset)) {
            expected.insert(offset % KEYS, offset);
        }
        prop_assert_eq!(&*store.rows.lock().unwrap(), &expected);
    }
}

#[test]
fn without_tolerance_the_first_bad_record_is_named() {
    for refuses_whole in [false, true] {
        let store = fickle(vec![255; 1000], &BTreeSet::from([17]), refuses_whole);
        let Outcome::Failed(failure) = run(&store, "none", &chunk(40, Ties::All)) else { panic!("not failed") };
        assert_eq!(failure.coordinates.as_deref(), Some("t-0@17"));
        assert_eq!(failure.kind(), ErrorKind::BadRecord);
    }
}

/// A store that has newer versions of so many records of each batch.
struct Newer(std::sync::atomic::AtomicU64);

#[async_trait]
impl SinkTask for Newer {
    async fn write(&self, _: &Batch) -> millrace_sdk::Result<WriteReport> {
        let superseded = self.0.load(std::sync::atomic::Ordering::Relaxed);
        Ok(WriteReport { superseded, ..WriteReport::default() })
    }
}

#[tokio::test]
async fn a_partition_whose_writes_are_all_superseded_is_told_until_one_is_not() {
    let store = Arc::new(Newer(40.into()));
    let (statuses, mut told) = tokio::sync::mpsc::unbounded_channel();
    let writer = telling_writer(Arc::<Newer>::clone(&store), "none", statuses);
    let mut warnings = || {
        let mut last = None;
        while let Ok(status) = told.try_recv() {
            last = Some(status.warnings);
        }
        last.expect("a status")
    };
    let chunk = chunk(40, Ties::All);
    let mut written = 0;
    while written + 40 < SUPERSEDED_REMARK {
        assert!(matches!(writer.write(&chunk, &CancellationToken::new()).await, Outcome::Done));
        written += 40;
    }
    assert_eq!(warnings(), Vec::<String>::new(), "a restart repeats as many");
    assert!(matches!(writer.write(&chunk, &CancellationToken::new()).await, Outcome::Done));
    let told = warnings();
    assert!(told.len() == 1 && told[0].contains("all writes of t-0 are superseded"), "{told:?}");
    assert!(told[0].contains("raise millrace.versions.epoch"), "{told:?}");
    store.0.store(39, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(writer.write(&chunk, &CancellationToken::new()).await, Outcome::Done));
    assert_eq!(warnings(), Vec::<String>::new());
}

#[test]
fn a_cancelled_chunk_is_not_tried_again() {
    let store = fickle(vec![0; 1000], &BTreeSet::new(), false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let writer = writer(store, "none");
    let cancel = CancellationToken::new();
    cancel.cancel();
    let chunk = chunk(3, Ties::All);
    assert!(matches!(runtime.block_on(writer.write(&chunk, &cancel)), Outcome::Cancelled));
}
