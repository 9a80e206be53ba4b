//! `millrace control-plane`: flags to a [`ControlPlaneConfig`], the way to etcd, and the control plane's life.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_control_plane::store::Store;
use millrace_control_plane::store::StoreError;
use millrace_control_plane::store::etcd::{EtcdOptions, EtcdStore};
use millrace_control_plane::{ConfigError, ControlPlane, ControlPlaneConfig, StartError, Times};
use millrace_sdk::Secret;
use tokio_util::sync::CancellationToken;

use super::admin::{Admin, Ready};
use crate::args::{Common, ControlPlaneArgs, TimesArgs};
use crate::failure::Failure;
use crate::settings::Tenants;

/// Between two tries to reach etcd at start.
const ETCD_RETRY: Duration = Duration::from_secs(1);

/// Runs until a signal.
pub(crate) fn run(common: &Common, args: &ControlPlaneArgs, tenants: Tenants) -> Result<(), Failure> {
    let config = config(args, tenants)?;
    super::serve("control-plane", common, &args.telemetry, |registry, shutdown| async move {
        let ready = Ready::default();
        let admin = Admin::start(args.metrics_listen, registry, ready.clone(), shutdown.clone()).await?;
        let Some(store) = connect(etcd_options(args)?, &shutdown).await? else { return Ok(()) };
        let plane = ControlPlane::start(config, store, shutdown.clone()).await.map_err(failure)?;
        ready.set(true);
        let shown = |address: Option<SocketAddr>| address.map(|address| address.to_string()).unwrap_or_default();
        tracing::info!(
            grpc = shown(plane.grpc_address()),
            rest = shown(plane.rest_address()),
            sessions = shown(plane.sessions_address()),
            metrics = %admin.address(),
            "control plane is ready"
        );
        plane.wait().await;
        admin.stop();
        Ok(())
    })
}

fn config(args: &ControlPlaneArgs, tenants: Tenants) -> Result<ControlPlaneConfig, Failure> {
    let token = match &args.worker_token {
        Some(token) => Some(Secret::new(token.clone())),
        None => super::secret_file(args.worker_token_file.as_ref(), "worker token")?,
    };
    let mut missing = Vec::new();
    if args.key_file.is_none() {
        missing.push("the key that encrypts connectors' secrets in etcd (--key-file or MILLRACE_KEY_FILE)");
    }
    if token.is_none() {
        missing.push("the token by which it knows its workers (--worker-token-file or MILLRACE_WORKER_TOKEN_FILE)");
    }
    if !missing.is_empty() {
        let mut failure = Failure::usage("a control plane does not start without");
        for line in missing {
            failure = failure.detail(line);
        }
        return Err(failure.hint(
            "make them once, and give the same to all replicas: millrace key generate --out secrets.key; \
             millrace key generate --out worker.token",
        ));
    }
    let properties = args.worker_properties.as_deref().map(crate::input::read_worker_properties).transpose()?;
    let config = ControlPlaneConfig {
        grpc_listen: Some(args.listeners.grpc_listen),
        sessions_listen: Some(args.sessions_listen),
        rest_listen: Some(args.listeners.rest_listen),
        worker_token: token,
        api_token: super::secret_file(args.listeners.api_token_file.as_ref(), "API token")?,
        sealing_key: super::secret_file(args.key_file.as_ref(), "key file")?,
        tenants: super::tenants(tenants, properties.unwrap_or_default(), &args.kafka),
        replica_id: args.replica_id.clone(),
        times: times(&args.times),
        ..ControlPlaneConfig::default()
    };
    config.check().map_err(|error| config_failure(&error))?;
    Ok(config)
}

fn times(args: &TimesArgs) -> Times {
    Times {
        report_ms: args.report_ms,
        worker_lease_ms: args.worker_lease_ms,
        store_lease_ms: args.store_lease_ms,
        ask_timeout_ms: args.ask_timeout_ms,
    }
}

fn etcd_options(args: &ControlPlaneArgs) -> Result<EtcdOptions, Failure> {
    let password = super::secret_file(args.etcd_password_file.as_ref(), "password of etcd")?;
    Ok(EtcdOptions {
        user: args.etcd_user.clone().zip(password),
        ca_file: args.etcd_ca_file.clone(),
        cert_file: args.etcd_cert_file.clone(),
        key_file: args.etcd_cert_key_file.clone(),
        ..EtcdOptions::new(args.etcd_endpoints.clone())
    })
}

/// Waits for etcd as long as it takes; `None` when a signal came first.
async fn connect(options: EtcdOptions, shutdown: &CancellationToken) -> Result<Option<Arc<dyn Store>>, Failure> {
    loop {
        match EtcdStore::connect(options.clone()).await {
            Ok(store) => return Ok(Some(Arc::new(store))),
            Err(StoreError::Unavailable(reason)) => tracing::warn!(reason, "etcd does not answer; trying again"),
            Err(error) => {
                return Err(Failure::new("cannot use etcd")
                    .caused_by(&error)
                    .hint("see --etcd-endpoints and its user or certificates"));
            }
        }
        // Cancel-safe: neither branch holds anything.
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(ETCD_RETRY) => {}
        }
    }
}

/// Why a control plane did not start, with what to do.
pub(super) fn failure(error: StartError) -> Failure {
    match error {
        StartError::Config(error) => config_failure(&error),
        StartError::Listen { .. } => Failure::new("the control plane cannot start").caused_by(&error).hint(
            "is another one running here? Choose other addresses with --grpc-listen, --rest-listen, --sessions-listen",
        ),
    }
}

fn config_failure(error: &ConfigError) -> Failure {
    let failure = Failure::usage("the control plane's settings do not work").caused_by(error);
    match error {
        ConfigError::Insecure { .. } => {
            failure.hint("make a token with `millrace key generate --out api.token` and give it as --api-token-file")
        }
        ConfigError::BadSealingKey(_) => failure.hint("make a key with: millrace key generate --out secrets.key"),
        _ => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;

    fn args(line: &str) -> ControlPlaneArgs {
        match Cli::parse_from(line.split(' ')).command {
            Command::ControlPlane(args) => *args,
            _ => panic!("another command"),
        }
    }

    #[test]
    fn without_its_secrets_it_says_how_to_make_them() {
        let failure = config(&args("millrace control-plane"), Tenants::new()).expect_err("refused").to_string();
        for part in ["--key-file", "--worker-token-file", "millrace key generate --out secrets.key"] {
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn a_public_listener_needs_a_token() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("k");
        crate::key::write_new(&path, &crate::key::generate().expect("random numbers")).expect("written");
        let path = path.display();
        let line =
            format!("millrace control-plane --key-file {path} --worker-token-file {path} --rest-listen 0.0.0.0:8083");
        let failure = config(&args(&line), Tenants::new()).expect_err("refused").to_string();
        assert!(failure.contains("0.0.0.0:8083") && failure.contains("--api-token-file"), "{failure}");
        let line = format!("{line} --api-token-file {path} --bootstrap-servers k:1");
        let config = config(&args(&line), Tenants::new()).expect("accepted");
        assert_eq!(config.tenants["default"]["bootstrap.servers"], "k:1");
    }
}
