//! `SetSchemaMetadata`: the name and version of a schema.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::data::{Fields, SchemaCache, Side, has_defaults, schema_of, take, take_field};
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Schema name to set.
    #[serde(rename = "schema.name", default)]
    name: Option<String>,
    /// Schema version to set.
    #[serde(rename = "schema.version", default)]
    version: Option<i32>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct SetSchemaMetadata {
    side: Side,
    name: Option<Text>,
    version: Option<i32>,
    defaults: bool,
    schemas: SchemaCache,
}

impl Kind for SetSchemaMetadata {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.SetSchemaMetadata");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        if options.name.is_none() && options.version.is_none() {
            return Err(Problem::new("", "Neither schema name nor version configured"));
        }
        Ok(Self {
            side,
            name: options.name.map(Text::from),
            version: options.version,
            defaults: options.defaults,
            schemas: SchemaCache::default(),
        })
    }
}

impl PerRecord for SetSchemaMetadata {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        if schema_of(datum).is_none() {
            if datum.is_null() {
                return Ok(Verdict::Keep);
            }
            return Err(Error::bad_record("Schema required for [updating schema metadata]"));
        }
        let (Some(schema), value) = take(datum) else { return Ok(Verdict::Keep) };
        let updated = self.schemas.get(&schema, |schema| {
            let mut updated = Schema::clone(schema);
            updated.name = self.name.clone().or(updated.name);
            updated.version = self.version.or(updated.version);
            Ok(Arc::new(updated))
        })?;
        let value = match value {
            Value::Map(mut old) if schema.kind == Type::Struct && self.defaults && has_defaults(&schema) => {
                let fields: Fields = schema
                    .fields
                    .iter()
                    .enumerate()
                    .map(|(guess, field)| (field.name.clone(), take_field(&mut old, field, guess, true)))
                    .collect();
                Value::Map(fields)
            }
            other => other,
        };
        *datum = Datum::Decoded { schema: Some(updated), value };
        Ok(Verdict::Keep)
    }
}
