//! A session's life in the store: a lease that is kept alive only while reports arrive, and the worker's entry bound to it.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Worker;
use crate::store::keys;
use crate::store::{Commit, LeaseId, Store, StoreError, Write};

/// What a session has in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) lease: LeaseId,
    /// Store revision at which the worker's entry was written
    pub(crate) written: i64,
}

/// Keeps the lease alive; a new one, with the worker's entry written anew, where there is none or it has expired.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    worker: Arc<Worker>,
    held: Option<Held>,
    ttl: Duration,
    patience: Duration,
) -> Result<Held, StoreError> {
    let work = async {
        if let Some(held) = held {
            match store.keep_alive(held.lease).await {
                Ok(()) => return Ok(held),
                Err(StoreError::LeaseExpired) => {}
                Err(error) => return Err(error),
            }
        }
        let lease = store.grant(ttl).await?;
        let value = serde_json::to_vec(worker.as_ref()).map_err(|error| StoreError::Internal(error.to_string()))?;
        let write = Write::Put { key: keys::worker(&worker.id), value, lease: Some(lease) };
        let written = store.commit(Commit { guards: Vec::new(), writes: vec![write] }).await?;
        Ok(Held { lease, written })
    };
    tokio::time::timeout(patience, work)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())))
}
