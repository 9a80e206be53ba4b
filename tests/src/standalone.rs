//! A Millrace in one process, on free ports, in a directory that goes with it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Process, free_port, millrace_binary};
use crate::rest::Rest;
use crate::server;
use crate::wait::eventually;

/// The running process.
pub struct Standalone {
    // Declared in the order in which they end.
    process: Process,
    rest: String,
    grpc: String,
    directory: TempDir,
}

impl Standalone {
    /// Starts `millrace standalone` on the Kafka of the environment and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("millrace-standalone-").tempdir().expect("a directory");
        let [rest, grpc, metrics] = [free_port(), free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let mut command = Command::new(millrace_binary());
        command
            .args(["standalone", "--bootstrap-servers", &server("KAFKA_BOOTSTRAP"), "--data-dir", "data"])
            .args(["--rest-listen", &rest, "--grpc-listen", &grpc, "--metrics-listen", &metrics])
            .current_dir(directory.path());
        let process = Process::start("standalone", directory.path(), &mut command);
        let standalone = Self { process, rest, grpc, directory };
        let rest = standalone.rest();
        eventually("millrace answers", Duration::from_secs(30), || rest.try_call("GET", "/connectors", None)).await;
        standalone
    }

    /// Its REST API.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest::new(format!("http://{}", self.rest))
    }

    /// `millrace describe connector NAME`: unlike the REST API, it has the warnings of a task that runs.
    ///
    /// # Panics
    /// When the command fails.
    #[must_use]
    pub fn describe(&self, connector: &str) -> String {
        let mut command = Command::new(millrace_binary());
        command.args(["describe", "connector", connector]).env("MILLRACE_SERVER", format!("http://{}", self.grpc));
        let output = command.output().expect("millrace describe");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "millrace describe: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// A folder for files of the scenario.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
