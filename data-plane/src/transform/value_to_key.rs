//! `ValueToKey`: a key made of fields of the value.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::empty_list;
use super::data::{
    Fields, SchemaCache, Side, add_field, field, field_value, position, require_map, require_struct_schema,
};
use super::{Kind, PerRecord, Site, Verdict};

const PURPOSE: &str = "copying fields from value to key";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Field names on the record value to extract as the record key.
    fields: Vec<String>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct ValueToKey {
    fields: Vec<Text>,
    defaults: bool,
    schemas: SchemaCache,
}

impl Kind for ValueToKey {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.ValueToKey"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        if options.fields.is_empty() {
            return Err(empty_list("fields"));
        }
        let fields = options.fields.into_iter().map(Text::from).collect();
        Ok(Self { fields, defaults: options.defaults, schemas: SchemaCache::default() })
    }
}

fn key_schema(names: &[Text], schema: &Schema) -> Result<Arc<Schema>> {
    let mut key = Schema::of(Type::Struct);
    for name in names {
        let of = field(schema, name).ok_or_else(|| Error::bad_record(format!("Field does not exist: {name}")))?;
        add_field(&mut key, name, Arc::clone(&of.schema))?;
    }
    Ok(Arc::new(key))
}

impl PerRecord for ValueToKey {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        record.key = match &record.value {
            Datum::Decoded { schema: Some(schema), value } => {
                require_struct_schema(schema, PURPOSE)?;
                let Value::Map(fields) = value else {
                    return Err(Error::bad_record(format!(
                        "Only Struct objects supported for [{PURPOSE}], found: {}",
                        value.type_name()
                    )));
                };
                let key = self.schemas.get(schema, |schema| key_schema(&self.fields, schema))?;
                let parts = key.fields.iter().map(|f| (f.name.clone(), field_value(fields, f, self.defaults)));
                Datum::Decoded { value: Value::Map(parts.collect()), schema: Some(Arc::clone(&key)) }
            }
            other => {
                // The value itself stays as it came.
                let fields = require_map(other.value(), PURPOSE)?;
                let part = |name: &Text| position(&fields, name).map_or(Value::Null, |i| fields[i].1.clone());
                let mut key: Fields = Vec::with_capacity(self.fields.len());
                for name in &self.fields {
                    super::data::put(&mut key, name, part(name));
                }
                Datum::schemaless(Value::Map(key))
            }
        };
        Ok(Verdict::Keep)
    }
}
