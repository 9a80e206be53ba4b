//! The gRPC API, package `millrace.v1`: one file per noun. Reflection and health are on.

mod connectors;
mod errors;
mod names;
mod plugins;
mod workers;

use std::time::Duration;

use millrace_proto::v1::connector_service_server::ConnectorServiceServer;
use millrace_proto::v1::plugin_service_server::PluginServiceServer;
use millrace_proto::v1::worker_service_server::WorkerServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Status};

use crate::auth::Token;
use crate::service::Service;

/// Serves until `shutdown`.
pub(crate) async fn serve(service: Service, listener: TcpListener, shutdown: CancellationToken) {
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(millrace_proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1();
    let reflection = match reflection {
        Ok(reflection) => Some(reflection),
        Err(error) => {
            tracing::error!(%error, "no gRPC reflection");
            None
        }
    };
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<ConnectorServiceServer<connectors::Connectors>>().await;
    health.set_serving::<PluginServiceServer<plugins::Plugins>>().await;
    health.set_serving::<WorkerServiceServer<workers::Workers>>().await;
    let token = Token::new(service.config().api_token.as_ref());
    let guard = move |request: Request<()>| {
        let shown = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        if token.admits(shown) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("a bearer token is needed in the metadata entry \"authorization\""))
        }
    };
    let connectors = connectors::Connectors { service: service.clone(), shutdown: shutdown.clone() };
    let served = Server::builder()
        .trace_fn(|request| tracing::info_span!("grpc", otel.name = request.uri().path(), otel.kind = "server"))
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .add_service(health_service)
        .add_optional_service(reflection)
        .add_service(ConnectorServiceServer::with_interceptor(connectors, guard.clone()))
        .add_service(PluginServiceServer::with_interceptor(
            plugins::Plugins { service: service.clone() },
            guard.clone(),
        ))
        .add_service(WorkerServiceServer::with_interceptor(workers::Workers { service }, guard))
        .serve_with_incoming_shutdown(crate::tcp(listener), shutdown.cancelled_owned())
        .await;
    crate::report("the gRPC API", served);
}
