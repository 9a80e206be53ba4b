//! The listener for metrics and health, on every server process: `/metrics` (Prometheus text), `/health` (the process
//! lives), `/ready` (it can do its work).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;
use crate::telemetry::Telemetry;

/// Whether the process can do its work; shared with whoever knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready(Arc<AtomicBool>);

impl Ready {
    pub(super) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }
}

/// A running listener.
pub(super) struct Admin {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Admin {
    /// Listens.
    pub(super) async fn start(
        address: SocketAddr,
        registry: Registry,
        ready: Ready,
        shutdown: CancellationToken,
    ) -> Result<Self, Failure> {
        let wrong = |error: std::io::Error| {
            Failure::new(format!("cannot listen on {address} for metrics and health: {error}"))
                .hint("choose another address with --metrics-listen, or port 0 for a free one")
        };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .with_state(registry)
            .route("/health", get(|| async { "ok\n" }))
            .route("/ready", get(move || ready_answer(ready.clone())));
        let task = tokio::spawn(async move {
            let served = axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "the metrics listener has ended");
            }
        });
        Ok(Self { address, task })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it, whoever is still connected.
    pub(super) fn stop(self) {
        self.task.abort();
    }
}

async fn metrics(State(registry): State<Registry>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], Telemetry::prometheus_text(&registry))
}

async fn ready_answer(ready: Ready) -> impl IntoResponse {
    if ready.0.load(Ordering::Relaxed) {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
    }
}
