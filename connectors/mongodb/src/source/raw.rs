//! BSON as bytes: documents are walked where they lie, nothing is copied and nothing is built.

use millrace_sdk::{Error, Result};

/// Element types.
pub(crate) mod kind {
    pub(crate) const DOUBLE: u8 = 0x01;
    pub(crate) const STRING: u8 = 0x02;
    pub(crate) const DOCUMENT: u8 = 0x03;
    pub(crate) const ARRAY: u8 = 0x04;
    pub(crate) const BINARY: u8 = 0x05;
    pub(crate) const UNDEFINED: u8 = 0x06;
    pub(crate) const OBJECT_ID: u8 = 0x07;
    pub(crate) const BOOLEAN: u8 = 0x08;
    pub(crate) const DATE: u8 = 0x09;
    pub(crate) const NULL: u8 = 0x0a;
    pub(crate) const REGEX: u8 = 0x0b;
    pub(crate) const DB_POINTER: u8 = 0x0c;
    pub(crate) const CODE: u8 = 0x0d;
    pub(crate) const SYMBOL: u8 = 0x0e;
    pub(crate) const CODE_WITH_SCOPE: u8 = 0x0f;
    pub(crate) const INT32: u8 = 0x10;
    pub(crate) const TIMESTAMP: u8 = 0x11;
    pub(crate) const INT64: u8 = 0x12;
    pub(crate) const DECIMAL: u8 = 0x13;
    pub(crate) const MIN_KEY: u8 = 0xff;
    pub(crate) const MAX_KEY: u8 = 0x7f;
}

/// Deeper nesting than any server stores.
pub(crate) const MAX_DEPTH: usize = 200;

/// One value: its type, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    pub(crate) kind: u8,
    pub(crate) bytes: &'a [u8],
}

/// The elements of a document or an array, in order.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

pub(crate) fn malformed() -> Error {
    Error::bad_record("not well-formed BSON")
}

/// The elements of a document or array.
///
/// # Errors
/// `BadRecord` when its length is not what it says.
pub(crate) fn elements(document: &[u8]) -> Result<Elements<'_>> {
    let length = int32(document)?;
    let whole = usize::try_from(length).is_ok_and(|length| length == document.len());
    match document {
        [_, _, _, _, rest @ .., 0] if whole => Ok(Elements { rest }),
        _ => Err(malformed()),
    }
}

/// The value of a field.
///
/// # Errors
/// `BadRecord` for malformed BSON.
pub(crate) fn field<'a>(document: &'a [u8], name: &str) -> Result<Option<Raw<'a>>> {
    for element in elements(document)? {
        let (found, value) = element?;
        if found == name.as_bytes() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

impl<'a> Elements<'a> {
    fn take(&mut self) -> Option<(&'a [u8], Raw<'a>)> {
        let (&kind, rest) = self.rest.split_first()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (name, rest) = (&rest[..end], &rest[end + 1..]);
        let length = length(kind, rest)?;
        if length > rest.len() {
            return None;
        }
        let (bytes, rest) = rest.split_at(length);
        self.rest = rest;
        Some((name, Raw { kind, bytes }))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(&'a [u8], Raw<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.take() {
            Some(element) => Some(Ok(element)),
            None => {
                self.rest = &[];
                Some(Err(malformed()))
            }
        }
    }
}

/// How many bytes the value at the start of `rest` has.
fn length(kind: u8, rest: &[u8]) -> Option<usize> {
    let prefixed = |more: usize| {
        let length = usize::try_from(int32(rest).ok()?).ok()?;
        length.checked_add(more)
    };
    match kind {
        kind::DOUBLE | kind::DATE | kind::TIMESTAMP | kind::INT64 => Some(8),
        kind::STRING | kind::CODE | kind::SYMBOL => prefixed(4),
        kind::DOCUMENT | kind::ARRAY | kind::CODE_WITH_SCOPE => prefixed(0),
        kind::BINARY => prefixed(5),
        kind::UNDEFINED | kind::NULL | kind::MIN_KEY | kind::MAX_KEY => Some(0),
        kind::OBJECT_ID => Some(12),
        kind::BOOLEAN => Some(1),
        kind::REGEX => {
            let pattern = rest.iter().position(|byte| *byte == 0)? + 1;
            let options = rest[pattern..].iter().position(|byte| *byte == 0)? + 1;
            Some(pattern + options)
        }
        kind::DB_POINTER => prefixed(16),
        kind::INT32 => Some(4),
        kind::DECIMAL => Some(16),
        _ => None,
    }
}

/// The first four bytes as a number.
pub(crate) fn int32(bytes: &[u8]) -> Result<i32> {
    bytes.first_chunk().map(|four| i32::from_le_bytes(*four)).ok_or_else(malformed)
}

/// The first eight bytes as a number.
pub(crate) fn int64(bytes: &[u8]) -> Result<i64> {
    bytes.first_chunk().map(|eight| i64::from_le_bytes(*eight)).ok_or_else(malformed)
}

/// A string, code or symbol without its length and its NUL.
pub(crate) fn text(bytes: &[u8]) -> Result<&[u8]> {
    match bytes {
        [_, _, _, _, text @ .., 0] => Ok(text),
        _ => Err(malformed()),
    }
}

/// Subtype and content of a binary value; the old generic subtype (2) repeats the length inside.
pub(crate) fn binary(bytes: &[u8]) -> Result<(u8, &[u8])> {
    match bytes {
        [_, _, _, _, 2, _, _, _, _, content @ ..] => Ok((2, content)),
        [_, _, _, _, subtype, content @ ..] => Ok((*subtype, content)),
        _ => Err(malformed()),
    }
}

/// Seconds and increment of a timestamp.
pub(crate) fn timestamp(bytes: &[u8]) -> Result<(u32, u32)> {
    let both = int64(bytes)?.cast_unsigned();
    let low = u32::try_from(both & 0xffff_ffff).unwrap_or(0);
    Ok((u32::try_from(both >> 32).unwrap_or(0), low))
}

impl<'a> Raw<'a> {
    /// The document, when it is one.
    pub(crate) fn document(self) -> Option<&'a [u8]> {
        (self.kind == kind::DOCUMENT).then_some(self.bytes)
    }

    /// The text, when it is a string of valid UTF-8.
    pub(crate) fn str(self) -> Option<&'a str> {
        (self.kind == kind::STRING).then(|| text(self.bytes).ok().and_then(|text| std::str::from_utf8(text).ok()))?
    }
}
