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

use millrace_sdk::{Flat, Result, Schema};

use super::registry::{Fetched, Format, flags};
use schema::AvroSchema;

pub(super) const CLASS: &str = "io.confluent.connect.avro.AvroConverter";

flags! {
    /// How schemas are translated.
    struct Options {
        /// Full names and enums are kept
        enhanced: "enhanced.avro.schema.support" = false,
        connect_meta_data: "connect.meta.data" = true,
        scrub: "scrub.invalid.names" = false,
        generalized_sum_types: "generalized.sum.type.support" = false,
        flatten_singleton_unions: "flatten.singleton.unions" = true,
        discard_type_doc_default: "discard.type.doc.default" = false,
        allow_optional_map_keys: "allow.optional.map.keys" = false,
        ignore_default_for_nullables: "ignore.default.for.nullables" = false,
    }
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
    const SETTINGS: &'static [&'static str] = Options::NAMES;
    type Reader = decode::Reader;
    type Writer = encode::Writer;

    fn make(settings: &Flat) -> Result<Self> {
        Ok(Self { options: Options::read(settings)? })
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

    fn reader_as(&self, written: &Fetched, wanted: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        let written = decode::Reader::new(&parse(written)?, self.options, None)?;
        let wanted = parse(wanted)?;
        let reader = decode::Reader::new(&wanted, self.options, version)?;
        Ok(written.resolved(wanted, reader, self.options))
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<String> {
        describe::describe(schema, self.options)
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        Ok(encode::Writer::new(schema.cloned(), parse(target)?, self.options))
    }
}

#[cfg(test)]
mod tests;
