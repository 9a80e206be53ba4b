//! What a planner has decided, as changes of keys. Pure.

use std::collections::BTreeMap;

use super::change::Change;
use super::lifecycle::Presence;
use super::plan::{Fate, Planner, Task};
use crate::model::{Assignment, TaskId, TaskRef};
use crate::store::{Guard, keys};

impl Planner<'_> {
    /// All of it, in order.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        self.tasks.sort_by_key(|task| (task.connector, task.index));
        let mut changes = Vec::new();
        for (number, set) in &self.sets {
            let (id, connector) = self.connectors[*number];
            let revision = connector.plan.as_ref().map(|plan| plan.revision);
            changes.push(Change::put(keys::plan(id), set, revision).given(self.definition_guard(*number)));
        }
        for task in &self.tasks {
            self.placement_changes(task, &mut changes);
        }
        self.leftovers(&mut changes);
        self.assignments(&mut changes);
        changes
    }

    fn definition_guard(&self, number: usize) -> Guard {
        let (id, connector) = self.connectors[number];
        let key = keys::definition(id);
        match &connector.definition {
            Some(definition) => Guard::Revision { key, revision: definition.revision },
            None => Guard::Absent { key },
        }
    }

    fn placement_changes(&self, task: &Task, changes: &mut Vec<Change>) {
        if !matches!(task.fate, Fate::Changes | Fate::Placed) {
            return;
        }
        let (id, connector) = self.connectors[task.connector];
        let before = connector.placements.get(&task.index);
        let id = TaskId { connector: id.clone(), index: task.index };
        let revision = before.map(|before| before.revision);
        let mut change = match (&task.after, revision) {
            (Some(after), _) => Change::put(keys::placement(&id), after, revision),
            (None, Some(revision)) => Change::delete(keys::placement(&id), revision),
            (None, None) => return,
        };
        change = change.given(self.definition_guard(task.connector));
        let worker = before.and_then(|before| before.value.worker.as_deref());
        if let Some(worker) = worker
            && self.presence(Some(worker)) == Presence::Gone
        {
            change = change.given(Guard::Absent { key: keys::worker(worker) });
        }
        changes.push(change);
        if task.after.is_none()
            && let Some(status) = connector.statuses.get(&task.index)
        {
            changes.push(Change::delete(keys::status(&id), status.revision));
        }
    }

    /// What a deleted connector leaves behind once its tasks are gone.
    fn leftovers(&self, changes: &mut Vec<Change>) {
        let mut waiting = vec![false; self.connectors.len()];
        for task in &self.tasks {
            waiting[task.connector] |= task.after.is_some();
        }
        for (number, (id, connector)) in self.connectors.iter().enumerate() {
            if connector.definition.is_some() || waiting[number] || !connector.unreadable.is_empty() {
                continue;
            }
            for (index, status) in &connector.statuses {
                if !connector.placements.contains_key(index) {
                    let id = TaskId { connector: (*id).clone(), index: *index };
                    changes.push(Change::delete(keys::status(&id), status.revision));
                }
            }
            if let Some(plan) = &connector.plan {
                changes.push(Change::delete(keys::plan(id), plan.revision).given(self.definition_guard(number)));
            }
        }
    }

    fn assignments(&self, changes: &mut Vec<Change>) {
        let mut wanted: BTreeMap<&str, Vec<TaskRef>> = BTreeMap::new();
        for task in &self.tasks {
            let Some(placement) = task.after.as_ref().filter(|placement| !placement.revoking) else { continue };
            let Some(worker) = placement.worker.as_deref() else { continue };
            if self.presence(Some(worker)) == Presence::Gone {
                continue;
            }
            let (id, _) = self.connectors[task.connector];
            wanted.entry(worker).or_default().push(TaskRef {
                id: TaskId { connector: id.clone(), index: task.index },
                generation: placement.generation,
                set_revision: placement.set_revision,
            });
        }
        let stored = &self.snapshot.assignments;
        for (worker, tasks) in &wanted {
            let before = stored.get(*worker);
            if before.is_none_or(|before| before.value.tasks != *tasks) {
                let value = Assignment { epoch: self.now.epoch, tasks: tasks.clone() };
                changes.push(Change::put(keys::assignment(worker), &value, before.map(|before| before.revision)));
            }
        }
        for (worker, before) in stored.iter().filter(|(worker, _)| !wanted.contains_key(worker.as_str())) {
            let key = keys::assignment(worker);
            if self.presence(Some(worker)) == Presence::Gone {
                let absent = Guard::Absent { key: keys::worker(worker) };
                changes.push(Change::delete(key, before.revision).given(absent));
            } else if !before.value.tasks.is_empty() {
                let value = Assignment { epoch: self.now.epoch, tasks: Vec::new() };
                changes.push(Change::put(key, &value, Some(before.revision)));
            }
        }
    }
}
