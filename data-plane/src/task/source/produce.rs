//! From a source's batch to records in the producer's queue, and what became of them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, ErrorKind, Position, Result, SourceBatch, SourceFailure, SourceRecord};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::lost::{Lost, LostRecord, letters};
use super::topics::Topics;
use crate::convert::{Converter, Role, converter};
use crate::framework::SourceSettings;
use crate::kafka::{ClientSettings, Deliveries, Outgoing, SharedProducer};
use crate::task::dead_letter::DeadLetters;
use crate::task::preparing::Patience;
use crate::task::{Failure, Life, Stage};
use crate::transform::{self, Chain};

/// librdkafka's default of `batch.size`.
const BATCH_BYTES: usize = 1_000_000;
/// What a batch has before its first record.
const BATCH_HEADER: usize = 61;
/// What failed, in dead letters, when no converter or transform did.
const PRODUCER: &str = "org.apache.kafka.clients.producer.KafkaProducer";

/// A batch in flight; ends when Kafka has answered for all of its records.
pub(super) type InFlight = Pin<Box<dyn Future<Output = Delivered> + Send>>;

/// A batch that was handed to the producer.
pub(super) struct Sent {
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) in_flight: InFlight,
}

/// What became of a batch.
pub(super) struct Delivered {
    pub(super) records: usize,
    pub(super) bytes: usize,
    pub(super) acknowledged: u64,
    pub(super) lost: Vec<Lost>,
    pub(super) positions: Vec<Position>,
}

/// The way into Kafka.
pub(super) struct Output {
    life: Life,
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    header: Box<dyn Converter>,
    /// None without transforms
    transforms: Option<Chain>,
    /// Makes the producers
    client: ClientSettings,
    producer: SharedProducer,
    /// A broker refuses a batch as a whole when it is larger than its topic takes, so the producer's batches must not be
    batch_bytes: usize,
    /// The least that a topic takes, as far as that is less
    least_bytes: Option<usize>,
    /// Producers with smaller batches, by topic; none in transactions, which have one producer
    narrow: BTreeMap<String, SharedProducer>,
    transactional: bool,
    /// Batches get smaller on their way, and nobody knows by how much
    compresses: bool,
    letters: DeadLetters,
    topics: Topics,
    retry_timeout: Option<Duration>,
    retry_delay_max: Duration,
}

/// A record as bytes; cloning it copies none.
#[derive(Clone)]
pub(super) struct Encoded {
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    /// None without headers
    pub(super) headers: Option<OwnedHeaders>,
}

impl Encoded {
    pub(super) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.value.as_ref().map_or(0, Bytes::len)
    }

    /// The size of a batch with this record alone (version 2 of Kafka's format), uncompressed.
    fn batch_bytes(&self) -> usize {
        // A variable-length number, zigzag: seven bits of the doubled number in each byte
        let number = |length: usize| (2 * length).max(1).ilog2() as usize / 7 + 1;
        let sized = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| number(bytes.len()) + bytes.len());
        let headers = self.headers.iter().flat_map(Headers::iter);
        let headers: usize = headers.map(|header| sized(Some(header.key.as_bytes())) + sized(header.value)).sum();
        let count = number(self.headers.as_ref().map_or(0, Headers::count));
        // Attributes and the differences of timestamp and offset take a byte each.
        let record = 3 + sized(self.key.as_deref()) + sized(self.value.as_deref()) + count + headers;
        BATCH_HEADER + number(record) + record
    }
}

impl Output {
    /// `transactional` is the producer of a task that runs exactly once.
    pub(super) async fn open(
        life: &Life,
        settings: &SourceSettings,
        client: &ClientSettings,
        transactional: Option<SharedProducer>,
    ) -> Result<Self> {
        let spec = &life.spec;
        let producers = &life.environment.producers;
        let is_transactional = transactional.is_some();
        let producer = transactional.map_or_else(|| producers.producer(client), Ok)?;
        Ok(Self {
            client: client.clone(),
            batch_bytes: client.property("batch.size").and_then(|text| text.parse().ok()).unwrap_or(BATCH_BYTES),
            least_bytes: None,
            narrow: BTreeMap::new(),
            transactional: is_transactional,
            compresses: client.property("compression.codec").is_some_and(|codec| codec != "none"),
            life: life.clone(),
            key: converter(Role::Key, &spec.config, &spec.tenant_settings)?,
            value: converter(Role::Value, &spec.config, &spec.tenant_settings)?,
            header: converter(Role::Header, &spec.config, &spec.tenant_settings)?,
            transforms: transform::chain(&spec.config)?,
            producer,
            letters: DeadLetters::open(spec, &settings.common, producers, &life.metrics).await?,
            topics: Topics::new(spec, settings)?,
            retry_timeout: settings.common.retry_timeout(),
            retry_delay_max: settings.common.retry_delay_max(),
        })
    }

    /// Transforms and encodes records; those for which that fails are given up. Their topics exist afterwards.
    pub(super) async fn encode(
        &mut self,
        records: Vec<SourceRecord>,
        failures: Vec<SourceFailure>,
    ) -> Result<Vec<Encoded>, Failure> {
        let class = &self.life.spec.class;
        let mut lost: Vec<Lost> = failures.into_iter().map(|failure| Lost::of_connector(failure, class)).collect();
        let records = self.transform(records, &mut lost);
        self.prepare(&records).await?;
        let mut encoded = self.convert(records, &mut lost);
        for one in encoded.chunk_by(|a, b| a.topic == b.topic).filter_map(|of_topic| of_topic.first()) {
            self.see(&one.topic).await.map_err(|error| Failure::new(Stage::Produce, error))?;
        }
        if let Some(large) = encoded.iter().find(|one| !self.fits(one)) {
            // Perhaps no longer too large: whoever was told so may have changed the topic meanwhile.
            let topic = large.topic.clone();
            self.topics.forget(&topic);
            self.see(&topic).await.map_err(|error| Failure::new(Stage::Produce, error))?;
            let (fitting, large): (Vec<_>, Vec<_>) = encoded.into_iter().partition(|one| self.fits(one));
            encoded = fitting;
            lost.extend(large.into_iter().map(|one| {
                let error = too_large(&one.topic);
                unsent(one, error)
            }));
        }
        self.give_up(lost).await?;
        Ok(encoded)
    }

    /// Whether the broker takes the record, as far as its size goes. One that it refuses costs the whole transaction.
    fn fits(&self, one: &Encoded) -> bool {
        self.compresses || self.topics.limit(&one.topic).is_none_or(|limit| one.batch_bytes() <= limit)
    }

    async fn see(&mut self, topic: &str) -> Result<()> {
        let limit = self.topics.see(topic).await?;
        let Some(limit) = limit.filter(|limit| *limit < self.batch_bytes) else { return Ok(()) };
        if self.transactional {
            self.least_bytes = Some(self.least_bytes.map_or(limit, |least| least.min(limit)));
        } else if !self.narrow.contains_key(topic) {
            let client = self.client.clone().with("batch.size", limit.to_string());
            self.narrow.insert(topic.to_owned(), self.life.environment.producers.producer(&client)?);
        }
        Ok(())
    }

    /// The size of batches that all topics of a transaction take, when the producer's are larger.
    pub(super) fn narrower(&self) -> Option<usize> {
        self.least_bytes
    }

    /// From now on, this transactional producer, whose batches have at most so many bytes.
    pub(super) fn set_producer(&mut self, producer: SharedProducer, batch_bytes: usize) {
        self.producer = producer;
        self.batch_bytes = batch_bytes;
        self.least_bytes = None;
    }

    /// Transforms and encodes a batch and hands it to the producer; waits while the producer's queue is full.
    pub(super) async fn send(&mut self, batch: SourceBatch) -> Result<Sent, Failure> {
        let encoded = self.encode(batch.records, batch.failures).await?;
        let mut deliveries = Deliveries::default();
        let mut bytes = 0;
        let mut lost = Vec::new();
        for one in encoded {
            bytes += one.bytes();
            if let Err(error) = self.enqueue(&one, &mut deliveries).await {
                lost.push(unsent(one, error));
            }
        }
        let (records, positions) = (deliveries.sent(), batch.positions);
        let producer = SharedProducer::clone(&self.producer);
        let in_flight = async move {
            let refused = deliveries.finished().await;
            let acknowledged = (records - refused.len()) as u64;
            lost.extend(refused.into_iter().map(|one| not_taken(&producer, one)));
            Delivered { records, bytes, acknowledged, lost, positions }
        };
        Ok(Sent { records, bytes, in_flight: Box::pin(in_flight) })
    }

    /// Passes records over, or fails the task with the first of them, as `errors.tolerance` says.
    pub(super) async fn give_up(&self, lost: Vec<Lost>) -> Result<(), Failure> {
        if lost.is_empty() {
            return Ok(());
        }
        let (records, causes): (Vec<_>, Vec<_>) =
            lost.into_iter().map(|one| (one.record, (one.stage, one.error))).unzip();
        self.letters.give_up(letters(&records, causes)).await
    }

    /// Whether records that Kafka refuses are passed over.
    pub(super) fn tolerates(&self) -> bool {
        self.letters.tolerates()
    }

    fn transform(&mut self, records: Vec<SourceRecord>, lost: &mut Vec<Lost>) -> Vec<SourceRecord> {
        let Some(chain) = &mut self.transforms else { return records };
        // A transform that fails leaves nothing of its record.
        let kept = self.letters.wants_records().then(|| records.clone());
        let outcome = chain.apply_source(records);
        for (topic, rejected) in outcome.rejected {
            let number = usize::try_from(rejected.offset).unwrap_or(usize::MAX);
            let record = match kept.as_ref().and_then(|kept| kept.get(number)) {
                Some(record) => LostRecord::of_source(record, rejected.class),
                None => LostRecord::of_topic(&topic, rejected.class),
            };
            lost.push(Lost { record, stage: Stage::Transform, error: rejected.error });
        }
        outcome.records
    }

    /// Waits until the converters know all that they need for these records.
    async fn prepare(&self, records: &[SourceRecord]) -> Result<(), Failure> {
        let of_topic = |records| [(&self.key, keys(records)), (&self.value, values(records))].map(|one| (records, one));
        let wanted: Vec<_> = records.chunk_by(|a, b| a.topic == b.topic).flat_map(of_topic).collect();
        let patience = Patience {
            stage: Stage::Encode,
            retry_timeout: self.retry_timeout,
            delay_max: self.retry_delay_max,
            metrics: &self.life.metrics,
            reporter: &self.life.reporter,
        };
        let ask =
            || wanted.iter().find_map(|(records, (converter, data))| converter.prepare_encode(&records[0].topic, data));
        patience.prepare(ask).await
    }

    fn convert(&self, records: Vec<SourceRecord>, lost: &mut Vec<Lost>) -> Vec<Encoded> {
        let (mut keys_out, mut values_out) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for of_topic in records.chunk_by(|a, b| a.topic == b.topic) {
            keys_out.extend(self.key.encode(&of_topic[0].topic, &keys(of_topic)));
            values_out.extend(self.value.encode(&of_topic[0].topic, &values(of_topic)));
        }
        let mut encoded = Vec::with_capacity(records.len());
        for ((record, key), value) in records.into_iter().zip(keys_out).zip(values_out) {
            let (stage, class, error) = match (key, value, self.headers(&record)) {
                (Ok(key), Ok(value), Ok(headers)) => {
                    let SourceRecord { topic, partition, timestamp_ms, .. } = record;
                    encoded.push(Encoded { topic, partition, timestamp_ms, key, value, headers });
                    continue;
                }
                (Err(error), _, _) => (Stage::EncodeKey, self.key.class(), error),
                (_, Err(error), _) => (Stage::EncodeValue, self.value.class(), error),
                (_, _, Err(error)) => (Stage::EncodeHeader, self.header.class(), error),
            };
            lost.push(Lost { record: LostRecord::of_source(&record, class), stage, error });
        }
        encoded
    }

    fn headers(&self, record: &SourceRecord) -> Result<Option<OwnedHeaders>> {
        if record.headers.is_empty() {
            return Ok(None);
        }
        let values: Vec<_> = record.headers.iter().map(|header| &header.value).collect();
        let mut headers = OwnedHeaders::new_with_capacity(values.len());
        for (header, value) in record.headers.iter().zip(self.header.encode(&record.topic, &values)) {
            let value = value.map_err(|error| {
                Error::bad_record(format!("the header \"{}\" cannot be encoded", header.key)).because(error)
            })?;
            headers = headers.insert(Header { key: &header.key, value: value.as_deref() });
        }
        Ok(Some(headers))
    }

    /// Hands a record to the producer; waits while its queue is full.
    pub(super) async fn enqueue(&self, one: &Encoded, deliveries: &mut Deliveries) -> Result<()> {
        let producer = self.narrow.get(&one.topic).unwrap_or(&self.producer);
        let record = Outgoing {
            topic: &one.topic,
            partition: one.partition,
            timestamp_ms: one.timestamp_ms,
            key: one.key.as_deref(),
            value: one.value.as_deref(),
            headers: one.headers.clone(),
        };
        deliveries.send(producer, record).await.map_err(|error| refused(producer, &one.topic, error))
    }
}

/// A record that the producer did not take.
pub(super) fn unsent(record: Encoded, error: Error) -> Lost {
    Lost { record: LostRecord::of_encoded(record, PRODUCER), stage: Stage::Produce, error }
}

/// A record that Kafka did not take.
pub(super) fn not_taken(producer: &SharedProducer, (error, message): (KafkaError, OwnedMessage)) -> Lost {
    let error = refused(producer, message.topic(), error);
    Lost { record: LostRecord::of_message(message, PRODUCER), stage: Stage::Produce, error }
}

fn keys(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.key).collect()
}

fn values(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.value).collect()
}

fn too_large(topic: &str) -> Error {
    Error::bad_record(format!(
        "the record is larger than the topic {topic} or the producer takes: raise max.message.bytes of the topic and \
         producer.override.max.request.size"
    ))
}

fn refused(producer: &SharedProducer, topic: &str, error: KafkaError) -> Error {
    // Once a producer has a fatal error every call says only that.
    let code = producer.client().fatal_error().map(|(code, _)| code).or_else(|| error.rdkafka_error_code());
    match code {
        Some(Code::MessageSizeTooLarge) => too_large(topic).because(error),
        Some(Code::InvalidRecord | Code::InvalidMessage | Code::UnknownPartition) => {
            Error::bad_record(format!("the topic {topic} does not take the record")).because(error)
        }
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Error::bad_config(format!(
            "not allowed to write to the topic {topic}: grant WRITE to the tenant's Kafka user"
        ))
        .because(error),
        Some(Code::InvalidTopic) => Error::bad_config(format!("{topic} is no valid topic name")).because(error),
        Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch) => {
            Error::new(ErrorKind::Fenced, "a newer life of this task writes with its transactional id").because(error)
        }
        _ => Error::transient(format!("cannot produce to the topic {topic}")).because(error),
    }
}
