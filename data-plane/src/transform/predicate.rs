//! Kafka Connect's predicates: whether a transform applies to a record. A predicate is a struct here and a line in
//! [`PREDICATES`].

use std::sync::Arc;

use fancy_regex::Regex;
use millrace_sdk::config::{ConfigDef, definition, parse};
use millrace_sdk::{Config, Flat, Problem, Record};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Site;
use super::java::regex::full_match;

/// All predicates.
pub(super) const PREDICATES: &[Entry] = &[
    Entry {
        class: "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
        definition: definition::<HasHeaderKeyOptions>,
        make: has_header_key,
    },
    Entry {
        class: "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone",
        definition: definition::<NoOptions>,
        make: |_| Ok(Box::new(Each(RecordIsTombstone))),
    },
    Entry {
        class: "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
        definition: definition::<TopicNameMatchesOptions>,
        make: topic_name_matches,
    },
];

/// A line of the list.
pub(super) struct Entry {
    pub(super) class: &'static str,
    pub(super) definition: fn() -> ConfigDef,
    pub(super) make: fn(&Flat) -> Made,
}

/// A predicate, or what is wrong with its options.
pub(super) type Made = Result<Box<dyn Predicate>, Vec<Problem>>;

/// A predicate at work.
pub(super) trait Predicate: Send + Sync {
    /// Appends an answer for each record.
    fn test(&mut self, records: &[Record], site: &Site<'_>, answers: &mut Vec<bool>);
}

trait PerRecord: Send + Sync {
    fn test(&mut self, record: &Record, site: &Site<'_>) -> bool;
}

/// The loop over the records.
struct Each<P>(P);

impl<P: PerRecord> Predicate for Each<P> {
    fn test(&mut self, records: &[Record], site: &Site<'_>, answers: &mut Vec<bool>) {
        answers.extend(records.iter().map(|record| self.0.test(record, site)));
    }
}

/// No options at all.
#[derive(Deserialize, JsonSchema)]
struct NoOptions {}
impl Config for NoOptions {}

struct RecordIsTombstone;

impl PerRecord for RecordIsTombstone {
    fn test(&mut self, record: &Record, _: &Site<'_>) -> bool {
        record.value.is_null()
    }
}

#[derive(Deserialize, JsonSchema)]
struct HasHeaderKeyOptions {
    /// The header name.
    name: String,
}
impl Config for HasHeaderKeyOptions {}

struct HasHeaderKey(String);

fn has_header_key(options: &Flat) -> Made {
    let options: HasHeaderKeyOptions = parse(&definition::<HasHeaderKeyOptions>(), options).map_err(|f| f.errors)?;
    if options.name.is_empty() {
        return Err(vec![super::config::non_empty("name")]);
    }
    Ok(Box::new(Each(HasHeaderKey(options.name))))
}

impl PerRecord for HasHeaderKey {
    fn test(&mut self, record: &Record, _: &Site<'_>) -> bool {
        record.headers.iter().any(|header| *header.key == *self.0)
    }
}

#[derive(Deserialize, JsonSchema)]
struct TopicNameMatchesOptions {
    /// A Java regular expression for matching against the name of a record's topic.
    pattern: String,
}
impl Config for TopicNameMatchesOptions {}

struct TopicNameMatches {
    pattern: Regex,
    /// The last topic and its answer
    last: Option<(Arc<str>, bool)>,
}

fn topic_name_matches(options: &Flat) -> Made {
    let options: TopicNameMatchesOptions =
        parse(&definition::<TopicNameMatchesOptions>(), options).map_err(|f| f.errors)?;
    if options.pattern.is_empty() {
        return Err(vec![super::config::non_empty("pattern")]);
    }
    let pattern = full_match(&options.pattern).map_err(|error| {
        vec![super::config::invalid("pattern", &options.pattern, &format!("Invalid regex: {error}"))]
    })?;
    Ok(Box::new(Each(TopicNameMatches { pattern, last: None })))
}

impl PerRecord for TopicNameMatches {
    fn test(&mut self, record: &Record, site: &Site<'_>) -> bool {
        let topic = site.topic(record);
        match &self.last {
            Some((last, answer)) if **last == **topic => *answer,
            _ => {
                let answer = self.pattern.is_match(&**topic).unwrap_or(false);
                self.last = Some((Arc::clone(topic), answer));
                answer
            }
        }
    }
}
