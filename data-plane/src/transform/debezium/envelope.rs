//! What the two unwrapping transforms share: which records are change events, and what becomes of deletes and tombstones.

use millrace_sdk::{Datum, Error, Header, Problem, Record, Result, Schema, Type, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::Verdict;
use super::super::config::invalid;
use super::super::data::{Fields, SchemaCache, field, position, schema_of};
use super::added::Reference;

/// Mode of `delete.tombstone.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mode {
    /// Deletes and tombstones are dropped
    Drop,
    /// A delete becomes a record without a value (its schema is kept); tombstones are dropped
    Tombstone,
    /// A delete becomes its old state with `__deleted`; tombstones are dropped
    Rewrite,
    /// As `rewrite`, tombstones are kept
    RewriteWithTombstone,
    /// A delete becomes a tombstone, without value and schema; tombstones are dropped
    DeleteToTombstone,
}

/// Mode of the older `delete.handling.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OldMode {
    /// Deletes are dropped
    Drop,
    /// A delete becomes its old state with `__deleted`
    Rewrite,
    /// A delete becomes a record without a value
    None,
}

/// What becomes of a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delete {
    Drop,
    /// No value; the schema stays
    Null,
    /// Neither value nor schema
    Tombstone,
    /// The old state
    Rewrite,
}

/// What becomes of deletes and of tombstones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Handling {
    pub(super) delete: Delete,
    pub(super) tombstone: Verdict,
}

impl Handling {
    /// From the option of Debezium 2.5 and later, or from the two before; the newer one counts.
    pub(super) fn new(mode: Option<Mode>, old: Option<OldMode>, drop_tombstones: Option<bool>) -> Self {
        let (delete, keep) = match (mode, old, drop_tombstones) {
            (None, None, None) | (Some(Mode::Tombstone), ..) => (Delete::Null, false),
            (Some(Mode::Drop), ..) => (Delete::Drop, false),
            (Some(Mode::Rewrite), ..) => (Delete::Rewrite, false),
            (Some(Mode::RewriteWithTombstone), ..) => (Delete::Rewrite, true),
            (Some(Mode::DeleteToTombstone), ..) => (Delete::Tombstone, false),
            (None, old, drop_tombstones) => {
                let delete = match old.unwrap_or(OldMode::Drop) {
                    OldMode::Drop => Delete::Drop,
                    OldMode::Rewrite => Delete::Rewrite,
                    OldMode::None => Delete::Null,
                };
                (delete, drop_tombstones == Some(false))
            }
        };
        Self { delete, tombstone: if keep { Verdict::Keep } else { Verdict::Drop } }
    }

    pub(super) fn rewrites(self) -> bool {
        self.delete == Delete::Rewrite
    }
}

/// What becomes of change events that have no schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Schemaless {
    /// They pass as they are, as in Debezium
    #[default]
    Pass,
    /// They are unwrapped
    Unwrap,
}

/// Whether a schema is that of a change event.
pub(super) fn is_envelope(schema: &Schema) -> bool {
    schema.kind == Type::Struct && schema.name.as_ref().is_some_and(|name| name.ends_with(".Envelope"))
}

/// Whether a value without a schema is a change event: it has `op`, and `before`, `after` or `updateDescription`.
pub(super) fn looks_like_envelope(value: &Value) -> Result<bool> {
    let is_map = match value {
        Value::Map(_) => true,
        Value::Json(bytes) => bytes.first() == Some(&b'{'),
        _ => false,
    };
    if !is_map || !matches!(value.field("op")?, Some(Value::Str(_))) {
        return Ok(false);
    }
    for name in ["after", "before", "updateDescription"] {
        if value.field(name)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A field of an event, null when it is absent.
pub(super) fn part(event: &Fields, name: &str) -> Value {
    match position(event, name).map(|index| event[index].1.clone()) {
        Some(Value::Json(json)) if json.as_ref() == b"null" => Value::Null,
        Some(value) => value,
        None => Value::Null,
    }
}

/// The schema of a part of an event, as `ExtractField` finds it.
pub(super) fn part_schema<'a>(schema: &'a Schema, name: &str) -> Result<&'a std::sync::Arc<Schema>> {
    let found = field(schema, name).ok_or_else(|| Error::bad_record(format!("Unknown field: {name}")))?;
    Ok(&found.schema)
}

/// The headers that `add.headers` wants, with their schemas made once per schema.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) references: Vec<Reference>,
    schemas: SchemaCache<std::sync::Arc<[Option<std::sync::Arc<Schema>>]>>,
}

impl Headers {
    pub(super) fn new(references: Vec<Reference>) -> Self {
        Self { references, schemas: SchemaCache::default() }
    }

    /// Adds them; a tombstone gets the operation alone, which is a delete.
    pub(super) fn add(&mut self, record: &mut Record) -> Result<()> {
        if self.references.is_empty() {
            return Ok(());
        }
        if record.value.is_null() {
            let wanted = self.references.iter().filter(|reference| reference.field == "op");
            record.headers.extend(wanted.map(|reference| Header {
                key: reference.name.clone(),
                value: Datum::Decoded {
                    schema: Some(super::super::data::plain(Type::String, false)),
                    value: Value::Str("d".into()),
                },
            }));
            return Ok(());
        }
        let Datum::Decoded { value, .. } = &record.value else { return Ok(()) };
        let opened = value.open()?;
        let Value::Map(event) = &opened else { return Ok(()) };
        match schema_of(&record.value) {
            Some(schema) => {
                let references = &self.references;
                let schemas = self
                    .schemas
                    .get(schema, |schema| Ok(references.iter().map(|reference| reference.schema(schema)).collect()))?;
                for (reference, schema) in references.iter().zip(schemas.iter()) {
                    if let Some(schema) = schema {
                        let value = Datum::Decoded { schema: Some(schema.clone()), value: reference.value(event) };
                        record.headers.push(Header { key: reference.name.clone(), value });
                    }
                }
            }
            None => {
                for reference in &self.references {
                    if let Some(value) = reference.schemaless(event)? {
                        record.headers.push(Header { key: reference.name.clone(), value: Datum::schemaless(value) });
                    }
                }
            }
        }
        Ok(())
    }
}

/// The topic that `route.by.field` names, unless it is blank.
pub(super) fn route(state: &Fields, schema: Option<&Schema>, name: &str) -> Result<Option<std::sync::Arc<str>>> {
    if let Some(schema) = schema {
        let found = field(schema, name)
            .ok_or_else(|| Error::bad_record(format!("{name} is not a valid field name (route.by.field)")))?;
        if found.schema.kind != Type::String {
            return Err(Error::bad_record(format!("Field '{name}' is not of type STRING (route.by.field)")));
        }
    }
    let value = match schema.and_then(|schema| field(schema, name)) {
        // As Debezium, without the field's default.
        Some(found) => super::super::data::field_value(state, found, false),
        None => part(state, name),
    };
    match value.open()? {
        Value::Null => Ok(None),
        Value::Str(topic) if topic.trim().is_empty() => Ok(None),
        Value::Str(topic) => Ok(Some(std::sync::Arc::from(&*topic))),
        other => Err(Error::bad_record(format!(
            "Field '{name}' is not of type STRING (route.by.field), found: {}",
            other.type_name()
        ))),
    }
}

/// The problem of two options that exclude each other, if there is one.
pub(super) fn conflict(mode: Option<Mode>, old: Option<OldMode>, drop_tombstones: Option<bool>) -> Result<(), Problem> {
    if mode.is_some() && (old.is_some() || drop_tombstones.is_some()) {
        let key = if old.is_some() { "delete.handling.mode" } else { "drop.tombstones" };
        let value = old.map_or_else(|| drop_tombstones.unwrap_or_default().to_string(), |old| format!("{old:?}"));
        return Err(invalid(key, &value.to_lowercase(), "delete.tombstone.handling.mode replaces it; set only that"));
    }
    Ok(())
}
