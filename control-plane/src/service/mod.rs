//! The use-cases that both APIs call: everything that a user may do to a connector, as functions over the store. Reads go
//! to the store itself, so that a read after a write sees it on every replica.

pub mod catalogue;
mod connectors;
pub mod error;
pub mod secrets;
mod validate;
pub mod view;
pub mod watch;

use std::sync::Arc;
use std::time::Instant;

pub use connectors::{Change, Restart, Written};
pub use error::ServiceError;
use millrace_sdk::Flat;
use serde::de::DeserializeOwned;

use self::view::Facts;
use crate::auth::seal::Sealer;
use crate::config::{ControlPlaneConfig, valid_tenant};
use crate::dispatch::{Mirror, Shared};
use crate::metrics::Metrics;
use crate::model::{ConnectorId, DEFAULT_TENANT};
use crate::store::keys::{self, Key};
use crate::store::{Entry, Store};

/// The use-cases.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    /// host:port of this replica's API
    replica: String,
    since: Instant,
}

impl Service {
    /// Over what the sessions of this replica share; `replica` is host:port of its API.
    pub(crate) fn new(shared: &Arc<Shared>, replica: String) -> Self {
        Self { inner: Arc::new(Inner { shared: Arc::clone(shared), replica, since: Instant::now() }) }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.inner.shared.store.as_ref()
    }

    pub(crate) fn mirror(&self) -> &Mirror {
        &self.inner.shared.mirror
    }

    /// Shortly after the start, waits for the configuration's class to be announced, or for a first worker without it: in a process
    /// of its own a control plane listens some milliseconds before its worker has registered, and a request of then is none
    /// to refuse. Workers that run elsewhere are back within a lease.
    pub(crate) async fn announced(&self, config: &Flat) {
        let class = config.get("connector.class").map_or("", String::as_str);
        let until = self.inner.since + self.inner.shared.config.times.worker_lease();
        let (mirror, mut changes) = (self.mirror(), self.mirror().changes());
        let announced = async {
            // Its classes come one by one, and the worker itself after them.
            while mirror.catalogue().find(class).is_none() && mirror.workers().is_empty() {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        // Without one it is said that none has registered yet.
        let _ = tokio::time::timeout_at(until.into(), announced).await;
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.shared.metrics
    }

    pub(crate) fn config(&self) -> &ControlPlaneConfig {
        &self.inner.shared.config
    }

    /// Whether the tenant exists: the default one always, others by configuration or in the store.
    ///
    /// # Errors
    /// No such tenant, or the store.
    pub async fn tenant(&self, tenant: &str) -> Result<(), ServiceError> {
        if tenant == DEFAULT_TENANT || self.inner.shared.config.tenants.contains_key(tenant) {
            return Ok(());
        }
        if valid_tenant(tenant) && self.store().get(&keys::tenant(tenant)).await?.is_some() {
            return Ok(());
        }
        Err(ServiceError::NoTenant(tenant.to_owned()))
    }

    /// A tenant's settings, secrets in clear.
    pub(crate) fn settings(&self, tenant: &str) -> Result<Flat, ServiceError> {
        Ok(tenant_settings(&self.inner.shared.config, &self.inner.shared.mirror, &self.inner.shared.sealer, tenant)?)
    }

    /// A connector's configuration in clear.
    pub(crate) fn open(&self, id: &ConnectorId, config: &Flat) -> Result<Flat, ServiceError> {
        Ok(self.inner.shared.sealer.open_config(id, config)?)
    }

    /// All that is stored of a connector.
    pub(crate) async fn facts(&self, id: &ConnectorId) -> Result<Facts, ServiceError> {
        let listing = self.store().list(&keys::connector(id)).await?;
        collect(listing.entries)?.pop().ok_or_else(|| ServiceError::NoConnector(id.clone()))
    }

    /// All that is stored of a tenant's connectors, in the order of names.
    pub(crate) async fn all_facts(&self, tenant: &str) -> Result<Vec<Facts>, ServiceError> {
        collect(self.store().list(&keys::connectors(tenant)).await?.entries)
    }
}

/// The tenant's settings: those of the store over the configured ones.
pub(crate) fn tenant_settings(
    config: &ControlPlaneConfig,
    mirror: &Mirror,
    sealer: &Sealer,
    tenant: &str,
) -> Result<Flat, crate::auth::seal::SealError> {
    let mut settings = config.tenants.get(tenant).cloned().unwrap_or_default();
    if let Some(stored) = mirror.tenant(tenant) {
        settings.extend(sealer.open_settings(tenant, &stored.settings)?);
    }
    Ok(settings)
}

/// Entries to facts. A connector without definition (it is being taken down) is left out.
fn collect(entries: Vec<Entry>) -> Result<Vec<Facts>, ServiceError> {
    let mut by_id = std::collections::BTreeMap::<ConnectorId, (Option<Facts>, Vec<(Key, Entry)>)>::new();
    for entry in entries {
        let Some(key) = keys::parse(&entry.key) else { continue };
        match key {
            Key::Definition(id) => {
                let facts = Facts {
                    id: id.clone(),
                    definition: decode(&entry)?,
                    revision: entry.revision,
                    plan: None,
                    placements: Default::default(),
                    statuses: Default::default(),
                };
                by_id.entry(id).or_default().0 = Some(facts);
            }
            Key::Plan(ref id) => by_id.entry(id.clone()).or_default().1.push((key, entry)),
            Key::Placement(ref task) | Key::Status(ref task) => {
                by_id.entry(task.connector.clone()).or_default().1.push((key, entry));
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    for (facts, others) in by_id.into_values() {
        let Some(mut facts) = facts else { continue };
        for (key, entry) in others {
            match key {
                Key::Plan(_) => facts.plan = Some(decode(&entry)?),
                Key::Placement(task) => drop(facts.placements.insert(task.index, decode(&entry)?)),
                Key::Status(task) => drop(facts.statuses.insert(task.index, decode(&entry)?)),
                _ => {}
            }
        }
        all.push(facts);
    }
    Ok(all)
}

/// A stored value.
pub(crate) fn decode<T: DeserializeOwned>(entry: &Entry) -> Result<T, ServiceError> {
    serde_json::from_slice(&entry.value).map_err(|error| {
        tracing::error!(key = entry.key, %error, "a stored value is unreadable");
        ServiceError::Unreadable(entry.key.clone())
    })
}

/// A value to store.
pub(crate) fn encode<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, ServiceError> {
    serde_json::to_vec(value).map_err(|error| ServiceError::Unreadable(error.to_string()))
}
