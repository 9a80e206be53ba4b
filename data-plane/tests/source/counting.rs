//! A source that counts, and the surroundings of its task against a real Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{self, delete_topic, flat, unique};
use millrace_data_plane::catalog::Catalog;
use millrace_data_plane::kafka::Producers;
use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::metrics::Metrics;
use millrace_data_plane::model::{TaskSpec, TaskState};
use millrace_data_plane::task::{TaskEnvironment, TaskHandle};
use millrace_sdk::{
    Boundary, Config, ConnectorKind, Datum, Error, ExactlyOnce, Findings, Flat, Position, Positions, Result,
    SourceBatch, SourceConnector, SourceFailure, SourceRecord, SourceTask, TaskContext, Value, async_trait,
};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message, OwnedMessage};
use serde_json::{Map, Value as Json, json};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Counts up to a limit, 97 records a poll; every `poison`-th record cannot be encoded as bytes.
pub(crate) struct Counting;

#[derive(serde::Deserialize, schemars::JsonSchema)]
pub(crate) struct CountingConfig {
    /// Where to
    topic: String,
    /// How far
    limit: i64,
    /// Which records are bad
    #[serde(default)]
    poison: i64,
    /// Which records have 6000 bytes
    #[serde(default)]
    big: i64,
    /// Which numbers are no record at all
    #[serde(default)]
    torn: i64,
    /// Which polls abort their transaction; all others commit it
    #[serde(default)]
    abort: i64,
    /// Between two polls
    #[serde(default)]
    pause_ms: u64,
}

impl Config for CountingConfig {}

pub(crate) struct CountingTask {
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

    fn defines_boundaries(&self, _: &CountingConfig) -> bool {
        true
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
        let config = &self.config;
        let end = (self.next + 97).min(config.limit);
        if self.next == end {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(config.pause_ms)).await;
        let is = |every: i64, n: i64| every > 0 && n % every == 0;
        let value = |n: i64| match () {
            () if is(config.poison, n) => Value::Bool(true),
            () if is(config.big, n) => Value::Bytes(format!("{n:06000}").into_bytes().into()),
            () => Value::Bytes(n.to_string().into_bytes().into()),
        };
        let record = |n: i64| SourceRecord {
            topic: config.topic.clone(),
            partition: None,
            key: Datum::schemaless(Value::Str(format!("k{}", n % 10).into())),
            value: Datum::schemaless(value(n)),
            headers: Vec::new(),
            timestamp_ms: None,
        };
        let failure = |n: i64| SourceFailure {
            at: format!("number {n}"),
            topic: config.topic.clone(),
            key: None,
            value: Some(n.to_string().into_bytes().into()),
            error: Error::bad_record("is torn"),
        };
        let records = (self.next..end).filter(|n| !is(config.torn, *n)).map(record).collect();
        let failures = (self.next..end).filter(|n| is(config.torn, *n)).map(failure).collect();
        let boundary = if is(config.abort, self.next / 97) { Boundary::Abort } else { Boundary::Commit };
        self.next = end;
        let offset = json!({ "next": end }).as_object().cloned().unwrap();
        let positions = vec![Position { partition: partition(), offset }];
        Ok(SourceBatch { records, positions, failures, boundary })
    }
}

pub(crate) struct Around {
    pub(crate) environment: Arc<TaskEnvironment>,
    pub(crate) statuses: mpsc::UnboundedReceiver<millrace_data_plane::model::TaskStatus>,
    pub(crate) lease: watch::Sender<LeaseState>,
}

pub(crate) fn around() -> Around {
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
    pub(crate) fn start(&self, spec: TaskSpec) -> TaskHandle {
        TaskHandle::start(Arc::new(spec), Arc::clone(&self.environment))
    }

    pub(crate) async fn wait_for(&mut self, state: TaskState) -> millrace_data_plane::model::TaskStatus {
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

pub(crate) struct Names {
    pub(crate) bootstrap: String,
    pub(crate) connector: String,
    pub(crate) topic: String,
    pub(crate) offsets: String,
}

impl Names {
    pub(crate) fn new(bootstrap: String) -> Self {
        let connector = unique("counting");
        Self { bootstrap, topic: format!("{connector}-out"), offsets: format!("{connector}-offsets"), connector }
    }

    pub(crate) fn spec(&self, pairs: &[(&str, &str)]) -> TaskSpec {
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

    pub(crate) async fn clean(&self) {
        delete_topic(&self.bootstrap, &self.topic).await;
        delete_topic(&self.bootstrap, &self.offsets).await;
    }
}

pub(crate) type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// All committed records of a topic; none of a topic that is not there.
pub(crate) async fn read_all(bootstrap: &str, topic: &str) -> Pairs {
    let read = read_messages(bootstrap, topic).await;
    let pair = |message: OwnedMessage| {
        (message.key().unwrap_or_default().to_vec(), message.payload().unwrap_or_default().to_vec())
    };
    read.into_iter().map(pair).collect()
}

/// All committed records of a topic; none of a topic that is not there.
pub(crate) async fn read_messages(bootstrap: &str, topic: &str) -> Vec<OwnedMessage> {
    let (bootstrap, topic) = (bootstrap.to_owned(), topic.to_owned());
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &bootstrap)
            .set("group.id", "read-all")
            .set("isolation.level", "read_committed")
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).unwrap();
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(&topic, partition.id(), rdkafka::Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut left = list.count();
        let mut records = Vec::new();
        let began = std::time::Instant::now();
        while left > 0 && began.elapsed() < LIMIT {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => records.push(message.detach()),
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                _ => {}
            }
        }
        records
    })
    .await
    .unwrap()
}

pub(crate) fn numbers(records: &Pairs) -> BTreeMap<i64, usize> {
    let mut numbers = BTreeMap::new();
    for (_, value) in records {
        *numbers.entry(String::from_utf8(value.clone()).unwrap().parse().unwrap()).or_insert(0) += 1;
    }
    numbers
}

/// Waits until the positions are at `next`.
pub(crate) async fn reaches(names: &Names, next: i64) {
    let began = std::time::Instant::now();
    while stored(names).await.unwrap_or(0) < next {
        assert!(began.elapsed() < LIMIT, "the positions are not stored");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

pub(crate) async fn stored(names: &Names) -> Option<i64> {
    let records = read_all(&names.bootstrap, &names.offsets).await;
    let next = |(_, value): &(Vec<u8>, Vec<u8>)| serde_json::from_slice::<Json>(value).unwrap()["next"].as_i64();
    records.iter().filter_map(next).max()
}
