//! Everything that arrives in the topics of a run, whichever they are: topics appear as sources produce to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millrace_tests::server;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// How often new topics are looked for.
const LOOK: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(15);

/// A record's key and value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Arrived {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: usize,
}

type Seen = Arc<Mutex<BTreeMap<String, Vec<Arrived>>>>;

/// A thread that reads them all.
pub(crate) struct Topics {
    seen: Seen,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Topics {
    /// Of all topics whose names begin so.
    pub(crate) fn of(prefix: String) -> Self {
        let seen = Seen::default();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (seen, stop) = (Arc::clone(&seen), Arc::clone(&stop));
            std::thread::spawn(move || read(&prefix, &seen, &stop))
        };
        Self { seen, stop, thread: Some(thread) }
    }

    /// What is there by now, by the rest of the topics' names.
    pub(crate) fn seen(&self, prefix: &str) -> BTreeMap<String, Vec<Arrived>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = seen.iter().filter_map(|(topic, records)| Some((topic.strip_prefix(prefix)?, records)));
        ours.map(|(topic, records)| (topic.to_owned(), records.clone())).collect()
    }

    /// Whether some key or value contains a text.
    pub(crate) fn contains(&self, prefix: &str, text: &str) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let within = |bytes: &Option<Vec<u8>>| {
            bytes.as_ref().is_some_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
        };
        seen.iter()
            .filter(|(topic, _)| topic.starts_with(prefix))
            .any(|(_, records)| records.iter().any(|record| within(&record.key) || within(&record.value)))
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read(prefix: &str, seen: &Seen, stop: &AtomicBool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", server("KAFKA_BOOTSTRAP")).set("group.id", prefix);
    let consumer: BaseConsumer = config.set("enable.auto.commit", "false").create().expect("a consumer");
    let mut known = BTreeSet::new();
    let mut looked: Option<Instant> = None;
    while !stop.load(Ordering::Relaxed) {
        if looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            let metadata = consumer.fetch_metadata(None, LIMIT).expect("metadata");
            let mut list = TopicPartitionList::new();
            let topics = metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix));
            for topic in topics.filter(|topic| !topic.partitions().is_empty()) {
                if known.insert(topic.name().to_owned()) {
                    assert_eq!(topic.partitions().len(), 1, "{} must keep its order", topic.name());
                    list.add_partition_offset(topic.name(), 0, Offset::Beginning).expect("a partition");
                }
            }
            if list.count() > 0 {
                consumer.incremental_assign(&list).expect("assigned");
            }
            looked = Some(Instant::now());
        }
        while let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let bytes = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let headers = rdkafka::message::Headers::count;
            let arrived = Arrived {
                key: bytes(message.key()),
                value: bytes(message.payload()),
                headers: message.headers().map_or(0, headers),
            };
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(message.topic().to_owned()).or_default().push(arrived);
            drop(seen);
            if looked.is_some_and(|looked| looked.elapsed() >= LOOK) {
                break;
            }
        }
    }
}
