//! The store in one file, for standalone: the engine with a journal. An acknowledged commit survives `kill -9` and a power
//! cut; leases do not survive, nor do the keys bound to them. One process at a time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::engine::Engine;
use super::journal::Journal;
use super::{Commit, Entry, Event, LeaseId, Listing, Store, StoreError};

/// A revision is never given twice, although what a lease's end did is not recorded: each opening starts this much later.
const REVISIONS_BETWEEN_OPENINGS: i64 = 1 << 20;

/// A store that ends with the file.
pub struct EmbeddedStore {
    engine: Arc<Engine>,
}

impl EmbeddedStore {
    /// Opens the file, or makes it (mode 0600). Beside it lie `<path>.lock`, held while the store is open, and for a moment
    /// `<path>.new` while the file is being compacted. Blocks for as long as reading takes.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (journal, recovered) = Journal::open(path).map_err(StoreError::Unavailable)?;
        let revision = recovered.revision.map_or(1, |last| last + REVISIONS_BETWEEN_OPENINGS);
        Ok(Self { engine: Engine::new(revision, recovered.entries, Some(journal)) })
    }

    /// The disk is waited for where waiting is allowed, and to the end, even if the caller does not.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let engine = Arc::clone(&self.engine);
        tokio::task::spawn_blocking(move || work(&engine))
            .await
            .map_err(|error| StoreError::Internal(format!("the store's work was cut off: {error}")))
    }
}

#[async_trait]
impl Store for EmbeddedStore {
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
        self.blocking(move |engine| engine.commit(&commit)).await?
    }

    async fn grant(&self, ttl: Duration) -> Result<LeaseId, StoreError> {
        Ok(self.engine.grant(ttl))
    }

    async fn keep_alive(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.engine.keep_alive(lease)
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        self.blocking(move |engine| engine.revoke(lease)).await
    }
}
