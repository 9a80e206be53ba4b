//! `ByLogicalTableRouter`: one topic for the tables of one logical table, with keys that stay apart.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::config::invalid;
use super::super::data::{SchemaCache, Side, add_field, basics, field, has_defaults, plain, put, require_map, take};
use super::super::java::regex::Replacer;
use super::super::{Kind, PerRecord, Site, Verdict};
use super::envelope::is_envelope;
use super::names::Adjustment;

#[derive(Deserialize, JsonSchema)]
pub(in crate::transform) struct Options {
    /// Regular expression that the whole topic must match.
    #[serde(rename = "topic.regex")]
    topic_regex: String,
    /// What becomes of the topic, with `$1` for the first group.
    #[serde(rename = "topic.replacement")]
    topic_replacement: String,
    /// Whether the key gets a field that names the table, so that equal keys of two tables stay apart.
    #[serde(rename = "key.enforce.uniqueness", default = "yes")]
    unique: bool,
    /// The name of that field.
    #[serde(rename = "key.field.name", default = "identifier")]
    key_field: String,
    /// Regular expression that makes that field's value from the old topic; without it, or when it does not match, it is the
    /// whole old topic.
    #[serde(rename = "key.field.regex", default)]
    key_regex: Option<String>,
    /// What becomes of the old topic for that field.
    #[serde(rename = "key.field.replacement", default)]
    key_replacement: Option<String>,
    /// How names of schemas, which are made from the topic, are adjusted.
    #[serde(rename = "schema.name.adjustment.mode", default)]
    adjustment: Adjustment,
    /// How many topics and schemas are remembered; without effect on what comes out.
    #[serde(rename = "logical.table.cache.size", default = "sixteen")]
    cache: u16,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

fn sixteen() -> u16 {
    16
}

fn identifier() -> String {
    "__dbz__physicalTableIdentifier".to_owned()
}

/// What becomes of a topic.
#[derive(Clone)]
struct Route {
    topic: Arc<str>,
    table: Text,
}

pub(in crate::transform) struct ByLogicalTableRouter {
    topic: Replacer,
    key_field: Option<Text>,
    table: Option<Replacer>,
    adjustment: Adjustment,
    remembered: usize,
    /// Per topic what becomes of it and of the schemas that came with it
    known: Vec<(Arc<str>, Option<Route>, SchemaCache, SchemaCache)>,
}

fn replacer(keys: (&str, &str), regex: &str, replacement: &str) -> Result<Replacer, Problem> {
    Replacer::new(regex, replacement).map_err(|(wrong_regex, wrong_replacement)| {
        if wrong_regex.is_empty() {
            invalid(keys.1, replacement, &wrong_replacement)
        } else {
            invalid(keys.0, regex, &format!("Invalid regex: {wrong_regex}"))
        }
    })
}

impl Kind for ByLogicalTableRouter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.debezium.transforms.ByLogicalTableRouter"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        let regex = options.key_regex.filter(|regex| !regex.trim().is_empty());
        let table = match (regex, options.key_replacement.filter(|text| !text.trim().is_empty())) {
            (None, _) => None,
            (Some(regex), Some(text)) => Some(replacer(("key.field.regex", "key.field.replacement"), &regex, &text)?),
            (Some(_), None) => {
                let why = "key.field.replacement must be non-empty if key.field.regex is set.";
                return Err(invalid("key.field.replacement", "null", why));
            }
        };
        Ok(Self {
            topic: replacer(("topic.regex", "topic.replacement"), &options.topic_regex, &options.topic_replacement)?,
            key_field: options.unique.then(|| Text::from(options.key_field)),
            table,
            adjustment: options.adjustment,
            remembered: usize::from(options.cache.max(1)),
            known: Vec::new(),
        })
    }
}

impl ByLogicalTableRouter {
    fn route(&self, topic: &str) -> Option<Route> {
        let renamed = self.topic.replace(topic)?;
        if renamed.is_empty() {
            tracing::warn!(topic, "topic.regex and topic.replacement leave no name of a topic, which stays as it is");
            return None;
        }
        let table = self.table.as_ref().and_then(|table| table.replace(topic));
        let table = Text::from(table.as_deref().unwrap_or(topic));
        Some(Route { topic: renamed, table })
    }

    fn copy(&self, schema: &Schema, name: String) -> Schema {
        Schema {
            name: Some(Text::from(self.adjustment.schema(&name))),
            optional: schema.optional,
            fields: schema.fields.clone(),
            ..basics(schema, Type::Struct)
        }
    }

    fn key_schema(&self, schema: &Schema, topic: &str) -> Result<Arc<Schema>> {
        let mut updated = self.copy(schema, format!("{topic}.Key"));
        if let Some(name) = &self.key_field {
            add_field(&mut updated, name, plain(Type::String, false))?;
        }
        Ok(Arc::new(updated))
    }

    fn envelope_schema(&self, schema: &Schema, topic: &str) -> Result<Arc<Schema>> {
        let mut updated = self.copy(schema, format!("{topic}.Envelope"));
        let row = match field(schema, "before").or_else(|| field(schema, "after")) {
            Some(field) if field.schema.kind != Type::Struct => {
                return Err(Error::bad_record(format!(
                    "the field {} of the change event is no struct but {:?}: it is no event of a table",
                    field.name, field.schema.kind
                )));
            }
            Some(field) => Some(Arc::new(self.copy(&field.schema, format!("{topic}.Value")))),
            None => None,
        };
        for field in &mut updated.fields {
            if let Some(row) = row.as_ref().filter(|_| *field.name == *"before" || *field.name == *"after") {
                field.schema = Arc::clone(row);
            }
        }
        Ok(Arc::new(updated))
    }

    /// The position of what is known of a topic.
    fn known(&mut self, topic: &Arc<str>) -> usize {
        if let Some(index) = self.known.iter().position(|known| *known.0 == **topic) {
            return index;
        }
        let route = self.route(topic);
        if self.known.len() >= self.remembered {
            self.known.remove(0);
        }
        self.known.push((Arc::clone(topic), route, SchemaCache::default(), SchemaCache::default()));
        self.known.len() - 1
    }

    fn key(&self, record: &mut Record, route: &Route, schemas: &mut SchemaCache) -> Result<()> {
        let (schema, value) = take(&mut record.key);
        let schema = match schema {
            Some(schema) if schema.kind != Type::Struct => {
                let found = value.type_name();
                return Err(Error::bad_record(format!(
                    "Only Struct objects supported for [Updating schema], found: {found}"
                )));
            }
            Some(schema) => Some(schemas.get(&schema, |schema| self.key_schema(schema, &route.topic))?),
            None => None,
        };
        let mut fields = require_map(value, "Updating schema")?;
        if let Some(name) = &self.key_field {
            put(&mut fields, name, Value::Str(route.table.clone()));
        }
        record.key = Datum::Decoded { schema, value: Value::Map(fields) };
        Ok(())
    }

    fn apply_known(
        &self,
        record: &mut Record,
        route: &Route,
        caches: (&mut SchemaCache, &mut SchemaCache),
    ) -> Result<()> {
        if !record.key.is_null() {
            self.key(record, route, caches.0)?;
        }
        if let Datum::Decoded { schema: Some(schema), value } = &mut record.value
            && *value != Value::Null
            && is_envelope(schema)
        {
            if has_defaults(schema)
                && let Value::Map(fields) = value
            {
                let all = schema
                    .fields
                    .iter()
                    .map(|field| (field.name.clone(), super::super::data::field_value(fields, field, true)));
                *fields = all.collect();
            }
            *schema = caches.1.get(schema, |schema| self.envelope_schema(schema, &route.topic))?;
        }
        record.renamed_topic = Some(Arc::clone(&route.topic));
        Ok(())
    }
}

impl PerRecord for ByLogicalTableRouter {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        let index = self.known(&Arc::clone(site.topic(record)));
        let Some(route) = self.known[index].1.clone() else { return Ok(Verdict::Keep) };
        let (mut keys, mut values) =
            (std::mem::take(&mut self.known[index].2), std::mem::take(&mut self.known[index].3));
        let done = self.apply_known(record, &route, (&mut keys, &mut values));
        (self.known[index].2, self.known[index].3) = (keys, values);
        done.map(|()| Verdict::Keep)
    }
}
