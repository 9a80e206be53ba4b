//! The end-to-end harness: real processes, real servers, faults by signal. Scenarios are in `tests/tests/*.rs`.
//!
//! The servers (Kafka, MongoDB, Cassandra, Elasticsearch) are shared by all scenarios and found through the environment
//! that `deploy/local/servers env` prints; each scenario has an etcd, control planes and workers of its own, and topics,
//! connectors and tables with names of its own. Everything a scenario started ends with it, whatever happens.

pub mod certificates;
pub mod cluster;
pub mod kafka;
pub mod kafka_cluster;
pub mod process;
pub mod proxy;
pub mod replica_set;
pub mod rest;
pub mod standalone;
pub mod stores;
pub mod wait;
pub mod workload;

/// The address of a server, from the environment.
///
/// # Panics
/// When it is not set: `make test` sets it; by hand, `eval "$(deploy/local/servers env)"`.
#[must_use]
pub fn server(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `make test`, or `deploy/local/servers up` and `eval \"$(deploy/local/servers env)\"`")
    })
}

/// A name that no other scenario or run has: `prefix` and a random part, good for topics, tables and connectors.
#[must_use]
pub fn unique(prefix: &str) -> String {
    use std::hash::{BuildHasher, Hasher};
    let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
    format!("{prefix}_{:08x}", random & 0xffff_ffff)
}
