//! One number or boolean, big-endian: Connect's `BooleanConverter`, `ShortConverter`, `IntegerConverter`, `LongConverter`,
//! `FloatConverter` and `DoubleConverter`.
//!
//! Encoding checks the width that the schema names, as Connect does. Schemaless integers and floats have no width here, so
//! any converter that can hold the value takes it.

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Type, Value};

use super::{Converter, connect_name};

pub(super) const BOOLEAN: &str = "org.apache.kafka.connect.converters.BooleanConverter";
pub(super) const SHORT: &str = "org.apache.kafka.connect.converters.ShortConverter";
pub(super) const INTEGER: &str = "org.apache.kafka.connect.converters.IntegerConverter";
pub(super) const LONG: &str = "org.apache.kafka.connect.converters.LongConverter";
pub(super) const FLOAT: &str = "org.apache.kafka.connect.converters.FloatConverter";
pub(super) const DOUBLE: &str = "org.apache.kafka.connect.converters.DoubleConverter";

struct NumberConverter {
    class: &'static str,
    kind: Type,
    /// Connect's word for the type
    word: &'static str,
    schema: Arc<Schema>,
}

fn make(class: &'static str, kind: Type, word: &'static str) -> Box<dyn Converter> {
    let mut schema = Schema::of(kind);
    schema.optional = true;
    Box::new(NumberConverter { class, kind, word, schema: Arc::new(schema) })
}

/// `BooleanConverter`. None of these has settings.
pub(super) fn boolean(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(BOOLEAN, Type::Boolean, "boolean"))
}

/// `ShortConverter`
pub(super) fn short(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(SHORT, Type::Int16, "short"))
}

/// `IntegerConverter`
pub(super) fn integer(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(INTEGER, Type::Int32, "integer"))
}

/// `LongConverter`
pub(super) fn long(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(LONG, Type::Int64, "long"))
}

/// `FloatConverter`
pub(super) fn float(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(FLOAT, Type::Float32, "float"))
}

/// `DoubleConverter`
pub(super) fn double(_: &Flat) -> Result<Box<dyn Converter>> {
    Ok(make(DOUBLE, Type::Float64, "double"))
}

impl NumberConverter {
    fn decode_one(&self, bytes: &[u8]) -> Result<Value> {
        let value = match self.kind {
            Type::Boolean => match bytes {
                [0] => Some(Value::Bool(false)),
                [1] => Some(Value::Bool(true)),
                [other] => {
                    return Err(Error::bad_record(format!(
                        "Failed to deserialize boolean: the byte must be 0 or 1, found {other}"
                    )));
                }
                _ => None,
            },
            Type::Int16 => bytes.try_into().ok().map(|bytes| Value::Int(i16::from_be_bytes(bytes).into())),
            Type::Int32 => bytes.try_into().ok().map(|bytes| Value::Int(i32::from_be_bytes(bytes).into())),
            Type::Int64 => bytes.try_into().ok().map(|bytes| Value::Int(i64::from_be_bytes(bytes))),
            Type::Float32 => bytes.try_into().ok().map(|bytes| Value::Float(f32::from_be_bytes(bytes).into())),
            _ => bytes.try_into().ok().map(|bytes| Value::Float(f64::from_be_bytes(bytes))),
        };
        value.ok_or_else(|| {
            Error::bad_record(format!(
                "Failed to deserialize {}: the size of the data must be {}, found {}",
                self.word,
                self.width(),
                bytes.len()
            ))
        })
    }

    fn width(&self) -> usize {
        match self.kind {
            Type::Boolean => 1,
            Type::Int16 => 2,
            Type::Int32 | Type::Float32 => 4,
            _ => 8,
        }
    }

    fn encode_one(&self, datum: &Datum) -> Result<Option<Bytes>> {
        let (schema, value) = match datum {
            Datum::Null | Datum::Decoded { value: Value::Null, .. } => return Ok(None),
            Datum::Encoded(_) => return Err(self.refuse("bytes")),
            Datum::Decoded { schema, value } => (schema.as_deref(), value.open()?),
        };
        if let Some(schema) = schema.filter(|schema| schema.kind != self.kind || is_logical(schema)) {
            return Err(self.refuse(schema.name.as_deref().unwrap_or(connect_name(schema.kind))));
        }
        let narrow = || self.refuse("a number beyond its range");
        Ok(Some(match (self.kind, value) {
            (Type::Boolean, Value::Bool(flag)) => Bytes::from_static(if flag { &[1] } else { &[0] }),
            (Type::Int16, Value::Int(int)) => copied(&i16::try_from(int).map_err(|_| narrow())?.to_be_bytes()),
            (Type::Int32, Value::Int(int)) => copied(&i32::try_from(int).map_err(|_| narrow())?.to_be_bytes()),
            (Type::Int64, Value::Int(int)) => copied(&int.to_be_bytes()),
            #[allow(clippy::cast_possible_truncation)] // checked by the schema, or asked for by the user
            (Type::Float32, Value::Float(float)) => copied(&(float as f32).to_be_bytes()),
            (Type::Float64, Value::Float(float)) => copied(&float.to_be_bytes()),
            (_, other) => return Err(self.refuse(other.type_name())),
        }))
    }

    fn refuse(&self, found: &str) -> Error {
        Error::bad_record(format!("Failed to serialize to {}: found {found}; use another converter", self.word))
    }
}

/// Connect's dates and decimals are objects of their own, which these converters do not take.
fn is_logical(schema: &Schema) -> bool {
    schema.name.as_deref().is_some_and(|name| name.starts_with("org.apache.kafka.connect.data."))
}

fn copied(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

impl Converter for NumberConverter {
    fn class(&self) -> &'static str {
        self.class
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: Value::Null }),
            Some(bytes) => {
                Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: self.decode_one(bytes)? })
            }
        };
        payloads.iter().map(decoded).collect()
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        data.iter().map(|datum| self.encode_one(datum)).collect()
    }
}
