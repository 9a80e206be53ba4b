//! `HeaderFrom`: moves or copies fields into headers.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Header, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::empty_list;
use super::data::{
    Fields, SchemaCache, Side, basics, field, field_value, position, require_map, require_struct_schema, schema_of,
};
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Operation {
    /// The fields are removed from the key or value
    Move,
    /// The fields are retained
    Copy,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Field names in the record whose values are to be copied or moved to headers.
    fields: Vec<String>,
    /// Header names, in the same order as the field names listed in the fields configuration property.
    headers: Vec<String>,
    /// Either `move` if the fields are to be moved to the headers (removed from the key/value), or `copy` if the fields are
    /// to be copied to the headers (retained in the key/value).
    operation: Operation,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct HeaderFrom {
    side: Side,
    /// Field and header names
    pairs: Vec<(Text, Text)>,
    operation: Operation,
    purpose: &'static str,
    defaults: bool,
    schemas: SchemaCache,
}

impl Kind for HeaderFrom {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.HeaderFrom");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        for (key, list) in [("fields", &options.fields), ("headers", &options.headers)] {
            if list.is_empty() {
                return Err(empty_list(key));
            }
        }
        if options.fields.len() != options.headers.len() {
            let message = "'fields' config must have the same number of elements as 'headers' config.";
            return Err(Problem::new("fields", message));
        }
        let names = |list: Vec<String>| list.into_iter().map(Text::from);
        Ok(Self {
            side,
            pairs: names(options.fields).zip(names(options.headers)).collect(),
            operation: options.operation,
            purpose: if options.operation == Operation::Move { "header move" } else { "header copy" },
            defaults: options.defaults,
            schemas: SchemaCache::default(),
        })
    }
}

impl HeaderFrom {
    fn moves(&self, name: &str) -> bool {
        self.pairs.iter().any(|(field, _)| **field == *name)
    }

    fn with_schema(&mut self, schema: &Arc<Schema>, old: &[(Text, Value)]) -> Result<(Vec<Header>, Option<Datum>)> {
        let mut headers = Vec::with_capacity(self.pairs.len());
        for (name, header) in &self.pairs {
            let field = field(schema, name).ok_or_else(|| Error::bad_record(format!("Unknown field: {name}")))?;
            let value = field_value(old, field, self.defaults);
            let value = Datum::Decoded { schema: Some(Arc::clone(&field.schema)), value };
            headers.push(Header { key: header.clone(), value });
        }
        if self.operation == Operation::Copy {
            return Ok((headers, None));
        }
        let mut cache = std::mem::take(&mut self.schemas);
        let updated = cache.get(schema, |schema| {
            let mut updated = basics(schema, Type::Struct);
            updated.fields = schema.fields.iter().filter(|field| !self.moves(&field.name)).cloned().collect();
            Ok(Arc::new(updated))
        });
        self.schemas = cache;
        let updated = updated?;
        let fields: Fields =
            updated.fields.iter().map(|field| (field.name.clone(), field_value(old, field, self.defaults))).collect();
        Ok((headers, Some(Datum::Decoded { schema: Some(updated), value: Value::Map(fields) })))
    }

    fn schemaless(&self, value: Value) -> Result<(Vec<Header>, Option<Datum>)> {
        let mut fields = require_map(value, self.purpose)?;
        let mut headers = Vec::with_capacity(self.pairs.len());
        for (name, header) in &self.pairs {
            let value = position(&fields, name).map_or(Value::Null, |index| fields[index].1.clone());
            headers.push(Header { key: header.clone(), value: Datum::schemaless(value) });
        }
        if self.operation == Operation::Copy {
            return Ok((headers, None));
        }
        fields.retain(|(name, _)| !self.moves(name));
        Ok((headers, Some(Datum::schemaless(Value::Map(fields)))))
    }
}

impl PerRecord for HeaderFrom {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum(record);
        let (headers, updated) = match (schema_of(datum), datum) {
            (Some(schema), Datum::Decoded { value, .. }) => {
                require_struct_schema(schema, self.purpose)?;
                let Value::Map(fields) = value else {
                    return Err(Error::bad_record(format!(
                        "Only Struct objects supported for [{}], found: {}",
                        self.purpose,
                        value.type_name()
                    )));
                };
                self.with_schema(schema, fields)?
            }
            _ => self.schemaless(datum.value())?,
        };
        if let Some(updated) = updated {
            *self.side.datum_mut(record) = updated;
        }
        record.headers.extend(headers);
        Ok(Verdict::Keep)
    }
}
