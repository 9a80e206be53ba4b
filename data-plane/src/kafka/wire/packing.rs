//! Record batches, written (version 2 of the format; `records` takes them apart).

use super::codec::{Writer, varint_len};
use super::compression::{Codec, pack};
use super::produce::NewProducer;
use super::records::{CHECKED_FROM, HEAD, LENGTH_END, MAGIC_AT};

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline<'a> {
    /// Milliseconds since 1970
    pub timestamp_ms: i64,
    /// The key
    pub key: Option<&'a [u8]>,
    /// None is a tombstone
    pub value: Option<&'a [u8]>,
    /// Names and values in order
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

impl Outline<'_> {
    /// The size of a batch with this record alone, uncompressed.
    #[must_use]
    pub fn alone(&self) -> usize {
        let body = self.body(0, 0);
        HEAD + varint_len(length(body)) + body
    }

    /// The record's size without its length.
    fn body(&self, time: i64, number: i64) -> usize {
        let sized = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| varint_len(length(bytes.len())) + bytes.len());
        let headers: usize =
            self.headers.iter().map(|(name, value)| sized(Some(name.as_bytes())) + sized(*value)).sum();
        let count = varint_len(length(self.headers.len()));
        1 + varint_len(time) + varint_len(number) + sized(self.key) + sized(self.value) + count + headers
    }
}

/// A batch to which records are added.
#[derive(Debug)]
pub struct OpenBatch {
    /// The head, which is written at the end, and the records
    bytes: Vec<u8>,
    records: u32,
    /// The first record's timestamp
    first: i64,
    /// The latest timestamp
    latest: i64,
}

impl OpenBatch {
    /// In this room, which is cleared.
    #[must_use]
    pub fn new(mut room: Vec<u8>) -> Self {
        room.clear();
        room.resize(HEAD, 0);
        Self { bytes: room, records: 0, first: 0, latest: i64::MIN }
    }

    /// Its size so far, uncompressed.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records
    }

    /// Adds a record.
    pub fn add(&mut self, record: &Outline<'_>) {
        if self.records == 0 {
            self.first = record.timestamp_ms;
        }
        self.latest = self.latest.max(record.timestamp_ms);
        let (time, number) = (record.timestamp_ms.wrapping_sub(self.first), i64::from(self.records));
        let body = record.body(time, number);
        self.bytes.reserve(body + 5);
        let mut writer = Writer(std::mem::take(&mut self.bytes));
        writer.varint(length(body));
        writer.i8(0); // no attributes
        writer.varint(time);
        writer.varint(number);
        let payload = |bytes: Option<&[u8]>, writer: &mut Writer| {
            writer.varint(bytes.map_or(-1, |bytes| length(bytes.len())));
            writer.0.extend_from_slice(bytes.unwrap_or_default());
        };
        payload(record.key, &mut writer);
        payload(record.value, &mut writer);
        writer.varint(length(record.headers.len()));
        for (name, value) in record.headers {
            payload(Some(name.as_bytes()), &mut writer);
            payload(*value, &mut writer);
        }
        self.bytes = writer.0;
        self.records += 1;
    }

    /// Packs the records and completes the batch; `spare` is what packed records go to. What is not a part of the batch comes
    /// back as room. Without a codec that works the records stay as they are.
    #[must_use]
    pub fn close(self, codec: Codec, spare: impl FnOnce() -> Vec<u8>) -> (ClosedBatch, Option<Vec<u8>>) {
        let Self { mut bytes, records, first, latest } = self;
        let (mut room, mut number) = (None, Codec::None.number());
        if codec != Codec::None {
            let mut packed = spare();
            packed.clear();
            packed.resize(HEAD, 0);
            if pack(codec, &bytes[HEAD..], &mut packed).is_ok() {
                room = Some(std::mem::replace(&mut bytes, packed));
                number = codec.number();
            }
        }
        let mut head = Writer(Vec::with_capacity(HEAD));
        head.i64(0); // the base offset, which the broker sets
        head.count(bytes.len() - LENGTH_END);
        head.i32(-1); // the leader's epoch, which the broker sets
        head.i8(2); // the format's version
        head.i32(0); // the checksum
        head.i16(number);
        head.count(records.saturating_sub(1) as usize);
        head.i64(first);
        head.i64(latest);
        head.i64(NewProducer::NONE.id);
        head.i16(NewProducer::NONE.epoch);
        head.i32(-1); // the sequence
        head.count(records as usize);
        debug_assert_eq!((head.0.len(), head.0[MAGIC_AT]), (HEAD, 2));
        bytes[..HEAD].copy_from_slice(&head.0);
        (ClosedBatch { bytes, records }, room)
    }
}

/// A batch to which nothing is added any more.
#[derive(Debug)]
pub struct ClosedBatch {
    bytes: Vec<u8>,
    records: u32,
}

impl ClosedBatch {
    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> u32 {
        self.records
    }

    /// As it goes out, once it is signed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The room that it took.
    #[must_use]
    pub fn into_room(self) -> Vec<u8> {
        self.bytes
    }

    /// Names its producer and the number of its first record, and completes it by its checksum.
    pub fn sign(&mut self, producer: NewProducer, sequence: i32) {
        const PRODUCER: usize = 43;
        let mut writer = Writer(Vec::with_capacity(14));
        writer.i64(producer.id);
        writer.i16(producer.epoch);
        writer.i32(sequence);
        self.bytes[PRODUCER..PRODUCER + writer.0.len()].copy_from_slice(&writer.0);
        let checksum = crc32c::crc32c(&self.bytes[CHECKED_FROM..]);
        self.bytes[CHECKED_FROM - 4..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Aborted, Apart, Isolation, take_apart};
    use super::*;

    type Payload = Option<Vec<u8>>;
    type Record = (i64, Payload, Payload, Vec<(String, Payload)>);

    fn record() -> impl Strategy<Value = Record> {
        let payload = || prop::option::of(prop::collection::vec(any::<u8>(), 0..200));
        let headers = prop::collection::vec(("[a-zé]{0,70}", payload()), 0..3);
        (prop_oneof![0..2_000_000_000_000_i64, Just(-1)], payload(), payload(), headers)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            records in prop::collection::vec(record(), 1..40),
            codec in prop::sample::select(vec![Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd]),
        ) {
            let mut batch = OpenBatch::new(b"what was there before".repeat(9));
            for (index, (timestamp_ms, key, value, headers)) in records.iter().enumerate() {
                let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
                let (key, value) = (key.as_deref(), value.as_deref());
                let outline = Outline { timestamp_ms: *timestamp_ms, key, value, headers: &headers };
                batch.add(&outline);
                if index == 0 {
                    prop_assert_eq!(batch.size(), outline.alone());
                }
            }
            let (mut closed, _) = batch.close(codec, Vec::new);
            closed.sign(NewProducer { id: 77, epoch: 3 }, 1000);
            prop_assert_eq!(closed.records() as usize, records.len());
            let mut bytes = closed.into_room();
            prop_assert_eq!(&bytes[43..57], &[0, 0, 0, 0, 0, 0, 0, 77, 0, 3, 0, 0, 3, 232][..]);
            let mut found = Vec::new();
            let how = Apart { from: 0, check: true, isolation: Isolation::Committed };
            let end = take_apart(&mut bytes, Vec::new, how, &mut Aborted::default(), &mut found);
            prop_assert_eq!((end.next, end.fault), (i64::try_from(records.len()).unwrap(), None));
            let payload = |span: super::super::super::Span| span.range().map(|range| bytes[range].to_vec());
            for ((time, key, value, headers), found) in records.iter().zip(&found) {
                prop_assert_eq!(found.timestamp_ms, Some(*time).filter(|time| *time != -1));
                prop_assert_eq!((&payload(found.key), &payload(found.value)), (key, value));
                let names: Vec<(String, Payload)> =
                    found.headers().iter().map(|(name, span)| (name.to_string(), payload(*span))).collect();
                prop_assert_eq!(&names, headers);
            }
        }
    }
}
