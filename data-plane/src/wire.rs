//! Between the generated protobuf types and this crate's own: the only file that knows both.

use std::collections::HashMap;
use std::sync::Arc;

use millrace_proto::internal::v1 as pb;
use millrace_sdk::{ConnectorKind, Findings, Flat, Problem};

use crate::catalog::Announced;
use crate::model::{TaskId, TaskSpec, TaskState, TaskStatus};
use crate::session::assembler::Part;

/// What is wrong with a message of the control plane.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum WireError {
    /// A field is missing or out of its range
    #[error("a task of the assignment has no valid {0}")]
    Field(&'static str),
    /// The configuration definition cannot be written
    #[error("the configuration keys of {0} cannot be written as JSON")]
    Definition(String),
}

pub(crate) fn part(assignment: pb::Assignment) -> Result<Part, WireError> {
    let upserts = assignment.upserts.into_iter().map(spec).collect::<Result<Vec<_>, _>>()?;
    let removals = assignment.removals.into_iter().map(id).collect::<Result<Vec<_>, _>>()?;
    Ok(Part {
        epoch: assignment.epoch,
        revision: assignment.revision,
        base_revision: assignment.base_revision,
        full: assignment.full,
        last: assignment.last,
        upserts,
        removals,
    })
}

fn spec(spec: pb::TaskSpec) -> Result<Arc<TaskSpec>, WireError> {
    if spec.class.is_empty() {
        return Err(WireError::Field("class"));
    }
    Ok(Arc::new(TaskSpec {
        id: id(spec.id.ok_or(WireError::Field("id"))?)?,
        generation: spec.generation,
        set_revision: spec.set_revision,
        fingerprint: spec.fingerprint,
        class: spec.class,
        kind: if spec.sink { ConnectorKind::Sink } else { ConnectorKind::Source },
        tasks_total: u32::try_from(spec.tasks_total).map_err(|_| WireError::Field("tasks_total"))?.max(1),
        paused: spec.paused,
        config: flat(spec.config),
        task_config: flat(spec.task_config),
        tenant_settings: flat(spec.tenant_settings),
    }))
}

fn id(id: pb::TaskId) -> Result<TaskId, WireError> {
    if id.tenant.is_empty() || id.connector.is_empty() {
        return Err(WireError::Field("tenant and connector"));
    }
    let index = u32::try_from(id.index).map_err(|_| WireError::Field("index"))?;
    Ok(TaskId { tenant: id.tenant, connector: id.connector, index })
}

pub(crate) fn flat(map: HashMap<String, String>) -> Flat {
    map.into_iter().collect()
}

pub(crate) fn plugin(announced: Announced) -> Result<pb::Plugin, WireError> {
    let config_def_json =
        serde_json::to_string(&announced.config).map_err(|_| WireError::Definition(announced.class.clone()))?;
    Ok(pb::Plugin {
        class: announced.class,
        aliases: announced.aliases,
        sink: announced.kind == ConnectorKind::Sink,
        version: announced.version,
        description: announced.description,
        config_def_json,
    })
}

pub(crate) fn status(status: &TaskStatus) -> pb::TaskStatus {
    pb::TaskStatus {
        id: Some(pb::TaskId {
            tenant: status.id.tenant.clone(),
            connector: status.id.connector.clone(),
            index: i32::try_from(status.id.index).unwrap_or(i32::MAX),
        }),
        generation: status.generation,
        state: state(status.state).into(),
        error_kind: status.error_kind.to_owned(),
        trace: status.trace.clone(),
        warnings: status.warnings.clone(),
        set_revision: status.set_revision,
    }
}

fn state(state: TaskState) -> pb::TaskState {
    match state {
        TaskState::Starting => pb::TaskState::Starting,
        TaskState::Running => pb::TaskState::Running,
        TaskState::Paused => pb::TaskState::Paused,
        TaskState::Restarting => pb::TaskState::Restarting,
        TaskState::Failed => pb::TaskState::Failed,
        TaskState::Stopped => pb::TaskState::Stopped,
        TaskState::Fenced => pb::TaskState::Fenced,
    }
}

pub(crate) fn findings(findings: Findings) -> pb::ValidateAnswer {
    let problems = |problems: Vec<Problem>| {
        problems.into_iter().map(|problem| pb::Problem { key: problem.key, message: problem.message }).collect()
    };
    pb::ValidateAnswer { errors: problems(findings.errors), warnings: problems(findings.warnings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire_spec() -> pb::TaskSpec {
        pb::TaskSpec {
            id: Some(pb::TaskId { tenant: "default".into(), connector: "orders".into(), index: 2 }),
            generation: 7,
            set_revision: 3,
            fingerprint: "f".into(),
            class: "mongodb-sink".into(),
            sink: true,
            tasks_total: 4,
            paused: true,
            config: HashMap::from([("topics".into(), "a".into())]),
            task_config: HashMap::from([("x".into(), "1".into())]),
            tenant_settings: HashMap::from([("bootstrap.servers".into(), "k:9092".into())]),
        }
    }

    #[test]
    fn an_assignment_keeps_every_field() {
        let removal = pb::TaskId { tenant: "default".into(), connector: "old".into(), index: 0 };
        let part = part(pb::Assignment {
            epoch: 1,
            revision: 9,
            base_revision: 8,
            full: false,
            last: true,
            upserts: vec![wire_spec()],
            removals: vec![removal],
        })
        .unwrap();
        assert_eq!((part.epoch, part.revision, part.base_revision, part.full, part.last), (1, 9, 8, false, true));
        let spec = &part.upserts[0];
        assert_eq!(spec.id.to_string(), "default/orders-2");
        assert_eq!((spec.generation, spec.set_revision, spec.tasks_total, spec.paused), (7, 3, 4, true));
        assert_eq!((spec.kind, spec.class.as_str()), (ConnectorKind::Sink, "mongodb-sink"));
        assert_eq!(spec.config["topics"], "a");
        assert_eq!(spec.task_config["x"], "1");
        assert_eq!(spec.tenant_settings["bootstrap.servers"], "k:9092");
        assert_eq!(part.removals[0].to_string(), "default/old-0");
    }

    #[test]
    fn an_incomplete_task_is_an_error_and_not_a_guess() {
        let negative = pb::TaskId { tenant: "t".into(), connector: "c".into(), index: -1 };
        for (broken, field) in [
            (pb::TaskSpec { id: None, ..wire_spec() }, "id"),
            (pb::TaskSpec { class: String::new(), ..wire_spec() }, "class"),
            (pb::TaskSpec { id: Some(negative), ..wire_spec() }, "index"),
            (pb::TaskSpec { id: Some(pb::TaskId::default()), ..wire_spec() }, "tenant and connector"),
        ] {
            assert_eq!(spec(broken).unwrap_err(), WireError::Field(field));
        }
    }

    #[test]
    fn every_state_has_its_own_name_on_the_wire() {
        use TaskState::{Failed, Fenced, Paused, Restarting, Running, Starting, Stopped};
        let all = [Starting, Running, Paused, Restarting, Failed, Stopped, Fenced];
        let wire: std::collections::BTreeSet<i32> = all.iter().map(|one| state(*one).into()).collect();
        assert_eq!(wire.len(), all.len());
        assert!(!wire.contains(&i32::from(pb::TaskState::Unspecified)));
    }
}
