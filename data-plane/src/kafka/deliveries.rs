//! Records on their way to Kafka, and what became of them. A batch has one count of answers: a channel for each record, as
//! librdkafka's wrapper has it, cost a source an eighth of its time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

/// Until a full queue is looked at again.
const QUEUE_PAUSE: Duration = Duration::from_millis(10);

/// A producer whose answers are counted.
pub type Producer = ThreadedProducer<Counting>;

/// Hears the answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counting;

impl ClientContext for Counting {}

impl ProducerContext for Counting {
    type DeliveryOpaque = Arc<Answers<OfLibrary>>;

    fn delivery(&self, result: &DeliveryResult<'_>, answers: Arc<Answers<OfLibrary>>) {
        if let Err((error, message)) = result {
            answers.refuse((error.clone(), message.detach()));
        } else {
            answers.count(1);
        }
    }
}

/// A record that librdkafka did not bring to Kafka.
pub type OfLibrary = (KafkaError, OwnedMessage);

/// What Kafka has said of some records so far; `R` is one that it does not have.
#[derive(Debug)]
pub struct Answers<R> {
    count: AtomicUsize,
    /// How many there will be, once that is known
    expected: AtomicUsize,
    refused: Mutex<Vec<R>>,
    complete: Notify,
}

impl<R> Answers<R> {
    /// Kafka has so many more.
    // Either the one who counts the last answer sees how many are expected, or the one who says so sees the last answer.
    pub(super) fn count(&self, more: usize) {
        if self.count.fetch_add(more, Ordering::SeqCst) + more == self.expected.load(Ordering::SeqCst) {
            self.complete.notify_one();
        }
    }

    /// Kafka does not take one.
    pub(super) fn refuse(&self, record: R) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(record);
        self.count(1);
    }
}

/// A record to be sent.
#[derive(Debug, Default)]
pub struct Outgoing<'a> {
    /// Where to
    pub topic: &'a str,
    /// None leaves it to the producer
    pub partition: Option<i32>,
    /// None is now
    pub timestamp_ms: Option<i64>,
    /// The key
    pub key: Option<&'a [u8]>,
    /// None is a tombstone
    pub value: Option<&'a [u8]>,
    /// None without headers
    pub headers: Option<OwnedHeaders>,
}

/// Records that a producer has taken.
#[derive(Debug)]
pub struct Deliveries<R = OfLibrary> {
    answers: Arc<Answers<R>>,
    sent: usize,
}

impl<R> Default for Deliveries<R> {
    fn default() -> Self {
        let answers = Answers {
            count: AtomicUsize::new(0),
            expected: AtomicUsize::new(usize::MAX),
            refused: Mutex::default(),
            complete: Notify::new(),
        };
        Self { answers: Arc::new(answers), sent: 0 }
    }
}

impl Deliveries {
    /// Hands a record to the producer, which copies it; waits while the producer's queue is full.
    ///
    /// # Errors
    /// What the producer says at once; the record is not sent then.
    pub async fn send(&mut self, producer: &Producer, record: Outgoing<'_>) -> Result<(), KafkaError> {
        let Outgoing { topic, partition, timestamp_ms, key, value, headers } = record;
        let mut record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, Arc::clone(&self.answers));
        (record.partition, record.timestamp, record.headers) = (partition, timestamp_ms, headers);
        (record.key, record.payload) = (key, value);
        loop {
            match producer.send(record) {
                Ok(()) => {
                    self.sent += 1;
                    return Ok(());
                }
                Err((error, back)) if error.rdkafka_error_code() == Some(Code::QueueFull) => record = back,
                Err((error, _)) => return Err(error),
            }
            tokio::time::sleep(QUEUE_PAUSE).await;
        }
    }
}

impl<R> Deliveries<R> {
    /// One more is on its way; who hears of it.
    pub(super) fn add(&mut self) -> &Arc<Answers<R>> {
        self.sent += 1;
        &self.answers
    }

    /// One that was added is not on its way after all.
    pub(super) fn take_back(&mut self) {
        self.sent -= 1;
    }

    /// How many were sent.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Waits for all answers; what Kafka did not take. The producer must live until then.
    pub async fn finished(self) -> Vec<R> {
        self.answers.expected.store(self.sent, Ordering::SeqCst);
        while self.answers.count.load(Ordering::SeqCst) < self.sent {
            self.answers.complete.notified().await;
        }
        std::mem::take(&mut *self.answers.refused.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_comes_last_the_end_is_seen() {
        assert!(Deliveries::<OfLibrary>::default().finished().await.is_empty());
        for _ in 0..2000 {
            let deliveries = Deliveries::<OfLibrary> { sent: 3, ..Deliveries::default() };
            let answers = Arc::clone(&deliveries.answers);
            let counting = tokio::task::spawn_blocking(move || (0..3).for_each(|_| answers.count(1)));
            assert!(deliveries.finished().await.is_empty());
            counting.await.unwrap();
        }
    }

    #[tokio::test]
    async fn records_that_a_producer_drops_are_refused() {
        let mut config = rdkafka::ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1").set("queue.buffering.max.messages", "2");
        config.set("log_level", "0").set("message.timeout.ms", "60000");
        let producer: Producer = config.create_with_context(Counting).unwrap();
        let mut deliveries = Deliveries::default();
        for value in [b"one", b"two"] {
            let record = Outgoing { topic: "t", value: Some(value), ..Outgoing::default() };
            deliveries.send(&producer, record).await.unwrap();
        }
        let third = deliveries.send(&producer, Outgoing { topic: "t", ..Outgoing::default() });
        assert!(tokio::time::timeout(Duration::from_millis(50), third).await.is_err(), "its queue is full");
        assert_eq!(deliveries.sent(), 2);
        tokio::task::spawn_blocking(move || drop(producer)).await.unwrap();
        let refused = deliveries.finished().await;
        assert_eq!(refused.len(), 2, "{refused:?}");
    }
}
