//! Two outcomes of one case, compared record by record; the order within maps counts for nothing.

use std::collections::BTreeMap;
use std::fmt;

use millrace_tests::kafka::RawRecord;
use serde_json::{Value, json};

use crate::registry;
use crate::run::{Outcome, header};
use crate::sets::Set;

/// One thing in which the sides differ.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) case: String,
    /// The record; empty when it is about the connector
    pub(crate) sample: &'static str,
    /// What of it: `fate`, `value.schema`, `letter.stage`, …
    pub(crate) aspect: String,
    pub(crate) connect: String,
    pub(crate) millrace: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, sample, aspect, connect, millrace } = self;
        write!(f, "{case} · {sample} · {aspect}\n      connect  {}\n      millrace {}", cut(connect), cut(millrace))
    }
}

fn cut(text: &str) -> String {
    if text.len() <= 700 { text.to_owned() } else { text.chars().take(700).chain("…".chars()).collect() }
}

/// Everything in which they differ.
pub(crate) fn mismatches(case: &str, set: &Set, connect: &Outcome, millrace: &Outcome) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut note = |sample: &'static str, aspect: &str, connect: String, millrace: String| {
        found.push(Mismatch { case: case.to_owned(), sample, aspect: aspect.to_owned(), connect, millrace });
    };
    let (ours, theirs) = (end_of(millrace), end_of(connect));
    if ours != theirs {
        note("", "outcome", format!("{theirs} {:?}", connect.refused), format!("{ours} {:?}", millrace.refused));
        return found;
    }
    for sample in &set.samples {
        let offset = sample.record.offset;
        let (theirs, ours) = (fate(connect, offset), fate(millrace, offset));
        for (aspect, connect) in &theirs {
            match ours.get(aspect) {
                Some(millrace) if millrace == connect => {}
                other => note(sample.name, aspect, text(Some(connect)), text(other)),
            }
        }
        for (aspect, millrace) in ours.iter().filter(|(aspect, _)| !theirs.contains_key(*aspect)) {
            note(sample.name, aspect, text(None), text(Some(millrace)));
        }
    }
    // A record that only one side could take differs in that alone.
    let mut split: Vec<&'static str> = found.iter().filter(|m| m.aspect == "fate").map(|m| m.sample).collect();
    split.dedup();
    for sample in split {
        let all = |side: fn(&Mismatch) -> &String| {
            let of_it = found.iter().filter(|m| m.sample == sample && side(m) != "-");
            of_it.map(|m| format!("{}={}", m.aspect, side(m))).collect::<Vec<_>>().join(" ")
        };
        let (connect, millrace) = (all(|m| &m.connect), all(|m| &m.millrace));
        found.retain(|m| m.sample != sample);
        found.push(Mismatch { case: case.to_owned(), sample, aspect: "fate".to_owned(), connect, millrace });
    }
    found
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

fn end_of(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome { refused: Some(_), .. } => "refused",
        Outcome { failed: true, .. } => "failed",
        _ => "ran",
    }
}

/// Everything that can be said of a record, by aspect.
fn fate(outcome: &Outcome, offset: i64) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    let fate = match (outcome.lines.get(&offset), outcome.letters.get(&offset)) {
        (Some(line), _) => {
            line_aspects(line, &mut all);
            "captured"
        }
        (None, Some(letter)) => {
            letter_aspects(letter, &mut all);
            "dead letter"
        }
        (None, None) => "gone",
    };
    all.insert("fate".to_owned(), json!(fate));
    all
}

fn line_aspects(line: &Value, all: &mut BTreeMap<String, Value>) {
    for name in ["topic", "origin", "timestamp", "timestampType"] {
        all.insert(name.to_owned(), line[name].clone());
    }
    for side in ["key", "value"] {
        for part in ["schema", "value"] {
            all.insert(format!("{side}.{part}"), normal(&line[side][part]));
        }
    }
    all.insert("headers".to_owned(), normal(&line["headers"]));
}

/// The entries of maps in one order.
fn normal(value: &Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.iter().map(normal).collect()),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let mut value = normal(value);
                if let ("map" | "parameters", Value::Array(entries)) = (name.as_str(), &mut value) {
                    entries.sort_by_key(ToString::to_string);
                }
                (name.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}

/// Messages and stack traces are each side's own.
fn letter_aspects(letter: &RawRecord, all: &mut BTreeMap<String, Value>) {
    for name in ["topic", "partition", "offset", "task.id", "stage", "class.name", "exception.class.name"] {
        let value = header(letter, &format!("__connect.errors.{name}"));
        let value = value.filter(|class| !registry::stands_for_another(class));
        all.insert(format!("letter.{name}"), json!(value));
    }
    for name in ["exception.message", "exception.stacktrace"] {
        let there = letter.headers.iter().any(|(key, _)| *key == format!("__connect.errors.{name}"));
        all.insert(format!("letter.{name}"), json!(there));
    }
    let own = letter.headers.iter().filter(|(name, _)| !name.starts_with("__"));
    let own: Vec<Value> = own.map(|(name, value)| json!([name, value])).collect();
    all.insert("letter.headers".to_owned(), json!(own));
    all.insert("letter.key".to_owned(), json!(letter.key));
    all.insert("letter.value".to_owned(), json!(letter.value));
    all.insert("letter.timestamp".to_owned(), json!(letter.timestamp_ms));
}
