//! What a plan comes to: changes of single keys in an order in which any beginning of them is safe, and their commits.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::store::{Commit, Guard, MAX_COMMIT, MAX_OPERATIONS, Write};

/// A key set or deleted, if it is still as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key
    pub key: String,
    /// None deletes it
    pub value: Option<Vec<u8>>,
    /// At which it was read; None if it was not there
    pub revision: Option<i64>,
    /// What else it depends on
    pub given: Vec<Guard>,
}

impl Change {
    /// Sets a key to a value as JSON.
    pub fn put<T: Serialize>(key: String, value: &T, revision: Option<i64>) -> Self {
        // Our models are plain data with string keys: JSON can hold all of them.
        let value = serde_json::to_vec(value).unwrap_or_default();
        Self { key, value: Some(value), revision, given: Vec::new() }
    }

    /// Deletes a key that was there.
    #[must_use]
    pub fn delete(key: String, revision: i64) -> Self {
        Self { key, value: None, revision: Some(revision), given: Vec::new() }
    }

    /// With a condition.
    #[must_use]
    pub fn given(mut self, guard: Guard) -> Self {
        self.given.push(guard);
        self
    }

    fn guards(&self) -> impl Iterator<Item = Guard> {
        let key = self.key.clone();
        let own = match self.revision {
            Some(revision) => Guard::Revision { key, revision },
            None => Guard::Absent { key },
        };
        std::iter::once(own).chain(self.given.iter().cloned())
    }
}

/// What is to be done, and when to look again if nothing changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order
    pub changes: Vec<Change>,
    /// Milliseconds since the epoch
    pub due_ms: Option<i64>,
}

impl Plan {
    /// As commits within the store's limits, each guarded by leadership and by what was read.
    #[must_use]
    pub fn commits(&self, leadership: &Guard) -> Vec<Commit> {
        let mut commits = Vec::new();
        let mut commit = Batch::new(leadership);
        for change in &self.changes {
            let fresh: Vec<Guard> = change.guards().filter(|guard| !commit.known.contains(&key_of(guard))).collect();
            let bytes = change.key.len() + change.value.as_ref().map_or(0, Vec::len) + fresh.len() * 256;
            let full = commit.operations() + fresh.len() + 1 > MAX_OPERATIONS || commit.bytes + bytes > MAX_COMMIT;
            if full && !commit.commit.writes.is_empty() {
                commits.push(std::mem::replace(&mut commit, Batch::new(leadership)).commit);
            }
            commit.push(change, bytes);
        }
        if !commit.commit.writes.is_empty() {
            commits.push(commit.commit);
        }
        commits
    }
}

struct Batch {
    commit: Commit,
    known: BTreeSet<String>,
    bytes: usize,
}

impl Batch {
    fn new(leadership: &Guard) -> Self {
        let commit = Commit { guards: vec![leadership.clone()], writes: Vec::new() };
        Self { commit, known: BTreeSet::from([key_of(leadership)]), bytes: 0 }
    }

    fn operations(&self) -> usize {
        self.commit.guards.len() + self.commit.writes.len()
    }

    fn push(&mut self, change: &Change, bytes: usize) {
        for guard in change.guards() {
            if self.known.insert(key_of(&guard)) {
                self.commit.guards.push(guard);
            }
        }
        self.bytes += bytes;
        let key = change.key.clone();
        self.commit.writes.push(match &change.value {
            Some(value) => Write::Put { key, value: value.clone(), lease: None },
            None => Write::Delete { key },
        });
    }
}

/// Within a plan all guards on one key say the same: what the snapshot had.
fn key_of(guard: &Guard) -> String {
    let (Guard::Revision { key, .. } | Guard::Created { key, .. } | Guard::Absent { key }) = guard;
    key.clone()
}
