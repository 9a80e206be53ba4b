//! From a source's records to records as bytes, whose topics exist; and what becomes of those that get lost on the way.

use std::time::Duration;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Result, SourceFailure, SourceRecord};
use rdkafka::message::{Header, Headers, OwnedHeaders};

use super::lost::{Lost, LostRecord, letters};
use super::topics::Topics;
use crate::convert::{Converter, Role, converter};
use crate::framework::SourceSettings;
use crate::kafka::wire::{Outline, code};
use crate::kafka::{ClientSettings, not_allowed};
use crate::task::dead_letter::DeadLetters;
use crate::task::preparing::Patience;
use crate::task::{Failure, Life, Stage};
use crate::transform::{self, Chain};

/// What failed, in dead letters, when no converter or transform did.
pub(super) const PRODUCER: &str = "org.apache.kafka.clients.producer.KafkaProducer";

/// The way into Kafka.
pub(super) struct Output {
    life: Life,
    key: Box<dyn Converter>,
    value: Box<dyn Converter>,
    header: Box<dyn Converter>,
    /// None without transforms
    transforms: Option<Chain>,
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
        self.with_outline(0, |outline| outline.alone())
    }

    /// What the record looks like to a producer of ours; without a timestamp it has `now`.
    pub(super) fn with_outline<T>(&self, now: i64, use_it: impl FnOnce(&Outline<'_>) -> T) -> T {
        let headers = self.headers.iter().flat_map(Headers::iter);
        let headers: Vec<_> = headers.map(|header| (header.key, header.value)).collect();
        use_it(&Outline {
            timestamp_ms: self.timestamp_ms.unwrap_or(now),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
        })
    }
}

impl Output {
    pub(super) async fn open(life: &Life, settings: &SourceSettings, client: &ClientSettings) -> Result<Self> {
        let (spec, producers) = (&life.spec, &life.environment.producers);
        Ok(Self {
            compresses: client.property("compression.codec").is_some_and(|codec| codec != "none"),
            life: life.clone(),
            key: converter(Role::Key, &spec.config, &spec.tenant_settings)?,
            value: converter(Role::Value, &spec.config, &spec.tenant_settings)?,
            header: converter(Role::Header, &spec.config, &spec.tenant_settings)?,
            transforms: transform::chain(&spec.config)?,
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
            self.topics.see(&one.topic).await.map_err(|error| Failure::new(Stage::Produce, error))?;
        }
        if let Some(large) = self.oversized(&encoded) {
            // Perhaps no longer too large: whoever was told so may have changed the topic meanwhile.
            let topic = large.topic.clone();
            self.topics.forget(&topic);
            self.topics.see(&topic).await.map_err(|error| Failure::new(Stage::Produce, error))?;
            let fits = |one: &Encoded| self.oversized(std::slice::from_ref(one)).is_none();
            let (fitting, large): (Vec<_>, Vec<_>) = encoded.into_iter().partition(fits);
            encoded = fitting;
            lost.extend(large.into_iter().map(|one| {
                let error = too_large(&one.topic);
                unsent(one, error)
            }));
        }
        self.give_up(lost).await?;
        Ok(encoded)
    }

    /// The first record that is larger than the broker takes. One that it refuses costs the whole transaction.
    fn oversized<'a>(&self, encoded: &'a [Encoded]) -> Option<&'a Encoded> {
        if self.compresses {
            return None;
        }
        encoded.chunk_by(|a, b| a.topic == b.topic).find_map(|of_topic| {
            let limit = self.topics.limit(&of_topic[0].topic)?;
            of_topic.iter().find(|one| one.batch_bytes() > limit)
        })
    }

    /// The topics that were seen.
    pub(super) fn topics(&self) -> &Topics {
        &self.topics
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
}

/// A record that the producer did not take.
pub(super) fn unsent(record: Encoded, error: Error) -> Lost {
    Lost { record: LostRecord::of_encoded(record, PRODUCER), stage: Stage::Produce, error }
}

fn keys(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.key).collect()
}

fn values(records: &[SourceRecord]) -> Vec<&Datum> {
    records.iter().map(|record| &record.value).collect()
}

pub(super) fn bad_record(topic: &str) -> Error {
    Error::bad_record(format!("the topic {topic} does not take the record"))
}

pub(super) fn too_large(topic: &str) -> Error {
    Error::bad_record(format!(
        "the record is larger than the topic {topic} or the producer takes: raise max.message.bytes of the topic and \
         producer.override.max.request.size"
    ))
}

/// Why Kafka does not take a record for this topic, by an error code of its protocol.
pub(super) fn refused(topic: &str, code: i16) -> Error {
    match code {
        code::MESSAGE_TOO_LARGE | code::RECORD_LIST_TOO_LARGE => too_large(topic),
        code::CORRUPT_MESSAGE
        | code::INVALID_RECORD
        | code::INVALID_TIMESTAMP
        | code::POLICY_VIOLATION
        | code::UNSUPPORTED_FOR_MESSAGE_FORMAT => bad_record(topic),
        code::TOPIC_AUTHORIZATION_FAILED | code::CLUSTER_AUTHORIZATION_FAILED => not_allowed(topic),
        code::INVALID_TOPIC => Error::bad_config(format!("{topic} is no valid topic name")),
        code::UNSUPPORTED_COMPRESSION_TYPE => Error::bad_config(format!(
            "the topic {topic} takes no such batches: change producer.override.compression.type"
        )),
        _ => Error::transient(format!("cannot produce to the topic {topic}")),
    }
}
