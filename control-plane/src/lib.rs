//! The control plane: definitions in a store, one elected reconciler, worker sessions, and the two APIs. It never touches a
//! record and links no driver; connectors are catalogue data that workers announce.

pub mod auth;
pub mod config;
pub mod election;
pub mod model;
pub mod reconcile;
pub mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

pub use crate::config::{ConfigError, ControlPlaneConfig, Times};
use crate::store::Store;

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
}

impl ControlPlane {
    /// Opens the listeners, joins the election, and serves until `shutdown`.
    ///
    /// # Errors
    /// Settings that cannot work, or an address that cannot be bound. A store that does not answer is no error: it is
    /// waited for.
    pub async fn start(
        config: ControlPlaneConfig,
        _store: Arc<dyn Store>,
        _shutdown: CancellationToken,
    ) -> Result<Self, StartError> {
        config.check()?;
        let (local, _incoming) = mpsc::channel(16);
        Ok(Self { grpc: None, sessions: None, rest: None, local, tasks: JoinSet::new() })
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

    /// Waits until everything has ended, which it does after `shutdown`.
    pub async fn wait(mut self) {
        drop(self.local);
        while self.tasks.join_next().await.is_some() {}
    }
}
