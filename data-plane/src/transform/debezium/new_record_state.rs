//! `ExtractNewRecordState`: the new state of a row instead of the change event around it.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::data::{
    Fields, SchemaCache, Side, add_field, basics, plain, put, require_map, require_struct, schema_of, take, take_field,
};
use super::super::{Kind, PerRecord, Site, Verdict};
use super::added::{Reference, references};
use super::envelope::{
    Delete, Handling, Headers, Mode, OldMode, Schemaless, conflict, is_envelope, looks_like_envelope, part,
    part_schema, route,
};

const PURPOSE: &str = "source field insertion";
const DELETED: Text = Text::from_static("__deleted");

#[derive(Deserialize, JsonSchema)]
pub(in crate::transform) struct Options {
    /// What becomes of deletes and of the tombstones after them: `drop` drops both, `tombstone` (the default) makes the
    /// delete a record without a value, `rewrite` makes it the row's last state with `__deleted`, `rewrite-with-tombstone`
    /// keeps the tombstone, too, `delete-to-tombstone` leaves neither value nor schema.
    #[serde(rename = "delete.tombstone.handling.mode", default)]
    mode: Option<Mode>,
    /// The older form of it: `drop`, `rewrite` or `none`.
    #[serde(rename = "delete.handling.mode", default)]
    old_mode: Option<OldMode>,
    /// The older form of it: whether tombstones are dropped.
    #[serde(rename = "drop.tombstones", default)]
    drop_tombstones: Option<bool>,
    /// The field of the row whose text becomes the topic.
    #[serde(rename = "route.by.field", default)]
    route_by_field: String,
    /// The prefix of the names that `add.fields` adds.
    #[serde(rename = "add.fields.prefix", default = "underscores")]
    fields_prefix: String,
    /// Fields of the event to be added to the row, such as `op,source.ts_ms,table:name`.
    #[serde(rename = "add.fields", default)]
    fields: Vec<String>,
    /// The prefix of the names that `add.headers` adds.
    #[serde(rename = "add.headers.prefix", default = "underscores")]
    headers_prefix: String,
    /// Fields of the event to be added as headers.
    #[serde(rename = "add.headers", default)]
    headers: Vec<String>,
    /// Whether, in the `rewrite` modes, null becomes the default of the field's schema.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
    /// The header that lists fields to be removed from the row.
    #[serde(rename = "drop.fields.header.name", default)]
    drop_header: Option<String>,
    /// Whether those fields are removed from the key, too.
    #[serde(rename = "drop.fields.from.key", default)]
    drop_from_key: bool,
    /// Whether only optional fields are removed, so that schemas stay compatible.
    #[serde(rename = "drop.fields.keep.schema.compatible", default = "yes")]
    keep_compatible: bool,
    /// What becomes of change events without a schema: `pass` leaves them as they are, as Debezium does; `unwrap` treats them
    /// as those with one.
    #[serde(rename = "schemaless.envelope", default)]
    schemaless: Schemaless,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

fn underscores() -> String {
    "__".to_owned()
}

/// A part of the event and what becomes of its schema.
struct Shape {
    /// As it is in the event
    own: Arc<Schema>,
    /// With everything that is added; an error when it is no struct, or when names meet
    updated: Result<Arc<Schema>, String>,
}

/// What becomes of an event's schema.
struct Plan {
    after: Shape,
    before: Result<Shape, String>,
    /// Which references the event has
    present: Vec<bool>,
}

pub(in crate::transform) struct ExtractNewRecordState {
    handling: Handling,
    route_by_field: Option<String>,
    fields: Vec<Reference>,
    headers: Headers,
    defaults: bool,
    drop_header: Option<String>,
    drop_from_key: bool,
    keep_compatible: bool,
    schemaless: Schemaless,
    plans: SchemaCache<Arc<Plan>>,
}

impl Kind for ExtractNewRecordState {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.debezium.transforms.ExtractNewRecordState"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        conflict(options.mode, options.old_mode, options.drop_tombstones)?;
        let headers = references("add.headers", &options.headers_prefix, &options.headers)?;
        let named = |name: &String| !name.trim().is_empty();
        Ok(Self {
            handling: Handling::new(options.mode, options.old_mode, options.drop_tombstones),
            route_by_field: Some(options.route_by_field).filter(named),
            fields: references("add.fields", &options.fields_prefix, &options.fields)?,
            headers: Headers::new(headers),
            defaults: options.defaults,
            drop_header: options.drop_header.filter(named),
            drop_from_key: options.drop_from_key,
            keep_compatible: options.keep_compatible,
            schemaless: options.schemaless,
            plans: SchemaCache::default(),
        })
    }
}

impl ExtractNewRecordState {
    fn plan(&self, event: &Schema) -> Result<Arc<Plan>> {
        let added: Vec<Option<Arc<Schema>>> = self.fields.iter().map(|reference| reference.schema(event)).collect();
        let shape = |name: &str| -> Result<Shape> {
            let own = Arc::clone(part_schema(event, name)?);
            let updated = self.updated(&own, &added).map_err(|error| error.to_string());
            Ok(Shape { own, updated })
        };
        Ok(Arc::new(Plan {
            after: shape("after")?,
            before: shape("before").map_err(|error| error.to_string()),
            present: added.iter().map(Option::is_some).collect(),
        }))
    }

    fn updated(&self, own: &Schema, added: &[Option<Arc<Schema>>]) -> Result<Arc<Schema>> {
        super::super::data::require_struct_schema(own, PURPOSE)?;
        let mut updated = basics(own, Type::Struct);
        updated.fields.clone_from(&own.fields);
        if self.handling.rewrites() {
            add_field(&mut updated, &DELETED, plain(Type::String, true))?;
        }
        for (reference, schema) in self.fields.iter().zip(added) {
            if let Some(schema) = schema {
                add_field(&mut updated, &reference.name, Arc::clone(schema))?;
            }
        }
        Ok(Arc::new(updated))
    }

    /// The row with `__deleted` and the fields of the event.
    fn typed(&self, plan: &Plan, shape: &Shape, event: &Fields, state: Value, deleted: bool) -> Result<Datum> {
        let updated = shape.updated.as_ref().map_err(|error| Error::bad_record(error.clone()))?;
        let mut old = require_struct(&shape.own, state, PURPOSE)?;
        let defaults = self.handling.rewrites() && self.defaults;
        let mut row: Fields = Vec::with_capacity(updated.fields.len());
        for (guess, field) in shape.own.fields.iter().enumerate() {
            row.push((field.name.clone(), take_field(&mut old, field, guess, defaults)));
        }
        if self.handling.rewrites() {
            row.push((DELETED, flag(deleted)));
        }
        for (reference, present) in self.fields.iter().zip(&plan.present) {
            if *present {
                row.push((reference.name.clone(), reference.value(event)));
            }
        }
        Ok(Datum::Decoded { schema: Some(Arc::clone(updated)), value: Value::Map(row) })
    }

    fn untyped(&self, event: &Fields, state: Value, deleted: bool) -> Result<Datum> {
        let mut row = require_map(state, PURPOSE)?;
        if self.handling.rewrites() {
            put(&mut row, &DELETED, flag(deleted));
        }
        for reference in &self.fields {
            if let Some(value) = reference.schemaless(event)? {
                put(&mut row, &reference.name, value);
            }
        }
        Ok(Datum::schemaless(Value::Map(row)))
    }

    /// The topic by the row's field.
    fn route(&self, record: &mut Record, state: &Value, schema: Option<&Schema>) -> Result<()> {
        let Some(name) = &self.route_by_field else { return Ok(()) };
        let opened = state.open()?;
        let Value::Map(fields) = &opened else { return Ok(()) };
        if let Some(topic) = route(fields, schema, name)? {
            record.renamed_topic = Some(topic);
        }
        Ok(())
    }

    /// The row in place of the event; `Drop` when nothing of it is wanted.
    fn unwrap(&mut self, record: &mut Record) -> Result<Verdict> {
        let plan = match schema_of(&record.value) {
            Some(schema) => {
                let schema = Arc::clone(schema);
                let mut plans = std::mem::take(&mut self.plans);
                let plan = plans.get(&schema, |schema| self.plan(schema));
                self.plans = plans;
                Some(plan?)
            }
            None => None,
        };
        let (_, value) = take(&mut record.value);
        let event = require_map(value, PURPOSE)?;
        let (after, before) = (part(&event, "after"), part(&event, "before"));
        if after != Value::Null {
            let shape = plan.as_ref().map(|plan| &plan.after);
            self.route(record, &after, shape.map(|shape| &*shape.own))?;
            record.value = match (&plan, shape) {
                (Some(plan), Some(shape)) => self.typed(plan, shape, &event, after, false)?,
                _ => self.untyped(&event, after, false)?,
            };
            self.drop_fields(record, &[])?;
            return Ok(Verdict::Keep);
        }
        let before_shape = match plan.as_ref().map(|plan| plan.before.as_ref()) {
            Some(Err(error)) => return Err(Error::bad_record(error.clone())),
            Some(Ok(shape)) => Some(shape),
            None => None,
        };
        if before == Value::Null {
            return Ok(Verdict::Drop); // a truncated table, or a message
        }
        if self.handling.delete == Delete::Drop {
            return Ok(Verdict::Drop);
        }
        self.route(record, &before, before_shape.map(|shape| &*shape.own))?;
        record.value = match (self.handling.delete, &plan, before_shape) {
            (Delete::Null, Some(plan), _) => {
                Datum::Decoded { schema: Some(Arc::clone(&plan.after.own)), value: Value::Null }
            }
            (Delete::Rewrite, Some(plan), Some(shape)) => self.typed(plan, shape, &event, before, true)?,
            (Delete::Rewrite, ..) => self.untyped(&event, before, true)?,
            _ => Datum::Null,
        };
        // Debezium drops before it adds where it rewrites a delete.
        self.drop_fields(record, &self.fields)?;
        Ok(Verdict::Keep)
    }

    /// What the header of `drop.fields.header.name` lists, but for some fields of the value.
    fn drop_fields(&self, record: &mut Record, kept: &[Reference]) -> Result<()> {
        let Some(name) = &self.drop_header else { return Ok(()) };
        let Some(header) = record.headers.iter().find(|header| *header.key == **name) else { return Ok(()) };
        let mut names = match header.value.value().open()? {
            Value::Null => return Ok(()),
            Value::List(items) => items.iter().map(text).collect::<Result<Vec<_>>>()?,
            other => {
                let found = other.type_name();
                return Err(Error::bad_record(format!(
                    "the header {name} (drop.fields.header.name) is no list of field names but {found}"
                )));
            }
        };
        if self.drop_from_key {
            self.without(&mut record.key, &names)?;
        }
        names.retain(|name| !kept.iter().any(|reference| reference.name == *name));
        self.without(&mut record.value, &names)
    }

    fn without(&self, datum: &mut Datum, names: &[Text]) -> Result<()> {
        let optional = |name: &Text, schema: &Schema| {
            schema.fields.iter().any(|field| field.name == *name && (field.schema.optional || !self.keep_compatible))
        };
        if datum.is_null() {
            return Ok(());
        }
        let listed = |name: &Text| names.contains(name);
        let (schema, value) = take(datum);
        *datum = match schema {
            None => {
                let mut fields = require_map(value, "field replacement")?;
                fields.retain(|(name, _)| !listed(name));
                Datum::schemaless(Value::Map(fields))
            }
            Some(schema) if !names.iter().any(|name| optional(name, &schema)) => {
                Datum::Decoded { schema: Some(schema), value }
            }
            Some(schema) => {
                let mut old = require_struct(&schema, value, "field replacement")?;
                let mut updated = basics(&schema, Type::Struct);
                let mut fields: Fields = Vec::with_capacity(schema.fields.len());
                for (guess, field) in schema.fields.iter().enumerate() {
                    if !(listed(&field.name) && optional(&field.name, &schema)) {
                        fields.push((field.name.clone(), take_field(&mut old, field, guess, true)));
                        updated.fields.push(field.clone());
                    }
                }
                Datum::Decoded { schema: Some(Arc::new(updated)), value: Value::Map(fields) }
            }
        };
        Ok(())
    }
}

fn text(value: &Value) -> Result<Text> {
    match value.open()? {
        Value::Str(text) => Ok(text),
        other => Err(Error::bad_record(format!("{} among the names of fields to be dropped", other.type_name()))),
    }
}

fn flag(deleted: bool) -> Value {
    Value::Str(Text::from_static(if deleted { "true" } else { "false" }))
}

impl PerRecord for ExtractNewRecordState {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        if record.value.is_null() {
            self.headers.add(record)?;
            return Ok(self.handling.tombstone);
        }
        let is_event = match (&record.value, self.schemaless) {
            (Datum::Decoded { schema: Some(schema), .. }, _) => is_envelope(schema),
            (Datum::Decoded { schema: None, value }, Schemaless::Unwrap) => looks_like_envelope(value)?,
            _ => false,
        };
        if !is_event {
            return Ok(Verdict::Keep);
        }
        self.headers.add(record)?;
        self.unwrap(record)
    }
}
