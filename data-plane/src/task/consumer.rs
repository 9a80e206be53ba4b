//! The Kafka consumer of a sink task: its settings, its callbacks, and the bell that wakes the poll thread.
//!
//! Callbacks only take notes. A rebalance is carried out by the poll thread afterwards (`fetch`), since partitions must be
//! split off before they are assigned and revoked ones must be written out before they are given back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millrace_sdk::{Error, Flat, Result};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::fetch::retention::given_up;
use crate::framework::{SinkSettings, group_id, instance_id};
use crate::kafka::client::creation_error;
use crate::kafka::{ClientKind, ClientSettings};
use crate::model::TaskSpec;

/// A consumer whose callbacks take notes.
pub(super) type SinkConsumer = BaseConsumer<Notes>;

/// Wakes the poll thread.
#[derive(Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    heard: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *lock(&self.rung) = true;
        self.heard.notify_one();
    }

    /// Waits until it rings, or has rung since the last wait.
    pub(super) fn wait(&self, limit: Duration) {
        let rung = lock(&self.rung);
        let (mut rung, _) =
            self.heard.wait_timeout_while(rung, limit, |rung| !*rung).unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Topic, partition, and the offset of its end.
pub(super) type End = (String, i32, i64);

/// What librdkafka told.
pub(super) enum Note {
    /// Partitions to take
    Assign(Vec<(String, i32)>),
    /// Partitions to give back; lost ones belong to somebody else already
    Revoke { partitions: Vec<(String, i32)>, lost: bool },
    /// The answer to a commit
    Committed(KafkaResult<()>),
    /// From the statistics: the ends of partitions, and whether any broker is connected
    Statistics { ends: Vec<End>, connected: bool },
    /// Kafka no longer has the offset that was to be read next, and reading goes on elsewhere
    GivenUp { topic: String, partition: i32, offset: i64 },
    /// A partition cannot be read from where it was to be
    Refused(KafkaError),
    /// Something is wrong with the connection; librdkafka goes on trying
    Trouble {
        /// For the user
        text: String,
        /// Whether an earlier one says more
        vague: bool,
    },
}

/// The consumer's context.
pub(super) struct Notes {
    notes: Mutex<Vec<Note>>,
    /// Whether librdkafka has told anything, be it worth a note or not
    told: AtomicBool,
    /// Set while the consumer closes: nobody reads notes any more
    closing: AtomicBool,
    task: String,
}

impl Notes {
    pub(super) fn take(&self) -> Vec<Note> {
        std::mem::take(&mut *lock(&self.notes))
    }

    /// Whether anything was told since it was asked last: there may be more behind it.
    pub(super) fn was_told(&self) -> bool {
        self.told.swap(false, Ordering::AcqRel)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Takes a note that does not come from librdkafka.
    pub(super) fn add(&self, note: Note) {
        lock(&self.notes).push(note);
        self.told.store(true, Ordering::Release);
    }
}

impl ClientContext for Notes {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(task = self.task, ?level, facility, message, "librdkafka");
        if let Some((topic, partition, offset)) = given_up(facility, message) {
            self.add(Note::GivenUp { topic, partition, offset });
        }
        self.told.store(true, Ordering::Release);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        if let Some((ends, connected)) = digest(statistics) {
            self.add(Note::Statistics { ends, connected });
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        use rdkafka::types::RDKafkaErrorCode as Code;
        self.told.store(true, Ordering::Release);
        if let Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) = error.rdkafka_error_code() {
            return; // Kafka is reached; the look-up of topics says which is not there.
        }
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            return self.add(Note::Refused(error)); // no trouble with the connection
        }
        // "All brokers are down" comes last and says the least.
        let vague = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        self.add(Note::Trouble { text: trouble(&error, reason), vague });
    }
}

/// What a user reads of a connection error.
pub(super) fn trouble(error: &KafkaError, reason: &str) -> String {
    use rdkafka::types::RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::Authentication | Code::SaslAuthenticationFailed) => {
            format!("Kafka refuses the credentials (check sasl.* and security.protocol): {reason}")
        }
        Some(Code::Resolve) => format!("a host name of bootstrap.servers cannot be resolved: {reason}"),
        Some(Code::SSL) => format!("no TLS connection to Kafka (check ssl.truststore.certificates): {reason}"),
        _ if reason.contains("SSL alert") => {
            format!(
                "Kafka ends the TLS connection (check ssl.keystore.certificate.chain and ssl.keystore.key): {reason}"
            )
        }
        _ => format!("Kafka cannot be reached: {reason}"),
    }
}

impl ConsumerContext for Notes {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<(String, i32)> =
            list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        let is_assignment = matches!(err, RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS);
        if self.closing.load(Ordering::Acquire) {
            // Offsets are committed already; librdkafka only wants an answer, and the group waits for it.
            let answer =
                if is_assignment { take_over(consumer, &TopicPartitionList::new()) } else { give_back(consumer, list) };
            if let Err(error) = answer {
                tracing::debug!(task = self.task, %error, "a rebalance was not answered while the consumer closes");
            }
            return;
        }
        if is_assignment {
            self.add(Note::Assign(partitions));
        } else {
            self.add(Note::Revoke { partitions, lost: consumer.assignment_lost() });
        }
    }
}

/// Unassigns partitions as the protocol in use wants it.
pub(super) fn give_back(consumer: &SinkConsumer, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
        _ => consumer.unassign(),
    }
}

/// Assigns partitions as the protocol in use wants it.
pub(super) fn take_over(consumer: &SinkConsumer, list: &TopicPartitionList) -> KafkaResult<()> {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => consumer.incremental_assign(list),
        _ => consumer.assign(list),
    }
}

/// The end of each partition that the statistics know, and whether any broker is connected.
fn digest(statistics: &[u8]) -> Option<(Vec<End>, bool)> {
    #[derive(serde::Deserialize)]
    struct Statistics {
        #[serde(default)]
        brokers: std::collections::HashMap<String, Broker>,
        #[serde(default)]
        topics: std::collections::HashMap<String, Topic>,
    }
    #[derive(serde::Deserialize)]
    struct Broker {
        state: String,
    }
    #[derive(serde::Deserialize)]
    struct Topic {
        #[serde(default)]
        partitions: std::collections::HashMap<String, Partition>,
    }
    #[derive(serde::Deserialize)]
    struct Partition {
        partition: i32,
        ls_offset: i64,
    }
    let statistics: Statistics = serde_json::from_slice(statistics).ok()?;
    let connected = statistics.brokers.values().any(|broker| broker.state == "UP");
    let mut ends = Vec::new();
    for (name, topic) in statistics.topics {
        let known = topic.partitions.into_values().filter(|part| part.partition >= 0 && part.ls_offset >= 0);
        ends.extend(known.map(|part| (name.clone(), part.partition, part.ls_offset)));
    }
    Some((ends, connected))
}

/// How often librdkafka tells the ends of partitions, for the lag.
const STATISTICS_INTERVAL_MS: &str = "5000";

/// When librdkafka looks again at a partition whose queue was full. Its own default, a second, would let a partition run no
/// faster than its share of the budget per second.
const QUEUE_BACKOFF_MS: &str = "10";

/// The partitions per task that fetching in advance is laid out for at first.
pub(super) const USUAL_PARTITIONS: usize = 8;

/// The settings of a task's consumer, but for its shares of memory ([`with_memory`]).
pub(super) fn settings(spec: &TaskSpec, sink: &SinkSettings, config: &Flat) -> Result<ClientSettings> {
    Ok(ClientSettings::build(ClientKind::Consumer, &spec.tenant_settings, config)?
        .with_default("group.id", group_id(&spec.id.tenant, &spec.id.connector))
        .with_default("client.id", spec.id.client_id())
        .with_default("fetch.queue.backoff.ms", QUEUE_BACKOFF_MS)
        .with("group.instance.id", instance_id(&spec.id, &sink.topics, &sink.topics_regex))
        .with("statistics.interval.ms", STATISTICS_INTERVAL_MS))
}

/// Shares `budget` bytes for fetching in advance out among so many partitions. librdkafka asks for more as long as a partition's
/// queue is below its share, so what it holds is twice that: a share that is queued, and one that comes on top.
pub(super) fn with_memory(settings: &ClientSettings, budget: usize, partitions: usize) -> ClientSettings {
    let share = (budget / 2 / partitions.max(1)).clamp(16 * 1024, 8 * 1024 * 1024);
    let answer = (budget / 2).max(share).min(i32::MAX as usize / 2);
    settings
        .clone()
        .with_default("queued.max.messages.kbytes", (share / 1024).to_string())
        .with_default("fetch.message.max.bytes", share.to_string())
        .with_default("fetch.max.bytes", answer.to_string())
}

/// Creates the consumer. Blocks shortly: never call it on an async thread.
pub(super) fn create(settings: &ClientSettings, task: &str, bell: &Arc<Bell>) -> Result<Arc<SinkConsumer>, Error> {
    let context = Notes {
        notes: Mutex::default(),
        told: AtomicBool::new(false),
        closing: AtomicBool::new(false),
        task: task.to_owned(),
    };
    let mut consumer: SinkConsumer =
        settings.config().create_with_context(context).map_err(|error| creation_error("a Kafka consumer", error))?;
    let bell = Arc::clone(bell);
    consumer.set_nonempty_callback(move || bell.ring());
    Ok(Arc::new(consumer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_holds_stays_within_its_budget() {
        let tenant = Flat::from([("bootstrap.servers".to_owned(), "localhost:9092".to_owned())]);
        let plain = ClientSettings::build(ClientKind::Consumer, &tenant, &Flat::new()).expect("settings");
        for budget in [512 * 1024, 4 << 20, 16 << 20, 1 << 30] {
            for partitions in [1, 8, 13, 16] {
                let settings = with_memory(&plain, budget, partitions);
                let number = |name: &str| settings.property(name).and_then(|text| text.parse().ok()).unwrap_or(0_usize);
                let (queued, fetched) =
                    (number("queued.max.messages.kbytes") * 1024, number("fetch.message.max.bytes"));
                assert!(queued > 0 && partitions * (queued + fetched) <= budget, "{budget} for {partitions}");
                assert!(number("fetch.max.bytes") <= budget / 2);
            }
        }
        let mine = plain.with("queued.max.messages.kbytes", "7");
        assert_eq!(with_memory(&mine, 4 << 20, 8).property("queued.max.messages.kbytes"), Some("7"));
    }
}
