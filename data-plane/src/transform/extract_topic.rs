//! Confluent's `ExtractTopic`: a key, a value, a field of them or a header as the topic.

use std::sync::Arc;

use millrace_sdk::{Config, Error, Problem, Record, Result, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{invalid, non_empty};
use super::data::Side;
use super::jsonpath::Path;
use super::{Kind, PerRecord, Site, Verdict, sided};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Format {
    /// The name of a field
    #[default]
    Plain,
    /// A path such as `$["a"]["b"]`
    JsonPath,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The field, or the header, whose text becomes the topic; empty for the whole key or value.
    #[serde(default)]
    field: String,
    /// Whether `field` is the name of a field (`PLAIN`) or a path (`JSON_PATH`).
    #[serde(rename = "field.format", default)]
    format: Format,
    /// Whether a record without such a text keeps its topic; without this it is an error.
    #[serde(rename = "skip.missing.or.null", default)]
    skip: bool,
}
impl Config for Options {}

/// The topic that a record names, and what becomes of those which name none.
struct Target {
    /// What the text comes from, for errors
    origin: String,
    skip: bool,
    last: Option<Arc<str>>,
}

impl Target {
    fn set(&mut self, record: &mut Record, found: &Value) -> Result<Verdict> {
        match found.open()? {
            Value::Str(topic) if !topic.is_empty() => {
                let topic = match &self.last {
                    Some(last) if **last == *topic => Arc::clone(last),
                    _ => Arc::from(&*topic),
                };
                self.last = Some(Arc::clone(&topic));
                record.renamed_topic = Some(topic);
                Ok(Verdict::Keep)
            }
            Value::Null if self.skip => Ok(Verdict::Keep),
            Value::Null => Err(Error::bad_record(format!(
                "{} is missing or null and cannot name the topic (skip.missing.or.null=true keeps the topic)",
                self.origin
            ))),
            other => {
                let found = if matches!(other, Value::Str(_)) { "an empty one" } else { other.type_name() };
                Err(Error::bad_record(format!("{} must be a text to name the topic, found: {found}", self.origin)))
            }
        }
    }
}

enum Place {
    Whole,
    Field(String),
    Path(Path),
}

/// From key or value.
pub(super) struct ExtractTopic {
    side: Side,
    place: Place,
    target: Target,
}

impl Kind for ExtractTopic {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("io.confluent.connect.transforms.ExtractTopic");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let whole = if side == Side::Key { "the key" } else { "the value" };
        let (place, origin) = match options.format {
            _ if options.field.is_empty() => (Place::Whole, whole.to_owned()),
            Format::Plain => (Place::Field(options.field.clone()), format!("the field {} of {whole}", options.field)),
            Format::JsonPath => {
                let path =
                    Path::parse(options.field.trim()).map_err(|error| invalid("field", &options.field, &error))?;
                (Place::Path(path), format!("{} of {whole}", options.field))
            }
        };
        Ok(Self { side, place, target: Target { origin, skip: options.skip, last: None } })
    }
}

impl PerRecord for ExtractTopic {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let value = self.side.datum(record).value();
        let found = match &self.place {
            Place::Whole => value,
            Place::Field(name) => value.field(name)?.unwrap_or(Value::Null),
            Place::Path(path) => path.find(&value)?.values.into_iter().next().unwrap_or(Value::Null),
        };
        self.target.set(record, &found)
    }
}

/// From a header.
pub(super) struct ExtractTopicHeader {
    header: String,
    target: Target,
}

impl Kind for ExtractTopicHeader {
    type Options = Options;
    const CLASSES: &'static [&'static str] = &["io.confluent.connect.transforms.ExtractTopic$Header"];

    fn make(options: Options, _: Side) -> Result<Self, Problem> {
        if options.field.is_empty() {
            return Err(non_empty("field"));
        }
        if options.format == Format::JsonPath {
            return Err(invalid("field.format", "JSON_PATH", "a header has no fields; only PLAIN is available"));
        }
        let origin = format!("the header {}", options.field);
        Ok(Self { header: options.field, target: Target { origin, skip: options.skip, last: None } })
    }
}

impl PerRecord for ExtractTopicHeader {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        // The last of several, as Connect's lastWithName.
        let header = record.headers.iter().rev().find(|header| *header.key == *self.header);
        let found = header.map_or(Value::Null, |header| header.value.value());
        self.target.set(record, &found)
    }
}
