//! A store in memory that can be away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream::BoxStream;
use millrace_control_plane::store::memory::MemoryStore;
use millrace_control_plane::store::{Commit, Entry, Event, LeaseId, Listing, Store, StoreError};

#[derive(Default)]
pub(crate) struct Flaky {
    store: MemoryStore,
    away: AtomicBool,
}

impl Flaky {
    /// Takes it away, or brings it back.
    pub(crate) fn away(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    fn here(&self) -> Result<&MemoryStore, StoreError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        Ok(&self.store)
    }
}

#[async_trait::async_trait]
impl Store for Flaky {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.here()?.get(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        self.here()?.list(prefix).await
    }

    async fn watch(&self, prefix: &str, from_revision: i64) -> Result<BoxStream<'static, Event>, StoreError> {
        self.here()?.watch(prefix, from_revision).await
    }

    async fn commit(&self, commit: Commit) -> Result<i64, StoreError> {
        self.here()?.commit(commit).await
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        self.here()?.grant(ttl).await
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?.keep_alive(lease).await
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.here()?.revoke(lease).await
    }
}
