//! A receiver of OTLP in the test: metrics, traces and logs arrive from the process, and a receiver that is away disturbs
//! nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::{Request, Response, Status};

use crate::harness::{READY_WITHIN, Standalone};

#[derive(Debug, Default)]
struct Received {
    services: BTreeSet<String>,
    metrics: BTreeSet<String>,
    spans: BTreeSet<String>,
    logs: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Received>>);

impl Receiver {
    fn note(&self, resource: Option<Resource>, note: impl FnOnce(&mut Received)) {
        let mut received = self.0.lock().expect("no panic while held");
        for attribute in resource.into_iter().flat_map(|resource| resource.attributes) {
            if attribute.key == "service.name"
                && let Some(Value::StringValue(name)) = attribute.value.and_then(|value| value.value)
            {
                received.services.insert(name);
            }
        }
        note(&mut received);
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        for resource in request.into_inner().resource_metrics {
            let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.note(resource.resource, |received| received.metrics.extend(metrics.map(|metric| metric.name)));
        }
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.note(resource.resource, |received| received.spans.extend(spans.map(|span| span.name)));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        for resource in request.into_inner().resource_logs {
            let records = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            let texts = records.filter_map(|record| match record.body?.value? {
                Value::StringValue(text) => Some(text),
                _ => None,
            });
            self.note(resource.resource, |received| received.logs.extend(texts));
        }
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_traces_and_logs_arrive() {
    let receiver = Receiver::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tonic::transport::Server::builder()
        .add_service(MetricsServiceServer::new(receiver.clone()))
        .add_service(TraceServiceServer::new(receiver.clone()))
        .add_service(LogsServiceServer::new(receiver.clone()))
        .serve_with_incoming(incoming);
    let server = tokio::spawn(server);

    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start(directory.path(), &["--otlp-endpoint", &endpoint, "--otlp-interval", "1"]);
    reqwest::get(&standalone.rest).await.expect("an answer");
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let missing = {
            let received = receiver.0.lock().expect("no panic while held");
            let mut missing = Vec::new();
            for (what, there) in [
                ("the service's name", received.services.contains("millrace-standalone")),
                ("millrace.build.info", received.metrics.contains("millrace.build.info")),
                ("process.memory.usage", received.metrics.contains("process.memory.usage")),
                ("a span", !received.spans.is_empty()),
                ("a log line", received.logs.contains("millrace standalone is ready")),
            ] {
                if !there {
                    missing.push(what);
                }
            }
            missing
        };
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < until, "missing: {missing:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    standalone.signal("TERM");
    assert!(standalone.wait(Duration::from_secs(15)).success());
    server.abort();
}

#[tokio::test]
async fn a_receiver_that_is_away_disturbs_nothing() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone =
        Standalone::start(directory.path(), &["--otlp-endpoint", "http://127.0.0.1:1", "--otlp-interval", "1"]);
    assert!(standalone.ready_after < READY_WITHIN, "ready after {:?}", standalone.ready_after);
    assert!(reqwest::get(&standalone.rest).await.expect("an answer").status().is_success());
    standalone.signal("TERM");
    assert!(standalone.wait(Duration::from_secs(15)).success());
}
