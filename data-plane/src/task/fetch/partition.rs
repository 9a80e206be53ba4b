//! One partition of the poll thread: its queue, the batch that grows, and what is out for writing.

use std::sync::Arc;
use std::time::Duration;

use millrace_sdk::TopicPartition;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;

use super::super::batch::{BatchBuilder, RawBatch};
use super::super::consumer::Notes;
use super::Limits;
use super::ledger::Ledger;

/// Batches of a partition that may be out at a time: one is written, one waits for a lane. It bounds the distance between
/// the watermark and the newest write.
const MAX_OUT: usize = 2;

pub(super) struct Partition {
    pub(super) origin: TopicPartition,
    pub(super) assignment: u64,
    /// None once the partition is being given back
    queue: Option<PartitionQueue<Notes>>,
    growing: BatchBuilder,
    out: usize,
}

/// What reading has brought.
pub(super) enum Reading {
    /// The queue is empty
    Drained,
    /// There may be more, but no room for it now
    Full,
    /// The queue holds an error
    Error(KafkaError),
}

impl Partition {
    pub(super) fn new(origin: TopicPartition, assignment: u64, queue: PartitionQueue<Notes>) -> Self {
        Self { origin, assignment, queue: Some(queue), growing: BatchBuilder::default(), out: 0 }
    }

    /// Bytes in the batch that grows.
    pub(super) fn growing_bytes(&self) -> usize {
        self.growing.bytes()
    }

    /// Ends reading; gives the bytes that are dropped with the growing batch. They are read again by whoever comes next.
    pub(super) fn stop_reading(&mut self) -> usize {
        self.queue = None;
        let dropped = self.growing.bytes();
        self.growing = BatchBuilder::default();
        dropped
    }

    pub(super) fn is_read(&self) -> bool {
        self.queue.is_some()
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.growing.len() >= limits.batch_records || self.growing.bytes() >= limits.batch_bytes
    }

    /// Moves records from the queue into the growing batch, up to `room` bytes.
    pub(super) fn read(&mut self, limits: &Limits, room: usize) -> Reading {
        let Some(queue) = &self.queue else { return Reading::Drained };
        let before = self.growing.bytes();
        loop {
            if self.is_full(limits) || self.growing.bytes() - before >= room {
                return Reading::Full;
            }
            match queue.poll(Duration::ZERO) {
                None => return Reading::Drained,
                Some(Ok(message)) => self.growing.push(&message),
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => return Reading::Error(error),
            }
        }
    }

    /// A record that came by the consumer's common queue after all.
    pub(super) fn push(&mut self, message: &rdkafka::message::BorrowedMessage<'_>) {
        self.growing.push(message);
    }

    /// The growing batch, when it is time for it: at once while nothing is out, else only a full one, so that batches grow
    /// by themselves when the store is slower than Kafka.
    pub(super) fn take(&mut self, limits: &Limits, ledger: &Arc<Ledger>) -> Option<RawBatch> {
        let due = self.out == 0 || (self.out < MAX_OUT && self.is_full(limits));
        if !due || self.growing.is_empty() || self.queue.is_none() {
            return None;
        }
        self.out += 1;
        let receipt = ledger.receipt(self.origin.clone(), self.assignment, self.growing.bytes());
        let mut batch = self.growing.take(self.origin.clone());
        batch.receipt = Some(receipt);
        Some(batch)
    }

    /// A batch has come back.
    pub(super) fn done(&mut self) {
        self.out = self.out.saturating_sub(1);
    }
}
