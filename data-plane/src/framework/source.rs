//! The framework's keys of a source.

use std::time::Duration;

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSettings, problems};
use super::topic_creation::TopicCreation;
use crate::kafka::client::ClientKind;

/// Whether a source runs exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExactlyOnceSupport {
    /// If the connector can
    Requested,
    /// Or not at all
    Required,
}

/// Where the transactions of a source that runs exactly once end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionBoundary {
    /// With every batch that the connector returns
    #[default]
    Poll,
    /// After `transaction.boundary.interval.ms`
    Interval,
    /// Where the connector says
    Connector,
}

/// What a source is told besides its own connector's keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SourceSettings {
    /// The keys of every connector
    #[serde(flatten)]
    pub common: CommonSettings,
    /// `requested`: each record is in its topic exactly once, for consumers with `isolation.level=read_committed`, if the
    /// connector's positions allow it. `required`: a connector that cannot is refused. Unset, it is what the tenant's
    /// `exactly.once.source.support` says: `enabled` means requested, `disabled` (the default, as of a Kafka Connect worker) at
    /// least once.
    #[serde(rename = "exactly.once.support", default)]
    #[schemars(extend("x-group" = "Exactly Once Support"))]
    pub exactly_once: Option<ExactlyOnceSupport>,
    /// Where transactions end: `poll`, with every batch that the connector returns; `interval`, after
    /// `transaction.boundary.interval.ms`; `connector`, where the connector says, if it can. Only for sources that run exactly
    /// once.
    #[serde(rename = "transaction.boundary", default)]
    #[schemars(extend("x-group" = "Exactly Once Support"))]
    pub boundary: TransactionBoundary,
    /// With `transaction.boundary=interval`, the milliseconds after which a transaction ends; unset,
    /// `offset.flush.interval.ms`. A transaction that grows large ends earlier.
    #[serde(rename = "transaction.boundary.interval.ms", default)]
    #[schemars(range(min = 1), extend("x-group" = "Exactly Once Support", "x-importance" = "low"))]
    pub boundary_interval_ms: Option<i64>,
    /// The topic for this connector's positions, in the place of the tenant's. Created if it does not exist. Positions in the
    /// tenant's topic count until there are some in this one.
    #[serde(rename = "offsets.storage.topic", default)]
    #[schemars(extend("x-group" = "Exactly Once Support", "x-importance" = "low"))]
    pub offsets_topic: Option<String>,
    /// Groups of topics that are created with settings of their own, the first whose `topic.creation.<group>.include` matches
    /// the topic. What no group takes is created as `topic.creation.default.*` says.
    #[serde(rename = "topic.creation.groups", default)]
    #[schemars(extend("x-group" = "Topic Creation", "x-importance" = "low"))]
    pub topic_groups: Vec<String>,
}

impl Config for SourceSettings {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("key.converter.", "", "A setting of the key converter."),
        ("value.converter.", "", "A setting of the value converter."),
        ("header.converter.", "", "A setting of the header converter."),
        ("transforms.", "", "A setting of a transformation."),
        ("predicates.", "", "A setting of a predicate."),
        (
            "topic.creation.",
            "",
            "Of a group of topics: include and exclude (regular expressions, separated by commas), replication.factor, \
             partitions, or any setting of a topic by its own name.",
        ),
        ("producer.override.", "", "A setting of the Kafka producer, by its Java name."),
        (
            "consumer.override.",
            "",
            "A setting of the Kafka consumer that reads stored positions of a source that runs exactly once or has an \
             offsets.storage.topic, by its Java name.",
        ),
        ("admin.override.", "", "A setting of the Kafka admin client, by its Java name."),
    ];
    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("config.action.reload", "secrets are resolved when a task starts"),
        ("tasks.max.enforce", "a connector never gets more tasks than tasks.max"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = problems(flat, &[ClientKind::Consumer, ClientKind::Producer, ClientKind::Admin]);
        if let Err(found) = TopicCreation::parse(&self.topic_groups, flat) {
            problems.extend(found);
        }
        if self.offsets_topic.as_ref().is_some_and(|topic| topic.trim().is_empty()) {
            problems.push(Problem::new(
                "offsets.storage.topic",
                "must be the name of a topic; remove it to use the tenant's",
            ));
        }
        problems
    }
}

impl SourceSettings {
    /// After this time a transaction ends, with `transaction.boundary=interval`.
    #[must_use]
    pub fn boundary_interval(&self) -> Duration {
        let own = self.boundary_interval_ms.and_then(|ms| u64::try_from(ms).ok());
        own.map_or_else(|| self.common.commit_interval(), Duration::from_millis)
    }
}

/// What is wished of a source, from its own key and the tenant's.
#[must_use]
pub fn exactly_once_support(flat: &Flat, tenant_settings: &Flat) -> Option<ExactlyOnceSupport> {
    let own = flat.get("exactly.once.support").map(|text| text.trim().to_ascii_lowercase());
    match own.as_deref() {
        Some("required") => Some(ExactlyOnceSupport::Required),
        Some("requested") => Some(ExactlyOnceSupport::Requested),
        _ => {
            let tenants = tenant_settings.get("exactly.once.source.support");
            tenants.filter(|text| text.trim().eq_ignore_ascii_case("enabled")).map(|_| ExactlyOnceSupport::Requested)
        }
    }
}
