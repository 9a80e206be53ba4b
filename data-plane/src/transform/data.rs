//! What the transforms share: key or value, maps of fields, defaults, schemas kept per input schema.

use std::sync::Arc;

use millrace_sdk::{Datum, Error, Field, Record, Result, Schema, Text, Type, Value};

/// Fields of a map or struct, in order.
pub(super) type Fields = Vec<(Text, Value)>;

#[cfg(test)]
pub(super) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub(super) const DATE: &str = "org.apache.kafka.connect.data.Date";
pub(super) const TIME: &str = "org.apache.kafka.connect.data.Time";
pub(super) const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// Key or value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Key,
    Value,
}

impl Side {
    pub(super) fn datum(self, record: &Record) -> &Datum {
        match self {
            Self::Key => &record.key,
            Self::Value => &record.value,
        }
    }

    pub(super) fn datum_mut(self, record: &mut Record) -> &mut Datum {
        match self {
            Self::Key => &mut record.key,
            Self::Value => &mut record.value,
        }
    }
}

/// Takes a datum apart; null stays in its place.
pub(super) fn take(datum: &mut Datum) -> (Option<Arc<Schema>>, Value) {
    match std::mem::replace(datum, Datum::Null) {
        Datum::Null => (None, Value::Null),
        Datum::Encoded(bytes) => (None, Value::Bytes(bytes)),
        Datum::Decoded { schema, value: Value::Json(json) } if json.as_ref() == b"null" => (schema, Value::Null),
        Datum::Decoded { schema, value } => (schema, value),
    }
}

/// The schema of a datum.
pub(super) fn schema_of(datum: &Datum) -> Option<&Arc<Schema>> {
    match datum {
        Datum::Decoded { schema, .. } => schema.as_ref(),
        _ => None,
    }
}

/// The fields of a schemaless map.
pub(super) fn require_map(value: Value, purpose: &str) -> Result<Fields> {
    let opened = if matches!(value, Value::Json(_)) { value.open()? } else { value };
    match opened {
        Value::Map(fields) => Ok(fields),
        other => Err(Error::bad_record(format!(
            "Only Map objects supported in absence of schema for [{purpose}], found: {}",
            other.type_name()
        ))),
    }
}

/// The fields of a struct.
pub(super) fn require_struct(schema: &Schema, value: Value, purpose: &str) -> Result<Fields> {
    match value {
        Value::Map(fields) if schema.kind == Type::Struct => Ok(fields),
        Value::Map(_) => Err(not_a_struct("a map", purpose)),
        other => Err(not_a_struct(other.type_name(), purpose)),
    }
}

fn not_a_struct(found: &str, purpose: &str) -> Error {
    Error::bad_record(format!("Only Struct objects supported for [{purpose}], found: {found}"))
}

/// A schema that claims to be a struct's.
pub(super) fn require_struct_schema(schema: &Schema, purpose: &str) -> Result<()> {
    if schema.kind == Type::Struct { Ok(()) } else { Err(not_a_struct(&format!("{:?}", schema.kind), purpose)) }
}

/// The position of a field.
#[inline]
pub(super) fn position(fields: &[(Text, Value)], name: &str) -> Option<usize> {
    fields.iter().position(|(key, _)| key.len() == name.len() && **key == *name)
}

/// The position of a struct's field: fields mostly stand where the schema has them.
pub(super) fn position_at(fields: &[(Text, Value)], name: &str, guess: usize) -> Option<usize> {
    match fields.get(guess) {
        Some((key, _)) if *key == *name => Some(guess),
        _ => position(fields, name),
    }
}

/// Sets a field, at its place when there is one, else at the end.
pub(super) fn put(fields: &mut Fields, name: &Text, value: Value) {
    match position(fields, name) {
        Some(index) => fields[index].1 = value,
        None => fields.push((name.clone(), value)),
    }
}

/// Takes a struct's field out; null becomes the schema's default when the user wants that.
pub(super) fn take_field(fields: &mut Fields, field: &Field, guess: usize, defaults: bool) -> Value {
    let value = position_at(fields, &field.name, guess)
        .map_or(Value::Null, |index| std::mem::replace(&mut fields[index].1, Value::Null));
    with_default(value, &field.schema, defaults)
}

/// A struct's fields as the schema has them, no others, and in its order; null becomes the schema's default when the user
/// wants that. Mostly they stand so already.
pub(super) fn in_order(schema: &Schema, mut fields: Fields, defaults: bool) -> Fields {
    let as_schema = |((name, _), field): (&(Text, Value), &Field)| same(name, &field.name);
    if fields.len() != schema.fields.len() || !fields.iter().zip(&schema.fields).all(as_schema) {
        let mut old = std::mem::replace(&mut fields, Vec::with_capacity(schema.fields.len()));
        for (guess, field) in schema.fields.iter().enumerate() {
            let value = take_field(&mut old, field, guess, false);
            fields.push((field.name.clone(), value));
        }
    }
    if defaults {
        for ((_, value), field) in fields.iter_mut().zip(&schema.fields) {
            if let (Value::Null, Some(default)) = (&*value, &field.schema.default) {
                value.clone_from(default);
            }
        }
    }
    fields
}

/// Whether two names are the same. Mostly they are in the same place, too.
fn same(one: &Text, other: &Text) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
}

/// A struct's field; null becomes the schema's default when the user wants that.
pub(super) fn field_value(fields: &[(Text, Value)], field: &Field, defaults: bool) -> Value {
    let value = position(fields, &field.name).map_or(Value::Null, |index| fields[index].1.clone());
    with_default(value, &field.schema, defaults)
}

fn with_default(value: Value, schema: &Schema, defaults: bool) -> Value {
    match (&value, &schema.default) {
        (Value::Null, Some(default)) if defaults => default.clone(),
        _ => value,
    }
}

/// Whether any field of the schema has a default: if not, nothing can be replaced.
pub(super) fn has_defaults(schema: &Schema) -> bool {
    schema.fields.iter().any(|field| field.schema.default.is_some())
}

/// A schema's field.
pub(super) fn field<'a>(schema: &'a Schema, name: &str) -> Option<&'a Field> {
    schema.fields.iter().find(|field| *field.name == *name)
}

/// Name, version, documentation and parameters of a schema, for a new one that is neither optional nor has a default.
pub(super) fn basics(source: &Schema, kind: Type) -> Schema {
    Schema {
        name: source.name.clone(),
        version: source.version,
        doc: source.doc.clone(),
        parameters: source.parameters.clone(),
        ..Schema::of(kind)
    }
}

/// Adds a field, unless there is one of that name.
pub(super) fn add_field(schema: &mut Schema, name: &Text, of: Arc<Schema>) -> Result<()> {
    if field(schema, name).is_some() {
        return Err(Error::bad_record(format!("Cannot create field because of field name duplication {name}")));
    }
    schema.fields.push(Field { name: name.clone(), schema: of });
    Ok(())
}

/// A plain schema.
pub(super) fn plain(kind: Type, optional: bool) -> Arc<Schema> {
    Arc::new(Schema { optional, ..Schema::of(kind) })
}

/// A schema of a logical type.
pub(super) fn logical(kind: Type, name: &'static str, optional: bool) -> Arc<Schema> {
    Arc::new(Schema { optional, name: Some(Text::from_static(name)), version: Some(1), ..Schema::of(kind) })
}

/// How many input schemas a transform remembers, as in Connect.
const REMEMBERED: usize = 16;

/// What a transform made of the schemas it has seen lately. Schemas are told apart by their `Arc`, which the converter
/// shares among records.
pub(super) struct SchemaCache<T = Arc<Schema>> {
    known: Vec<(Arc<Schema>, T)>,
}

impl<T> Default for SchemaCache<T> {
    fn default() -> Self {
        Self { known: Vec::new() }
    }
}

impl<T: Clone> SchemaCache<T> {
    /// What `make` makes of the schema, made once. The newest stand at the end.
    pub(super) fn get(&mut self, schema: &Arc<Schema>, make: impl FnOnce(&Schema) -> Result<T>) -> Result<T> {
        if let Some((_, made)) = self.known.iter().rev().find(|(known, _)| Arc::ptr_eq(known, schema)) {
            return Ok(made.clone());
        }
        let made = make(schema)?;
        if self.known.len() >= REMEMBERED {
            self.known.remove(0);
        }
        self.known.push((Arc::clone(schema), made.clone()));
        Ok(made)
    }
}
