//! One partition of the poll thread: its queue, the batch that grows, and what is out for writing.

use std::sync::Arc;
use std::time::Instant;

use millrace_sdk::TopicPartition;
use rdkafka::error::KafkaError;

use super::super::batch::{BatchBuilder, RawBatch, Rooms};
use super::super::consumer::Notes;
use super::ledger::Ledger;
use super::{Limits, MAX_OUT, PACE};
use crate::kafka::BatchQueue;

/// Records that are taken from a queue at once, at the most.
const SLICE: usize = 256;

/// Where a partition's records come from.
pub(super) enum Source {
    /// librdkafka's queue, which this thread reads
    Queue(Box<BatchQueue<Notes>>),
    /// The reader, which hands them on itself
    Reader,
    /// Nowhere: it is being given back
    None,
}

pub(super) struct Partition {
    pub(super) origin: TopicPartition,
    pub(super) assignment: u64,
    source: Source,
    growing: BatchBuilder,
    out: usize,
    /// When the last batch was handed on
    sent: Option<Instant>,
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
    pub(super) fn new(origin: TopicPartition, assignment: u64, source: Source, rooms: &Arc<Rooms>) -> Self {
        Self { origin, assignment, source, growing: BatchBuilder::new(rooms), out: 0, sent: None }
    }

    /// Bytes in the batch that grows.
    pub(super) fn growing_bytes(&self) -> usize {
        self.growing.bytes()
    }

    /// Ends reading; gives the bytes that are dropped with the growing batch. They are read again by whoever comes next.
    pub(super) fn stop_reading(&mut self) -> usize {
        self.source = Source::None;
        std::mem::take(&mut self.growing).bytes()
    }

    pub(super) fn is_read(&self) -> bool {
        !matches!(self.source, Source::None)
    }

    fn is_full(&self, limits: &Limits) -> bool {
        self.growing.len() >= limits.batch_records || self.growing.bytes() >= limits.batch_bytes
    }

    /// Moves records from the queue into the growing batch, up to `room` bytes.
    pub(super) fn read(&mut self, limits: &Limits, room: usize) -> Reading {
        let before = self.growing.bytes();
        loop {
            let taken = self.growing.bytes() - before;
            if self.is_full(limits) || taken >= room {
                return Reading::Full;
            }
            let Source::Queue(queue) = &mut self.source else { return Reading::Drained };
            // What is taken must be kept, so no more is asked for than there is room for.
            let bytes = (room - taken).min(limits.batch_bytes.saturating_sub(self.growing.bytes()));
            let fitting = self.growing.usual_size().map_or(1, |size| bytes / size);
            let limit = fitting.clamp(1, SLICE).min(limits.batch_records - self.growing.len());
            let mut failure = None;
            let taken = queue.take(limit, |record| match record {
                Ok(record) => self.growing.push(&record),
                Err(KafkaError::PartitionEOF(_)) => {}
                Err(error) => failure = Some(error),
            });
            match failure {
                Some(error) => return Reading::Error(error),
                None if taken < limit => return Reading::Drained,
                None => {}
            }
        }
    }

    /// A record that came by the consumer's common queue after all.
    pub(super) fn push(&mut self, message: &rdkafka::message::BorrowedMessage<'_>) {
        self.growing.push_stray(message);
    }

    /// When the growing batch is due, if it is one that only waits for time to pass.
    pub(super) fn due(&self) -> Option<Instant> {
        let waits = self.out == 0 && !self.growing.is_empty() && self.is_read();
        self.sent.filter(|_| waits).map(|sent| sent + PACE)
    }

    /// The growing batch, when it is time for it: soon while nothing is out, else only a full one, so that batches grow
    /// by themselves when the store is slower than Kafka.
    pub(super) fn take(&mut self, limits: &Limits, ledger: &Arc<Ledger>) -> Option<RawBatch> {
        if self.growing.is_empty() || !self.is_read() {
            return None;
        }
        let now = Instant::now();
        let paced = || self.sent.is_none_or(|sent| now.duration_since(sent) >= PACE);
        if !(self.out < MAX_OUT && self.is_full(limits) || self.out == 0 && paced()) {
            return None;
        }
        self.out += 1;
        self.sent = Some(now);
        let receipt = ledger.receipt(self.origin.clone(), self.assignment, self.growing.bytes());
        let mut batch = self.growing.take(self.origin.clone());
        batch.receipt = Some(Arc::new(receipt));
        Some(batch)
    }

    /// A batch has come back.
    pub(super) fn done(&mut self) {
        self.out = self.out.saturating_sub(1);
    }
}
