//! `millrace standalone`: both planes in this process, with the embedded store and a session that crosses no socket. The
//! same code as in the distributed processes; only the store and the channel differ.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_control_plane::store::embedded::EmbeddedStore;
use millrace_control_plane::{ControlPlane, ControlPlaneConfig};
use millrace_data_plane::session::SessionTransport;
use millrace_data_plane::worker::{Worker, WorkerConfig};
use millrace_proto::v1;
use millrace_sdk::Secret;
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::args::{ClientArgs, Common, Standalone};
use crate::client::apply::apply_one;
use crate::client::{Api, within};
use crate::failure::Failure;
use crate::input::{ConnectorFile, Content, Flat};
use crate::settings::Tenants;

const STORE_FILE: &str = "store";
const KEY_FILE: &str = "secrets.key";
/// How long the worker of this very process may take to register.
const WORKER_TIMEOUT: Duration = Duration::from_secs(10);
const WORKER_POLL: Duration = Duration::from_millis(10);

/// Runs until a signal.
pub(crate) fn run(common: &Common, args: &Standalone, tenants: Tenants) -> Result<(), Failure> {
    let (properties, connectors) = read_files(args)?;
    let config = ControlPlaneConfig {
        grpc_listen: Some(args.listeners.grpc_listen),
        rest_listen: Some(args.listeners.rest_listen),
        sessions_listen: None,
        api_token: super::secret_file(args.listeners.api_token_file.as_ref(), "API token")?,
        tenants: super::tenants(tenants, properties, &args.kafka),
        ..ControlPlaneConfig::default()
    };
    super::serve("standalone", common, &args.telemetry, |registry, shutdown| async move {
        let both = Both::start(args, config, registry, shutdown.clone()).await?;
        let applied = both.apply(&connectors).await;
        match &applied {
            Ok(()) => both.announce(),
            // As connect-standalone does: a connector on the command line that is refused ends the process.
            Err(_) => shutdown.cancel(),
        }
        both.wait().await;
        applied
    })
}

/// Worker properties and connectors among the file arguments.
fn read_files(args: &Standalone) -> Result<(Flat, Vec<ConnectorFile>), Failure> {
    let mut properties = None;
    let mut connectors = Vec::new();
    for path in &args.files {
        match crate::input::read(path)? {
            Content::Connectors(more) => connectors.extend(more),
            Content::Worker(flat) if properties.is_none() => properties = Some(flat),
            Content::Worker(_) => {
                return Err(Failure::usage(format!("{} is a second file with a worker's properties", path.display())));
            }
        }
    }
    Ok((properties.unwrap_or_default(), connectors))
}

struct Both {
    plane: ControlPlane,
    worker: Worker,
    /// Ends the control plane, after the worker has drained: until then it takes the tasks' last statuses.
    plane_shutdown: CancellationToken,
    api_token: Option<Secret>,
}

impl Both {
    async fn start(
        args: &Standalone,
        mut config: ControlPlaneConfig,
        registry: Registry,
        shutdown: CancellationToken,
    ) -> Result<Self, Failure> {
        prepare(&args.data_dir)?;
        config.sealing_key = Some(sealing_key(args)?);
        let api_token = config.api_token.clone();
        let path = args.data_dir.join(STORE_FILE);
        let opened = tokio::task::spawn_blocking(move || EmbeddedStore::open(&path)).await;
        let store = opened.map_err(|error| Failure::new("the store could not be opened").caused_by(&error))?.map_err(
            |error| {
                Failure::new(format!("cannot open the store in {}", args.data_dir.display()))
                    .caused_by(&error)
                    .hint("is another millrace standalone using it? Name another folder with --data-dir")
            },
        )?;
        let plane_shutdown = CancellationToken::new();
        let plane = ControlPlane::start(config, Arc::new(store), plane_shutdown.clone())
            .await
            .map_err(super::control_plane::failure)?;
        let settings = WorkerConfig {
            id: Some("standalone".to_owned()),
            listen: Some(args.metrics_listen),
            // As a worker of Kafka Connect in standalone mode, it is known by its REST address.
            address: plane.rest_address().map(|address| address.to_string()),
            allow_file_connectors: true,
            ..WorkerConfig::default()
        };
        let transport = SessionTransport::Local(plane.local_session_channel());
        let metrics = super::worker::metrics_text(registry);
        let worker = Worker::start(settings, transport, metrics, shutdown).await.map_err(super::worker::failure)?;
        Ok(Self { plane, worker, plane_shutdown, api_token })
    }

    /// Waits until the worker has announced its classes, then creates or updates the connectors, through the same API as
    /// everybody else.
    async fn apply(&self, connectors: &[ConnectorFile]) -> Result<(), Failure> {
        let Some(address) = self.plane.grpc_address() else { return Ok(()) };
        let api = Api::connect(&ClientArgs {
            server: format!("http://{}", reachable(address)),
            tenant: millrace_control_plane::model::DEFAULT_TENANT.to_owned(),
            token: self.api_token.as_ref().map(|token| token.reveal().to_owned()),
        })
        .await?;
        wait_for_worker(&api).await?;
        for file in connectors {
            let applied = apply_one(&api, file).await?;
            tracing::info!(
                connector = file.name,
                file = file.origin,
                "connector from the command line {}",
                applied.word
            );
            for warning in applied.warnings {
                tracing::warn!(connector = file.name, "{warning}");
            }
        }
        Ok(())
    }

    fn announce(&self) {
        let url = |address: Option<SocketAddr>| address.map(|address| format!("http://{address}")).unwrap_or_default();
        tracing::info!(
            rest = url(self.plane.rest_address()),
            grpc = url(self.plane.grpc_address()),
            metrics = url(self.worker.admin_address()),
            "millrace standalone is ready"
        );
    }

    async fn wait(mut self) {
        self.worker.wait().await;
        self.plane_shutdown.cancel();
        self.plane.wait().await;
    }
}

/// The folder of the store, for its owner only.
fn prepare(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| {
        Failure::new(format!("cannot make the folder {}: {error}", directory.display()))
            .hint("name another with --data-dir")
    })
}

/// The key named by the user, or the one beside the store, which is made at the first start.
fn sealing_key(args: &Standalone) -> Result<Secret, Failure> {
    if let Some(path) = &args.key_file {
        return crate::key::read(path, "key file");
    }
    let path = args.data_dir.join(KEY_FILE);
    if !path.exists() {
        if args.data_dir.join(STORE_FILE).exists() {
            return Err(Failure::new(format!("the key {} is missing, but there is a store beside it", path.display()))
                .hint("put the key back, name it with --key-file, or start with another --data-dir"));
        }
        crate::key::write_new(&path, &crate::key::generate()?)?;
    }
    crate::key::read(&path, "key file")
}

/// Where a listener on all addresses can be reached from here.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        other => other,
    }
}

/// Until the worker has announced its connectors, every class is unknown.
async fn wait_for_worker(api: &Api) -> Result<(), Failure> {
    let waited = tokio::time::timeout(WORKER_TIMEOUT, async {
        loop {
            let answer = api.workers().list_workers(within(v1::ListWorkersRequest {})).await;
            let answer = answer.map_err(|status| api.failure("cannot ask for the worker", &status))?;
            if answer.into_inner().workers.iter().any(|worker| worker.live) {
                return Ok(());
            }
            tokio::time::sleep(WORKER_POLL).await;
        }
    });
    waited.await.unwrap_or_else(|_| {
        Err(Failure::new(format!(
            "the worker of this process has not registered within {} s",
            WORKER_TIMEOUT.as_secs()
        )))
    })
}
