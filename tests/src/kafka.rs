//! Topics, records and committed offsets, through librdkafka.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::server;
use crate::wait::eventually;

const LIMIT: Duration = Duration::from_secs(15);

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server("KAFKA_BOOTSTRAP"));
    config
}

/// Creates a topic and waits until it can be used.
///
/// # Panics
/// When it cannot be created.
pub async fn create_topic(topic: &str, partitions: i32) {
    let admin: AdminClient<DefaultClientContext> = client().create().expect("an admin client");
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let results = admin.create_topics([&new], &AdminOptions::new()).await.expect("create topics");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    eventually(&format!("topic {topic}"), LIMIT, || async {
        let ends = end_offsets(topic).await;
        if ends.len() == usize::try_from(partitions).unwrap_or(0) { Ok(()) } else { Err(format!("{ends:?}")) }
    })
    .await;
}

/// Creates topics of one partition each, all at once.
///
/// # Panics
/// When they cannot be created.
pub async fn create_topics(topics: &[String]) {
    let admin: AdminClient<DefaultClientContext> = client().create().expect("an admin client");
    let new: Vec<NewTopic<'_>> =
        topics.iter().map(|topic| NewTopic::new(topic, 1, TopicReplication::Fixed(1))).collect();
    let results = admin.create_topics(&new, &AdminOptions::new()).await.expect("create topics");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    eventually("new topics", LIMIT, || async {
        for topic in topics {
            if end_offsets(topic).await.len() != 1 {
                return Err(topic.clone());
            }
        }
        Ok(())
    })
    .await;
}

/// A record to produce.
#[derive(Debug, Clone)]
pub struct Produced {
    /// The key
    pub key: Option<String>,
    /// The value; None is a tombstone
    pub value: Option<String>,
    /// Milliseconds since the epoch
    pub timestamp_ms: i64,
}

/// A producer for a scenario.
pub struct Feed {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: String,
}

impl Feed {
    /// A producer for `topic`.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        let mut config = client();
        config.set("enable.idempotence", "true").set("linger.ms", "5").set("partitioner", "murmur2_random");
        Self { producer: config.create().expect("a producer"), topic: topic.to_owned() }
    }

    /// Queues a record; waits while the queue is full.
    ///
    /// # Panics
    /// On any other error.
    #[expect(clippy::disallowed_methods, reason = "the client's own threads drain the queue meanwhile")]
    pub fn send(&self, record: &Produced) {
        loop {
            let mut message = BaseRecord::to(&self.topic).timestamp(record.timestamp_ms);
            if let Some(key) = &record.key {
                message = message.key(key);
            }
            if let Some(value) = &record.value {
                message = message.payload(value);
            }
            match self.producer.send(message) {
                Ok(()) => return,
                Err((error, _)) if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => panic!("cannot produce to {}: {error}", self.topic),
            }
        }
    }

    /// Waits until all is acknowledged.
    ///
    /// # Panics
    /// When it is not.
    pub fn flush(&self) {
        self.producer.flush(Duration::from_secs(60)).expect("flushed");
    }
}

/// Produces all records and waits for their acknowledgement.
pub fn produce(topic: &str, records: &[Produced]) {
    let feed = Feed::new(topic);
    records.iter().for_each(|record| feed.send(record));
    feed.flush();
}

/// The end offset of each partition.
///
/// # Panics
/// When the broker does not answer.
pub async fn end_offsets(topic: &str) -> Vec<i64> {
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = client().create().expect("a consumer");
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).expect("metadata");
        let partitions = metadata.topics().first().map_or(0, |t| t.partitions().len());
        (0..i32::try_from(partitions).unwrap_or(0))
            .filter_map(|p| consumer.fetch_watermarks(&topic, p, LIMIT).ok().map(|(_, high)| high))
            .collect()
    })
    .await
    .expect("end offsets")
}

/// What a group has committed of each partition; 0 where nothing.
///
/// # Panics
/// When the broker does not answer.
pub async fn committed(group: &str, topic: &str) -> Vec<i64> {
    let (group, topic) = (group.to_owned(), topic.to_owned());
    let partitions = end_offsets(&topic).await.len();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = client().set("group.id", &group).create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&topic, 0, i32::try_from(partitions).unwrap_or(0) - 1);
        let offsets = consumer.committed_offsets(list, LIMIT).expect("committed offsets");
        offsets.elements().iter().map(|e| if let Offset::Offset(n) = e.offset() { n } else { 0 }).collect()
    })
    .await
    .expect("committed offsets")
}

/// Waits until the group of `connector` (in the default tenant) has committed the end of the topic.
pub async fn wait_drained(connector: &str, topic: &str, limit: Duration) {
    let group = format!("connect-{connector}");
    let ends = end_offsets(topic).await;
    eventually(&format!("{group} at the end of {topic}"), limit, || async {
        let now = committed(&group, topic).await;
        if now == ends { Ok(()) } else { Err(format!("{now:?} of {ends:?}")) }
    })
    .await;
}

/// A record read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Consumed {
    /// Partition
    pub partition: i32,
    /// Offset
    pub offset: i64,
    /// Key
    pub key: Option<String>,
    /// Value
    pub value: Option<String>,
    /// Headers
    pub headers: Vec<(String, String)>,
}

/// Everything in a topic right now.
///
/// # Panics
/// When the broker does not answer.
pub async fn read_all(topic: &str) -> Vec<Consumed> {
    read(topic, "read_uncommitted").await
}

/// As [`read_all`], without what belongs to transactions that are open or were aborted.
///
/// # Panics
/// When the broker does not answer.
pub async fn read_committed(topic: &str) -> Vec<Consumed> {
    read(topic, "read_committed").await
}

async fn read(topic: &str, isolation: &'static str) -> Vec<Consumed> {
    let partitions = end_offsets(topic).await.len();
    let topic = topic.to_owned();
    tokio::task::spawn_blocking(move || {
        let mut config = client();
        config.set("group.id", crate::unique("reader")).set("isolation.level", isolation);
        let consumer: BaseConsumer = config.set("enable.partition.eof", "true").create().expect("a consumer");
        let (mut list, mut open) = (TopicPartitionList::new(), HashMap::new());
        for partition in 0..i32::try_from(partitions).unwrap_or(0) {
            list.add_partition_offset(&topic, partition, Offset::Beginning).expect("a partition");
            let (_, end) = consumer.fetch_watermarks(&topic, partition, LIMIT).expect("the partition's end");
            open.insert(partition, end);
        }
        consumer.assign(&list).expect("assigned");
        let (mut records, deadline) = (Vec::new(), Instant::now() + 4 * LIMIT);
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{} records, and not at the end of {open:?}", records.len());
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                // What came later is read by the next one. The last offsets before the end may be marks of transactions.
                Some(Ok(message)) if open.get(&message.partition()).is_none_or(|end| message.offset() >= *end) => {
                    open.remove(&message.partition());
                }
                Some(Ok(message)) => records.push(consumed(&message)),
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(Err(error)) => panic!("{error}"),
            }
        }
        records
    })
    .await
    .expect("records")
}

fn consumed(message: &BorrowedMessage<'_>) -> Consumed {
    let text = |bytes: Option<&[u8]>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|h| (h.key.to_owned(), text(h.value).unwrap_or_default())).collect()
    });
    Consumed {
        partition: message.partition(),
        offset: message.offset(),
        key: text(message.key()),
        value: text(message.payload()),
        headers,
    }
}

/// A record byte by byte.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRecord {
    /// Where it stands
    pub offset: i64,
    /// Key
    pub key: Option<Vec<u8>>,
    /// Value; None is a tombstone
    pub value: Option<Vec<u8>>,
    /// Headers, in order
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since the epoch
    pub timestamp_ms: Option<i64>,
}

/// Produces records to partition 0, in order, and waits for their acknowledgement; their offsets are not looked at.
///
/// # Panics
/// When that fails.
pub fn produce_raw(topic: &str, records: &[RawRecord]) {
    let producer: ThreadedProducer<DefaultProducerContext> =
        client().set("enable.idempotence", "true").create().expect("a producer");
    for record in records {
        let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0);
        message.key = record.key.as_deref();
        message.payload = record.value.as_deref();
        message.timestamp = record.timestamp_ms;
        if !record.headers.is_empty() {
            let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: value.as_deref() })
            });
            message.headers = Some(headers);
        }
        producer.send(message).unwrap_or_else(|(error, _)| panic!("cannot produce to {topic}: {error}"));
    }
    producer.flush(Duration::from_secs(60)).expect("flushed");
}

/// Partition 0 of a topic, read on from where the last call ended.
pub struct Tail {
    consumer: BaseConsumer,
}

impl Tail {
    /// A reader that begins at the beginning.
    ///
    /// # Panics
    /// When there is no broker.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        let consumer: BaseConsumer = client()
            .set("group.id", crate::unique("tail"))
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .create()
            .expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
        consumer.assign(&list).expect("assigned");
        Self { consumer }
    }

    /// The next record, waited for at most that long; errors pass, and the client goes on.
    #[must_use]
    pub fn next(&self, wait: Duration) -> Option<RawRecord> {
        let message = self.consumer.poll(wait)?.ok()?;
        let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), bytes(header.value))).collect()
        });
        Some(RawRecord {
            offset: message.offset(),
            key: bytes(message.key()),
            value: bytes(message.payload()),
            headers,
            timestamp_ms: message.timestamp().to_millis(),
        })
    }
}
