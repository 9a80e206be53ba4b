//! The keys of Connect's file connectors.

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

/// Keys of the file source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SourceConfig {
    /// The file to read, line by line. It may appear later; it is followed as it grows.
    #[schemars(extend("x-group" = "File", "x-importance" = "high"))]
    pub file: String,
    /// The topic that the lines go to.
    #[schemars(extend("x-group" = "File", "x-importance" = "high"))]
    pub topic: String,
    /// The most lines that are handed on at once.
    #[serde(rename = "batch.size", default = "default_batch_size")]
    #[schemars(range(min = 1, max = 1_000_000), extend("x-group" = "File", "x-importance" = "low"))]
    pub batch_size: i32,
}

fn default_batch_size() -> i32 {
    2000
}

impl Config for SourceConfig {
    fn check(&self, _: &Flat) -> Vec<Problem> {
        let mut problems = blank("file", &self.file);
        problems.extend(blank("topic", &self.topic));
        problems
    }
}

/// Keys of the file sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// The file to which each record's value is appended as a line. It is made when it does not exist.
    #[schemars(extend("x-group" = "File", "x-importance" = "high"))]
    pub file: String,
}

impl Config for SinkConfig {
    fn check(&self, _: &Flat) -> Vec<Problem> {
        blank("file", &self.file)
    }
}

/// Keys of the capture sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CaptureConfig {
    /// The file to which a line of JSON is appended for each record. It is made when it does not exist.
    #[schemars(extend("x-group" = "File", "x-importance" = "high"))]
    pub file: String,
}

impl Config for CaptureConfig {
    fn check(&self, _: &Flat) -> Vec<Problem> {
        blank("file", &self.file)
    }
}

fn blank(key: &str, value: &str) -> Vec<Problem> {
    if value.trim().is_empty() {
        return vec![Problem::new(key, format!("{key} must not be empty"))];
    }
    Vec::new()
}
