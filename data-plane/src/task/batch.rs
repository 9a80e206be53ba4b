//! Raw batches: what the poll thread hands over. Each payload is copied once out of librdkafka into the batch's buffer and
//! sliced from there; the raw slices stay at hand for dead letters.

use bytes::Bytes;
use millrace_sdk::{ByteString, TimestampKind, TopicPartition};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};

use super::fetch::Receipt;
use crate::kafka::Fetched;

/// The header of a record as it came.
pub(super) type RawHeader = (ByteString, Option<Bytes>);

/// A record as it came, without key and value.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) timestamp_kind: TimestampKind,
    pub(super) headers: Vec<RawHeader>,
}

/// Records of one partition, in offset order. Keys and values are in columns of their own, as converters take them.
pub(super) struct RawBatch {
    pub(super) origin: TopicPartition,
    pub(super) records: Vec<Envelope>,
    pub(super) keys: Vec<Option<Bytes>>,
    pub(super) values: Vec<Option<Bytes>>,
    /// Gives the room that the batch takes in the task's budget back when the batch is dropped; None in tests
    pub(super) receipt: Option<Receipt>,
}

/// A record of a raw batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawRecord<'a> {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a Bytes>,
    pub(super) value: Option<&'a Bytes>,
    pub(super) headers: &'a [RawHeader],
}

impl RawBatch {
    /// The index of an offset.
    pub(super) fn index_of(&self, offset: i64) -> Option<usize> {
        self.records.binary_search_by_key(&offset, |record| record.offset).ok()
    }

    /// The record at an index.
    pub(super) fn record(&self, index: usize) -> RawRecord<'_> {
        let envelope = &self.records[index];
        RawRecord {
            offset: envelope.offset,
            timestamp_ms: envelope.timestamp_ms,
            key: self.keys[index].as_ref(),
            value: self.values[index].as_ref(),
            headers: &envelope.headers,
        }
    }
}

/// A place in the buffer; None where there is no payload.
type Span = Option<(usize, usize)>;

struct Pending {
    offset: i64,
    timestamp: Timestamp,
    key: Span,
    value: Span,
    headers: Vec<(ByteString, Span)>,
}

/// A batch that still grows.
#[derive(Default)]
pub(super) struct BatchBuilder {
    buffer: Vec<u8>,
    pending: Vec<Pending>,
    /// What the last batch took: most are alike, and what grows in steps is copied at each
    last: (usize, usize),
}

/// What is set aside for a batch before its first record comes, at the most.
const MOST_RESERVED: usize = 1024 * 1024;

/// What a record costs besides its payload.
const RECORD_OVERHEAD: usize = 160;

impl BatchBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.len() + self.pending.len() * RECORD_OVERHEAD
    }

    /// About how large a record is, as far as that is known.
    pub(super) fn usual_size(&self) -> Option<usize> {
        let (bytes, records) = if self.is_empty() { self.last } else { (self.buffer.len(), self.len()) };
        (records > 0).then(|| bytes / records + RECORD_OVERHEAD)
    }

    /// Copies a record to the end.
    pub(super) fn push(&mut self, record: &Fetched<'_>) {
        self.make_room();
        let (key, value) = (self.copy(record.key()), self.copy(record.value()));
        let mut headers = Vec::new();
        record.headers(|name, value| headers.push((ByteString::from(name.to_owned()), self.copy(value))));
        self.pending.push(Pending { offset: record.offset(), timestamp: record.timestamp(), key, value, headers });
    }

    /// As [`Self::push`], for a record that came by the common queue.
    pub(super) fn push_stray(&mut self, message: &BorrowedMessage<'_>) {
        let (key, value) = (self.copy(message.key()), self.copy(message.payload()));
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (ByteString::from(header.key.to_owned()), self.copy(header.value))).collect()
        });
        self.pending.push(Pending { offset: message.offset(), timestamp: message.timestamp(), key, value, headers });
    }

    fn make_room(&mut self) {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(self.last.0.min(MOST_RESERVED));
        }
    }

    fn copy(&mut self, payload: Option<&[u8]>) -> Span {
        payload.map(|payload| {
            let start = self.buffer.len();
            self.buffer.extend_from_slice(payload);
            (start, self.buffer.len())
        })
    }

    /// The batch so far; the builder starts anew.
    pub(super) fn take(&mut self, origin: TopicPartition) -> RawBatch {
        self.last = (self.buffer.len(), self.pending.len());
        let buffer = Bytes::from(std::mem::take(&mut self.buffer));
        let slice = |span: Span| span.map(|(start, end)| buffer.slice(start..end));
        let mut batch = RawBatch {
            origin,
            records: Vec::with_capacity(self.pending.len()),
            keys: Vec::with_capacity(self.pending.len()),
            values: Vec::with_capacity(self.pending.len()),
            receipt: None,
        };
        for pending in self.pending.drain(..) {
            let (timestamp_ms, timestamp_kind) = match pending.timestamp {
                Timestamp::NotAvailable => (None, TimestampKind::None),
                Timestamp::CreateTime(ms) => (Some(ms), TimestampKind::CreateTime),
                Timestamp::LogAppendTime(ms) => (Some(ms), TimestampKind::LogAppendTime),
            };
            let headers = pending.headers.into_iter().map(|(name, span)| (name, slice(span))).collect();
            batch.records.push(Envelope { offset: pending.offset, timestamp_ms, timestamp_kind, headers });
            batch.keys.push(slice(pending.key));
            batch.values.push(slice(pending.value));
        }
        batch
    }
}
