//! Files of connectors and of worker properties, in the formats Kafka Connect's users have them: Java properties, JSON
//! (flat, or with `name` and `config`, or a list of those) and the same as YAML. Text to data; no decisions about content.

mod properties;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use crate::failure::Failure;

pub(crate) use properties::parse as parse_properties;

/// Keys and values.
pub(crate) type Flat = BTreeMap<String, String>;

/// A connector as a file defines it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnectorFile {
    pub(crate) name: String,
    pub(crate) config: Flat,
    /// RUNNING, PAUSED or STOPPED, where the file says so
    pub(crate) initial_state: Option<String>,
    /// The file, for messages
    pub(crate) origin: String,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Connectors(Vec<ConnectorFile>),
    /// A Connect worker's properties
    Worker(Flat),
}

/// Reads a file of either kind; `-` is standard input.
pub(crate) fn read(path: &Path) -> Result<Content, Failure> {
    let (origin, text) = read_text(path)?;
    understand(&origin, &text)
}

/// Reads connectors.
pub(crate) fn read_connectors(path: &Path) -> Result<Vec<ConnectorFile>, Failure> {
    let (origin, text) = read_text(path)?;
    match understand(&origin, &text)? {
        Content::Connectors(connectors) => Ok(connectors),
        Content::Worker(_) => Err(Failure::usage(format!("{origin} holds a worker's properties, not a connector"))
            .hint("a connector has the key connector.class; worker properties belong to `millrace standalone` or `control-plane`")),
    }
}

/// Reads a Connect worker's properties.
pub(crate) fn read_worker_properties(path: &Path) -> Result<Flat, Failure> {
    let (origin, text) = read_text(path)?;
    match understand(&origin, &text)? {
        Content::Worker(flat) => Ok(flat),
        Content::Connectors(_) => Err(Failure::usage(format!("{origin} holds a connector, not a worker's properties"))),
    }
}

fn read_text(path: &Path) -> Result<(String, String), Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
        return Ok(("standard input".to_owned(), text));
    }
    let origin = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((origin, text)),
        Err(error) => Err(Failure::usage(format!("cannot read {origin}: {error}"))),
    }
}

/// The text as data.
pub(crate) fn understand(origin: &str, text: &str) -> Result<Content, Failure> {
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{origin} is empty")));
    }
    let documents = match format_of(origin, text) {
        Format::Properties => {
            let flat = parse_properties(text).map_err(|error| Failure::usage(format!("{origin}, {error}")))?;
            return from_flat(origin, flat, None);
        }
        Format::Json => vec![json(origin, text)?],
        Format::Yaml => yaml(origin, text)?,
    };
    let mut connectors = Vec::new();
    let mut items = Vec::new();
    for document in documents {
        match document {
            Value::Array(values) => items.extend(values),
            other => items.push(other),
        }
    }
    let only_one = items.len() == 1;
    for item in items {
        match from_value(origin, item)? {
            Content::Connectors(more) => connectors.extend(more),
            worker @ Content::Worker(_) if only_one => return Ok(worker),
            Content::Worker(_) => {
                return Err(Failure::usage(format!("{origin} mixes connectors and something without connector.class")));
            }
        }
    }
    Ok(Content::Connectors(connectors))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Yaml,
    Properties,
}

/// By the file's extension; else by its first line.
fn format_of(origin: &str, text: &str) -> Format {
    match Path::new(origin).extension().and_then(|extension| extension.to_str()) {
        Some("json") => return Format::Json,
        Some("yaml" | "yml") => return Format::Yaml,
        Some("properties") => return Format::Properties,
        _ => {}
    }
    let comment = |line: &str| line.starts_with('#') || line.starts_with('!');
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !comment(line)).unwrap_or_default();
    match first.find(['=', ':']) {
        _ if first.starts_with(['{', '[']) => Format::Json,
        _ if first.starts_with("---") || first.starts_with("- ") => Format::Yaml,
        Some(at) if first.as_bytes()[at] == b':' => Format::Yaml,
        _ => Format::Properties,
    }
}

fn json(origin: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = error.to_string();
        let what = what.strip_suffix(&place).unwrap_or(&what);
        Failure::usage(format!("{origin} is not valid JSON, line {}, column {}: {what}", error.line(), error.column()))
    })
}

fn yaml(origin: &str, text: &str) -> Result<Vec<Value>, Failure> {
    use serde::Deserialize;
    let mut documents = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        match Value::deserialize(document) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push(value),
            Err(error) => return Err(Failure::usage(format!("{origin} is not valid YAML: {error}"))),
        }
    }
    Ok(documents)
}

fn from_value(origin: &str, value: Value) -> Result<Content, Failure> {
    let Value::Object(mut object) = value else {
        return Err(Failure::usage(format!("{origin}: a connector must be an object, this is {}", kind(&value))));
    };
    if !object.get("config").is_some_and(Value::is_object) {
        return from_flat(origin, flat(origin, object)?, None);
    }
    let Some(Value::Object(config)) = object.remove("config") else { return from_flat(origin, Flat::new(), None) };
    let mut flat = flat(origin, config)?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    match (text(object.get("name")), flat.get("name")) {
        (Some(outer), Some(inner)) if outer != *inner => {
            return Err(Failure::usage(format!(
                "{origin}: the connector has two names, \"{outer}\" and in its config \"{inner}\""
            )));
        }
        (Some(outer), _) => {
            flat.insert("name".to_owned(), outer);
        }
        (None, _) => {}
    }
    from_flat(origin, flat, text(object.get("initial_state")))
}

fn from_flat(origin: &str, config: Flat, initial_state: Option<String>) -> Result<Content, Failure> {
    if !config.contains_key("connector.class") {
        if config.contains_key("bootstrap.servers") {
            return Ok(Content::Worker(config));
        }
        return Err(Failure::usage(format!("{origin} has neither connector.class nor bootstrap.servers"))
            .hint("a connector needs connector.class, name and topics; a worker's properties need bootstrap.servers"));
    }
    let name =
        config.get("name").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).ok_or_else(|| {
            Failure::usage(format!("{origin}: the connector has no name")).hint("add the key \"name\"")
        })?;
    Ok(Content::Connectors(vec![ConnectorFile { name, config, initial_state, origin: origin.to_owned() }]))
}

/// JSON scalars as the text they are; null is as good as absent.
fn flat(origin: &str, object: serde_json::Map<String, Value>) -> Result<Flat, Failure> {
    let mut flat = Flat::new();
    for (key, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            other => {
                return Err(Failure::usage(format!("{origin}: the value of \"{key}\" is {}", kind(&other)))
                    .hint("a connector's keys are flat: \"a.b.c\": \"value\"; lists are texts with commas"));
            }
        };
        flat.insert(key, text);
    }
    Ok(flat)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
