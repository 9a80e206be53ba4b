//! The value model: Connect's types as a tree of slices, with JSON subtrees that nobody has looked into left as bytes.

use bytes::Bytes;

use crate::{Error, Result, Text, json};

/// An arbitrary-precision decimal as Connect carries it: `unscaled × 10^-scale`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    /// Two's complement, big-endian; no slice, which would make every [`Value`] larger than its texts need
    pub unscaled: Box<[u8]>,
    /// Digits after the point
    pub scale: i32,
}

/// A decoded value. Its tag is as wide as what follows it is aligned: with a tag of one byte, values are moved in pieces that
/// begin at its second byte, unlike those they were written in, and the processor waits for each.
#[derive(Debug, Clone, PartialEq)]
#[repr(u64)]
pub enum Value {
    /// null
    Null,
    /// A boolean
    Bool(bool),
    /// Any integer width; the schema says which
    Int(i64),
    /// Either float width
    Float(f64),
    /// Connect's Decimal
    Decimal(Decimal),
    /// Text
    Str(Text),
    /// Bytes
    Bytes(Bytes),
    /// Days since 1970-01-01 (Connect's Date)
    Date(i32),
    /// Milliseconds since midnight (Connect's Time)
    Time(i32),
    /// Milliseconds since 1970-01-01T00:00Z (Connect's Timestamp)
    Timestamp(i64),
    /// A list
    List(Vec<Value>),
    /// A struct, or a map with text keys; order kept
    Map(Vec<(Text, Value)>),
    /// A JSON subtree nobody has looked into: valid JSON, copied back verbatim, parsed one level by [`Value::open`].
    Json(Bytes),
}

// Opened maps are made of them: with their names fourteen of these are a kilobyte.
const _: () = assert!(size_of::<Value>() <= 40);
const _: () = assert!(size_of::<Option<Value>>() <= 40);

impl Value {
    /// This value with its own level parsed: everything but [`Value::Json`] is returned as it is; subtrees of JSON stay
    /// bytes.
    ///
    /// # Errors
    /// `BadRecord` when the bytes are not JSON after all.
    pub fn open(&self) -> Result<Value> {
        match self {
            Value::Json(bytes) => json::parse_level(bytes),
            other => Ok(other.clone()),
        }
    }

    /// The field `name` of a map, its own level parsed; `None` when there is no such field or this is not a map.
    ///
    /// # Errors
    /// `BadRecord` when the bytes are not JSON after all.
    pub fn field(&self, name: &str) -> Result<Option<Value>> {
        match self {
            Value::Json(bytes) => match json::find(bytes, name)? {
                Some(raw) => json::parse_level(&raw).map(Some),
                None => Ok(None),
            },
            Value::Map(fields) => match fields.iter().rev().find(|(key, _)| key == name) {
                Some((_, value)) => value.open().map(Some),
                None => Ok(None),
            },
            _ => Ok(None),
        }
    }

    /// The value at a dotted path such as `address.city`, its own level parsed.
    ///
    /// # Errors
    /// As [`Value::field`].
    pub fn path(&self, path: &str) -> Result<Option<Value>> {
        let mut here: Option<Value> = None;
        for name in path.split('.') {
            let next = here.as_ref().unwrap_or(self).field(name)?;
            match next {
                Some(value) => here = Some(value),
                None => return Ok(None),
            }
        }
        Ok(here)
    }

    /// What to call it in an error.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Decimal(_) => "a decimal",
            Value::Str(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::Date(_) => "a date",
            Value::Time(_) => "a time",
            Value::Timestamp(_) => "a timestamp",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Json(bytes) => match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
                Some(b'{') => "a map",
                Some(b'[') => "a list",
                Some(b'"') => "a string",
                Some(b't' | b'f') => "a boolean",
                Some(b'n') => "null",
                _ => "a number",
            },
        }
    }

    /// The map's fields with their own levels parsed lazily; an error for anything but a map.
    ///
    /// # Errors
    /// `BadRecord` when this is not a map.
    pub fn into_fields(self) -> Result<Vec<(Text, Value)>> {
        match self.open()? {
            Value::Map(fields) => Ok(fields),
            other => Err(Error::bad_record(format!("expected a map of fields, found {}", other.type_name()))),
        }
    }
}
