//! Starts `millrace` as a process on free ports, reads its log, ends it.

#![allow(clippy::disallowed_methods, reason = "a thread of a test waits for another process")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Three times what is promised, as all limits in tests.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(3);

/// The binary, without any settings of the environment the tests run in.
pub(crate) fn millrace() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MILLRACE_") || text.starts_with("OTEL_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    millrace().args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// A running `millrace standalone`; killed when dropped.
pub(crate) struct Standalone {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    pub(crate) rest: String,
    pub(crate) grpc: String,
    pub(crate) metrics: String,
    pub(crate) ready_after: Duration,
}

impl Standalone {
    /// Starts it in a folder and waits until it says that it is ready.
    pub(crate) fn start(directory: &Path, more: &[&str]) -> Self {
        let data_dir = directory.join("data");
        let started = Instant::now();
        let mut child = millrace()
            .current_dir(directory)
            .arg("standalone")
            .arg("--data-dir")
            .arg(&data_dir)
            .args(["--grpc-listen", "127.0.0.1:0", "--rest-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"])
            .args(["--log-format", "json"])
            .args(more)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("piped");
        let sink = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                sink.lock().expect("no panic while held").push(line);
            }
        });
        let mut this = Self {
            child,
            lines,
            rest: String::new(),
            grpc: String::new(),
            metrics: String::new(),
            ready_after: Duration::ZERO,
        };
        let ready = this.wait_for_line("millrace standalone is ready", Duration::from_secs(20));
        this.ready_after = started.elapsed();
        let text = |name: &str| ready[name].as_str().unwrap_or_default().to_owned();
        (this.rest, this.grpc, this.metrics) = (text("rest"), text("grpc"), text("metrics"));
        this
    }

    /// Waits for a log line with this message.
    pub(crate) fn wait_for_line(&mut self, message: &str, timeout: Duration) -> Value {
        let until = Instant::now() + timeout;
        loop {
            let lines = self.log();
            let found = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = found.into_iter().find(|line| line["message"] == message) {
                return line;
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("millrace ended with {status}:\n{}", lines.join("\n"));
            }
            assert!(Instant::now() < until, "no line \"{message}\" after {timeout:?}:\n{}", lines.join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All log lines so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.lines.lock().expect("no panic while held").clone()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let until = Instant::now() + timeout;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < until, "still running after {timeout:?}:\n{}", self.log().join("\n"));
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Standalone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
