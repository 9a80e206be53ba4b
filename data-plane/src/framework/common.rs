//! What sinks and sources share: keys, rules across keys, and the names that follow from tenant and connector.

use std::time::Duration;

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

/// What every connector is told besides its own keys and those of its kind.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CommonSettings {
    /// Globally unique name to use for this connector.
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub name: String,
    /// Name or alias of the class for this connector, such as `mongodb-sink` or
    /// `com.mongodb.kafka.connect.MongoSinkConnector`.
    #[serde(rename = "connector.class")]
    #[schemars(extend("x-group" = "Common", "x-importance" = "high", "x-class" = true))]
    pub class: String,
    /// Maximum number of tasks to use for this connector.
    #[serde(rename = "tasks.max", default = "one")]
    #[schemars(range(min = 1), extend("x-group" = "Common", "x-importance" = "high"))]
    pub tasks_max: i32,
    /// Converter of keys: `json`, `string`, `bytes`, `boolean`, `short`, `integer`, `long`,
    /// `float`, `double`, or the Java class of one of them. The default is the tenant's.
    #[serde(rename = "key.converter", default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "low", "x-class" = true))]
    pub key_converter: Option<String>,
    /// Converter of values: `json`, `string`, `bytes`, `boolean`, `short`, `integer`, `long`,
    /// `float`, `double`, or the Java class of one of them. The default is the tenant's.
    #[serde(rename = "value.converter", default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "low", "x-class" = true))]
    pub value_converter: Option<String>,
    /// Converter of headers: `simple` (text is read as the value it looks like; the default), or one of those for keys and
    /// values, or the Java class of one of them.
    #[serde(rename = "header.converter", default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "low", "x-class" = true))]
    pub header_converter: Option<String>,
    /// Aliases for the transformations to be applied to records, in order. What each is and does stands under
    /// `transforms.<alias>.type`, `transforms.<alias>.predicate`, `transforms.<alias>.negate` and its own options.
    #[serde(default)]
    #[schemars(extend("x-group" = "Transforms", "x-importance" = "low"))]
    pub transforms: Vec<String>,
    /// Aliases for the predicates used by transformations; `predicates.<alias>.type` and their own options.
    #[serde(default)]
    #[schemars(extend("x-group" = "Predicates", "x-importance" = "low"))]
    pub predicates: Vec<String>,
    /// Behaviour for tolerating records that can never be converted, transformed or written: `none` fails the task at such a
    /// record, `all` skips it, and keeps it in the dead-letter topic where one is named.
    #[serde(rename = "errors.tolerance", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub tolerance: Tolerance,
    /// How long what failed for a passing reason is tried again in place, in milliseconds; 0 and -1 are for as long as it
    /// takes. Afterwards the task is restarted with back-off, here or on another worker: no record is given up for a reason
    /// that passes.
    #[serde(rename = "errors.retry.timeout", default)]
    #[schemars(range(min = -1), extend("x-group" = "Error Handling"))]
    pub retry_timeout_ms: i64,
    /// Maximum delay in milliseconds between consecutive tries; jitter is added.
    #[serde(rename = "errors.retry.delay.max.ms", default = "a_minute")]
    #[schemars(range(min = 1), extend("x-group" = "Error Handling"))]
    pub retry_delay_max_ms: i64,
    /// Write each error, with the coordinates of the record, to the log.
    #[serde(rename = "errors.log.enable", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub log_errors: bool,
    /// Whether the log line includes the key, value and headers of the record that failed. They may be confidential.
    #[serde(rename = "errors.log.include.messages", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub log_records: bool,
    /// The topic for records that can never be converted, transformed or written, with `errors.tolerance=all`. Empty means
    /// none. For sources too, where Kafka Connect has none.
    #[serde(rename = "errors.deadletterqueue.topic.name", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_topic: String,
    /// Replication factor used to create the dead letter queue topic when it doesn't already exist.
    #[serde(rename = "errors.deadletterqueue.topic.replication.factor", default = "three")]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_replication: i32,
    /// Whether headers with the cause are added to the records in the dead letter queue; their names start with
    /// `__connect.errors.` and `__millrace.errors.`.
    #[serde(rename = "errors.deadletterqueue.context.headers.enable", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_headers: bool,
    /// Whether a new configuration is tried against the store before it is accepted. A store that cannot be reached only
    /// gives a warning.
    #[serde(rename = "millrace.check.on.create", default = "yes")]
    #[schemars(extend("x-group" = "Millrace"))]
    pub check_on_create: bool,
    /// How often offsets of a sink, or positions of a source, are committed. Kafka Connect's default is 60000; here it is
    /// shorter, because it bounds how much is done again after a crash and costs one small request.
    #[serde(rename = "offset.flush.interval.ms", default = "five_seconds")]
    #[schemars(range(min = 100), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub commit_interval_ms: i64,
}

impl CommonSettings {
    /// How long what fails for a passing reason is tried again before the task is restarted; None for ever.
    #[must_use]
    pub fn retry_timeout(&self) -> Option<Duration> {
        u64::try_from(self.retry_timeout_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// The longest delay between tries.
    #[must_use]
    pub fn retry_delay_max(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.retry_delay_max_ms).unwrap_or(1))
    }

    /// Between two commits.
    #[must_use]
    pub fn commit_interval(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.commit_interval_ms).unwrap_or(5000))
    }
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

/// The transactional id of a source's task that runs exactly once, wherever it runs: it fences the life before it.
#[must_use]
pub fn transactional_id(task: &TaskId) -> String {
    format!("millrace.{}.{}-{}", task.tenant, task.connector, task.index)
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

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

fn yes() -> bool {
    true
}

fn five_seconds() -> i64 {
    5000
}

fn a_minute() -> i64 {
    60_000
}
