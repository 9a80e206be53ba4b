//! `HoistField`: wraps a key or value as the only field of a new map or struct.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Field, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::data::{SchemaCache, Side, take};
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Field name for the single field that will be created in the resulting Struct or Map.
    field: String,
}
impl Config for Options {}

pub(super) struct HoistField {
    side: Side,
    name: Text,
    schemas: SchemaCache,
}

impl Kind for HoistField {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.HoistField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        Ok(Self { side, name: Text::from(options.field), schemas: SchemaCache::default() })
    }
}

impl PerRecord for HoistField {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        let (schema, value) = take(datum);
        let updated = match schema {
            None => None,
            Some(schema) => Some(self.schemas.get(&schema, |_| {
                let field = Field { name: self.name.clone(), schema: Arc::clone(&schema) };
                Ok(Arc::new(Schema { fields: vec![field], ..Schema::of(Type::Struct) }))
            })?),
        };
        *datum = Datum::Decoded { schema: updated, value: Value::Map(vec![(self.name.clone(), value)]) };
        Ok(Verdict::Keep)
    }
}
