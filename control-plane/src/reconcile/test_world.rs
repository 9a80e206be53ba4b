//! A store's contents for tests of `plan`: plans are carried out with their guards checked, workers obey when told to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::lifecycle::State;
use super::plan::{self, Now};
use super::snapshot::{Connector, Snapshot};
use crate::model::{
    ConfigDef, ConnectorId, ConnectorKind, Definition, Epoch, Flat, Generation, Placement, Plugin, TargetState, TaskId,
    TaskState, TaskStatus, Worker,
};
use crate::store::{Commit, Entry, Event, Guard, Listing, MAX_OPERATIONS, Write, keys};

pub(super) const EPOCH: Epoch = Epoch(1);

#[derive(Clone, Default)]
pub(super) struct World {
    entries: BTreeMap<String, Entry>,
    pub(super) snapshot: Snapshot,
    revision: i64,
    pub(super) now_ms: i64,
    /// Really running: by worker, task and generation
    pub(super) running: BTreeMap<String, BTreeMap<TaskId, Generation>>,
}

pub(super) fn id(connector: &str) -> ConnectorId {
    ConnectorId { tenant: "default".into(), connector: connector.into() }
}

pub(super) fn task(connector: &str, index: u32) -> TaskId {
    TaskId { connector: id(connector), index }
}

impl World {
    /// With the leader's key and two sink classes and a source in the catalogue.
    pub(super) fn new() -> Self {
        let mut world = Self { now_ms: 1_000_000, ..Self::default() };
        world.put(keys::LEADER.to_owned(), b"leader".to_vec());
        for (class, kind) in [("x", ConnectorKind::Sink), ("y", ConnectorKind::Sink), ("s", ConnectorKind::Source)] {
            world.put_json(keys::plugin(class, "1"), &plugin(class, kind));
        }
        world
    }

    pub(super) fn put_json<T: Serialize>(&mut self, key: String, value: &T) {
        self.put(key, serde_json::to_vec(value).expect("JSON"));
    }

    pub(super) fn put(&mut self, key: String, value: Vec<u8>) {
        self.revision += 1;
        self.set(key, value);
    }

    fn set(&mut self, key: String, value: Vec<u8>) {
        let created = self.entries.get(&key).map_or(self.revision, |entry| entry.created);
        let entry = Entry { key: key.clone(), value, revision: self.revision, created };
        self.entries.insert(key, entry.clone());
        assert!(self.snapshot.apply(&Event::Put(entry)));
    }

    pub(super) fn delete(&mut self, key: &str) {
        self.revision += 1;
        self.unset(key);
    }

    fn unset(&mut self, key: &str) {
        self.entries.remove(key);
        assert!(self.snapshot.apply(&Event::Delete { key: key.to_owned(), revision: self.revision }));
    }

    pub(super) fn worker(&mut self, id: &str, capacity: u32, classes: &[&str]) {
        self.put_json(keys::worker(id), &worker(id, capacity, classes));
    }

    /// Without a word.
    pub(super) fn worker_dies(&mut self, id: &str) {
        self.running.remove(id);
        self.delete(&keys::worker(id));
    }

    pub(super) fn define(&mut self, connector: &str, class: &str, tasks: u32) {
        let config = Flat::from([("connector.class".into(), class.into()), ("tasks.max".into(), tasks.to_string())]);
        let known = self.snapshot.connectors.get(&id(connector)).and_then(|known| known.definition.clone());
        let definition = match known {
            Some(known) => Definition { config, version: known.value.version + 1, ..known.value },
            None => definition(config),
        };
        self.put_json(keys::definition(&id(connector)), &definition);
    }

    pub(super) fn change(&mut self, connector: &str, change: impl FnOnce(&mut Definition)) {
        let stored = self.connector(connector).definition.clone().expect("defined");
        let mut definition = stored.value;
        change(&mut definition);
        self.put_json(keys::definition(&id(connector)), &definition);
    }

    pub(super) fn connector(&self, connector: &str) -> &Connector {
        &self.snapshot.connectors[&id(connector)]
    }

    pub(super) fn placement(&self, connector: &str, index: u32) -> &Placement {
        &self.connector(connector).placements[&index].value
    }

    /// Where its tasks are, `-` for nowhere, `!` behind a worker that is to stop it.
    pub(super) fn places(&self, connector: &str) -> String {
        let mut text = Vec::new();
        for placement in self.connector(connector).placements.values() {
            let worker = placement.value.worker.as_deref().unwrap_or("-");
            text.push(format!("{worker}{}", if placement.value.revoking { "!" } else { "" }));
        }
        text.join(" ")
    }

    pub(super) fn report(&mut self, id: &TaskId, state: TaskState) {
        let placement = self.snapshot.connectors[&id.connector].placements[&id.index].value.clone();
        let worker = placement.worker.clone().expect("placed");
        self.report_of(id, &worker, placement.generation, state);
    }

    fn report_of(&mut self, id: &TaskId, worker: &str, generation: Generation, state: TaskState) {
        let status = TaskStatus {
            generation,
            worker: worker.to_owned(),
            address: String::new(),
            state,
            error_kind: String::new(),
            trace: String::new(),
            warnings: Vec::new(),
            since_ms: self.now_ms,
        };
        self.put_json(keys::status(id), &status);
    }

    /// Plans and carries out; a second plan must then be empty. Answers how many keys changed.
    pub(super) fn reconcile(&mut self, settled: bool) -> usize {
        let now = Now { ms: self.now_ms, epoch: EPOCH, settled, calm: true };
        let draining = self.somebody_drains();
        let first = plan::plan(&self.snapshot, now);
        for commit in first.commits(&Guard::Created { key: keys::LEADER.to_owned(), revision: 1 }) {
            self.commit(commit);
        }
        let second = plan::plan(&self.snapshot, Now { calm: first.changes.is_empty(), ..now });
        // Once a draining worker's tasks are elsewhere nothing says any more that it drains, until it is gone.
        assert!(draining || second.changes.is_empty(), "{:#?} after {:#?}", second.changes, first.changes);
        let listing = Listing { entries: self.entries.values().cloned().collect(), revision: self.revision };
        assert_eq!(Snapshot::from_listing(&listing), self.snapshot);
        first.changes.len()
    }

    fn somebody_drains(&self) -> bool {
        self.snapshot.connectors.values().any(|connector| {
            connector.placements.iter().any(|(index, placement)| {
                let status = connector.statuses.get(index).map(|status| &status.value);
                State::of(&placement.value, status) == State::Ended
            })
        })
    }

    fn commit(&mut self, commit: Commit) {
        assert!(commit.guards.len() + commit.writes.len() <= MAX_OPERATIONS);
        for guard in &commit.guards {
            let holds = match guard {
                Guard::Revision { key, revision } => self.entries.get(key).is_some_and(|e| e.revision == *revision),
                Guard::Created { key, revision } => self.entries.get(key).is_some_and(|e| e.created == *revision),
                Guard::Absent { key } => !self.entries.contains_key(key),
            };
            assert!(holds, "{guard:?} of {commit:#?}");
        }
        self.revision += 1;
        for write in commit.writes {
            match write {
                Write::Put { key, value, .. } => self.set(key, value),
                Write::Delete { key } => self.unset(&key),
                Write::DeletePrefix { .. } => panic!("the reconciler deletes only what it has read"),
            }
        }
    }

    /// The worker hears its assignment, runs it, and says so; what it no longer runs it confirms.
    pub(super) fn obey(&mut self, worker: &str) {
        let assigned = self.snapshot.assignments.get(worker).map(|a| a.value.tasks.clone()).unwrap_or_default();
        let wanted: BTreeMap<TaskId, Generation> = assigned.into_iter().map(|t| (t.id, t.generation)).collect();
        self.running.insert(worker.to_owned(), wanted.clone());
        let placements: Vec<(TaskId, Placement, Option<TaskState>)> = self
            .snapshot
            .connectors
            .iter()
            .flat_map(|(id, connector)| {
                connector.placements.iter().map(|(index, placement)| {
                    let status = connector.statuses.get(index).map(|status| &status.value);
                    let told = status.filter(|s| s.generation == placement.value.generation).map(|s| s.state);
                    (TaskId { connector: id.clone(), index: *index }, placement.value.clone(), told)
                })
            })
            .filter(|(_, placement, _)| placement.worker.as_deref() == Some(worker))
            .collect();
        for (id, placement, told) in placements {
            if wanted.get(&id) == Some(&placement.generation) {
                if !matches!(told, Some(TaskState::Running | TaskState::Failed)) {
                    self.report_of(&id, worker, placement.generation, TaskState::Running);
                }
            } else if placement.revoking && told != Some(TaskState::Stopped) {
                self.report_of(&id, worker, placement.generation, TaskState::Stopped);
            }
        }
    }

    pub(super) fn all_obey(&mut self) {
        let workers: Vec<String> = self.snapshot.workers.keys().cloned().collect();
        for worker in workers {
            self.obey(&worker);
        }
    }

    /// Reconciles and obeys until nothing changes.
    pub(super) fn settle(&mut self) {
        for _ in 0..100 {
            let changed = self.reconcile(true);
            let before = self.revision;
            self.all_obey();
            self.check();
            if changed == 0 && self.revision == before {
                return;
            }
        }
        panic!("no end: {:#?}", self.snapshot.connectors);
    }

    /// No task runs twice.
    pub(super) fn check(&self) {
        let mut seen = BTreeSet::new();
        for (worker, tasks) in &self.running {
            for id in tasks.keys() {
                assert!(seen.insert(id), "{id:?} runs on {worker} and on another");
            }
        }
    }

    pub(super) fn loads(&self) -> BTreeMap<String, u32> {
        let mut loads: BTreeMap<String, u32> = self.snapshot.workers.keys().map(|id| (id.clone(), 0)).collect();
        for connector in self.snapshot.connectors.values() {
            for placement in connector.placements.values() {
                if let Some(load) = placement.value.worker.as_ref().and_then(|worker| loads.get_mut(worker)) {
                    *load += 1;
                }
            }
        }
        loads
    }
}

pub(super) fn plugin(class: &str, kind: ConnectorKind) -> Plugin {
    Plugin {
        class: class.into(),
        aliases: vec![format!("java.{class}")],
        kind,
        version: "1".into(),
        description: String::new(),
        config: ConfigDef::default(),
    }
}

pub(super) fn worker(id: &str, capacity: u32, classes: &[&str]) -> Worker {
    let classes = classes.iter().flat_map(|class| [(*class).to_owned(), format!("java.{class}")]).collect();
    Worker {
        id: id.into(),
        incarnation: "1".into(),
        address: String::new(),
        version: "1".into(),
        labels: BTreeMap::new(),
        capacity,
        classes,
    }
}

pub(super) fn definition(config: Flat) -> Definition {
    Definition {
        config,
        target: TargetState::Running,
        version: 1,
        restarts: BTreeMap::new(),
        created_ms: 0,
        updated_ms: 0,
        warnings: Vec::new(),
    }
}
