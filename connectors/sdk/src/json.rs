//! The only JSON reader and writer of the record path. Reading is lazy: [`validate`] checks the syntax of all of it once,
//! [`parse_level`] opens one level and leaves subtrees as slices of the same buffer.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Error, Result, Value};

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
    check_depth(bytes)?;
    serde_json::from_slice::<IgnoredAny>(bytes).map(|_| ()).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> Error {
    Error::bad_record(format!("not JSON: {error}"))
}

fn check_depth(bytes: &[u8]) -> Result<()> {
    // Most records have fewer brackets than the limit, which is cheaper to see than real depth.
    if bytes.iter().filter(|b| matches!(b, b'{' | b'[')).count() <= MAX_DEPTH {
        return Ok(());
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Error::bad_record(format!("JSON nested deeper than {MAX_DEPTH} levels")));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Opens one level: a scalar becomes its value, a map or list its members with nested maps and lists still bytes. Numbers
/// that fit neither `i64` nor a round-tripping `f64` stay [`Value::Json`].
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn parse_level(bytes: &Bytes) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let level = Level { buffer: bytes, member };
    let value = deserializer.deserialize_any(level).map_err(|error| not_json(&error))?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(match value {
        Value::Float(_) => number(bytes, trim(bytes)),
        other => other,
    })
}

/// As [`parse_level`], but every member of a map or list stays bytes, so that numbers keep their spelling.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn parse_members(bytes: &Bytes) -> Result<Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let raw: Member = |buffer, raw| Ok(Value::Json(buffer.slice_ref(raw.get().as_bytes())));
    let level = Level { buffer: bytes, member: raw };
    let value = deserializer.deserialize_any(level).map_err(|error| not_json(&error))?;
    deserializer.end().map_err(|error| not_json(&error))?;
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
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Ok(None);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let found = deserializer.deserialize_map(Find { name, buffer: bytes }).map_err(|error| not_json(&error))?;
    Ok(found)
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

fn number(buffer: &Bytes, text: &[u8]) -> Value {
    let raw = || Value::Json(buffer.slice_ref(text));
    let Ok(text) = std::str::from_utf8(text) else { return raw() };
    if let Ok(integer) = text.parse::<i64>() {
        return Value::Int(integer);
    }
    if !text.contains(['.', 'e', 'E']) {
        return raw(); // an integer beyond 64 bits keeps all its digits
    }
    match text.parse::<f64>() {
        Ok(float) if float.is_finite() => Value::Float(float),
        _ => raw(),
    }
}

fn member(buffer: &Bytes, raw: &RawValue) -> serde_json::Result<Value> {
    let text = raw.get().as_bytes();
    Ok(match text.first() {
        Some(b'"') => Value::Str(text_of(buffer, raw.get())?),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') => Value::Null,
        Some(b'{' | b'[') => Value::Json(buffer.slice_ref(text)),
        _ => number(buffer, text),
    })
}

/// The text of a JSON string literal: a slice of the buffer unless it has escapes.
fn text_of(buffer: &Bytes, literal: &str) -> serde_json::Result<ByteString> {
    if literal.contains('\\') {
        return serde_json::from_str::<String>(literal).map(ByteString::from);
    }
    slice_text(buffer, &literal[1..literal.len() - 1])
}

fn slice_text(buffer: &Bytes, text: &str) -> serde_json::Result<ByteString> {
    ByteString::try_from(buffer.slice_ref(text.as_bytes())).map_err(serde::de::Error::custom)
}

/// What becomes of a member of a map or list
type Member = fn(&Bytes, &RawValue) -> serde_json::Result<Value>;

struct Level<'a> {
    buffer: &'a Bytes,
    member: Member,
}

impl<'de> Visitor<'de> for Level<'de> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    #[allow(clippy::cast_precision_loss)] // replaced by `number` afterwards, from the text
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<Value, E> {
        slice_text(self.buffer, value).map(Value::Str).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Str(ByteString::from(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            items.push((self.member)(self.buffer, raw).map_err(serde::de::Error::custom)?);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields: Vec<(ByteString, Value)> = Vec::new();
        while let Some((Name(key), raw)) = map.next_entry::<Name<'de>, &RawValue>()? {
            let key = match key {
                Cow::Borrowed(text) => slice_text(self.buffer, text).map_err(serde::de::Error::custom)?,
                Cow::Owned(text) => ByteString::from(text),
            };
            let value = (self.member)(self.buffer, raw).map_err(serde::de::Error::custom)?;
            // The last of repeated names wins, in the place of the first, as in Java's LinkedHashMap.
            match fields.iter_mut().find(|(name, _)| *name == key) {
                Some((_, old)) => *old = value,
                None => fields.push((key, value)),
            }
        }
        Ok(Value::Map(fields))
    }
}

/// A name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Find<'a> {
    name: &'a str,
    buffer: &'a Bytes,
}

impl<'de> Visitor<'de> for Find<'de> {
    type Value = Option<Bytes>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Name(key)) = map.next_key::<Name<'de>>()? {
            if key == self.name {
                let raw = map.next_value::<&RawValue>()?;
                found = Some(self.buffer.slice_ref(raw.get().as_bytes()));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
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
