//! The store behind the control plane: get, list, watch, commit. Three twins: [`etcd`](etcd::EtcdStore) for real
//! deployments, [`embedded`](embedded::EmbeddedStore) (a file that survives `kill -9`) for standalone, and
//! [`memory`](memory::MemoryStore) for tests. One contract suite runs against all three.
//!
//! Keys are made in [`keys`] only. etcd's limits hold for all: a value is at most 1 MiB, a transaction at most 100
//! operations.

#[cfg(test)]
mod contract;
pub mod embedded;
mod engine;
pub mod etcd;
mod etcd_watch;
mod journal;
pub mod keys;
mod limits;
pub mod memory;

use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

/// Largest value, bytes.
pub const MAX_VALUE: usize = 1024 * 1024;
/// Most operations (guards and writes together) in one commit.
pub const MAX_OPERATIONS: usize = 100;
/// Largest commit, bytes of keys and values together (etcd refuses requests of more than 1.5 MiB).
pub const MAX_COMMIT: usize = 1280 * 1024;

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key
    pub key: String,
    /// The value
    pub value: Vec<u8>,
    /// Store revision of the last change
    pub revision: i64,
    /// Store revision at which the key came to be
    pub created: i64,
}

/// The entries under a prefix, all as of one revision of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// In key order
    pub entries: Vec<Entry>,
    /// Watch from `revision + 1` to miss nothing
    pub revision: i64,
}

/// What a commit depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The key was last changed at this revision
    Revision {
        /// The key
        key: String,
        /// The revision
        revision: i64,
    },
    /// The key came to be at this revision, whatever changed since (leadership)
    Created {
        /// The key
        key: String,
        /// The revision
        revision: i64,
    },
    /// The key does not exist
    Absent {
        /// The key
        key: String,
    },
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Sets a key; with a lease the key goes when the lease does
    Put {
        /// The key
        key: String,
        /// The value
        value: Vec<u8>,
        /// The lease
        lease: Option<LeaseId>,
    },
    /// Removes a key; fine if it is not there
    Delete {
        /// The key
        key: String,
    },
    /// Removes all keys under a prefix
    DeletePrefix {
        /// The prefix
        prefix: String,
    },
}

/// Guards and writes that happen together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// All must hold
    pub guards: Vec<Guard>,
    /// Then all are done
    pub writes: Vec<Write>,
}

/// A lease: keys bound to it go when it is not kept alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LeaseId(pub i64);

/// A change seen by a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was set
    Put(Entry),
    /// A key is gone
    Delete {
        /// The key
        key: String,
        /// When
        revision: i64,
    },
    /// Changes may have been missed (compaction, reconnection beyond history): list again
    Reset,
}

/// What a store says when it does not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A guard did not hold; nothing was written
    #[error("the store changed meanwhile")]
    Conflict,
    /// The store does not answer; a commit may or may not have happened
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// Value or transaction over the limits
    #[error("too large for the store: {0}")]
    TooLarge(String),
    /// The lease is gone
    #[error("the lease has expired")]
    LeaseExpired,
    /// Anything else
    #[error("the store failed: {0}")]
    Internal(String),
}

/// A store. Reads are linearizable: a read after an acknowledged commit sees it, on every replica.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// One key.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError>;
    /// All keys under a prefix, as of one revision.
    async fn list(&self, prefix: &str) -> Result<Listing, StoreError>;
    /// Changes under a prefix from `from_revision` on, in order, for as long as the stream is held. The stream reconnects
    /// by itself and never ends by itself; [`Event::Reset`] says that something may have been missed.
    async fn watch(&self, prefix: &str, from_revision: i64) -> Result<BoxStream<'static, Event>, StoreError>;
    /// Does all writes if all guards hold; answers the new revision. A commit writes no key twice.
    async fn commit(&self, commit: Commit) -> Result<i64, StoreError>;
    /// A lease that ends `ttl` after the last [`Store::keep_alive`].
    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError>;
    /// Prolongs a lease by its whole time to live.
    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError>;
    /// Ends a lease now, and the keys bound to it; fine if it has ended.
    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError>;
}
