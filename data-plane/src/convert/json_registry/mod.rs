//! JSON with a JSON Schema in a registry: Confluent's `JsonSchemaConverter`. `connect` makes Connect's schemas of JSON Schemas
//! and `describe` the other way round; `values` reads and writes the payloads. Scalars are those of the JSON converter.

mod connect;
mod describe;
mod values;

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Type, Value, json};

use super::json_value;
use super::registry::{Fetched, Format, Settings, Text};

pub(super) const CLASS: &str = "io.confluent.connect.json.JsonSchemaConverter";

/// The settings of this format.
pub(super) const SETTINGS: &[&str] = &[
    "object.additional.properties",
    "use.optional.for.nonrequired",
    "decimal.format",
    "generalized.sum.type.support",
    "flatten.singleton.unions",
    "ignore.default.for.nullables",
];

const ID: &str = "io.confluent.connect.json.Id";
const ENUM: &str = "io.confluent.connect.json.Enum";
const ONE_OF: &str = "io.confluent.connect.json.OneOf";
const NAMESPACE: &str = "io.confluent.connect.json";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
/// A null among the values of an enum
const NULL: &str = "<NULL>";

/// How schemas are translated.
#[derive(Debug, Clone, Copy)]
struct Options {
    additional_properties: bool,
    optional_for_nonrequired: bool,
    generalized_sum_types: bool,
    flatten_singleton_unions: bool,
    ignore_default_for_nullables: bool,
    numeric_decimals: bool,
}

impl Options {
    /// The parameter that makes a string an enum.
    fn enum_parameter(self) -> &'static str {
        if self.generalized_sum_types { GENERALIZED_ENUM } else { ENUM }
    }

    /// How scalars are read and written.
    fn scalars(self) -> json_value::Options {
        json_value::Options {
            numeric_decimals: self.numeric_decimals,
            null_is_default: !self.ignore_default_for_nullables,
        }
    }
}

fn parameter<'a>(schema: &'a Schema, name: &str) -> Option<&'a str> {
    schema.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| &**value)
}

/// Whether a struct stands for a `oneOf`.
fn is_union(schema: &Schema) -> bool {
    schema.kind == Type::Struct
        && (schema.name.as_deref() == Some(ONE_OF) || parameter(schema, GENERALIZED_UNION).is_some())
}

pub(super) struct JsonRegistry {
    options: Options,
}

/// A schema ready to write with.
#[derive(Debug)]
pub(super) struct Writer {
    schema: Option<Arc<Schema>>,
}

impl Format for JsonRegistry {
    const CLASS: &'static str = CLASS;
    const KIND: &'static str = "JSON";
    type Reader = Arc<Schema>;
    type Writer = Writer;

    fn make(settings: &Flat) -> Result<Self> {
        let settings = Settings::new(settings);
        let numeric_decimals = match settings.text("decimal.format").map(str::to_ascii_uppercase).as_deref() {
            None | Some("BASE64") => false,
            Some("NUMERIC") => true,
            Some(other) => {
                return Err(Error::bad_config(format!(
                    "Invalid value {other} for configuration decimal.format: String must be one of: BASE64, NUMERIC"
                )));
            }
        };
        Ok(Self {
            options: Options {
                additional_properties: settings.flag("object.additional.properties", true)?,
                optional_for_nonrequired: settings.flag("use.optional.for.nonrequired", false)?,
                generalized_sum_types: settings.flag("generalized.sum.type.support", false)?,
                flatten_singleton_unions: settings.flag("flatten.singleton.unions", true)?,
                ignore_default_for_nullables: settings.flag("ignore.default.for.nullables", false)?,
                numeric_decimals,
            },
        })
    }

    fn record_name(&self, schema: &Fetched) -> Result<Option<String>> {
        let json = connect::parse(&schema.text.schema)?;
        Ok(json.get("title").and_then(serde_json::Value::as_str).map(str::to_owned))
    }

    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        connect::schema(schema, self.options, version).map(Arc::new)
    }

    fn read(&self, reader: &Self::Reader, payload: &Bytes) -> Result<Datum> {
        json::validate(payload)?;
        let payload = payload.slice_ref(payload.trim_ascii());
        if payload.as_ref() == b"null" {
            return Ok(Datum::Null);
        }
        let value = values::read(reader, &payload, self.options)?;
        // A JSON Schema that says nothing is that of data without a schema.
        let schema = (!reader.is_recursive()).then(|| Arc::clone(reader));
        Ok(Datum::Decoded { schema, value })
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<Text> {
        let schema = describe::describe(schema, self.options)?;
        Ok(Text { schema, kind: Self::KIND.to_owned(), references: Vec::new() })
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        // A value is written as its own schema says; another that was chosen must be one, at least.
        connect::parse(&target.text.schema)?;
        Ok(Writer { schema: schema.cloned() })
    }

    fn write(&self, writer: &Self::Writer, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        values::write(writer.schema.as_deref(), value, self.options, out).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
