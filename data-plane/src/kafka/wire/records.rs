//! Record batches, taken apart where they lie: what is not compressed is not copied.
//!
//! Formats: version 2 (`DefaultRecordBatch` in Kafka; since 0.11), and the message sets 0 and 1 before it, which old topics still hold.

use std::collections::{HashSet, VecDeque};

use millrace_sdk::{Text, TimestampKind};

use super::super::envelope::{Envelope, RawHeader, Span};
use super::codec::{Malformed, Reader};
use super::compression::unpack;
use super::messages_v1;

/// Which records are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All
    Uncommitted,
    /// Those that belong to no transaction that is open or was aborted
    Committed,
}

impl Isolation {
    pub(super) fn number(self) -> i8 {
        match self {
            Self::Uncommitted => 0,
            Self::Committed => 1,
        }
    }
}

/// How batches are looked at.
#[derive(Debug, Clone, Copy)]
pub struct Apart {
    /// The offset that was asked for; records before it are passed over
    pub from: i64,
    /// Whether checksums are compared
    pub check: bool,
    /// Whether records of aborted transactions are passed over
    pub isolation: Isolation,
}

/// The transactions that were aborted among the batches.
#[derive(Debug, Default)]
pub struct Aborted {
    /// Producer and first offset, by first offset
    ahead: VecDeque<(i64, i64)>,
    /// Producers whose records are passed over now
    now: HashSet<i64>,
}

impl Aborted {
    /// As the broker lists them.
    #[must_use]
    pub fn new(mut list: Vec<(i64, i64)>) -> Self {
        list.sort_unstable_by_key(|(_, first)| *first);
        Self { ahead: list.into(), now: HashSet::new() }
    }

    /// Whether a transactional batch was aborted.
    fn hides(&mut self, producer: i64, last_offset: i64) -> bool {
        while let Some((aborted, _)) = self.ahead.pop_front_if(|(_, first)| *first <= last_offset) {
            self.now.insert(aborted);
        }
        self.now.contains(&producer)
    }

    /// A transaction of this producer ends here as aborted; what follows is another one's.
    fn ended(&mut self, producer: i64, last_offset: i64) {
        self.hides(producer, last_offset);
        self.now.remove(&producer);
    }
}

/// What was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The offset to go on from
    pub next: i64,
    /// The epoch of the last batch; None when there was none
    pub epoch: Option<i32>,
    /// Why it ends before the end, at `next`
    pub fault: Option<Malformed>,
}

/// Bytes before a version 2 batch's records, from its base offset on.
pub(super) const HEAD: usize = 61;
/// Of these, the base offset and the length, which the length does not count.
pub(super) const LENGTH_END: usize = 12;
/// Where the part begins that the checksum covers.
pub(super) const CHECKED_FROM: usize = 21;
/// Where the version stands in every format.
pub(super) const MAGIC_AT: usize = 16;

/// When so much has been unpacked, what follows is left for the next answer.
const ENOUGH: usize = 32 * 1024 * 1024;

/// Takes batches apart: `records` get what is to be seen, with places in `bytes`. When any batch is compressed, `bytes` are
/// replaced by `spare` with everything unpacked. A last batch that is cut off is left alone, and so are those behind
/// 32 MiB of unpacked records.
pub fn take_apart(
    bytes: &mut Vec<u8>,
    spare: impl FnOnce() -> Vec<u8>,
    how: Apart,
    aborted: &mut Aborted,
    records: &mut Vec<Envelope>,
) -> Found {
    let mut found = Found { next: how.from, epoch: None, fault: None };
    let is_packed = batches(bytes).any(|batch| attributes(batch).is_some_and(|bits| bits & 0x07 != 0));
    let mut unpacked = is_packed.then(|| {
        let mut room = spare();
        room.clear();
        room
    });
    let mut start = 0;
    for batch in batches(bytes) {
        if unpacked.as_ref().is_some_and(|room| room.len() > ENOUGH) {
            break;
        }
        let outcome = match batch[MAGIC_AT] {
            2 => version_2(batch, start, how, aborted, unpacked.as_mut(), records, &mut found),
            0 | 1 => messages_v1::take_apart(batch, start, how, unpacked.as_mut(), records, &mut found),
            _ => Err(Malformed("a batch is of a format that is not known")),
        };
        if let Err(fault) = outcome {
            // What came of this batch is not trusted.
            records.truncate(records.partition_point(|record| record.offset < found.next));
            found.fault = Some(fault);
            break;
        }
        start += batch.len();
    }
    if let Some(unpacked) = unpacked {
        *bytes = unpacked;
    }
    found
}

/// The batches that are there as a whole.
fn batches(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = rest.get(8..LENGTH_END)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))?;
        let length = usize::try_from(length).ok()?.checked_add(LENGTH_END)?.max(MAGIC_AT + 1);
        let (batch, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(batch)
    })
}

/// The attributes of a batch or message.
fn attributes(batch: &[u8]) -> Option<i16> {
    match *batch.get(MAGIC_AT)? {
        2 => batch.get(CHECKED_FROM..)?.first_chunk().map(|bytes| i16::from_be_bytes(*bytes)),
        _ => batch.get(MAGIC_AT + 1).map(|bits| i16::from(*bits)),
    }
}

fn version_2(
    batch: &[u8],
    start: usize,
    how: Apart,
    aborted: &mut Aborted,
    unpacked: Option<&mut Vec<u8>>,
    records: &mut Vec<Envelope>,
    found: &mut Found,
) -> Result<(), Malformed> {
    let mut head = Reader::new(batch);
    let base = head.i64()?;
    let _length = head.i32()?;
    let epoch = head.i32()?;
    let _magic = head.i8()?;
    let checksum = head.u32()?;
    if how.check && crc32c::crc32c(&batch[CHECKED_FROM..]) != checksum {
        return Err(Malformed("a batch's checksum does not fit"));
    }
    let attributes = head.i16()?;
    let last = base.wrapping_add(i64::from(head.i32()?));
    let (base_time, max_time) = (head.i64()?, head.i64()?);
    let producer = head.i64()?;
    let _producer_epoch = head.i16()?;
    let _sequence = head.i32()?;
    let count = usize::try_from(head.i32()?).map_err(|_| Malformed("a batch has fewer records than none"))?;
    let (is_transactional, is_control) = (attributes & 0x10 != 0, attributes & 0x20 != 0);
    let times = Times { base: base_time, logged: (attributes & 0x08 != 0).then_some(max_time) };
    let packed = &batch[HEAD..];
    let committed_only = how.isolation == Isolation::Committed;
    let is_hidden = is_control || (committed_only && is_transactional && aborted.hides(producer, last));
    if is_control {
        if committed_only && is_abort(packed)? {
            aborted.ended(producer, last);
        }
    } else if !is_hidden {
        match unpacked {
            None => read_records(packed, start + HEAD, count, base, how.from, times, records)?,
            Some(room) => {
                let at = room.len();
                match attributes & 0x07 {
                    0 => room.extend_from_slice(packed),
                    codec => unpack(codec, packed, room)?,
                }
                read_records(&room[at..], at, count, base, how.from, times, records)?;
            }
        }
    }
    found.next = found.next.max(last.saturating_add(1));
    found.epoch = Some(epoch);
    Ok(())
}

/// Whether a control batch ends a transaction as aborted: its one record's key says so.
fn is_abort(records: &[u8]) -> Result<bool, Malformed> {
    let mut reader = Reader::new(records);
    let (_length, _attributes) = (reader.varint()?, reader.i8()?);
    let (_time, _offset, key) = (reader.varint()?, reader.varint()?, reader.varint()?);
    if key < 4 {
        return Err(Malformed("a control record has no kind"));
    }
    let (_version, kind) = (reader.i16()?, reader.i16()?);
    Ok(kind == 0)
}

/// The timestamps of a batch.
#[derive(Clone, Copy)]
struct Times {
    base: i64,
    /// When the broker wrote the batch, if it says so
    logged: Option<i64>,
}

impl Times {
    fn of(self, delta: i64) -> (Option<i64>, TimestampKind) {
        match self.logged {
            Some(time) => (Some(time), TimestampKind::LogAppendTime),
            None => match self.base.wrapping_add(delta) {
                -1 => (None, TimestampKind::None),
                time => (Some(time), TimestampKind::CreateTime),
            },
        }
    }
}

/// Reads `count` records from `bytes`, which lie at `start` of the buffer that is kept.
fn read_records(
    bytes: &[u8],
    start: usize,
    count: usize,
    base: i64,
    from: i64,
    times: Times,
    records: &mut Vec<Envelope>,
) -> Result<(), Malformed> {
    // A record takes seven bytes at least.
    records.reserve(count.min(bytes.len() / 7));
    let mut reader = Reader::new(bytes);
    for _ in 0..count {
        let length = usize::try_from(reader.varint()?).map_err(|_| Malformed("a record's length is negative"))?;
        let end = reader.at() + length;
        if length > reader.left() {
            return Err(Malformed("a record ends behind its batch"));
        }
        let _attributes = reader.i8()?;
        let (time, offset) = (reader.varint()?, base.wrapping_add(reader.varint()?));
        let (key, value) = (payload(&mut reader, start)?, payload(&mut reader, start)?);
        let headers = match reader.varint()? {
            0 => None,
            count => Some(read_headers(&mut reader, bytes, start, count)?),
        };
        if reader.at() != end {
            return Err(Malformed("a record is not as long as it says"));
        }
        if offset >= from {
            let (timestamp_ms, timestamp_kind) = times.of(time);
            records.push(Envelope { offset, timestamp_ms, timestamp_kind, key, value, headers });
        }
    }
    Ok(())
}

/// A length and so many bytes, or none.
#[inline]
fn payload(reader: &mut Reader<'_>, start: usize) -> Result<Span, Malformed> {
    let length = reader.varint()?;
    if length < 0 {
        return Ok(Span::NONE);
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let at = start + reader.at();
    reader.take(length)?;
    Ok(Span::new(at, length))
}

fn read_headers(
    reader: &mut Reader<'_>,
    bytes: &[u8],
    start: usize,
    count: i64,
) -> Result<Box<[RawHeader]>, Malformed> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count > reader.left() / 2 {
        return Err(Malformed("a record has more headers than fit"));
    }
    let mut headers = Vec::with_capacity(count);
    for _ in 0..count {
        let name = payload(reader, start)?.range().ok_or(Malformed("a header has no name"))?;
        let name = String::from_utf8_lossy(&bytes[name.start - start..name.end - start]);
        headers.push((Text::from(&*name), payload(reader, start)?));
    }
    Ok(headers.into())
}

#[cfg(test)]
mod tests;
