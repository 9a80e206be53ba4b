//! A source's records that do not reach their topic: what there is of them, and the way to the dead letters.

use bytes::Bytes;
use millrace_sdk::{Datum, Error, SourceFailure, SourceRecord, json};
use rdkafka::message::{Message, OwnedHeaders, OwnedMessage};

use super::produce::Encoded;
use crate::kafka::Refused;
use crate::task::Stage;
use crate::task::dead_letter::DeadLetter;

/// A record that does not reach its topic.
pub(super) struct Lost {
    pub(super) record: LostRecord,
    pub(super) stage: Stage,
    pub(super) error: Error,
}

/// What there is of it.
#[derive(Default)]
pub(super) struct LostRecord {
    at: String,
    /// What failed, as a Java class or ours
    class: String,
    topic: String,
    key: Option<Bytes>,
    value: Option<Bytes>,
    headers: Option<OwnedHeaders>,
    timestamp_ms: Option<i64>,
}

impl LostRecord {
    /// What statuses call it.
    pub(super) fn at(&self) -> &str {
        &self.at
    }

    fn new(topic: &str, class: &str) -> Self {
        let at = format!("for the topic {topic}");
        Self { at, class: class.to_owned(), topic: topic.to_owned(), ..Self::default() }
    }

    /// One that only its topic is known of.
    pub(super) fn of_topic(topic: &str, class: &str) -> Self {
        Self::new(topic, class)
    }

    /// One that is not encoded; what cannot be is kept as JSON.
    pub(super) fn of_source(record: &SourceRecord, class: &str) -> Self {
        let (key, value) = (text(&record.key), text(&record.value));
        Self { key, value, timestamp_ms: record.timestamp_ms, ..Self::new(&record.topic, class) }
    }

    /// One that the producer did not take.
    pub(super) fn of_encoded(record: Encoded, class: &str) -> Self {
        let Encoded { topic, timestamp_ms, key, value, headers, .. } = record;
        Self { key, value, headers, timestamp_ms, ..Self::new(&topic, class) }
    }

    /// One that a producer of ours did not bring to Kafka.
    pub(super) fn of_refused(refused: Refused, class: &str) -> Self {
        let Refused { topic, timestamp_ms, key, value, headers, .. } = refused;
        Self { key, value, headers, timestamp_ms, ..Self::new(&topic, class) }
    }

    /// One that the broker refused.
    pub(super) fn of_message(message: OwnedMessage, class: &str) -> Self {
        let copy = |payload: Option<&[u8]>| payload.map(Bytes::copy_from_slice);
        Self {
            key: copy(message.key()),
            value: copy(message.payload()),
            headers: message.headers().cloned(),
            timestamp_ms: message.timestamp().to_millis(),
            ..Self::new(message.topic(), class)
        }
    }
}

impl Lost {
    /// What the connector could not make a record of.
    pub(super) fn of_connector(failure: SourceFailure, class: &str) -> Self {
        let SourceFailure { at, topic, key, value, error } = failure;
        Self { record: LostRecord { at, key, value, ..LostRecord::new(&topic, class) }, stage: Stage::Poll, error }
    }
}

/// The letters of lost records, and what they borrow from.
pub(super) fn letters<'a>(records: &'a [LostRecord], causes: Vec<(Stage, Error)>) -> Vec<DeadLetter<'a>> {
    let letter = |(record, (stage, error)): (&'a LostRecord, (Stage, Error))| DeadLetter {
        coordinates: record.at.clone(),
        topic: &record.topic,
        partition: None,
        offset: None,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
        timestamp_ms: record.timestamp_ms,
        headers: record.headers.clone().unwrap_or_default(),
        stage,
        class: &record.class,
        error,
        attempts: 1,
    };
    records.iter().zip(causes).map(letter).collect()
}

/// A datum as bytes, for people to read.
fn text(datum: &Datum) -> Option<Bytes> {
    match datum {
        Datum::Null => None,
        Datum::Encoded(bytes) => Some(bytes.clone()),
        Datum::Decoded { value, .. } => {
            let mut text = Vec::new();
            json::write(value, &mut text).ok()?;
            Some(text.into())
        }
    }
}
