//! A tenant's source positions in their compacted Kafka topic, byte for byte as Kafka Connect keeps them: the key is
//! `["connector",{partition}]`, the value `{offset}`, a tombstone means "forgotten". A connector that moves over from Kafka
//! Connect with its offsets topic goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace_sdk::{Error, Flat, Position, Positions, Result};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::framework::{self, NewTopicSettings};
use crate::kafka::client::creation_error;
use crate::kafka::{self, ClientKind, ClientSettings, Deliveries, Outgoing, Quiet, SharedProducer, ensure_topic};
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

/// Key and value of a record of the topic; no value = a tombstone.
type KeyValue = (Vec<u8>, Option<Vec<u8>>);

/// The owner of the keys that say which set of tasks may write, see [`SetRecord`]. No connector of a user has this name.
const SETS: &str = "millrace.tasks";
/// How long the transactions that were open when reading began are waited for: longer than Kafka lets one be open.
const SETTLE_LIMIT: Duration = Duration::from_secs(90);

/// The positions of one connector.
pub struct OffsetsTopic {
    topic: String,
    connector: String,
    /// How it is read
    consumer: ClientSettings,
    partitions: Vec<i32>,
    /// The exact keys that are in the topic, by source partition: another spelling of the same JSON would be another key
    keys: BTreeMap<String, Vec<u8>>,
}

/// The set of tasks that runs exactly once, stored once the tasks of the set before it are fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetRecord {
    /// The set's revision, never used twice for a connector's name
    pub set: i64,
    /// How many tasks it has
    pub tasks: u32,
}

/// What the topic holds of a connector.
#[derive(Debug, Default)]
pub struct Stored {
    /// Its positions
    pub positions: Positions,
    /// The set of tasks that runs exactly once, if any
    pub set: Option<SetRecord>,
    /// Whether that was stored before the reading of the positions began
    pub set_is_settled: bool,
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

/// The key of a connector's [`SetRecord`].
fn set_key(connector: &str) -> Result<Vec<u8>> {
    let mut partition = Map::new();
    partition.insert("connector".to_owned(), Json::String(connector.to_owned()));
    key_of(SETS, &partition)
}

impl OffsetsTopic {
    /// The connector's own topic, if it has one, or the tenant's. It exists afterwards. `overrides` are the connector's keys
    /// where its own client settings count.
    ///
    /// # Errors
    /// `Transient` when Kafka does not answer, `BadConfig` when it refuses.
    pub async fn open(spec: &TaskSpec, own: Option<&str>, overrides: &Flat) -> Result<Self> {
        let tenant = &spec.tenant_settings;
        let topic = own.map_or_else(|| framework::offsets_topic(&spec.id.tenant, tenant), str::to_owned);
        let consumer = ClientSettings::build(ClientKind::Consumer, tenant, overrides)?
            .with("group.id", format!("millrace-offsets-{}", uuid::Uuid::new_v4()))
            .with("isolation.level", "read_committed")
            .with("enable.partition.eof", "true");
        let partitions = match kafka::partitions(&consumer, &topic).await? {
            Some(partitions) => partitions,
            None => {
                create(&topic, tenant, overrides).await?;
                kafka::appeared(&consumer, &topic).await?
            }
        };
        Ok(Self { topic, connector: spec.id.connector.clone(), consumer, partitions, keys: BTreeMap::new() })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.topic
    }

    /// Reads the topic to its end. `settled` waits for the transactions that are open now, whosoever they are: what they
    /// hide may be this connector's.
    ///
    /// # Errors
    /// `Transient` when Kafka does not answer, `BadConfig` when it refuses.
    pub async fn read(&mut self, settled: bool) -> Result<Stored> {
        let stop = Arc::new(StopOnDrop(AtomicBool::new(false)));
        let guard = Guard(Arc::clone(&stop));
        let reader = Reader {
            settings: self.consumer.clone(),
            topic: self.topic.clone(),
            partitions: self.partitions.clone(),
            connector: self.connector.clone(),
        };
        let read = tokio::task::spawn_blocking(move || reader.read(settled, &stop.0));
        let entries =
            read.await.map_err(|error| Error::internal("reading the offsets topic ended").because(error))??;
        drop(guard);
        let mut positions = Vec::new();
        for (canonical, (key, position)) in entries.positions {
            self.keys.insert(canonical, key);
            positions.push(position);
        }
        let (set, set_is_settled) = entries.set.map_or((None, false), |(set, settled)| (Some(set), settled));
        Ok(Stored { positions: Positions(positions), set, set_is_settled })
    }

    /// Positions as records of the topic: key, and value or None for what is forgotten.
    ///
    /// # Errors
    /// `Internal` when they cannot be written as JSON.
    pub fn records(&self, positions: &[Position]) -> Result<Vec<KeyValue>> {
        let record = |position: &Position| {
            let key = match self.keys.get(&canonical(&position.partition)) {
                Some(key) => key.clone(),
                None => key_of(&self.connector, &position.partition)?,
            };
            let value = if position.offset.is_empty() { None } else { Some(json(&position.offset)?) };
            Ok((key, value))
        };
        positions.iter().map(record).collect()
    }

    /// The record of a set.
    ///
    /// # Errors
    /// `Internal` when it cannot be written as JSON.
    pub fn set_record(&self, set: SetRecord) -> Result<(Vec<u8>, Vec<u8>)> {
        Ok((set_key(&self.connector)?, json(&set)?))
    }

    /// Stores positions; `Ok` when Kafka has acknowledged all of them.
    ///
    /// # Errors
    /// `Transient` when it has not in time, `BadConfig` when it refuses.
    pub async fn store(&self, producer: &SharedProducer, positions: &[Position]) -> Result<()> {
        let records = self.records(positions)?;
        let all = async {
            let mut deliveries = Deliveries::default();
            for (key, value) in &records {
                let (key, value) = (Some(key.as_ref()), value.as_deref());
                let record = Outgoing { topic: &self.topic, key, value, ..Outgoing::default() };
                deliveries.send(producer, record).await.map_err(|error| self.refused(error))?;
            }
            let refused = deliveries.finished().await.into_iter().next();
            refused.map_or(Ok(()), |(error, _)| Err(self.refused(error)))
        };
        match tokio::time::timeout(WRITE_LIMIT, all).await {
            Ok(stored) => stored,
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

async fn create(topic: &str, tenant: &Flat, overrides: &Flat) -> Result<()> {
    let number = |key: &str, default: i32| match tenant.get(key) {
        None => Ok(default),
        Some(text) => text.trim().parse().map_err(|_| Error::bad_config(format!("{key} is no number: {text}"))),
    };
    let partitions = number("offset.storage.partitions", PARTITIONS)?;
    let replication = number("offset.storage.replication.factor", REPLICATION)?;
    let admin = ClientSettings::build(ClientKind::Admin, tenant, overrides)?;
    let settings = BTreeMap::from([("cleanup.policy".to_owned(), "compact".to_owned())]);
    let new = NewTopicSettings { prefix: "offset.storage.".to_owned(), partitions, replication, settings };
    let outcome = ensure_topic(&admin, topic, &new).await?;
    tracing::info!(topic, ?outcome, "offsets topic");
    Ok(())
}

/// What was read.
#[derive(Default)]
struct Entries {
    positions: BTreeMap<String, (Vec<u8>, Position)>,
    /// With whether it was there when reading began
    set: Option<(SetRecord, bool)>,
}

/// Reads the topic. Blocking.
struct Reader {
    settings: ClientSettings,
    topic: String,
    partitions: Vec<i32>,
    connector: String,
}

impl Reader {
    /// Reads every partition to its end; keeps what belongs to the connector.
    fn read(&self, settled: bool, stop: &AtomicBool) -> Result<Entries> {
        let ends = if settled { self.settle(stop)? } else { BTreeMap::new() };
        let consumer = consumer(&self.settings)?;
        let mut list = TopicPartitionList::new();
        for partition in &self.partitions {
            list.add_partition_offset(&self.topic, *partition, Offset::Beginning).map_err(|e| self.failed(e))?;
        }
        consumer.assign(&list).map_err(|error| self.failed(error))?;
        let mut open: BTreeSet<i32> = self.partitions.iter().copied().collect();
        let mut entries = Entries::default();
        let mut heard = Instant::now();
        while !open.is_empty() && !stop.load(Ordering::Relaxed) {
            match consumer.poll(Duration::from_millis(100)) {
                None if heard.elapsed() > READ_PATIENCE => {
                    return Err(Error::transient(format!(
                        "the offsets topic {} could not be read to its end: nothing came for {} s",
                        self.topic,
                        READ_PATIENCE.as_secs()
                    )));
                }
                None => continue,
                Some(Ok(message)) => {
                    let known = ends.get(&message.partition()).is_some_and(|end| message.offset() < *end);
                    take(&mut entries, &self.connector, message.key(), message.payload(), known);
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    open.remove(&partition);
                }
                Some(Err(error)) if is_fatal(&error) => {
                    let message = format!("not allowed to read the offsets topic {}", self.topic);
                    return Err(Error::bad_config(message).because(error));
                }
                Some(Err(error)) => {
                    tracing::debug!(topic = self.topic, %error, "reading offsets");
                    continue;
                }
            }
            heard = Instant::now();
        }
        Ok(entries)
    }

    /// Waits until all that is in the topic now can be read: committed or aborted. Answers where that ends.
    #[expect(clippy::disallowed_methods, reason = "a thread of the blocking pool waits for the broker")]
    fn settle(&self, stop: &AtomicBool) -> Result<BTreeMap<i32, i64>> {
        let all = consumer(&self.settings.clone().with("isolation.level", "read_uncommitted"))?;
        let committed = consumer(&self.settings)?;
        let end = |consumer: &BaseConsumer<Quiet>, partition: i32| {
            let watermarks = consumer.fetch_watermarks(&self.topic, partition, METADATA_LIMIT);
            watermarks.map(|(_, high)| high).map_err(|error| self.failed(error))
        };
        let mut ends = BTreeMap::new();
        for partition in &self.partitions {
            ends.insert(*partition, end(&all, *partition)?);
        }
        let began = Instant::now();
        for (partition, target) in &ends {
            while end(&committed, *partition)? < *target && !stop.load(Ordering::Relaxed) {
                if began.elapsed() > SETTLE_LIMIT {
                    return Err(Error::transient(format!(
                        "a transaction stays open in partition {partition} of the offsets topic {}",
                        self.topic
                    )));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(ends)
    }

    fn failed(&self, error: KafkaError) -> Error {
        Error::transient(format!("cannot read the offsets topic {}", self.topic)).because(error)
    }
}

fn consumer(settings: &ClientSettings) -> Result<BaseConsumer<Quiet>> {
    settings.config().create_with_context(Quiet).map_err(|error| creation_error("a Kafka consumer", error))
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::internal("cannot write a source offset as JSON").because(error))
}

fn is_fatal(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::Authentication)
    )
}

/// `known` is whether the record was there when reading began.
fn take(entries: &mut Entries, connector: &str, key: Option<&[u8]>, value: Option<&[u8]>, known: bool) {
    let Some(key) = key else { return };
    let Some((owner, partition)) = parse_key(key) else { return };
    if owner == SETS && partition.get("connector").and_then(Json::as_str) == Some(connector) {
        entries.set = value.and_then(|value| serde_json::from_slice(value).ok()).map(|set| (set, known));
    }
    if owner != connector {
        return;
    }
    let canonical = canonical(&partition);
    match value.map(serde_json::from_slice::<Option<Map<String, Json>>>) {
        Some(Ok(Some(offset))) => {
            entries.positions.insert(canonical, (key.to_vec(), Position { partition, offset }));
        }
        None | Some(Ok(None)) => {
            entries.positions.remove(&canonical);
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
        let mut entries = Entries::default();
        take(&mut entries, "my file", Some(CONNECT_KEY), Some(CONNECT_VALUE), false);
        let (key, position) = entries.positions.into_values().next().unwrap();
        assert_eq!((key.as_slice(), &position.partition), (CONNECT_KEY, &partition));
        assert_eq!(position.offset["position"], 4);
        assert_eq!(parse_key(b"\"connector\""), None);
        assert_eq!(parse_key(b"{not json"), None);
    }

    #[test]
    fn the_newest_position_counts_and_a_tombstone_forgets() {
        let mut entries = Entries::default();
        let key = |name: &str| key_of("c", &object(json!({ "p": name }))).unwrap();
        take(&mut entries, "c", Some(&key("a")), Some(b"{\"n\":1}"), false);
        take(&mut entries, "c", Some(&key("a")), Some(b"{\"n\":2}"), false);
        take(&mut entries, "c", Some(&key("b")), Some(b"{\"n\":1}"), false);
        take(&mut entries, "c", Some(&key("b")), None, false);
        take(&mut entries, "c", Some(b"[\"other\",{\"p\":\"x\"}]"), Some(b"{\"n\":9}"), false);
        take(&mut entries, "c", Some(&key("d")), Some(b"oops"), false);
        take(&mut entries, "c", None, Some(b"{}"), false);
        let left: Vec<_> = entries.positions.into_values().map(|(_, position)| position.offset).collect();
        assert_eq!(left, [object(json!({ "n": 2 }))]);
    }

    #[test]
    fn another_spelling_of_a_partition_is_the_same_partition() {
        let mut entries = Entries::default();
        take(&mut entries, "c", Some(b"[\"c\",{\"b\":1,\"a\":2}]"), Some(b"{\"n\":1}"), false);
        take(&mut entries, "c", Some(b"[\"c\", {\"a\": 2, \"b\": 1}]"), Some(b"{\"n\":2}"), false);
        assert_eq!(entries.positions.len(), 1);
    }

    #[test]
    fn the_set_of_tasks_is_told_from_positions() {
        let mut entries = Entries::default();
        let key = set_key("c").unwrap();
        assert_eq!(String::from_utf8(key.clone()).unwrap(), r#"["millrace.tasks",{"connector":"c"}]"#);
        let value = json(&SetRecord { set: 7, tasks: 3 }).unwrap();
        take(&mut entries, "c", Some(&key), Some(&value), true);
        take(&mut entries, "c", Some(&set_key("other").unwrap()), Some(b"{\"set\":9,\"tasks\":1}"), true);
        assert_eq!(entries.set, Some((SetRecord { set: 7, tasks: 3 }, true)));
        assert!(entries.positions.is_empty());
    }
}
