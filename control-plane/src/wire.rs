//! Between the protobuf types and the model. Nothing else in this crate fills or reads protobuf messages, but for the
//! handlers in `api` and the session stream that carry them.

use std::time::SystemTime;

use millrace_proto::internal::v1 as session;
use millrace_proto::v1 as api;
use millrace_sdk::{ConfigDef, ConnectorKind, Findings, Flat, Problem};

use crate::model::{ConnectorId, Generation, Plugin, TargetState, TaskId, TaskState, TaskStatus};
use crate::service::catalogue::short_names;
use crate::service::view::{ConnectorView, State, StatusView};

/// A flat configuration as protobuf has it.
pub(crate) fn to_map(flat: &Flat) -> std::collections::HashMap<String, String> {
    flat.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// A flat configuration as we have it.
pub(crate) fn from_map(map: std::collections::HashMap<String, String>) -> Flat {
    map.into_iter().collect()
}

/// A task's id.
pub(crate) fn task_id(id: &TaskId) -> session::TaskId {
    session::TaskId {
        tenant: id.connector.tenant.clone(),
        connector: id.connector.connector.clone(),
        index: i32::try_from(id.index).unwrap_or(i32::MAX),
    }
}

/// A task's id; None when it is none.
pub(crate) fn from_task_id(id: Option<session::TaskId>) -> Option<TaskId> {
    let id = id?;
    let index = u32::try_from(id.index).ok()?;
    Some(TaskId { connector: ConnectorId { tenant: id.tenant, connector: id.connector }, index })
}

/// A status as a worker reported it; None when it is none.
pub(crate) fn from_status(
    status: session::TaskStatus,
    worker: &str,
    address: &str,
    now_ms: i64,
) -> Option<(TaskId, TaskStatus)> {
    let state = match status.state() {
        session::TaskState::Unspecified => return None,
        session::TaskState::Starting => TaskState::Starting,
        session::TaskState::Running => TaskState::Running,
        session::TaskState::Paused => TaskState::Paused,
        session::TaskState::Restarting => TaskState::Restarting,
        session::TaskState::Failed => TaskState::Failed,
        session::TaskState::Stopped => TaskState::Stopped,
        session::TaskState::Fenced => TaskState::Fenced,
    };
    let id = from_task_id(status.id)?;
    let status = TaskStatus {
        generation: Generation(status.generation),
        worker: worker.to_owned(),
        address: address.to_owned(),
        state,
        error_kind: status.error_kind,
        trace: status.trace,
        warnings: status.warnings,
        since_ms: now_ms,
    };
    Some((id, status))
}

/// A catalogue entry as a worker announces it, with the short forms of Java class names among its aliases, so that whoever
/// looks for a class need not know how they are made.
pub(crate) fn from_plugin(plugin: session::Plugin) -> Result<Plugin, String> {
    let config: ConfigDef = serde_json::from_str(&plugin.config_def_json)
        .map_err(|error| format!("the configuration definition of {} is unreadable: {error}", plugin.class))?;
    let mut aliases = plugin.aliases.clone();
    for alias in &plugin.aliases {
        for name in short_names(alias) {
            if !aliases.iter().any(|known| known == name) {
                aliases.push(name.to_owned());
            }
        }
    }
    Ok(Plugin {
        class: plugin.class,
        aliases,
        kind: if plugin.sink { ConnectorKind::Sink } else { ConnectorKind::Source },
        version: plugin.version,
        description: plugin.description,
        config,
    })
}

/// A worker's answer to Validate.
pub(crate) fn from_validate(answer: session::ValidateAnswer) -> Findings {
    let problems = |list: Vec<session::Problem>| list.into_iter().map(|p| Problem::new(p.key, p.message)).collect();
    Findings { errors: problems(answer.errors), warnings: problems(answer.warnings) }
}

/// Source or sink in the public API.
pub(crate) fn kind(kind: Option<ConnectorKind>) -> api::ConnectorKind {
    match kind {
        Some(ConnectorKind::Source) => api::ConnectorKind::Source,
        Some(ConnectorKind::Sink) => api::ConnectorKind::Sink,
        None => api::ConnectorKind::Unspecified,
    }
}

/// A wish in the public API.
pub(crate) fn target(target: TargetState) -> api::TargetState {
    match target {
        TargetState::Running => api::TargetState::Running,
        TargetState::Paused => api::TargetState::Paused,
        TargetState::Stopped => api::TargetState::Stopped,
    }
}

/// A wish from the public API; RUNNING when unspecified.
pub(crate) fn from_target(target: api::TargetState) -> TargetState {
    match target {
        api::TargetState::Unspecified | api::TargetState::Running => TargetState::Running,
        api::TargetState::Paused => TargetState::Paused,
        api::TargetState::Stopped => TargetState::Stopped,
    }
}

fn state(state: State) -> api::TaskState {
    match state {
        State::Running => api::TaskState::Running,
        State::Paused => api::TaskState::Paused,
        State::Stopped => api::TaskState::Stopped,
        State::Failed => api::TaskState::Failed,
        State::Unassigned => api::TaskState::Unassigned,
        State::Restarting => api::TaskState::Restarting,
    }
}

fn timestamp(ms: i64) -> prost_types::Timestamp {
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    prost_types::Timestamp { seconds: ms.div_euclid(1000), nanos }
}

/// A connector in the public API.
pub(crate) fn connector(view: &ConnectorView) -> api::Connector {
    api::Connector {
        name: view.id.to_string(),
        config: to_map(&view.config),
        target_state: target(view.target).into(),
        kind: kind(view.kind).into(),
        etag: view.etag.clone(),
        create_time: Some(timestamp(view.created_ms)),
        update_time: Some(timestamp(view.updated_ms)),
    }
}

/// A status in the public API.
pub(crate) fn status(view: &StatusView) -> api::ConnectorStatus {
    api::ConnectorStatus {
        name: view.id.to_string(),
        state: state(view.state).into(),
        worker: view.worker.clone(),
        trace: view.trace.clone(),
        kind: kind(view.kind).into(),
        tasks: view
            .tasks
            .iter()
            .map(|task| api::TaskStatus {
                index: i32::try_from(task.index).unwrap_or(i32::MAX),
                state: state(task.state).into(),
                worker: task.worker.clone(),
                trace: task.trace.clone(),
                generation: task.generation,
            })
            .collect(),
        warnings: view.warnings.clone(),
    }
}

/// Milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
