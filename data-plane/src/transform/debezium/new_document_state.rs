//! `ExtractNewDocumentState`: the new state of a MongoDB document, whose schema is taken from the document itself.

use std::sync::Arc;

use millrace_sdk::{Config, Datum, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::super::data::{Fields, Side, add_field, field, position, require_map, schema_of, take};
use super::super::flatten::Flatten;
use super::super::{Kind, PerRecord, Site, Verdict};
use super::added::{Reference, references};
use super::document::{Arrays, Converter};
use super::envelope::{
    Delete, Handling, Headers, Mode, OldMode, Schemaless, conflict, is_envelope, looks_like_envelope, part, part_schema,
};
use super::extended_json::{Bson, Document, document, value};
use super::names::Adjustment;

const ID: Text = Text::from_static("id");
const DOCUMENT_ID: Text = Text::from_static("_id");
const DELETED: Text = Text::from_static("__deleted");

#[derive(Deserialize, JsonSchema)]
pub(in crate::transform) struct Options {
    /// As of `ExtractNewRecordState`.
    #[serde(rename = "delete.tombstone.handling.mode", default)]
    mode: Option<Mode>,
    /// Whether a deleted document gets its `_id` from the key, in the `rewrite` modes.
    #[serde(rename = "delete.tombstone.handling.mode.rewrite-with-id", default)]
    rewrite_with_id: bool,
    /// The older form: `drop`, `rewrite` or `none`.
    #[serde(rename = "delete.handling.mode", default)]
    old_mode: Option<OldMode>,
    /// The older form: whether tombstones are dropped.
    #[serde(rename = "drop.tombstones", default)]
    drop_tombstones: Option<bool>,
    /// The prefix of the names that `add.fields` adds.
    #[serde(rename = "add.fields.prefix", default = "underscores")]
    fields_prefix: String,
    /// Fields of the event to be added to the document, such as `op,source.ts_ms,collection:name`.
    #[serde(rename = "add.fields", default)]
    fields: Vec<String>,
    /// The prefix of the names that `add.headers` adds.
    #[serde(rename = "add.headers.prefix", default = "underscores")]
    headers_prefix: String,
    /// Fields of the event to be added as headers.
    #[serde(rename = "add.headers", default)]
    headers: Vec<String>,
    /// Lists as lists, whose elements must be of one type, or as structs with the fields `_0`, `_1`…
    #[serde(rename = "array.encoding", default)]
    arrays: Arrays,
    /// Whether nested documents become one level.
    #[serde(rename = "flatten.struct", default)]
    flatten: bool,
    /// What joins their names.
    #[serde(rename = "flatten.struct.delimiter", default = "underscore")]
    delimiter: String,
    /// How names of fields are adjusted.
    #[serde(rename = "field.name.adjustment.mode", default)]
    names: Adjustment,
    /// What becomes of change events without a schema: `pass` leaves them as they are, as Debezium does; `unwrap` makes
    /// documents of them that have no schema either.
    #[serde(rename = "schemaless.envelope", default)]
    schemaless: Schemaless,
}
impl Config for Options {}

fn underscores() -> String {
    "__".to_owned()
}

fn underscore() -> String {
    "_".to_owned()
}

pub(in crate::transform) struct ExtractNewDocumentState {
    handling: Handling,
    rewrite_with_id: bool,
    fields: Vec<Reference>,
    headers: Headers,
    converter: Converter,
    flatten: Option<(Flatten, String)>,
    schemaless: Schemaless,
    /// The last schemas of a key and a value: documents of a collection mostly look alike
    last: [Option<Arc<Schema>>; 2],
}

impl Kind for ExtractNewDocumentState {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.debezium.connector.mongodb.transforms.ExtractNewDocumentState"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        conflict(options.mode, options.old_mode, options.drop_tombstones)?;
        let headers = references("add.headers", &options.headers_prefix, &options.headers)?;
        let flatten = Flatten::new(Side::Value, options.delimiter.clone());
        Ok(Self {
            handling: Handling::new(options.mode, options.old_mode, options.drop_tombstones),
            rewrite_with_id: options.rewrite_with_id,
            fields: references("add.fields", &options.fields_prefix, &options.fields)?,
            headers: Headers::new(headers),
            converter: Converter { arrays: options.arrays, names: options.names },
            flatten: options.flatten.then_some((flatten, options.delimiter)),
            schemaless: options.schemaless,
            last: [None, None],
        })
    }
}

/// A part of the event that is a document's text; None when it is null.
fn text(event: &Fields, name: &str) -> Result<Option<Text>> {
    match part(event, name).open()? {
        Value::Null => Ok(None),
        Value::Str(text) => Ok(Some(text)),
        other => Err(Error::bad_record(format!(
            "{name} is {} where a document's text is expected; this transform is for events of the MongoDB connector",
            other.type_name()
        ))),
    }
}

impl ExtractNewDocumentState {
    /// The document's id, which the key has as text.
    fn id(&self, record: &Record) -> Result<Bson> {
        let key = require_map(record.key.value(), "field extraction")?;
        match text(&key, "id")? {
            Some(id) => value(&id),
            None => Err(Error::bad_record("the key has no field id, or it is null")),
        }
    }

    /// What is left of the event; None when nothing of it is wanted.
    fn document(&self, event: &Fields, schema: Option<&Schema>, id: &Bson) -> Result<Option<Document>> {
        if let Some(schema) = schema {
            part_schema(schema, "after")?;
        }
        let after = text(event, "after")?;
        let update = part(event, "updateDescription");
        let deleted = after.is_none() && update == Value::Null;
        let mut found = match (after, self.handling.delete) {
            (Some(after), _) => document(&after)?,
            (None, _) if !deleted => self.update(update, id)?,
            (None, Delete::Drop) => return Ok(None),
            (None, Delete::Rewrite) => text(event, "before")?.map_or(Ok(Vec::new()), |before| document(&before))?,
            (None, Delete::Null | Delete::Tombstone) => Vec::new(),
        };
        if self.handling.rewrites() {
            append(&mut found, DELETED, Bson::Bool(deleted));
            if self.rewrite_with_id && !found.iter().any(|(name, _)| *name == DOCUMENT_ID) {
                found.push((DOCUMENT_ID, id.clone()));
            }
        }
        Ok(Some(found))
    }

    /// The changed fields, when the connector does not look up whole documents.
    fn update(&self, update: Value, id: &Bson) -> Result<Document> {
        let update = require_map(update, "updateDescription")?;
        let mut changed = match text(&update, "updatedFields")? {
            Some(fields) => document(&fields)?,
            None => Vec::new(),
        };
        if let Value::List(removed) = part(&update, "removedFields").open()? {
            for name in &removed {
                if let Value::Str(name) = name.open()? {
                    changed.retain(|(known, _)| *known != name);
                }
            }
        }
        if !changed.iter().any(|(name, _)| *name == DOCUMENT_ID) {
            changed.push((DOCUMENT_ID, id.clone()));
        }
        if let Some((_, delimiter)) = &self.flatten {
            let mut renamed: Document = Vec::with_capacity(changed.len());
            for (name, value) in changed {
                append(&mut renamed, Text::from(name.replace('.', delimiter)), value);
            }
            changed = renamed;
        }
        Ok(changed)
    }

    fn key(&mut self, id: Bson, typed: bool) -> Result<Datum> {
        let document = vec![(ID, id)];
        // The struct has no name, which Debezium prints as null in the names of structs within.
        let made = Schema { fields: self.converter.fields(&document, "null")?, ..Schema::of(Type::Struct) };
        let value = Value::Map(self.converter.values(&document, &made.fields));
        Ok(Datum::Decoded { schema: typed.then(|| self.shared(0, made)), value })
    }

    /// The schema by which the last record of a like one is known.
    fn shared(&mut self, slot: usize, made: Schema) -> Arc<Schema> {
        match &self.last[slot] {
            Some(last) if **last == made => Arc::clone(last),
            _ => {
                let made = Arc::new(made);
                self.last[slot] = Some(Arc::clone(&made));
                made
            }
        }
    }

    fn value(&mut self, found: &Document, event: &Fields, schema: Option<&Schema>) -> Result<Datum> {
        if found.is_empty() {
            return Ok(Datum::Null);
        }
        let name = schema.and_then(|schema| schema.name.as_deref()).unwrap_or_default();
        let name = self.converter.names.schema_parts(name.strip_suffix(".Envelope").unwrap_or(name));
        let fields = self.converter.fields(found, &name)?;
        let mut values = self.converter.values(found, &fields);
        let mut made = Schema { name: Some(Text::from(name)), fields, ..Schema::of(Type::Struct) };
        for reference in &self.fields {
            match schema {
                Some(schema) => {
                    if let Some(added) = reference.schema(schema) {
                        add_field(&mut made, &reference.name, added)?;
                        values.push((reference.name.clone(), reference.value(event)));
                    }
                }
                None => {
                    if let Some(value) = reference.schemaless(event)? {
                        match position(&values, &reference.name) {
                            Some(index) => values[index].1 = value,
                            None => values.push((reference.name.clone(), value)),
                        }
                    }
                }
            }
        }
        let schema = schema.is_some().then(|| self.shared(1, made));
        Ok(Datum::Decoded { schema, value: Value::Map(values) })
    }

    /// Whether this is a key or an event of Debezium: their schemas have names, and what has none is known by its fields.
    fn concerns(&self, record: &Record) -> Result<bool> {
        Ok(match (&record.key, self.schemaless) {
            (Datum::Decoded { schema: Some(schema), .. }, _) => {
                schema.name.as_ref().is_some_and(|name| name.ends_with(".Key")) && field(schema, "id").is_some()
            }
            (Datum::Decoded { schema: None, value: value @ (Value::Map(_) | Value::Json(_)) }, Schemaless::Unwrap) => {
                value.field("id")?.is_some()
            }
            _ => false,
        })
    }
}

fn append(document: &mut Document, name: Text, value: Bson) {
    match document.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => document.push((name, value)),
    }
}

impl PerRecord for ExtractNewDocumentState {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        if !self.concerns(record)? {
            return Ok(Verdict::Keep);
        }
        let typed = schema_of(&record.key).is_some();
        if record.value.is_null() {
            self.headers.add(record)?;
            if self.handling.tombstone == Verdict::Keep {
                record.key = self.key(self.id(record)?, typed)?;
                record.value = Datum::Null;
            }
            return Ok(self.handling.tombstone);
        }
        let is_event = match &record.value {
            Datum::Decoded { schema: Some(schema), .. } => is_envelope(schema),
            Datum::Decoded { schema: None, value } => {
                self.schemaless == Schemaless::Unwrap && looks_like_envelope(value)?
            }
            _ => false,
        };
        if !is_event {
            return Ok(Verdict::Keep);
        }
        self.headers.add(record)?;
        let id = self.id(record)?;
        let (schema, value) = take(&mut record.value);
        let event = require_map(value, "field extraction")?;
        let Some(found) = self.document(&event, schema.as_deref(), &id)? else { return Ok(Verdict::Drop) };
        record.key = self.key(id, typed)?;
        record.value = self.value(&found, &event, schema.as_deref())?;
        match &mut self.flatten {
            Some((flatten, _)) => flatten.apply(record, site),
            None => Ok(Verdict::Keep),
        }
    }
}
