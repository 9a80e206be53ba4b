//! The worker's listener for whoever watches it: `/health` (the process lives), `/ready` (it has a session, and so can be
//! given work), `/metrics` (Prometheus text, made elsewhere).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What `/metrics` answers.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// How the worker is.
#[derive(Debug, Clone)]
pub struct Health {
    worker_id: Arc<str>,
    connected: watch::Receiver<bool>,
}

impl Health {
    pub(crate) fn new(worker_id: String, connected: watch::Receiver<bool>) -> Self {
        Self { worker_id: worker_id.into(), connected }
    }
}

/// The routes.
pub fn router(health: Health, metrics: MetricsText) -> Router {
    let text = move || async move {
        ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics()).into_response()
    };
    Router::new()
        .route("/health", get(alive))
        .route("/ready", get(ready))
        .with_state(health)
        .route("/metrics", get(text))
}

async fn alive(State(health): State<Health>) -> Response {
    Json(serde_json::json!({ "status": "ok", "worker_id": *health.worker_id })).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let connected = *health.connected.borrow();
    let (code, status) =
        if connected { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "no session") };
    (code, Json(serde_json::json!({ "status": status, "worker_id": *health.worker_id }))).into_response()
}

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let serve = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    if let Err(error) = serve.await {
        tracing::error!(%error, "the listener for health and metrics failed");
    }
}
