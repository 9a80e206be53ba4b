//! Avro's schemas as Connect's, as far as the peer takes them: records, arrays, maps, primitives, and unions of one of them with null.

use std::collections::BTreeMap;
use std::sync::Arc;

use millrace_sdk::{Field, Schema, Text, Type, Value};
use serde_json::{Map, Value as Json};

const MAX_DEPTH: usize = 100;

/// The schema of a record.
///
/// # Errors
/// What is wrong with it.
pub(super) fn schema(text: &str) -> Result<Arc<Schema>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| format!("Invalid Avro schema. {error}"))?;
    let mut reader = Reader::default();
    let schema = reader.schema(&json, &Place { path: "", namespace: "", depth: 0 }, None)?;
    if schema.kind != Type::Struct {
        return Err("Only Record schemas are supported at the top-level.".to_owned());
    }
    Ok(schema)
}

#[derive(Default)]
struct Reader {
    /// Records by full name; None while one is being read
    named: BTreeMap<String, Option<Arc<Schema>>>,
}

#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    namespace: &'a str,
    depth: usize,
}

impl Place<'_> {
    fn error(&self, message: &str) -> String {
        match self.path {
            "" => message.to_owned(),
            path => format!("Field '{path}' is invalid. {message}"),
        }
    }
}

impl Reader {
    fn schema(&mut self, json: &Json, place: &Place<'_>, default: Option<&Json>) -> Result<Arc<Schema>, String> {
        if place.depth > MAX_DEPTH {
            return Err(place.error("nested too deeply"));
        }
        let place = &Place { depth: place.depth + 1, ..*place };
        match json {
            Json::String(name) => self.by_name(name, place, default),
            Json::Array(branches) => self.union(branches, place),
            Json::Object(object) => match object.get("type") {
                Some(Json::String(name)) => match name.as_str() {
                    "record" | "error" => self.record(object, place),
                    "array" | "map" => self.collection(object, name, place, default),
                    name => self.by_name(name, place, default),
                },
                Some(inner) => self.schema(inner, place, default),
                None => Err(place.error("Invalid Avro schema. No type")),
            },
            _ => Err(place.error("Invalid Avro schema. A schema is a name, an object or a list")),
        }
    }

    fn by_name(&mut self, name: &str, place: &Place<'_>, default: Option<&Json>) -> Result<Arc<Schema>, String> {
        let kind = match name {
            "string" => Type::String,
            "bytes" => Type::Bytes,
            "int" => Type::Int32,
            "long" => Type::Int64,
            "float" => Type::Float32,
            "double" => Type::Float64,
            "boolean" => Type::Boolean,
            "null" => return Err(place.error("Unsupported Avro schema type: 'NULL'.")),
            "fixed" => {
                let advice = "The connector will not validate the length. Use bytes instead.";
                return Err(place.error(&format!("Unsupported Avro schema type: 'FIXED'. {advice}")));
            }
            "enum" => {
                let advice = "The connector will not validate the values. Use string instead.";
                return Err(place.error(&format!("Unsupported Avro schema type: 'ENUM'. {advice}")));
            }
            _ => {
                let full = full_name(name, place.namespace);
                return match self.named.get(&full) {
                    Some(Some(schema)) => Ok(Arc::clone(schema)),
                    Some(None) => {
                        Err(place.error(&format!("The record {full} contains itself, which is not supported")))
                    }
                    None => Err(place.error(&format!("Invalid Avro schema. \"{name}\" is not a defined name."))),
                };
            }
        };
        let mut schema = Schema::of(kind);
        schema.default = default.and_then(|default| default_value(default, &schema));
        Ok(Arc::new(schema))
    }

    fn record(&mut self, object: &Map<String, Json>, place: &Place<'_>) -> Result<Arc<Schema>, String> {
        let text = |key: &str| object.get(key).and_then(Json::as_str);
        let name = text("name").ok_or_else(|| place.error("Invalid Avro schema. A record has no name"))?;
        let full = full_name(name, text("namespace").unwrap_or(place.namespace));
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        if self.named.insert(full.clone(), None).is_some() {
            return Err(place.error(&format!("Invalid Avro schema. Can't redefine: {full}")));
        }
        let fields = object.get("fields").and_then(Json::as_array);
        let fields = fields.ok_or_else(|| place.error("Invalid Avro schema. A record has no fields"))?;
        let mut schema = Schema::of(Type::Struct);
        schema.name = Some(Text::from(full.clone()));
        for field in fields {
            let name = field.get("name").and_then(Json::as_str);
            let name = name.ok_or_else(|| place.error("Invalid Avro schema. A field has no name"))?;
            let path = if place.path.is_empty() { name.to_owned() } else { format!("{}.{name}", place.path) };
            let inner = Place { path: &path, namespace: &namespace, depth: place.depth };
            let kind = field.get("type").ok_or_else(|| inner.error("Invalid Avro schema. No type"))?;
            let default = field.get("default").filter(|default| !default.is_null());
            if schema.fields.iter().any(|other| other.name == name) {
                return Err(inner.error("Invalid Avro schema. Duplicate field"));
            }
            schema.fields.push(Field::new(name, self.schema(kind, &inner, default)?));
        }
        let schema = Arc::new(schema);
        self.named.insert(full, Some(Arc::clone(&schema)));
        Ok(schema)
    }

    fn collection(
        &mut self,
        object: &Map<String, Json>,
        name: &str,
        place: &Place<'_>,
        default: Option<&Json>,
    ) -> Result<Arc<Schema>, String> {
        let (kind, key) = if name == "array" { (Type::Array, "items") } else { (Type::Map, "values") };
        let element = object.get(key).ok_or_else(|| place.error(&format!("Invalid Avro schema. No {key}")))?;
        let mut schema = Schema::of(kind);
        schema.element = Some(self.schema(element, place, None)?);
        schema.key = (kind == Type::Map).then(|| Arc::new(Schema::of(Type::String)));
        schema.default = default.and_then(|default| default_value(default, &schema));
        Ok(Arc::new(schema))
    }

    /// One type that may be null. As in the peer, its default is not taken over.
    fn union(&mut self, branches: &[Json], place: &Place<'_>) -> Result<Arc<Schema>, String> {
        let is_null = |branch: &Json| branch == "null" || branch.get("type").is_some_and(|kind| kind == "null");
        let mut others = branches.iter().filter(|branch| !is_null(branch));
        match (branches.len(), others.next(), others.next()) {
            (2, Some(branch), None) => {
                let mut schema = Schema::clone(self.schema(branch, place, None)?.as_ref());
                schema.optional = true;
                Ok(Arc::new(schema))
            }
            _ => Err(place
                .error("Union Schemas are not supported, unless one value is null to represent an optional value.")),
        }
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn default_value(json: &Json, schema: &Schema) -> Option<Value> {
    Some(match (schema.kind, json) {
        (Type::Boolean, Json::Bool(flag)) => Value::Bool(*flag),
        (Type::Int32 | Type::Int64, Json::Number(number)) => Value::Int(number.as_i64()?),
        (Type::Float32 | Type::Float64, Json::Number(number)) => Value::Float(number.as_f64()?),
        (Type::String, Json::String(text)) => Value::Str(Text::from(text.as_str())),
        // Avro writes bytes as the characters of those numbers.
        (Type::Bytes, Json::String(text)) => {
            Value::Bytes(text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect::<Option<Vec<u8>>>()?.into())
        }
        (Type::Array, Json::Array(items)) => {
            let element = schema.element.as_deref()?;
            Value::List(items.iter().map(|item| default_value(item, element)).collect::<Option<_>>()?)
        }
        (Type::Map, Json::Object(entries)) => {
            let element = schema.element.as_deref()?;
            let entry =
                |(name, item): (&String, &Json)| Some((Text::from(name.as_str()), default_value(item, element)?));
            Value::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}
