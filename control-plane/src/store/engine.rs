//! The engine that the memory and the embedded twin share: keys with revisions, a bounded history for watches, leases.
//!
//! A commit is decided, then recorded by the journal if there is one, then made visible. Leases end by themselves: every
//! access, and every waiting watch, first removes what has expired; there is no background task.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::journal::Journal;
use super::limits::check_limits;
use super::{Commit, Entry, Event, Guard, LeaseId, Listing, StoreError, Write};

/// Events kept for watches that are behind.
const HISTORY: usize = 10_000;

/// What a commit comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Put {
        entry: Entry,
        lease: Option<i64>,
    },
    /// Of a key that exists
    Delete {
        key: String,
    },
}

impl Change {
    fn key(&self) -> &str {
        match self {
            Self::Put { entry, .. } => &entry.key,
            Self::Delete { key } => key,
        }
    }
}

struct Stored {
    value: Vec<u8>,
    revision: i64,
    created: i64,
    lease: Option<i64>,
}

struct Lease {
    ttl: Duration,
    deadline: Instant,
    keys: BTreeSet<String>,
}

struct State {
    revision: i64,
    entries: BTreeMap<String, Stored>,
    /// With their revisions, oldest first
    history: VecDeque<(i64, Event)>,
    /// Nothing at or below this revision is in `history`
    floor: i64,
    leases: HashMap<i64, Lease>,
    last_lease: i64,
    /// A commit has been decided and is being recorded: nothing else may change meanwhile
    recording: bool,
}

/// See the module.
pub(super) struct Engine {
    state: Mutex<State>,
    /// Held for the whole of a commit, so that commits follow each other
    journal: Mutex<Option<Journal>>,
    /// Bumped when waiting watches should look again
    changed: watch::Sender<u64>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine {
    /// Starts at `revision` with these entries, none of them leased.
    pub(super) fn new(revision: i64, entries: Vec<Entry>, journal: Option<Journal>) -> Arc<Self> {
        let entries = entries
            .into_iter()
            .map(|e| (e.key, Stored { value: e.value, revision: e.revision, created: e.created, lease: None }))
            .collect();
        let state = State {
            revision,
            entries,
            history: VecDeque::new(),
            floor: revision,
            leases: HashMap::new(),
            last_lease: 0,
            recording: false,
        };
        Arc::new(Self { state: Mutex::new(state), journal: Mutex::new(journal), changed: watch::Sender::new(0) })
    }

    /// The state with everything removed whose lease has ended.
    fn current(&self) -> MutexGuard<'_, State> {
        let mut state = locked(&self.state);
        if state.expire(Instant::now()) {
            self.wake();
        }
        state
    }

    fn wake(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        let state = self.current();
        state.entries.get(key).map(|stored| stored.entry(key))
    }

    pub(super) fn list(&self, prefix: &str) -> Listing {
        let state = self.current();
        let entries = under(&state.entries, prefix).map(|(key, stored)| stored.entry(key)).collect();
        Listing { entries, revision: state.revision }
    }

    /// Whole, in the calling thread; with a journal it waits for the disk.
    pub(super) fn commit(&self, commit: &Commit) -> Result<i64, StoreError> {
        check_limits(commit)?;
        let mut journal = locked(&self.journal);
        let Some(journal) = journal.as_mut() else {
            let mut state = self.current();
            state.holds(commit)?;
            let changes = state.changes(commit);
            return Ok(self.publish(&mut state, changes));
        };
        let (changes, revision) = {
            let mut state = self.current();
            state.holds(commit)?;
            let changes = state.changes(commit);
            if changes.is_empty() {
                return Ok(state.revision);
            }
            state.recording = true;
            (changes, state.revision + 1)
        };
        let recorded = journal.record(revision, &changes);
        let mut state = locked(&self.state);
        state.recording = false;
        self.wake();
        recorded.map_err(StoreError::Unavailable)?;
        let revision = self.publish(&mut state, changes);
        if journal.wants_compaction() {
            let live: Vec<Entry> =
                state.entries.iter().filter(|(_, s)| s.lease.is_none()).map(|(key, s)| s.entry(key)).collect();
            drop(state);
            if let Err(error) = journal.compact(revision, &live) {
                tracing::warn!(error, "the store file could not be compacted; it goes on growing");
            }
        }
        Ok(revision)
    }

    fn publish(&self, state: &mut State, changes: Vec<Change>) -> i64 {
        if !changes.is_empty() {
            state.apply(changes);
            self.wake();
        }
        state.revision
    }

    pub(super) fn grant(&self, ttl: Duration) -> LeaseId {
        let mut state = self.current();
        state.last_lease += 1;
        let id = state.last_lease;
        state.leases.insert(id, Lease { ttl, deadline: Instant::now() + ttl, keys: BTreeSet::new() });
        self.wake();
        LeaseId(id)
    }

    pub(super) fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        let mut state = self.current();
        let lease = state.leases.get_mut(&lease.0).ok_or(StoreError::LeaseExpired)?;
        lease.deadline = Instant::now() + lease.ttl;
        Ok(())
    }

    /// With a journal it may wait for the disk.
    pub(super) fn revoke(&self, lease: LeaseId) {
        // No commit is being recorded while this is held, so that the lease really ends now.
        let _journal = locked(&self.journal);
        let mut state = self.current();
        if let Some(lease) = state.leases.get_mut(&lease.0) {
            lease.deadline = Instant::now();
        }
        state.expire(Instant::now());
        self.wake();
    }

    pub(super) fn watch(self: &Arc<Self>, prefix: &str, from_revision: i64) -> BoxStream<'static, Event> {
        let next = if from_revision > 0 { from_revision } else { self.current().revision + 1 };
        let cursor = Cursor {
            engine: Arc::clone(self),
            changed: self.changed.subscribe(),
            prefix: prefix.to_owned(),
            next,
            ready: VecDeque::new(),
        };
        Box::pin(futures::stream::unfold(cursor, |mut cursor| async move {
            let event = cursor.next().await;
            Some((event, cursor))
        }))
    }
}

impl Stored {
    fn entry(&self, key: &str) -> Entry {
        Entry { key: key.to_owned(), value: self.value.clone(), revision: self.revision, created: self.created }
    }
}

fn under<'a>(entries: &'a BTreeMap<String, Stored>, prefix: &'a str) -> impl Iterator<Item = (&'a String, &'a Stored)> {
    entries.range(prefix.to_owned()..).take_while(move |(key, _)| key.starts_with(prefix))
}

impl State {
    /// Ends the leases that are over; true if anything changed.
    fn expire(&mut self, now: Instant) -> bool {
        if self.recording {
            return false;
        }
        let mut over: Vec<i64> = self.leases.iter().filter(|(_, l)| l.deadline <= now).map(|(id, _)| *id).collect();
        over.sort_unstable();
        for id in &over {
            let Some(lease) = self.leases.remove(id) else { continue };
            if !lease.keys.is_empty() {
                self.apply(lease.keys.into_iter().map(|key| Change::Delete { key }).collect());
            }
        }
        !over.is_empty()
    }

    fn holds(&self, commit: &Commit) -> Result<(), StoreError> {
        for guard in &commit.guards {
            let holds = match guard {
                Guard::Revision { key, revision } => self.entries.get(key).is_some_and(|s| s.revision == *revision),
                Guard::Created { key, revision } => self.entries.get(key).is_some_and(|s| s.created == *revision),
                Guard::Absent { key } => !self.entries.contains_key(key),
            };
            if !holds {
                return Err(StoreError::Conflict);
            }
        }
        let leases = commit.writes.iter().filter_map(|write| match write {
            Write::Put { lease, .. } => *lease,
            _ => None,
        });
        for lease in leases {
            if !self.leases.contains_key(&lease.0) {
                return Err(StoreError::LeaseExpired);
            }
        }
        Ok(())
    }

    /// What the writes come to. No key is written twice: [`check_limits`] has seen to it.
    fn changes(&self, commit: &Commit) -> Vec<Change> {
        let revision = self.revision + 1;
        let mut changes = Vec::new();
        let mut gone = BTreeSet::new();
        for write in &commit.writes {
            match write {
                Write::Put { key, value, lease } => {
                    let created = self.entries.get(key).map_or(revision, |stored| stored.created);
                    let entry = Entry { key: key.clone(), value: value.clone(), revision, created };
                    changes.push(Change::Put { entry, lease: lease.map(|lease| lease.0) });
                }
                Write::Delete { key } => {
                    if self.entries.contains_key(key) && gone.insert(key) {
                        changes.push(Change::Delete { key: key.clone() });
                    }
                }
                Write::DeletePrefix { prefix } => {
                    for (key, _) in under(&self.entries, prefix) {
                        if gone.insert(key) {
                            changes.push(Change::Delete { key: key.clone() });
                        }
                    }
                }
            }
        }
        changes
    }

    /// Makes the changes, as one revision.
    fn apply(&mut self, changes: Vec<Change>) {
        self.revision += 1;
        let revision = self.revision;
        for change in changes {
            let key = change.key().to_owned();
            if let Some(old) = self.entries.remove(&key)
                && let Some(lease) = old.lease.and_then(|id| self.leases.get_mut(&id))
            {
                lease.keys.remove(&key);
            }
            let event = match change {
                Change::Put { entry, lease } => {
                    if let Some(lease) = lease.and_then(|id| self.leases.get_mut(&id)) {
                        lease.keys.insert(key.clone());
                    }
                    let value = entry.value.clone();
                    self.entries.insert(key, Stored { value, revision, created: entry.created, lease });
                    Event::Put(entry)
                }
                Change::Delete { key } => Event::Delete { key, revision },
            };
            self.history.push_back((revision, event));
        }
        while self.history.len() > HISTORY {
            if let Some((dropped, _)) = self.history.pop_front() {
                self.floor = dropped;
            }
        }
    }
}

/// Where a watch is in the history.
struct Cursor {
    engine: Arc<Engine>,
    changed: watch::Receiver<u64>,
    prefix: String,
    /// First revision not yet given
    next: i64,
    ready: VecDeque<Event>,
}

impl Cursor {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return event;
            }
            self.changed.mark_unchanged();
            let deadline = self.advance();
            if !self.ready.is_empty() {
                continue;
            }
            // Cancel-safe: neither branch consumes anything.
            tokio::select! {
                _ = self.changed.changed() => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Takes what is new out of the history; answers when the next lease ends.
    fn advance(&mut self) -> Option<Instant> {
        let state = self.engine.current();
        if self.next <= state.floor {
            self.ready.push_back(Event::Reset);
            self.next = state.revision + 1;
        } else if self.next <= state.revision {
            let start = state.history.partition_point(|(revision, _)| *revision < self.next);
            for (_, event) in state.history.range(start..) {
                let key = match event {
                    Event::Put(entry) => &entry.key,
                    Event::Delete { key, .. } => key,
                    Event::Reset => continue,
                };
                if key.starts_with(&self.prefix) {
                    self.ready.push_back(event.clone());
                }
            }
            self.next = state.revision + 1;
        }
        if state.recording {
            // Leases end when it is done; its end wakes us.
            return None;
        }
        state.leases.values().filter(|lease| !lease.keys.is_empty()).map(|lease| lease.deadline).min()
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
