//! From flat text keys to a typed struct.

use serde_json::{Map, Number, Value as Json};

use super::{Config, ConfigDef, Findings, Flat, KeyType, Problem};

/// Validates `flat` against `def` (made by [`super::definition`] of the same type) and turns it into the struct. Keys that
/// `def` does not know are left out.
///
/// # Errors
/// Every problem found, with its key.
pub fn parse<C: Config>(def: &ConfigDef, flat: &Flat) -> Result<C, Findings> {
    let mut findings = def.validate(flat);
    if !findings.errors.is_empty() {
        return Err(findings);
    }
    let mut object = Map::new();
    for (name, text) in flat {
        if let Some(key) = def.key(name) {
            if key.ignored.is_none() {
                object.insert(name.clone(), typed(key.kind, &key.allowed, text));
            }
        } else if def.knows(name) {
            object.insert(name.clone(), Json::String(text.clone()));
        }
    }
    match serde_json::from_value::<C>(Json::Object(object)) {
        Ok(config) => {
            findings.errors = config.check(flat);
            if findings.errors.is_empty() { Ok(config) } else { Err(findings) }
        }
        Err(error) => {
            findings.errors.push(Problem::new("", error.to_string()));
            Err(findings)
        }
    }
}

/// The JSON of a text that [`super::ConfigKey::accepts`] accepted.
fn typed(kind: KeyType, allowed: &[String], text: &str) -> Json {
    let trimmed = text.trim();
    match kind {
        KeyType::Boolean => Json::Bool(trimmed.eq_ignore_ascii_case("true")),
        KeyType::Int | KeyType::Long => trimmed.parse::<i64>().map_or(Json::Null, Json::from),
        KeyType::Double => trimmed.parse().ok().and_then(Number::from_f64).map_or(Json::Null, Json::Number),
        KeyType::List => {
            Json::from(trimmed.split(',').map(str::trim).filter(|item| !item.is_empty()).collect::<Vec<_>>())
        }
        // Enumerations are accepted in any case and handed on in ours.
        KeyType::String | KeyType::Class | KeyType::Password => allowed
            .iter()
            .find(|allowed| allowed.eq_ignore_ascii_case(trimmed))
            .map_or_else(|| Json::String(text.to_owned()), |allowed| Json::String(allowed.clone())),
    }
}
