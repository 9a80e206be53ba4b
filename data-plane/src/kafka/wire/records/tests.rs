//! Batches as brokers send them, made here, and what is wrong with them.

use std::io::Write as _;

use proptest::prelude::*;

use super::super::codec::Writer;
use super::*;

/// A record: key, value, headers.
type Plain = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn varint(value: i64, to: &mut Vec<u8>) {
    let mut left = (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned();
    while left >= 0x80 {
        to.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    to.push(left.to_le_bytes()[0]);
}

fn bytes(value: Option<&[u8]>, to: &mut Vec<u8>) {
    varint(value.map_or(-1, |value| i64::try_from(value.len()).unwrap()), to);
    to.extend(value.unwrap_or_default());
}

/// What a batch is made of.
#[derive(Clone)]
struct Made {
    base: i64,
    attributes: i16,
    producer: i64,
    records: Vec<Plain>,
}

impl Made {
    fn new(base: i64, records: &[&str]) -> Self {
        let records = records.iter().map(|text| (None, Some(text.as_bytes().to_vec()), Vec::new())).collect();
        Self { base, attributes: 0, producer: -1, records }
    }

    fn with(self, attributes: i16, producer: i64) -> Self {
        Self { attributes, producer, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut records = Vec::new();
        for (index, (key, value, headers)) in (0_i64..).zip(&self.records) {
            let mut record = vec![0];
            varint(index * 10, &mut record);
            varint(index, &mut record);
            bytes(key.as_deref(), &mut record);
            bytes(value.as_deref(), &mut record);
            varint(i64::try_from(headers.len()).unwrap(), &mut record);
            for (name, value) in headers {
                bytes(Some(name.as_bytes()), &mut record);
                bytes(value.as_deref(), &mut record);
            }
            varint(i64::try_from(record.len()).unwrap(), &mut records);
            records.extend(record);
        }
        self.around(&packed(self.attributes & 7, &records))
    }

    fn around(&self, records: &[u8]) -> Vec<u8> {
        let count = i32::try_from(self.records.len()).unwrap();
        let mut checked = Writer::default();
        checked.i16(self.attributes);
        checked.i32((count - 1).max(0));
        checked.i64(1000);
        checked.i64(7777);
        checked.i64(self.producer);
        checked.i16(0);
        checked.i32(0);
        checked.i32(count);
        checked.0.extend(records);
        let mut batch = Writer::default();
        batch.i64(self.base);
        batch.i32(i32::try_from(checked.0.len() + 9).unwrap());
        batch.i32(3);
        batch.i8(2);
        batch.0.extend(crc32c::crc32c(&checked.0).to_be_bytes());
        batch.0.extend(checked.0);
        batch.0
    }
}

fn packed(codec: i16, records: &[u8]) -> Vec<u8> {
    match codec {
        1 => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(records).unwrap();
            gzip.finish().unwrap()
        }
        2 => snap::raw::Encoder::new().compress_vec(records).unwrap(),
        3 => {
            let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
            lz4.write_all(records).unwrap();
            lz4.finish().unwrap()
        }
        4 => zstd::encode_all(records, 1).unwrap(),
        _ => records.to_vec(),
    }
}

const HOW: Apart = Apart { from: 0, check: true, isolation: Isolation::Uncommitted };

/// Offsets and values of what is seen.
fn seen(bytes: &[u8], how: Apart, aborted: Vec<(i64, i64)>) -> (Vec<(i64, String)>, Found) {
    let (mut bytes, mut records) = (bytes.to_vec(), Vec::new());
    let found = take_apart(&mut bytes, Vec::new, how, &mut Aborted::new(aborted), &mut records);
    let text = |span: Span| String::from_utf8(bytes[span.range().unwrap()].to_vec()).unwrap();
    (records.iter().map(|record| (record.offset, text(record.value))).collect(), found)
}

fn offsets(bytes: &[u8], how: Apart, aborted: Vec<(i64, i64)>) -> (Vec<i64>, i64) {
    let (seen, found) = seen(bytes, how, aborted);
    assert_eq!(found.fault, None);
    (seen.into_iter().map(|(offset, _)| offset).collect(), found.next)
}

#[test]
fn packed_and_plain_batches_stand_side_by_side() {
    let mut all = Vec::new();
    for codec in 0..=4 {
        all.extend(Made::new(i64::from(codec) * 2, &["a", "b"]).with(codec, -1).bytes());
    }
    let (seen, found) = seen(&all, HOW, Vec::new());
    let expected: Vec<_> = (0..10).map(|offset| (offset, ["a", "b"][offset as usize % 2].to_owned())).collect();
    assert_eq!((seen, found), (expected, Found { next: 10, epoch: Some(3), fault: None }));
}

#[test]
fn reading_starts_in_the_middle_of_a_batch_and_leaves_a_cut_one_alone() {
    let whole = Made::new(10, &["a", "b", "c"]).bytes();
    let mut all = whole.clone();
    all.extend(&Made::new(13, &["d"]).bytes()[..40]);
    assert_eq!(offsets(&all, Apart { from: 11, ..HOW }, Vec::new()), (vec![11, 12], 13));
    assert_eq!(offsets(&all[..whole.len() - 1], Apart { from: 11, ..HOW }, Vec::new()), (vec![], 11));
    assert_eq!(offsets(&[], Apart { from: 5, ..HOW }, Vec::new()), (vec![], 5));
}

#[test]
fn timestamps_are_the_producers_or_the_brokers() {
    for (attributes, times) in [(0, [1000, 1010]), (8, [7777, 7777])] {
        let (mut bytes, mut records) = (Made::new(0, &["a", "b"]).with(attributes, -1).bytes(), Vec::new());
        take_apart(&mut bytes, Vec::new, HOW, &mut Aborted::default(), &mut records);
        assert_eq!([records[0].timestamp_ms, records[1].timestamp_ms], times.map(Some));
        let kind = if attributes == 0 { TimestampKind::CreateTime } else { TimestampKind::LogAppendTime };
        assert_eq!(records[0].timestamp_kind, kind);
    }
}

const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x30;

/// The end of a transaction: 0 aborts, 1 commits.
fn ended(base: i64, producer: i64, kind: u8) -> Vec<u8> {
    let records = vec![(Some(vec![0, 0, 0, kind]), Some(vec![0; 6]), Vec::new())];
    Made { base, attributes: CONTROL, producer, records }.bytes()
}

#[test]
fn aborted_transactions_are_seen_only_by_who_wants_to() {
    let mut all = Made::new(0, &["x"]).with(TRANSACTIONAL, 7).bytes(); // aborted
    all.extend(Made::new(1, &["y"]).with(TRANSACTIONAL, 8).bytes()); // committed
    all.extend(Made::new(2, &["z"]).bytes()); // in none
    all.extend(ended(3, 7, 0));
    all.extend(Made::new(4, &["again"]).with(TRANSACTIONAL, 7).bytes()); // the next one of the same producer
    all.extend(ended(5, 8, 1));
    all.extend(ended(6, 7, 1));
    let committed = Apart { isolation: Isolation::Committed, ..HOW };
    assert_eq!(offsets(&all, committed, vec![(7, 0)]), (vec![1, 2, 4], 7));
    assert_eq!(offsets(&all, HOW, vec![(7, 0)]), (vec![0, 1, 2, 4], 7));
    // A transaction that was aborted later does not hide what its producer committed before.
    assert_eq!(offsets(&all, committed, vec![(7, 4)]), (vec![0, 1, 2], 7));
}

#[test]
fn what_comes_before_a_damaged_batch_is_kept() {
    let mut all = Made::new(0, &["a", "b"]).bytes();
    let good = all.len();
    all.extend(Made::new(2, &["c"]).bytes());
    let last = all.len() - 2;
    all[last] ^= 1;
    let (seen_of, found) = seen(&all, HOW, Vec::new());
    assert_eq!((seen_of.len(), found.next, found.fault.is_some()), (2, 2, true));
    assert_eq!(seen(&all, Apart { check: false, ..HOW }, Vec::new()).0.len(), 3, "nobody looks");
    all[good + MAGIC_AT] = 9;
    assert_eq!(seen(&all, HOW, Vec::new()).1.fault, Some(Malformed("a batch is of a format that is not known")));
    let lying = Made::new(2, &["c"]).around(&[200, 1, 0, 0, 0, 1]);
    assert_eq!(seen(&lying, HOW, Vec::new()).1.fault, Some(Malformed("a record ends behind its batch")));
}

/// A message of version 0 or 1.
fn message(offset: i64, magic: i8, attributes: i8, key: Option<&[u8]>, value: &[u8]) -> Vec<u8> {
    let mut body = Writer::default();
    body.i8(magic);
    body.i8(attributes);
    if magic == 1 {
        body.i64(5000 + offset);
    }
    for payload in [key, Some(value)] {
        body.i32(payload.map_or(-1, |payload| i32::try_from(payload.len()).unwrap()));
        body.0.extend(payload.unwrap_or_default());
    }
    let mut message = Writer::default();
    message.i64(offset);
    message.i32(i32::try_from(body.0.len() + 4).unwrap());
    message.0.extend(crc32fast::hash(&body.0).to_be_bytes());
    message.0.extend(body.0);
    message.0
}

#[test]
fn old_message_sets_are_read_too() {
    let mut all = message(3, 0, 0, None, b"old");
    let inner: Vec<u8> = (0..2).flat_map(|at| message(at, 1, 0, Some(b"k"), b"packed")).collect();
    all.extend(message(5, 1, 1, None, &packed(1, &inner)));
    all.extend(message(6, 1, 8, None, b"logged"));
    let expected = [(3, "old"), (4, "packed"), (5, "packed"), (6, "logged")];
    let (seen_of, found) = seen(&all, HOW, Vec::new());
    assert_eq!(found, Found { next: 7, epoch: Some(-1), fault: None });
    assert_eq!(seen_of, expected.map(|(offset, text)| (offset, text.to_owned())));
    assert_eq!(offsets(&all, Apart { from: 5, ..HOW }, Vec::new()), (vec![5, 6], 7));
    let mut records = Vec::new();
    take_apart(&mut all.clone(), Vec::new, HOW, &mut Aborted::default(), &mut records);
    let kinds: Vec<_> = records.iter().map(|record| (record.timestamp_ms, record.timestamp_kind)).collect();
    assert_eq!(kinds[0], (None, TimestampKind::None));
    assert_eq!(kinds[1], (Some(5000), TimestampKind::CreateTime));
    assert_eq!(kinds[3], (Some(5006), TimestampKind::LogAppendTime));
    let at = all.len() - 1;
    all[at] ^= 1;
    assert_eq!(seen(&all, HOW, Vec::new()).1.next, 6);
}

#[test]
fn a_few_bytes_do_not_become_all_memory() {
    let zeroes = "0".repeat(20 << 20);
    let all: Vec<u8> = (0..5).flat_map(|base| Made::new(base, &[&zeroes]).with(4, -1).bytes()).collect();
    let (seen, found) = seen(&all, HOW, Vec::new());
    assert_eq!((seen.len(), found.next, found.fault), (2, 2, None));
}

fn payload() -> impl Strategy<Value = Option<Vec<u8>>> {
    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
}

fn plain() -> impl Strategy<Value = Plain> {
    (payload(), payload(), proptest::collection::vec(("[a-zé]{0,5}", payload()), 0..3))
}

proptest! {
    #[test]
    fn records_come_out_as_they_were_put_in(
        records in proptest::collection::vec(plain(), 1..20),
        codec in 0_i16..5,
        base in 0_i64..1 << 60,
    ) {
        let made = Made { base, attributes: codec, producer: -1, records };
        let (mut bytes, mut envelopes) = (made.bytes(), Vec::new());
        let found = take_apart(&mut bytes, Vec::new, Apart { from: base, ..HOW }, &mut Aborted::default(), &mut envelopes);
        prop_assert_eq!(found.fault, None);
        let at = |span: Span| span.range().map(|range| bytes[range].to_vec());
        let out: Vec<Plain> = envelopes
            .iter()
            .map(|envelope| {
                let headers = envelope.headers().iter().map(|(name, value)| (name.to_string(), at(*value)));
                (at(envelope.key), at(envelope.value), headers.collect())
            })
            .collect();
        prop_assert_eq!(out, made.records);
        prop_assert!(envelopes.iter().zip(base..).all(|(envelope, offset)| envelope.offset == offset));
    }

    /// Whatever a broker sends: places lie within the buffer, offsets go up.
    #[test]
    fn nothing_that_is_sent_does_harm(
        records in proptest::collection::vec(plain(), 1..5),
        codec in 0_i16..5,
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<proptest::sample::Index>(),
        check in any::<bool>(),
        old in any::<bool>(),
    ) {
        let mut bytes = if old { message(0, 1, 1, None, &packed(1, &message(0, 1, 0, None, b"x"))) } else {
            Made { base: 0, attributes: codec, producer: 1, records }.bytes()
        };
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let mut envelopes = Vec::new();
        let how = Apart { from: 0, check, isolation: Isolation::Committed };
        take_apart(&mut bytes, Vec::new, how, &mut Aborted::new(vec![(1, 0)]), &mut envelopes);
        for envelope in &envelopes {
            for span in [envelope.key, envelope.value].into_iter().chain(envelope.headers().iter().map(|header| header.1)) {
                prop_assert!(span.range().is_none_or(|range| range.end <= bytes.len()));
            }
        }
    }
}
