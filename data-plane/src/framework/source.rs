//! The framework's keys of a source.

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Tolerance;
use super::common::problems;
use crate::kafka::client::ClientKind;

/// What a source is told besides its own connector's keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SourceSettings {
    /// Globally unique name to use for this connector.
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub name: String,
    /// Name or alias of the class for this connector, such as `file-source`.
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
    /// Behaviour for tolerating records that can never be converted: `none` fails the task at such a record, `all` skips
    /// it.
    #[serde(rename = "errors.tolerance", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub tolerance: Tolerance,
    /// How long a failed operation is tried again, in milliseconds; -1 is for ever. It is accepted for Kafka Connect's
    /// sake: what will pass is waited for as long as it takes, and what cannot succeed is not tried again.
    #[serde(rename = "errors.retry.timeout", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub retry_timeout_ms: i64,
    /// Maximum delay in milliseconds between consecutive tries; jitter is added.
    #[serde(rename = "errors.retry.delay.max.ms", default = "a_minute")]
    #[schemars(range(min = 1), extend("x-group" = "Error Handling"))]
    pub retry_delay_max_ms: i64,
    /// Write each error, with the coordinates of the record, to the log.
    #[serde(rename = "errors.log.enable", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub log_errors: bool,
    /// Whether the log line includes the record that failed. It may be confidential.
    #[serde(rename = "errors.log.include.messages", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub log_records: bool,
    /// Whether a new configuration is tried against the store before it is accepted. A store that cannot be reached only
    /// gives a warning.
    #[serde(rename = "millrace.check.on.create", default = "yes")]
    #[schemars(extend("x-group" = "Millrace"))]
    pub check_on_create: bool,
    /// How often positions are stored. Kafka Connect's default is 60000; here it is shorter, because it bounds how many
    /// records are produced again after a crash and costs one small record.
    #[serde(rename = "offset.flush.interval.ms", default = "five_seconds")]
    #[schemars(range(min = 100), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub commit_interval_ms: i64,
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
            "A setting of topics that are created. Not available yet: the broker's defaults apply.",
        ),
        ("producer.override.", "", "A setting of the Kafka producer, by its Java name."),
        ("consumer.override.", "", "A setting of the Kafka consumer that reads stored positions, by its Java name."),
        ("admin.override.", "", "A setting of the Kafka admin client, by its Java name."),
    ];
    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("config.action.reload", "secrets are resolved when a task starts"),
        ("tasks.max.enforce", "a connector never gets more tasks than tasks.max"),
        ("offsets.storage.topic", "positions are kept in the tenant's topic"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = problems(flat, &[ClientKind::Consumer, ClientKind::Producer, ClientKind::Admin]);
        if flat.get("exactly.once.support").is_some_and(|wish| wish.eq_ignore_ascii_case("required")) {
            problems.push(Problem::new(
                "exactly.once.support",
                "exactly-once sources are not available yet; remove the key or set it to \"requested\"",
            ));
        }
        problems
    }
}

fn one() -> i32 {
    1
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
