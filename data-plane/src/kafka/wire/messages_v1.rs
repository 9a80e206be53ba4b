//! Message sets of the versions 0 and 1, as brokers before 0.11 wrote them: one message each with its own checksum, or a wrapper
//! whose value is a compressed set.

use millrace_sdk::TimestampKind;

use super::super::envelope::{Envelope, Span};
use super::codec::{Malformed, Reader};
use super::compression::unpack;
use super::records::{Apart, Found, LENGTH_END};

/// Where the part begins that the checksum covers: behind offset, length and checksum.
const CHECKED_FROM: usize = 16;

/// A message and where its value is.
struct Message {
    offset: i64,
    magic: i8,
    attributes: i8,
    timestamp: i64,
    key: Span,
    value: Span,
}

/// As `records::take_apart`, for one message or wrapper that lies at `start` of the buffer.
pub(super) fn take_apart(
    bytes: &[u8],
    start: usize,
    how: Apart,
    room: Option<&mut Vec<u8>>,
    records: &mut Vec<Envelope>,
    found: &mut Found,
) -> Result<(), Malformed> {
    let outer = read(&mut Reader::new(bytes), how.check)?;
    let offset = outer.offset;
    match (room, outer.attributes & 0x07) {
        (None, _) => push(outer, start, how, None, records),
        (Some(room), 0) => {
            let at = room.len();
            room.extend_from_slice(bytes);
            push(outer, at, how, None, records);
        }
        (Some(room), codec) => {
            let value = outer.value.range().ok_or(Malformed("a compressed message is empty"))?;
            let at = room.len();
            unpack(i16::from(codec), &bytes[value], room)?;
            let mut reader = Reader::new(&room[at..]);
            let mut inner = Vec::new();
            while reader.left() > LENGTH_END {
                let at = at + reader.at();
                inner.push((read(&mut reader, how.check)?, at));
            }
            // Version 1 counts within a wrapper from 0 on; the wrapper bears the last one's offset.
            let last = inner.last().map_or(0, |(message, _)| message.offset);
            let base = if outer.magic == 1 { offset.wrapping_sub(last) } else { 0 };
            let logged = (outer.attributes & 0x08 != 0).then_some(outer.timestamp);
            for (mut message, at) in inner {
                message.offset = message.offset.wrapping_add(base);
                push(message, at, how, logged, records);
            }
        }
    }
    found.next = found.next.max(offset.saturating_add(1));
    found.epoch = Some(-1);
    Ok(())
}

fn read(reader: &mut Reader<'_>, check: bool) -> Result<Message, Malformed> {
    let offset = reader.i64()?;
    let size = usize::try_from(reader.i32()?).map_err(|_| Malformed("a message's length is negative"))?;
    let bytes = reader.take(size)?;
    let mut message = Reader::new(bytes);
    let checksum = message.u32()?;
    if check && crc32fast::hash(&bytes[CHECKED_FROM - LENGTH_END..]) != checksum {
        return Err(Malformed("a message's checksum does not fit"));
    }
    let (magic, attributes) = (message.i8()?, message.i8()?);
    let timestamp = match magic {
        0 => -1,
        1 => message.i64()?,
        _ => return Err(Malformed("a message is of a format that is not known")),
    };
    let (key, value) = (payload(&mut message)?, payload(&mut message)?);
    Ok(Message { offset, magic, attributes, timestamp, key, value })
}

/// A payload's place, counted from the message's offset field on.
fn payload(message: &mut Reader<'_>) -> Result<Span, Malformed> {
    let Ok(length) = usize::try_from(message.i32()?) else { return Ok(Span::NONE) };
    let at = LENGTH_END + message.at();
    message.take(length)?;
    Ok(Span::new(at, length))
}

fn push(message: Message, start: usize, how: Apart, logged: Option<i64>, records: &mut Vec<Envelope>) {
    if message.offset < how.from {
        return;
    }
    let logged = logged.or((message.attributes & 0x08 != 0).then_some(message.timestamp));
    let (timestamp_ms, timestamp_kind) = match (logged, message.timestamp) {
        (Some(time), _) => (Some(time), TimestampKind::LogAppendTime),
        (None, -1) => (None, TimestampKind::None),
        (None, time) => (Some(time), TimestampKind::CreateTime),
    };
    let place = |span: Span| span.range().map_or(Span::NONE, |range| Span::new(start + range.start, range.len()));
    let (key, value) = (place(message.key), place(message.value));
    records.push(Envelope { offset: message.offset, timestamp_ms, timestamp_kind, key, value, headers: None });
}
