//! The sink's keys: MongoDB's Kafka connector's names and defaults.

use millrace_sdk::{Config, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of the MongoDB sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// Connection string, as MongoDB drivers take it.
    #[serde(rename = "connection.uri")]
    pub uri: Secret,
    /// The database to write into.
    #[serde(rename = "database")]
    pub database: String,
}

impl Config for SinkConfig {}
