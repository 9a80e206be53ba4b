//! `ReplaceField`: leaves fields out, keeps only some, renames them.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::{SchemaCache, Side, add_field, basics, in_order, require_map, require_struct, take};
use super::members::Members;
use super::plan::Draft;
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
    exclude: Names,
    include: Names,
    /// New names by old ones
    renames: Vec<(String, Text)>,
    /// New names to old ones
    reverse: HashMap<Text, String>,
    defaults: bool,
    schemas: SchemaCache<Updated>,
}

/// Names of fields, few enough to be compared one by one.
struct Names(Vec<String>);

impl Names {
    fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.len() == name.len() && known == name)
    }
}

/// An updated schema, and for each of its fields the number of the old one.
type Updated = (Arc<Schema>, Arc<[usize]>);

impl Kind for ReplaceField {
    type Options = Options;
    const CLASSES: &'static [&'static str] =
        sided!("org.apache.kafka.connect.transforms.ReplaceField", "io.confluent.connect.transforms.ReplaceField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let mut renames: Vec<(String, Text)> = Vec::new();
        for mapping in &options.renames {
            match mapping.split_once(':') {
                Some((old, new)) if !new.is_empty() && !new.contains(':') => {
                    // Of two for the same field the later one counts.
                    renames.retain(|(known, _)| known != old);
                    renames.push((old.to_owned(), Text::from(new)));
                }
                _ => {
                    let all = format!("[{}]", options.renames.join(", "));
                    return Err(invalid("renames", &all, &format!("Invalid rename mapping: {mapping}")));
                }
            }
        }
        Ok(Self {
            side,
            exclude: Names(options.exclude),
            include: Names(options.include),
            reverse: renames.iter().map(|(old, new)| (new.clone(), old.clone())).collect(),
            renames,
            defaults: options.defaults,
            schemas: SchemaCache::default(),
        })
    }

    fn opens(&self) -> Option<Side> {
        Some(self.side)
    }

    fn edits(&self) -> bool {
        true
    }

    fn plan_edit(&mut self, draft: &mut Draft, _: &Record, _: &Site<'_>) -> Result<()> {
        self.change(draft);
        Ok(())
    }
}

impl ReplaceField {
    fn keeps(&self, name: &str) -> bool {
        !self.exclude.contains(name) && (self.include.0.is_empty() || self.include.contains(name))
    }

    fn new_name(&self, name: &str) -> Option<&Text> {
        self.renames.iter().find(|(old, _)| old.len() == name.len() && old == name).map(|(_, new)| new)
    }

    fn change(&self, members: &mut impl Members) {
        members.retain(|name| self.keeps(name));
        let is_there = |(_, new): &(String, Text)| members.contains(new);
        let may_meet = self.reverse.len() < self.renames.len() || self.renames.iter().any(is_there);
        members.rename(|name| self.new_name(name));
        if may_meet {
            members.merge();
        }
    }

    fn updated(&self, schema: &Schema) -> Result<Updated> {
        let mut updated = basics(schema, Type::Struct);
        for field in schema.fields.iter().filter(|field| self.keeps(&field.name)) {
            let name = self.new_name(&field.name).unwrap_or(&field.name);
            add_field(&mut updated, name, Arc::clone(&field.schema))?;
        }
        // As in Connect a value is looked up by its old name from the new one.
        let old = |name: &Text| {
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
            None => {
                let mut fields = require_map(value, PURPOSE)?;
                self.change(&mut fields);
                Datum::schemaless(Value::Map(fields))
            }
            Some(schema) => {
                let mut old = in_order(&schema, require_struct(&schema, value, PURPOSE)?, self.defaults);
                let mut cache = std::mem::take(&mut self.schemas);
                let updated = cache.get(&schema, |schema| self.updated(schema));
                self.schemas = cache;
                let (updated, sources) = updated?;
                // No field is the source of two: it has one name, the old one or the new one.
                let value_of = |source: &usize| std::mem::replace(&mut old[*source].1, Value::Null);
                let fields = updated.fields.iter().map(|field| field.name.clone()).zip(sources.iter().map(value_of));
                Datum::Decoded { value: Value::Map(fields.collect()), schema: Some(updated) }
            }
        };
        Ok(Verdict::Keep)
    }
}
