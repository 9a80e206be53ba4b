//! The sink's keys: Confluent's Elasticsearch sink's names and defaults.

use millrace_sdk::Config;
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of the Elasticsearch sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// Addresses of the cluster's nodes.
    #[serde(rename = "connection.url")]
    pub urls: Vec<String>,
}

impl Config for SinkConfig {}
