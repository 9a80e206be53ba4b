//! A Millrace of a scenario's own: etcd, control planes and workers as processes, on free ports, in a directory that goes
//! when the scenario does.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Process, free_port, millrace_binary};
use crate::rest::Rest;
use crate::server;
use crate::wait::eventually;

const LIMIT: Duration = Duration::from_secs(30);

struct ControlPlane {
    process: Process,
    rest: String,
    grpc: String,
}

/// The running processes.
pub struct Cluster {
    // Declared in the order in which they end.
    workers: Vec<Process>,
    /// As statuses name them
    worker_ids: Vec<String>,
    control_planes: Vec<ControlPlane>,
    etcd: Option<Process>,
    etcd_port: u16,
    etcd_peer_port: u16,
    directory: TempDir,
    file_connectors: bool,
}

impl Cluster {
    /// Starts etcd, `control_planes` control planes and `workers` workers, and waits until all workers are known.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(control_planes: usize, workers: usize) -> Self {
        Self::start_all(control_planes, workers, false).await
    }

    /// As [`Self::start`], with the file connectors allowed, which are off outside standalone.
    pub async fn start_with_file_connectors(control_planes: usize, workers: usize) -> Self {
        Self::start_all(control_planes, workers, true).await
    }

    async fn start_all(control_planes: usize, workers: usize, file_connectors: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("millrace-e2e-").tempdir().expect("a directory");
        let mut cluster = Self {
            workers: Vec::new(),
            worker_ids: Vec::new(),
            control_planes: Vec::new(),
            etcd: None,
            etcd_port: free_port(),
            etcd_peer_port: free_port(),
            directory,
            file_connectors,
        };
        cluster.start_etcd();
        for file in ["secrets.key", "worker.token"] {
            cluster.millrace(&["key", "generate", "--out", &cluster.file(file)]);
        }
        let sessions: Vec<u16> = (0..control_planes).map(|_| free_port()).collect();
        for (n, port) in sessions.iter().enumerate() {
            cluster.start_control_plane(n, *port);
        }
        for n in 0..control_planes {
            let rest = cluster.rest_of(n);
            eventually("the control plane answers", LIMIT, || rest.try_call("GET", "/connectors", None)).await;
        }
        for n in 0..workers {
            cluster.start_worker(n, &sessions);
        }
        eventually("all workers are known", LIMIT, || async {
            let answer = cluster.try_millrace(&["get", "workers", "-o", "json"])?;
            let live = answer.matches("\"live\": true").count();
            if live == workers { Ok(()) } else { Err(answer) }
        })
        .await;
        cluster
    }

    /// A path in the scenario's directory.
    #[must_use]
    pub fn scratch_file(&self, name: &str) -> String {
        self.file(name)
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Starts etcd (again), on the same port and data.
    pub fn start_etcd(&mut self) {
        let client = format!("http://127.0.0.1:{}", self.etcd_port);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        let mut command = Command::new("etcd");
        command
            .args([
                "--data-dir",
                &self.file("etcd"),
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
            ])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}"), "--unsafe-no-fsync"]);
        self.etcd = Some(Process::start("etcd", self.directory.path(), &mut command));
    }

    /// `kill -9` of etcd.
    pub fn stop_etcd(&mut self) {
        self.etcd = None;
    }

    fn start_control_plane(&mut self, n: usize, sessions_port: u16) {
        let [rest, grpc, metrics] = [free_port(), free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut command = Command::new(millrace_binary());
        command
            .args(["control-plane", "--etcd-endpoints", &format!("http://127.0.0.1:{}", self.etcd_port)])
            .args(["--bootstrap-servers", &server("KAFKA_BOOTSTRAP")])
            .args(["--key-file", &self.file("secrets.key"), "--worker-token-file", &self.file("worker.token")])
            .args(["--grpc-listen", &grpc, "--rest-listen", &rest, "--metrics-listen", &metrics])
            .args(["--sessions-listen", &format!("127.0.0.1:{sessions_port}")])
            .current_dir(self.directory.path());
        let process = Process::start(&format!("control-plane-{n}"), self.directory.path(), &mut command);
        self.control_planes.push(ControlPlane { process, rest, grpc });
    }

    fn start_worker(&mut self, n: usize, sessions: &[u16]) {
        // Different replicas first, so that sessions are spread.
        let mut order = sessions.to_vec();
        order.rotate_left(n % sessions.len());
        let endpoints: Vec<String> = order.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(millrace_binary());
        command
            .args(["worker", "--control-plane", &endpoints.join(","), "--token-file", &self.file("worker.token")])
            .args(["--id", &format!("worker-{n}"), "--metrics-listen", &address])
            .args(self.file_connectors.then_some("--file-connectors"))
            .current_dir(self.directory.path());
        self.workers.push(Process::start(&format!("worker-{n}"), self.directory.path(), &mut command));
        self.worker_ids.push(address);
    }

    /// The REST API of the first control plane that runs.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.rest_of(0)
    }

    /// The REST API of a control plane.
    #[must_use]
    pub fn rest_of(&self, n: usize) -> Rest {
        Rest::new(format!("http://{}", self.control_planes[n].rest))
    }

    /// The number of the worker that a status names.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn worker_number(&self, worker_id: &str) -> usize {
        let found = self.worker_ids.iter().position(|id| id == worker_id);
        found.unwrap_or_else(|| panic!("{worker_id} is none of {:?}", self.worker_ids))
    }

    /// A worker's process.
    pub fn worker(&mut self, n: usize) -> &mut Process {
        &mut self.workers[n]
    }

    /// A control plane's process.
    pub fn control_plane(&mut self, n: usize) -> &mut Process {
        &mut self.control_planes[n].process
    }

    /// Which control plane leads: the leader's key in etcd holds the name that the replica wrote into its log.
    ///
    /// # Panics
    /// When none does for long.
    pub async fn leader(&self) -> usize {
        eventually("a leader", LIMIT, || async {
            let mut client = etcd_client::Client::connect([format!("127.0.0.1:{}", self.etcd_port)], None)
                .await
                .map_err(|e| e.to_string())?;
            let answer = client.get("/millrace/v1/leader", None).await.map_err(|e| e.to_string())?;
            let leader = answer.kvs().first().and_then(|kv| kv.value_str().ok()).unwrap_or_default().to_owned();
            self.control_planes
                .iter()
                .position(|control| control.process.log().contains(&format!("replica=\"{leader}\"")))
                .ok_or_else(|| format!("the leader's key holds {leader:?}"))
        })
        .await
    }

    /// Runs a client command; answers standard output, or standard error when it fails.
    ///
    /// # Errors
    /// The command's error output.
    pub fn try_millrace(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(millrace_binary());
        command.args(arguments).current_dir(self.directory.path());
        if let Some(control) = self.control_planes.first() {
            command.env("MILLRACE_SERVER", format!("http://{}", control.grpc));
        }
        let output = command.output().map_err(|e| e.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// As [`Self::try_millrace`], and must succeed.
    ///
    /// # Panics
    /// When the command fails.
    pub fn millrace(&self, arguments: &[&str]) -> String {
        self.try_millrace(arguments).unwrap_or_else(|error| panic!("millrace {}: {error}", arguments.join(" ")))
    }

    /// `millrace describe connector NAME`.
    #[must_use]
    pub fn describe(&self, connector: &str) -> String {
        self.millrace(&["describe", "connector", connector])
    }

    /// A mongod of this scenario's own, started by `deploy/local/servers`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_mongod(&self) -> Mongod {
        // Far from the offsets of other copies of the servers; the port says whether it is free.
        let offset = free_port().saturating_sub(27_017).max(1_000) % 30_000;
        let mongod = Mongod { home: self.directory.path().join("servers"), offset };
        mongod.servers(&["up", "mongodb"]);
        mongod
    }
}

/// See [`Cluster::start_mongod`]; stopped when it goes out of scope.
pub struct Mongod {
    home: PathBuf,
    offset: u16,
}

impl Mongod {
    fn servers(&self, arguments: &[&str]) {
        let output = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/local/servers"))
            .args(arguments)
            .env("SERVERS_HOME", &self.home)
            .env("PORT_OFFSET", self.offset.to_string())
            .output()
            .expect("deploy/local/servers runs");
        assert!(output.status.success(), "servers {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Its connection string.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", 27_017 + u32::from(self.offset))
    }

    /// `kill -9`.
    pub fn kill_9(&self) {
        self.servers(&["kill", "mongodb"]);
    }

    /// SIGSTOP: it takes connections and answers nothing.
    pub fn freeze(&self) {
        self.servers(&["freeze", "mongodb"]);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.servers(&["thaw", "mongodb"]);
    }

    /// Starts it again on its data.
    pub fn restart(&self) {
        self.servers(&["up", "mongodb"]);
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        self.servers(&["clean", "mongodb"]);
    }
}

/// The value of a Prometheus metric summed over all series whose labels contain `labels`.
#[must_use]
pub fn metric(text: &str, name: &str, labels: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(name) && line.contains(labels))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// The tasks' workers in a status, in the tasks' order.
#[must_use]
pub fn workers_of(status: &Value) -> Vec<Value> {
    status["tasks"].as_array().into_iter().flatten().map(|task| task["worker_id"].clone()).collect()
}
