//! From events to records. The texts of a whole batch are printed into one buffer and sliced; an event is looked through once.

use std::ops::Range;
use std::sync::Arc;

use millrace_sdk::{Bytes, Datum, Error, Result, Schema, SourceFailure, SourceRecord, Text, Type, Value};

use super::json::{self, Mode};
use super::raw::{self, Raw, kind};
use super::schema::{self, Inferrer};
use super::settings::{Form, Settings, Tolerance};
use super::topic::Topics;

/// An event's parts, where they lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event<'a> {
    /// All of it
    pub(super) whole: &'a [u8],
    pub(super) id: Option<Raw<'a>>,
    pub(super) document_key: Option<&'a [u8]>,
    pub(super) full_document: Option<Raw<'a>>,
    pub(super) database: &'a str,
    pub(super) collection: &'a str,
}

impl<'a> Event<'a> {
    /// # Errors
    /// `BadRecord` for malformed BSON.
    pub(super) fn parse(whole: &'a [u8]) -> Result<Self> {
        let mut event =
            Event { whole, id: None, document_key: None, full_document: None, database: "", collection: "" };
        for element in raw::elements(whole)? {
            let (name, value) = element?;
            match name {
                b"_id" => event.id = Some(value),
                b"documentKey" => event.document_key = value.document(),
                b"fullDocument" => event.full_document = Some(value),
                b"ns" => {
                    let Some(namespace) = value.document() else { continue };
                    for element in raw::elements(namespace)? {
                        match element? {
                            (b"db", value) => event.database = value.str().unwrap_or_default(),
                            (b"coll", value) => event.collection = value.str().unwrap_or_default(),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(event)
    }

    /// `database.collection`
    pub(super) fn namespace(&self) -> String {
        format!("{}.{}", self.database, self.collection)
    }
}

/// What became of events.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) records: Vec<SourceRecord>,
    pub(super) failures: Vec<SourceFailure>,
}

/// Makes records.
#[derive(Debug, Clone)]
pub(super) struct Output {
    key: Form,
    value: Form,
    mode: Mode,
    full_document_only: bool,
    tombstone_on_delete: bool,
    document_key_as_key: bool,
    tolerance: Tolerance,
    topics: Topics,
    text: Arc<Schema>,
    bytes: Arc<Schema>,
}

/// A key or a value before the buffer of its batch is whole.
enum Part {
    Null,
    Text(Range<usize>),
    Bytes(Range<usize>),
    Made(Datum),
}

/// What one batch is made with.
pub(super) struct Batch<'o> {
    output: &'o mut Output,
    inferrer: &'o mut Inferrer,
    buffer: Vec<u8>,
    parts: Vec<(String, Part, Part)>,
    made: Made,
}

impl Output {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            key: settings.key.clone(),
            value: settings.value.clone(),
            mode: settings.mode,
            full_document_only: settings.full_document_only,
            tombstone_on_delete: settings.tombstone_on_delete,
            document_key_as_key: settings.document_key_as_key,
            tolerance: settings.tolerance.clone(),
            topics: settings.topics.clone(),
            text: Arc::new(Schema::of(Type::String)),
            bytes: Arc::new(Schema::of(Type::Bytes)),
        }
    }

    /// Whether a copied document must be made an event first, or can go as it is.
    pub(super) fn needs_events(&self) -> bool {
        !self.full_document_only || matches!(self.key, Form::Schema(_) | Form::Infer)
    }

    /// Begins a batch of about `bytes` of BSON.
    pub(super) fn batch<'o>(&'o mut self, inferrer: &'o mut Inferrer, bytes: usize) -> Batch<'o> {
        Batch {
            output: self,
            inferrer,
            buffer: Vec::with_capacity(bytes * 2),
            parts: Vec::new(),
            made: Made::default(),
        }
    }

    fn datum(&self, part: Part, buffer: &Bytes) -> Datum {
        match part {
            Part::Null => Datum::Null,
            Part::Made(datum) => datum,
            Part::Bytes(range) => {
                let value = Value::Bytes(buffer.slice(range));
                Datum::Decoded { schema: Some(Arc::clone(&self.bytes)), value }
            }
            Part::Text(range) => {
                let text = Text::slice(buffer, range).unwrap_or_default(); // the printer writes UTF-8 only
                Datum::Decoded { schema: Some(Arc::clone(&self.text)), value: Value::Str(text) }
            }
        }
    }

    /// A text with its schema, outside of any batch.
    pub(super) fn text(&self, text: String) -> Datum {
        Datum::Decoded { schema: Some(Arc::clone(&self.text)), value: Value::Str(Text::from(text)) }
    }
}

impl Batch<'_> {
    /// Adds what becomes of an event: a record, a failure, or nothing.
    ///
    /// # Errors
    /// `BadRecord` when it cannot become a record and nothing is tolerated.
    pub(super) fn add(&mut self, event: &Event<'_>) -> Result<()> {
        let topic = self.output.topics.of(event.database, event.collection);
        if topic.is_empty() {
            tracing::debug!("an event without a namespace is not published");
            return Ok(());
        }
        let topic = topic.to_owned();
        let tombstone = self.output.tombstone_on_delete && event.full_document.is_none();
        let value = match event.full_document.and_then(Raw::document) {
            _ if !self.output.full_document_only => Some(event.whole),
            Some(document) => Some(document),
            None if tombstone => None,
            None => return Ok(()),
        };
        let start = self.buffer.len();
        let key = self.key(event);
        let made = key.and_then(|key| Ok((key, self.value(value)?)));
        match made {
            Ok((key, value)) => self.parts.push((topic, key, value)),
            Err(error) => {
                self.buffer.truncate(start);
                self.fail(event, value, topic, error)?;
            }
        }
        Ok(())
    }

    fn key(&mut self, event: &Event<'_>) -> Result<Part> {
        let schema = match &self.output.key {
            Form::Schema(schema) => Some(Arc::clone(schema)),
            Form::Infer => Some(self.inferrer.schema(event.whole)?),
            Form::Json | Form::Bson => None,
        };
        if let Some(schema) = schema {
            let value = schema::value(&schema, event.whole, self.output.mode)?;
            return Ok(Part::Made(Datum::Decoded { schema: Some(schema), value }));
        }
        let start = self.buffer.len();
        let is_json = matches!(self.output.key, Form::Json);
        match event.document_key.filter(|_| self.output.document_key_as_key) {
            Some(key) if is_json => json::document(self.output.mode, key, &mut self.buffer)?,
            Some(key) => self.buffer.extend_from_slice(key),
            None => {
                let id = event.id.unwrap_or(Raw { kind: kind::NULL, bytes: &[] });
                let document = wrapped_id(id);
                if is_json {
                    json::document(self.output.mode, &document, &mut self.buffer)?;
                } else {
                    self.buffer.extend_from_slice(&document);
                }
            }
        }
        let range = start..self.buffer.len();
        Ok(if is_json { Part::Text(range) } else { Part::Bytes(range) })
    }

    fn value(&mut self, document: Option<&[u8]>) -> Result<Part> {
        let Some(document) = document else { return Ok(Part::Null) };
        let start = self.buffer.len();
        let schema = match &self.output.value {
            Form::Json => {
                json::document(self.output.mode, document, &mut self.buffer)?;
                return Ok(Part::Text(start..self.buffer.len()));
            }
            Form::Bson => {
                self.buffer.extend_from_slice(document);
                return Ok(Part::Bytes(start..self.buffer.len()));
            }
            Form::Schema(schema) => Arc::clone(schema),
            Form::Infer => self.inferrer.schema(document)?,
        };
        let value = schema::value(&schema, document, self.output.mode)?;
        Ok(Part::Made(Datum::Decoded { schema: Some(schema), value }))
    }

    /// Passes an event over, keeps it in a topic of its own, or ends the task with it.
    fn fail(&mut self, event: &Event<'_>, value: Option<&[u8]>, topic: String, error: Error) -> Result<()> {
        let key = match event.document_key {
            Some(key) => json::text(key)?,
            None => json::text(&wrapped_id(event.id.unwrap_or(Raw { kind: kind::NULL, bytes: &[] })))?,
        };
        let at = format!("{} at {key}", event.namespace());
        match &self.output.tolerance {
            Tolerance::Framework => {
                let value = value.map(json::text).transpose()?;
                self.made.failures.push(SourceFailure {
                    at,
                    topic,
                    key: Some(Bytes::from(key)),
                    value: value.map(Bytes::from),
                    error,
                });
            }
            Tolerance::None => return Err(Error::bad_record(format!("{at} cannot become a record")).because(error)),
            Tolerance::All { topic, log } => {
                if *log {
                    tracing::error!(at, error = error.chain(), "a document cannot become a record and is passed over");
                }
                if !topic.is_empty() {
                    let value = value.map(json::text).transpose()?.unwrap_or_default();
                    let (key, value) = (self.output.text(key), self.output.text(value));
                    self.parts.push((topic.clone(), Part::Made(key), Part::Made(value)));
                }
            }
        }
        Ok(())
    }

    /// The records.
    pub(super) fn finish(mut self) -> Made {
        let buffer = Bytes::from(self.buffer);
        self.made.records.reserve(self.parts.len());
        for (topic, key, value) in self.parts {
            let (key, value) = (self.output.datum(key, &buffer), self.output.datum(value, &buffer));
            self.made.records.push(record(topic, key, value));
        }
        self.made
    }
}

pub(super) fn record(topic: String, key: Datum, value: Datum) -> SourceRecord {
    SourceRecord { topic, partition: None, key, value, headers: Vec::new(), timestamp_ms: None }
}

/// `{"_id": …}`
pub(super) fn wrapped_id(id: Raw<'_>) -> Vec<u8> {
    let mut document = Vec::with_capacity(32);
    let open = begin(&mut document);
    push(&mut document, "_id", id);
    end(&mut document, open);
    document
}

/// Begins a document; answers where.
pub(super) fn begin(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len() - 4
}

/// Appends an element.
pub(super) fn push(document: &mut Vec<u8>, name: &str, value: Raw<'_>) {
    document.push(value.kind);
    document.extend_from_slice(name.as_bytes());
    document.push(0);
    document.extend_from_slice(value.bytes);
}

/// Ends the document that begins at `open`.
pub(super) fn end(out: &mut Vec<u8>, open: usize) {
    out.push(0);
    let length = i32::try_from(out.len() - open).unwrap_or(i32::MAX);
    out[open..open + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests;
