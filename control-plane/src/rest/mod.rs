//! Kafka Connect's REST API: its paths, bodies, status codes and error shape, for the default tenant; under
//! `/tenants/{tenant}` for any. Extensions to it are none.

mod connectors;
mod error;
mod plugins;
mod request;
mod shapes;

use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Router, middleware};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use self::error::RestError;
use crate::auth::Token;
use crate::service::Service;

/// Serves until `shutdown`.
pub(crate) async fn serve(service: Service, listener: TcpListener, shutdown: CancellationToken) {
    let served = axum::serve(listener, router(service)).with_graceful_shutdown(shutdown.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the REST API ended");
    }
}

fn router(service: Service) -> Router {
    let token = Token::new(service.config().api_token.as_ref());
    // `/` and `/health` of a tenant would say nothing that `/` does not.
    Router::new()
        .route("/", get(plugins::root))
        .route("/health", get(plugins::health))
        .merge(connect_paths(""))
        .merge(connect_paths("/tenants/{tenant}"))
        .fallback(|| async { RestError::not_found("HTTP 404 Not Found") })
        .method_not_allowed_fallback(|| async {
            RestError::new(StatusCode::METHOD_NOT_ALLOWED, "HTTP 405 Method Not Allowed")
        })
        .layer(middleware::from_fn_with_state((service.clone(), token), around))
        .with_state(service)
}

fn connect_paths(prefix: &str) -> Router<Service> {
    let paths = [
        ("/connectors", get(connectors::list).post(connectors::create)),
        ("/connectors/{connector}", get(connectors::get).delete(connectors::delete)),
        (
            "/connectors/{connector}/config",
            get(connectors::config).put(connectors::put_config).patch(connectors::patch_config),
        ),
        ("/connectors/{connector}/status", get(connectors::status)),
        ("/connectors/{connector}/tasks", get(connectors::tasks)),
        ("/connectors/{connector}/tasks/{task}/status", get(connectors::task_status)),
        ("/connectors/{connector}/tasks/{task}/restart", post(connectors::restart_task)),
        ("/connectors/{connector}/restart", post(connectors::restart)),
        ("/connectors/{connector}/pause", put(connectors::pause)),
        ("/connectors/{connector}/resume", put(connectors::resume)),
        ("/connectors/{connector}/stop", put(connectors::stop)),
        ("/connector-plugins", get(plugins::list)),
        ("/connector-plugins/{plugin}/config", get(plugins::config)),
        ("/connector-plugins/{plugin}/config/validate", put(plugins::validate)),
    ];
    paths.into_iter().fold(Router::new(), |router, (path, methods)| {
        // Connect takes a path with or without a slash at its end.
        router.route(&format!("{prefix}{path}"), methods.clone()).route(&format!("{prefix}{path}/"), methods)
    })
}

/// Around every request: the token, the content type, the metrics.
async fn around(State((service, token)): State<(Service, Token)>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let operation = format!("{} {}", request.method(), request::operation(request.uri().path()));
    let response = if let Some(refusal) = refusal(&token, request.headers()) {
        refusal.into_response()
    } else {
        let span = tracing::info_span!("rest", otel.name = %operation, otel.kind = "server");
        next.run(request).instrument(span).await
    };
    service.metrics().request("rest", &operation, response.status().as_str().to_owned(), began.elapsed());
    response
}

fn refusal(token: &Token, headers: &HeaderMap) -> Option<RestError> {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    if !token.admits(text(header::AUTHORIZATION)) {
        return Some(RestError::new(
            StatusCode::UNAUTHORIZED,
            "User cannot access the resource: a bearer token is needed",
        ));
    }
    let has_body = text(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
        || headers.contains_key(header::TRANSFER_ENCODING);
    let json = text(header::CONTENT_TYPE)
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if (has_body || headers.contains_key(header::CONTENT_TYPE)) && !json {
        return Some(RestError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP 415 Unsupported Media Type"));
    }
    None
}
