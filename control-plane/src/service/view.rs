//! What callers see of a connector, computed from what is stored. Pure: the same facts give the same view on every replica.

use std::collections::{BTreeMap, BTreeSet};

use millrace_sdk::{ConnectorKind, Flat};

use crate::model::{
    ConnectorId, Definition, Placement, RestartScope, TargetState, TaskSet, TaskState, TaskStatus, Worker,
};

/// Kafka Connect's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Moves records
    Running,
    /// Holds still, as asked
    Paused,
    /// Has no tasks, as asked
    Stopped,
    /// Ended by an error
    Failed,
    /// Waits for a worker
    Unassigned,
    /// About to run again
    Restarting,
}

impl State {
    /// As Connect spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
            Self::Failed => "FAILED",
            Self::Unassigned => "UNASSIGNED",
            Self::Restarting => "RESTARTING",
        }
    }
}

/// A connector's definition as it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectorView {
    /// Tenant and name
    pub id: ConnectorId,
    /// Secrets masked
    pub config: Flat,
    /// What the user wants
    pub target: TargetState,
    /// Unknown while no worker offers the class
    pub kind: Option<ConnectorKind>,
    /// Each task's own keys
    pub tasks: Vec<Flat>,
    /// Changes with every change of the definition
    pub etag: String,
    /// Milliseconds since the epoch
    pub created_ms: i64,
    /// Milliseconds since the epoch
    pub updated_ms: i64,
}

/// A connector's state as it is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusView {
    /// Tenant and name
    pub id: ConnectorId,
    /// Of the connector
    pub state: State,
    /// host:port, empty while unassigned
    pub worker: String,
    /// Why it is not running; empty otherwise
    pub trace: String,
    /// Unknown while no worker offers the class
    pub kind: Option<ConnectorKind>,
    /// Of the class; empty while unknown
    pub version: String,
    /// In order
    pub tasks: Vec<TaskView>,
    /// Remarks
    pub warnings: Vec<String>,
}

/// A task's state as it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// From 0
    pub index: u32,
    /// Its state
    pub state: State,
    /// host:port, empty while unassigned
    pub worker: String,
    /// The error; empty without
    pub trace: String,
    /// Of its placement
    pub generation: i64,
}

/// All that is stored of a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Tenant and name
    pub id: ConnectorId,
    /// The definition
    pub definition: Definition,
    /// Store revision of the definition
    pub revision: i64,
    /// The task set
    pub plan: Option<TaskSet>,
    /// By index
    pub placements: BTreeMap<u32, Placement>,
    /// By index
    pub statuses: BTreeMap<u32, TaskStatus>,
}

/// What is known of the class, and of the workers.
#[derive(Debug, Clone, Default)]
pub struct Surroundings<'a> {
    /// Live workers by id
    pub workers: BTreeMap<&'a str, &'a Worker>,
    /// Of the class
    pub kind: Option<ConnectorKind>,
    /// Of the class
    pub version: String,
    /// All names of the class
    pub names: BTreeSet<&'a str>,
    /// host:port of this replica: what "runs" a connector that has no task anywhere
    pub replica: &'a str,
}

/// The state of a connector and its tasks.
#[must_use]
pub fn status(facts: &Facts, around: &Surroundings<'_>) -> StatusView {
    let mut tasks: Vec<TaskView> = task_indices(facts).map(|index| task(facts, around, index)).collect();
    if facts.definition.target == TargetState::Stopped {
        // As in Connect: a stopped connector has no tasks. Those that still end are shown until they have.
        tasks.retain(|task| task.state != State::Stopped && task.state != State::Unassigned);
    }
    let (state, trace) = connector_state(facts, around);
    let worker = tasks.iter().map(|task| task.worker.as_str()).find(|worker| !worker.is_empty());
    let mut warnings = facts.definition.warnings.clone();
    for warning in facts.statuses.values().flat_map(|status| &status.warnings) {
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    StatusView {
        id: facts.id.clone(),
        state,
        worker: worker.unwrap_or(around.replica).to_owned(),
        trace,
        kind: kind(facts, around),
        version: around.version.clone(),
        tasks,
        warnings,
    }
}

/// Source or sink, as planned or else as the catalogue says.
#[must_use]
pub fn kind(facts: &Facts, around: &Surroundings<'_>) -> Option<ConnectorKind> {
    around.kind.or_else(|| facts.plan.as_ref().map(|plan| plan.kind))
}

fn task_indices(facts: &Facts) -> impl Iterator<Item = u32> {
    let planned = facts.plan.as_ref().map_or(0, |plan| u32::try_from(plan.tasks.len()).unwrap_or(u32::MAX));
    let placed = facts.placements.iter().filter(|(_, placement)| placement.worker.is_some()).map(|(index, _)| *index);
    (0..planned).chain(placed).collect::<BTreeSet<_>>().into_iter()
}

fn connector_state(facts: &Facts, around: &Surroundings<'_>) -> (State, String) {
    let definition = &facts.definition;
    match definition.target {
        TargetState::Stopped => return (State::Stopped, String::new()),
        TargetState::Paused => return (State::Paused, String::new()),
        TargetState::Running => {}
    }
    if let Some(error) = facts.plan.as_ref().and_then(|plan| plan.error.as_ref()) {
        return (State::Failed, error.clone());
    }
    let class = definition.class();
    let offers = |worker: &&Worker| worker.classes.iter().any(|c| c == class || around.names.contains(c.as_str()));
    if !around.workers.values().any(offers) {
        return (State::Unassigned, format!("no live worker offers {class}; it starts as soon as one does"));
    }
    let asked = definition.restarts.get(&RestartScope::Connector).copied().unwrap_or_default();
    match &facts.plan {
        None => (State::Unassigned, String::new()),
        Some(plan) if plan.planned_for.restarts != asked => (State::Restarting, String::new()),
        Some(_) => (State::Running, String::new()),
    }
}

fn task(facts: &Facts, around: &Surroundings<'_>, index: u32) -> TaskView {
    let placement = facts.placements.get(&index);
    let generation = placement.map_or(0, |placement| placement.generation.0);
    let worker = placement.and_then(|placement| placement.worker.as_deref());
    let Some((placement, worker)) = placement.zip(worker) else {
        return TaskView { index, state: State::Unassigned, worker: String::new(), trace: String::new(), generation };
    };
    let Some(live) = around.workers.get(worker) else {
        let trace = format!("worker {worker} is gone; the task moves to another");
        return TaskView { index, state: State::Unassigned, worker: String::new(), trace, generation };
    };
    let status = facts.statuses.get(&index).filter(|status| status.generation == placement.generation);
    let asked = facts.definition.restarts.get(&RestartScope::Task(index)).copied().unwrap_or_default();
    let state = match status.map(|status| status.state) {
        _ if asked > placement.restarts => State::Restarting,
        None | Some(TaskState::Starting) if generation > 1 => State::Restarting,
        None | Some(TaskState::Starting | TaskState::Fenced) => State::Unassigned,
        Some(TaskState::Running) => State::Running,
        Some(TaskState::Paused) => State::Paused,
        Some(TaskState::Restarting) => State::Restarting,
        Some(TaskState::Failed) => State::Failed,
        Some(TaskState::Stopped) if facts.definition.target == TargetState::Stopped => State::Stopped,
        Some(TaskState::Stopped) => State::Unassigned,
    };
    let trace = status.map(|status| status.trace.clone()).unwrap_or_default();
    TaskView { index, state, worker: live.address.clone(), trace, generation }
}

#[cfg(test)]
mod tests;
