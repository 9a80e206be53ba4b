//! The source loop against a real Kafka. Without `KAFKA_BOOTSTRAP` these tests say that they are skipped.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

#[allow(dead_code)] // the sink's half of it
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_data_plane::catalog::Catalog;
use millrace_data_plane::kafka::Producers;
use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::metrics::Metrics;
use millrace_data_plane::model::{TaskSpec, TaskState};
use millrace_data_plane::task::{TaskEnvironment, TaskHandle};
use millrace_sdk::{
    Config, ConnectorKind, Datum, ExactlyOnce, Findings, Flat, Position, Positions, Result, SourceBatch,
    SourceConnector, SourceRecord, SourceTask, TaskContext, Value, async_trait,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use serde_json::{Map, Value as Json, json};
use support::{bootstrap, delete_topic, flat, unique};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(60);

/// Counts up to a limit, 97 records a poll; every `poison`-th record cannot be encoded as bytes.
struct Counting;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct CountingConfig {
    /// Where to
    topic: String,
    /// How far
    limit: i64,
    /// Which records are bad
    #[serde(default)]
    poison: i64,
}

impl Config for CountingConfig {}

struct CountingTask {
    config: CountingConfig,
    next: i64,
}

fn partition() -> Map<String, Json> {
    json!({ "counter": "c" }).as_object().cloned().unwrap()
}

#[async_trait]
impl SourceConnector for Counting {
    const NAME: &'static str = "counting-source";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Counts";
    type Config = CountingConfig;
    type Task = CountingTask;

    fn exactly_once(&self, _: &CountingConfig) -> ExactlyOnce {
        ExactlyOnce::Supported
    }

    async fn check(&self, _: &CountingConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Findings::default())
    }

    async fn plan(&self, _: &CountingConfig, _: u32) -> Result<Vec<Flat>> {
        Ok(vec![Flat::new()])
    }

    async fn open(&self, config: CountingConfig, _: TaskContext, positions: Positions) -> Result<CountingTask> {
        let next = positions.get(&partition()).and_then(|offset| offset["next"].as_i64()).unwrap_or(0);
        Ok(CountingTask { config, next })
    }
}

#[async_trait]
impl SourceTask for CountingTask {
    async fn poll(&mut self) -> Result<SourceBatch> {
        let end = (self.next + 97).min(self.config.limit);
        if self.next == end {
            std::future::pending::<()>().await;
        }
        let records = (self.next..end).map(|n| SourceRecord {
            topic: self.config.topic.clone(),
            partition: None,
            key: Datum::schemaless(Value::Str(format!("k{}", n % 10).into())),
            value: if self.config.poison > 0 && n % self.config.poison == 0 {
                Datum::schemaless(Value::Bool(true))
            } else {
                Datum::schemaless(Value::Bytes(n.to_string().into_bytes().into()))
            },
            headers: Vec::new(),
            timestamp_ms: None,
        });
        let records = records.collect();
        self.next = end;
        let offset = json!({ "next": end }).as_object().cloned().unwrap();
        let positions = vec![Position { partition: partition(), offset }];
        Ok(SourceBatch { records, positions, ..SourceBatch::default() })
    }
}

struct Around {
    environment: Arc<TaskEnvironment>,
    statuses: mpsc::UnboundedReceiver<millrace_data_plane::model::TaskStatus>,
    lease: watch::Sender<LeaseState>,
}

fn around() -> Around {
    let (statuses, inbox) = mpsc::unbounded_channel();
    let (lease, lease_seen) = watch::channel(LeaseState::Live { until: Instant::now() + Duration::from_secs(3600) });
    let catalog = Catalog::default().source_plugin(millrace_sdk::erase_source(Counting, "1"));
    let environment = TaskEnvironment {
        catalog: Arc::new(catalog),
        metrics: Metrics::global(),
        statuses,
        lease: lease_seen,
        worker_id: "test:1".to_owned(),
        producers: Arc::new(Producers::default()),
        stop_timeout: Duration::from_secs(5),
    };
    Around { environment: Arc::new(environment), statuses: inbox, lease }
}

impl Around {
    fn start(&self, spec: TaskSpec) -> TaskHandle {
        TaskHandle::start(Arc::new(spec), Arc::clone(&self.environment))
    }

    async fn wait_for(&mut self, state: TaskState) -> millrace_data_plane::model::TaskStatus {
        let wait = async {
            loop {
                let status = self.statuses.recv().await.unwrap();
                if status.state == state {
                    return status;
                }
                assert!(status.state != TaskState::Failed, "{}", status.trace);
            }
        };
        tokio::time::timeout(LIMIT, wait).await.unwrap_or_else(|_| panic!("never {state:?}"))
    }
}

struct Names {
    bootstrap: String,
    connector: String,
    topic: String,
    offsets: String,
}

impl Names {
    fn new(bootstrap: String) -> Self {
        let connector = unique("counting");
        Self { bootstrap, topic: format!("{connector}-out"), offsets: format!("{connector}-offsets"), connector }
    }

    fn spec(&self, pairs: &[(&str, &str)]) -> TaskSpec {
        let mut spec = support::spec(&self.bootstrap, &self.connector, 0, 1, &[]);
        spec.class = "counting-source".to_owned();
        spec.kind = ConnectorKind::Source;
        spec.config.extend(flat(&[
            ("connector.class", "counting-source"),
            ("topic", &self.topic),
            ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ]));
        spec.config.extend(flat(pairs));
        spec.tenant_settings.extend(flat(&[
            ("offset.storage.topic", &self.offsets),
            ("offset.storage.partitions", "3"),
            ("offset.storage.replication.factor", "1"),
        ]));
        spec
    }

    async fn clean(&self) {
        delete_topic(&self.bootstrap, &self.topic).await;
        delete_topic(&self.bootstrap, &self.offsets).await;
    }
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// All records of a topic.
async fn read_all(bootstrap: &str, topic: &str) -> Pairs {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &bootstrap).set("group.id", "read-all").create().unwrap();
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).unwrap();
        let mut left: i64 = 0;
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            let (low, high) = consumer.fetch_watermarks(&topic, partition.id(), LIMIT).unwrap();
            left += high - low;
            list.add_partition_offset(&topic, partition.id(), rdkafka::Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut records = Pairs::new();
        let began = std::time::Instant::now();
        while left > 0 && began.elapsed() < LIMIT {
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                left -= 1;
                records
                    .push((message.key().unwrap_or_default().to_vec(), message.payload().unwrap_or_default().to_vec()));
            }
        }
        records
    })
    .await
    .unwrap()
}

fn numbers(records: &Pairs) -> BTreeMap<i64, usize> {
    let mut numbers = BTreeMap::new();
    for (_, value) in records {
        *numbers.entry(String::from_utf8(value.clone()).unwrap().parse().unwrap()).or_insert(0) += 1;
    }
    numbers
}

async fn stored(names: &Names) -> Option<i64> {
    let records = read_all(&names.bootstrap, &names.offsets).await;
    let last = records.last()?;
    serde_json::from_slice::<Json>(&last.1).unwrap()["next"].as_i64()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_arrive_once_over_a_stop_and_a_restart() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let task = around.start(names.spec(&[("limit", "4000")]));
    around.wait_for(TaskState::Running).await;
    let began = std::time::Instant::now();
    while stored(&names).await != Some(4000) {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    // A stop in good order in the middle stores exactly what is produced.
    let task = around.start(names.spec(&[("limit", "10000"), ("offset.flush.interval.ms", "3600000")]));
    around.wait_for(TaskState::Running).await;
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    let task = around.start(names.spec(&[("limit", "10000")]));
    around.wait_for(TaskState::Running).await;
    let began = std::time::Instant::now();
    while stored(&names).await != Some(10_000) {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.stop().await;
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    assert_eq!(numbers.len(), 10_000, "nothing is lost");
    assert!(numbers.values().all(|times| *times == 1), "stops in good order produce nothing twice");
    for (key, _) in read_all(&names.bootstrap, &names.offsets).await {
        assert_eq!(String::from_utf8(key).unwrap(), format!("[\"{}\",{{\"counter\":\"c\"}}]", names.connector));
    }
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_fail_the_task_or_are_skipped_as_told() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let task = around.start(names.spec(&[("limit", "500"), ("poison", "100")]));
    let failed = loop {
        let status = tokio::time::timeout(LIMIT, around.statuses.recv()).await.unwrap().unwrap();
        if status.state == TaskState::Failed {
            break status;
        }
    };
    assert_eq!(failed.error_kind, "bad-record");
    assert!(failed.trace.contains(&names.topic), "{}", failed.trace);
    task.stop().await;
    let task = around.start(names.spec(&[("limit", "500"), ("poison", "100"), ("errors.tolerance", "all")]));
    around.wait_for(TaskState::Running).await;
    let began = std::time::Instant::now();
    while stored(&names).await != Some(500) {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.stop().await;
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    assert_eq!(numbers.len(), 495);
    assert!(numbers.keys().all(|n| n % 100 != 0));
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_holds_still_and_without_a_lease_nothing_is_produced() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let paused = TaskSpec { paused: true, ..names.spec(&[("limit", "100")]) };
    let task = around.start(paused);
    around.wait_for(TaskState::Paused).await;
    task.set_paused(false);
    around.wait_for(TaskState::Running).await;
    let began = std::time::Instant::now();
    while stored(&names).await != Some(100) {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    // The lease is over, and nobody has noticed yet: as after a thaw.
    around.lease.send_replace(LeaseState::Live { until: Instant::now() });
    let task = around.start(names.spec(&[("limit", "200")]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(read_all(&names.bootstrap, &names.topic).await.len(), 100);
    around.lease.send_replace(LeaseState::Live { until: Instant::now() + Duration::from_secs(3600) });
    around.wait_for(TaskState::Running).await;
    let began = std::time::Instant::now();
    while stored(&names).await != Some(200) {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    task.stop().await;
    names.clean().await;
}
