//! Protobuf with a schema registry: Confluent's `ProtobufConverter`. `descriptors` parses `.proto` texts and finds messages by
//! their place in a file, `connect` makes Connect's schemas of them and `describe` the other way round; `decode` and `encode`
//! are the values.

mod connect;
mod decode;
mod describe;
mod descriptors;
mod encode;

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Flat, Result, Schema, Value};

use super::registry::{Fetched, Format, Settings, Text};

pub(super) const CLASS: &str = "io.confluent.connect.protobuf.ProtobufConverter";

/// The settings of this format.
pub(super) const SETTINGS: &[&str] = &[
    "enhanced.protobuf.schema.support",
    "scrub.invalid.names",
    "int.for.enums",
    "optional.for.nullables",
    "optional.for.proto2",
    "wrapper.for.nullables",
    "wrapper.for.raw.primitives",
    "generate.struct.for.nulls",
    "generate.index.for.unions",
    "flatten.unions",
    "generalized.sum.type.support",
    "ignore.default.for.nullables",
];

const ENUM: &str = "io.confluent.connect.protobuf.Enum";
const UNION: &str = "io.confluent.connect.protobuf.Union";
const TAG: &str = "io.confluent.connect.protobuf.Tag";
const TYPE: &str = "io.confluent.connect.protobuf.Type";
const WRAPPER: &str = "io.confluent.connect.protobuf.Wrapper";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
const PRECISION: &str = "connect.decimal.precision";

/// How schemas are translated.
#[derive(Debug, Clone, Copy)]
struct Options {
    /// Full names
    enhanced: bool,
    scrub: bool,
    int_for_enums: bool,
    optional_for_nullables: bool,
    optional_for_proto2: bool,
    wrapper_for_nullables: bool,
    wrapper_for_raw_primitives: bool,
    generate_struct_for_nulls: bool,
    generate_index_for_unions: bool,
    flatten_unions: bool,
    generalized_sum_types: bool,
    ignore_default_for_nullables: bool,
}

impl Options {
    /// The parameter that makes a string (or number) an enum.
    fn enum_parameter(self) -> &'static str {
        if self.generalized_sum_types { GENERALIZED_ENUM } else { ENUM }
    }
}

fn parameter<'a>(schema: &'a Schema, name: &str) -> Option<&'a str> {
    schema.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| &**value)
}

/// Whether a struct stands for a oneof.
fn is_union(schema: &Schema) -> bool {
    schema.name.as_deref().is_some_and(|name| name.starts_with(UNION)) || parameter(schema, GENERALIZED_UNION).is_some()
}

pub(super) struct Protobuf {
    options: Options,
}

impl Format for Protobuf {
    const CLASS: &'static str = CLASS;
    const KIND: &'static str = "PROTOBUF";
    type Reader = decode::Reader;
    type Writer = encode::Writer;

    fn make(settings: &Flat) -> Result<Self> {
        let settings = Settings::new(settings);
        Ok(Self {
            options: Options {
                enhanced: settings.flag("enhanced.protobuf.schema.support", false)?,
                scrub: settings.flag("scrub.invalid.names", false)?,
                int_for_enums: settings.flag("int.for.enums", false)?,
                optional_for_nullables: settings.flag("optional.for.nullables", false)?,
                optional_for_proto2: settings.flag("optional.for.proto2", true)?,
                wrapper_for_nullables: settings.flag("wrapper.for.nullables", false)?,
                wrapper_for_raw_primitives: settings.flag("wrapper.for.raw.primitives", true)?,
                generate_struct_for_nulls: settings.flag("generate.struct.for.nulls", false)?,
                generate_index_for_unions: settings.flag("generate.index.for.unions", true)?,
                flatten_unions: settings.flag("flatten.unions", false)?,
                generalized_sum_types: settings.flag("generalized.sum.type.support", false)?,
                ignore_default_for_nullables: settings.flag("ignore.default.for.nullables", false)?,
            },
        })
    }

    fn record_name(&self, schema: &Fetched) -> Result<Option<String>> {
        let file = descriptors::parse(schema)?;
        Ok(file.messages().next().map(|message| message.full_name().to_owned()))
    }

    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        Ok(decode::Reader::new(descriptors::parse(schema)?, self.options, version))
    }

    fn read(&self, reader: &Self::Reader, payload: &Bytes) -> Result<Datum> {
        reader.read(payload)
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<Text> {
        let schema = describe::describe(schema, self.options)?;
        Ok(Text { schema, kind: Self::KIND.to_owned(), references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        encode::Writer::new(schema.cloned(), &descriptors::parse(target)?, self.options)
    }

    fn write(&self, writer: &Self::Writer, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        writer.write(value, out)
    }
}

#[cfg(test)]
mod tests;
