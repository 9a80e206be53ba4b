//! What happens to records that can never be converted or written: fail, skip, or keep them in a topic. A dead letter is
//! acknowledged by Kafka before its record counts as done.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use millrace_sdk::{Error, Result, TopicPartition};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::FutureRecord;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::batch::RawRecord;
use super::failure::{Failure, Stage};
use crate::framework::{SinkSettings, Tolerance};
use crate::kafka::{ClientKind, ClientSettings, Producers, SharedProducer, TopicOutcome, ensure_topic};
use crate::metrics::TaskMetrics;
use crate::model::TaskSpec;

/// A record that is given up.
pub(super) struct DeadLetter<'a> {
    pub(super) origin: &'a TopicPartition,
    pub(super) record: RawRecord<'a>,
    pub(super) stage: Stage,
    /// The Java class name of what failed, or ours
    pub(super) class: &'a str,
    pub(super) error: Error,
}

impl DeadLetter<'_> {
    fn coordinates(&self) -> String {
        format!("{}@{}", self.origin, self.record.offset)
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
        settings: &SinkSettings,
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
            let outcome =
                ensure_topic(&admin, name, 1, settings.dead_letter_replication, &[]).await.map_err(|error| {
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

    /// Gives records up, or says that the task must fail at the first of them. Cancel-safe: a record whose letter is sent
    /// twice is in the topic twice.
    pub(super) async fn give_up(&self, letters: Vec<DeadLetter<'_>>) -> Result<(), Failure> {
        let mut letters = letters;
        if let Some(first) = letters.iter().position(|letter| !self.passes_over(&letter.error)) {
            return Err(self.refuse(letters.swap_remove(first)));
        }
        for letter in &letters {
            self.record(letter);
        }
        let Some(topic) = &self.topic else { return Ok(()) };
        let count = letters.len() as u64;
        try_join_all(letters.iter().map(|letter| self.send(topic, letter))).await?;
        self.metrics.dead_letters(count);
        Ok(())
    }

    /// The failure of a task that tolerates nothing.
    pub(super) fn refuse(&self, letter: DeadLetter<'_>) -> Failure {
        self.record(&letter);
        Failure::at(letter.stage, letter.coordinates(), letter.error)
    }

    fn record(&self, letter: &DeadLetter<'_>) {
        self.metrics.errors(letter.stage.name(), letter.error.kind().name(), 1);
        if self.log {
            self.log(letter);
        }
    }

    fn log(&self, letter: &DeadLetter<'_>) {
        let record = letter.coordinates();
        let (stage, error) = (letter.stage.name(), letter.error.chain());
        if self.log_records {
            let text =
                |payload: Option<&bytes::Bytes>| payload.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            let (key, value) = (text(letter.record.key), text(letter.record.value));
            tracing::error!(task = %self.spec.id, record, stage, error, ?key, ?value, "record failed");
        } else {
            tracing::error!(task = %self.spec.id, record, stage, error, "record failed");
        }
    }

    async fn send(&self, topic: &Topic, letter: &DeadLetter<'_>) -> Result<(), Failure> {
        let raw = &letter.record;
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&topic.name).headers(self.headers_of(letter));
        if let Some(key) = raw.key {
            record = record.key(key);
        }
        if let Some(value) = raw.value {
            record = record.payload(value);
        }
        if let Some(timestamp) = raw.timestamp_ms {
            record = record.timestamp(timestamp);
        }
        // A full queue and an absent broker are waited for; only a refusal comes back.
        match topic.producer.send(record, rdkafka::util::Timeout::After(Duration::from_secs(24 * 3600))).await {
            Ok(_) => Ok(()),
            Err((error, _)) => {
                let message = format!("cannot produce a dead letter to the topic {}", topic.name);
                let error = match error.rdkafka_error_code() {
                    Some(
                        Code::TopicAuthorizationFailed
                        | Code::ClusterAuthorizationFailed
                        | Code::MessageSizeTooLarge
                        | Code::InvalidRecord
                        | Code::UnknownTopicOrPartition,
                    ) => Error::bad_config(message).because(error),
                    _ => Error::transient(message).because(error),
                };
                Err(Failure::at(Stage::DeadLetter, letter.coordinates(), error))
            }
        }
    }

    /// The record's own headers, and the cause.
    fn headers_of(&self, letter: &DeadLetter<'_>) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new();
        for (name, value) in letter.record.headers {
            headers = headers.insert(Header { key: name, value: value.as_deref() });
        }
        if !self.headers {
            return headers;
        }
        let message = letter.error.to_string();
        let kind = letter.error.kind().name();
        let cause = letter.error.class().map_or_else(|| format!("millrace.{kind}"), str::to_owned);
        let own = [
            ("__connect.errors.topic", letter.origin.topic.to_string()),
            ("__connect.errors.partition", letter.origin.partition.to_string()),
            ("__connect.errors.offset", letter.record.offset.to_string()),
            ("__connect.errors.connector.name", self.spec.id.connector.clone()),
            ("__connect.errors.task.id", self.spec.id.index.to_string()),
            ("__connect.errors.stage", letter.stage.connect_name().to_owned()),
            ("__connect.errors.class.name", letter.class.to_owned()),
            ("__connect.errors.exception.class.name", cause),
            ("__connect.errors.exception.message", message),
            ("__connect.errors.exception.stacktrace", letter.error.chain()),
            ("__millrace.errors.kind", kind.to_owned()),
            ("__millrace.errors.tenant", self.spec.id.tenant.clone()),
            ("__millrace.errors.version", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        for (key, value) in &own {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers
    }
}
