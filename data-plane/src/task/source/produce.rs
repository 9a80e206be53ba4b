//! From a source's batch to records in the producer's queue, and what became of them.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, ErrorKind, Position, Result, SourceBatch, SourceRecord};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::convert::{Converter, Role, converter};
use crate::framework::{SourceSettings, Tolerance};
use crate::kafka::{ClientKind, ClientSettings, SharedProducer, ensure_topic};
use crate::task::{Backoff, Failure, Life, Stage};
use crate::transform::{self, Chain};

/// Until a full queue is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);
const METADATA_LIMIT: Duration = Duration::from_secs(10);

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
    pub(super) failures: Vec<Failure>,
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
    producer: SharedProducer,
    tolerance: Tolerance,
    log: bool,
    /// Topics that exist
    topics: BTreeSet<String>,
}

/// A record as bytes.
struct Encoded {
    record: SourceRecord,
    key: Option<Bytes>,
    value: Option<Bytes>,
    /// None without headers
    headers: Option<OwnedHeaders>,
}

impl Output {
    pub(super) fn open(life: &Life, settings: &SourceSettings) -> Result<Self> {
        let spec = &life.spec;
        let client = ClientSettings::build(ClientKind::Producer, &spec.tenant_settings, &spec.config)?;
        Ok(Self {
            life: life.clone(),
            key: converter(Role::Key, &spec.config, &spec.tenant_settings)?,
            value: converter(Role::Value, &spec.config, &spec.tenant_settings)?,
            header: converter(Role::Header, &spec.config, &spec.tenant_settings)?,
            transforms: transform::chain(&spec.config)?,
            producer: life.environment.producers.producer(&client)?,
            tolerance: settings.tolerance,
            log: settings.log_errors,
            topics: BTreeSet::new(),
        })
    }

    /// Transforms and encodes a batch and hands it to the producer; waits while the producer's queue is full.
    pub(super) async fn send(&mut self, batch: SourceBatch) -> Result<Sent, Failure> {
        let records = self.transform(batch.records)?;
        self.prepare(&records).await?;
        let encoded = self.encode(records)?;
        let mut deliveries: Vec<(String, DeliveryFuture)> = Vec::with_capacity(encoded.len());
        let mut bytes = 0;
        let mut failures = Vec::new();
        for one in encoded {
            if !self.topics.contains(&one.record.topic) {
                self.see_topic(&one.record.topic).await.map_err(|error| Failure::new(Stage::Produce, error))?;
                self.topics.insert(one.record.topic.clone());
            }
            bytes += one.key.as_ref().map_or(0, Bytes::len) + one.value.as_ref().map_or(0, Bytes::len);
            match self.enqueue(&one).await {
                Ok(delivery) => deliveries.push((one.record.topic, delivery)),
                Err(failure) => failures.push(failure),
            }
        }
        let (records, positions) = (deliveries.len(), batch.positions);
        let in_flight = async move {
            let mut acknowledged = 0;
            for (topic, delivery) in deliveries {
                match delivery.await {
                    Ok(Ok(_)) => acknowledged += 1,
                    Ok(Err((error, _))) => failures.push(refused(&topic, error)),
                    Err(_) => failures.push(refused(&topic, KafkaError::Canceled)),
                }
            }
            Delivered { records, bytes, acknowledged, failures, positions }
        };
        Ok(Sent { records, bytes, in_flight: Box::pin(in_flight) })
    }

    /// Passes a record over, or fails the task with it, as `errors.tolerance` says.
    pub(super) fn tolerate(&self, failure: Failure) -> Result<(), Failure> {
        self.life.metrics.errors(failure.stage.name(), failure.kind().name(), 1);
        let bad_record = failure.kind() == millrace_sdk::ErrorKind::BadRecord;
        if !bad_record || self.tolerance == Tolerance::None {
            return Err(failure);
        }
        if self.log {
            tracing::error!(task = %self.life.spec.id, error = failure.trace(), "record skipped");
        }
        Ok(())
    }

    fn transform(&mut self, records: Vec<SourceRecord>) -> Result<Vec<SourceRecord>, Failure> {
        let Some(chain) = &mut self.transforms else { return Ok(records) };
        let outcome = chain.apply_source(records);
        for (topic, rejected) in outcome.rejected {
            let error = Error::bad_record(format!("{}: {}", rejected.class, rejected.error)).because(rejected.error);
            self.tolerate(Failure::at(Stage::Transform, format!("for the topic {topic}"), error))?;
        }
        Ok(outcome.records)
    }

    /// Waits until the converters know all that they need for these records, as long as it takes.
    async fn prepare(&self, records: &[SourceRecord]) -> Result<(), Failure> {
        let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
        for of_topic in records.chunk_by(|a, b| a.topic == b.topic) {
            for (converter, data) in [(&self.key, keys(of_topic)), (&self.value, values(of_topic))] {
                while let Some(preparation) = converter.prepare_encode(&of_topic[0].topic, &data) {
                    match preparation.await {
                        Ok(()) => self.life.reporter.remark("registry", None),
                        Err(error) => match error.kind() {
                            ErrorKind::Transient { retry_after } => {
                                let text = format!("records wait: {}", error.chain());
                                self.life.reporter.remark("registry", Some(text));
                                tokio::time::sleep(backoff.delay(retry_after)).await;
                            }
                            _ => return Err(Failure::new(Stage::Encode, error)),
                        },
                    }
                }
            }
        }
        Ok(())
    }

    fn encode(&self, records: Vec<SourceRecord>) -> Result<Vec<Encoded>, Failure> {
        let (mut keys_out, mut values_out) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for of_topic in records.chunk_by(|a, b| a.topic == b.topic) {
            keys_out.extend(self.key.encode(&of_topic[0].topic, &keys(of_topic)));
            values_out.extend(self.value.encode(&of_topic[0].topic, &values(of_topic)));
        }
        let mut encoded = Vec::with_capacity(records.len());
        for ((record, key), value) in records.into_iter().zip(keys_out).zip(values_out) {
            match (key, value, self.headers(&record)) {
                (Ok(key), Ok(value), Ok(headers)) => encoded.push(Encoded { record, key, value, headers }),
                (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                    let at = format!("for the topic {}", record.topic);
                    self.tolerate(Failure::at(Stage::Encode, at, error))?;
                }
            }
        }
        Ok(encoded)
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

    async fn enqueue(&self, one: &Encoded) -> Result<DeliveryFuture, Failure> {
        loop {
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&one.record.topic);
            if let Some(key) = &one.key {
                record = record.key(key);
            }
            if let Some(value) = &one.value {
                record = record.payload(value);
            }
            if let Some(partition) = one.record.partition {
                record = record.partition(partition);
            }
            if let Some(timestamp) = one.record.timestamp_ms {
                record = record.timestamp(timestamp);
            }
            if let Some(headers) = &one.headers {
                record = record.headers(headers.clone());
            }
            match self.producer.send_result(record) {
                Ok(delivery) => return Ok(delivery),
                Err((error, _)) if error.rdkafka_error_code() == Some(Code::QueueFull) => {
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
                Err((error, _)) => return Err(refused(&one.record.topic, error)),
            }
        }
    }

    /// A topic that does not exist is created: by the broker, where it does that by itself, else with its defaults.
    async fn see_topic(&self, topic: &str) -> Result<()> {
        let producer = Arc::clone(&self.producer);
        let name = topic.to_owned();
        let look = move || {
            let metadata = producer.client().fetch_metadata(Some(&name), METADATA_LIMIT)?;
            let found = metadata.topics().first();
            Ok(found.is_some_and(|found| found.error().is_none() && !found.partitions().is_empty()))
        };
        let looked: Result<bool, KafkaError> = tokio::task::spawn_blocking(look)
            .await
            .map_err(|error| Error::internal("looking for a topic ended").because(error))?;
        let exists = looked.map_err(|error| {
            Error::transient(format!("cannot look for the topic {topic}: Kafka does not answer")).because(error)
        })?;
        if exists {
            return Ok(());
        }
        let spec = &self.life.spec;
        let admin = ClientSettings::build(ClientKind::Admin, &spec.tenant_settings, &spec.config)?;
        let outcome = ensure_topic(&admin, topic, -1, -1, &[]).await?;
        tracing::info!(task = %spec.id, topic, ?outcome, "topic of a source");
        Ok(())
    }
}

fn keys(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.key).collect()
}

fn values(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.value).collect()
}

fn refused(topic: &str, error: KafkaError) -> Failure {
    let at = format!("for the topic {topic}");
    let error = match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge) => Error::bad_record(format!(
            "the record is larger than the topic {topic} or the producer takes: raise max.message.bytes of the topic and \
             producer.override.max.request.size"
        ))
        .because(error),
        Some(Code::InvalidRecord | Code::InvalidMessage | Code::UnknownPartition) => {
            Error::bad_record(format!("the topic {topic} does not take the record")).because(error)
        }
        Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => Error::bad_config(format!(
            "not allowed to write to the topic {topic}: grant WRITE to the tenant's Kafka user"
        ))
        .because(error),
        Some(Code::InvalidTopic) => Error::bad_config(format!("{topic} is no valid topic name")).because(error),
        _ => Error::transient(format!("cannot produce to the topic {topic}")).because(error),
    };
    Failure::at(Stage::Produce, at, error)
}
