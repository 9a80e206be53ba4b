//! From a source's batch to records in the producer's batches, and what became of them.

use std::future::Future;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_sdk::{Error, Position, Result, SourceBatch};

use super::lost::{Lost, LostRecord};
use super::produce::{Encoded, Output, PRODUCER, bad_record, refused, too_large, unsent};
use crate::kafka::{ClientSettings, Deliveries, DirectProducer, Refusal, Refused};
use crate::task::{Failure, Life, Stage};

/// What the status calls trouble with writing.
const SUBJECT: &str = "produce";

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
    pub(super) lost: Vec<Lost>,
    pub(super) positions: Vec<Position>,
}

/// Bytes on their way to Kafka at the most, plus one batch, unless the user says otherwise.
const BUFFER_KIB: usize = 16 * 1024;

/// Hands batches to the producer of a task.
pub(super) struct Sender {
    producer: DirectProducer,
    /// `buffer.memory`
    pub(super) buffer: usize,
}

impl Sender {
    pub(super) fn open(life: &Life, client: &ClientSettings) -> Result<Self> {
        let reporter = life.reporter.clone();
        let tell = Box::new(move |text| reporter.remark(SUBJECT, text));
        let client = client.clone().with_default("client.id", life.spec.id.client_id());
        let buffer = client.number("queue.buffering.max.kbytes", BUFFER_KIB) * 1024;
        Ok(Self { producer: DirectProducer::start(&client, tell)?, buffer })
    }

    /// Transforms and encodes a batch and hands it to the producer.
    pub(super) async fn send(&self, output: &mut Output, batch: SourceBatch) -> Result<Sent, Failure> {
        let encoded = output.encode(batch.records, batch.failures).await?;
        let mut deliveries = Deliveries::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let mut bytes = 0;
        let mut lost = Vec::new();
        for of_topic in encoded.chunk_by(|a, b| a.topic == b.topic) {
            let topic = &of_topic[0].topic;
            let known = self.producer.know(topic, output.topics().limit(topic)).await;
            known.map_err(|error| Failure::new(Stage::Produce, error))?;
            let mut adding = self.producer.adding(topic);
            for one in of_topic {
                bytes += one.bytes();
                if let Err(why) = one.with_outline(now, |outline| adding.add(outline, one.partition, &mut deliveries)) {
                    lost.push(unsent(Encoded::clone(one), of_refusal(topic, why)));
                }
            }
        }
        let (records, positions) = (deliveries.sent(), batch.positions);
        let in_flight = async move {
            let refused: Vec<Refused> = deliveries.finished().await;
            let acknowledged = (records - refused.len()) as u64;
            lost.extend(refused.into_iter().map(not_taken));
            Delivered { records, bytes, acknowledged, lost, positions }
        };
        Ok(Sent { records, bytes, in_flight: Box::pin(in_flight) })
    }

    /// Ends when nothing can be written any more, with the reason.
    pub(super) async fn failed(&self) -> Failure {
        Failure::new(Stage::Produce, self.producer.failed().await)
    }
}

/// A record that Kafka did not take.
fn not_taken(refused: Refused) -> Lost {
    let error = of_refusal(&refused.topic, refused.why.clone());
    Lost { record: LostRecord::of_refused(refused, PRODUCER), stage: Stage::Produce, error }
}

fn of_refusal(topic: &str, why: Refusal) -> Error {
    let error = match &why {
        Refusal::Kafka { code, .. } => refused(topic, *code),
        Refusal::TooLarge(_) => too_large(topic),
        Refusal::NoPartition(..) => bad_record(topic),
        Refusal::Fault(_) | Refusal::Late | Refusal::Missing | Refusal::Leaderless => {
            Error::transient(format!("cannot produce to the topic {topic}"))
        }
    };
    error.because(why)
}
