//! Telemetry of a process: log lines on stderr, metrics as Prometheus text, and (where an endpoint is given) metrics, traces
//! and logs by OTLP/gRPC. Everything is recorded through `tracing` and the OpenTelemetry API; this is the only place that
//! knows exporters. A collector that is away costs a warning now and then, never a record: exporters work in threads of
//! their own with bounded queues.

mod process;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::{Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider, Stream};
use opentelemetry_sdk::trace::SdkTracerProvider;
use prometheus::{Registry, TextEncoder};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::args::{Common, LogFormat, TelemetryArgs};
use crate::failure::Failure;

/// Tasks that one worker tells apart in its metrics, each with its kinds of errors; the library's own limit is 2000. Room for
/// their names is set aside at once.
const MOST_SERIES: usize = 8000;
/// How long the last exports may take when the process ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What must be flushed at the end, and the metrics of the process.
pub(crate) struct Telemetry {
    registry: Registry,
    meters: SdkMeterProvider,
    tracers: Option<SdkTracerProvider>,
    loggers: Option<SdkLoggerProvider>,
}

impl Telemetry {
    /// The metrics as Prometheus text.
    pub(crate) fn prometheus_text(registry: &Registry) -> String {
        TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_else(|error| {
            tracing::warn!(%error, "metrics cannot be written as text");
            String::new()
        })
    }

    /// Where the metrics are gathered from.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Sends what waits to be sent, within a bounded time. Blocks: call it when everything else has ended.
    pub(crate) fn shutdown(self) {
        // Failures were logged while running; at the end there is nobody left to tell.
        if let Some(tracers) = self.tracers {
            let _ = tracers.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        }
        if let Some(loggers) = self.loggers {
            let _ = loggers.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        }
        let _ = self.meters.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
    }
}

/// Logs of a client command: warnings on stderr, nothing else.
pub(crate) fn start_client(common: &Common) -> Result<(), Failure> {
    let filter = filter(common, "warn")?;
    tracing_subscriber::registry().with(stderr_layer(common).with_filter(filter)).init();
    Ok(())
}

/// Everything a server has. Must be called within the runtime: the exporters' channels live in it.
pub(crate) fn start_server(role: &'static str, common: &Common, args: &TelemetryArgs) -> Result<Telemetry, Failure> {
    let filter = filter(common, "info")?;
    let endpoint = args
        .otlp_endpoint
        .clone()
        .or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").ok())
        .filter(|endpoint| !endpoint.trim().is_empty());
    let resource = resource(role);
    let registry = Registry::new();
    let wrong = |error: &(dyn std::error::Error + 'static)| Failure::new("cannot set telemetry up").caused_by(error);

    let prometheus = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .scope_info_enabled(false)
        .build()
        .map_err(|error| wrong(&error))?;
    let of_tasks = |instrument: &Instrument| {
        let is_one = matches!(instrument.kind(), InstrumentKind::ObservableCounter | InstrumentKind::ObservableGauge);
        is_one.then(|| Stream::builder().with_cardinality_limit(MOST_SERIES).build().ok()).flatten()
    };
    let meters = SdkMeterProvider::builder().with_resource(resource.clone()).with_view(of_tasks);
    let mut meters = meters.with_reader(prometheus);
    let mut tracers = None;
    let mut loggers = None;
    if let Some(endpoint) = &endpoint {
        let exporters = Exporters::new(endpoint).map_err(|error| {
            Failure::usage(format!("\"{endpoint}\" is not usable as OTLP endpoint"))
                .caused_by(&error)
                .hint("give the URL of a collector's gRPC receiver, such as http://127.0.0.1:4317")
        })?;
        let interval = Duration::from_secs(args.otlp_interval);
        meters = meters.with_reader(PeriodicReader::builder(exporters.metrics).with_interval(interval).build());
        tracers = Some(
            SdkTracerProvider::builder().with_resource(resource.clone()).with_batch_exporter(exporters.spans).build(),
        );
        loggers =
            Some(SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporters.logs).build());
    }
    let meters = meters.build();
    opentelemetry::global::set_meter_provider(meters.clone());
    process::register(role);

    // What the exporters themselves say must not be exported, or every export would cause the next one.
    let exported = || {
        Targets::new().with_default(LevelFilter::INFO).with_targets(
            ["opentelemetry", "opentelemetry_sdk", "opentelemetry_otlp", "tonic", "h2", "hyper", "hyper_util", "tower"]
                .map(|t| (t, LevelFilter::OFF)),
        )
    };
    let traces = tracers.as_ref().map(|provider| {
        tracing_opentelemetry::layer().with_tracer(provider.tracer("millrace")).with_filter(exported())
    });
    let logs = loggers.as_ref().map(|provider| OpenTelemetryTracingBridge::new(provider).with_filter(exported()));
    tracing_subscriber::registry().with(stderr_layer(common).with_filter(filter)).with(traces).with(logs).init();
    Ok(Telemetry { registry, meters, tracers, loggers })
}

struct Exporters {
    metrics: MetricExporter,
    spans: SpanExporter,
    logs: LogExporter,
}

impl Exporters {
    fn new(endpoint: &str) -> Result<Self, ExporterBuildError> {
        Ok(Self {
            metrics: MetricExporter::builder()
                .with_tonic()
                .with_endpoint(endpoint)
                .with_timeout(EXPORT_TIMEOUT)
                .build()?,
            spans: SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()?,
            logs: LogExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()?,
        })
    }
}

/// Who speaks; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go before what we say.
fn resource(role: &'static str) -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some()
        || std::env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|text| text.contains("service.name="));
    let instance = format!("{}:{}", hostname::get().unwrap_or_default().to_string_lossy(), std::process::id());
    let builder = Resource::builder().with_attributes([
        KeyValue::new("service.namespace", "millrace"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance),
    ]);
    if named { builder.build() } else { builder.with_service_name(format!("millrace-{role}")).build() }
}

/// `--log`, else RUST_LOG, else the default, in which libraries that repeat themselves per connection say errors only.
fn filter(common: &Common, default: &str) -> Result<EnvFilter, Failure> {
    let directives = common
        .log
        .clone()
        .or_else(|| std::env::var("RUST_LOG").ok())
        .filter(|text| !text.trim().is_empty())
        .unwrap_or_else(|| {
            format!("{default},opentelemetry=error,opentelemetry_sdk=error,opentelemetry-otlp=error,scylla=error")
        });
    EnvFilter::try_new(&directives).map_err(|error| {
        Failure::usage(format!("\"{directives}\" is not a log filter: {error}"))
            .hint("use a level (error, warn, info, debug, trace) or directives such as info,millrace_data_plane=debug")
    })
}

fn stderr_layer<S>(common: &Common) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'span> tracing_subscriber::registry::LookupSpan<'span>,
{
    use std::io::IsTerminal;
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match common.log_format {
        LogFormat::Text => layer.with_ansi(std::io::stderr().is_terminal()).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}
