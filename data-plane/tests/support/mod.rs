//! A sink that keeps what it is given in memory, fails when told to, and checks the contract while it is at it; and the
//! surroundings of a task against a real Kafka.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use millrace_data_plane::catalog::Catalog;
use millrace_data_plane::kafka::Producers;
use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::metrics::Metrics;
use millrace_data_plane::model::{TaskId, TaskSpec, TaskState, TaskStatus};
use millrace_data_plane::task::{TaskEnvironment, TaskHandle};
use millrace_sdk::{
    Batch, Config, ConnectorKind, Error, Findings, Flat, OrderKeys, RecordFailure, Result, SinkConnector, SinkTask,
    TaskContext, WriteReport, async_trait, hash_key,
};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::sync::{mpsc, watch};

/// The broker for tests, or None with a word about it.
pub(crate) fn bootstrap() -> Option<String> {
    millrace_sdk::testing::server("KAFKA_BOOTSTRAP")
}

/// What the recording sink has seen of a connector.
#[derive(Default)]
pub(crate) struct Store {
    /// Newest value and its sequence number by key
    pub(crate) rows: Mutex<BTreeMap<String, u64>>,
    /// Every write of a record, in order: key and sequence number
    pub(crate) log: Mutex<Vec<(String, u64)>>,
    /// Topic and value (as JSON) of the newest write of each sequence number
    pub(crate) seen: Mutex<BTreeMap<u64, (String, String)>>,
    /// Keys of writes under way: two of one key at a time break the contract
    busy: Mutex<HashSet<u64>>,
    pub(crate) overlaps: AtomicUsize,
    pub(crate) writes: AtomicU64,
    pub(crate) most_at_once: AtomicUsize,
    at_once: AtomicUsize,
    /// Every n-th write fails as a whole, and every n-th record of others; 0 = never
    pub(crate) fail_every: AtomicU32,
    /// Writes fail as long as this is not 0
    pub(crate) down: AtomicU32,
    /// Milliseconds of a write
    pub(crate) slow_ms: AtomicU64,
}

static STORES: LazyLock<Mutex<BTreeMap<String, Arc<Store>>>> = LazyLock::new(Mutex::default);

/// The store of a connector.
pub(crate) fn store(connector: &str) -> Arc<Store> {
    Arc::clone(STORES.lock().unwrap().entry(connector.to_owned()).or_default())
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct RecordingConfig {}
impl Config for RecordingConfig {}

pub(crate) struct Recording;

pub(crate) struct RecordingTask(Arc<Store>);

#[async_trait]
impl SinkConnector for Recording {
    const NAME: &'static str = "recording-sink";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Keeps records in memory";
    type Config = RecordingConfig;
    type Task = RecordingTask;

    async fn check(&self, _: &RecordingConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn open(&self, _: RecordingConfig, context: TaskContext) -> Result<RecordingTask> {
        Ok(RecordingTask(store(&context.connector)))
    }
}

fn key_of(record: &millrace_sdk::Record) -> String {
    match record.key.value() {
        millrace_sdk::Value::Str(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

fn sequence_of(record: &millrace_sdk::Record) -> Result<u64> {
    match record.value.value().field("n")? {
        Some(millrace_sdk::Value::Int(n)) => Ok(u64::try_from(n).unwrap()),
        other => Err(Error::bad_record(format!("no number in the field n: {other:?}"))),
    }
}

#[async_trait]
impl SinkTask for RecordingTask {
    fn order_keys(&self, batch: &Batch) -> OrderKeys {
        OrderKeys::PerRecord(batch.records.iter().map(|record| hash_key(key_of(record))).collect())
    }

    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let store = &self.0;
        let keys: HashSet<u64> = batch.records.iter().map(|record| hash_key(key_of(record))).collect();
        {
            let mut busy = store.busy.lock().unwrap();
            if keys.iter().any(|key| !busy.insert(*key)) {
                store.overlaps.fetch_add(1, Ordering::SeqCst);
            }
        }
        let at_once = store.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        store.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(store.slow_ms.load(Ordering::SeqCst))).await;
        let answer = self.answer(batch);
        store.at_once.fetch_sub(1, Ordering::SeqCst);
        let mut busy = store.busy.lock().unwrap();
        for key in &keys {
            busy.remove(key);
        }
        answer
    }
}

impl RecordingTask {
    fn answer(&self, batch: &Batch) -> Result<WriteReport> {
        let store = &self.0;
        if store.down.load(Ordering::SeqCst) != 0 {
            return Err(Error::transient("the store is down"));
        }
        let every = u64::from(store.fail_every.load(Ordering::SeqCst));
        let number = store.writes.fetch_add(1, Ordering::SeqCst);
        if every > 0 && number % every == every - 1 {
            return Err(Error::transient("the store is busy"));
        }
        let mut report = WriteReport::default();
        let mut rows = store.rows.lock().unwrap();
        let mut log = store.log.lock().unwrap();
        for (index, record) in batch.records.iter().enumerate() {
            let sequence = match sequence_of(record) {
                Ok(sequence) => sequence,
                Err(error) => {
                    report.failures.push(RecordFailure { index, error });
                    continue;
                }
            };
            let unlucky = every > 0 && (number * 31 + sequence * 7).is_multiple_of(every * 20);
            if unlucky {
                report.failures.push(RecordFailure { index, error: Error::transient("throttled") });
                continue;
            }
            let key = key_of(record);
            rows.insert(key.clone(), sequence);
            let mut value = Vec::new();
            millrace_sdk::json::write(&record.value.value(), &mut value).unwrap();
            let seen = (batch.topic(record).to_string(), String::from_utf8(value).unwrap());
            store.seen.lock().unwrap().insert(sequence, seen);
            log.push((key, sequence));
        }
        Ok(report)
    }
}

/// A worker's surroundings, and the statuses of its tasks.
pub(crate) struct Surroundings {
    pub(crate) environment: Arc<TaskEnvironment>,
    pub(crate) statuses: mpsc::UnboundedReceiver<TaskStatus>,
    _lease: watch::Sender<LeaseState>,
}

pub(crate) fn surroundings() -> Surroundings {
    let (statuses, inbox) = mpsc::unbounded_channel();
    let (lease, lease_seen) = watch::channel(LeaseState::Headless);
    let catalog = Catalog::default().sink_plugin(millrace_sdk::erase_sink(Recording, "1"));
    let environment = TaskEnvironment {
        catalog: Arc::new(catalog),
        metrics: Metrics::global(),
        statuses,
        lease: lease_seen,
        worker_id: "test:1".to_owned(),
        producers: Arc::new(Producers::default()),
        stop_timeout: Duration::from_secs(5),
    };
    Surroundings { environment: Arc::new(environment), statuses: inbox, _lease: lease }
}

impl Surroundings {
    /// The first status in this state; the statuses before it are dropped.
    pub(crate) async fn wait_for(&mut self, state: TaskState) -> TaskStatus {
        let wait = async {
            loop {
                let status = self.statuses.recv().await.expect("the environment holds a sender");
                if status.state == state {
                    return status;
                }
                assert!(status.state != TaskState::Failed, "{}", status.trace);
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never {state:?}"))
    }

    /// The first status whose warnings contain a text.
    pub(crate) async fn wait_for_warning(&mut self, text: &str) -> TaskStatus {
        let wait = async {
            loop {
                let status = self.statuses.recv().await.expect("the environment holds a sender");
                if status.warnings.iter().any(|warning| warning.contains(text)) {
                    return status;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .unwrap_or_else(|_| panic!("never a warning of {text}"))
    }

    pub(crate) fn start(&self, spec: TaskSpec) -> TaskHandle {
        TaskHandle::start(Arc::new(spec), Arc::clone(&self.environment))
    }
}

/// A task of a recording sink; `pairs` go on top of the configuration.
pub(crate) fn spec(bootstrap: &str, connector: &str, index: u32, tasks: u32, pairs: &[(&str, &str)]) -> TaskSpec {
    let mut config =
        flat(&[("name", connector), ("connector.class", "recording-sink"), ("offset.flush.interval.ms", "500")]);
    config.extend(flat(pairs));
    TaskSpec {
        id: TaskId { tenant: "default".to_owned(), connector: connector.to_owned(), index },
        generation: 1,
        set_revision: 1,
        fingerprint: "f".to_owned(),
        class: "recording-sink".to_owned(),
        kind: ConnectorKind::Sink,
        tasks_total: tasks,
        paused: false,
        config,
        task_config: Flat::new(),
        tenant_settings: flat(&[("bootstrap.servers", bootstrap)]),
    }
}

pub(crate) fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A name that no other run has.
pub(crate) fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    // Tests start within one millisecond of each other: only randomness tells them apart.
    format!("{prefix}-{:016x}", std::hash::RandomState::new().build_hasher().finish())
}

pub(crate) async fn create_topic(bootstrap: &str, topic: &str, partitions: i32) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    for result in admin.create_topics([&new], &AdminOptions::new()).await.unwrap() {
        result.unwrap();
    }
}

pub(crate) async fn delete_topic(bootstrap: &str, topic: &str) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let _ = admin.delete_topics(&[topic], &AdminOptions::new()).await;
}

pub(crate) fn producer(bootstrap: &str) -> FutureProducer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("linger.ms", "5")
        // Else what is sent again, as while a new topic has no leader, comes after what was sent later.
        .set("enable.idempotence", "true")
        .set("partitioner", "murmur2_random")
        .create()
        .unwrap()
}

/// Produces key and value pairs, all acknowledged when it returns.
pub(crate) async fn produce<V: AsRef<[u8]>>(
    producer: &FutureProducer,
    topic: &str,
    records: impl Iterator<Item = (String, V)>,
) {
    let mut sent = Vec::new();
    for (key, value) in records {
        let record = FutureRecord::to(topic).key(&key).payload(value.as_ref());
        let mut attempt = producer.send_result(record);
        while let Err((_, record)) = attempt {
            tokio::time::sleep(Duration::from_millis(5)).await;
            attempt = producer.send_result(record);
        }
        sent.push(attempt.unwrap_or_else(|(error, _)| panic!("{error}")));
    }
    for delivery in sent {
        delivery.await.unwrap().unwrap();
    }
}

/// Committed offset and end of each partition of a topic.
pub(crate) fn offsets(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> Vec<(Option<i64>, i64)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("group.id", group).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_range(topic, 0, partitions - 1);
    let committed = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
    (0..partitions)
        .map(|partition| {
            let offset = committed.find_partition(topic, partition).unwrap().offset().to_raw().filter(|raw| *raw >= 0);
            (offset, consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap().1)
        })
        .collect()
}

/// Waits until `condition` holds.
pub(crate) async fn eventually(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < limit, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs each with either way of reading.
#[allow(unused_macros)] // not by every test
macro_rules! either_way {
    ($($name:ident)*) => {
        mod direct {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name("direct").await;
            })*
        }
        mod librdkafka {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name("librdkafka").await;
            })*
        }
    };
}
#[allow(unused_imports)] // not by every test
pub(crate) use either_way;
