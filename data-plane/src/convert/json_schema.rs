//! Connect's schemas as `JsonConverter` writes them into its envelope.

use std::sync::Arc;

use millrace_sdk::{Error, Field, Result, Schema, Text, Type, Value, json};

use super::json_value::{self, Options};

const TYPES: &[(&str, Type)] = &[
    ("boolean", Type::Boolean),
    ("int8", Type::Int8),
    ("int16", Type::Int16),
    ("int32", Type::Int32),
    ("int64", Type::Int64),
    ("float", Type::Float32),
    ("double", Type::Float64),
    ("bytes", Type::Bytes),
    ("string", Type::String),
    ("array", Type::Array),
    ("map", Type::Map),
    ("struct", Type::Struct),
];

/// Defaults are read and written in one form whatever the converter's settings.
const READ: Options = Options { numeric_decimals: false, null_is_default: true };

/// Reads a schema.
pub(super) fn decode(json: &Value) -> Result<Arc<Schema>> {
    let Value::Map(fields) = json.open()? else {
        return Err(bad(format!("must be a JSON object, found {}", json.type_name())));
    };
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let text = |name: &str| match field(name) {
        Some(Value::Str(text)) => Some(text.clone()),
        _ => None,
    };
    let kind = text("type").ok_or_else(|| bad("needs a \"type\"".to_owned()))?;
    let kind = TYPES
        .iter()
        .find(|(name, _)| *name == &*kind)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| bad(format!("has the unknown type \"{kind}\"")))?;
    let mut schema = Schema::of(kind);
    schema.optional = matches!(field("optional"), Some(Value::Bool(true)));
    // Schemas outlive the batch they came with.
    schema.name = text("name").map(|name| name.detached());
    schema.doc = text("doc").map(|doc| doc.detached());
    if let Some(Value::Int(version)) = field("version") {
        #[allow(clippy::cast_possible_truncation)] // as Connect does
        let version = *version as i32;
        schema.version = Some(version);
    }
    // What is no map has no parameters.
    if let Some(Value::Map(parameters)) = field("parameters").map(Value::open).transpose()? {
        for (name, value) in parameters {
            let Value::Str(value) = value else {
                return Err(bad(format!("parameter \"{name}\" must be a string")));
            };
            schema.parameters.push((name.detached(), value.detached()));
        }
    }
    let child = |name: &str| match field(name) {
        Some(child @ Value::Json(_)) => decode(child),
        _ => Err(bad(format!("of this type needs \"{name}\""))),
    };
    match kind {
        Type::Array => schema.element = Some(child("items")?),
        Type::Map => {
            schema.key = Some(child("keys")?);
            schema.element = Some(child("values")?);
        }
        Type::Struct => schema.fields = struct_fields(field("fields"))?,
        _ => {}
    }
    let default = field("default").filter(|value| !(schema.optional && matches!(value, Value::Null)));
    if let Some(default) = default {
        let mut raw = Vec::new();
        json::write(default, &mut raw)?;
        let default = json_value::decode(&schema, &raw.into(), READ, "default")?;
        schema.default = Some(default);
    }
    Ok(Arc::new(schema))
}

fn struct_fields(list: Option<&Value>) -> Result<Vec<Field>> {
    let Some(Value::List(list)) = list.map(Value::open).transpose()? else {
        return Err(bad("of this type needs \"fields\"".to_owned()));
    };
    list.iter()
        .map(|item| match item.field("field")? {
            Some(Value::Str(name)) => Ok(Field::new(&name, decode(item)?)),
            _ => Err(bad("has a field without \"field\"".to_owned())),
        })
        .collect()
}

fn bad(what: String) -> Error {
    Error::bad_record(format!("the schema in the envelope {what}"))
}

/// Writes a schema, null for schemaless data.
pub(super) fn encode(schema: Option<&Schema>, out: &mut Vec<u8>) -> Result<()> {
    match schema {
        None => out.extend_from_slice(b"null"),
        Some(schema) => json::write(&to_value(schema, None)?, out)?,
    }
    Ok(())
}

fn to_value(schema: &Schema, field: Option<&Text>) -> Result<Value> {
    let mut fields: Vec<(Text, Value)> = Vec::new();
    let mut put = |name: &'static str, value: Value| fields.push((Text::from_static(name), value));
    let kind = TYPES.iter().find(|(_, kind)| *kind == schema.kind).map_or("string", |(name, _)| *name);
    put("type", Value::Str(Text::from_static(kind)));
    match schema.kind {
        Type::Struct => {
            let list = schema.fields.iter().map(|field| to_value(&field.schema, Some(&field.name)));
            put("fields", Value::List(list.collect::<Result<_>>()?));
        }
        Type::Array => put("items", element(schema.element.as_deref())?),
        Type::Map => {
            put("keys", element(schema.key.as_deref())?);
            put("values", element(schema.element.as_deref())?);
        }
        _ => {}
    }
    put("optional", Value::Bool(schema.optional));
    if let Some(name) = &schema.name {
        put("name", Value::Str(name.clone()));
    }
    if let Some(version) = schema.version {
        put("version", Value::Int(i64::from(version)));
    }
    if let Some(doc) = &schema.doc {
        put("doc", Value::Str(doc.clone()));
    }
    if !schema.parameters.is_empty() {
        let parameters = schema.parameters.iter().map(|(name, value)| (name.clone(), Value::Str(value.clone())));
        put("parameters", Value::Map(parameters.collect()));
    }
    if let Some(default) = &schema.default {
        let mut text = Vec::new();
        json_value::encode(Some(schema), default, READ, &mut text)?;
        put("default", Value::Json(text.into()));
    }
    if let Some(name) = field {
        put("field", Value::Str(name.clone()));
    }
    Ok(Value::Map(fields))
}

fn element(schema: Option<&Schema>) -> Result<Value> {
    schema.map_or(Ok(Value::Null), |schema| to_value(schema, None))
}
