//! The settings of a control plane. Plain data: the binary fills it from flags, environment and file.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use millrace_sdk::{Flat, Secret};
use serde::Deserialize;

/// What a control plane is started with. Listeners that are `None` are not opened; port 0 takes a free one.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlPlaneConfig {
    /// The gRPC API (`millrace.v1`, reflection, health)
    pub grpc_listen: Option<SocketAddr>,
    /// Worker sessions; needs `worker_token`
    pub sessions_listen: Option<SocketAddr>,
    /// Kafka Connect's REST API
    pub rest_listen: Option<SocketAddr>,
    /// What workers show on the sessions listener
    pub worker_token: Option<Secret>,
    /// What callers of both APIs show; without it the APIs listen on loopback only
    pub api_token: Option<Secret>,
    /// Seals secrets in the store: 32 bytes in base64
    pub sealing_key: Option<Secret>,
    /// The same from a file: 32 raw bytes or their base64
    pub sealing_key_file: Option<PathBuf>,
    /// Settings by tenant, as in a Connect worker's properties; what the store holds of a tenant goes before these
    pub tenants: BTreeMap<String, Flat>,
    /// Answered as `kafka_cluster_id`; `unknown` by default, since the control plane talks to no Kafka
    pub cluster_id: Option<String>,
    /// This replica's name in the election; by default a random one
    pub replica_id: Option<String>,
    /// Times
    pub times: Times,
}

/// Times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// Between two reports of a worker
    pub report_ms: u64,
    /// How long a worker may act after sending a report that was acknowledged
    pub worker_lease_ms: u64,
    /// How long the store keeps a worker, and a leader, unheard
    pub store_lease_ms: u64,
    /// For an answer of a worker (validation, check, planning)
    pub ask_timeout_ms: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { report_ms: 1000, worker_lease_ms: 4000, store_lease_ms: 6000, ask_timeout_ms: 10_000 }
    }
}

impl Times {
    /// See `report_ms`
    #[must_use]
    pub fn report(&self) -> Duration {
        Duration::from_millis(self.report_ms)
    }
    /// See `worker_lease_ms`
    #[must_use]
    pub fn worker_lease(&self) -> Duration {
        Duration::from_millis(self.worker_lease_ms)
    }
    /// See `store_lease_ms`
    #[must_use]
    pub fn store_lease(&self) -> Duration {
        Duration::from_millis(self.store_lease_ms)
    }
    /// See `ask_timeout_ms`
    #[must_use]
    pub fn ask_timeout(&self) -> Duration {
        Duration::from_millis(self.ask_timeout_ms)
    }
}

impl Default for ControlPlaneConfig {
    fn default() -> Self {
        let local = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        Self {
            grpc_listen: local(7070),
            sessions_listen: local(7071),
            rest_listen: local(8083),
            worker_token: None,
            api_token: None,
            sealing_key: None,
            sealing_key_file: None,
            tenants: BTreeMap::new(),
            cluster_id: None,
            replica_id: None,
            times: Times::default(),
        }
    }
}

/// What is wrong with a [`ControlPlaneConfig`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// An API on a public address without a token
    #[error(
        "{setting} = {address} is reachable from other machines, but no {credential} is set: set it, or bind to 127.0.0.1"
    )]
    Insecure {
        /// The setting
        setting: &'static str,
        /// Its value
        address: SocketAddr,
        /// What is missing
        credential: &'static str,
    },
    /// Sessions without a credential
    #[error("worker sessions (sessions_listen = {0}) need a worker_token, known to this control plane and its workers")]
    NoWorkerToken(SocketAddr),
    /// No key
    #[error(
        "no sealing_key or sealing_key_file: secrets in the store are encrypted with it; 32 random bytes in base64 will do"
    )]
    NoSealingKey,
    /// A key that is none
    #[error("the sealing key is not usable: {0}")]
    BadSealingKey(String),
    /// Times that cannot work together
    #[error("times do not fit: {0}")]
    Times(&'static str),
    /// A tenant that cannot be
    #[error("\"{0}\" cannot name a tenant: use 1 to 63 of a-z, 0-9 and -")]
    TenantName(String),
}

impl ControlPlaneConfig {
    /// Whether it can work, and safely.
    ///
    /// # Errors
    /// The first problem found.
    pub fn check(&self) -> Result<(), ConfigError> {
        let api = [("grpc_listen", self.grpc_listen), ("rest_listen", self.rest_listen)];
        for (setting, address) in api {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback() && self.api_token.is_none()) {
                return Err(ConfigError::Insecure { setting, address, credential: "api_token" });
            }
        }
        if let Some(address) = self.sessions_listen
            && self.worker_token.as_ref().is_none_or(|token| token.reveal().is_empty())
        {
            return Err(ConfigError::NoWorkerToken(address));
        }
        if self.sealing_key.is_none() && self.sealing_key_file.is_none() {
            return Err(ConfigError::NoSealingKey);
        }
        if self.times.report_ms == 0 || self.times.report_ms * 2 > self.times.worker_lease_ms {
            return Err(ConfigError::Times("worker_lease_ms must be at least twice report_ms, and that above 0"));
        }
        if self.times.worker_lease_ms >= self.times.store_lease_ms {
            return Err(ConfigError::Times("store_lease_ms must be above worker_lease_ms, or a task could run twice"));
        }
        match self.tenants.keys().find(|name| !valid_tenant(name)) {
            Some(name) => Err(ConfigError::TenantName(name.clone())),
            None => Ok(()),
        }
    }
}

/// Whether a text may name a tenant.
#[must_use]
pub fn valid_tenant(name: &str) -> bool {
    (1..=63).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> ControlPlaneConfig {
        ControlPlaneConfig {
            worker_token: Some(Secret::new("t")),
            sealing_key: Some(Secret::new("k")),
            ..ControlPlaneConfig::default()
        }
    }

    #[test]
    fn what_is_unsafe_is_refused() {
        assert_eq!(good().check(), Ok(()));
        let public: SocketAddr = "0.0.0.0:8083".parse().unwrap();
        let config = ControlPlaneConfig { rest_listen: Some(public), ..good() };
        assert!(matches!(config.check(), Err(ConfigError::Insecure { setting: "rest_listen", .. })));
        let config = ControlPlaneConfig { rest_listen: Some(public), api_token: Some(Secret::new("a")), ..good() };
        assert_eq!(config.check(), Ok(()));
        let config = ControlPlaneConfig { worker_token: None, ..good() };
        assert!(matches!(config.check(), Err(ConfigError::NoWorkerToken(_))));
        let config = ControlPlaneConfig { worker_token: None, sessions_listen: None, ..good() };
        assert_eq!(config.check(), Ok(()));
        let config = ControlPlaneConfig { sealing_key: None, ..good() };
        assert_eq!(config.check(), Err(ConfigError::NoSealingKey));
        let times = Times { store_lease_ms: 4000, ..Times::default() };
        assert!(matches!(ControlPlaneConfig { times, ..good() }.check(), Err(ConfigError::Times(_))));
        let tenants = BTreeMap::from([("Größe".to_owned(), Flat::new())]);
        assert!(matches!(ControlPlaneConfig { tenants, ..good() }.check(), Err(ConfigError::TenantName(_))));
    }
}
