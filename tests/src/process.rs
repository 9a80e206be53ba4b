//! Child processes that end with the scenario: started with a log file of their own, signalled by pid, killed on drop.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A port that was free a moment ago.
///
/// # Panics
/// When loopback has no free port.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// The `millrace` binary beside this test binary; `MILLRACE_BIN` names another.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn millrace_binary() -> PathBuf {
    if let Ok(path) = std::env::var("MILLRACE_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().expect("the test's own path");
    let path = test.ancestors().nth(2).expect("target/debug").join("millrace");
    assert!(path.exists(), "{} is not there: cargo build --workspace --bin millrace", path.display());
    path
}

/// What `deploy/local/servers` has installed for a server.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn installed(name: &str, server: &str) -> PathBuf {
    let cache = std::env::var("MILLRACE_CACHE").map(PathBuf::from).unwrap_or_else(|_| {
        // As in deploy/local/lib/common.sh.
        let home = PathBuf::from(std::env::var("HOME").unwrap_or_default());
        if home == Path::new("/root") { "/var/cache/millrace".into() } else { home.join(".cache/millrace") }
    });
    let path = cache.join(name);
    assert!(path.exists(), "{} is not there: deploy/local/servers install {server}", path.display());
    path
}

/// A running process of the scenario.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `<directory>/<name>.log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, directory: &Path, command: &mut Command) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it is still there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`, `KILL`.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status();
        assert!(status.is_ok_and(|s| s.success()), "cannot send {signal} to {}", self.name);
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill_9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end; answers the exit code.
    ///
    /// # Panics
    /// When it does not end in time.
    #[expect(clippy::disallowed_methods, reason = "a scenario waits here for nothing else")]
    pub fn terminate(&mut self, limit: Duration) -> Option<i32> {
        self.signal("TERM");
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{} did not end within {limit:?} of SIGTERM:\n{}", self.name, self.log());
    }

    /// Resident memory in KiB and number of threads.
    #[must_use]
    pub fn footprint(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let number = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| rest.split_whitespace().next())
                .and_then(|text| text.parse().ok())
                .unwrap_or(0)
        };
        (number("VmRSS:"), number("Threads:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A frozen process takes SIGKILL too.
        self.kill_9();
        if std::thread::panicking() && self.name != "etcd" {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- last lines of {} ---\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
