//! Raw batches: what the poll thread hands over. Each payload is copied once out of librdkafka into the batch's buffer and
//! sliced from there; the raw slices stay at hand for dead letters.

use bytes::Bytes;
use millrace_sdk::{ByteString, TimestampKind, TopicPartition};
use rdkafka::message::{BorrowedMessage, Headers, Message, Timestamp};

use super::fetch::Receipt;

/// A record as it came.
#[derive(Debug, Clone)]
pub(super) struct RawRecord {
    pub(super) offset: i64,
    pub(super) timestamp_ms: Option<i64>,
    pub(super) timestamp_kind: TimestampKind,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) headers: Vec<(ByteString, Option<Bytes>)>,
}

/// Records of one partition, in offset order.
pub(super) struct RawBatch {
    pub(super) origin: TopicPartition,
    pub(super) records: Vec<RawRecord>,
    /// Gives the room that the batch takes in the task's budget back when the batch is dropped; None in tests
    pub(super) receipt: Option<Receipt>,
}

impl RawBatch {
    /// The record of an offset.
    pub(super) fn record(&self, offset: i64) -> Option<&RawRecord> {
        self.records.binary_search_by_key(&offset, |record| record.offset).ok().map(|index| &self.records[index])
    }
}

type Span = Option<(usize, usize)>;

struct Pending {
    offset: i64,
    timestamp_ms: Option<i64>,
    timestamp_kind: TimestampKind,
    key: Span,
    value: Span,
    headers: Vec<(String, Span)>,
}

/// A batch that still grows.
#[derive(Default)]
pub(super) struct BatchBuilder {
    buffer: Vec<u8>,
    pending: Vec<Pending>,
}

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

    /// Copies a message to the end.
    pub(super) fn push(&mut self, message: &BorrowedMessage<'_>) {
        let key = self.copy(message.key());
        let value = self.copy(message.payload());
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), self.copy(header.value))).collect()
        });
        let (timestamp_ms, timestamp_kind) = match message.timestamp() {
            Timestamp::NotAvailable => (None, TimestampKind::None),
            Timestamp::CreateTime(ms) => (Some(ms), TimestampKind::CreateTime),
            Timestamp::LogAppendTime(ms) => (Some(ms), TimestampKind::LogAppendTime),
        };
        self.pending.push(Pending { offset: message.offset(), timestamp_ms, timestamp_kind, key, value, headers });
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
        let buffer = Bytes::from(std::mem::take(&mut self.buffer));
        let slice = |span: Span| span.map(|(start, end)| buffer.slice(start..end));
        let records = std::mem::take(&mut self.pending)
            .into_iter()
            .map(|pending| RawRecord {
                offset: pending.offset,
                timestamp_ms: pending.timestamp_ms,
                timestamp_kind: pending.timestamp_kind,
                key: slice(pending.key),
                value: slice(pending.value),
                headers: pending
                    .headers
                    .into_iter()
                    .map(|(name, span)| (ByteString::from(name), slice(span)))
                    .collect(),
            })
            .collect();
        RawBatch { origin, records, receipt: None }
    }
}
