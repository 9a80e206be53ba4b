//! The commands that serve: what they share. A runtime, telemetry around everything, signals that drain, and the listener for
//! metrics and health.

mod admin;
pub(crate) mod control_plane;
mod shutdown;
pub(crate) mod standalone;
pub(crate) mod worker;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;

use millrace_sdk::Secret;
use tokio_util::sync::CancellationToken;

use crate::args::{Common, KafkaArgs, TelemetryArgs};
use crate::failure::Failure;
use crate::settings::Tenants;
use crate::telemetry::{self, Telemetry};

/// Runs a server until it ends by itself or a signal drains it.
fn serve<F, Fut>(role: &'static str, common: &Common, args: &TelemetryArgs, body: F) -> Result<(), Failure>
where
    F: FnOnce(prometheus::Registry, CancellationToken) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(crate::no_runtime)?;
    let (telemetry, result) = runtime.block_on(async {
        let telemetry = telemetry::start_server(role, common, args)?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), role, "starting");
        let shutdown = CancellationToken::new();
        let signals = tokio::spawn(shutdown::on_signals(shutdown.clone()));
        let result = Box::pin(body(telemetry.registry(), shutdown)).await;
        signals.abort();
        if result.is_ok() {
            tracing::info!(role, "stopped");
        }
        Ok::<(Telemetry, _), Failure>((telemetry, result))
    })?;
    // Exporters need the runtime to be there, and their shutdown blocks.
    telemetry.shutdown();
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// A secret from its file; `None` when no file is named.
fn secret_file(path: Option<&PathBuf>, what: &str) -> Result<Option<Secret>, Failure> {
    path.map(|path| crate::key::read(path, what)).transpose()
}

/// The tenants' settings with what flags and worker properties say of the default tenant: flags go before the settings
/// file, the settings file before the properties.
fn tenants(mut tenants: Tenants, properties: BTreeMap<String, String>, kafka: &KafkaArgs) -> Tenants {
    let default = tenants.entry(millrace_control_plane::model::DEFAULT_TENANT.to_owned()).or_default();
    for (key, value) in properties {
        default.entry(key).or_insert(value);
    }
    if let Some(servers) = &kafka.bootstrap_servers {
        default.insert("bootstrap.servers".to_owned(), servers.clone());
    }
    tenants
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_tenant_is_layered() {
        let map = |entries: &[(&str, &str)]| -> BTreeMap<String, String> {
            entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let from_file =
            Tenants::from([("default".to_owned(), map(&[("key.converter", "file"), ("bootstrap.servers", "file:1")]))]);
        let properties = map(&[("key.converter", "properties"), ("value.converter", "properties")]);
        let kafka = KafkaArgs { bootstrap_servers: Some("flag:1".to_owned()) };
        let merged = tenants(from_file, properties, &kafka);
        assert_eq!(
            merged["default"],
            map(&[("bootstrap.servers", "flag:1"), ("key.converter", "file"), ("value.converter", "properties")])
        );
    }
}
