//! Records as the tasks see them. A batch holds records of one partition in offset order (offsets may have gaps); their
//! payloads are slices of one buffer, so cloning a record copies nothing. A slice keeps the whole buffer alive: whatever
//! outlives its batch must be detached by [`Record::detach`].

use std::sync::Arc;

use bytes::Bytes;

use crate::{Schema, Text, Value};

/// A topic and a partition of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic
    pub topic: Arc<str>,
    /// The partition
    pub partition: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Who set a record's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampKind {
    /// The broker knows none
    None,
    /// The producer
    CreateTime,
    /// The broker
    LogAppendTime,
}

/// A key, a value or a header.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// No key, or a tombstone
    Null,
    /// As it came; no converter has looked at it
    Encoded(Bytes),
    /// What the converter made of it
    Decoded {
        /// None for schemaless data
        schema: Option<Arc<Schema>>,
        /// The value
        value: Value,
    },
}

impl Datum {
    /// A schemaless value.
    #[must_use]
    #[inline]
    pub fn schemaless(value: Value) -> Self {
        Self::Decoded { schema: None, value }
    }

    /// The decoded value; null for [`Datum::Null`], bytes for what is still encoded.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Encoded(bytes) => Value::Bytes(bytes.clone()),
            Self::Decoded { value, .. } => value.clone(),
        }
    }

    /// Whether this is a tombstone in Connect's sense: no bytes, or a decoded null.
    #[must_use]
    #[inline]
    pub fn is_null(&self) -> bool {
        match self {
            Self::Null | Self::Decoded { value: Value::Null, .. } => true,
            Self::Decoded { value: Value::Json(json), .. } => json.as_ref() == b"null",
            _ => false,
        }
    }
}

/// A record header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Its name; names may repeat
    pub key: Text,
    /// Its value
    pub value: Datum,
}

/// A record of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Offset in the batch's origin
    pub offset: i64,
    /// Milliseconds since the epoch
    pub timestamp_ms: Option<i64>,
    /// Who set it
    pub timestamp_kind: TimestampKind,
    /// The topic after the transforms, when they renamed it
    pub renamed_topic: Option<Arc<str>>,
    /// The key
    pub key: Datum,
    /// The value; null is a tombstone
    pub value: Datum,
    /// The headers
    pub headers: Vec<Header>,
}

/// Records of one partition, in offset order.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Where they come from; offsets are committed here whatever the transforms do to the topic
    pub origin: TopicPartition,
    /// The records
    pub records: Vec<Record>,
}

impl Batch {
    /// The topic of a record as the connector should see it.
    #[must_use]
    #[inline]
    pub fn topic<'a>(&'a self, record: &'a Record) -> &'a Arc<str> {
        record.renamed_topic.as_ref().unwrap_or(&self.origin.topic)
    }

    /// `topic-partition@offset`, for errors.
    #[must_use]
    pub fn coordinates(&self, record: &Record) -> String {
        format!("{}@{}", self.origin, record.offset)
    }
}

fn detach_bytes(bytes: &mut Bytes) {
    *bytes = Bytes::copy_from_slice(bytes);
}

fn detach_value(value: &mut Value) {
    match value {
        Value::Str(text) => *text = text.detached(),
        Value::Bytes(bytes) | Value::Json(bytes) => detach_bytes(bytes),
        Value::List(items) => items.iter_mut().for_each(detach_value),
        Value::Map(fields) => {
            for (key, value) in fields {
                *key = key.detached();
                detach_value(value);
            }
        }
        _ => {}
    }
}

fn detach_datum(datum: &mut Datum) {
    match datum {
        Datum::Null => {}
        Datum::Encoded(bytes) => detach_bytes(bytes),
        Datum::Decoded { value, .. } => detach_value(value),
    }
}

impl Record {
    /// Copies everything out of the batch's buffer, for records that outlive their batch.
    #[must_use]
    pub fn detach(mut self) -> Self {
        detach_datum(&mut self.key);
        detach_datum(&mut self.value);
        for header in &mut self.headers {
            header.key = header.key.detached();
            detach_datum(&mut header.value);
        }
        self
    }
}
