//! `millrace worker`: flags to a [`WorkerConfig`], and the worker's life.

use std::sync::Arc;

use millrace_data_plane::admin::MetricsText;
use millrace_data_plane::session::SessionTransport;
use millrace_data_plane::worker::{StartError, Worker, WorkerConfig};
use prometheus::Registry;

use crate::args::{Common, WorkerArgs};
use crate::failure::Failure;
use crate::telemetry::Telemetry;

/// Runs until a signal.
pub(crate) fn run(common: &Common, args: &WorkerArgs) -> Result<(), Failure> {
    super::serve("worker", common, &args.telemetry, |registry, shutdown| async move {
        let transport = transport(args)?;
        let mut worker =
            Worker::start(config(args), transport, metrics_text(registry), shutdown).await.map_err(failure)?;
        if let Some(address) = worker.admin_address() {
            tracing::info!(worker = worker.id(), control_plane = args.control_plane.join(","), metrics = %format!("http://{address}/metrics"), "worker started");
        }
        worker.wait().await;
        Ok(())
    })
}

fn config(args: &WorkerArgs) -> WorkerConfig {
    WorkerConfig {
        id: args.id.clone(),
        listen: Some(args.metrics_listen),
        address: args.advertised_address.clone(),
        labels: args.labels.iter().cloned().collect(),
        capacity: args.capacity,
        allow_file_connectors: args.file_connectors,
        file_roots: args.file_roots.clone(),
        stop_timeout_ms: args.stop_timeout_ms,
    }
}

fn transport(args: &WorkerArgs) -> Result<SessionTransport, Failure> {
    let token = match &args.token {
        Some(token) => Some(millrace_sdk::Secret::new(token.clone())),
        None => super::secret_file(args.token_file.as_ref(), "worker token")?,
    };
    if token.is_none() {
        return Err(Failure::usage("a worker needs the token that its control plane knows")
            .hint("name its file with --token-file or MILLRACE_WORKER_TOKEN_FILE: the one given to `millrace control-plane --worker-token-file`"));
    }
    let ca = args.ca_file.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read --ca-file {}: {error}", path.display())))
    });
    Ok(SessionTransport::Remote { endpoints: args.control_plane.clone(), token, ca: ca.transpose()? })
}

/// What a worker answers on `/metrics`.
pub(super) fn metrics_text(registry: Registry) -> MetricsText {
    Arc::new(move || Telemetry::prometheus_text(&registry))
}

/// Why a worker did not start, with what to do.
pub(super) fn failure(error: StartError) -> Failure {
    let hint = match &error {
        StartError::Listen { .. } => "choose another address with --metrics-listen, or port 0 for a free one",
        StartError::Transport(_) => "see --control-plane and the worker's token",
    };
    Failure::new("the worker cannot start").caused_by(&error).hint(hint)
}
