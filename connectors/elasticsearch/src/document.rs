//! A record's document as one line of JSON, and its id.

use bytes::Bytes;
use millrace_sdk::{Datum, Decimal, Error, Result, Value, json};

/// The longest `_id` that Elasticsearch takes.
pub(crate) const MAX_ID_BYTES: usize = 512;

/// The `_id` that a key gives, as the peer makes it: a text as it is, an integer in digits.
///
/// # Errors
/// `BadRecord` for any other key.
pub(crate) fn id(key: &Datum) -> Result<String> {
    let value = match key {
        Datum::Decoded { value, .. } => value.open()?,
        other => other.value(),
    };
    let id = match value {
        Value::Str(text) => text.to_string(),
        Value::Int(integer) => integer.to_string(),
        Value::Null => {
            return Err(Error::bad_record(
                "the record has no key, and the key is the document's _id: give the records keys, or set key.ignore=true",
            ));
        }
        other => {
            return Err(Error::bad_record(format!(
                "the key is the document's _id and must be a text or an integer, found {}; use the String converter for \
                 keys, or set key.ignore=true",
                other.type_name()
            )));
        }
    };
    if id.is_empty() {
        return Err(Error::bad_record("the key is the document's _id and must not be empty"));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(Error::bad_record(format!(
            "the key is the document's _id and has {} bytes; Elasticsearch takes at most {MAX_ID_BYTES}",
            id.len()
        )));
    }
    Ok(id)
}

/// Appends a value as one line of JSON.
///
/// # Errors
/// `BadRecord` when it is not a JSON object.
pub(crate) fn write(value: &Datum, schema_ignore: bool, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Datum::Decoded { value: Value::Json(bytes), .. } => object(bytes, out),
        Datum::Decoded { value: Value::Str(text), .. } => text_object(text.as_bytes(), out),
        Datum::Encoded(bytes) | Datum::Decoded { value: Value::Bytes(bytes), .. } => text_object(bytes, out),
        Datum::Decoded { value: value @ Value::Map(_), schema } => {
            let numbers = schema.is_some() && !schema_ignore;
            let start = out.len();
            tree(value, numbers, out)?;
            one_line(out, start);
            Ok(())
        }
        Datum::Null => Err(not_an_object("null")),
        Datum::Decoded { value, .. } => Err(not_an_object(value.type_name())),
    }
}

fn not_an_object(what: &str) -> Error {
    Error::bad_record(format!("a document is a JSON object, found {what}; use a converter that yields maps"))
}

/// JSON that the converter has validated.
fn object(bytes: &Bytes, out: &mut Vec<u8>) -> Result<()> {
    let value = Value::Json(bytes.clone());
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return match value.open()? {
            Value::Str(text) => text_object(text.as_bytes(), out),
            other => Err(not_an_object(other.type_name())),
        };
    }
    let start = out.len();
    out.extend_from_slice(bytes);
    one_line(out, start);
    Ok(())
}

/// A text or bytes that nobody has looked into: taken when they are a JSON object.
fn text_object(bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(not_an_object("a text that is none"));
    }
    json::validate(bytes)?;
    let start = out.len();
    out.extend_from_slice(bytes);
    one_line(out, start);
    Ok(())
}

/// A bulk request is cut at newlines. In valid JSON a newline can only be white space, and in anything else the space keeps
/// it from becoming an operation of its own.
fn one_line(out: &mut [u8], start: usize) {
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

fn tree(value: &Value, decimal_numbers: bool, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Decimal(decimal) if decimal_numbers => number(decimal, out)?,
        Value::List(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                tree(item, decimal_numbers, out)?;
            }
            out.push(b']');
        }
        Value::Map(fields) => {
            out.push(b'{');
            for (index, (name, value)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write(&Value::Str(name.clone()), out)?;
                out.push(b':');
                tree(value, decimal_numbers, out)?;
            }
            out.push(b'}');
        }
        other => json::write(other, out)?,
    }
    Ok(())
}

/// A decimal with all its digits; Elasticsearch reads it as the mapping says.
fn number(decimal: &Decimal, out: &mut Vec<u8>) -> Result<()> {
    let negative = decimal.unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xFF } else { 0 };
    let skip = decimal.unscaled.iter().take_while(|byte| **byte == fill).count();
    let digits = &decimal.unscaled[skip..];
    if digits.len() > 15 {
        return Err(Error::bad_record("a decimal has more than 36 digits, more than Elasticsearch can index"));
    }
    let mut bytes = [fill; 16];
    bytes[16 - digits.len()..].copy_from_slice(digits);
    out.extend_from_slice(format!("{}E{}", i128::from_be_bytes(bytes), -i64::from(decimal.scale)).as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
