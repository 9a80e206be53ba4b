//! What a worker is told at its start. Plain data; how it is read (flags, environment, file) is the binary's matter.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::catalog::FileAccess;

/// The settings of a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Its name, the same after a restart and unique among the workers; without one `<host name>-<port of listen>`
    pub id: Option<String>,
    /// Where health and metrics are served; None serves nothing
    pub listen: Option<SocketAddr>,
    /// The `host:port` shown as `worker_id`; without one the address of `listen`
    pub address: Option<String>,
    /// What placement rules may ask for
    pub labels: BTreeMap<String, String>,
    /// The sum of the weights of tasks that it takes
    pub capacity: u32,
    /// Whether connectors may read and write files of this worker
    pub allow_file_connectors: bool,
    /// The folders they are kept to; none means any file
    pub file_roots: Vec<PathBuf>,
    /// How long a task may take to stop in good order, in milliseconds
    pub stop_timeout_ms: u64,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            id: None,
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 9464))),
            address: None,
            labels: BTreeMap::new(),
            capacity: 1000,
            allow_file_connectors: false,
            file_roots: Vec::new(),
            stop_timeout_ms: 5000,
        }
    }
}

impl WorkerConfig {
    /// What file connectors may do.
    #[must_use]
    pub fn file_access(&self) -> FileAccess {
        match (self.allow_file_connectors, self.file_roots.is_empty()) {
            (false, _) => FileAccess::Refused,
            (true, true) => FileAccess::Anywhere,
            (true, false) => FileAccess::Below(self.file_roots.clone()),
        }
    }

    pub(super) fn stop_timeout(&self) -> Duration {
        Duration::from_millis(self.stop_timeout_ms.max(1))
    }

    /// Id and address of a worker that listens at `bound`.
    pub(super) fn identity(&self, bound: Option<SocketAddr>, host: &str) -> (String, String) {
        let address = self.address.clone().unwrap_or_else(|| match bound {
            // Nobody can connect to "any address": show the host's name.
            Some(bound) if bound.ip().is_unspecified() => format!("{host}:{}", bound.port()),
            Some(bound) => bound.to_string(),
            None => format!("{host}:0"),
        });
        let id = self.id.clone().unwrap_or_else(|| match bound {
            Some(bound) => format!("{host}-{}", bound.port()),
            None => host.to_owned(),
        });
        (id, address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_of_a_host_have_two_names() {
        let config = WorkerConfig::default();
        let at = |port| Some(SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(config.identity(at(9464), "h"), ("h-9464".to_owned(), "127.0.0.1:9464".to_owned()));
        assert_eq!(config.identity(at(9465), "h").0, "h-9465");
        let everywhere = Some(SocketAddr::from(([0, 0, 0, 0], 9464)));
        assert_eq!(config.identity(everywhere, "h").1, "h:9464");
        let named = WorkerConfig { id: Some("w1".to_owned()), address: Some("w1.x:1".to_owned()), ..config };
        assert_eq!(named.identity(at(9464), "h"), ("w1".to_owned(), "w1.x:1".to_owned()));
    }

    #[test]
    fn file_connectors_are_off_unless_told() {
        let mut config = WorkerConfig::default();
        assert_eq!(config.file_access(), FileAccess::Refused);
        config.allow_file_connectors = true;
        assert_eq!(config.file_access(), FileAccess::Anywhere);
        config.file_roots = vec!["/data".into()];
        assert_eq!(config.file_access(), FileAccess::Below(vec!["/data".into()]));
    }

    #[test]
    fn settings_have_defaults_and_typing_errors_are_found() {
        let config: WorkerConfig = serde_json::from_str(r#"{"id":"w1","capacity":5}"#).unwrap();
        assert_eq!((config.id.as_deref(), config.capacity, config.stop_timeout_ms), (Some("w1"), 5, 5000));
        assert!(serde_json::from_str::<WorkerConfig>(r#"{"capcity":5}"#).is_err());
    }
}
