//! `TimestampRouter`: a new topic from the old one and the record's timestamp.

use std::sync::Arc;

use millrace_sdk::{Config, Error, Problem, Record, Result};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::Side;
use super::java::date_format::DateFormat;
use super::{Kind, PerRecord, Site, Verdict};

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Format string which can contain `${topic}` and `${timestamp}` as placeholders for the topic and timestamp,
    /// respectively.
    #[serde(rename = "topic.format", default = "topic_format")]
    topic_format: String,
    /// Format string for the timestamp that is compatible with `java.text.SimpleDateFormat`.
    #[serde(rename = "timestamp.format", default = "timestamp_format")]
    timestamp_format: String,
}
impl Config for Options {}

pub(super) fn topic_format() -> String {
    "${topic}-${timestamp}".to_owned()
}

pub(super) fn timestamp_format() -> String {
    "yyyyMMdd".to_owned()
}

/// A topic made of the old one and a time.
pub(super) struct TopicByTime {
    topic_format: String,
    timestamp_format: DateFormat,
    text: String,
    /// The last topic, timestamp's text and what became of them: neighbours mostly share all three
    last: Option<(Arc<str>, String, Arc<str>)>,
}

impl TopicByTime {
    pub(super) fn new(topic_format: String, timestamp_format: DateFormat) -> Self {
        Self { topic_format, timestamp_format, text: String::new(), last: None }
    }

    pub(super) fn route(&mut self, record: &mut Record, site: &Site<'_>, millis: i64) {
        self.text.clear();
        self.timestamp_format.format(millis, &mut self.text);
        let topic = site.topic(record);
        let renamed = match &self.last {
            Some((last, text, renamed)) if **last == **topic && *text == self.text => Arc::clone(renamed),
            _ => {
                let name = self.topic_format.replace("${topic}", topic).replace("${timestamp}", &self.text);
                let renamed: Arc<str> = Arc::from(name);
                self.last = Some((Arc::clone(topic), self.text.clone(), Arc::clone(&renamed)));
                renamed
            }
        };
        record.renamed_topic = Some(renamed);
    }
}

pub(super) struct TimestampRouter(TopicByTime);

impl Kind for TimestampRouter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["org.apache.kafka.connect.transforms.TimestampRouter"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        let timestamp_format = DateFormat::new(&options.timestamp_format, 0)
            .map_err(|error| invalid("timestamp.format", &options.timestamp_format, &error))?;
        Ok(Self(TopicByTime::new(options.topic_format, timestamp_format)))
    }
}

impl PerRecord for TimestampRouter {
    fn apply(&mut self, record: &mut Record, site: &Site<'_>) -> Result<Verdict> {
        let millis = record.timestamp_ms.ok_or_else(|| Error::bad_record("Timestamp missing on record"))?;
        self.0.route(record, site, millis);
        Ok(Verdict::Keep)
    }
}
