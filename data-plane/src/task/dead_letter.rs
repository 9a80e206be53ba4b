//! What happens to records that can never be converted, transformed or written: fail, skip, or keep them in a topic. A dead
//! letter is acknowledged by Kafka before its record counts as done. Sinks and sources alike.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use millrace_sdk::{Error, ErrorKind, Result, TopicPartition};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::batch::RawRecord;
use super::failure::{Failure, Stage};
use crate::framework::{CommonSettings, NewTopicSettings, Tolerance};
use crate::kafka::{
    ClientKind, ClientSettings, Deliveries, Outgoing, Producers, SharedProducer, TopicOutcome, ensure_topic,
};
use crate::metrics::TaskMetrics;
use crate::model::TaskSpec;

/// A full queue and an absent broker are waited for; only a refusal comes back.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A record that is given up.
pub(super) struct DeadLetter<'a> {
    /// What statuses and logs call it
    pub(super) coordinates: String,
    /// Where it is from; the topic it was to go to for a record of a source
    pub(super) topic: &'a str,
    /// None for a record of a source
    pub(super) partition: Option<i32>,
    /// None for a record of a source
    pub(super) offset: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) headers: OwnedHeaders,
    pub(super) stage: Stage,
    /// The Java class name of what failed, or ours
    pub(super) class: &'a str,
    pub(super) error: Error,
    /// How often it was tried
    pub(super) attempts: u32,
}

impl<'a> DeadLetter<'a> {
    /// The letter of a sink's record.
    pub(super) fn of_sink(
        origin: &'a TopicPartition,
        record: RawRecord<'a>,
        stage: Stage,
        class: &'a str,
        error: Error,
    ) -> Self {
        let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
        for (name, value) in record.headers {
            headers = headers.insert(Header { key: name, value });
        }
        Self {
            coordinates: format!("{origin}@{}", record.offset),
            topic: &origin.topic,
            partition: Some(origin.partition),
            offset: Some(record.offset),
            key: record.key,
            value: record.value,
            timestamp_ms: record.timestamp_ms,
            headers,
            stage,
            class,
            error,
            attempts: 1,
        }
    }
}

/// The task's way with such records.
pub(super) struct DeadLetters {
    tolerance: Tolerance,
    log: bool,
    log_records: bool,
    headers: bool,
    topic: Option<Topic>,
    spec: Arc<TaskSpec>,
    metrics: Arc<TaskMetrics>,
}

struct Topic {
    name: String,
    producer: SharedProducer,
}

impl DeadLetters {
    /// Makes the producer and sees to it that the topic exists, when there is to be one.
    pub(super) async fn open(
        spec: &Arc<TaskSpec>,
        settings: &CommonSettings,
        producers: &Producers,
        metrics: &Arc<TaskMetrics>,
    ) -> Result<Self> {
        let name = settings.dead_letter_topic.trim();
        // A connector may have a key of its own that tolerates what it refuses.
        let tolerates = |(key, value): (&String, &String)| {
            key.ends_with("errors.tolerance") && !value.trim().eq_ignore_ascii_case("none")
        };
        let topic = if name.is_empty() || !spec.config.iter().any(tolerates) {
            None
        } else {
            let admin = ClientSettings::build(ClientKind::Admin, &spec.tenant_settings, &spec.config)?;
            let new = NewTopicSettings {
                prefix: "errors.deadletterqueue.topic.".to_owned(),
                partitions: 1,
                replication: settings.dead_letter_replication,
                ..NewTopicSettings::of_broker()
            };
            let outcome = ensure_topic(&admin, name, &new).await.map_err(|error| {
                Error::new(error.kind(), format!("errors.deadletterqueue.topic.name: {}", error.chain()))
            })?;
            if outcome == TopicOutcome::Created {
                tracing::info!(task = %spec.id, topic = name, "dead letter topic created");
            }
            let client = ClientSettings::build(ClientKind::Producer, &spec.tenant_settings, &spec.config)?;
            Some(Topic { name: name.to_owned(), producer: producers.producer(&client)? })
        };
        Ok(Self {
            tolerance: settings.tolerance,
            log: settings.log_errors,
            log_records: settings.log_records,
            headers: settings.dead_letter_headers,
            topic,
            spec: Arc::clone(spec),
            metrics: Arc::clone(metrics),
        })
    }

    /// Whether such records are passed over.
    pub(super) fn tolerates(&self) -> bool {
        self.tolerance != Tolerance::None
    }

    fn passes_over(&self, error: &Error) -> bool {
        error.tolerance().unwrap_or_else(|| self.tolerates())
    }

    /// Whether there is more to do with a record than to count it, so that its bytes are worth keeping.
    pub(super) fn wants_records(&self) -> bool {
        self.topic.is_some() || (self.log && self.log_records)
    }

    /// Gives records up, or says that the task must fail at the first of them. What is no fault of the record is never
    /// tolerated. Cancel-safe: a record whose letter is sent twice is in the topic twice.
    pub(super) async fn give_up(&self, letters: Vec<DeadLetter<'_>>) -> Result<(), Failure> {
        let fatal = letters
            .iter()
            .position(|letter| !self.passes_over(&letter.error) || letter.error.kind() != ErrorKind::BadRecord);
        if let Some(fatal) = fatal {
            return letters.into_iter().nth(fatal).map_or(Ok(()), |letter| Err(self.refuse(letter)));
        }
        for letter in &letters {
            self.record(letter);
        }
        if let Some(topic) = &self.topic {
            try_join_all(letters.iter().map(|letter| self.send(topic, letter))).await?;
        }
        self.metrics.skipped(letters.len() as u64);
        Ok(())
    }

    /// The failure of a task that does not tolerate the record.
    pub(super) fn refuse(&self, letter: DeadLetter<'_>) -> Failure {
        self.record(&letter);
        Failure::at(letter.stage, letter.coordinates, letter.error)
    }

    fn record(&self, letter: &DeadLetter<'_>) {
        self.metrics.errors(letter.stage.name(), letter.error.kind().name(), 1);
        if self.log {
            self.log(letter);
            self.metrics.logged();
        }
    }

    fn log(&self, letter: &DeadLetter<'_>) {
        let (record, stage, kind) = (&letter.coordinates, letter.stage.name(), letter.error.kind().name());
        let (task, error) = (&self.spec.id, letter.error.chain());
        if self.log_records {
            let text = |payload: Option<&[u8]>| payload.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let (key, value) = (text(letter.key), text(letter.value));
            tracing::error!(%task, record, stage, kind, error, ?key, ?value, headers = ?letter.headers, "record failed");
        } else {
            tracing::error!(%task, record, stage, kind, error, "record failed");
        }
    }

    async fn send(&self, topic: &Topic, letter: &DeadLetter<'_>) -> Result<(), Failure> {
        let headers = self.headers_of(letter);
        let mut sent = self.produce(topic, letter, letter.value, headers.clone()).await;
        if let (Err(Code::MessageSizeTooLarge), Some(value)) = (&sent, letter.value) {
            // Better a letter that says what is missing than a task that fails at a record which is to be passed over.
            let size = value.len().to_string();
            let headers = headers.insert(Header { key: "__millrace.errors.value.omitted", value: Some(&size) });
            tracing::warn!(task = %self.spec.id, record = letter.coordinates, size, topic = topic.name,
                "the value is too large for the dead letter topic and is left out; raise its max.message.bytes");
            sent = self.produce(topic, letter, None, headers).await;
        }
        self.metrics.dead_letter(sent.is_ok());
        let Err(code) = sent else { return Ok(()) };
        let message = format!("cannot produce a dead letter to the topic {}: {code}", topic.name);
        let error = match code {
            Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::MessageSizeTooLarge
            | Code::InvalidRecord
            | Code::UnknownTopicOrPartition => Error::bad_config(message),
            _ => Error::transient(message),
        };
        Err(Failure::at(Stage::DeadLetter, letter.coordinates.clone(), error))
    }

    async fn produce(
        &self,
        topic: &Topic,
        letter: &DeadLetter<'_>,
        value: Option<&[u8]>,
        headers: OwnedHeaders,
    ) -> Result<(), Code> {
        let record = Outgoing {
            topic: &topic.name,
            partition: None,
            timestamp_ms: letter.timestamp_ms,
            key: letter.key,
            value,
            headers: Some(headers),
        };
        let code = |error: rdkafka::error::KafkaError| error.rdkafka_error_code().unwrap_or(Code::Unknown);
        let mut deliveries = Deliveries::default();
        let sent = tokio::time::timeout(PATIENCE, deliveries.send(&topic.producer, record)).await;
        sent.map_err(|_| Code::QueueFull)?.map_err(code)?;
        deliveries.finished().await.into_iter().next().map_or(Ok(()), |(error, _)| Err(code(error)))
    }

    /// The record's own headers, and the cause.
    fn headers_of(&self, letter: &DeadLetter<'_>) -> OwnedHeaders {
        let mut headers = letter.headers.clone();
        if !self.headers {
            return headers;
        }
        let cause = letter.error.class().unwrap_or_else(|| exception_class(letter.error.kind())).to_owned();
        let own = [
            ("__connect.errors.topic", Some(letter.topic.to_owned())),
            ("__connect.errors.partition", letter.partition.map(|partition| partition.to_string())),
            ("__connect.errors.offset", letter.offset.map(|offset| offset.to_string())),
            ("__connect.errors.connector.name", Some(self.spec.id.connector.clone())),
            ("__connect.errors.task.id", Some(self.spec.id.index.to_string())),
            ("__connect.errors.stage", Some(letter.stage.connect_name().to_owned())),
            ("__connect.errors.class.name", Some(letter.class.to_owned())),
            ("__connect.errors.exception.class.name", Some(cause)),
            ("__connect.errors.exception.message", Some(letter.error.to_string())),
            ("__connect.errors.exception.stacktrace", Some(letter.error.chain())),
            ("__millrace.errors.kind", Some(letter.error.kind().name().to_owned())),
            ("__millrace.errors.attempt", Some(letter.attempts.to_string())),
            ("__millrace.errors.tenant", Some(self.spec.id.tenant.clone())),
            ("__millrace.errors.record", letter.offset.is_none().then(|| letter.coordinates.clone())),
            ("__millrace.errors.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ];
        for (key, value) in own.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers
    }
}

/// Connect's exception for this kind of error, for those who read its dead letters by class.
fn exception_class(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRecord => "org.apache.kafka.connect.errors.DataException",
        ErrorKind::Transient { .. } => "org.apache.kafka.connect.errors.RetriableException",
        _ => "org.apache.kafka.connect.errors.ConnectException",
    }
}
