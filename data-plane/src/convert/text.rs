//! Payloads as text: Connect's `StringConverter`, in the character sets that every Java has.

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Text, Type, Value, java};

use super::Converter;
use super::charset::Charset;

pub(super) const CLASS: &str = "org.apache.kafka.connect.storage.StringConverter";

pub(super) struct StringConverter {
    schema: Arc<Schema>,
    charset: Charset,
}

impl StringConverter {
    pub(super) fn make(settings: &Flat) -> Result<Box<dyn Converter>> {
        let charset = match settings.get("converter.encoding") {
            None => Charset::Utf8,
            Some(name) => Charset::named(name).ok_or_else(|| {
                Error::bad_config(format!(
                    "Unsupported encoding {name} for converter.encoding; available are UTF-8, US-ASCII, ISO-8859-1, \
                     UTF-16, UTF-16BE and UTF-16LE"
                ))
            })?,
        };
        let mut schema = Schema::of(Type::String);
        schema.optional = true;
        Ok(Box::new(Self { schema: Arc::new(schema), charset }))
    }

    /// Text as it is, everything else as Java prints it.
    fn encode_one(&self, datum: &Datum) -> Result<Option<Bytes>> {
        match datum {
            Datum::Null | Datum::Decoded { value: Value::Null, .. } => Ok(None),
            Datum::Encoded(bytes) => Ok(Some(bytes.clone())),
            Datum::Decoded { value: Value::Str(text), .. } => Ok(Some(self.charset.encode(text))),
            Datum::Decoded { .. } => {
                let mut text = String::new();
                java::print(datum, &mut text)?;
                Ok(Some(self.charset.encode(&Text::from(text))))
            }
        }
    }
}

impl Converter for StringConverter {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value: Value::Null }),
            Some(bytes) => {
                let value = Value::Str(self.charset.decode(bytes));
                Ok(Datum::Decoded { schema: Some(Arc::clone(&self.schema)), value })
            }
        };
        payloads.iter().map(decoded).collect()
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        data.iter().map(|datum| self.encode_one(datum)).collect()
    }
}
