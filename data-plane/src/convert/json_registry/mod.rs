//! JSON with a JSON Schema in a registry: Confluent's `JsonSchemaConverter`. `connect` makes Connect's schemas of JSON Schemas
//! and `describe` the other way round; `values` reads and writes the payloads. Scalars are those of the JSON converter.

mod connect;
mod describe;
mod values;

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Type, Value, json};

use super::json_value;
use super::registry::{Fetched, Format, Read, Settings, Write, flags};

pub(super) const CLASS: &str = "io.confluent.connect.json.JsonSchemaConverter";

const ID: &str = "io.confluent.connect.json.Id";
const ENUM: &str = "io.confluent.connect.json.Enum";
const ONE_OF: &str = "io.confluent.connect.json.OneOf";
const NAMESPACE: &str = "io.confluent.connect.json";
const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
/// A null among the values of an enum
const NULL: &str = "<NULL>";

flags! {
    /// What of it is true or false.
    struct Flags {
        additional_properties: "object.additional.properties" = true,
        optional_for_nonrequired: "use.optional.for.nonrequired" = false,
        generalized_sum_types: "generalized.sum.type.support" = false,
        flatten_singleton_unions: "flatten.singleton.unions" = true,
        ignore_default_for_nullables: "ignore.default.for.nullables" = false,
        fail_invalid: "json.fail.invalid.schema" = false,
    }
    also "decimal.format"
}

/// How schemas are translated.
#[derive(Debug, Clone, Copy)]
struct Options {
    flags: Flags,
    numeric_decimals: bool,
}

impl Deref for Options {
    type Target = Flags;

    fn deref(&self) -> &Flags {
        &self.flags
    }
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

/// A schema ready to read with.
#[derive(Debug)]
pub(super) struct Reader {
    schema: Arc<Schema>,
    options: Options,
}

/// A schema ready to write with.
#[derive(Debug)]
pub(super) struct Writer {
    schema: Option<Arc<Schema>>,
    options: Options,
}

impl Format for JsonRegistry {
    const CLASS: &'static str = CLASS;
    const KIND: &'static str = "JSON";
    const SETTINGS: &'static [&'static str] = Flags::NAMES;
    type Reader = Reader;
    type Writer = Writer;

    fn make(flat: &Flat) -> Result<Self> {
        let numeric_decimals = match Settings::new(flat).text("decimal.format").map(str::to_ascii_uppercase).as_deref()
        {
            None | Some("BASE64") => false,
            Some("NUMERIC") => true,
            Some(other) => {
                return Err(Error::bad_config(format!(
                    "Invalid value {other} for configuration decimal.format: String must be one of: BASE64, NUMERIC"
                )));
            }
        };
        let flags = Flags::read(flat)?;
        if flags.fail_invalid {
            return Err(Error::bad_config(
                "json.fail.invalid.schema=true is not available: a value is checked against its Connect schema, not against \
                 further rules of its JSON Schema (such as pattern or maximum); leave it out, or check with a transform",
            ));
        }
        Ok(Self { options: Options { flags, numeric_decimals } })
    }

    fn record_name(&self, schema: &Fetched) -> Result<Option<String>> {
        let json = connect::parse(&schema.text.schema)?;
        Ok(json.get("title").and_then(serde_json::Value::as_str).map(str::to_owned))
    }

    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        let schema = Arc::new(connect::schema(schema, self.options, version)?);
        Ok(Reader { schema, options: self.options })
    }

    fn describe(&self, schema: Option<&Schema>) -> Result<String> {
        describe::describe(schema, self.options)
    }

    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer> {
        // A value is written as its own schema says; another that was chosen must be one, at least.
        connect::parse(&target.text.schema)?;
        Ok(Writer { schema: schema.cloned(), options: self.options })
    }
}

impl Read for Reader {
    fn read(&self, payload: &Bytes) -> Result<Datum> {
        json::validate(payload)?;
        let payload = payload.slice_ref(payload.trim_ascii());
        if payload.as_ref() == b"null" {
            return Ok(Datum::Null);
        }
        let value = values::read(&self.schema, &payload, self.options)?;
        // A JSON Schema that says nothing is that of data without a schema.
        let schema = (!self.schema.is_recursive()).then(|| Arc::clone(&self.schema));
        Ok(Datum::Decoded { schema, value })
    }
}

impl Write for Writer {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        values::write(self.schema.as_deref(), value, self.options, out).map(|_| ())
    }
}

#[cfg(test)]
mod tests;
