//! The framework's keys of a sink.

use fancy_regex::Regex;
use millrace_sdk::{Config, Flat, Problem, VersionRule, Versions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::{CommonSettings, problems};
use crate::kafka::client::ClientKind;

/// Who reads records from Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fetch {
    /// The task itself, from Kafka 2.7 or newer
    #[default]
    Direct,
    /// librdkafka, for about twice the processor time
    Librdkafka,
}

/// What a sink is told besides its own connector's keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkSettings {
    /// The keys of every connector
    #[serde(flatten)]
    pub common: CommonSettings,
    /// Topics to consume, separated by commas.
    #[serde(default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub topics: Vec<String>,
    /// Regular expression giving topics to consume, with Java's meaning: the whole name of a topic must match. Only one of
    /// `topics` and `topics.regex` should be specified.
    #[serde(rename = "topics.regex", default)]
    #[schemars(extend("x-group" = "Common", "x-importance" = "high"))]
    pub topics_regex: String,
    /// How many writes of a task may run at the same time. Writes of one store entry never overlap.
    #[serde(rename = "millrace.lanes", default = "four")]
    #[schemars(range(min = 1, max = 64), extend("x-group" = "Millrace"))]
    pub lanes: i32,
    /// The most records in a batch.
    #[serde(rename = "millrace.batch.max.records", default = "two_thousand")]
    #[schemars(range(min = 1, max = 100_000), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub batch_max_records: i32,
    /// Bytes of records that a task may hold, from those that it has asked Kafka for to those that are being written. What it reads
    /// of a partition is at least one batch of its producer, however large.
    #[serde(rename = "millrace.buffer.memory", default = "buffer_memory")]
    #[schemars(range(min = 1_048_576), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub buffer_memory: i64,
    /// Who reads records from Kafka: `direct` (the task itself), or `librdkafka`, for about twice the processor time, with Kafka
    /// older than 2.7.
    #[serde(rename = "millrace.fetch", default)]
    #[schemars(extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub fetch: Fetch,
    /// Which of two writes to a store entry is the newer one, whatever order they arrive in: `offset`, `timestamp`,
    /// `field:<path>`, `header:<name>`, or `none`. Neither a replay nor a process that was long asleep then puts an older value
    /// over a newer one. Unset, it is what the peer does by default.
    #[serde(rename = "millrace.versions", default)]
    #[schemars(extend("x-group" = "Millrace"))]
    pub versions: String,
    /// Added to the offset as version: raise it above the highest offset ever written when topics are read again from an
    /// earlier place on purpose, or were created anew, so that the new writes win.
    #[serde(rename = "millrace.versions.epoch", default)]
    #[schemars(range(min = 0), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub versions_epoch: i64,
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
        match VersionRule::parse(&self.versions) {
            Ok(VersionRule::Offset) if has_regex || self.topics.len() > 1 => problems.push(Problem::new(
                "millrace.versions",
                "offsets of several topics cannot be compared: with millrace.versions=offset a connector has one topic; make a \
                 connector for each, or use timestamp, field:<path> or header:<name>",
            )),
            Ok(_) => {}
            Err(message) => problems.push(Problem::new("millrace.versions", message)),
        }
        problems
    }
}

impl SinkSettings {
    /// Where versions come from. The rule was checked with the configuration.
    #[must_use]
    pub fn versions(&self) -> Versions {
        Versions { rule: VersionRule::parse(&self.versions).unwrap_or_default(), epoch: self.versions_epoch }
    }

    fn dead_letter_problems(&self) -> Vec<Problem> {
        let topic = self.common.dead_letter_topic.trim();
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

fn four() -> i32 {
    4
}

fn two_thousand() -> i32 {
    2000
}

fn buffer_memory() -> i64 {
    32 * 1024 * 1024
}
