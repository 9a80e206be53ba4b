//! The only JSON reader and writer of the record path. Reading is lazy: [`validate`] checks the syntax of all of it once,
//! [`parse_level`] opens one level and leaves subtrees as slices of the same buffer.

mod escape;
mod marks;
mod members;
mod names;
mod scan;

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::{Error, Result, Text, Value};
pub use escape::write_text;
pub use members::{Layout, Member, members};
pub use names::lasting_name;
use names::{Found, Level};
pub use scan::{Fault, Quoted, Scanner, Token};

/// Deeper nesting is refused at decode, so that no later step can exhaust its stack.
pub const MAX_DEPTH: usize = 128;

/// Checks that `bytes` are one JSON value: syntax, UTF-8, nesting of at most [`MAX_DEPTH`].
///
/// # Errors
/// `BadRecord`, with line and column.
pub fn validate(bytes: &[u8]) -> Result<()> {
    check_utf8(bytes)?;
    let mut scanner = Scanner::new(bytes);
    scanner.value().and_then(|_| scanner.end()).map_err(|fault| refused(bytes, fault))
}

/// The text, which a [`Scanner`] leaves to its caller to check.
///
/// # Errors
/// `BadRecord` when the bytes are not UTF-8.
pub fn check_utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Error::bad_record(format!("not JSON: invalid UTF-8 at byte {}", error.valid_up_to())))
}

/// The error about text that the scanner refuses. serde_json tells best what is wrong with it.
#[must_use]
pub fn refused(bytes: &[u8], fault: Fault) -> Error {
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
    level(bytes, |buffer, token| Ok(Value::Json(buffer.slice(token.range()))))
}

/// As [`validate`] and [`parse_level`], in one pass over the text.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn open(bytes: &Bytes) -> Result<Value> {
    check_utf8(bytes)?;
    parse_level(bytes)
}

/// Opens one level; `of_member` says what becomes of its members.
#[inline]
fn level(buffer: &Bytes, of_member: impl Fn(&Bytes, Token) -> Result<Value>) -> Result<Value> {
    let wrong = |fault| refused(buffer, fault);
    let mut scanner = Scanner::new(buffer);
    let value = if scanner.enter(b'{').map_err(wrong)? {
        Value::Map(names::level(|names| map_level(buffer, &mut scanner, names, &of_member))?)
    } else if scanner.enter(b'[').map_err(wrong)? {
        let (mut items, mut index) = (Vec::new(), 0);
        while scanner.more(index, b']').map_err(wrong)? {
            index += 1;
            let token = scanner.token().map_err(wrong)?;
            items.push(of_member(buffer, token)?);
        }
        Value::List(items)
    } else {
        let token = scanner.token().map_err(wrong)?;
        member(buffer, token)?
    };
    scanner.end().map_err(wrong)?;
    Ok(value)
}

/// Room for what transforms add.
const ROOM: usize = 3;
/// So many names are compared one by one; more are looked up, so that no record costs more than its length.
const FEW_NAMES: usize = 64;

/// The fields of a map whose brace is taken.
fn map_level(
    buffer: &Bytes,
    scanner: &mut Scanner<'_>,
    names: &mut Level<'_>,
    of_member: impl Fn(&Bytes, Token) -> Result<Value>,
) -> Result<Vec<(Text, Value)>> {
    let wrong = |fault| refused(buffer, fault);
    let mut fields: Vec<(Text, Value)> = Vec::new();
    // Whether some name is not among those that are told apart by their place
    let (mut index, mut unknown) = (0, false);
    let mut places: HashMap<Text, usize> = HashMap::new();
    while scanner.more(index, b'}').map_err(wrong)? {
        index += 1;
        let text = scanner.name().map_err(wrong)?;
        let token = scanner.token().map_err(wrong)?;
        let value = of_member(buffer, token)?;
        let (name, again) = if text.escaped {
            (text_at(buffer, &text)?, true)
        } else {
            match names.find(&buffer[text.content.clone()]) {
                Found::New(name) => (name, unknown),
                Found::Again(name) => (name, true),
                Found::Unknown => (text_at(buffer, &text)?, true),
            }
        };
        unknown |= text.escaped || again;
        if fields.capacity() == 0 {
            fields.reserve_exact(names.usual_fields() + ROOM);
        }
        // The last of repeated names wins, in the place of the first, as in Java's LinkedHashMap.
        let earlier = if !again {
            None
        } else if fields.len() <= FEW_NAMES {
            fields.iter().position(|(known, _)| *known == name)
        } else {
            let new = fields.iter().enumerate().skip(places.len());
            places.extend(new.map(|(place, (known, _))| (known.clone(), place)));
            places.get(&name).copied()
        };
        match earlier {
            Some(place) => fields[place].1 = value,
            None => fields.push((name, value)),
        }
    }
    names.learn(fields.len());
    Ok(fields)
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
    if !scanner.enter(b'{').map_err(wrong)? {
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
#[must_use]
pub fn number(text: &str) -> Number {
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole one of 64 bits
    Int(i64),
    /// With a point or an exponent
    Float(f64),
    /// Neither: more digits, or larger
    Beyond,
}

/// Puts the value of a map's member that [`members`] has found where it shall be, as [`parse_level`] leaves it.
///
/// # Errors
/// `BadRecord` when the bytes are not JSON.
pub fn read_member(bytes: &Bytes, place: Range<usize>, to: &mut Value) -> Result<()> {
    let token = match bytes.get(place.start) {
        Some(b'"') => {
            let content = place.start + 1..place.end - 1;
            Token::Text(Quoted { escaped: bytes[content.clone()].contains(&b'\\'), content })
        }
        Some(b'{' | b'[') => Token::Nested(place),
        Some(word @ b'a'..=b'z') => Token::Word(*word, place),
        _ => Token::Number(place),
    };
    match token {
        // Written as they are, without being moved.
        Token::Number(range) => read_number(bytes, range, to),
        other => *to = member(bytes, other)?,
    }
    Ok(())
}

fn member(buffer: &Bytes, token: Token) -> Result<Value> {
    Ok(match token {
        Token::Text(text) => Value::Str(text_at(buffer, &text)?),
        Token::Word(b't', _) => Value::Bool(true),
        Token::Word(b'f', _) => Value::Bool(false),
        Token::Word(..) => Value::Null,
        Token::Nested(range) => Value::Json(buffer.slice(range)),
        Token::Number(range) => {
            let mut value = Value::Null;
            read_number(buffer, range, &mut value);
            value
        }
    })
}

#[inline]
fn read_number(buffer: &Bytes, range: Range<usize>, to: &mut Value) {
    *to = match std::str::from_utf8(&buffer[range.clone()]).map_or(Number::Beyond, number) {
        Number::Int(integer) => Value::Int(integer),
        Number::Float(float) => Value::Float(float),
        Number::Beyond => Value::Json(buffer.slice(range)),
    };
}

/// A text of the buffer: a slice of it unless it has escapes.
///
/// # Errors
/// `BadRecord` when it is not UTF-8.
pub fn text_at(buffer: &Bytes, text: &Quoted) -> Result<Text> {
    let content = text.content.clone();
    if text.escaped {
        let literal = &buffer[content.start - 1..content.end + 1];
        return serde_json::from_slice::<String>(literal).map(Text::from).map_err(|error| not_json(&error));
    }
    Text::slice(buffer, content).map_err(|_| Error::bad_record("not JSON: invalid UTF-8"))
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

/// Appends bytes as a base64 text.
pub fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    use base64::Engine as _;
    out.push(b'"');
    out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests;
