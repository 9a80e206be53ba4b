//! What the store holds, decoded, as of one revision: filled by a listing, kept up to date by a watch. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;

use crate::model::{
    Assignment, ConnectorId, ConnectorKind, Definition, Placement, Plugin, TaskSet, TaskStatus, Worker,
};
use crate::store::keys::{self, Key};
use crate::store::{Entry, Event, Listing};

/// A value with the revisions of its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The value
    pub value: T,
    /// Of the last change
    pub revision: i64,
    /// At which the key came to be
    pub created: i64,
}

/// All that is stored of one connector.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Connector {
    /// None once it is deleted
    pub definition: Option<Versioned<Definition>>,
    /// Its task set
    pub plan: Option<Versioned<TaskSet>>,
    /// By task
    pub placements: BTreeMap<u32, Versioned<Placement>>,
    /// By task
    pub statuses: BTreeMap<u32, Versioned<TaskStatus>>,
    /// Keys whose values cannot be read (written by a later version, perhaps); nothing is changed while there are any
    pub unreadable: BTreeSet<String>,
}

impl Connector {
    fn is_empty(&self) -> bool {
        self.definition.is_none()
            && self.plan.is_none()
            && self.placements.is_empty()
            && self.statuses.is_empty()
            && self.unreadable.is_empty()
    }

    fn take_in<T: DeserializeOwned>(&mut self, entry: &Entry, set: impl FnOnce(&mut Self, Option<Versioned<T>>)) {
        let value = read(entry);
        if value.is_some() {
            self.unreadable.remove(&entry.key);
        } else {
            self.unreadable.insert(entry.key.clone());
        }
        set(self, value);
    }
}

/// What a plan is made from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// As of when
    pub revision: i64,
    /// Also those that are deleted and not yet cleared away
    pub connectors: BTreeMap<ConnectorId, Connector>,
    /// Those with a session
    pub workers: BTreeMap<String, Versioned<Worker>>,
    /// By worker, also of workers that are gone
    pub assignments: BTreeMap<String, Versioned<Assignment>>,
    /// By class and version
    plugins: BTreeMap<(String, String), Plugin>,
}

impl Snapshot {
    /// From everything under [`keys::ROOT`].
    #[must_use]
    pub fn from_listing(listing: &Listing) -> Self {
        let mut snapshot = Self::default();
        for entry in &listing.entries {
            snapshot.put(entry);
        }
        snapshot.revision = listing.revision;
        snapshot
    }

    /// Takes in a change; false for [`Event::Reset`], after which only a new listing helps.
    pub fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Put(entry) => {
                self.put(entry);
                self.revision = self.revision.max(entry.revision);
            }
            Event::Delete { key, revision } => {
                self.delete(key);
                self.revision = self.revision.max(*revision);
            }
            Event::Reset => return false,
        }
        true
    }

    /// Source or sink, of a class or an alias; None if no worker has ever offered it.
    #[must_use]
    pub fn kind(&self, class: &str) -> Option<ConnectorKind> {
        let named =
            self.plugins.values().find(|plugin| plugin.class == class || plugin.aliases.iter().any(|a| a == class));
        named.map(|plugin| plugin.kind)
    }

    fn put(&mut self, entry: &Entry) {
        match keys::parse(&entry.key) {
            Some(Key::Definition(id)) => self.of(id).take_in(entry, |connector, value| connector.definition = value),
            Some(Key::Plan(id)) => self.of(id).take_in(entry, |connector, value| connector.plan = value),
            Some(Key::Placement(id)) => self.of(id.connector).take_in(entry, |connector, value| {
                replace(&mut connector.placements, id.index, value);
            }),
            Some(Key::Status(id)) => {
                let connector = self.of(id.connector);
                replace(&mut connector.statuses, id.index, read(entry));
            }
            Some(Key::Worker(id)) => {
                if let Some(worker) = read(entry) {
                    self.workers.insert(id, worker);
                }
            }
            Some(Key::Assignment(id)) => {
                // One that cannot be read is written anew.
                let unreadable =
                    Versioned { value: Assignment::default(), revision: entry.revision, created: entry.created };
                self.assignments.insert(id, read(entry).unwrap_or(unreadable));
            }
            Some(Key::Plugin { class, version }) => {
                if let Some(plugin) = read(entry) {
                    self.plugins.insert((class, version), plugin.value);
                }
            }
            Some(Key::Tenant(_) | Key::Leader) | None => {}
        }
    }

    fn of(&mut self, id: ConnectorId) -> &mut Connector {
        self.connectors.entry(id).or_default()
    }

    fn delete(&mut self, key: &str) {
        match keys::parse(key) {
            Some(Key::Definition(id)) => self.forget(&id, key, |connector| connector.definition = None),
            Some(Key::Plan(id)) => self.forget(&id, key, |connector| connector.plan = None),
            Some(Key::Placement(id)) => self.forget(&id.connector, key, |connector| {
                connector.placements.remove(&id.index);
            }),
            Some(Key::Status(id)) => self.forget(&id.connector, key, |connector| {
                connector.statuses.remove(&id.index);
            }),
            Some(Key::Worker(id)) => {
                self.workers.remove(&id);
            }
            Some(Key::Assignment(id)) => {
                self.assignments.remove(&id);
            }
            Some(Key::Plugin { class, version }) => {
                self.plugins.remove(&(class, version));
            }
            Some(Key::Tenant(_) | Key::Leader) | None => {}
        }
    }

    fn forget(&mut self, id: &ConnectorId, key: &str, change: impl FnOnce(&mut Connector)) {
        if let Some(connector) = self.connectors.get_mut(id) {
            change(connector);
            connector.unreadable.remove(key);
            if connector.is_empty() {
                self.connectors.remove(id);
            }
        }
    }
}

fn replace<T>(map: &mut BTreeMap<u32, T>, index: u32, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(index, value)),
        None => drop(map.remove(&index)),
    }
}

fn read<T: DeserializeOwned>(entry: &Entry) -> Option<Versioned<T>> {
    match serde_json::from_slice(&entry.value) {
        Ok(value) => Some(Versioned { value, revision: entry.revision, created: entry.created }),
        Err(error) => {
            tracing::error!(key = entry.key, %error, "a value in the store cannot be read and is left alone");
            None
        }
    }
}
