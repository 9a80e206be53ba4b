//! Confluent's `MessageTimestampRouter`: a new topic from the old one and a time that the value names.

use millrace_sdk::{Config, Error, Problem, Record, Result, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::{empty_list, invalid};
use super::data::Side;
use super::java::date_format::DateFormat;
use super::timestamp_converter::now_ms;
use super::timestamp_router::{TopicByTime, timestamp_format, topic_format};
use super::{Kind, PerRecord, Site, Verdict};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The new topic, with `${topic}` and `${timestamp}` for the old one and the time.
    #[serde(rename = "topic.format", default = "topic_format")]
    topic_format: String,
    /// How the time is written there, as a `java.text.SimpleDateFormat`.
    #[serde(rename = "topic.timestamp.format", default = "timestamp_format")]
    topic_timestamp_format: String,
    /// Fields of the value; the first that is there is the time.
    #[serde(rename = "message.timestamp.keys")]
    keys: Vec<String>,
    /// How the time is written in the value, as a `java.text.SimpleDateFormat`; empty for milliseconds since 1970. Numbers
    /// and timestamps are read without it.
    #[serde(rename = "message.timestamp.format", default)]
    message_format: String,
}
impl Config for Options {}

pub(super) struct MessageTimestampRouter {
    topic: TopicByTime,
    keys: Vec<String>,
    message: Option<DateFormat>,
}

fn date_format(key: &str, pattern: &str) -> Result<DateFormat, Problem> {
    DateFormat::new(pattern, now_ms()).map_err(|error| invalid(key, pattern, &error))
}

impl Kind for MessageTimestampRouter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.confluent.connect.transforms.MessageTimestampRouter"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        if options.keys.is_empty() {
            return Err(empty_list("message.timestamp.keys"));
        }
        let message = match options.message_format.as_str() {
            "" => None,
            pattern => Some(date_format("message.timestamp.format", pattern)?),
        };
        Ok(Self {
            topic: TopicByTime::new(
                options.topic_format,
                date_format("topic.timestamp.format", &options.topic_timestamp_format)?,
            ),
            keys: options.keys,
            message,
        })
    }
}

impl MessageTimestampRouter {
    fn millis(&self, record: &Record) -> Result<i64> {
        let value = record.value.value();
        for key in &self.keys {
            let found = match value.field(key)? {
                None | Some(Value::Null) => continue,
                Some(found) => found,
            };
            return match (&found, &self.message) {
                (Value::Int(millis) | Value::Timestamp(millis), _) => Ok(*millis),
                (Value::Date(days), _) => Ok(i64::from(*days) * 86_400_000),
                (Value::Str(text), Some(format)) => format.parse(text).ok_or_else(|| {
                    let pattern = format.pattern();
                    Error::bad_record(format!("the field {key} is not of message.timestamp.format {pattern}"))
                }),
                (Value::Str(text), None) => text
                    .parse()
                    .map_err(|_| Error::bad_record(format!("the field {key} does not hold milliseconds since 1970"))),
                (other, _) => {
                    Err(Error::bad_record(format!("the field {key} holds no time but {}", other.type_name())))
                }
            };
        }
        Err(Error::bad_record(format!("the value has none of message.timestamp.keys {}", self.keys.join(", "))))
    }
}

impl PerRecord for MessageTimestampRouter {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        let millis = self.millis(record)?;
        self.topic.route(record, site, millis);
        Ok(Verdict::Keep)
    }
}
