//! Reading requests as Connect does: bodies of JSON whose values may be any scalar, names in the path.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use millrace_sdk::{Flat, Problem};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value as Json};

use super::error::RestError;
use crate::model::{ConnectorId, DEFAULT_TENANT, TargetState};
use crate::service::ServiceError;

/// The parts of the path, decoded: tenant (the default one without `/tenants/…`), then what follows `connectors` or
/// `connector-plugins`, and the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) task: Option<String>,
}

impl Path {
    pub(super) fn parse(path: &str) -> Self {
        let decode = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
        let mut parts = path.trim_matches('/').split('/');
        let mut first = parts.next().unwrap_or_default();
        let mut tenant = DEFAULT_TENANT.to_owned();
        if first == "tenants" {
            tenant = parts.next().map(decode).unwrap_or_default();
            first = parts.next().unwrap_or_default();
        }
        let _ = first;
        let name = parts.next().map(decode).unwrap_or_default();
        let task = parts.next().filter(|part| *part == "tasks").and_then(|_| parts.next()).map(decode);
        Self { tenant, name, task }
    }

    pub(super) fn id(&self) -> ConnectorId {
        ConnectorId { tenant: self.tenant.clone(), connector: self.name.clone() }
    }

    /// The task's number; Connect knows no path with anything else there.
    pub(super) fn task(&self) -> Result<u32, RestError> {
        let number = self.task.as_deref().and_then(|task| task.parse().ok());
        number.ok_or_else(|| RestError::not_found("HTTP 404 Not Found"))
    }
}

impl<S: Sync> FromRequestParts<S> for Path {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::parse(parts.uri.path()))
    }
}

/// The path with names taken out, for metrics; a path that is none of ours is "other".
pub(super) fn operation(path: &str) -> String {
    let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if parts.first() == Some(&"tenants") {
        parts.drain(..parts.len().min(2));
    }
    if !matches!(parts.first(), Some(&("" | "health" | "connectors" | "connector-plugins"))) {
        return "other".to_owned();
    }
    for index in [1, 3] {
        if let Some(part) = parts.get_mut(index) {
            *part = "*";
        }
    }
    parts.truncate(5);
    let known = ["config", "status", "tasks", "restart", "pause", "resume", "stop", "validate", "*"];
    if parts.iter().skip(1).any(|part| !known.contains(part)) {
        return "other".to_owned();
    }
    format!("/{}", parts.join("/"))
}

/// A body that must be a JSON object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Json>, RestError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(RestError::unreadable("the request has no body, where a JSON object is needed"));
    }
    match serde_json::from_slice::<Json>(body) {
        Ok(Json::Object(object)) => Ok(object),
        Ok(other) => Err(RestError::unreadable(format!("the body is {}, where a JSON object is needed", kind(&other)))),
        Err(error) => Err(RestError::unreadable(format!("the body is not JSON: {error}"))),
    }
}

/// A configuration: scalars become text; null is refused, as in Connect.
pub(super) fn config(object: Map<String, Json>) -> Result<Flat, RestError> {
    let mut config = Flat::new();
    for (key, value) in patch(object)? {
        let Some(value) = value else {
            let problem = Problem::new(key, "Null value can not be supplied as the configuration value.");
            return Err(ServiceError::Invalid(vec![problem_without_key(problem)]).into());
        };
        config.insert(key, value);
    }
    Ok(config)
}

/// Connect's message names no key; ours does in addition.
fn problem_without_key(problem: Problem) -> Problem {
    Problem::new("", format!("{} ({})", problem.message, problem.key))
}

/// Changes of a configuration: null removes a key.
pub(super) fn patch(object: Map<String, Json>) -> Result<BTreeMap<String, Option<String>>, RestError> {
    let text = |(key, value): (String, Json)| {
        let value = match value {
            Json::Null => None,
            Json::String(text) => Some(text),
            Json::Bool(flag) => Some(flag.to_string()),
            Json::Number(number) => Some(number.to_string()),
            Json::Array(_) | Json::Object(_) => {
                return Err(RestError::unreadable(format!(
                    "the value of \"{key}\" is {}, where text, a number or a boolean is needed",
                    kind(&value)
                )));
            }
        };
        Ok((key, value))
    };
    object.into_iter().map(text).collect()
}

/// What `POST /connectors` brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Create {
    pub(super) name: String,
    pub(super) config: Flat,
    pub(super) target: TargetState,
}

pub(super) fn create(body: &[u8]) -> Result<Create, RestError> {
    let mut fields = object(body)?;
    let name = match fields.remove("name") {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(name)) => name.trim().to_owned(),
        Some(Json::Number(number)) => number.to_string(),
        Some(other) => return Err(RestError::unreadable(format!("\"name\" is {}, not text", kind(&other)))),
    };
    let target = match fields.remove("initial_state") {
        None | Some(Json::Null) => TargetState::Running,
        Some(Json::String(state)) => initial_state(&state)?,
        Some(other) => return Err(RestError::unreadable(format!("\"initial_state\" is {}, not text", kind(&other)))),
    };
    let given = match fields.remove("config") {
        Some(Json::Object(object)) => object,
        None | Some(Json::Null) => return Err(RestError::unreadable("the request has no \"config\"")),
        Some(other) => return Err(RestError::unreadable(format!("\"config\" is {}, not an object", kind(&other)))),
    };
    if let Some(unknown) = fields.keys().next() {
        return Err(RestError::unreadable(format!(
            "Unrecognized field \"{unknown}\" (3 known properties: \"config\", \"name\", \"initial_state\")"
        )));
    }
    Ok(Create { config: named(&name, config(given)?)?, name, target })
}

fn initial_state(state: &str) -> Result<TargetState, RestError> {
    match state.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(TargetState::Running),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        _ => Err(RestError::unreadable(format!("\"initial_state\" is \"{state}\", not RUNNING, PAUSED or STOPPED"))),
    }
}

/// A configuration with its connector's name in it; another name there is refused.
pub(super) fn named(name: &str, mut config: Flat) -> Result<Flat, RestError> {
    match config.get("name") {
        Some(other) if other != name => Err(RestError::bad_request(format!(
            "Connector name configuration ({other}) doesn't match connector name in the URL ({name})"
        ))),
        _ => {
            config.insert("name".to_owned(), name.to_owned());
            Ok(config)
        }
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "text",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
    }
}
