//! The keys of the Cassandra sink: the DataStax connector's own, with its defaults.

use millrace_sdk::{Config, Flat, Problem, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::tables;

/// Compression of the native protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Compression {
    /// No compression
    #[default]
    None,
    /// LZ4
    Lz4,
    /// Snappy
    Snappy,
}

/// How to prove who we are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuthProvider {
    /// Anonymous, unless a user name is given
    #[default]
    None,
    /// User name and password
    Plain,
    /// As PLAIN (the name used by older versions)
    Dse,
    /// Kerberos: not available yet
    Gssapi,
}

/// Which errors drop a record instead of failing the task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IgnoreErrors {
    /// None: `errors.tolerance` decides about records that can never be written
    #[default]
    None,
    /// Records that can never be written are dropped and counted
    All,
    /// Records that the database refuses are dropped; a database that is away is waited for all the same
    Driver,
}

/// The sink's configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// Hosts of the cluster to ask first, each with or without `:port`.
    #[serde(rename = "contactPoints", default = "default_contact_points")]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "high"))]
    pub contact_points: Vec<String>,
    /// The port of contact points that name none.
    #[serde(default = "default_port")]
    #[schemars(range(min = 1, max = 65_535), extend("x-group" = "Connection", "x-importance" = "high"))]
    pub port: i32,
    /// The data centre that requests go to; required when contact points are given.
    #[serde(rename = "loadBalancing.localDc", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "high"))]
    pub local_dc: Option<String>,
    /// How to authenticate: NONE or PLAIN (GSSAPI is not available yet).
    #[serde(rename = "auth.provider", default)]
    #[schemars(extend("x-group" = "Security"))]
    pub auth_provider: AuthProvider,
    /// The user name.
    #[serde(rename = "auth.username", default)]
    #[schemars(extend("x-group" = "Security"))]
    pub username: Option<String>,
    /// The password.
    #[serde(rename = "auth.password", default)]
    #[schemars(extend("x-group" = "Security"))]
    pub password: Option<Secret>,
    /// The keyspace of `mapping`, for a connector whose topics all go to one table.
    #[serde(default)]
    #[schemars(extend("x-group" = "Tables"))]
    pub keyspace: Option<String>,
    /// The table of `mapping`; `${topic}` stands for the topic.
    #[serde(default)]
    #[schemars(extend("x-group" = "Tables"))]
    pub table: Option<String>,
    /// As `table`; the table named in a `topic.….mapping` key wins over it.
    #[serde(rename = "table.name.format", default)]
    #[schemars(extend("x-group" = "Tables"))]
    pub table_name_format: Option<String>,
    /// The mapping of all topics that have no `topic.….mapping` of their own: `column=key.field, column=value.field, …`.
    #[serde(default)]
    #[schemars(extend("x-group" = "Tables", "x-importance" = "high"))]
    pub mapping: Option<String>,
    /// The most requests under way at once, per task.
    #[serde(rename = "maxConcurrentRequests", default = "default_concurrency")]
    #[schemars(range(min = 1, max = 32_768), extend("x-group" = "Writes"))]
    pub max_concurrent_requests: i32,
    /// The most rows of one partition key that are sent as one unlogged batch.
    #[serde(rename = "maxNumberOfRecordsInBatch", default = "default_batch")]
    #[schemars(range(min = 1, max = 65_535), extend("x-group" = "Writes"))]
    pub max_batch: i32,
    /// Seconds after which a request that got no answer is tried again.
    #[serde(rename = "queryExecutionTimeout", default = "default_timeout")]
    #[schemars(range(min = 1, max = 86_400), extend("x-group" = "Writes"))]
    pub query_timeout_seconds: i32,
    /// Connections to each node of the local data centre.
    #[serde(rename = "connectionPoolLocalSize", default = "default_pool")]
    #[schemars(range(min = 1, max = 1_024), extend("x-group" = "Connection"))]
    pub pool_size: i32,
    /// Compression between the worker and the cluster.
    #[serde(default)]
    #[schemars(extend("x-group" = "Connection"))]
    pub compression: Compression,
    /// None, All or Driver: whether records that can never be written are dropped. Prefer `errors.tolerance=all` with a
    /// dead-letter topic, which keeps them.
    #[serde(rename = "ignoreErrors", default)]
    #[schemars(extend("x-group" = "Writes"))]
    pub ignore_errors: IgnoreErrors,
    /// The keys of `topic.<topic>.<keyspace>.<table>.<setting>`.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Flat,
}

fn default_contact_points() -> Vec<String> {
    vec!["127.0.0.1".to_owned()]
}

fn default_port() -> i32 {
    9042
}

fn default_concurrency() -> i32 {
    500
}

fn default_batch() -> i32 {
    32
}

fn default_timeout() -> i32 {
    30
}

fn default_pool() -> i32 {
    4
}

impl SinkConfig {
    /// `host:port` of each contact point; a port written there wins over `port`.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.contact_points.iter().map(|point| with_port(point, self.port)).collect()
    }
}

fn with_port(point: &str, port: i32) -> String {
    let colons = point.bytes().filter(|b| *b == b':').count();
    if point.starts_with('[') {
        return if point.contains("]:") { point.to_owned() } else { format!("{point}:{port}") };
    }
    match colons {
        0 => format!("{point}:{port}"),
        1 => point.to_owned(),
        _ => format!("[{point}]:{port}"), // a bare IPv6 address
    }
}

/// Whether `host:port` (made by [`with_port`]) is one.
fn is_address(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && !host.contains(|c: char| c.is_whitespace() || c == '/')
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

impl Config for SinkConfig {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("topic.", ".mapping", "topic.<topic>.<keyspace>.<table>.mapping: which field goes to which column"),
        ("topic.", ".consistencyLevel", "consistency of writes to the table (LOCAL_ONE)"),
        ("topic.", ".ttl", "time to live of inserted rows, in ttlTimeUnit (-1: none)"),
        ("topic.", ".ttlTimeUnit", "unit of ttl and of __ttl (SECONDS)"),
        ("topic.", ".timestampTimeUnit", "unit of __timestamp (MICROSECONDS)"),
        ("topic.", ".nullToUnset", "whether null leaves a column as it is (true) or empties it (false)"),
        ("topic.", ".deletesEnabled", "whether a record without a value deletes the row (true)"),
        ("topic.", ".query", "a statement of one's own: not available yet"),
        ("topic.", ".codec.locale", "formats of text: not available yet"),
        ("topic.", ".codec.timeZone", "formats of text: not available yet"),
        ("topic.", ".codec.timestamp", "formats of text: not available yet"),
        ("topic.", ".codec.date", "formats of text: not available yet"),
        ("topic.", ".codec.time", "formats of text: not available yet"),
        ("topic.", ".codec.unit", "unit of numbers in timestamp columns: not available yet"),
    ];
    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("jmx", "there is no JMX here; metrics go out by OpenTelemetry and at /metrics"),
        ("jmxConnectorDomain", "there is no JMX here; metrics go out by OpenTelemetry and at /metrics"),
        ("metricsHighestLatency", "latency histograms here need no bound"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = self.check_connection(flat);
        if let Err(more) = tables::resolve(self, &tables::topics(flat)) {
            problems.extend(more);
        }
        problems
    }
}

impl SinkConfig {
    fn check_connection(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (point, address) in self.contact_points.iter().zip(self.addresses()) {
            if !is_address(&address) {
                problems.push(Problem::new(
                    "contactPoints",
                    format!("contactPoints: {point:?} is not a host or host:port"),
                ));
            }
        }
        if self.contact_points.is_empty() {
            problems.push(Problem::new("contactPoints", "contactPoints names no host"));
        }
        if flat.contains_key("contactPoints") && self.local_dc.as_deref().is_none_or(|dc| dc.trim().is_empty()) {
            problems.push(Problem::new(
                "loadBalancing.localDc",
                "when contactPoints is given, loadBalancing.localDc must also be given (nodetool status shows its name)",
            ));
        }
        if self.auth_provider == AuthProvider::Gssapi {
            problems.push(Problem::new("auth.provider", "auth.provider=GSSAPI is not available yet; use PLAIN"));
        }
        if self.auth_provider != AuthProvider::None && (self.username.is_none() || self.password.is_none()) {
            problems.push(Problem::new("auth.username", "auth.provider needs auth.username and auth.password"));
        }
        if self.username.is_some() != self.password.is_some() {
            problems.push(Problem::new("auth.password", "auth.username and auth.password go together; one is missing"));
        }
        for key in flat.keys().filter(|key| refused(key)) {
            problems.push(Problem::new(
                key,
                format!("{key} is not available yet; without it the connection would not be the one asked for"),
            ));
        }
        problems
    }
}

/// Keys of the peer that change security or the target and that we cannot honour must not be ignored.
fn refused(key: &str) -> bool {
    key.starts_with("ssl.") || key == "cloud.secureConnectBundle" || key.starts_with("auth.gssapi.")
}

#[cfg(test)]
mod tests;
