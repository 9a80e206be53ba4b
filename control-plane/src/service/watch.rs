//! Following connectors: what is there now, then every change of definition or state.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::BoxStream;

use super::view::{ConnectorView, StatusView};
use super::{Service, ServiceError};
use crate::model::ConnectorId;
use crate::store::keys::{self, Key};
use crate::store::{Event, StoreError};

/// Something to tell a watcher.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// As it is now
    Now(Box<(ConnectorView, StatusView)>),
    /// It is gone
    Gone(ConnectorId),
}

/// One watcher's position.
pub struct Watcher {
    service: Service,
    tenant: String,
    /// Only this connector
    only: Option<String>,
    events: BoxStream<'static, Event>,
    told: BTreeMap<ConnectorId, (ConnectorView, StatusView)>,
    ready: Vec<Seen>,
}

impl Service {
    /// Starts watching a tenant's connectors, or one of them.
    ///
    /// # Errors
    /// No such tenant or connector, or the store.
    pub async fn watch(&self, tenant: &str, only: Option<&str>) -> Result<Watcher, ServiceError> {
        self.tenant(tenant).await?;
        if let Some(name) = only {
            self.facts(&ConnectorId { tenant: tenant.to_owned(), connector: name.to_owned() }).await?;
        }
        let prefix = match only {
            Some(name) => keys::connector(&ConnectorId { tenant: tenant.to_owned(), connector: name.to_owned() }),
            None => keys::connectors(tenant),
        };
        let revision = self.store().list(&prefix).await?.revision;
        let events = self.store().watch(&prefix, revision + 1).await?;
        let mut watcher = Watcher {
            service: self.clone(),
            tenant: tenant.to_owned(),
            only: only.map(str::to_owned),
            events,
            told: BTreeMap::new(),
            ready: Vec::new(),
        };
        watcher.look_at_all().await?;
        Ok(watcher)
    }
}

impl Watcher {
    /// The next thing to tell; waits for it.
    ///
    /// # Errors
    /// The store, or something stored that cannot be read.
    pub async fn next(&mut self) -> Result<Seen, ServiceError> {
        loop {
            if let Some(seen) = self.ready.pop() {
                return Ok(seen);
            }
            match self.events.next().await {
                Some(Event::Reset) => self.look_at_all().await?,
                Some(Event::Put(entry)) => self.look_at(&entry.key).await?,
                Some(Event::Delete { key, .. }) => self.look_at(&key).await?,
                None => return Err(StoreError::Unavailable("the watch ended".to_owned()).into()),
            }
        }
    }

    async fn look_at_all(&mut self) -> Result<(), ServiceError> {
        let mut all = self.service.all_facts(&self.tenant).await?;
        all.retain(|facts| self.only.as_ref().is_none_or(|only| *only == facts.id.connector));
        let gone: Vec<ConnectorId> =
            self.told.keys().filter(|id| !all.iter().any(|facts| facts.id == **id)).cloned().collect();
        for id in gone {
            self.told.remove(&id);
            self.ready.insert(0, Seen::Gone(id));
        }
        for facts in &all {
            self.tell((self.service.connector_view(facts)?, self.service.status_view(facts)));
        }
        Ok(())
    }

    async fn look_at(&mut self, key: &str) -> Result<(), ServiceError> {
        let id = match keys::parse(key) {
            Some(Key::Definition(id) | Key::Plan(id)) => id,
            Some(Key::Placement(task) | Key::Status(task)) => task.connector,
            _ => return Ok(()),
        };
        match self.service.facts(&id).await {
            Ok(facts) => self.tell((self.service.connector_view(&facts)?, self.service.status_view(&facts))),
            Err(ServiceError::NoConnector(_)) => {
                if self.told.remove(&id).is_some() {
                    self.ready.insert(0, Seen::Gone(id));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn tell(&mut self, now: (ConnectorView, StatusView)) {
        let id = now.0.id.clone();
        if self.told.get(&id) != Some(&now) {
            self.told.insert(id, now.clone());
            self.ready.insert(0, Seen::Now(Box::new(now)));
        }
    }
}
