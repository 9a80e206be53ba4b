//! `Flatten`: nested maps or structs as one level, the names joined. Lists stay as they are.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::data::{
    Fields, SchemaCache, Side, add_field, basics, field_value, put, require_map, require_struct, require_struct_schema,
    take, take_field,
};
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "flattening";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Delimiter to insert between field names from the input record when generating field names for the output record.
    #[serde(default = "dot")]
    delimiter: String,
}
impl Config for Options {}

fn dot() -> String {
    ".".to_owned()
}

pub(super) struct Flatten {
    side: Side,
    delimiter: String,
    schemas: SchemaCache,
}

impl Kind for Flatten {
    type Options = Options;
    const CLASSES: &'static [&'static str] =
        sided!("org.apache.kafka.connect.transforms.Flatten", "io.confluent.connect.transforms.Flatten");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        Ok(Self::new(side, options.delimiter))
    }
}

impl Flatten {
    pub(super) fn new(side: Side, delimiter: String) -> Self {
        Self { side, delimiter, schemas: SchemaCache::default() }
    }

    fn name(&self, prefix: &str, name: &Text) -> Text {
        if prefix.is_empty() { name.clone() } else { Text::from(format!("{prefix}{}{name}", self.delimiter)) }
    }

    fn map(&self, old: Fields, prefix: &str, out: &mut Fields) -> Result<()> {
        for (name, value) in old {
            let name = self.name(prefix, &name);
            let is_map = match &value {
                Value::Json(bytes) => bytes.first() == Some(&b'{'),
                Value::Map(_) => true,
                Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Decimal(_) => {
                    return Err(Error::bad_record(format!(
                        "Flatten transformation was passed a value of type {} which is not supported without a schema (for \
                         field {name})",
                        value.type_name()
                    )));
                }
                _ => false,
            };
            if is_map {
                self.map(require_map(value, PURPOSE)?, &name, out)?;
            } else {
                put(out, &name, value);
            }
        }
        Ok(())
    }

    fn updated(&self, schema: &Schema) -> Result<Arc<Schema>> {
        require_struct_schema(schema, PURPOSE)?;
        let mut updated = basics(schema, Type::Struct);
        self.add_fields(schema, "", schema.optional, schema.default.as_ref(), &mut updated)?;
        Ok(Arc::new(updated))
    }

    /// An optional or absent parent makes its fields optional; its default gives them theirs.
    fn add_fields(
        &self,
        schema: &Schema,
        prefix: &str,
        optional: bool,
        parent: Option<&Value>,
        updated: &mut Schema,
    ) -> Result<()> {
        for field in &schema.fields {
            let name = self.name(prefix, &field.name);
            let optional = optional || field.schema.optional;
            let inherited = match parent {
                Some(Value::Map(fields)) => {
                    Some(field_value(fields, field, true)).filter(|value| *value != Value::Null)
                }
                _ => None,
            };
            let default = field.schema.default.clone().or(inherited);
            match field.schema.kind {
                Type::Struct => self.add_fields(&field.schema, &name, optional, default.as_ref(), updated)?,
                Type::Map => {
                    return Err(Error::bad_record(format!(
                        "Flatten transformation does not support MAP for record with schemas (for field {name})."
                    )));
                }
                kind => {
                    let mut leaf = basics(&field.schema, kind);
                    leaf.element.clone_from(&field.schema.element);
                    leaf.optional = optional;
                    leaf.default = default;
                    add_field(updated, &name, Arc::new(leaf))?;
                }
            }
        }
        Ok(())
    }

    /// The leaves in the order of the updated schema. Those of an absent struct are null, whatever their defaults.
    fn leaves(schema: &Schema, old: Option<Fields>, values: &mut Vec<Value>) -> Result<()> {
        let absent = old.is_none();
        let mut old = old.unwrap_or_default();
        for (guess, field) in schema.fields.iter().enumerate() {
            let value = take_field(&mut old, field, guess, !absent);
            match (field.schema.kind, value) {
                (Type::Struct, Value::Null) => Self::leaves(&field.schema, None, values)?,
                (Type::Struct, value) => {
                    let fields = require_struct(&field.schema, value, PURPOSE)?;
                    Self::leaves(&field.schema, Some(fields), values)?;
                }
                (_, value) => values.push(value),
            }
        }
        Ok(())
    }
}

impl PerRecord for Flatten {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        if datum.is_null() {
            return Ok(Verdict::Keep);
        }
        let (schema, value) = take(datum);
        *datum = match schema {
            None => {
                let old = require_map(value, PURPOSE)?;
                let mut fields = Vec::with_capacity(old.len());
                self.map(old, "", &mut fields)?;
                Datum::schemaless(Value::Map(fields))
            }
            Some(schema) => {
                let mut cache = std::mem::take(&mut self.schemas);
                let updated = cache.get(&schema, |schema| self.updated(schema));
                self.schemas = cache;
                let updated = updated?;
                let mut values = Vec::with_capacity(updated.fields.len());
                Self::leaves(&schema, Some(require_struct(&schema, value, PURPOSE)?), &mut values)?;
                let names = updated.fields.iter().map(|field| field.name.clone());
                Datum::Decoded { value: Value::Map(names.zip(values).collect()), schema: Some(updated) }
            }
        };
        Ok(Verdict::Keep)
    }
}
