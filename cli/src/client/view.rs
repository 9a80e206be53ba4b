//! Answers of the server as data for `--output json|yaml` and as rows for people. Pure.

use millrace_proto::v1;
use serde_json::{Value, json};

use super::short_name;
use crate::output::Table;

/// `RUNNING`, …; empty when the server says nothing.
pub(super) fn task_state(state: i32) -> &'static str {
    match v1::TaskState::try_from(state) {
        Ok(v1::TaskState::Unassigned) => "UNASSIGNED",
        Ok(v1::TaskState::Running) => "RUNNING",
        Ok(v1::TaskState::Paused) => "PAUSED",
        Ok(v1::TaskState::Stopped) => "STOPPED",
        Ok(v1::TaskState::Restarting) => "RESTARTING",
        Ok(v1::TaskState::Failed) => "FAILED",
        Ok(v1::TaskState::Unspecified) | Err(_) => "",
    }
}

pub(super) fn kind(kind: i32) -> &'static str {
    match v1::ConnectorKind::try_from(kind) {
        Ok(v1::ConnectorKind::Source) => "source",
        Ok(v1::ConnectorKind::Sink) => "sink",
        Ok(v1::ConnectorKind::Unspecified) | Err(_) => "",
    }
}

fn target(state: i32) -> &'static str {
    match v1::TargetState::try_from(state) {
        Ok(v1::TargetState::Running) => "RUNNING",
        Ok(v1::TargetState::Paused) => "PAUSED",
        Ok(v1::TargetState::Stopped) => "STOPPED",
        Ok(v1::TargetState::Unspecified) | Err(_) => "",
    }
}

/// A connector with its status. `name` and `config` are what `apply -f` reads back.
pub(super) fn connector(connector: &v1::Connector, status: Option<&v1::ConnectorStatus>) -> Value {
    let config: std::collections::BTreeMap<_, _> = connector.config.iter().collect();
    let mut value = json!({
        "name": short_name(&connector.name),
        "config": config,
        "kind": kind(connector.kind),
        "target_state": target(connector.target_state),
        "etag": connector.etag,
    });
    if let Some(status) = status {
        value["status"] = self::status(status);
    }
    value
}

fn status(status: &v1::ConnectorStatus) -> Value {
    let mut value = json!({
        "state": task_state(status.state),
        "worker": status.worker,
        "tasks": status.tasks.iter().map(task).collect::<Vec<_>>(),
    });
    if !status.trace.is_empty() {
        value["trace"] = json!(status.trace);
    }
    if !status.warnings.is_empty() {
        value["warnings"] = json!(status.warnings);
    }
    value
}

fn task(task: &v1::TaskStatus) -> Value {
    let mut value = json!({
        "index": task.index,
        "state": task_state(task.state),
        "worker": task.worker,
        "generation": task.generation,
    });
    if !task.trace.is_empty() {
        value["trace"] = json!(task.trace);
    }
    value
}

/// Connectors with their statuses and the seconds since the epoch.
pub(super) fn connectors(rows: &[(v1::Connector, Option<v1::ConnectorStatus>)], now: i64) -> Table {
    let mut table = Table::new(&["NAME", "KIND", "CLASS", "STATE", "TASKS", "AGE", "REASON"], "No connectors.");
    for (connector, status) in rows {
        let created = connector.create_time.as_ref().map(|time| time.seconds);
        table.row(vec![
            short_name(&connector.name).to_owned(),
            kind(connector.kind).to_owned(),
            short_class(connector.config.get("connector.class").map_or("", String::as_str)).to_owned(),
            status.as_ref().map_or("?", |status| overall(status)).to_owned(),
            status.as_ref().map_or_else(String::new, running),
            created.map_or_else(String::new, |created| crate::output::age(now - created)),
            status.as_ref().and_then(reason).unwrap_or_default(),
        ]);
    }
    table
}

/// A Java class without its package.
fn short_class(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// The connector's state, unless a task is worse off.
fn overall(status: &v1::ConnectorStatus) -> &'static str {
    let connector = task_state(status.state);
    let worst = ["FAILED", "RESTARTING", "UNASSIGNED"].into_iter();
    if connector != "RUNNING" {
        return connector;
    }
    worst
        .into_iter()
        .find(|state| status.tasks.iter().any(|task| task_state(task.state) == *state))
        .unwrap_or(connector)
}

/// Tasks that run, of all.
fn running(status: &v1::ConnectorStatus) -> String {
    let running = status.tasks.iter().filter(|task| task_state(task.state) == "RUNNING").count();
    format!("{running}/{}", status.tasks.len())
}

/// The first line of the first trace.
pub(super) fn reason(status: &v1::ConnectorStatus) -> Option<String> {
    let traces = std::iter::once(&status.trace).chain(status.tasks.iter().map(|task| &task.trace));
    let line = traces.filter_map(|trace| trace.lines().map(str::trim).find(|line| !line.is_empty())).next()?;
    if line.chars().count() <= 80 {
        return Some(line.to_owned());
    }
    Some(line.chars().take(79).chain(['…']).collect())
}

/// Everything about a connector, for people.
pub(super) fn described(connector: &v1::Connector, status: &v1::ConnectorStatus, now: i64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("{name:<14}{value}\n"));
        }
    };
    let age = |time: Option<&prost_types::Timestamp>| {
        time.map_or_else(String::new, |time| crate::output::age(now - time.seconds) + " ago")
    };
    line("Name:", short_name(&connector.name));
    line("Kind:", kind(connector.kind));
    line("State:", overall(status));
    line("Wanted:", target(connector.target_state));
    line("Created:", &age(connector.create_time.as_ref()));
    line("Changed:", &age(connector.update_time.as_ref()));
    text.push_str("\nConfiguration:\n");
    let config: std::collections::BTreeMap<_, _> = connector.config.iter().collect();
    for (key, value) in config {
        text.push_str(&format!("  {key} = {value}\n"));
    }
    let mut table = Table::new(&["TASK", "STATE", "WORKER", "GENERATION"], "none");
    for task in &status.tasks {
        table.row(vec![
            task.index.to_string(),
            task_state(task.state).to_owned(),
            task.worker.clone(),
            task.generation.to_string(),
        ]);
    }
    text.push_str("\nTasks:\n");
    push_indented(&mut text, &table.render());
    if !status.trace.is_empty() {
        text.push_str("\nReason:\n");
        push_indented(&mut text, &status.trace);
    }
    for task in status.tasks.iter().filter(|task| !task.trace.is_empty()) {
        text.push_str(&format!("\nReason of task {}:\n", task.index));
        push_indented(&mut text, &task.trace);
    }
    if !status.warnings.is_empty() {
        text.push_str("\nWarnings:\n");
        for warning in &status.warnings {
            push_indented(&mut text, warning);
        }
    }
    text
}

fn push_indented(text: &mut String, block: &str) {
    for line in block.trim_end().lines() {
        text.push_str(&format!("  {line}\n"));
    }
}

pub(super) fn plugins(plugins: &[v1::Plugin]) -> (Value, Table) {
    let mut table =
        Table::new(&["CLASS", "KIND", "VERSION", "DESCRIPTION"], "No plugins: no worker has registered yet.");
    let mut values = Vec::new();
    for plugin in plugins {
        table.row(vec![
            plugin.class.clone(),
            kind(plugin.kind).to_owned(),
            plugin.version.clone(),
            plugin.description.clone(),
        ]);
        values.push(self::plugin(plugin));
    }
    (Value::Array(values), table)
}

fn plugin(plugin: &v1::Plugin) -> Value {
    json!({
        "class": plugin.class,
        "aliases": plugin.aliases,
        "kind": kind(plugin.kind),
        "version": plugin.version,
        "description": plugin.description,
    })
}

/// A plugin with its configuration keys.
pub(super) fn plugin_keys(answer: &v1::GetPluginResponse) -> (Value, String) {
    let plugin = answer.plugin.clone().unwrap_or_default();
    let mut value = self::plugin(&plugin);
    let mut table = Table::new(&["KEY", "TYPE", "DEFAULT", "DOCUMENTATION"], "No keys.");
    let mut keys = Vec::new();
    for key in &answer.config_keys {
        let default =
            key.default_value.clone().unwrap_or_else(|| if key.required { "(required)" } else { "" }.to_owned());
        let first = key.documentation.lines().next().unwrap_or_default().to_owned();
        table.row(vec![key.name.clone(), key.r#type.clone(), default, first]);
        keys.push(json!({
            "name": key.name,
            "type": key.r#type,
            "required": key.required,
            "default": key.default_value,
            "documentation": key.documentation,
            "group": key.group,
            "allowed_values": key.allowed_values,
        }));
    }
    value["config_keys"] = Value::Array(keys);
    let aliases =
        if plugin.aliases.is_empty() { String::new() } else { format!("Also:  {}\n", plugin.aliases.join(", ")) };
    let text = format!(
        "{} {} ({})\n{aliases}{}\n\n{}",
        plugin.class,
        plugin.version,
        kind(plugin.kind),
        plugin.description,
        table.render()
    );
    (value, text)
}

pub(super) fn workers(workers: &[v1::Worker]) -> (Value, Table) {
    let mut table = Table::new(&["ID", "ADDRESS", "TASKS", "CAPACITY", "LIVE", "VERSION", "LABELS"], "No workers.");
    let mut values = Vec::new();
    for worker in workers {
        let labels: std::collections::BTreeMap<_, _> = worker.labels.iter().collect();
        let shown: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        table.row(vec![
            worker.id.clone(),
            worker.address.clone(),
            worker.tasks.to_string(),
            worker.capacity.to_string(),
            if worker.live { "yes" } else { "no" }.to_owned(),
            worker.version.clone(),
            shown.join(","),
        ]);
        values.push(json!({
            "id": worker.id,
            "address": worker.address,
            "tasks": worker.tasks,
            "capacity": worker.capacity,
            "live": worker.live,
            "version": worker.version,
            "labels": labels,
        }));
    }
    (Value::Array(values), table)
}

#[cfg(test)]
mod tests;
