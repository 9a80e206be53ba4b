//! A worker: the session with the control plane, the loop that makes the running tasks the assigned ones, and the listener
//! for health and metrics. [`Worker::start`] is the whole of its interface.

pub(crate) mod board;
mod config;
mod diff;
mod run;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use millrace_sdk::ConnectorKind;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use config::WorkerConfig;

use crate::admin::{self, Health, MetricsText};
use crate::catalog::Catalog;
use crate::kafka::Producers;
use crate::lease::LeaseState;
use crate::metrics::Metrics;
use crate::model::{Assignment, TaskSpec};
use crate::session::{ConnectError, Identity, Links, Session, SessionTransport};
use crate::task::{TaskEnvironment, TaskHandle};
use board::Board;
use run::{Hands, Launch, Launched, Loop};

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener for health and metrics
    #[error("cannot listen on {address} for health and metrics")]
    Listen {
        /// As configured
        address: SocketAddr,
        /// What happened
        source: std::io::Error,
    },
    /// The way to the control plane
    #[error(transparent)]
    Transport(#[from] ConnectError),
}

/// A running worker. Dropping it ends all its tasks at once; cancel its token and [`Worker::wait`] instead.
#[derive(Debug)]
pub struct Worker {
    id: String,
    address: String,
    bound: Option<SocketAddr>,
    run: JoinHandle<()>,
}

impl Worker {
    /// Starts a worker. It connects by itself, now or whenever the control plane is there, and drains when `shutdown` is
    /// cancelled. `metrics_text` is what `/metrics` answers.
    ///
    /// # Errors
    /// See [`StartError`]; a control plane that is away is none.
    pub async fn start(
        config: WorkerConfig,
        transport: SessionTransport,
        metrics_text: MetricsText,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        transport.check()?;
        let catalog = Arc::new(Catalog::standard(&config.file_access()));
        Self::start_with(config, transport, metrics_text, catalog, shutdown).await
    }

    /// As [`Worker::start`], with other connectors than the standard ones.
    ///
    /// # Errors
    /// As [`Worker::start`].
    pub async fn start_with(
        config: WorkerConfig,
        transport: SessionTransport,
        metrics_text: MetricsText,
        catalog: Arc<Catalog>,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        crate::native::give_back_memory_soon();
        let listener = match config.listen {
            None => None,
            Some(address) => {
                let bound = tokio::net::TcpListener::bind(address).await;
                Some(bound.map_err(|source| StartError::Listen { address, source })?)
            }
        };
        let bound = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let host = hostname::get().ok().and_then(|host| host.into_string().ok()).unwrap_or_else(|| "worker".to_owned());
        let (id, address) = config.identity(bound, &host);
        let identity = Identity {
            worker_id: id.clone(),
            incarnation: uuid::Uuid::new_v4().to_string(),
            address: address.clone(),
            labels: config.labels.clone(),
            capacity: config.capacity,
        };
        tracing::info!(worker = %id, incarnation = %identity.incarnation, %address, "starting worker");
        let parts = Parts::assemble(&config, identity, transport, catalog);
        let admin = listener.map(|listener| (listener, admin::router(parts.health.clone(), metrics_text)));
        let run = tokio::spawn(parts.run(admin, shutdown));
        Ok(Self { id, address, bound, run })
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The `host:port` it is shown under.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where health and metrics are served.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.bound
    }

    /// Waits until the worker has drained after its token was cancelled.
    pub async fn wait(&mut self) {
        if let Err(error) = (&mut self.run).await
            && error.is_panic()
        {
            tracing::error!(worker = %self.id, "the worker's loop panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// Everything of a worker before it runs.
struct Parts {
    session: Session,
    work: Loop,
    health: Health,
}

impl Parts {
    fn assemble(config: &WorkerConfig, identity: Identity, transport: SessionTransport, catalog: Arc<Catalog>) -> Self {
        let metrics = Metrics::global();
        let board = Arc::new(Board::default());
        let (assignment, assigned) = watch::channel(Assignment::default());
        let (lease, lease_seen) = watch::channel(LeaseState::Headless);
        let (applied, applied_seen) = watch::channel(0);
        let (connected, connection_seen) = watch::channel(false);
        let (statuses, statuses_seen) = mpsc::unbounded_channel();
        let environment = Arc::new(TaskEnvironment {
            catalog: Arc::clone(&catalog),
            metrics: Arc::clone(&metrics),
            statuses,
            lease: lease_seen.clone(),
            worker_id: identity.address.clone(),
            producers: Arc::new(Producers::default()),
            stop_timeout: config.stop_timeout(),
        });
        let hands = Hands {
            launch: Box::new(Tasks(environment)),
            assignment: assigned,
            lease: lease_seen,
            statuses: statuses_seen,
            applied,
            board: Arc::clone(&board),
            metrics: Arc::clone(&metrics),
        };
        let links = Links { assignment, lease, applied: applied_seen, board, connected };
        let health = Health::new(identity.worker_id.clone(), connection_seen);
        Self { session: Session::new(identity, transport, catalog, metrics, links), work: Loop::new(hands), health }
    }

    async fn run(self, admin: Option<(tokio::net::TcpListener, axum::Router)>, shutdown: CancellationToken) {
        // The session and the listener outlive the tasks: the ends of tasks are reported, and a drain can be watched.
        let drained = CancellationToken::new();
        let work = async {
            self.work.run(shutdown).await;
            drained.cancel();
        };
        let listener = async {
            if let Some((listener, router)) = admin {
                admin::serve(listener, router, drained.clone()).await;
            }
        };
        tokio::join!(work, self.session.run(drained.clone()), listener);
        tracing::info!("worker has stopped");
    }
}

/// The real tasks.
struct Tasks(Arc<TaskEnvironment>);

impl Launch for Tasks {
    fn launch(&self, spec: Arc<TaskSpec>) -> Arc<dyn Launched> {
        Arc::new(TaskHandle::start(spec, Arc::clone(&self.0)))
    }

    fn needs_lease(&self, spec: &TaskSpec) -> bool {
        let exactly_once = || self.0.catalog.runs_exactly_once(&spec.class, &spec.config, &spec.tenant_settings);
        spec.kind == ConnectorKind::Source && !exactly_once().unwrap_or(false)
    }
}

#[async_trait]
impl Launched for TaskHandle {
    fn set_paused(&self, paused: bool) {
        Self::set_paused(self, paused);
    }

    async fn stop(&self) {
        Self::stop(self).await;
    }
}
