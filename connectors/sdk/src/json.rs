//! The only JSON reader and writer of the record path. Reading is lazy: [`validate`] checks the syntax of all of it once,
//! [`parse_level`] opens one level and leaves subtrees as slices of the same buffer.

pub(crate) mod scan;

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::IgnoredAny;

use crate::{Error, Result, Value};
use scan::{Fault, Scanner, Text};

/// Deeper nesting is refused at decode, so that no later step can exhaust its stack.
pub const MAX_DEPTH: usize = 128;

/// Checks that `bytes` are one JSON value: syntax, UTF-8, nesting of at most [`MAX_DEPTH`].
///
/// # Errors
/// `BadRecord`, with line and column.
pub fn validate(bytes: &[u8]) -> Result<()> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Error::bad_record(format!("not JSON: invalid UTF-8 at byte {}", error.valid_up_to())));
    }
    let mut scanner = Scanner::new(bytes);
    scanner.value().and_then(|_| scanner.end()).map_err(|fault| refused(bytes, fault))
}

/// The error about text that the scanner refuses. serde_json tells best what is wrong with it.
pub(crate) fn refused(bytes: &[u8], fault: Fault) -> Error {
    match fault {
        Fault::Depth => Error::bad_record(format!("JSON nested deeper than {MAX_DEPTH} levels")),
        Fault::Syntax(at) => match serde_json::from_slice::<IgnoredAny>(bytes) {
            Err(error) => not_json(&error),
            Ok(_) => Error::bad_record(format!("not JSON: byte {at} is not expected")),
        },
    }
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::bad_record(format!("not JSON: {error}"))
}

/// Opens one level: a scalar becomes its value, a map or list its members with nested maps and lists still bytes. Numbers
/// that fit neither `i64` nor a round-tripping `f64` stay [`Value::Json`].
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn parse_level(bytes: &Bytes) -> Result<Value> {
    level(bytes, member)
}

/// As [`parse_level`], but every member of a map or list stays bytes, so that numbers keep their spelling.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn parse_members(bytes: &Bytes) -> Result<Value> {
    level(bytes, |buffer, range| Ok(Value::Json(buffer.slice(range))))
}

/// What becomes of a member of a map or list
type Member = fn(&Bytes, Range<usize>) -> Result<Value>;

/// Opens one level.
fn level(buffer: &Bytes, of_member: Member) -> Result<Value> {
    let wrong = |fault| refused(buffer, fault);
    let mut scanner = Scanner::new(buffer);
    let mut index = 0;
    let value = if scanner.take(b'{') {
        let mut fields: Vec<(ByteString, Value)> = Vec::new();
        while scanner.more(index, b'}').map_err(wrong)? {
            index += 1;
            let name = scanner.name().map_err(wrong)?;
            let range = scanner.value().map_err(wrong)?;
            let (name, value) = (text_at(buffer, &name)?, of_member(buffer, range)?);
            // The last of repeated names wins, in the place of the first, as in Java's LinkedHashMap.
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some((_, old)) => *old = value,
                None => fields.push((name, value)),
            }
        }
        Value::Map(fields)
    } else if scanner.take(b'[') {
        let mut items = Vec::new();
        while scanner.more(index, b']').map_err(wrong)? {
            index += 1;
            let range = scanner.value().map_err(wrong)?;
            items.push(of_member(buffer, range)?);
        }
        Value::List(items)
    } else {
        let range = scanner.value().map_err(wrong)?;
        member(buffer, range)?
    };
    scanner.end().map_err(wrong)?;
    Ok(value)
}

/// Parses everything, subtrees too.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn parse_deep(bytes: &Bytes) -> Result<Value> {
    deepen(parse_level(bytes)?)
}

fn deepen(value: Value) -> Result<Value> {
    Ok(match value {
        Value::List(items) => Value::List(items.into_iter().map(deepen).collect::<Result<_>>()?),
        Value::Map(fields) => {
            Value::Map(fields.into_iter().map(|(key, value)| Ok((key, deepen(value)?))).collect::<Result<_>>()?)
        }
        Value::Json(bytes) if matches!(bytes.first(), Some(b'{' | b'[')) => parse_deep(&bytes)?,
        other => other,
    })
}

/// The bytes of a map's field `name` (the last one, when names repeat); None when there is none or this is not a map.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn find(bytes: &Bytes, name: &str) -> Result<Option<Bytes>> {
    let wrong = |fault| refused(bytes, fault);
    let mut scanner = Scanner::new(bytes);
    if !scanner.take(b'{') {
        return Ok(None);
    }
    let (mut found, mut index) = (None, 0);
    while scanner.more(index, b'}').map_err(wrong)? {
        index += 1;
        let key = scanner.name().map_err(wrong)?;
        let range = scanner.value().map_err(wrong)?;
        let is_it = match &bytes[key.content.clone()] {
            plain if !key.escaped => plain == name.as_bytes(),
            _ => text_at(bytes, &key)? == *name,
        };
        if is_it {
            found = Some(range);
        }
    }
    Ok(found.map(|range| bytes.slice(range)))
}

/// What a number's text says.
pub(crate) fn number(text: &str) -> Number {
    if let Ok(integer) = text.parse::<i64>() {
        return Number::Int(integer);
    }
    if !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
        return Number::Beyond; // an integer beyond 64 bits keeps all its digits
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Number::Float(float),
        _ => Number::Beyond,
    }
}

/// A number as far as it fits a type of Rust's
pub(crate) enum Number {
    Int(i64),
    Float(f64),
    /// Neither
    Beyond,
}

fn member(buffer: &Bytes, range: Range<usize>) -> Result<Value> {
    let bytes = &buffer[range.clone()];
    Ok(match bytes.first() {
        Some(b'"') => {
            let content = range.start + 1..range.end - 1;
            Value::Str(text_at(buffer, &Text { content, escaped: bytes.contains(&b'\\') })?)
        }
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') => Value::Null,
        Some(b'{' | b'[') => Value::Json(buffer.slice(range)),
        _ => match std::str::from_utf8(bytes).map_or(Number::Beyond, number) {
            Number::Int(integer) => Value::Int(integer),
            Number::Float(float) => Value::Float(float),
            Number::Beyond => Value::Json(buffer.slice(range)),
        },
    })
}

/// A text of the buffer: a slice of it unless it has escapes.
fn text_at(buffer: &Bytes, text: &Text) -> Result<ByteString> {
    let content = text.content.clone();
    if text.escaped {
        let literal = &buffer[content.start - 1..content.end + 1];
        return serde_json::from_slice::<String>(literal).map(ByteString::from).map_err(|error| not_json(&error));
    }
    ByteString::try_from(buffer.slice(content)).map_err(|_| Error::bad_record("not JSON: invalid UTF-8"))
}

/// Appends a value as JSON. Untouched JSON is copied verbatim; bytes become base64 text, decimals their unscaled bytes in
/// base64, dates and times their numbers, all as Connect's `JsonConverter` writes them.
///
/// # Errors
/// `BadRecord` for a float that JSON cannot say (NaN, infinities).
pub fn write(value: &Value, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(integer) | Value::Timestamp(integer) => write_plain(integer, out),
        Value::Date(number) | Value::Time(number) => write_plain(number, out),
        Value::Float(float) if float.is_finite() => write_plain(float, out),
        Value::Float(float) => return Err(Error::bad_record(format!("JSON has no number {float}"))),
        Value::Str(text) => write_text(text, out),
        Value::Bytes(bytes) => write_base64(bytes, out),
        Value::Decimal(decimal) => write_base64(&decimal.unscaled, out),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Map(fields) => {
            out.push(b'{');
            for (i, (key, value)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_text(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
        Value::Json(bytes) => out.extend_from_slice(bytes),
    }
    Ok(())
}

fn write_plain(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // Writing a number into a Vec cannot fail.
    let _ = serde_json::to_writer(out, value);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let _ = serde_json::to_writer(out, text);
}

fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    use base64::Engine as _;
    out.push(b'"');
    out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests;
