//! Protobuf with a schema registry: Confluent's `ProtobufConverter`. `descriptors` parses `.proto` texts and finds messages by
//! their place in a file, `connect` makes Connect's schemas of them and `describe` the other way round; `decode` and `encode`
//! are the values.

mod connect;
mod decode;
mod describe;
mod descriptors;
mod encode;

use std::sync::Arc;

use millrace_sdk::{Flat, Result, Schema};

use super::registry::{Fetched, Format, flags};

pub(super) const CLASS: &str = "io.confluent.connect.protobuf.ProtobufConverter";

const ENUM: &str = "io.confluent.connect.protobuf.Enum";
const UNION: &str = "io.confluent.connect.protobuf.Union";
const TAG: &str = "io.confluent.connect.protobuf.Tag";
const TYPE: &str = "io.confluent.connect.protobuf.Type";
const WRAPPER: &str = "io.confluent.connect.protobuf.Wrapper";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
const PRECISION: &str = "connect.decimal.precision";

flags! {
    /// How schemas are translated.
    struct Options {
        /// Full names
        enhanced: "enhanced.protobuf.schema.support" = false,
        scrub: "scrub.invalid.names" = false,
        int_for_enums: "int.for.enums" = false,
        optional_for_nullables: "optional.for.nullables" = false,
        optional_for_proto2: "optional.for.proto2" = true,
        wrapper_for_nullables: "wrapper.for.nullables" = false,
        wrapper_for_raw_primitives: "wrapper.for.raw.primitives" = true,
        generate_struct_for_nulls: "generate.struct.for.nulls" = false,
        generate_index_for_unions: "generate.index.for.unions" = true,
        flatten_unions: "flatten.unions" = false,
        generalized_sum_types: "generalized.sum.type.support" = false,
        ignore_default_for_nullables: "ignore.default.for.nullables" = false,
    }
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
    const SETTINGS: &'static [&'static str] = Options::NAMES;
    type Reader = decode::Reader;
    type Writer = encode::Writer;

    fn make(settings: &Flat) -> Result<Self> {
        Ok(Self { options: Options::read(settings)? })
    }

    fn record_name(&self, schema: &Fetched) -> Result<Option<String>> {
        let file = descriptors::parse(schema)?;
        Ok(file.messages().next().map(|message| message.full_name().to_owned()))
    }

    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        Ok(decode::Reader::new(descriptors::parse(schema)?, self.options, version))
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<String> {
        describe::describe(schema, self.options)
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        encode::Writer::new(schema.cloned(), &descriptors::parse(target)?, self.options)
    }
}

#[cfg(test)]
mod tests;
