//! `InsertField`: adds the record's topic, partition, offset or timestamp, or a fixed text.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::{
    SchemaCache, Side, TIMESTAMP, add_field, basics, in_order, logical, plain, require_map, require_struct, take,
};
use super::members::Members;
use super::plan::Draft;
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "field insertion";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Field name for Kafka topic. Suffix with `!` to make this a required field, or `?` to keep it optional (the default).
    #[serde(rename = "topic.field", default)]
    topic: Option<String>,
    /// Field name for Kafka partition. Suffix with `!` to make this a required field, or `?` to keep it optional.
    #[serde(rename = "partition.field", default)]
    partition: Option<String>,
    /// Field name for Kafka offset, only applicable to sink connectors. Suffix with `!` to make this a required field, or
    /// `?` to keep it optional.
    #[serde(rename = "offset.field", default)]
    offset: Option<String>,
    /// Field name for record timestamp. Suffix with `!` to make this a required field, or `?` to keep it optional.
    #[serde(rename = "timestamp.field", default)]
    timestamp: Option<String>,
    /// Field name for static data field. Suffix with `!` to make this a required field, or `?` to keep it optional.
    #[serde(rename = "static.field", default)]
    static_field: Option<String>,
    /// Static field value, if field name configured.
    #[serde(rename = "static.value", default)]
    static_value: Option<String>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

/// A field to be added.
struct Spec {
    name: Text,
    schema: Arc<Schema>,
}

/// What of a record is inserted, in this order.
#[derive(Clone, Copy)]
enum Insert {
    Topic,
    Partition,
    Offset,
    Timestamp,
}

const INSERTS: [Insert; 4] = [Insert::Topic, Insert::Partition, Insert::Offset, Insert::Timestamp];

pub(super) struct InsertField {
    side: Side,
    topic: Option<Spec>,
    partition: Option<Spec>,
    offset: Option<Spec>,
    timestamp: Option<Spec>,
    fixed: Option<(Spec, Text)>,
    defaults: bool,
    schemas: SchemaCache,
    /// The last topic as text
    last: Option<(Arc<str>, Text)>,
}

fn spec(option: Option<String>, schema: impl Fn(bool) -> Arc<Schema>) -> Option<Spec> {
    let text = option?;
    let (name, optional) = match (text.strip_suffix('?'), text.strip_suffix('!')) {
        (Some(name), _) => (name, true),
        (_, Some(name)) => (name, false),
        _ => (text.as_str(), true),
    };
    Some(Spec { name: Text::from(name), schema: schema(optional) })
}

impl Kind for InsertField {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.InsertField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let made = Self {
            side,
            topic: spec(options.topic, |optional| plain(Type::String, optional)),
            partition: spec(options.partition, |optional| plain(Type::Int32, optional)),
            offset: spec(options.offset, |optional| plain(Type::Int64, optional)),
            timestamp: spec(options.timestamp, |optional| logical(Type::Int64, TIMESTAMP, optional)),
            fixed: match (spec(options.static_field, |optional| plain(Type::String, optional)), options.static_value) {
                (Some(spec), Some(value)) => Some((spec, Text::from(value))),
                (Some(spec), None) => {
                    let why = format!("No value specified for static field: {}", spec.name);
                    return Err(invalid("static.value", "null", &why));
                }
                (None, _) => None,
            },
            defaults: options.defaults,
            schemas: SchemaCache::default(),
            last: None,
        };
        let plain = [&made.topic, &made.partition, &made.offset, &made.timestamp];
        if plain.iter().all(|spec| spec.is_none()) && made.fixed.is_none() {
            return Err(Problem::new("", "No field insertion configured"));
        }
        Ok(made)
    }

    fn opens(&self) -> Option<Side> {
        Some(self.side)
    }

    fn edits(&self) -> bool {
        true
    }

    fn plan_edit(&mut self, draft: &mut Draft, record: &Record, site: &Site<'_>) -> Result<()> {
        self.insert(draft, record, site, false)
    }

    fn edited_value(&mut self, number: usize, value: &mut Value, record: &Record, site: &Site<'_>) -> Result<()> {
        // The plan has a place for it; a map without it has none.
        let absent = || Error::bad_record("the record has nothing to insert");
        *value = self.inserted(INSERTS[number], record, site, false)?.ok_or_else(absent)?;
        Ok(())
    }
}

impl InsertField {
    fn updated(&self, schema: &Schema) -> Result<Arc<Schema>> {
        let mut updated = basics(schema, Type::Struct);
        updated.fields.clone_from(&schema.fields);
        let plain = [&self.topic, &self.partition, &self.offset, &self.timestamp];
        for spec in plain.into_iter().flatten().chain(self.fixed.as_ref().map(|(spec, _)| spec)) {
            add_field(&mut updated, &spec.name, Arc::clone(&spec.schema))?;
        }
        Ok(Arc::new(updated))
    }

    fn topic_text(&mut self, topic: &Arc<str>) -> Text {
        match &self.last {
            Some((last, text)) if Arc::ptr_eq(last, topic) => text.clone(),
            _ => {
                let text = Text::from(&**topic);
                self.last = Some((Arc::clone(topic), text.clone()));
                text
            }
        }
    }

    fn spec(&self, insert: Insert) -> Option<&Spec> {
        match insert {
            Insert::Topic => self.topic.as_ref(),
            Insert::Partition => self.partition.as_ref(),
            Insert::Offset => self.offset.as_ref(),
            Insert::Timestamp => self.timestamp.as_ref(),
        }
    }

    /// What is inserted. What a record of a source does not have yet is left out, or null in a struct.
    fn inserted(&mut self, insert: Insert, record: &Record, site: &Site<'_>, typed: bool) -> Result<Option<Value>> {
        let value = match insert {
            Insert::Topic => Some(Value::Str(self.topic_text(site.topic(record)))),
            Insert::Partition => site.partition(record).map(|number| Value::Int(number.into())),
            Insert::Offset => Some(Value::Int(site.offset(record, PURPOSE)?)),
            Insert::Timestamp => record.timestamp_ms.map(if typed { Value::Timestamp } else { Value::Int }),
        };
        Ok(value.or(typed.then_some(Value::Null)))
    }

    fn insert(&mut self, fields: &mut impl Members, record: &Record, site: &Site<'_>, typed: bool) -> Result<()> {
        for (number, insert) in INSERTS.into_iter().enumerate() {
            if let Some(name) = self.spec(insert).map(|spec| spec.name.clone()) {
                fields.put(&name, number, || self.inserted(insert, record, site, typed))?;
            }
        }
        if let Some((spec, value)) = &self.fixed {
            fields.put_fixed(&spec.name, Value::Str(value.clone()));
        }
        Ok(())
    }
}

impl PerRecord for InsertField {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        if self.side.datum(record).is_null() {
            return Ok(Verdict::Keep);
        }
        let (schema, value) = take(self.side.datum_mut(record));
        let datum = match schema {
            None => {
                let mut fields = require_map(value, PURPOSE)?;
                self.insert(&mut fields, record, site, false)?;
                Datum::schemaless(Value::Map(fields))
            }
            Some(schema) => {
                let old = require_struct(&schema, value, PURPOSE)?;
                let mut cache = std::mem::take(&mut self.schemas);
                let updated = cache.get(&schema, |schema| self.updated(schema));
                self.schemas = cache;
                let mut fields = in_order(&schema, old, self.defaults);
                self.insert(&mut fields, record, site, true)?;
                Datum::Decoded { schema: Some(updated?), value: Value::Map(fields) }
            }
        };
        *self.side.datum_mut(record) = datum;
        Ok(Verdict::Keep)
    }
}
