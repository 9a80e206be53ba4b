//! From what is stored to what should be: task sets of sinks, placements, assignments, and what is to be cleared away.
//! Pure; a second plan, made after the first was carried out, is empty.
//!
//! The order of the changes matters, because a leader may fall silent after any commit: sets, then placements (a
//! generation is stored before a worker hears of it; a task is marked as revoked before it leaves the assignment), then
//! assignments.

use std::collections::{BTreeMap, HashMap};

use super::change::Plan;
use super::lifecycle::{Action, Presence, State, Wish, decide};
use super::place::Fleet;
use super::rebalance;
use super::snapshot::{Connector, Snapshot, Versioned};
use crate::model::{
    ConnectorId, ConnectorKind, Definition, Epoch, Flat, Generation, Placement, PlannedFor, RestartScope, TargetState,
    TaskSet,
};

/// A fenced task is placed again no sooner than this after it found somebody newer, lest two fence each other in a loop.
const FENCED_PAUSE_MS: i64 = 1000;
/// More tasks a connector does not get, whatever it asks for: its set must fit into one value of the store.
const MAX_TASKS: u32 = 100_000;

/// When, and by whom, a plan is made.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Milliseconds since the epoch
    pub ms: i64,
    /// Who plans
    pub epoch: Epoch,
    /// A worker without a session is dead. False for one lease of a worker after the store was away or the leader changed.
    pub settled: bool,
    /// Nothing was placed lately, so that loads may be evened out
    pub calm: bool,
}

/// A task while it is being planned.
pub(super) struct Task {
    /// Number of its connector
    pub(super) connector: usize,
    pub(super) index: u32,
    /// As it will be; None when there is none, or none any more
    pub(super) after: Option<Placement>,
    pub(super) fate: Fate,
}

/// What this plan does to a task.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing
    Stays,
    /// Nothing, but it could be moved
    Movable,
    /// Something about its placement
    Changes,
    /// It is placed by this plan, so that it costs nothing to place it elsewhere
    Placed,
}

/// A task that needs a worker.
struct Homeless {
    task: usize,
    state: State,
}

pub(super) struct Planner<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) now: Now,
    pub(super) fleet: Fleet<'a>,
    pub(super) connectors: Vec<(&'a ConnectorId, &'a Connector)>,
    pub(super) sets: BTreeMap<usize, TaskSet>,
    pub(super) tasks: Vec<Task>,
    homeless: Vec<Homeless>,
    /// Some task is stopping
    pub(super) unrest: bool,
    due_ms: Option<i64>,
}

/// What should be done now.
#[must_use]
pub fn plan(snapshot: &Snapshot, now: Now) -> Plan {
    let mut planner = Planner {
        snapshot,
        now,
        fleet: Fleet::new(&snapshot.workers),
        connectors: snapshot.connectors.iter().collect(),
        sets: BTreeMap::new(),
        tasks: Vec::new(),
        homeless: Vec::new(),
        unrest: false,
        due_ms: None,
    };
    planner.count_loads();
    for number in 0..planner.connectors.len() {
        planner.connector(number);
    }
    planner.house();
    if now.settled && now.calm && !planner.unrest {
        rebalance::rebalance(&mut planner);
        // What it has freed.
        planner.house();
    }
    Plan { changes: planner.changes(), due_ms: planner.due_ms }
}

/// The set that a sink should have, if it is not the one it has. Sets of sources come from workers.
fn sink_set(snapshot: &Snapshot, connector: &Connector, definition: &Versioned<Definition>) -> Option<TaskSet> {
    let wanted = planned_for(&definition.value);
    let current = connector.plan.as_ref().filter(|plan| belongs(plan, definition));
    if current.is_some_and(|plan| plan.value.planned_for == wanted && plan.value.kind == ConnectorKind::Sink) {
        return None;
    }
    if snapshot.kind(definition.value.class()) != Some(ConnectorKind::Sink) {
        return None;
    }
    let placed = connector.placements.values().map(|placement| placement.value.set_revision).max().unwrap_or(0);
    let planned = connector.plan.as_ref().map_or(0, |plan| plan.value.revision);
    Some(TaskSet {
        revision: placed.max(planned) + 1,
        planned_for: wanted,
        kind: ConnectorKind::Sink,
        tasks: vec![Flat::new(); definition.value.tasks_max().min(MAX_TASKS) as usize],
        error: None,
    })
}

fn planned_for(definition: &Definition) -> PlannedFor {
    let restarts = definition.restarts.get(&RestartScope::Connector).copied().unwrap_or(0);
    PlannedFor { version: definition.version, restarts }
}

/// False for what an earlier connector of the same name left behind.
fn belongs(plan: &Versioned<TaskSet>, definition: &Versioned<Definition>) -> bool {
    plan.revision >= definition.created
}

impl<'a> Planner<'a> {
    pub(super) fn class(&self, connector: usize) -> &'a str {
        let (_, connector) = self.connectors[connector];
        connector.definition.as_ref().map_or("", |definition| definition.value.class())
    }

    pub(super) fn presence(&self, worker: Option<&str>) -> Presence {
        match worker {
            None => Presence::Live,
            Some(worker) if self.fleet.number(worker).is_some() => Presence::Live,
            Some(_) if self.now.settled => Presence::Gone,
            Some(_) => Presence::Away,
        }
    }

    /// Also closes the workers that are shutting down: one that ended a task unasked, until it registers again.
    fn count_loads(&mut self) {
        for (_, connector) in &self.connectors {
            for (index, placement) in &connector.placements {
                let Some(worker) = placement.value.worker.as_deref() else { continue };
                let Some(number) = self.fleet.number(worker) else { continue };
                self.fleet.add(number);
                let Some(status) = connector.statuses.get(index) else { continue };
                let ended = State::of(&placement.value, Some(&status.value)) == State::Ended;
                if ended && self.snapshot.workers.get(worker).is_none_or(|worker| worker.revision < status.revision) {
                    self.fleet.close(number);
                }
            }
        }
    }

    fn connector(&mut self, number: usize) {
        let (_, connector) = self.connectors[number];
        if !connector.unreadable.is_empty() {
            for (index, placement) in &connector.placements {
                self.push(number, *index, Some(placement.value.clone()), Fate::Stays);
            }
            return;
        }
        let definition = connector.definition.as_ref();
        if let Some(set) = definition.and_then(|definition| sink_set(self.snapshot, connector, definition)) {
            self.sets.insert(number, set);
        }
        let set = self.set(number).map(|set| (set.revision, u32::try_from(set.tasks.len()).unwrap_or(u32::MAX)));
        let runs = self.runs(number);
        let first_homeless = self.homeless.len();
        let mut old_set_runs = false;
        for (index, placement) in &connector.placements {
            let rightful = set.is_some_and(|(_, len)| *index < len);
            let of_set = set.is_some_and(|(revision, _)| placement.value.set_revision == revision);
            let kept = runs && rightful && (of_set || placement.value.worker.is_none());
            let released = self.task(number, *index, placement, kept, rightful);
            old_set_runs |= !of_set && !released;
        }
        let Some((_, len)) = set.filter(|_| runs) else { return };
        if old_set_runs {
            // Nothing of the new set starts before everything of the old one has stopped.
            for homeless in self.homeless.split_off(first_homeless) {
                self.leave_homeless(&homeless);
            }
            return;
        }
        for index in 0..len {
            if !connector.placements.contains_key(&index) {
                let task = self.push(number, index, None, Fate::Stays);
                self.homeless.push(Homeless { task, state: State::Unassigned });
            }
        }
    }

    /// The set that the connector's tasks are to be of.
    fn set(&self, number: usize) -> Option<&TaskSet> {
        let (_, connector) = self.connectors[number];
        let definition = connector.definition.as_ref()?;
        let stored = connector.plan.as_ref().filter(|plan| belongs(plan, definition)).map(|plan| &plan.value);
        self.sets.get(&number).or(stored)
    }

    fn push(&mut self, connector: usize, index: u32, after: Option<Placement>, fate: Fate) -> usize {
        self.tasks.push(Task { connector, index, after, fate });
        self.tasks.len() - 1
    }

    /// Decides about a task that has a placement; true if it certainly runs nowhere.
    fn task(
        &mut self,
        number: usize,
        index: u32,
        placement: &Versioned<Placement>,
        kept: bool,
        rightful: bool,
    ) -> bool {
        let (_, connector) = self.connectors[number];
        let before = &placement.value;
        let state = State::of(before, connector.statuses.get(&index).map(|status| &status.value));
        let presence = self.presence(before.worker.as_deref());
        let action = decide(state, self.wish(number, index, before, kept, state), presence);
        let worker = before.worker.as_deref().and_then(|worker| self.fleet.number(worker));
        let task = self.push(number, index, Some(before.clone()), Fate::Stays);
        self.unrest |= state == State::Revoking && presence == Presence::Live;
        match action {
            Action::Leave => {
                let still = matches!(state, State::Failed | State::Revoking) || presence != Presence::Live;
                let runs = connector.definition.as_ref().is_some_and(|d| d.value.target == TargetState::Running);
                if !still && runs {
                    self.tasks[task].fate = Fate::Movable;
                }
            }
            Action::StartAgain => {
                let generation = Generation(before.generation.0 + 1);
                let restarts = self.restarts(number, index);
                self.change(task, Some(Placement { generation, restarts, ..before.clone() }));
            }
            Action::Revoke => {
                self.change(task, Some(Placement { revoking: true, ..before.clone() }));
                self.unrest |= presence == Presence::Live;
            }
            Action::Release => self.release(task, rightful, worker),
            Action::Place => {
                if self.fenced_just_now(number, index, state) {
                    return false;
                }
                if let Some(worker) = worker {
                    self.fleet.remove(worker);
                }
                self.homeless.push(Homeless { task, state });
            }
        }
        matches!(action, Action::Release) || state == State::Unassigned
    }

    fn wish(&self, number: usize, index: u32, before: &Placement, kept: bool, state: State) -> Wish {
        if !kept {
            return Wish::Drop;
        }
        let class = self.class(number);
        let worker = before.worker.as_deref().and_then(|worker| self.fleet.number(worker));
        let unfit = worker.is_some_and(|worker| !self.fleet.offers(worker, class)) && self.fleet.choice(class) > 0;
        match (self.restarts(number, index) > before.restarts, unfit) {
            (true, true) => Wish::Move,
            (true, false) => Wish::Restart,
            (false, true) if state != State::Failed => Wish::Move,
            (false, _) => Wish::Keep,
        }
    }

    fn change(&mut self, task: usize, after: Option<Placement>) {
        self.tasks[task].after = after;
        self.tasks[task].fate = Fate::Changes;
    }

    fn release(&mut self, task: usize, rightful: bool, worker: Option<usize>) {
        if let Some(worker) = worker {
            self.fleet.remove(worker);
        }
        let Some(before) = self.tasks[task].after.clone() else { return };
        if !rightful {
            self.change(task, None);
            return;
        }
        if before.worker.is_some() {
            self.change(task, Some(Placement { worker: None, revoking: false, ..before }));
        }
        if self.runs(self.tasks[task].connector) {
            self.homeless.push(Homeless { task, state: State::Unassigned });
        }
    }

    fn runs(&self, number: usize) -> bool {
        let (_, connector) = self.connectors[number];
        connector.definition.as_ref().is_some_and(|definition| definition.value.target != TargetState::Stopped)
    }

    fn restarts(&self, number: usize, index: u32) -> i64 {
        let (_, connector) = self.connectors[number];
        let asked = connector.definition.as_ref().and_then(|d| d.value.restarts.get(&RestartScope::Task(index)));
        asked.copied().unwrap_or(0)
    }

    fn fenced_just_now(&mut self, number: usize, index: u32, state: State) -> bool {
        let (_, connector) = self.connectors[number];
        let since = connector.statuses.get(&index).map_or(0, |status| status.value.since_ms);
        let elapsed = self.now.ms - since;
        if state != State::Fenced || !(0..FENCED_PAUSE_MS).contains(&elapsed) {
            return false;
        }
        let due = since + FENCED_PAUSE_MS;
        self.due_ms = Some(self.due_ms.map_or(due, |other| other.min(due)));
        true
    }

    /// Finds workers: first for tasks with the least choice, then for those that had one.
    fn house(&mut self) {
        let mut homeless = std::mem::take(&mut self.homeless);
        homeless.sort_by_key(|homeless| {
            let connector = self.tasks[homeless.task].connector;
            let is_new = self.tasks[homeless.task].after.as_ref().is_none_or(|placement| placement.worker.is_none());
            (self.fleet.choice(self.class(connector)), is_new, connector)
        });
        let mut own: HashMap<usize, u32> = HashMap::new();
        let mut of = None;
        for homeless in homeless {
            let connector = self.tasks[homeless.task].connector;
            if of != Some(connector) {
                own = self.own(connector);
                of = Some(connector);
            }
            let found = self.fleet.best(self.class(connector), &own);
            match found {
                Some(number) => {
                    *own.entry(number).or_default() += 1;
                    self.settle(&homeless, number);
                }
                None => {
                    self.leave_homeless(&homeless);
                    if homeless.state == State::Unassigned {
                        self.homeless.push(homeless);
                    }
                }
            }
        }
    }

    /// The connector's tasks by worker.
    fn own(&self, connector: usize) -> HashMap<usize, u32> {
        let mut own = HashMap::new();
        let first = self.tasks.partition_point(|task| task.connector < connector);
        for task in self.tasks[first..].iter().take_while(|task| task.connector == connector) {
            let worker = task.after.as_ref().and_then(|placement| placement.worker.as_deref());
            if let Some(number) = worker.and_then(|worker| self.fleet.number(worker)) {
                *own.entry(number).or_default() += 1;
            }
        }
        own
    }

    fn settle(&mut self, homeless: &Homeless, number: usize) {
        let connector = self.tasks[homeless.task].connector;
        let index = self.tasks[homeless.task].index;
        let set_revision = self.set(connector).map_or(0, |set| set.revision);
        let (_, stored) = self.connectors[connector];
        let generation = match stored.placements.get(&index) {
            Some(before) => before.value.generation.0 + 1,
            // Not 1: a connector made again under the same name must not repeat a generation.
            None => self.snapshot.revision.max(1),
        };
        let restarts = self.restarts(connector, index);
        self.fleet.add(number);
        self.tasks[homeless.task].after = Some(Placement {
            generation: Generation(generation),
            worker: Some(self.fleet.id(number).to_owned()),
            revoking: false,
            set_revision,
            restarts,
        });
        self.tasks[homeless.task].fate = Fate::Placed;
    }

    /// Nobody can take it now.
    fn leave_homeless(&mut self, homeless: &Homeless) {
        let Some(before) = self.tasks[homeless.task].after.clone() else { return };
        if matches!(homeless.state, State::Stopped | State::Fenced | State::Failed) {
            self.change(homeless.task, Some(Placement { worker: None, revoking: false, ..before }));
            return;
        }
        // Its worker, should it come back, goes on with it.
        if let Some(number) = before.worker.as_deref().and_then(|worker| self.fleet.number(worker)) {
            self.fleet.add(number);
        }
    }
}
