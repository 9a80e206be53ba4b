//! Payloads as they are: Connect's `ByteArrayConverter`.

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Type, Value};

use super::Converter;

pub(super) const CLASS: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";

pub(super) struct ByteArrayConverter {
    schema: Arc<Schema>,
}

impl ByteArrayConverter {
    // The shape is that of all converters.
    #[allow(clippy::unnecessary_wraps)]
    pub(super) fn make(_: &Flat) -> Result<Box<dyn Converter>> {
        let mut schema = Schema::of(Type::Bytes);
        schema.optional = true;
        Ok(Box::new(Self { schema: Arc::new(schema) }))
    }
}

impl Converter for ByteArrayConverter {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: Value::Null }),
            Some(bytes) => {
                Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: Value::Bytes(bytes.clone()) })
            }
        };
        payloads.iter().map(decoded).collect()
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        let encoded = |datum: &&Datum| match datum {
            Datum::Null | Datum::Decoded { value: Value::Null, .. } => Ok(None),
            Datum::Encoded(bytes) | Datum::Decoded { value: Value::Bytes(bytes), .. } => Ok(Some(bytes.clone())),
            Datum::Decoded { value, .. } => Err(Error::bad_record(format!(
                "ByteArrayConverter takes bytes only, found {}; use another converter",
                value.type_name()
            ))),
        };
        data.iter().map(encoded).collect()
    }
}
