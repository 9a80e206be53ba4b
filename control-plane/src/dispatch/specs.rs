//! From an assignment's references to tasks with their configuration. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use millrace_proto::internal::v1::TaskSpec;
use millrace_sdk::{ConnectorKind, Flat};
use ring::digest::{Context, SHA256};

use crate::model::{Definition, TargetState, TaskId, TaskRef, TaskSet};
use crate::wire;

/// What a task is joined with.
pub(crate) struct Parts<'a> {
    pub(crate) definition: &'a Definition,
    /// The definition's configuration in clear
    pub(crate) config: &'a Flat,
    pub(crate) plan: &'a TaskSet,
    /// In clear
    pub(crate) settings: &'a Flat,
}

/// A task as its worker gets it; None when the set has no such task (any more).
///
/// While the set was planned for an older version of the definition, the task is sent as it was before (`sent`): it goes on
/// with the configuration it was planned for until the new set takes over.
pub(crate) fn spec(task: &TaskRef, parts: &Parts<'_>, sent: &BTreeMap<TaskId, TaskSpec>) -> Option<TaskSpec> {
    let paused = parts.definition.target == TargetState::Paused;
    let same = |old: &&TaskSpec| old.generation == task.generation.0 && old.set_revision == task.set_revision;
    let before = sent.get(&task.id).filter(same);
    let current =
        parts.plan.revision == task.set_revision && parts.plan.planned_for.version == parts.definition.version;
    if let Some(before) = before.filter(|_| !current) {
        return Some(TaskSpec { paused, ..before.clone() });
    }
    let task_config = parts.plan.tasks.get(usize::try_from(task.id.index).ok()?)?;
    let sink = parts.plan.kind == ConnectorKind::Sink;
    let class = parts.definition.class();
    Some(TaskSpec {
        id: Some(wire::task_id(&task.id)),
        generation: task.generation.0,
        set_revision: task.set_revision,
        fingerprint: fingerprint(class, sink, &[parts.config, task_config, parts.settings]),
        class: class.to_owned(),
        sink,
        tasks_total: i32::try_from(parts.plan.tasks.len()).unwrap_or(i32::MAX),
        paused,
        config: wire::to_map(parts.config),
        task_config: wire::to_map(task_config),
        tenant_settings: wire::to_map(parts.settings),
    })
}

/// Hash of all that must cause a restart.
fn fingerprint(class: &str, sink: bool, maps: &[&Flat]) -> String {
    let mut context = Context::new(&SHA256);
    let mut feed = |text: &str| {
        context.update(&text.len().to_be_bytes());
        context.update(text.as_bytes());
    };
    feed(class);
    feed(if sink { "sink" } else { "source" });
    for map in maps {
        feed(&map.len().to_string());
        for (key, value) in *map {
            feed(key);
            feed(value);
        }
    }
    let mut hex = String::new();
    for byte in &context.finish().as_ref()[..16] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectorId, Generation, PlannedFor};

    fn definition(version: i64, target: TargetState) -> Definition {
        Definition {
            config: Flat::from([("connector.class".to_owned(), "file-sink".to_owned())]),
            target,
            version,
            restarts: BTreeMap::new(),
            created_ms: 0,
            updated_ms: 0,
            warnings: Vec::new(),
        }
    }

    fn plan(version: i64, revision: i64, tasks: usize) -> TaskSet {
        TaskSet {
            revision,
            planned_for: PlannedFor { version, restarts: 0 },
            kind: ConnectorKind::Sink,
            tasks: vec![Flat::new(); tasks],
            error: None,
        }
    }

    fn reference(index: u32, set_revision: i64) -> TaskRef {
        let connector = ConnectorId { tenant: "default".into(), connector: "c".into() };
        TaskRef { id: TaskId { connector, index }, generation: Generation(1), set_revision }
    }

    #[test]
    fn a_task_keeps_its_configuration_until_the_new_set_takes_over() {
        let settings = Flat::new();
        let old_config = Flat::from([("a".to_owned(), "1".to_owned())]);
        let new_config = Flat::from([("a".to_owned(), "2".to_owned())]);
        let task = reference(0, 1);
        let (old, new) = (definition(1, TargetState::Running), definition(2, TargetState::Paused));
        let (set, next) = (plan(1, 1, 1), plan(2, 2, 1));
        let parts = Parts { definition: &old, config: &old_config, plan: &set, settings: &settings };
        let first = spec(&task, &parts, &BTreeMap::new()).unwrap();
        let sent = BTreeMap::from([(task.id.clone(), first.clone())]);
        // The definition is newer than the set; then the set is newer than the assignment: only pausing arrives.
        for plan in [&set, &next] {
            let parts = Parts { definition: &new, config: &new_config, plan, settings: &settings };
            assert_eq!(spec(&task, &parts, &sent).unwrap(), TaskSpec { paused: true, ..first.clone() });
        }
        let parts = Parts { definition: &new, config: &new_config, plan: &next, settings: &settings };
        let moved = spec(&reference(0, 2), &parts, &sent).unwrap();
        assert_eq!(moved.config["a"], "2");
        assert_ne!(moved.fingerprint, first.fingerprint);
        assert_eq!(spec(&reference(3, 2), &parts, &sent), None);
    }

    #[test]
    fn the_fingerprint_tells_maps_apart() {
        let one = Flat::from([("a".to_owned(), "bc".to_owned())]);
        let other = Flat::from([("ab".to_owned(), "c".to_owned())]);
        assert_ne!(fingerprint("x", true, &[&one]), fingerprint("x", true, &[&other]));
        assert_ne!(fingerprint("x", true, &[&one]), fingerprint("x", false, &[&one]));
        assert_eq!(fingerprint("x", true, &[&one, &other]), fingerprint("x", true, &[&one, &other]));
    }
}
