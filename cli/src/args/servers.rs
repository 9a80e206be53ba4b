//! Flags of the commands that serve: `standalone`, `control-plane`, `worker`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// The APIs' listeners.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Listeners")]
pub(crate) struct Listeners {
    /// gRPC API
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7070", env = "MILLRACE_GRPC_LISTEN")]
    pub(crate) grpc_listen: SocketAddr,
    /// REST API, as Kafka Connect's
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8083", env = "MILLRACE_REST_LISTEN")]
    pub(crate) rest_listen: SocketAddr,
    /// File with the token that callers of both APIs must show; needed to listen on more than 127.0.0.1
    #[arg(long, value_name = "FILE", env = "MILLRACE_API_TOKEN_FILE")]
    pub(crate) api_token_file: Option<PathBuf>,
}

/// How long things may take; the same on all replicas.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Times")]
pub(crate) struct TimesArgs {
    /// Milliseconds between two reports of a worker
    #[arg(long, value_name = "MS", default_value_t = 1000, env = "MILLRACE_REPORT_MS")]
    pub(crate) report_ms: u64,
    /// How long a worker may act after a report that was answered
    #[arg(long, value_name = "MS", default_value_t = 4000, env = "MILLRACE_WORKER_LEASE_MS")]
    pub(crate) worker_lease_ms: u64,
    /// How long a silent worker, or leader, counts as alive
    #[arg(long, value_name = "MS", default_value_t = 6000, env = "MILLRACE_STORE_LEASE_MS")]
    pub(crate) store_lease_ms: u64,
    /// How long to wait for a worker's answer (validation, checks, planning)
    #[arg(long, value_name = "MS", default_value_t = 10_000, env = "MILLRACE_ASK_TIMEOUT_MS")]
    pub(crate) ask_timeout_ms: u64,
}

/// Where telemetry goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Telemetry")]
pub(crate) struct TelemetryArgs {
    /// Send metrics, traces and logs there by OTLP/gRPC [env: OTEL_EXPORTER_OTLP_ENDPOINT too]
    #[arg(long, value_name = "URL", env = "MILLRACE_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Seconds between two exports of metrics
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), env = "MILLRACE_OTLP_INTERVAL")]
    pub(crate) otlp_interval: u64,
}

/// Kafka and converters of the default tenant, from flags; the `[tenants.<name>]` sections of --config say more.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaArgs {
    /// Kafka brokers
    #[arg(long, value_name = "HOST:PORT,…", env = "MILLRACE_BOOTSTRAP_SERVERS")]
    pub(crate) bootstrap_servers: Option<String>,
}

/// `millrace standalone`
#[derive(Debug, Args)]
#[command(after_help = "\
Files are taken as connect-standalone takes them: one with bootstrap.servers holds the worker's
properties (brokers, converters, client settings); one with connector.class is a connector, as
properties, JSON or YAML. Connectors are created or updated at start, and everything the APIs change
later is kept in --data-dir.

Examples:
  millrace standalone --bootstrap-servers localhost:9092
  millrace standalone worker.properties orders-to-mongodb.json orders-to-cassandra.properties")]
pub(crate) struct Standalone {
    /// Worker properties and connectors
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where definitions and the key that encrypts their secrets are kept
    #[arg(long, value_name = "DIR", default_value = ".millrace", env = "MILLRACE_DATA_DIR")]
    pub(crate) data_dir: PathBuf,
    /// Key file instead of the one made in --data-dir
    #[arg(long, value_name = "FILE", env = "MILLRACE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) listeners: Listeners,
    /// Metrics and health
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9464",
        env = "MILLRACE_METRICS_LISTEN",
        help_heading = "Listeners"
    )]
    pub(crate) metrics_listen: SocketAddr,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// `millrace control-plane`
#[derive(Debug, Args)]
#[command(after_help = "\
A control plane needs two secrets: the key that encrypts secrets of connectors in etcd (the same for
all replicas), and the token by which workers are known. Make them with:
  millrace key generate --out secrets.key
  millrace key generate --out worker.token

Example:
  millrace control-plane --etcd-endpoints http://127.0.0.1:2379 --bootstrap-servers localhost:9092 \\
      --key-file secrets.key --worker-token-file worker.token")]
pub(crate) struct ControlPlaneArgs {
    /// etcd, where definitions and leadership live
    #[arg(
        long,
        value_name = "URL,…",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:2379",
        env = "MILLRACE_ETCD_ENDPOINTS"
    )]
    pub(crate) etcd_endpoints: Vec<String>,
    /// User of etcd, where it asks for one; the password comes from --etcd-password-file
    #[arg(long, value_name = "NAME", env = "MILLRACE_ETCD_USER", requires = "etcd_password_file")]
    pub(crate) etcd_user: Option<String>,
    /// File with that user's password
    #[arg(long, value_name = "FILE", env = "MILLRACE_ETCD_PASSWORD_FILE")]
    pub(crate) etcd_password_file: Option<PathBuf>,
    /// PEM file with the authorities to trust, for https endpoints of etcd
    #[arg(long, value_name = "FILE", env = "MILLRACE_ETCD_CA_FILE")]
    pub(crate) etcd_ca_file: Option<PathBuf>,
    /// PEM file with our certificate for etcd
    #[arg(long, value_name = "FILE", env = "MILLRACE_ETCD_CERT_FILE")]
    pub(crate) etcd_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate
    #[arg(long, value_name = "FILE", env = "MILLRACE_ETCD_CERT_KEY_FILE")]
    pub(crate) etcd_cert_key_file: Option<PathBuf>,
    /// File with the key that encrypts secrets in etcd
    #[arg(long, value_name = "FILE", env = "MILLRACE_KEY_FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the token that workers show
    #[arg(long, value_name = "FILE", env = "MILLRACE_WORKER_TOKEN_FILE")]
    pub(crate) worker_token_file: Option<PathBuf>,
    /// The token itself (prefer the file: a command line can be read by others)
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MILLRACE_WORKER_TOKEN",
        hide_env_values = true,
        conflicts_with = "worker_token_file"
    )]
    pub(crate) worker_token: Option<String>,
    /// Worker properties as connect-distributed has them (brokers, converters, client settings), for the default tenant
    #[arg(long, value_name = "FILE", env = "MILLRACE_WORKER_PROPERTIES")]
    pub(crate) worker_properties: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
    #[command(flatten)]
    pub(crate) listeners: Listeners,
    /// Worker sessions
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:7071",
        env = "MILLRACE_SESSIONS_LISTEN",
        help_heading = "Listeners"
    )]
    pub(crate) sessions_listen: SocketAddr,
    /// Metrics and health
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9465",
        env = "MILLRACE_METRICS_LISTEN",
        help_heading = "Listeners"
    )]
    pub(crate) metrics_listen: SocketAddr,
    /// Name of this replica in the election [default: a random one]
    #[arg(long, value_name = "ID", env = "MILLRACE_REPLICA_ID")]
    pub(crate) replica_id: Option<String>,
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

/// `millrace worker`
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  millrace worker --control-plane http://127.0.0.1:7071 --token-file worker.token --label zone=a")]
pub(crate) struct WorkerArgs {
    /// Sessions listeners of the control planes
    #[arg(
        long,
        value_name = "URL,…",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:7071",
        env = "MILLRACE_CONTROL_PLANE"
    )]
    pub(crate) control_plane: Vec<String>,
    /// File with the token the control plane knows
    #[arg(long, value_name = "FILE", env = "MILLRACE_WORKER_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The token itself (prefer the file: a command line can be read by others)
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MILLRACE_WORKER_TOKEN",
        hide_env_values = true,
        conflicts_with = "token_file"
    )]
    pub(crate) token: Option<String>,
    /// PEM file with the authority of the control plane's certificate, for https [default: the system's authorities]
    #[arg(long, value_name = "FILE", env = "MILLRACE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Name of this worker, stable over restarts [default: host name and metrics port]
    #[arg(long, value_name = "ID", env = "MILLRACE_WORKER_ID")]
    pub(crate) id: Option<String>,
    /// Labels for placement
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = key_value, env = "MILLRACE_LABELS", value_delimiter = ',')]
    pub(crate) labels: Vec<(String, String)>,
    /// Tasks it takes at most
    #[arg(long, value_name = "TASKS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..), env = "MILLRACE_CAPACITY")]
    pub(crate) capacity: u32,
    /// Metrics and health
    #[arg(
        long,
        value_name = "ADDR",
        default_value = "127.0.0.1:9464",
        env = "MILLRACE_METRICS_LISTEN",
        help_heading = "Listeners"
    )]
    pub(crate) metrics_listen: SocketAddr,
    /// host:port shown to others as this worker's address [default: that of --metrics-listen]
    #[arg(long, value_name = "HOST:PORT", env = "MILLRACE_ADVERTISED_ADDRESS")]
    pub(crate) advertised_address: Option<String>,
    /// Allow the file connectors, which read and write files of this machine
    #[arg(long, env = "MILLRACE_FILE_CONNECTORS")]
    pub(crate) file_connectors: bool,
    /// Folder the file connectors are kept to [default: any file]
    #[arg(
        long = "file-root",
        value_name = "DIR",
        env = "MILLRACE_FILE_ROOTS",
        value_delimiter = ',',
        requires = "file_connectors"
    )]
    pub(crate) file_roots: Vec<PathBuf>,
    /// Milliseconds a task may take to end in good order
    #[arg(long, value_name = "MS", default_value_t = 5000, env = "MILLRACE_STOP_TIMEOUT_MS")]
    pub(crate) stop_timeout_ms: u64,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE, such as zone=a".to_owned()),
    }
}
