//! Creating, reading, changing and deleting connectors.

use std::collections::{BTreeMap, BTreeSet};

use millrace_sdk::{Findings, Flat};

use super::error::sentence;
use super::view::{self, ConnectorView, Facts, State, StatusView, Surroundings};
use super::{Service, ServiceError, catalogue, encode, secrets};
use crate::model::{ConnectorId, Definition, Plugin, RestartScope, TargetState};
use crate::store::keys;
use crate::store::{Commit, Guard, StoreError, Write};
use crate::wire::now_ms;

/// How often a change is tried again when others change the same connector.
const ATTEMPTS: usize = 8;

/// A change of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// This is all of it
    Replace(Flat),
    /// These keys change; None removes one
    Patch(BTreeMap<String, Option<String>>),
}

/// What is to be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The tasks too
    pub include_tasks: bool,
    /// Only what has failed
    pub only_failed: bool,
}

/// The outcome of a write.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// As it is now
    pub connector: ConnectorView,
    /// It is new
    pub created: bool,
    /// Remarks
    pub warnings: Vec<String>,
}

impl Service {
    /// Creates a connector; only validates it when `dry`.
    ///
    /// # Errors
    /// The name is taken, the configuration is refused, or the store.
    pub async fn create(
        &self,
        id: &ConnectorId,
        config: Flat,
        target: TargetState,
        dry: bool,
    ) -> Result<Written, ServiceError> {
        self.tenant(&id.tenant).await?;
        self.announced(&config).await;
        let (plugin, mut config) = self.prepare(id, config, None)?;
        config.insert("name".to_owned(), id.connector.clone());
        let findings = self.judged(id, &plugin, &config).await?;
        let now = now_ms();
        // A connector created again under an old name must not look like the old one to anybody: versions start at the
        // time of creation, not at 1.
        let definition = self.definition(id, &plugin, &config, &findings, target, now, now)?;
        let mut facts = Facts {
            id: id.clone(),
            definition,
            revision: 0,
            plan: None,
            placements: BTreeMap::new(),
            statuses: BTreeMap::new(),
        };
        let taken = self.store().get(&keys::definition(id)).await?.is_some();
        if taken {
            return Err(ServiceError::Exists(id.clone()));
        }
        if !dry {
            let write = put(id, &facts.definition)?;
            let guards = vec![Guard::Absent { key: keys::definition(id) }];
            facts.revision = match self.store().commit(Commit { guards, writes: vec![write] }).await {
                Err(StoreError::Conflict) => return Err(ServiceError::Exists(id.clone())),
                other => other?,
            };
            tracing::info!(connector = %id, class = facts.definition.class(), "connector created");
        }
        let warnings = facts.definition.warnings.clone();
        Ok(Written { connector: self.connector_view(&facts)?, created: true, warnings })
    }

    /// A connector.
    ///
    /// # Errors
    /// None of that name, or the store.
    pub async fn get(&self, id: &ConnectorId) -> Result<ConnectorView, ServiceError> {
        self.connector_view(&self.facts(id).await?)
    }

    /// All connectors of a tenant with their states, in the order of names.
    ///
    /// # Errors
    /// No such tenant, or the store.
    pub async fn list(&self, tenant: &str) -> Result<Vec<(ConnectorView, StatusView)>, ServiceError> {
        self.tenant(tenant).await?;
        let all = self.all_facts(tenant).await?;
        all.iter().map(|facts| Ok((self.connector_view(facts)?, self.status_view(facts)))).collect()
    }

    /// A connector's state.
    ///
    /// # Errors
    /// None of that name, or the store.
    pub async fn status(&self, id: &ConnectorId) -> Result<StatusView, ServiceError> {
        Ok(self.status_view(&self.facts(id).await?))
    }

    /// Changes a configuration; creates the connector when it is missing and that is allowed.
    ///
    /// # Errors
    /// None of that name, a stale etag, a refused configuration, or the store.
    pub async fn update(
        &self,
        id: &ConnectorId,
        change: Change,
        etag: Option<&str>,
        allow_missing: bool,
    ) -> Result<Written, ServiceError> {
        self.tenant(&id.tenant).await?;
        for _ in 0..ATTEMPTS {
            let facts = match (self.facts(id).await, &change) {
                (Err(ServiceError::NoConnector(_)), Change::Replace(config)) if allow_missing => {
                    match self.create(id, config.clone(), TargetState::Running, false).await {
                        // Somebody was faster: then it is a change.
                        Err(ServiceError::Exists(_)) => continue,
                        other => return other,
                    }
                }
                (facts, _) => facts?,
            };
            if etag.is_some_and(|etag| !etag.is_empty() && etag != facts.revision.to_string()) {
                return Err(ServiceError::Stale(id.clone()));
            }
            match self.apply(&facts, &change).await {
                Err(ServiceError::Store(StoreError::Conflict)) => {}
                other => return other,
            }
        }
        Err(ServiceError::Busy(id.clone()))
    }

    async fn apply(&self, facts: &Facts, change: &Change) -> Result<Written, ServiceError> {
        let id = &facts.id;
        let old = self.open(id, &facts.definition.config)?;
        let wanted = match change {
            Change::Replace(config) => config.clone(),
            Change::Patch(changes) => {
                let mut config = old.clone();
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(config.insert(key.clone(), value.clone())),
                        None => drop(config.remove(key)),
                    }
                }
                config
            }
        };
        self.announced(&wanted).await;
        let (plugin, mut config) = self.prepare(id, wanted, Some(&old))?;
        config.insert("name".to_owned(), id.connector.clone());
        let findings = self.judged(id, &plugin, &config).await?;
        let before = &facts.definition;
        let version = if config == old { before.version } else { before.version + 1 };
        let mut definition =
            self.definition(id, &plugin, &config, &findings, before.target, version, before.created_ms)?;
        if version == before.version {
            definition.config.clone_from(&before.config);
        }
        definition.restarts.clone_from(&before.restarts);
        let mut facts = facts.clone();
        let warnings = definition.warnings.clone();
        facts.revision = self.replace(&facts, &definition).await?;
        facts.definition = definition;
        tracing::info!(connector = %id, version, "connector configured");
        Ok(Written { connector: self.connector_view(&facts)?, created: false, warnings })
    }

    /// Deletes a connector. Its tasks end soon after.
    ///
    /// # Errors
    /// None of that name, a stale etag, or the store.
    pub async fn delete(&self, id: &ConnectorId, etag: Option<&str>) -> Result<(), ServiceError> {
        for _ in 0..ATTEMPTS {
            let key = keys::definition(id);
            let entry = self.store().get(&key).await?.ok_or_else(|| ServiceError::NoConnector(id.clone()))?;
            if etag.is_some_and(|etag| !etag.is_empty() && etag != entry.revision.to_string()) {
                return Err(ServiceError::Stale(id.clone()));
            }
            let guards = vec![Guard::Revision { key: key.clone(), revision: entry.revision }];
            match self.store().commit(Commit { guards, writes: vec![Write::Delete { key }] }).await {
                Err(StoreError::Conflict) => {}
                other => {
                    other?;
                    tracing::info!(connector = %id, "connector deleted");
                    return Ok(());
                }
            }
        }
        Err(ServiceError::Busy(id.clone()))
    }

    /// Pauses, resumes or stops a connector.
    ///
    /// # Errors
    /// None of that name, or the store.
    pub async fn set_target(&self, id: &ConnectorId, target: TargetState) -> Result<(), ServiceError> {
        let change = |_: &Facts, definition: &mut Definition| {
            definition.target = target;
            Ok(())
        };
        self.modify(id, change).await.map(drop)
    }

    /// Restarts a connector; answers its state with what restarts shown as RESTARTING.
    ///
    /// # Errors
    /// None of that name, or the store.
    pub async fn restart(&self, id: &ConnectorId, what: Restart) -> Result<StatusView, ServiceError> {
        let change = |facts: &Facts, definition: &mut Definition| {
            let status = self.status_view(facts);
            let wanted = |state| !what.only_failed || state == State::Failed;
            if wanted(status.state) {
                *definition.restarts.entry(RestartScope::Connector).or_default() += 1;
            }
            for task in status.tasks.iter().filter(|task| what.include_tasks && wanted(task.state)) {
                *definition.restarts.entry(RestartScope::Task(task.index)).or_default() += 1;
            }
            Ok(())
        };
        let facts = self.modify(id, change).await?;
        Ok(self.status_view(&facts))
    }

    /// Restarts one task.
    ///
    /// # Errors
    /// No such connector or task, or the store.
    pub async fn restart_task(&self, id: &ConnectorId, index: u32) -> Result<(), ServiceError> {
        let change = |facts: &Facts, definition: &mut Definition| {
            let planned = facts.plan.as_ref().map_or(0, |plan| plan.tasks.len());
            if usize::try_from(index).map_or(true, |index| index >= planned) {
                return Err(ServiceError::NoTask { id: id.clone(), index });
            }
            *definition.restarts.entry(RestartScope::Task(index)).or_default() += 1;
            Ok(())
        };
        self.modify(id, change).await.map(drop)
    }

    /// Reads, changes and writes a definition, again when somebody else came between.
    async fn modify(
        &self,
        id: &ConnectorId,
        change: impl Fn(&Facts, &mut Definition) -> Result<(), ServiceError> + Send + Sync,
    ) -> Result<Facts, ServiceError> {
        for _ in 0..ATTEMPTS {
            let mut facts = self.facts(id).await?;
            let mut definition = facts.definition.clone();
            change(&facts, &mut definition)?;
            if definition == facts.definition {
                return Ok(facts);
            }
            definition.updated_ms = now_ms();
            match self.replace(&facts, &definition).await {
                Err(ServiceError::Store(StoreError::Conflict)) => {}
                other => {
                    facts.revision = other?;
                    facts.definition = definition;
                    return Ok(facts);
                }
            }
        }
        Err(ServiceError::Busy(id.clone()))
    }

    async fn replace(&self, facts: &Facts, definition: &Definition) -> Result<i64, ServiceError> {
        let guards = vec![Guard::Revision { key: keys::definition(&facts.id), revision: facts.revision }];
        let writes = vec![put(&facts.id, definition)?];
        Ok(self.store().commit(Commit { guards, writes }).await?)
    }

    #[allow(clippy::too_many_arguments)] // the fields of one record
    fn definition(
        &self,
        id: &ConnectorId,
        plugin: &Plugin,
        config: &Flat,
        findings: &Findings,
        target: TargetState,
        version: i64,
        created_ms: i64,
    ) -> Result<Definition, ServiceError> {
        let secret = |key: &str, value: &str| secrets::needs_sealing(Some(&plugin.config), key, value);
        Ok(Definition {
            config: self.inner.shared.sealer.seal_config(id, config, secret)?,
            target,
            version,
            restarts: BTreeMap::new(),
            created_ms,
            updated_ms: now_ms(),
            warnings: findings.warnings.iter().map(sentence).collect(),
        })
    }

    /// A connector as it is answered: secrets masked.
    pub(crate) fn connector_view(&self, facts: &Facts) -> Result<ConnectorView, ServiceError> {
        let plugin = self.mirror().catalogue().find(facts.definition.class()).cloned();
        let config = self.open(&facts.id, &facts.definition.config)?;
        let def = plugin.as_ref().map(|plugin| &plugin.config);
        let plan = facts.plan.as_ref();
        let stopped = facts.definition.target == TargetState::Stopped;
        Ok(ConnectorView {
            id: facts.id.clone(),
            config: secrets::masked(def, &config),
            target: facts.definition.target,
            kind: plugin.as_ref().map(|plugin| plugin.kind).or(plan.map(|plan| plan.kind)),
            tasks: plan.filter(|_| !stopped).map(|plan| plan.tasks.clone()).unwrap_or_default(),
            etag: facts.revision.to_string(),
            created_ms: facts.definition.created_ms,
            updated_ms: facts.definition.updated_ms,
        })
    }

    /// A connector's state as it is answered.
    pub(crate) fn status_view(&self, facts: &Facts) -> StatusView {
        let plugin = self.mirror().catalogue().find(facts.definition.class()).cloned();
        let workers = self.mirror().workers();
        let around = Surroundings {
            workers: workers.iter().map(|worker| (worker.id.as_str(), worker.as_ref())).collect(),
            kind: plugin.as_ref().map(|plugin| plugin.kind),
            version: plugin.as_ref().map(|plugin| plugin.version.clone()).unwrap_or_default(),
            names: plugin.as_ref().map_or_else(BTreeSet::new, |plugin| catalogue::names(plugin)),
            replica: &self.inner.replica,
        };
        view::status(facts, &around)
    }
}

fn put(id: &ConnectorId, definition: &Definition) -> Result<Write, ServiceError> {
    Ok(Write::Put { key: keys::definition(id), value: encode(definition)?, lease: None })
}
