//! `ReplaceField`: leaves fields out, keeps only some, renames them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use millrace_sdk::{ByteString, Config, Datum, Error, Problem, Record, Result, Schema, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::{Fields, SchemaCache, Side, add_field, basics, field_value, put, require_map, require_struct, take};
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "field replacement";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Fields to exclude. This takes precedence over the fields to include.
    #[serde(default)]
    exclude: Vec<String>,
    /// Fields to include. If specified, only these fields will be used.
    #[serde(default)]
    include: Vec<String>,
    /// Field rename mappings, such as `foo:bar,abc:xyz`.
    #[serde(default)]
    renames: Vec<String>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct ReplaceField {
    side: Side,
    exclude: HashSet<String>,
    include: HashSet<String>,
    renames: HashMap<String, ByteString>,
    /// New names to old ones
    reverse: HashMap<ByteString, String>,
    defaults: bool,
    schemas: SchemaCache<Updated>,
}

/// An updated schema, and for each of its fields the number of the old one.
type Updated = (Arc<Schema>, Arc<[usize]>);

impl Kind for ReplaceField {
    type Options = Options;
    const CLASSES: &'static [&'static str] =
        sided!("org.apache.kafka.connect.transforms.ReplaceField", "io.confluent.connect.transforms.ReplaceField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let mut renames = HashMap::new();
        for mapping in &options.renames {
            match mapping.split_once(':') {
                Some((old, new)) if !new.is_empty() && !new.contains(':') => {
                    renames.insert(old.to_owned(), ByteString::from(new.to_owned()));
                }
                _ => {
                    let all = format!("[{}]", options.renames.join(", "));
                    return Err(invalid("renames", &all, &format!("Invalid rename mapping: {mapping}")));
                }
            }
        }
        Ok(Self {
            side,
            exclude: options.exclude.into_iter().collect(),
            include: options.include.into_iter().collect(),
            reverse: renames.iter().map(|(old, new)| (new.clone(), old.clone())).collect(),
            renames,
            defaults: options.defaults,
            schemas: SchemaCache::default(),
        })
    }
}

impl ReplaceField {
    fn keeps(&self, name: &str) -> bool {
        !self.exclude.contains(name) && (self.include.is_empty() || self.include.contains(name))
    }

    fn renamed(&self, name: &ByteString) -> ByteString {
        self.renames.get(&**name).unwrap_or(name).clone()
    }

    fn map(&self, old: Fields) -> Fields {
        let mut fields = Vec::with_capacity(old.len());
        for (name, value) in old {
            if self.keeps(&name) {
                match self.renames.get(&*name) {
                    // Two fields of one name: the later one counts.
                    Some(new) => put(&mut fields, new, value),
                    None if self.renames.is_empty() => fields.push((name, value)),
                    None => put(&mut fields, &name, value),
                }
            }
        }
        fields
    }

    fn updated(&self, schema: &Schema) -> Result<Updated> {
        let mut updated = basics(schema, Type::Struct);
        for field in schema.fields.iter().filter(|field| self.keeps(&field.name)) {
            add_field(&mut updated, &self.renamed(&field.name), Arc::clone(&field.schema))?;
        }
        // As in Connect a value is looked up by its old name from the new one.
        let old = |name: &ByteString| {
            let old = self.reverse.get(name).map_or(&**name, String::as_str);
            schema
                .fields
                .iter()
                .position(|field| *field.name == *old)
                .ok_or_else(|| Error::bad_record(format!("{old} is not a valid field name")))
        };
        let sources = updated.fields.iter().map(|field| old(&field.name)).collect::<Result<Arc<[usize]>>>()?;
        Ok((Arc::new(updated), sources))
    }
}

impl PerRecord for ReplaceField {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        if datum.is_null() {
            return Ok(Verdict::Keep);
        }
        let (schema, value) = take(datum);
        *datum = match schema {
            None => Datum::schemaless(Value::Map(self.map(require_map(value, PURPOSE)?))),
            Some(schema) => {
                let old = require_struct(&schema, value, PURPOSE)?;
                let mut cache = std::mem::take(&mut self.schemas);
                let updated = cache.get(&schema, |schema| self.updated(schema));
                self.schemas = cache;
                let (updated, sources) = updated?;
                let value_of = |source: &usize| field_value(&old, &schema.fields[*source], self.defaults);
                let fields = updated
                    .fields
                    .iter()
                    .zip(sources.iter())
                    .map(|(field, source)| (field.name.clone(), value_of(source)));
                Datum::Decoded { value: Value::Map(fields.collect()), schema: Some(updated) }
            }
        };
        Ok(Verdict::Keep)
    }
}
