//! Which of two writes to a store entry is the newer one, whatever order they arrive in: `millrace.versions`. A rule gives each
//! record a number; a sink that guards its writes by it lets neither a replay nor a process that was long asleep put an older
//! value over a newer one.

use std::fmt;

use crate::{Datum, Error, Record, Result, Value};

/// Where versions come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum VersionRule {
    /// Not said: what the peer does
    #[default]
    Peer,
    /// None: the last write to arrive stands
    None,
    /// The record's offset
    Offset,
    /// The record's timestamp, in milliseconds
    Timestamp,
    /// A field of the value, by its path
    Field(String),
    /// A header
    Header(String),
}

impl VersionRule {
    /// Parses `none`, `offset`, `timestamp`, `field:<path>` or `header:<name>`; nothing is [`VersionRule::Peer`].
    ///
    /// # Errors
    /// What would be one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let rule = match text.split_once(':').map(|(rule, name)| (rule, name.trim())) {
            Some(("field", path)) => Some(path)
                .filter(|path| path.split('.').all(|step| !step.is_empty()))
                .map(|path| Self::Field(path.to_owned())),
            Some(("header", name)) => {
                Some(name).filter(|name| !name.is_empty()).map(|name| Self::Header(name.to_owned()))
            }
            Some(_) => None,
            None => match text {
                "" => Some(Self::Peer),
                "none" => Some(Self::None),
                "offset" => Some(Self::Offset),
                "timestamp" => Some(Self::Timestamp),
                _ => None,
            },
        };
        rule.ok_or_else(|| {
            format!(
                "\"{text}\" is none of none, offset, timestamp, field:<path of a field of the value>, header:<name>"
            )
        })
    }

    /// Whether equal versions may belong to different records, so that the later to arrive must win.
    #[must_use]
    pub fn has_ties(&self) -> bool {
        matches!(self, Self::Timestamp | Self::Field(_) | Self::Header(_))
    }
}

impl fmt::Display for VersionRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer => Ok(()),
            Self::None => f.write_str("none"),
            Self::Offset => f.write_str("offset"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Field(path) => write!(f, "field:{path}"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// The rule of a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Versions {
    /// Where they come from
    pub rule: VersionRule,
    /// Added to offsets: raised when the topic is read again from an earlier place on purpose, so that the new writes win
    pub epoch: i64,
}

impl Versions {
    /// The version of a record after the transforms; None when the rule gives none ([`VersionRule::Peer`],
    /// [`VersionRule::None`]). Never negative.
    ///
    /// # Errors
    /// `BadRecord` for a record without what the rule asks for.
    pub fn of(&self, record: &Record) -> Result<Option<i64>> {
        let found = match &self.rule {
            VersionRule::Peer | VersionRule::None => return Ok(None),
            VersionRule::Offset => record.offset.checked_add(self.epoch),
            VersionRule::Timestamp => record.timestamp_ms,
            VersionRule::Field(path) => match &record.value {
                Datum::Decoded { value, .. } => value.path(path)?.as_ref().and_then(number),
                _ => None,
            },
            VersionRule::Header(name) => {
                let header = record.headers.iter().rev().find(|header| header.key == name.as_str());
                header.and_then(|header| number(&header.value.value()))
            }
        };
        match found {
            Some(version) if version >= 0 => Ok(Some(version)),
            _ => Err(Error::bad_record(format!(
                "the record has no version: millrace.versions={} finds no whole number of at least 0",
                self.rule
            ))),
        }
    }
}

/// A whole number: as such, as a time, or spelt out.
fn number(value: &Value) -> Option<i64> {
    match value.open().ok()? {
        Value::Int(number) | Value::Timestamp(number) => Some(number),
        Value::Str(text) => text.trim().parse().ok(),
        Value::Bytes(bytes) => std::str::from_utf8(&bytes).ok()?.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Header, Text, TimestampKind};

    fn record(value: Value, headers: &[(&str, Value)]) -> Record {
        let header = |(key, value): &(&str, Value)| Header {
            key: Text::from((*key).to_owned()),
            value: Datum::schemaless(value.clone()),
        };
        Record {
            offset: 7,
            timestamp_ms: Some(1000),
            timestamp_kind: TimestampKind::CreateTime,
            renamed_topic: None,
            key: Datum::Null,
            value: if value == Value::Null { Datum::Null } else { Datum::schemaless(value) },
            headers: headers.iter().map(header).collect(),
        }
    }

    #[test]
    fn rules_are_parsed_and_printed() {
        for text in ["", "none", "offset", "timestamp", "field:a", "field:a.b", "header:v"] {
            assert_eq!(VersionRule::parse(text).map(|rule| rule.to_string()).as_deref(), Ok(text));
        }
        for text in ["Offset", "field", "field:", "field:a..b", "header: ", "kafka:x"] {
            assert!(VersionRule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn each_rule_finds_its_number_or_names_the_record_bad() {
        let json = |text: &'static str| Value::Json(Bytes::from_static(text.as_bytes()));
        let nested = json(r#"{"a":{"b":"42"},"n":-1,"f":1.5}"#);
        for (rule, epoch, value, headers, expected) in [
            ("", 0, json("{}"), vec![], Ok(None)),
            ("none", 0, json("{}"), vec![], Ok(None)),
            ("offset", 0, json("{}"), vec![], Ok(Some(7))),
            ("offset", 100, Value::Null, vec![], Ok(Some(107))),
            ("offset", i64::MAX, json("{}"), vec![], Err(())),
            ("timestamp", 0, json("{}"), vec![], Ok(Some(1000))),
            ("field:a.b", 0, nested.clone(), vec![], Ok(Some(42))),
            ("field:a", 0, nested.clone(), vec![], Err(())),
            ("field:n", 0, nested.clone(), vec![], Err(())),
            ("field:f", 0, nested.clone(), vec![], Err(())),
            ("field:x", 0, nested, vec![], Err(())),
            ("field:a", 0, Value::Null, vec![], Err(())),
            ("header:v", 0, Value::Null, vec![("v", Value::Int(1)), ("v", Value::Int(2))], Ok(Some(2))),
            ("header:v", 0, Value::Null, vec![("v", Value::Timestamp(9))], Ok(Some(9))),
            ("header:v", 0, Value::Null, vec![("w", Value::Int(1))], Err(())),
        ] {
            let versions = Versions { rule: VersionRule::parse(rule).unwrap(), epoch };
            let found =
                versions.of(&record(value, &headers)).map_err(|error| assert!(error.to_string().contains(rule)));
            assert_eq!(found, expected, "{rule}");
        }
    }
}
