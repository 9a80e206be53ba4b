//! The control plane: definitions in a store, one elected reconciler, worker sessions, and the two APIs. It never touches a
//! record and links no driver; connectors are catalogue data that workers announce.

mod api;
pub mod auth;
pub mod config;
pub mod dispatch;
pub mod election;
pub mod metrics;
pub mod model;
pub mod reconcile;
mod rest;
pub mod service;
pub mod store;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use hyper_util::rt::TokioIo;
use millrace_proto::internal::v1::worker_session_service_server::WorkerSessionServiceServer;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status};

use crate::auth::Token;
use crate::auth::seal::Sealer;
pub use crate::config::{ConfigError, ControlPlaneConfig, Times};
use crate::dispatch::{Mirror, SessionServer, Sessions, Shared, StatusWriter};
use crate::election::Election;
use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::Store;

/// How long ending may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a control plane does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings that cannot work
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A listener that cannot be opened
    #[error("cannot listen on {address} for {what}: {source}")]
    Listen {
        /// What for
        what: &'static str,
        /// Where
        address: SocketAddr,
        /// Why not
        source: std::io::Error,
    },
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    grpc: Option<SocketAddr>,
    sessions: Option<SocketAddr>,
    rest: Option<SocketAddr>,
    local: mpsc::Sender<DuplexStream>,
    tasks: JoinSet<()>,
    mirror: Arc<Mirror>,
    shutdown: CancellationToken,
}

impl ControlPlane {
    /// Opens the listeners, joins the election, and serves until `shutdown`.
    ///
    /// # Errors
    /// Settings that cannot work, or an address that cannot be bound. A store that does not answer is no error: it is
    /// waited for.
    pub async fn start(
        config: ControlPlaneConfig,
        store: Arc<dyn Store>,
        shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        config.check()?;
        let sealer = Arc::new(Sealer::from_config(&config)?);
        let grpc = listen("the gRPC API", config.grpc_listen).await?;
        let session_listener = listen("worker sessions", config.sessions_listen).await?;
        let rest = listen("the REST API", config.rest_listen).await?;
        let address = |listener: &Option<(TcpListener, SocketAddr)>| listener.as_ref().map(|(_, address)| *address);
        let (grpc_address, sessions_address, rest_address) =
            (address(&grpc), address(&session_listener), address(&rest));
        let replica = rest_address.or(grpc_address).map(|address| address.to_string()).unwrap_or_default();
        let mut tasks = JoinSet::new();
        let shared = foundations(&mut tasks, &config, store, sealer, &shutdown);
        let (local, incoming) = mpsc::channel(16);
        serve_sessions(&mut tasks, &shared, session_listener, incoming, &shutdown);
        let service = Service::new(&shared, replica);
        if let Some((listener, _)) = grpc {
            tasks.spawn(api::serve(service.clone(), listener, shutdown.clone()));
        }
        if let Some((listener, _)) = rest {
            tasks.spawn(rest::serve(service, listener, shutdown.clone()));
        }
        let mirror = Arc::clone(&shared.mirror);
        Ok(Self { grpc: grpc_address, sessions: sessions_address, rest: rest_address, local, tasks, mirror, shutdown })
    }

    /// Whether the store has been read once: until then APIs answer, but nothing is sent to workers.
    #[must_use]
    pub fn ready(&self) -> bool {
        self.mirror.synced()
    }

    /// Where the gRPC API listens.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Where worker sessions are taken.
    #[must_use]
    pub fn sessions_address(&self) -> Option<SocketAddr> {
        self.sessions
    }

    /// Where the REST API listens.
    #[must_use]
    pub fn rest_address(&self) -> Option<SocketAddr> {
        self.rest
    }

    /// A channel for a worker in this process: the same service as on the sessions listener, without a socket or a token.
    #[must_use]
    pub fn local_session_channel(&self) -> Channel {
        let incoming = self.local.clone();
        let connect = tower::service_fn(move |_| {
            let incoming = incoming.clone();
            async move {
                let (ours, theirs) = tokio::io::duplex(256 * 1024);
                incoming
                    .send(theirs)
                    .await
                    .map_err(|_| std::io::Error::other("the control plane of this process has stopped"))?;
                Ok::<_, std::io::Error>(TokioIo::new(ours))
            }
        });
        Endpoint::from_static("http://local").connect_with_connector_lazy(connect)
    }

    /// Waits until everything has ended: after `shutdown`, and not much later.
    pub async fn wait(mut self) {
        drop(self.local);
        self.shutdown.cancelled().await;
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, ended).await.is_err() {
            tracing::warn!("some connections did not close in time and are cut");
        }
    }
}

/// What runs whatever listeners are open: the mirror, the election, the reconciler, the planner, the status writer.
fn foundations(
    tasks: &mut JoinSet<()>,
    config: &ControlPlaneConfig,
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    shutdown: &CancellationToken,
) -> Arc<Shared> {
    let mirror = Arc::new(Mirror::default());
    let (statuses, queue) = StatusWriter::new();
    let shared = Arc::new(Shared {
        store: Arc::clone(&store),
        sealer,
        mirror: Arc::clone(&mirror),
        sessions: Arc::new(Sessions::default()),
        statuses,
        metrics: Arc::new(Metrics::new()),
        config: config.clone(),
    });
    let replica = config.replica_id.clone().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let lease = config.times.store_lease();
    let election = Election::run(Arc::clone(&store), replica, lease, shutdown.clone());
    let times = reconcile::Times { worker_grace: lease, ..reconcile::Times::default() };
    tasks.spawn(reconcile::run(Arc::clone(&store), election.leadership(), times, shutdown.clone()));
    tasks.spawn(election.wait());
    tasks.spawn(mirror.run(Arc::clone(&store), shutdown.clone()));
    tasks.spawn(dispatch::run_census(Arc::clone(&shared), shutdown.clone()));
    tasks.spawn(dispatch::run_planner(Arc::clone(&shared), shutdown.clone()));
    tasks.spawn(dispatch::run_statuses(store, queue, Arc::clone(&shared.metrics), shutdown.clone()));
    shared
}

/// The sessions listener with its token, and the way in for a worker in this process.
fn serve_sessions(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    listener: Option<(TcpListener, SocketAddr)>,
    local: mpsc::Receiver<DuplexStream>,
    shutdown: &CancellationToken,
) {
    let sessions = TaskTracker::new();
    let server = SessionServer { shared: Arc::clone(shared), tasks: sessions.clone(), shutdown: shutdown.clone() };
    let ended = shutdown.clone();
    let service = WorkerSessionServiceServer::new(server.clone());
    let incoming = ReceiverStream::new(local).map(Ok::<_, std::io::Error>);
    tasks.spawn(async move {
        let served = Server::builder().add_service(service);
        let served = served.serve_with_incoming_shutdown(incoming, ended.cancelled_owned()).await;
        report("local worker sessions", served);
    });
    if let Some((listener, _)) = listener {
        let token = Token::new(shared.config.worker_token.as_ref());
        let guard = move |request: Request<()>| {
            let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
            if token.admits(shown) {
                Ok(request)
            } else {
                Err(Status::unauthenticated("the worker token is missing or wrong"))
            }
        };
        let service = WorkerSessionServiceServer::with_interceptor(server, guard);
        let ended = shutdown.clone();
        tasks.spawn(async move {
            let served = Server::builder()
                .http2_keepalive_interval(Some(Duration::from_secs(10)))
                .http2_keepalive_timeout(Some(Duration::from_secs(10)))
                .add_service(service)
                .serve_with_incoming_shutdown(tcp(listener), ended.cancelled_owned())
                .await;
            report("worker sessions", served);
        });
    }
    let ended = shutdown.clone();
    tasks.spawn(async move {
        ended.cancelled().await;
        sessions.close();
        sessions.wait().await;
    });
}

async fn listen(
    what: &'static str,
    address: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(address) = address else { return Ok(None) };
    let fail = |source| StartError::Listen { what, address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    Ok(Some((listener, bound)))
}

pub(crate) fn tcp(listener: TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

pub(crate) fn report(what: &str, served: Result<(), tonic::transport::Error>) {
    if let Err(error) = served {
        tracing::error!(%error, "{what} ended");
    }
}
