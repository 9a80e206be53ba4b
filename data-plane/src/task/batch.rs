//! Raw batches: what the poll thread hands over. Each payload is copied once out of librdkafka into the batch's buffer and
//! sliced from there; the raw bytes stay at hand for dead letters.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{ByteString, TimestampKind, TopicPartition};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};

use super::fetch::Receipt;
use crate::kafka::Fetched;

/// A place in a batch's buffer; None where there is no payload.
pub(super) type Span = Option<(usize, usize)>;

/// The header of a record as it came.
pub(super) type RawHeader = (ByteString, Span);

/// A record as it came; its payloads are in the batch's buffer.
#[derive(Debug, Clone)]
pub(super) struct Envelope {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) timestamp_kind: TimestampKind,
    pub(super) key: Span,
    pub(super) value: Span,
    pub(super) headers: Vec<RawHeader>,
}

/// Records of one partition, in offset order.
pub(super) struct RawBatch {
    pub(super) origin: TopicPartition,
    pub(super) buffer: Bytes,
    records: Arc<Vec<Envelope>>,
    /// Which of them are the batch's
    range: Range<usize>,
    /// Gives the room that the batch takes in the task's budget back when its last part is dropped; None in tests
    pub(super) receipt: Option<Arc<Receipt>>,
}

/// A record of a raw batch.
#[derive(Debug, Clone)]
pub(super) struct RawRecord<'a> {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Vec<(&'a str, Option<&'a [u8]>)>,
}

impl RawBatch {
    /// The records.
    pub(super) fn records(&self) -> &[Envelope] {
        &self.records[self.range.clone()]
    }

    /// The batch in parts of so many records, which share its buffer.
    pub(super) fn parts(&self, size: usize) -> impl Iterator<Item = Self> {
        let end = self.range.end;
        self.range.clone().step_by(size.max(1)).map(move |start| Self {
            origin: self.origin.clone(),
            buffer: self.buffer.clone(),
            records: Arc::clone(&self.records),
            range: start..end.min(start + size),
            receipt: self.receipt.clone(),
        })
    }

    /// The index of an offset.
    pub(super) fn index_of(&self, offset: i64) -> Option<usize> {
        self.records().binary_search_by_key(&offset, |record| record.offset).ok()
    }

    /// The bytes of a place.
    pub(super) fn at(&self, span: Span) -> Option<&[u8]> {
        span.map(|(start, end)| &self.buffer[start..end])
    }

    /// A slice of the buffer.
    pub(super) fn slice(&self, span: Span) -> Option<Bytes> {
        span.map(|(start, end)| self.buffer.slice(start..end))
    }

    /// The record at an index.
    pub(super) fn record(&self, index: usize) -> RawRecord<'_> {
        let envelope = &self.records()[index];
        RawRecord {
            offset: envelope.offset,
            timestamp_ms: envelope.timestamp_ms,
            key: self.at(envelope.key),
            value: self.at(envelope.value),
            headers: envelope.headers.iter().map(|(name, span)| (&**name, self.at(*span))).collect(),
        }
    }
}

/// A batch that still grows.
#[derive(Default)]
pub(super) struct BatchBuilder {
    buffer: Vec<u8>,
    records: Vec<Envelope>,
    /// What the last batch took: most are alike, and what grows in steps is copied at each
    last: (usize, usize),
}

/// What is set aside for a batch before its first record comes, at the most.
const MOST_RESERVED: usize = 1024 * 1024;

/// What a record costs besides its payload.
const RECORD_OVERHEAD: usize = 160;

impl BatchBuilder {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.len() + self.records.len() * RECORD_OVERHEAD
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
        record.headers(|name, value| headers.push((ByteString::from(name), self.copy(value))));
        self.add(record.offset(), record.timestamp(), key, value, headers);
    }

    /// As [`Self::push`], for a record that came by the common queue.
    pub(super) fn push_stray(&mut self, message: &BorrowedMessage<'_>) {
        self.make_room();
        let (key, value) = (self.copy(message.key()), self.copy(message.payload()));
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (ByteString::from(header.key), self.copy(header.value))).collect()
        });
        self.add(message.offset(), message.timestamp(), key, value, headers);
    }

    fn add(&mut self, offset: i64, timestamp: Timestamp, key: Span, value: Span, headers: Vec<RawHeader>) {
        let (timestamp_ms, timestamp_kind) = match timestamp {
            Timestamp::NotAvailable => (None, TimestampKind::None),
            Timestamp::CreateTime(ms) => (Some(ms), TimestampKind::CreateTime),
            Timestamp::LogAppendTime(ms) => (Some(ms), TimestampKind::LogAppendTime),
        };
        self.records.push(Envelope { offset, timestamp_ms, timestamp_kind, key, value, headers });
    }

    fn make_room(&mut self) {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(self.last.0.min(MOST_RESERVED));
            self.records.reserve(self.last.1);
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
        self.last = (self.buffer.len(), self.records.len());
        let (buffer, records) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.records));
        let range = 0..records.len();
        RawBatch { origin, buffer: buffer.into(), records: Arc::new(records), range, receipt: None }
    }

    /// A record of a test.
    #[cfg(test)]
    pub(super) fn put(
        &mut self,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let (key, value) = (self.copy(key), self.copy(value));
        let headers = headers.iter().map(|(name, value)| (ByteString::from(*name), self.copy(*value))).collect();
        self.add(offset, Timestamp::NotAvailable, key, value, headers);
    }
}
