//! Raw batches: what the poll thread hands over. Each payload is copied once out of librdkafka into the batch's buffer and
//! sliced from there; the raw bytes stay at hand for dead letters.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millrace_sdk::{Text, TimestampKind, TopicPartition};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _, Timestamp};

use super::fetch::Receipt;
use crate::kafka::{Envelope, Fetched, RawHeader, Span};

/// What a batch consists of.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) buffer: Vec<u8>,
    pub(super) records: Vec<Envelope>,
}

/// The room of batches that are done, for those to come: what one thread takes and another gives back is dear for every
/// allocator. Kept only while batches are large.
#[derive(Debug, Default)]
pub(super) struct Rooms(Mutex<Vec<Room>>);

impl Rooms {
    /// Rooms that are kept
    const MOST: usize = 8;
    /// Bytes of a buffer that is worth keeping
    pub(super) const WORTH: Range<usize> = 64 * 1024..2 * MOST_RESERVED;

    pub(super) fn give(&self, mut room: Room) {
        room.buffer.clear();
        room.records.clear();
        let mut rooms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rooms.len() < Self::MOST && Self::WORTH.contains(&room.buffer.capacity()) {
            rooms.push(room);
        }
    }

    pub(super) fn take(&self) -> Option<Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Lets go of what is kept.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A batch's room, which goes back when its last user is gone.
#[derive(Debug)]
struct Lent {
    room: Room,
    home: Arc<Rooms>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.give(std::mem::take(&mut self.room));
    }
}

/// The owner of a batch's payloads.
struct Payloads(Arc<Lent>);

impl AsRef<[u8]> for Payloads {
    fn as_ref(&self) -> &[u8] {
        &self.0.room.buffer
    }
}

/// Records of one partition, in offset order.
pub(super) struct RawBatch {
    pub(super) origin: TopicPartition,
    buffer: Bytes,
    lent: Arc<Lent>,
    /// Which of the room's records are the batch's
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
    /// A batch of what is in a room, which goes home afterwards.
    pub(super) fn new(origin: TopicPartition, room: Room, home: &Arc<Rooms>) -> Self {
        let lent = Arc::new(Lent { room, home: Arc::clone(home) });
        let buffer = Bytes::from_owner(Payloads(Arc::clone(&lent)));
        let range = 0..lent.room.records.len();
        Self { origin, buffer, lent, range, receipt: None }
    }

    /// Whether its room is worth keeping.
    pub(super) fn is_large(&self) -> bool {
        Rooms::WORTH.contains(&self.buffer.len())
    }

    /// The records.
    pub(super) fn records(&self) -> &[Envelope] {
        &self.lent.room.records[self.range.clone()]
    }

    /// The batch in parts of so many records, which share its buffer.
    pub(super) fn parts(&self, size: usize) -> impl Iterator<Item = Self> {
        let end = self.range.end;
        self.range.clone().step_by(size.max(1)).map(move |start| Self {
            origin: self.origin.clone(),
            buffer: self.buffer.clone(),
            lent: Arc::clone(&self.lent),
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
        span.range().map(|range| &self.buffer[range])
    }

    /// A slice of the buffer.
    pub(super) fn slice(&self, span: Span) -> Option<Bytes> {
        span.range().map(|range| self.buffer.slice(range))
    }

    /// The record at an index.
    pub(super) fn record(&self, index: usize) -> RawRecord<'_> {
        let envelope = &self.records()[index];
        RawRecord {
            offset: envelope.offset,
            timestamp_ms: envelope.timestamp_ms,
            key: self.at(envelope.key),
            value: self.at(envelope.value),
            headers: envelope.headers().iter().map(|(name, span)| (&**name, self.at(*span))).collect(),
        }
    }
}

/// A batch that still grows.
#[derive(Default)]
pub(super) struct BatchBuilder {
    room: Room,
    rooms: Arc<Rooms>,
    /// What the last batch took: most are alike, and what grows in steps is copied at each
    last: (usize, usize),
}

/// What is set aside for a batch before its first record comes, at the most.
const MOST_RESERVED: usize = 1024 * 1024;

/// What a record costs besides its payload.
pub(super) const RECORD_OVERHEAD: usize = 120;

impl BatchBuilder {
    pub(super) fn new(rooms: &Arc<Rooms>) -> Self {
        Self { rooms: Arc::clone(rooms), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.room.records.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.room.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.room.buffer.len() + self.len() * RECORD_OVERHEAD
    }

    /// About how large a record is, as far as that is known.
    pub(super) fn usual_size(&self) -> Option<usize> {
        let (bytes, records) = if self.is_empty() { self.last } else { (self.room.buffer.len(), self.len()) };
        (records > 0).then(|| bytes / records + RECORD_OVERHEAD)
    }

    /// Copies a record to the end.
    pub(super) fn push(&mut self, record: &Fetched<'_>) {
        self.make_room();
        let (key, value) = (self.copy(record.key()), self.copy(record.value()));
        let mut headers = Vec::new();
        record.headers(|name, value| headers.push((Text::from(name), self.copy(value))));
        self.add(record.offset(), record.timestamp(), key, value, headers);
    }

    /// As [`Self::push`], for a record that came by the common queue.
    pub(super) fn push_stray(&mut self, message: &BorrowedMessage<'_>) {
        self.make_room();
        let (key, value) = (self.copy(message.key()), self.copy(message.payload()));
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (Text::from(header.key), self.copy(header.value))).collect()
        });
        self.add(message.offset(), message.timestamp(), key, value, headers);
    }

    fn add(&mut self, offset: i64, timestamp: Timestamp, key: Span, value: Span, headers: Vec<RawHeader>) {
        let (timestamp_ms, timestamp_kind) = match timestamp {
            Timestamp::NotAvailable => (None, TimestampKind::None),
            Timestamp::CreateTime(ms) => (Some(ms), TimestampKind::CreateTime),
            Timestamp::LogAppendTime(ms) => (Some(ms), TimestampKind::LogAppendTime),
        };
        let headers = if headers.is_empty() { None } else { Some(headers.into()) };
        self.room.records.push(Envelope { offset, timestamp_ms, timestamp_kind, key, value, headers });
    }

    fn make_room(&mut self) {
        if self.room.buffer.capacity() > 0 {
            return;
        }
        if Rooms::WORTH.contains(&self.last.0) {
            self.room = self.rooms.take().unwrap_or_default();
        }
        self.room.buffer.reserve(self.last.0.min(MOST_RESERVED));
        self.room.records.reserve(self.last.1);
    }

    fn copy(&mut self, payload: Option<&[u8]>) -> Span {
        payload.map_or(Span::NONE, |payload| {
            let start = self.room.buffer.len();
            self.room.buffer.extend_from_slice(payload);
            Span::new(start, payload.len())
        })
    }

    /// The batch so far; the builder starts anew.
    pub(super) fn take(&mut self, origin: TopicPartition) -> RawBatch {
        self.last = (self.room.buffer.len(), self.room.records.len());
        RawBatch::new(origin, std::mem::take(&mut self.room), &self.rooms)
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
        let headers = headers.iter().map(|(name, value)| (Text::from(*name), self.copy(*value))).collect();
        self.add(offset, Timestamp::NotAvailable, key, value, headers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(builder: &mut BatchBuilder, bytes: usize) -> RawBatch {
        // As after a batch of this size
        builder.last = (bytes, 1);
        builder.make_room();
        builder.put(0, None, Some(&vec![b'x'; bytes]), &[("h", Some(b"1"))]);
        builder.take(TopicPartition { topic: "t".into(), partition: 0 })
    }

    #[test]
    fn the_room_of_a_large_batch_comes_again_when_its_last_slice_is_gone() {
        let rooms = Arc::default();
        let mut builder = BatchBuilder::new(&rooms);
        let first = batch(&mut builder, 100_000);
        let slice = first.slice(first.records()[0].value).unwrap();
        let place = slice.as_ptr();
        drop(first);
        let second = batch(&mut builder, 100_000);
        assert_ne!(second.at(second.records()[0].value).unwrap().as_ptr(), place);
        drop(slice);
        let third = batch(&mut builder, 90_000);
        assert_eq!(third.at(third.records()[0].value).unwrap().as_ptr(), place);
        assert_eq!(third.records().len(), 1);
        drop((second, third));
        rooms.clear();
        assert!(rooms.take().is_none());
    }

    #[test]
    fn the_room_of_a_small_batch_is_not_kept() {
        let rooms = Arc::default();
        drop(batch(&mut BatchBuilder::new(&rooms), 1000));
        assert!(rooms.take().is_none());
    }

    #[test]
    fn no_payload_is_not_an_empty_one() {
        let mut builder = BatchBuilder::default();
        builder.put(0, None, Some(b""), &[]);
        let raw = builder.take(TopicPartition { topic: "t".into(), partition: 0 });
        let record = raw.record(0);
        assert_eq!((record.key, record.value), (None, Some(&b""[..])));
        assert_eq!((raw.records()[0].key.len(), raw.slice(raw.records()[0].value)), (0, Some(Bytes::new())));
    }
}
