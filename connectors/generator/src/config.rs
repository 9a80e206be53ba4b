//! The keys of the generator and of the null sink.

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::content::smallest;

/// The null sink has no keys of its own.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct SinkConfig {}

impl Config for SinkConfig {}

/// Keys of the generator.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SourceConfig {
    /// The topic that the records go to.
    #[schemars(extend("x-group" = "Generator", "x-importance" = "high"))]
    pub topic: String,
    /// Records per second; 0 is as fast as they can be produced.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000_000), extend("x-group" = "Generator", "x-importance" = "high"))]
    pub rate: i64,
    /// Bytes of a record's value as JSON, without the envelope of a schema; a text field is as long as that takes.
    #[serde(default = "default_size")]
    #[schemars(range(min = 1, max = 16_777_216), extend("x-group" = "Generator"))]
    pub size: i64,
    /// How many different keys the records have; 0 is none.
    #[serde(default = "default_keys")]
    #[schemars(range(min = 0), extend("x-group" = "Generator"))]
    pub keys: i64,
    /// How many records there are in all; 0 is no end.
    #[serde(default)]
    #[schemars(range(min = 0), extend("x-group" = "Generator"))]
    pub count: i64,
    /// Equal seeds make equal records.
    #[serde(default)]
    #[schemars(extend("x-group" = "Generator", "x-importance" = "low"))]
    pub seed: i64,
    /// Whether the values have a schema, as those of a database do; without one they are JSON.
    #[serde(default)]
    #[schemars(extend("x-group" = "Generator"))]
    pub schema: bool,
    /// The most records that are handed on at once.
    #[serde(rename = "batch.size", default = "default_batch_size")]
    #[schemars(range(min = 1, max = 1_000_000), extend("x-group" = "Generator", "x-importance" = "low"))]
    pub batch_size: i32,
}

fn default_size() -> i64 {
    242
}

fn default_keys() -> i64 {
    1000
}

fn default_batch_size() -> i32 {
    1000
}

impl Config for SourceConfig {
    fn check(&self, _: &Flat) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.topic.trim().is_empty() {
            problems.push(Problem::new("topic", "topic must not be empty"));
        }
        let smallest = smallest();
        if usize::try_from(self.size).is_ok_and(|size| size < smallest) {
            let message = format!("a record takes at least {smallest} bytes; size is {}", self.size);
            problems.push(Problem::new("size", message));
        }
        problems
    }
}
