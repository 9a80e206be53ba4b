//! The store in memory, for tests and simulations: the engine without a journal.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::engine::Engine;
use super::{Commit, Entry, Event, LeaseId, Listing, Store, StoreError};

/// A store that ends with the process.
pub struct MemoryStore {
    engine: Arc<Engine>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { engine: Engine::new(1, Vec::new(), None) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        Ok(self.engine.get(key))
    }

    async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        Ok(self.engine.list(prefix))
    }

    async fn watch(&self, prefix: &str, from_revision: i64) -> Result<BoxStream<'static, Event>, StoreError> {
        Ok(self.engine.watch(prefix, from_revision))
    }

    async fn commit(&self, commit: Commit) -> Result<i64, StoreError> {
        self.engine.commit(&commit)
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        Ok(self.engine.grant(ttl))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.engine.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.engine.revoke(lease);
        Ok(())
    }
}
