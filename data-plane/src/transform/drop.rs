//! Confluent's `Drop`: takes the key or the value off a record.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::{SchemaCache, Side, take};
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Behavior {
    /// The schema goes, too
    #[default]
    Nullify,
    /// The schema stays, whether it allows null or not
    Retain,
    /// The schema stays; one that does not allow null is an error
    Validate,
    /// The schema stays and is made to allow null
    ForceOptional,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// What becomes of the schema: it goes (`nullify`), stays (`retain`), stays if it is optional and is an error otherwise
    /// (`validate`), or is made optional (`force_optional`).
    #[serde(rename = "schema.behavior", default)]
    behavior: Behavior,
}
impl Config for Options {}

pub(super) struct Drop {
    side: Side,
    behavior: Behavior,
    schemas: SchemaCache,
}

impl Kind for Drop {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("io.confluent.connect.transforms.Drop");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        Ok(Self { side, behavior: options.behavior, schemas: SchemaCache::default() })
    }
}

impl PerRecord for Drop {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        let (Some(schema), _) = take(datum) else { return Ok(Verdict::Keep) };
        let schema = match self.behavior {
            Behavior::Nullify => return Ok(Verdict::Keep),
            Behavior::Validate if !schema.optional => {
                return Err(Error::bad_record("the schema is not optional, and schema.behavior=validate refuses that"));
            }
            Behavior::ForceOptional if !schema.optional => {
                self.schemas.get(&schema, |schema| Ok(Arc::new(Schema { optional: true, ..Schema::clone(schema) })))?
            }
            _ => schema,
        };
        *datum = Datum::Decoded { schema: Some(schema), value: Value::Null };
        Ok(Verdict::Keep)
    }
}
