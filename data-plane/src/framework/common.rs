//! What sinks and sources share: rules across keys, and the names that follow from tenant and connector.

use millrace_sdk::{Flat, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::convert::{self, Role};
use crate::kafka::client::{self, ClientKind};
use crate::model::TaskId;

/// What happens to records that can never be converted or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tolerance {
    /// The task fails at such a record
    #[default]
    None,
    /// Such records are skipped (and dead-lettered, when a topic for them is set)
    All,
    /// As `all`: what passes by itself is tried again either way
    Data,
}

/// The tenant that exists when authentication is off; its names are Kafka Connect's own.
pub const DEFAULT_TENANT: &str = "default";

/// The consumer group of a sink.
#[must_use]
pub fn group_id(tenant: &str, connector: &str) -> String {
    if tenant == DEFAULT_TENANT { format!("connect-{connector}") } else { format!("millrace.{tenant}.{connector}") }
}

/// The static member of that group which a task is, wherever it runs, as long as it reads the same topics. A static member
/// that comes back keeps its partitions, and the broker does not look whether it subscribes to something else now: a task
/// whose topics were changed must be another member.
#[must_use]
pub fn instance_id(task: &TaskId, topics: &[String], topics_regex: &str) -> String {
    let mut names: Vec<&str> = topics.iter().map(|topic| topic.trim()).collect();
    names.sort_unstable();
    // FNV-1a: the same in every version and on every machine.
    let bytes = names.iter().flat_map(|name| name.bytes().chain([b',']));
    let hash = bytes
        .chain(topics_regex.trim().bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("{}.{}-{}-{hash:08x}", task.tenant, task.connector, task.index)
}

/// The topic with a tenant's source offsets.
#[must_use]
pub fn offsets_topic(tenant: &str, tenant_settings: &Flat) -> String {
    match tenant_settings.get("offset.storage.topic") {
        Some(topic) => topic.clone(),
        None if tenant == DEFAULT_TENANT => "millrace-offsets".to_owned(),
        None => format!("millrace-{tenant}-offsets"),
    }
}

/// Problems of the keys that sinks and sources share.
pub(super) fn problems(flat: &Flat, clients: &[ClientKind]) -> Vec<Problem> {
    let mut problems = Vec::new();
    if flat.get("name").is_some_and(|name| name.trim().is_empty()) {
        problems.push(Problem::new("name", "Invalid value  for configuration name: String must be non-empty"));
    }
    for role in [Role::Key, Role::Value, Role::Header] {
        let key = role.config_key();
        if let Some(class) = flat.get(key)
            && let Err(message) = convert::check_class(role, class)
        {
            problems.push(Problem::new(key, format!("Invalid value {class} for configuration {key}: {message}")));
        }
    }
    for kind in clients {
        problems.extend(client::override_problems(*kind, flat));
    }
    problems
}
