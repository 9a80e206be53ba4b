//! Header values as text: Connect's `SimpleHeaderConverter`, its default. Text is read as the value it looks like, and a
//! value is written as text that reads as it again. Only headers can use it.

mod print;
mod read;
mod tokens;

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Flat, Result, Schema, Type, Value};

use super::Converter;
use super::charset::utf8;

pub(super) const CLASS: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

pub(super) struct SimpleHeaderConverter {
    bytes: Arc<Schema>,
}

impl SimpleHeaderConverter {
    // The shape is that of all converters.
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn make(_: &Flat) -> Result<Box<dyn Converter>> {
        Ok(Box::new(Self { bytes: Arc::new(Schema::of(Type::Bytes)) }))
    }
}

impl Converter for SimpleHeaderConverter {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| {
            let Some(bytes) = payload else { return Datum::Null };
            match read::value(&utf8(bytes)) {
                Ok(Some(read)) => Datum::Decoded { schema: Some(read.schema), value: read.value },
                Ok(None) => Datum::Null,
                // What cannot be read as text at all is handed on as bytes, as in Connect.
                Err(read::TooDeep) => {
                    Datum::Decoded { schema: Some(Arc::clone(&self.bytes)), value: Value::Bytes(bytes.clone()) }
                }
            }
        };
        payloads.iter().map(|payload| Ok(decoded(payload))).collect()
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        let encoded = |datum: &&Datum| match datum {
            Datum::Null | Datum::Decoded { value: Value::Null, .. } => Ok(None),
            Datum::Encoded(bytes) => Ok(Some(bytes.clone())),
            Datum::Decoded { schema, value } => {
                let mut text = String::new();
                print::append(value, schema.as_deref(), false, &mut text)?;
                Ok(Some(text.into_bytes().into()))
            }
        };
        data.iter().map(encoded).collect()
    }
}

#[cfg(test)]
mod tests;
