//! The sink's keys: names and defaults of MongoDB's Kafka connector. Strategies are class names, with or without their Java
//! package; what they become is in `settings`.

mod topic;

use millrace_sdk::{Config, Flat, Problem, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::topic::OVERRIDE_PREFIX;
pub use self::topic::TopicConfig;
use super::settings::Settings;
use crate::client::{Connection, PATTERNS};

/// Keys of the MongoDB sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// How to reach MongoDB
    #[serde(flatten)]
    pub connection: Connection,
    /// What each topic may have for itself
    #[serde(flatten)]
    pub topic: TopicConfig,
    /// Client-side field level encryption is not available: `true` is refused.
    #[serde(rename = "csfle.enabled", default)]
    #[schemars(extend("x-group" = "Client-Side Field Level Encryption"))]
    pub csfle: bool,
    /// The collection of the keys; without effect as long as `csfle.enabled` is refused.
    #[serde(rename = "csfle.key.vault.namespace", default)]
    #[schemars(extend("x-group" = "Client-Side Field Level Encryption"))]
    pub csfle_vault: String,
    /// The local master key; without effect as long as `csfle.enabled` is refused.
    #[serde(rename = "csfle.local.master.key", default)]
    #[schemars(extend("x-group" = "Client-Side Field Level Encryption"))]
    pub csfle_key: Option<Secret>,
    /// Which fields to encrypt; without effect as long as `csfle.enabled` is refused.
    #[serde(rename = "csfle.schema.map", default)]
    #[schemars(extend("x-group" = "Client-Side Field Level Encryption"))]
    pub csfle_schema: String,
    /// Whether encryption is left to the application; without effect as long as `csfle.enabled` is refused.
    #[serde(rename = "csfle.bypass.query.analysis", default = "yes")]
    #[schemars(extend("x-group" = "Client-Side Field Level Encryption", "x-importance" = "low"))]
    pub csfle_bypass: bool,
    /// Keys with a variable part.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Flat,
}

fn yes() -> bool {
    true
}

impl Config for SinkConfig {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        (OVERRIDE_PREFIX, "", "`topic.override.<topic>.<key>`: the value of a key for the records of one topic"),
        PATTERNS[0],
    ];

    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("provider", "it only tells MongoDB's hosted service who runs the connector"),
        ("max.num.retries", "what passes by itself is tried again for as long as it takes, with back-off"),
        ("retries.defer.timeout", "the framework backs off with jitter"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = self.connection.check(flat);
        if self.csfle {
            problems.push(Problem::new(
                "csfle.enabled",
                "csfle.enabled is not supported: client-side field level encryption needs MongoDB's own library beside the \
                 driver, which Millrace does not carry; encrypt the fields before they reach Kafka",
            ));
        }
        if let Err(found) = Settings::resolve(self) {
            problems.extend(found);
        }
        problems
    }
}

#[cfg(test)]
pub(super) mod tests;
