//! Leadership among the replicas of the control plane: whoever makes the key [`keys::LEADER`], bound to a lease, leads
//! until the lease ends. The revision at which the key was made is the [`Epoch`]; a commit guarded by it cannot happen
//! once somebody else leads, whatever the old leader believes.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::model::Epoch;
use crate::store::{Commit, Event, Guard, LeaseId, Store, StoreError, Write, keys};

/// The right to reconcile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Its number; later leaders have larger ones
    pub epoch: Epoch,
    /// Who leads: this replica
    pub replica: String,
}

impl Leadership {
    /// Holds as long as nobody else leads. For every commit of a reconciler.
    #[must_use]
    pub fn guard(&self) -> Guard {
        Guard::Created { key: keys::LEADER.to_owned(), revision: self.epoch.0 }
    }
}

/// A replica's part in the election; ends when dropped.
pub struct Election {
    leadership: watch::Receiver<Option<Leadership>>,
    task: JoinHandle<()>,
}

impl Election {
    /// Takes part from now on: leads when it can, tries again when it has lost. On shutdown leadership is given up at
    /// once, so that another replica need not wait for the lease.
    #[must_use]
    pub fn run(store: Arc<dyn Store>, replica: String, ttl: Duration, shutdown: CancellationToken) -> Self {
        let (sender, leadership) = watch::channel(None);
        let candidate = Candidate { store, replica, ttl, sender, shutdown };
        Self { leadership, task: tokio::spawn(candidate.run()) }
    }

    /// Some while this replica leads.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Option<Leadership>> {
        self.leadership.clone()
    }

    /// Until shutdown is done.
    pub async fn wait(mut self) {
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::error!("the election ended by a panic; this replica leads no more");
        }
    }
}

impl Drop for Election {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Candidate {
    store: Arc<dyn Store>,
    replica: String,
    ttl: Duration,
    sender: watch::Sender<Option<Leadership>>,
    shutdown: CancellationToken,
}

impl Candidate {
    async fn run(self) {
        while !self.shutdown.is_cancelled() {
            match self.campaign().await {
                Ok(Some((lease, leadership, until))) => {
                    tracing::info!(replica = self.replica, epoch = leadership.epoch.0, "this replica leads");
                    self.sender.send_replace(Some(leadership.clone()));
                    let why = self.lead(lease, leadership.epoch, until).await;
                    self.sender.send_replace(None);
                    self.resign(lease).await;
                    if !self.shutdown.is_cancelled() {
                        tracing::warn!(replica = self.replica, why, "this replica has lost leadership");
                    }
                }
                Ok(None) => self.wait_for_vacancy().await,
                Err(error) => {
                    tracing::debug!(%error, "no election without the store");
                    self.pause(self.ttl / 6).await;
                }
            }
        }
    }

    /// None when somebody else leads.
    async fn campaign(&self) -> Result<Option<(LeaseId, Leadership, Instant)>, StoreError> {
        if self.store.get(keys::LEADER).await?.is_some() {
            return Ok(None);
        }
        let asked = Instant::now();
        let lease = self.store.grant(self.ttl).await?;
        let commit = Commit {
            guards: vec![Guard::Absent { key: keys::LEADER.to_owned() }],
            writes: vec![Write::Put {
                key: keys::LEADER.to_owned(),
                value: self.replica.clone().into_bytes(),
                lease: Some(lease),
            }],
        };
        match self.store.commit(commit).await {
            Ok(revision) => {
                let leadership = Leadership { epoch: Epoch(revision), replica: self.replica.clone() };
                Ok(Some((lease, leadership, asked + self.ttl)))
            }
            Err(error) => {
                // Perhaps it happened: without the lease the key goes, now or when the lease ends.
                self.resign(lease).await;
                if matches!(error, StoreError::Conflict) { Ok(None) } else { Err(error) }
            }
        }
    }

    /// Leads until it no longer may; answers why.
    async fn lead(&self, lease: LeaseId, epoch: Epoch, mut until: Instant) -> &'static str {
        loop {
            if self.pause(self.ttl / 4).await {
                return "shutdown";
            }
            let asked = Instant::now();
            match timeout(until.saturating_duration_since(asked), self.confirm(lease, epoch)).await {
                Ok(Ok(true)) => until = asked + self.ttl,
                Ok(Ok(false)) => return "the leader's key is another's",
                Ok(Err(StoreError::LeaseExpired)) => return "the lease has expired",
                Ok(Err(error)) => tracing::warn!(%error, "leadership could not be prolonged yet"),
                Err(_) => {}
            }
            if Instant::now() >= until {
                return "the store did not answer for the time of a lease";
            }
        }
    }

    async fn confirm(&self, lease: LeaseId, epoch: Epoch) -> Result<bool, StoreError> {
        self.store.keep_alive(lease).await?;
        Ok(self.store.get(keys::LEADER).await?.is_some_and(|entry| entry.created == epoch.0))
    }

    async fn resign(&self, lease: LeaseId) {
        if let Err(error) = self.store.revoke(lease).await {
            tracing::debug!(%error, "the leader's lease could not be ended; it ends by itself");
        }
    }

    /// Until the leader's key goes, and no longer than a lease: then it is worth a look in any case.
    async fn wait_for_vacancy(&self) {
        let gone = async {
            let Ok(listing) = self.store.list(keys::LEADER).await else { return self.pause(self.ttl / 6).await };
            if listing.entries.is_empty() {
                return false;
            }
            let Ok(mut events) = self.store.watch(keys::LEADER, listing.revision + 1).await else {
                return self.pause(self.ttl / 6).await;
            };
            while let Some(event) = events.next().await {
                if matches!(event, Event::Delete { .. } | Event::Reset) {
                    break;
                }
            }
            false
        };
        tokio::select! {
            _ = timeout(self.ttl, gone) => {}
            () = self.shutdown.cancelled() => {}
        }
    }

    /// True at shutdown.
    async fn pause(&self, duration: Duration) -> bool {
        tokio::select! {
            () = sleep(duration) => false,
            () = self.shutdown.cancelled() => true,
        }
    }
}
