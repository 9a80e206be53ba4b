//! Avro with a schema registry: Confluent's `AvroConverter`. `schema` parses Avro's schemas, `connect` makes Connect's of them
//! and `describe` the other way round; `decode` and `encode` are the binary form. No Avro library is used: reading by a plan
//! that knows what Connect wants is what makes it fast, and parsing a schema is the small part.

mod connect;
mod decode;
mod describe;
mod encode;
mod names;
mod schema;

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Flat, Result, Schema, Value};

use super::registry::{Fetched, Format, Settings, Text};
use schema::AvroSchema;

pub(super) const CLASS: &str = "io.confluent.connect.avro.AvroConverter";

/// The settings of this format.
pub(super) const SETTINGS: &[&str] = &[
    "enhanced.avro.schema.support",
    "connect.meta.data",
    "scrub.invalid.names",
    "generalized.sum.type.support",
    "flatten.singleton.unions",
    "discard.type.doc.default",
    "allow.optional.map.keys",
    "ignore.default.for.nullables",
];

/// How schemas are translated.
#[derive(Debug, Clone, Copy)]
struct Options {
    /// Full names and enums are kept
    enhanced: bool,
    connect_meta_data: bool,
    scrub: bool,
    generalized_sum_types: bool,
    flatten_singleton_unions: bool,
    discard_type_doc_default: bool,
    allow_optional_map_keys: bool,
    ignore_default_for_nullables: bool,
}

impl Options {
    /// The parameter that makes a string an enum.
    fn enum_parameter(self) -> &'static str {
        if self.generalized_sum_types { names::GENERALIZED_ENUM } else { names::ENUM }
    }
}

pub(super) struct Avro {
    options: Options,
}

fn parse(schema: &Fetched) -> Result<AvroSchema> {
    AvroSchema::parse(&schema.text.schema, schema.references.iter().map(|(_, text)| text.as_str()))
}

impl Format for Avro {
    const CLASS: &'static str = CLASS;
    const KIND: &'static str = "AVRO";
    type Reader = decode::Reader;
    type Writer = encode::Writer;

    fn make(settings: &Flat) -> Result<Self> {
        let settings = Settings::new(settings);
        Ok(Self {
            options: Options {
                enhanced: settings.flag("enhanced.avro.schema.support", false)?,
                connect_meta_data: settings.flag("connect.meta.data", true)?,
                scrub: settings.flag("scrub.invalid.names", false)?,
                generalized_sum_types: settings.flag("generalized.sum.type.support", false)?,
                flatten_singleton_unions: settings.flag("flatten.singleton.unions", true)?,
                discard_type_doc_default: settings.flag("discard.type.doc.default", false)?,
                allow_optional_map_keys: settings.flag("allow.optional.map.keys", false)?,
                ignore_default_for_nullables: settings.flag("ignore.default.for.nullables", false)?,
            },
        })
    }

    fn record_name(&self, schema: &Fetched) -> Result<Option<String>> {
        let avro = parse(schema)?;
        Ok(match avro.kind(avro.root) {
            schema::Kind::Record { name, .. } => Some(name.full().to_owned()),
            _ => None,
        })
    }

    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        decode::Reader::new(&parse(schema)?, self.options, version)
    }

    fn read(&self, reader: &Self::Reader, payload: &Bytes) -> Result<Datum> {
        reader.read(payload)
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<Text> {
        let schema = describe::describe(schema, self.options)?;
        Ok(Text { schema, kind: Self::KIND.to_owned(), references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        Ok(encode::Writer::new(schema.cloned(), parse(target)?, self.options))
    }

    fn write(&self, writer: &Self::Writer, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        writer.write(value, out)
    }
}

#[cfg(test)]
mod tests;
