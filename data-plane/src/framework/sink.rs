//! The framework's keys of a sink.

use fancy_regex::Regex;
use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Tolerance;
use super::common::problems;
use crate::kafka::client::ClientKind;

/// What a sink is told besides its own connector's keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkSettings {
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
    /// Topics to consume, separated by commas.
    #[serde(default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub topics: Vec<String>,
    /// Regular expression giving topics to consume, with Java's meaning: the whole name of a topic must match. Only one of
    /// `topics` and `topics.regex` should be specified.
    #[serde(rename = "topics.regex", default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub topics_regex: String,
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
    /// Behaviour for tolerating records that can never be converted or written: `none` fails the task at such a record,
    /// `all` skips it.
    #[serde(rename = "errors.tolerance", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub tolerance: Tolerance,
    /// How long a failed operation is tried again, in milliseconds; -1 is for ever. It is accepted for Kafka Connect's
    /// sake: here a store that is away or overloaded is waited for as long as it takes, and what cannot succeed is not
    /// tried again.
    #[serde(rename = "errors.retry.timeout", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub retry_timeout_ms: i64,
    /// Maximum delay in milliseconds between consecutive tries of a write; jitter is added.
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
    /// The topic for records that can never be converted or written, with `errors.tolerance=all`. Empty means none.
    #[serde(rename = "errors.deadletterqueue.topic.name", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_topic: String,
    /// Replication factor used to create the dead letter queue topic when it doesn't already exist.
    #[serde(rename = "errors.deadletterqueue.topic.replication.factor", default = "three")]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_replication: i32,
    /// Whether headers with the cause are added to the records in the dead letter queue; their names start with
    /// `__connect.errors.`.
    #[serde(rename = "errors.deadletterqueue.context.headers.enable", default)]
    #[schemars(extend("x-group" = "Error Handling"))]
    pub dead_letter_headers: bool,
    /// How many writes of a task may run at the same time. Writes of one store entry never overlap.
    #[serde(rename = "millrace.lanes", default = "four")]
    #[schemars(range(min = 1, max = 64), extend("x-group" = "Millrace"))]
    pub lanes: i32,
    /// Whether a new configuration is tried against the store before it is accepted. A store that cannot be reached only
    /// gives a warning.
    #[serde(rename = "millrace.check.on.create", default = "yes")]
    #[schemars(extend("x-group" = "Millrace"))]
    pub check_on_create: bool,
    /// The most records in a batch.
    #[serde(rename = "millrace.batch.max.records", default = "two_thousand")]
    #[schemars(range(min = 1, max = 100_000), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub batch_max_records: i32,
    /// Bytes of records that a task may hold, half of it fetched in advance and half in batches. A batch holds at least
    /// one record, however large.
    #[serde(rename = "millrace.buffer.memory", default = "buffer_memory")]
    #[schemars(range(min = 1_048_576), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub buffer_memory: i64,
    /// How often offsets are committed. Kafka Connect's default is 60000; here it is shorter, because it bounds how many
    /// records are written again after a crash and costs one small request.
    #[serde(rename = "offset.flush.interval.ms", default = "five_seconds")]
    #[schemars(range(min = 100), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub commit_interval_ms: i64,
}

impl Config for SinkSettings {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        ("key.converter.", "", "A setting of the key converter."),
        ("value.converter.", "", "A setting of the value converter."),
        ("header.converter.", "", "A setting of the header converter."),
        ("transforms.", "", "A setting of a transformation."),
        ("predicates.", "", "A setting of a predicate."),
        ("consumer.override.", "", "A setting of the Kafka consumer, by its Java name."),
        ("producer.override.", "", "A setting of the Kafka producer for dead letters, by its Java name."),
        ("admin.override.", "", "A setting of the Kafka admin client for the dead letter topic, by its Java name."),
    ];
    const IGNORED: &'static [(&'static str, &'static str)] = &[
        ("config.action.reload", "secrets are resolved when a task starts"),
        ("tasks.max.enforce", "a connector never gets more tasks than tasks.max"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = problems(flat, &[ClientKind::Consumer, ClientKind::Producer, ClientKind::Admin]);
        let has_regex = !self.topics_regex.trim().is_empty();
        match (self.topics.is_empty(), has_regex) {
            (false, true) => {
                let message = "topics and topics.regex are mutually exclusive options, but both are set.";
                problems.push(Problem::new("topics", message));
                problems.push(Problem::new("topics.regex", message));
            }
            (true, false) => {
                let message = "Must configure one of topics or topics.regex";
                problems.push(Problem::new("topics", message));
                problems.push(Problem::new("topics.regex", message));
            }
            _ => {}
        }
        if has_regex && let Err(error) = Regex::new(&self.topics_regex) {
            problems.push(Problem::new(
                "topics.regex",
                format!("Invalid value {} for configuration topics.regex: {error}", self.topics_regex),
            ));
        }
        problems.extend(self.dead_letter_problems());
        problems
    }
}

impl SinkSettings {
    fn dead_letter_problems(&self) -> Vec<Problem> {
        let topic = self.dead_letter_topic.trim();
        if topic.is_empty() {
            return Vec::new();
        }
        let mut problems = Vec::new();
        if self.topics.iter().any(|name| name == topic) {
            problems.push(Problem::new(
                "errors.deadletterqueue.topic.name",
                format!(
                    "The DLQ topic '{topic}' may not be included in the list of topics ('topics={}') consumed by the \
                     connector",
                    self.topics.join(",")
                ),
            ));
        }
        if !self.topics_regex.trim().is_empty()
            && full_match(&self.topics_regex).is_some_and(|regex| regex.is_match(topic).unwrap_or(false))
        {
            problems.push(Problem::new(
                "errors.deadletterqueue.topic.name",
                format!(
                    "The DLQ topic '{topic}' may not be matched by the regex 'topics.regex={}' of the connector",
                    self.topics_regex
                ),
            ));
        }
        problems
    }
}

/// The expression with Java's meaning of `Pattern.matcher(name).matches()`; None when it is not one.
pub(crate) fn full_match(expression: &str) -> Option<Regex> {
    Regex::new(&format!(r"\A(?:{expression})\z")).ok()
}

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

fn four() -> i32 {
    4
}

fn yes() -> bool {
    true
}

fn two_thousand() -> i32 {
    2000
}

fn buffer_memory() -> i64 {
    32 * 1024 * 1024
}

fn five_seconds() -> i64 {
    5000
}

fn a_minute() -> i64 {
    60_000
}
