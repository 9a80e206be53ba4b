//! Kafka's primitive types, both encodings: the plain one, and the compact one of "flexible" versions (KIP-482), whose lengths
//! are unsigned varints of one more than the length and whose structs end in tagged fields.

use std::borrow::Cow;
use std::io::IoSlice;

use bytes::Buf;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// Reads from the front of a slice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where it is.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(Malformed("it ends early"))?;
        self.at += length;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()).ok_or(Malformed("it ends early"))?;
        self.at += N;
        Ok(*bytes)
    }

    pub(super) fn i8(&mut self) -> Result<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// An unsigned varint of at most 32 bits.
    pub(super) fn uvarint(&mut self) -> Result<u32> {
        let mut value = 0_u32;
        for shift in (0..32).step_by(7) {
            let [byte] = self.array()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint is too long"))
    }

    /// A zigzag varint of at most 64 bits.
    #[inline]
    pub(super) fn varint(&mut self) -> Result<i64> {
        let rest = &self.bytes[self.at..];
        // Most lengths and deltas take one byte or two.
        if let Some(first) = rest.first().filter(|first| **first < 0x80) {
            self.at += 1;
            return Ok(zigzag(u64::from(*first)));
        }
        let mut value = 0_u64;
        for (index, byte) in rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.at += index + 1;
                return Ok(zigzag(value));
            }
        }
        Err(Malformed(if rest.len() < 10 { "it ends early" } else { "a varint is too long" }))
    }

    /// A string with a length of 16 bits; None for null.
    pub(super) fn string(&mut self) -> Result<Option<&'a str>> {
        let length = self.i16()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        std::str::from_utf8(self.take(length)?).map(Some).map_err(|_| Malformed("a string is not UTF-8"))
    }

    /// The length of an array whose elements take at least `least` bytes each.
    pub(super) fn count(&mut self, least: usize) -> Result<usize> {
        let count = usize::try_from(self.i32()?).unwrap_or(0);
        if count.saturating_mul(least) > self.left() {
            return Err(Malformed("an array is longer than what is left"));
        }
        Ok(count)
    }
}

#[inline]
fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Writes a request.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn i8(&mut self, value: i8) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }

    /// A zigzag varint.
    pub(super) fn varint(&mut self, value: i64) {
        let mut value = ((value << 1) ^ (value >> 63)).cast_unsigned();
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// The length of an array.
    pub(super) fn count(&mut self, count: usize) {
        self.i32(i32::try_from(count).unwrap_or(i32::MAX));
    }

    /// A string that is no longer than a topic's name or a client's may be.
    pub(super) fn string(&mut self, text: &str) {
        self.i16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend(&text.as_bytes()[..text.len().min(i16::MAX as usize)]);
    }

    pub(super) fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    /// No string.
    pub(super) fn null_string(&mut self) {
        self.i16(-1);
    }

    /// The length of a compact array or string.
    pub(super) fn compact_count(&mut self, count: usize) {
        self.uvarint(u32::try_from(count + 1).unwrap_or(u32::MAX));
    }

    pub(super) fn compact_string(&mut self, text: &str) {
        self.compact_count(text.len());
        self.0.extend(text.as_bytes());
    }

    /// No tagged fields.
    pub(super) fn no_tags(&mut self) {
        self.uvarint(0);
    }
}

/// Bytes that lie in several places and go out one after the other.
pub(super) struct Pieces<'a> {
    pieces: Vec<&'a [u8]>,
    /// How many are gone
    gone: usize,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(head: &'a [u8], rest: &'a [Cow<'_, [u8]>]) -> Self {
        let all = std::iter::once(head).chain(rest.iter().map(|piece| &**piece));
        Self { pieces: all.filter(|piece| !piece.is_empty()).collect(), gone: 0 }
    }
}

impl Buf for Pieces<'_> {
    fn remaining(&self) -> usize {
        self.pieces[self.gone..].iter().map(|piece| piece.len()).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.get(self.gone).copied().unwrap_or_default()
    }

    fn chunks_vectored<'b>(&'b self, to: &mut [IoSlice<'b>]) -> usize {
        let pieces = &self.pieces[self.gone..];
        to.iter_mut().zip(pieces).for_each(|(slot, piece)| *slot = IoSlice::new(piece));
        to.len().min(pieces.len())
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(piece) = self.pieces.get_mut(self.gone) {
            if count < piece.len() {
                *piece = &piece[count..];
                return;
            }
            count -= piece.len();
            self.gone += 1;
        }
        assert_eq!(count, 0, "more is gone than there was");
    }
}

/// How many bytes a zigzag varint takes.
#[inline]
pub(super) fn varint_len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
    (zigzag | 1).ilog2() as usize / 7 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_as_they_are_written() {
        for (bytes, value) in [
            (&[0][..], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0x7f], -64),
            (&[0x80, 0x01], 64),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MIN),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], i64::MAX),
        ] {
            assert_eq!(Reader::new(bytes).varint(), Ok(value), "{bytes:?}");
        }
        for value in [0, -1, 1, 63, 64, -64, -65, 8191, 8192, i64::MAX, i64::MIN] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(writer.0.len(), varint_len(value), "{value}");
            assert_eq!(Reader::new(&writer.0).varint(), Ok(value));
        }
        for bytes in [&[][..], &[0x80], &[0xff; 10]] {
            assert!(Reader::new(bytes).varint().is_err(), "{bytes:?}");
        }
        for value in [0, 1, 127, 128, 300, u32::MAX] {
            let mut writer = Writer::default();
            writer.uvarint(value);
            assert_eq!(Reader::new(&writer.0).uvarint(), Ok(value));
        }
        assert!(Reader::new(&[0xff; 5]).uvarint().is_err());
    }

    #[test]
    fn lengths_are_believed_only_as_far_as_there_is_something() {
        assert!(Reader::new(&[0x7f, 0xff, 0xff, 0xff, 0, 0]).count(1).is_err());
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff]).count(1), Ok(0), "null");
        assert_eq!(Reader::new(&[0xff, 0xff]).string(), Ok(None));
        assert_eq!(Reader::new(&[0, 2, b'h', b'i']).string(), Ok(Some("hi")));
        assert!(Reader::new(&[0, 3, b'h', b'i']).string().is_err());
        assert!(Reader::new(&[0, 1, 0xff]).string().is_err());
    }
}
