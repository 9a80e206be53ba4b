//! What the store holds, as far as sessions and validation need it: one list and one watch per replica, parsed once.
//! Statuses and placements are not kept, except which tasks are to stop; whoever needs the others reads them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::model::{
    Assignment, ConnectorId, Definition, Generation, Placement, Plugin, TaskId, TaskSet, Tenant, Worker,
};
use crate::service::catalogue::Catalogue;
use crate::store::keys::{self, Key};
use crate::store::{Entry, Event, Store, StoreError};

const RETRY: Duration = Duration::from_millis(500);

/// A parsed value with the store revision of its last change.
#[derive(Debug, Clone)]
pub(crate) struct Versioned<T> {
    pub(crate) value: Arc<T>,
    pub(crate) revision: i64,
}

#[derive(Default)]
struct State {
    definitions: HashMap<ConnectorId, Versioned<Definition>>,
    plans: HashMap<ConnectorId, Versioned<TaskSet>>,
    tenants: HashMap<String, Arc<Tenant>>,
    assignments: HashMap<String, Arc<Assignment>>,
    /// Tasks that a worker is to stop and has not confirmed
    revoking: HashMap<String, BTreeMap<TaskId, Generation>>,
    /// The workers of those tasks
    revoked: HashMap<TaskId, String>,
    workers: BTreeMap<String, Versioned<Worker>>,
    plugins: BTreeMap<(String, String), Arc<Plugin>>,
    catalogue: Arc<Catalogue>,
}

/// The mirror.
#[derive(Default)]
pub struct Mirror {
    state: RwLock<State>,
    /// Woken when something of theirs changes
    sessions: Mutex<HashMap<String, Arc<Notify>>>,
    /// Counts changes of definitions, plans, catalogue and workers; 0 until the first list has arrived
    changes: watch::Sender<u64>,
}

impl Mirror {
    /// Whether the store has been read once.
    #[must_use]
    pub fn synced(&self) -> bool {
        *self.changes.borrow() > 0
    }

    /// Follows changes.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Woken whenever the tasks of `worker`, or anything they are joined with, may have changed.
    pub(crate) fn subscribe(&self, worker: &str) -> Arc<Notify> {
        Arc::clone(self.subscriptions().entry(worker.to_owned()).or_default())
    }

    pub(crate) fn definition(&self, id: &ConnectorId) -> Option<Versioned<Definition>> {
        self.read().definitions.get(id).cloned()
    }

    pub(crate) fn plan(&self, id: &ConnectorId) -> Option<Versioned<TaskSet>> {
        self.read().plans.get(id).cloned()
    }

    pub(crate) fn definitions(&self) -> Vec<(ConnectorId, Versioned<Definition>)> {
        self.read().definitions.iter().map(|(id, definition)| (id.clone(), definition.clone())).collect()
    }

    /// A tenant's stored settings.
    #[must_use]
    pub fn tenant(&self, tenant: &str) -> Option<Arc<Tenant>> {
        self.read().tenants.get(tenant).cloned()
    }

    pub(crate) fn assignment(&self, worker: &str) -> Option<Arc<Assignment>> {
        self.read().assignments.get(worker).cloned()
    }

    /// The tasks that the worker is to stop, with their generations.
    pub(crate) fn revoking(&self, worker: &str) -> BTreeMap<TaskId, Generation> {
        self.read().revoking.get(worker).cloned().unwrap_or_default()
    }

    pub(crate) fn worker(&self, id: &str) -> Option<Versioned<Worker>> {
        self.read().workers.get(id).cloned()
    }

    /// Live workers, in the order of ids.
    #[must_use]
    pub fn workers(&self) -> Vec<Arc<Worker>> {
        self.read().workers.values().map(|worker| Arc::clone(&worker.value)).collect()
    }

    pub(crate) fn plugin(&self, class: &str, version: &str) -> Option<Arc<Plugin>> {
        self.read().plugins.get(&(class.to_owned(), version.to_owned())).cloned()
    }

    /// The connector classes that workers announced.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.read().catalogue)
    }

    /// Reads a worker's registration at once, so that what a worker announced is known before its session is answered.
    pub(crate) fn learn(&self, plugins: impl IntoIterator<Item = Plugin>) {
        let mut state = self.write();
        for plugin in plugins {
            state.plugins.insert((plugin.class.clone(), plugin.version.clone()), Arc::new(plugin));
        }
        state.catalogue = Arc::new(Catalogue::new(state.plugins.values().cloned()));
    }

    /// Keeps the mirror up to date until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, store: Arc<dyn Store>, shutdown: CancellationToken) {
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.follow(store.as_ref()) => outcome,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "cannot follow the store; sessions keep what they have");
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }

    /// One list, then changes until some may have been missed.
    async fn follow(&self, store: &dyn Store) -> Result<(), StoreError> {
        let listing = store.list(keys::ROOT).await?;
        let mut changes = store.watch(keys::ROOT, listing.revision + 1).await?;
        self.reset(listing.entries);
        while let Some(event) = changes.next().await {
            match event {
                Event::Put(entry) => self.put(&entry),
                Event::Delete { key, .. } => self.delete(&key),
                Event::Reset => return Ok(()),
            }
        }
        Ok(())
    }

    fn reset(&self, entries: Vec<Entry>) {
        let mut fresh = State::default();
        for entry in &entries {
            fresh.put(entry);
        }
        fresh.catalogue = Arc::new(Catalogue::new(fresh.plugins.values().cloned()));
        *self.write() = fresh;
        self.changes.send_modify(|changes| *changes += 1);
        self.subscriptions().values().for_each(|session| session.notify_one());
    }

    fn put(&self, entry: &Entry) {
        let affected = self.write().put(entry);
        self.tell(affected);
    }

    fn delete(&self, key: &str) {
        let affected = self.write().delete(key);
        self.tell(affected);
    }

    fn tell(&self, affected: Affected) {
        match affected {
            Affected::Nobody => return,
            Affected::Workers(workers) => {
                let sessions = self.subscriptions();
                workers.iter().filter_map(|worker| sessions.get(worker)).for_each(|session| session.notify_one());
            }
            Affected::Everybody => self.subscriptions().values().for_each(|session| session.notify_one()),
        }
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn subscriptions(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mirror").field("changes", &*self.changes.borrow()).finish_non_exhaustive()
    }
}

/// Whose tasks a change may touch.
enum Affected {
    Nobody,
    Workers(BTreeSet<String>),
    Everybody,
}

impl State {
    fn put(&mut self, entry: &Entry) -> Affected {
        match keys::parse(&entry.key) {
            Some(Key::Definition(id)) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                let affected = self.holders(&id);
                self.definitions.insert(id, Versioned { value, revision: entry.revision });
                affected
            }
            Some(Key::Plan(id)) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                let affected = self.holders(&id);
                self.plans.insert(id, Versioned { value, revision: entry.revision });
                affected
            }
            Some(Key::Tenant(tenant)) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                self.tenants.insert(tenant, value);
                Affected::Everybody
            }
            Some(Key::Assignment(worker)) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                self.assignments.insert(worker.clone(), value);
                Affected::Workers(BTreeSet::from([worker]))
            }
            Some(Key::Worker(worker)) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                self.workers.insert(worker.clone(), Versioned { value, revision: entry.revision });
                Affected::Workers(BTreeSet::from([worker]))
            }
            Some(Key::Plugin { class, version }) => {
                let Some(value) = parse(entry) else { return Affected::Nobody };
                self.plugins.insert((class, version), value);
                self.catalogue = Arc::new(Catalogue::new(self.plugins.values().cloned()));
                Affected::Workers(BTreeSet::new())
            }
            Some(Key::Placement(id)) => {
                self.placed(id, parse(entry));
                Affected::Nobody
            }
            Some(Key::Status(_) | Key::Leader) | None => Affected::Nobody,
        }
    }

    fn placed(&mut self, id: TaskId, placement: Option<Arc<Placement>>) {
        if let Some(worker) = self.revoked.remove(&id)
            && let Some(tasks) = self.revoking.get_mut(&worker)
        {
            tasks.remove(&id);
            if tasks.is_empty() {
                self.revoking.remove(&worker);
            }
        }
        let Some(placement) = placement.filter(|placement| placement.revoking) else { return };
        if let Some(worker) = &placement.worker {
            self.revoking.entry(worker.clone()).or_default().insert(id.clone(), placement.generation);
            self.revoked.insert(id, worker.clone());
        }
    }

    fn delete(&mut self, key: &str) -> Affected {
        match keys::parse(key) {
            Some(Key::Definition(id)) => {
                self.definitions.remove(&id);
                self.holders(&id)
            }
            Some(Key::Plan(id)) => {
                self.plans.remove(&id);
                self.holders(&id)
            }
            Some(Key::Tenant(tenant)) => {
                self.tenants.remove(&tenant);
                Affected::Everybody
            }
            Some(Key::Assignment(worker)) => {
                self.assignments.remove(&worker);
                Affected::Workers(BTreeSet::from([worker]))
            }
            Some(Key::Worker(worker)) => {
                self.workers.remove(&worker);
                Affected::Workers(BTreeSet::from([worker]))
            }
            Some(Key::Plugin { class, version }) => {
                self.plugins.remove(&(class, version));
                self.catalogue = Arc::new(Catalogue::new(self.plugins.values().cloned()));
                Affected::Workers(BTreeSet::new())
            }
            Some(Key::Placement(id)) => {
                self.placed(id, None);
                Affected::Nobody
            }
            Some(Key::Status(_) | Key::Leader) | None => Affected::Nobody,
        }
    }

    /// Workers that have a task of the connector.
    fn holders(&self, id: &ConnectorId) -> Affected {
        let holds = |assignment: &Assignment| assignment.tasks.iter().any(|task| task.id.connector == *id);
        let holding = self.assignments.iter().filter(|(_, assignment)| holds(assignment));
        Affected::Workers(holding.map(|(worker, _)| worker.clone()).collect())
    }
}

fn parse<T: DeserializeOwned>(entry: &Entry) -> Option<Arc<T>> {
    match serde_json::from_slice(&entry.value) {
        Ok(value) => Some(Arc::new(value)),
        Err(error) => {
            tracing::error!(key = entry.key, %error, "a stored value is unreadable and is left out");
            None
        }
    }
}
