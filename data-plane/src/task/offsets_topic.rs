//! A tenant's source positions in their compacted Kafka topic, byte for byte as Kafka Connect keeps them: the key is
//! `["connector",{partition}]`, the value `{offset}`, a tombstone means "forgotten". A connector that moves over from Kafka
//! Connect with its offsets topic goes on where it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use millrace_sdk::{Error, Flat, Position, Positions, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::FutureRecord;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;
use serde_json::{Map, Value as Json};

use crate::framework;
use crate::kafka::client::creation_error;
use crate::kafka::{ClientKind, ClientSettings, Producers, SharedProducer, ensure_topic};
use crate::model::TaskSpec;

/// Partitions of a new topic, as in Kafka Connect.
const PARTITIONS: i32 = 25;
/// The broker's default.
const REPLICATION: i32 = -1;
const METADATA_LIMIT: Duration = Duration::from_secs(10);
/// Reading stops with an error when nothing comes for this long.
const READ_PATIENCE: Duration = Duration::from_secs(30);
/// How long new positions may wait for their acknowledgement.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// The positions of one connector.
pub struct OffsetsTopic {
    topic: String,
    connector: String,
    producer: SharedProducer,
    /// The exact keys that are in the topic, by source partition: another spelling of the same JSON would be another key
    keys: BTreeMap<String, Vec<u8>>,
}

/// The key of a source partition.
///
/// # Errors
/// `Internal` when it cannot be written as JSON.
pub fn key_of(connector: &str, partition: &Map<String, Json>) -> Result<Vec<u8>> {
    serde_json::to_vec(&(connector, partition))
        .map_err(|error| Error::internal("cannot write a source partition as JSON").because(error))
}

/// The connector and the source partition of a key; None for what is no such key.
#[must_use]
pub fn parse_key(key: &[u8]) -> Option<(String, Map<String, Json>)> {
    serde_json::from_slice(key).ok()
}

impl OffsetsTopic {
    /// Sees to it that the topic exists, and reads it to its end.
    ///
    /// # Errors
    /// `Transient` when Kafka does not answer, `BadConfig` when it refuses.
    pub async fn open(spec: &TaskSpec, producers: &Producers) -> Result<(Self, Positions)> {
        let tenant = &spec.tenant_settings;
        let topic = framework::offsets_topic(&spec.id.tenant, tenant);
        // As in Kafka Connect the worker's own clients keep the offsets: a connector's overrides do not reach them.
        let none = Flat::new();
        let consumer = ClientSettings::build(ClientKind::Consumer, tenant, &none)?
            .with("group.id", format!("millrace-offsets-{}", uuid::Uuid::new_v4()))
            .with("isolation.level", "read_committed")
            .with("enable.partition.eof", "true");
        let producer = producers.producer(&ClientSettings::build(ClientKind::Producer, tenant, &none)?)?;
        let stop = Arc::new(StopOnDrop(AtomicBool::new(false)));
        let existing = partitions(&consumer, &topic).await?;
        if existing.is_none() {
            create(&topic, tenant).await?;
        }
        let partitions = match existing {
            Some(partitions) => partitions,
            None => appeared(&consumer, &topic).await?,
        };
        let guard = Guard(Arc::clone(&stop));
        let (name, connector) = (topic.clone(), spec.id.connector.clone());
        let read = tokio::task::spawn_blocking(move || read(&consumer, &name, partitions, &connector, &stop.0));
        let entries =
            read.await.map_err(|error| Error::internal("reading the offsets topic ended").because(error))??;
        drop(guard);
        let mut keys = BTreeMap::new();
        let mut positions = Vec::new();
        for (canonical, (key, position)) in entries {
            keys.insert(canonical, key);
            positions.push(position);
        }
        Ok((Self { topic, connector: spec.id.connector.clone(), producer, keys }, Positions(positions)))
    }

    /// Stores positions; `Ok` when Kafka has acknowledged all of them.
    ///
    /// # Errors
    /// `Transient` when it has not in time, `BadConfig` when it refuses.
    pub async fn store(&self, positions: &[Position]) -> Result<()> {
        let sends = positions.iter().map(|position| async move {
            let canonical = canonical(&position.partition);
            let key = match self.keys.get(&canonical) {
                Some(key) => key.clone(),
                None => key_of(&self.connector, &position.partition)?,
            };
            let value = serde_json::to_vec(&position.offset)
                .map_err(|error| Error::internal("cannot write a source offset as JSON").because(error))?;
            let record = FutureRecord::to(&self.topic).key(&key).payload(&value);
            let sent = self.producer.send(record, WRITE_LIMIT).await;
            sent.map(drop).map_err(|(error, _)| self.refused(error))
        });
        match tokio::time::timeout(WRITE_LIMIT, try_join_all(sends)).await {
            Ok(stored) => stored.map(drop),
            Err(_) => Err(Error::transient(format!(
                "the offsets topic {} did not take the positions within {} s",
                self.topic,
                WRITE_LIMIT.as_secs()
            ))),
        }
    }

    fn refused(&self, error: KafkaError) -> Error {
        let message = format!("cannot store positions in the offsets topic {}", self.topic);
        match error.rdkafka_error_code() {
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                Error::bad_config(format!("{message}: grant WRITE to the tenant's Kafka user")).because(error)
            }
            _ => Error::transient(message).because(error),
        }
    }
}

/// Ends a blocking read when nobody waits for it any more.
struct StopOnDrop(AtomicBool);

struct Guard(Arc<StopOnDrop>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// One spelling for all spellings of a source partition.
fn canonical(partition: &Map<String, Json>) -> String {
    let sorted: BTreeMap<&String, &Json> = partition.iter().collect();
    serde_json::to_string(&sorted).unwrap_or_default()
}

async fn create(topic: &str, tenant: &Flat) -> Result<()> {
    let number = |key: &str, default: i32| match tenant.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| Error::bad_config(format!("{key} is no number: {text}"))),
    };
    let partitions = number("offset.storage.partitions", PARTITIONS)?;
    let replication = number("offset.storage.replication.factor", REPLICATION)?;
    let admin = ClientSettings::build(ClientKind::Admin, tenant, &Flat::new())?;
    let outcome = ensure_topic(&admin, topic, partitions, replication, &[("cleanup.policy", "compact")]).await?;
    tracing::info!(topic, ?outcome, "offsets topic");
    Ok(())
}

/// The topic's partitions; None when there is no such topic.
async fn partitions(settings: &ClientSettings, topic: &str) -> Result<Option<Vec<i32>>> {
    let (settings, topic) = (settings.clone(), topic.to_owned());
    let look = move || -> Result<Option<Vec<i32>>> {
        let consumer: BaseConsumer<Quiet> =
            settings.config().create_with_context(Quiet).map_err(|error| creation_error("a Kafka consumer", error))?;
        let metadata = consumer.fetch_metadata(Some(&topic), METADATA_LIMIT).map_err(|error| {
            Error::transient(format!("cannot look for the offsets topic {topic}: Kafka does not answer")).because(error)
        })?;
        let partitions = metadata.topics().first().filter(|found| found.error().is_none());
        let partitions = partitions.map(|found| found.partitions().iter().map(|one| one.id()).collect::<Vec<_>>());
        Ok(partitions.filter(|partitions| !partitions.is_empty()))
    };
    tokio::task::spawn_blocking(look)
        .await
        .map_err(|error| Error::internal("looking for the offsets topic ended").because(error))?
}

/// The partitions of a topic that was just created: the brokers hear of it one by one.
async fn appeared(settings: &ClientSettings, topic: &str) -> Result<Vec<i32>> {
    let until = Instant::now() + METADATA_LIMIT;
    loop {
        if let Some(partitions) = partitions(settings, topic).await? {
            return Ok(partitions);
        }
        if Instant::now() >= until {
            return Err(Error::transient(format!("the offsets topic {topic} was created but does not appear")));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What librdkafka says comes back from the calls, and the end of a partition is no error here.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

type Entries = BTreeMap<String, (Vec<u8>, Position)>;

/// Reads every partition to its end; keeps what belongs to the connector. Blocking.
fn read(
    settings: &ClientSettings,
    topic: &str,
    partitions: Vec<i32>,
    connector: &str,
    stop: &AtomicBool,
) -> Result<Entries> {
    let consumer: BaseConsumer<Quiet> =
        settings.config().create_with_context(Quiet).map_err(|error| creation_error("a Kafka consumer", error))?;
    let failed = |error: KafkaError| Error::transient(format!("cannot read the offsets topic {topic}")).because(error);
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed)?;
    }
    consumer.assign(&list).map_err(failed)?;
    let mut open: std::collections::BTreeSet<i32> = partitions.into_iter().collect();
    let mut entries = Entries::new();
    let mut heard = Instant::now();
    while !open.is_empty() && !stop.load(Ordering::Relaxed) {
        match consumer.poll(Duration::from_millis(100)) {
            None if heard.elapsed() > READ_PATIENCE => {
                return Err(Error::transient(format!(
                    "the offsets topic {topic} could not be read to its end: nothing came for {} s",
                    READ_PATIENCE.as_secs()
                )));
            }
            None => continue,
            Some(Ok(message)) => take(&mut entries, connector, message.key(), message.payload()),
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                open.remove(&partition);
            }
            Some(Err(error)) if is_fatal(&error) => {
                return Err(Error::bad_config(format!("not allowed to read the offsets topic {topic}")).because(error));
            }
            Some(Err(error)) => {
                tracing::debug!(topic, %error, "reading offsets");
                continue;
            }
        }
        heard = Instant::now();
    }
    Ok(entries)
}

fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::Authentication)
    )
}

fn take(entries: &mut Entries, connector: &str, key: Option<&[u8]>, value: Option<&[u8]>) {
    let Some(key) = key else { return };
    let Some((_, partition)) = parse_key(key).filter(|(owner, _)| owner == connector) else { return };
    let canonical = canonical(&partition);
    match value.map(serde_json::from_slice::<Option<Map<String, Json>>>) {
        Some(Ok(Some(offset))) => {
            entries.insert(canonical, (key.to_vec(), Position { partition, offset }));
        }
        None | Some(Ok(None)) => {
            entries.remove(&canonical);
        }
        Some(Err(error)) => tracing::warn!(connector, %error, "ignoring a stored position that is no JSON object"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Json) -> Map<String, Json> {
        value.as_object().cloned().unwrap_or_default()
    }

    /// What a Kafka Connect 4.3.1 worker wrote for a FileStreamSource named "my file".
    const CONNECT_KEY: &[u8] = "[\"my file\",{\"filename\":\"/data/ä in.txt\"}]".as_bytes();
    const CONNECT_VALUE: &[u8] = b"{\"position\":4}";

    #[test]
    fn keys_and_values_are_connects_own_bytes() {
        let partition = object(json!({ "filename": "/data/ä in.txt" }));
        assert_eq!(key_of("my file", &partition).unwrap(), CONNECT_KEY);
        assert_eq!(serde_json::to_vec(&object(json!({ "position": 4_i64 }))).unwrap(), CONNECT_VALUE);
        let mut entries = Entries::new();
        take(&mut entries, "my file", Some(CONNECT_KEY), Some(CONNECT_VALUE));
        let (key, position) = entries.into_values().next().unwrap();
        assert_eq!((key.as_slice(), &position.partition), (CONNECT_KEY, &partition));
        assert_eq!(position.offset["position"], 4);
        assert_eq!(parse_key(b"\"connector\""), None);
        assert_eq!(parse_key(b"{not json"), None);
    }

    #[test]
    fn the_newest_position_counts_and_a_tombstone_forgets() {
        let mut entries = Entries::new();
        let key = |name: &str| key_of("c", &object(json!({ "p": name }))).unwrap();
        take(&mut entries, "c", Some(&key("a")), Some(b"{\"n\":1}"));
        take(&mut entries, "c", Some(&key("a")), Some(b"{\"n\":2}"));
        take(&mut entries, "c", Some(&key("b")), Some(b"{\"n\":1}"));
        take(&mut entries, "c", Some(&key("b")), None);
        take(&mut entries, "c", Some(b"[\"other\",{\"p\":\"x\"}]"), Some(b"{\"n\":9}"));
        take(&mut entries, "c", Some(&key("d")), Some(b"oops"));
        take(&mut entries, "c", None, Some(b"{}"));
        let left: Vec<_> = entries.into_values().map(|(_, position)| position.offset).collect();
        assert_eq!(left, [object(json!({ "n": 2 }))]);
    }

    #[test]
    fn another_spelling_of_a_partition_is_the_same_partition() {
        let mut entries = Entries::new();
        take(&mut entries, "c", Some(b"[\"c\",{\"b\":1,\"a\":2}]"), Some(b"{\"n\":1}"));
        take(&mut entries, "c", Some(b"[\"c\", {\"a\": 2, \"b\": 1}]"), Some(b"{\"n\":2}"));
        assert_eq!(entries.len(), 1);
    }
}
