//! The bodies of answers, in Connect's exact shapes. Pure.

use std::collections::BTreeMap;

use millrace_sdk::config::{ConfigKey, KeyType};
use millrace_sdk::{ConnectorKind, Findings, Flat};
use serde_json::{Map, Value as Json, json};

use crate::model::Plugin;
use crate::service::catalogue::type_name;
use crate::service::secrets;
use crate::service::view::{ConnectorView, StatusView, TaskView};

fn kind(kind: Option<ConnectorKind>) -> &'static str {
    kind.map_or("unknown", type_name)
}

/// `GET /connectors/{c}`
pub(super) fn info(view: &ConnectorView) -> Json {
    let name = &view.id.connector;
    let tasks: Vec<Json> = (0..view.tasks.len()).map(|task| json!({ "connector": name, "task": task })).collect();
    json!({ "name": name, "config": view.config, "tasks": tasks, "type": kind(view.kind) })
}

/// `GET /connectors/{c}/status`
pub(super) fn status(view: &StatusView) -> Json {
    let mut connector = Map::new();
    connector.insert("state".to_owned(), view.state.name().into());
    connector.insert("worker_id".to_owned(), view.worker.as_str().into());
    if !view.trace.is_empty() {
        connector.insert("trace".to_owned(), view.trace.as_str().into());
    }
    if !view.version.is_empty() {
        connector.insert("version".to_owned(), view.version.as_str().into());
    }
    let tasks: Vec<Json> = view.tasks.iter().map(|task| task_status(task, &view.version)).collect();
    json!({ "name": view.id.connector, "connector": connector, "tasks": tasks, "type": kind(view.kind) })
}

/// `GET /connectors/{c}/tasks/{n}/status`
pub(super) fn task_status(task: &TaskView, version: &str) -> Json {
    let mut body = Map::new();
    body.insert("id".to_owned(), task.index.into());
    body.insert("state".to_owned(), task.state.name().into());
    body.insert("worker_id".to_owned(), task.worker.as_str().into());
    if !task.trace.is_empty() {
        body.insert("trace".to_owned(), task.trace.as_str().into());
    }
    if !version.is_empty() {
        body.insert("version".to_owned(), version.into());
    }
    Json::Object(body)
}

/// `GET /connectors/{c}/tasks`
pub(super) fn tasks(view: &ConnectorView, plugin: Option<&Plugin>) -> Json {
    let body = view.tasks.iter().enumerate().map(|(index, own)| {
        let mut config = view.config.clone();
        config.extend(secrets::masked(plugin.map(|plugin| &plugin.config), own));
        let class = plugin.map_or_else(|| config.get("connector.class").cloned(), |plugin| Some(plugin.class.clone()));
        config.insert("task.class".to_owned(), class.unwrap_or_default());
        json!({ "id": { "connector": view.id.connector, "task": index }, "config": config })
    });
    Json::Array(body.collect())
}

/// `GET /connector-plugins`: every class under the name its users post, a Java class name where there is one.
pub(super) fn plugins<'a>(plugins: impl IntoIterator<Item = (&'a str, &'a Plugin)>) -> Json {
    let body = plugins
        .into_iter()
        .map(|(name, plugin)| json!({ "class": name, "type": type_name(plugin.kind), "version": plugin.version }));
    Json::Array(body.collect())
}

/// `GET /connector-plugins/{p}/config`
pub(super) fn definitions(plugin: &Plugin) -> Json {
    Json::Array(ordered(plugin).into_iter().map(|(key, order)| definition(key, order)).collect())
}

/// `PUT /connector-plugins/{p}/config/validate`
pub(super) fn validation(plugin: &Plugin, name: &str, config: &Flat, findings: &Findings) -> Json {
    let mut errors: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for problem in &findings.errors {
        errors.entry(&problem.key).or_default().push(&problem.message);
    }
    let keys = ordered(plugin);
    let mut groups: Vec<&str> = Vec::new();
    let mut configs: Vec<Json> = Vec::new();
    for (key, order) in keys {
        if !key.group.is_empty() && !groups.contains(&key.group.as_str()) {
            groups.push(&key.group);
        }
        let errors = errors.remove(key.name.as_str()).unwrap_or_default();
        let given = config.get(&key.name).map(|value| secrets::shown(Some(&plugin.config), &key.name, value));
        let value = given.or_else(|| key.default.clone());
        configs.push(json!({
            "definition": definition(key, order),
            "value": {
                "name": key.name,
                "value": value,
                "recommended_values": key.allowed,
                "errors": errors,
                "visible": true,
            },
        }));
    }
    // Problems of keys that no definition lists, and of no key at all, are not swallowed.
    for (key, errors) in errors {
        let key = if key.is_empty() { "connector.class" } else { key };
        let value = config.get(key).map(|value| secrets::shown(Some(&plugin.config), key, value));
        configs.push(json!({
            "definition": null,
            "value": { "name": key, "value": value, "recommended_values": [], "errors": errors, "visible": true },
        }));
    }
    json!({ "name": name, "error_count": findings.errors.len(), "groups": groups, "configs": configs })
}

/// Keys with their place in their group, from 1.
fn ordered(plugin: &Plugin) -> Vec<(&ConfigKey, usize)> {
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    plugin
        .config
        .keys
        .iter()
        .map(|key| {
            let place = places.entry(key.group.as_str()).or_default();
            *place += 1;
            (key, *place)
        })
        .collect()
}

fn definition(key: &ConfigKey, order: usize) -> Json {
    let width = match key.kind {
        KeyType::Boolean | KeyType::Int | KeyType::Long | KeyType::Double => "SHORT",
        KeyType::String | KeyType::Class | KeyType::Password => "MEDIUM",
        KeyType::List => "LONG",
    };
    let default = key.default.as_ref().map(|default| match key.kind {
        KeyType::Password => millrace_sdk::config::MASK.to_owned(),
        _ => default.clone(),
    });
    json!({
        "name": key.name,
        "type": key.kind.name(),
        "required": key.required,
        "default_value": default,
        "importance": key.importance.name(),
        "documentation": key.doc,
        "group": if key.group.is_empty() { None } else { Some(&key.group) },
        "order_in_group": order,
        "width": width,
        "display_name": key.name,
        "dependents": [],
    })
}
