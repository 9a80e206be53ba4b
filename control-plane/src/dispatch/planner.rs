//! Task sets of sources: any replica that holds a session of a worker offering the class asks that worker and commits the
//! answer, guarded by the definition and the set it replaces. Nobody leads; replicas that plan at the same time conflict
//! harmlessly. Sinks are planned by the reconciler.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use millrace_sdk::{ConnectorKind, Flat};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Shared;
use super::mirror::Versioned;
use super::sessions::{AskError, PlanFailure, Question};
use crate::model::{ConnectorId, Definition, PlannedFor, RestartScope, TargetState, TaskSet};
use crate::service::tenant_settings;
use crate::store::keys;
use crate::store::{Commit, Guard, StoreError, Write};

const TICK: Duration = Duration::from_secs(1);
/// Changes come in bursts; one look at all of them is enough.
const SETTLE: Duration = Duration::from_millis(50);
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(60);
const CONCURRENT: usize = 8;

/// What a definition wants to be planned for.
fn wanted(definition: &Definition) -> PlannedFor {
    let restarts = definition.restarts.get(&RestartScope::Connector).copied().unwrap_or_default();
    PlannedFor { version: definition.version, restarts }
}

/// Whether the set is not of this definition as it is now.
fn outdated(definition: &Definition, plan: Option<&TaskSet>) -> bool {
    definition.target != TargetState::Stopped && plan.is_none_or(|plan| plan.planned_for != wanted(definition))
}

/// The set after an answer; None when there is nothing to write. A failure keeps the old set. Tasks that come out the same
/// for the same configuration keep their revision, so that they are not restarted. `base` is the definition's revision in the
/// store: the first set counts from there, so that no revision is used twice for a name (tasks that run exactly once rely on
/// it to tell their set from those of an earlier connector).
fn next_set(
    old: Option<&TaskSet>,
    base: i64,
    planned_for: PlannedFor,
    answer: Result<Vec<Flat>, PlanFailure>,
) -> Option<TaskSet> {
    let kind = ConnectorKind::Source;
    let revision = old.map_or(base, |set| set.revision);
    match answer {
        Ok(tasks) => {
            let same = old.is_some_and(|set| {
                set.tasks == tasks && set.planned_for.version == planned_for.version && set.kind == kind
            });
            let revision = if same { revision } else { revision + 1 };
            Some(TaskSet { revision, planned_for, kind, tasks, error: None })
        }
        Err(failure) => {
            let error = Some(failure.message);
            if old.is_some_and(|set| set.error == error) {
                return None;
            }
            let (tasks, planned_for) = old.map_or_else(Default::default, |set| (set.tasks.clone(), set.planned_for));
            Some(TaskSet { revision, planned_for, kind, tasks, error })
        }
    }
}

/// When a connector is tried again after a failure.
#[derive(Debug)]
struct Attempt {
    planned_for: PlannedFor,
    next: Instant,
    delay: Duration,
}

/// Plans until `shutdown`.
pub(crate) async fn run(shared: Arc<Shared>, shutdown: CancellationToken) {
    let mut changes = shared.mirror.changes();
    let mut attempts: HashMap<ConnectorId, Attempt> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(SETTLE).await;
            }
            () = tokio::time::sleep(TICK) => {}
        }
        changes.mark_unchanged();
        let now = Instant::now();
        let due = due(&shared, &attempts, now);
        let work = futures::stream::iter(due).map(|(id, definition)| {
            let shared = Arc::clone(&shared);
            async move {
                let planned = plan(&shared, &id, &definition).await;
                (id, wanted(&definition.value), planned)
            }
        });
        let outcomes: Vec<_> = tokio::select! {
            () = shutdown.cancelled() => return,
            outcomes = work.buffer_unordered(CONCURRENT).collect() => outcomes,
        };
        for (id, planned_for, planned) in outcomes {
            if planned {
                attempts.remove(&id);
            } else {
                let delay = attempts
                    .get(&id)
                    .filter(|attempt| attempt.planned_for == planned_for)
                    .map_or(FIRST_RETRY, |attempt| (attempt.delay * 2).min(LAST_RETRY));
                attempts.insert(id, Attempt { planned_for, next: Instant::now() + delay, delay });
            }
        }
        attempts.retain(|id, _| shared.mirror.definition(id).is_some());
    }
}

fn due(
    shared: &Shared,
    attempts: &HashMap<ConnectorId, Attempt>,
    now: Instant,
) -> Vec<(ConnectorId, Versioned<Definition>)> {
    let catalogue = shared.mirror.catalogue();
    let mut due = shared.mirror.definitions();
    due.retain(|(id, definition)| {
        let definition = &definition.value;
        let source = catalogue.find(definition.class()).is_some_and(|plugin| plugin.kind == ConnectorKind::Source);
        let waiting =
            attempts.get(id).is_some_and(|attempt| attempt.planned_for == wanted(definition) && attempt.next > now);
        source && !waiting && outdated(definition, shared.mirror.plan(id).as_ref().map(|plan| plan.value.as_ref()))
    });
    due
}

/// Whether the connector needs no further try, for now.
async fn plan(shared: &Shared, id: &ConnectorId, definition: &Versioned<Definition>) -> bool {
    let value = &definition.value;
    let Some(plugin) = shared.mirror.catalogue().find(value.class()).cloned() else { return true };
    let opened = shared
        .sealer
        .open_config(id, &value.config)
        .and_then(|config| Ok((config, tenant_settings(&shared.config, &shared.mirror, &shared.sealer, &id.tenant)?)));
    let answer = match opened {
        Ok((config, tenant_settings)) => {
            let max_tasks = value.tasks_max();
            let question = Question::Plan { class: plugin.class.clone(), config, max_tasks, tenant_settings };
            match shared.sessions.ask_plan(&plugin, question, shared.config.times.ask_timeout()).await {
                Ok(answer) => answer,
                // Another replica may hold such a worker: that one plans, and this one looks again at the next change.
                Err(AskError::NoWorker) => return true,
                Err(error) => Err(PlanFailure { message: error.to_string(), kind: "transient".to_owned() }),
            }
        }
        Err(error) => Err(PlanFailure { message: error.to_string(), kind: "bad-config".to_owned() }),
    };
    if let Err(failure) = &answer {
        tracing::warn!(connector = %id, kind = failure.kind, error = failure.message, "planning failed");
    }
    let failed = answer.is_err();
    match store(shared, id, definition, answer).await {
        Ok(()) | Err(StoreError::Conflict) => !failed,
        Err(error) => {
            tracing::warn!(connector = %id, %error, "cannot store a task set yet");
            false
        }
    }
}

async fn store(
    shared: &Shared,
    id: &ConnectorId,
    definition: &Versioned<Definition>,
    answer: Result<Vec<Flat>, PlanFailure>,
) -> Result<(), StoreError> {
    let key = keys::plan(id);
    let old = shared.mirror.plan(id);
    let current = old.as_ref().map(|plan| plan.value.as_ref());
    let Some(set) = next_set(current, definition.revision, wanted(&definition.value), answer) else { return Ok(()) };
    let value = serde_json::to_vec(&set).map_err(|error| StoreError::Internal(error.to_string()))?;
    let guards = vec![
        Guard::Revision { key: keys::definition(id), revision: definition.revision },
        match &old {
            Some(plan) => Guard::Revision { key: key.clone(), revision: plan.revision },
            None => Guard::Absent { key: key.clone() },
        },
    ];
    shared.store.commit(Commit { guards, writes: vec![Write::Put { key, value, lease: None }] }).await?;
    tracing::info!(connector = %id, tasks = set.tasks.len(), revision = set.revision, "source planned");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(files: &[&str]) -> Vec<Flat> {
        files.iter().map(|file| Flat::from([("file".to_owned(), (*file).to_owned())])).collect()
    }

    #[test]
    fn a_failure_keeps_the_set_and_sameness_keeps_the_revision() {
        let first = PlannedFor { version: 1, restarts: 0 };
        let set = next_set(None, 0, first, Ok(tasks(&["a"]))).unwrap();
        assert_eq!((set.revision, set.tasks.len()), (1, 1));
        assert_eq!(next_set(None, 41, first, Ok(tasks(&["a"]))).unwrap().revision, 42);
        let restarted = PlannedFor { version: 1, restarts: 1 };
        assert_eq!(next_set(Some(&set), 0, restarted, Ok(tasks(&["a"]))).unwrap().revision, 1);
        assert_eq!(next_set(Some(&set), 0, restarted, Ok(tasks(&["a", "b"]))).unwrap().revision, 2);
        let changed = PlannedFor { version: 2, restarts: 0 };
        assert_eq!(next_set(Some(&set), 0, changed, Ok(tasks(&["a"]))).unwrap().revision, 2);
        let failure = || Err(PlanFailure { message: "no".into(), kind: "bad-config".into() });
        let failed = next_set(Some(&set), 0, changed, failure()).unwrap();
        assert_eq!(failed, TaskSet { error: Some("no".into()), ..set });
        assert_eq!(next_set(Some(&failed), 0, changed, failure()), None);
        assert_eq!(next_set(None, 0, first, failure()).unwrap().tasks, tasks(&[]));
    }
}
