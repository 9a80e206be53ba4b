//! An `etcd` process of a test's own, on free ports and a folder that goes with it.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::store::etcd::{EtcdOptions, EtcdStore};

pub(super) struct PrivateEtcd {
    folder: TempDir,
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl PrivateEtcd {
    pub(super) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut etcd = Self { folder, client: free_port(), peer: free_port(), process: None };
        etcd.restart();
        etcd
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.client)
    }

    pub(super) fn restart(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer);
        let process = Command::new("etcd")
            .args(["--name", "test", "--logger", "zap", "--log-outputs", "stderr", "--data-dir"])
            .arg(self.folder.path())
            .args(["--listen-client-urls", &self.endpoint(), "--advertise-client-urls", &self.endpoint()])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("test={peer}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd is installed (apt-get install etcd-server), or ETCD_ENDPOINTS is set");
        self.process = Some(process);
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    pub(super) async fn compact(&self, revision: i64) {
        let mut client = etcd_client::Client::connect([self.endpoint()], None).await.expect("connected");
        client.compact(revision, None).await.expect("compacted");
    }
}

impl Drop for PrivateEtcd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Waits until it answers.
pub(super) async fn connect(endpoints: Vec<String>) -> EtcdStore {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match EtcdStore::connect(EtcdOptions::new(endpoints.clone())).await {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
