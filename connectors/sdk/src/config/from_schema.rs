//! From a struct's JSON schema (schemars) to key definitions.

use serde_json::{Map, Value as Json};

use super::{Config, ConfigDef, ConfigKey, Importance, KeyPattern, KeyType};

/// The key definitions of a configuration struct.
#[must_use]
pub fn definition<C: Config>() -> ConfigDef {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<C>();
    let empty = Map::new();
    let root = schema.as_object().unwrap_or(&empty);
    let required: Vec<&str> =
        root.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let mut keys: Vec<ConfigKey> = root
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .map(|(name, schema)| key(name, schema, required.contains(&name.as_str())))
        .collect();
    keys.extend(C::IGNORED.iter().map(|(name, reason)| ConfigKey {
        name: (*name).to_owned(),
        kind: KeyType::String,
        required: false,
        default: None,
        importance: Importance::Low,
        doc: format!("Accepted without effect: {reason}"),
        group: "Without effect".to_owned(),
        allowed: Vec::new(),
        minimum: None,
        maximum: None,
        ignored: Some((*reason).to_owned()),
    }));
    let patterns = C::PATTERNS
        .iter()
        .map(|(prefix, suffix, doc)| KeyPattern {
            prefix: (*prefix).to_owned(),
            suffix: (*suffix).to_owned(),
            doc: (*doc).to_owned(),
        })
        .collect();
    ConfigDef { keys, patterns }
}

fn key(name: &str, schema: &Json, required: bool) -> ConfigKey {
    let text = |field: &str| schema.get(field).and_then(Json::as_str).unwrap_or_default();
    let inner = not_null(schema);
    let mut allowed = Vec::new();
    collect_allowed(inner, &mut allowed);
    ConfigKey {
        name: name.to_owned(),
        kind: kind(schema, inner),
        required,
        default: schema.get("default").and_then(default_text),
        importance: match text("x-importance") {
            "high" => Importance::High,
            "low" => Importance::Low,
            _ if required => Importance::High,
            _ => Importance::Medium,
        },
        // schemars joins the lines of a paragraph by newlines; forms and tables want one line.
        doc: text("description").split_whitespace().collect::<Vec<_>>().join(" "),
        group: match text("x-group") {
            "" => "Connector".to_owned(),
            group => group.to_owned(),
        },
        allowed,
        minimum: inner.get("minimum").and_then(Json::as_f64),
        maximum: inner.get("maximum").and_then(Json::as_f64),
        ignored: None,
    }
}

/// The schema behind an `Option`.
fn not_null(schema: &Json) -> &Json {
    schema
        .get("anyOf")
        .and_then(Json::as_array)
        .and_then(|any| any.iter().find(|one| one.get("type").and_then(Json::as_str) != Some("null")))
        .unwrap_or(schema)
}

fn kind(schema: &Json, inner: &Json) -> KeyType {
    let flag = |name: &str| [schema, inner].iter().any(|s| s.get(name).and_then(Json::as_bool) == Some(true));
    if flag("writeOnly") {
        return KeyType::Password;
    }
    if flag("x-class") {
        return KeyType::Class;
    }
    let name = match inner.get("type") {
        Some(Json::String(name)) => name.as_str(),
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).find(|name| *name != "null").unwrap_or(""),
        _ => "",
    };
    let format = inner.get("format").and_then(Json::as_str).unwrap_or_default();
    match (name, format) {
        ("boolean", _) => KeyType::Boolean,
        ("integer", "int8" | "int16" | "int32" | "uint8" | "uint16") => KeyType::Int,
        ("integer", _) => KeyType::Long,
        ("number", _) => KeyType::Double,
        ("array", _) => KeyType::List,
        _ => KeyType::String,
    }
}

fn collect_allowed(schema: &Json, allowed: &mut Vec<String>) {
    if let Some(value) = schema.get("const").and_then(Json::as_str) {
        allowed.push(value.to_owned());
    }
    if let Some(values) = schema.get("enum").and_then(Json::as_array) {
        allowed.extend(values.iter().filter_map(Json::as_str).map(str::to_owned));
    }
    for one in schema.get("oneOf").and_then(Json::as_array).into_iter().flatten() {
        collect_allowed(one, allowed);
    }
}

fn default_text(default: &Json) -> Option<String> {
    match default {
        Json::Null | Json::Object(_) => None,
        Json::String(text) => Some(text.clone()),
        Json::Array(items) => Some(items.iter().filter_map(default_text).collect::<Vec<_>>().join(",")),
        other => Some(other.to_string()),
    }
}
