//! Payloads as text: Connect's `StringConverter`. Only UTF-8; malformed bytes become U+FFFD, as in Java.

use std::sync::Arc;

use bytes::Bytes;

use millrace_sdk::{ByteString, Datum, Error, Flat, Result, Schema, Type, Value, json};

use super::Converter;

pub(super) const CLASS: &str = "org.apache.kafka.connect.storage.StringConverter";

pub(super) struct StringConverter {
    schema: Arc<Schema>,
}

impl StringConverter {
    pub(super) fn make(settings: &Flat) -> Result<Box<dyn Converter>> {
        for key in ["converter.encoding", "key.converter.encoding", "value.converter.encoding"] {
            if let Some(name) = settings.get(key)
                && !matches!(name.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8" | "US-ASCII" | "ASCII")
            {
                return Err(Error::bad_config(format!("{key}: the encoding {name} is not available; use UTF-8")));
            }
        }
        let mut schema = Schema::of(Type::String);
        schema.optional = true;
        Ok(Box::new(Self { schema: Arc::new(schema) }))
    }
}

impl Converter for StringConverter {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn decode(&self, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Null),
            Some(bytes) => {
                let text = ByteString::try_from(bytes.clone())
                    .unwrap_or_else(|_| ByteString::from(String::from_utf8_lossy(bytes).into_owned()));
                Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: Value::Str(text) })
            }
        };
        payloads.iter().map(decoded).collect()
    }

    fn encode(&self, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        data.iter().map(|datum| encode(datum)).collect()
    }
}

/// Text as it is, everything else as JSON says it.
fn encode(datum: &Datum) -> Result<Option<Bytes>> {
    match datum {
        Datum::Null | Datum::Decoded { value: Value::Null, .. } => Ok(None),
        Datum::Encoded(bytes) => Ok(Some(bytes.clone())),
        Datum::Decoded { value: Value::Str(text), .. } => Ok(Some(text.as_bytes().clone())),
        Datum::Decoded { value, .. } => {
            let mut out = Vec::new();
            json::write(value, &mut out)?;
            Ok(Some(out.into()))
        }
    }
}
