//! Bulk requests: from records to operations, encoded in one buffer for the whole batch, and from answers to outcomes.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use millrace_sdk::{Batch, Datum, Error, Header, Record, Result, Value, VersionRule, Versions};
use serde::{Deserialize, Serialize};

use crate::config::{OnNull, SinkConfig, WriteMethod};
use crate::document;
use crate::error::{Cause, Outcome, classify_item};

/// One operation. The range is in the buffer it was encoded into.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Index of the record in its batch
    pub(crate) record: usize,
    /// Index of the index's name in the list of the batch
    pub(crate) index: usize,
    /// The document's id
    pub(crate) id: String,
    /// Whether it leaves nothing of what was before, so that an earlier one of the same document need not be written
    pub(crate) whole: bool,
    /// Its external version
    pub(crate) version: Option<i64>,
    /// The lines of the request
    pub(crate) lines: Range<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Action<'a> {
    Index(Target<'a>),
    Update(Target<'a>),
    Delete(Target<'a>),
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "_index")]
    index: &'a str,
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_on_conflict: Option<u8>,
}

/// Encodes the operation of a record; `None` when there is nothing to do.
///
/// # Errors
/// `BadRecord` when the record has no usable id or document.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    (config, versions): (&SinkConfig, &Versions),
    (index, index_name): (usize, &str),
    batch: &Batch,
    record: usize,
) -> Result<Option<Operation>> {
    let start = out.len();
    write(out, (config, versions), (index, index_name), batch, record).map_err(|error| {
        out.truncate(start);
        at(batch, &batch.records[record], error)
    })
}

/// An error with the record's coordinates in front.
pub(crate) fn at(batch: &Batch, record: &Record, error: Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", batch.coordinates(record), error)).because(error)
}

/// The `_id` of a record's document.
///
/// # Errors
/// `BadRecord` when the key gives none.
pub(crate) fn id(config: &SinkConfig, batch: &Batch, record: &Record) -> Result<String> {
    let topic = batch.topic(record);
    if config.ignores_key(topic) {
        return Ok(format!("{topic}+{}+{}", batch.origin.partition, record.offset));
    }
    document::id(&record.key)
}

fn write(
    out: &mut Vec<u8>,
    (config, versions): (&SinkConfig, &Versions),
    (index, index_name): (usize, &str),
    batch: &Batch,
    position: usize,
) -> Result<Option<Operation>> {
    let record = &batch.records[position];
    let topic = batch.topic(record);
    let by_key = !config.ignores_key(topic);
    let tombstone = record.value.is_null();
    if tombstone {
        match config.on_null {
            OnNull::Fail => {
                return Err(Error::bad_record(
                    "the value is null: set behavior.on.null.values to delete or ignore to go on with such records",
                ));
            }
            // Without a key there is nothing to delete.
            OnNull::Delete if by_key && !record.key.is_null() => {}
            OnNull::Delete | OnNull::Ignore => return Ok(None),
        }
    }
    let id = id(config, batch, record)?;
    let update = config.write_method == WriteMethod::Upsert && !tombstone;
    let version = if by_key && !update { version(config, versions, record)? } else { None };
    let start = out.len();
    let target = Target {
        index: index_name,
        id: &id,
        version,
        // Where two records may have one version, the later to arrive wins.
        version_type: version.map(|_| if versions.rule.has_ties() { "external_gte" } else { "external" }),
        retry_on_conflict: update.then_some(5),
    };
    let action = match (tombstone, update) {
        (true, _) => Action::Delete(target),
        (false, true) => Action::Update(target),
        (false, false) => Action::Index(target),
    };
    // Writing into a Vec cannot fail.
    let _ = serde_json::to_writer(&mut *out, &action);
    out.push(b'\n');
    if !tombstone {
        if update {
            out.extend_from_slice(b"{\"doc_as_upsert\":true,\"doc\":");
        }
        document::write(&record.value, config.ignores_schema(topic), out)?;
        out.extend_from_slice(if update { b"}\n" } else { b"\n" });
    }
    Ok(Some(Operation { record: position, index, id, whole: !update, version, lines: start..out.len() }))
}

fn version(config: &SinkConfig, versions: &Versions, record: &Record) -> Result<Option<i64>> {
    if versions.rule != VersionRule::Peer {
        return versions.of(record);
    }
    if config.version_header.is_empty() {
        return Ok(Some(record.offset));
    }
    let name = &config.version_header;
    let header = record.headers.iter().rev().find(|header| header.key == *name);
    let number = header.and_then(header_number).filter(|number| *number >= 0);
    number.map(Some).ok_or_else(|| {
        Error::bad_record(format!("the header \"{name}\" (external.version.header) is missing or not a whole number"))
    })
}

fn header_number(header: &Header) -> Option<i64> {
    let value = match &header.value {
        Datum::Decoded { value, .. } => value.open().ok()?,
        other => other.value(),
    };
    match value {
        Value::Int(number) => Some(number),
        Value::Str(text) => text.trim().parse().ok(),
        Value::Bytes(bytes) => std::str::from_utf8(&bytes).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// Where the request that starts with operation `from` ends.
pub(crate) fn chunk_end(operations: &[&Operation], from: usize, config: &SinkConfig) -> usize {
    let records = usize::try_from(config.batch_size).unwrap_or(1);
    let bytes = usize::try_from(config.bulk_size_bytes).unwrap_or(usize::MAX);
    let (mut to, mut size) = (from, 0);
    while to < operations.len() && to - from < records {
        size += operations[to].lines.len();
        if to > from && size > bytes {
            break;
        }
        to += 1;
    }
    to
}

/// The body of a request.
pub(crate) fn body(buffer: &[u8], operations: &[&Operation]) -> Bytes {
    let size = operations.iter().map(|operation| operation.lines.len()).sum();
    let mut body = BytesMut::with_capacity(size);
    for operation in operations {
        body.put_slice(&buffer[operation.lines.clone()]);
    }
    body.freeze()
}

/// The parts of an answer that matter here; asked for by `filter_path`.
#[derive(Debug, Deserialize)]
pub(crate) struct Reply {
    errors: bool,
    #[serde(default)]
    items: Vec<Item>,
}

/// The answer's parts to ask for.
pub(crate) const FILTER: &str = "errors,items.*.status,items.*.error";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Item {
    Index(Answer),
    Create(Answer),
    Update(Answer),
    Delete(Answer),
}

#[derive(Debug, Deserialize)]
struct Answer {
    status: u16,
    #[serde(default)]
    error: Option<Cause>,
}

impl Reply {
    /// Reads an answer. Elasticsearch repeats what it refuses, cut anywhere, half characters too.
    pub(crate) fn parse(body: &str) -> serde_json::Result<Self> {
        serde_json::from_str(body).or_else(|_| serde_json::from_str(&without_half_characters(body)))
    }

    /// What became of each operation; empty when all went well.
    ///
    /// # Errors
    /// `Internal` when the answer is not one to these operations.
    pub(crate) fn outcomes(self, operations: &[&Operation]) -> Result<Vec<Outcome>> {
        if !self.errors {
            return Ok(Vec::new());
        }
        if self.items.len() != operations.len() {
            let (items, sent) = (self.items.len(), operations.len());
            return Err(Error::internal(format!("a bulk of {sent} operations was answered by {items} items")));
        }
        let outcomes = self.items.into_iter().zip(operations).map(|(item, operation)| {
            let (Item::Index(answer) | Item::Create(answer) | Item::Update(answer) | Item::Delete(answer)) = item;
            classify_item(answer.status, answer.error.as_ref(), operation.version.is_some())
        });
        Ok(outcomes.collect())
    }
}

/// JSON with U+FFFD for each `\uD800`…`\uDFFF` that is not part of a pair.
fn without_half_characters(json: &str) -> String {
    let unit = |at: usize| {
        let escape = json.as_bytes().get(at..at + 6).filter(|escape| escape.starts_with(b"\\u"))?;
        u32::from_str_radix(std::str::from_utf8(&escape[2..]).ok()?, 16).ok()
    };
    let (mut out, mut from) = (String::with_capacity(json.len()), 0);
    while let Some(at) = json[from..].find('\\').map(|found| from + found) {
        out.push_str(&json[from..at]);
        let high = unit(at).is_some_and(|unit| (0xD800..0xDC00).contains(&unit));
        let low = |at| unit(at).is_some_and(|unit| (0xDC00..0xE000).contains(&unit));
        let length = match (high, low(at)) {
            (true, _) if low(at + 6) => 12,
            (true, _) | (_, true) => {
                out.push_str("\\ufffd");
                from = at + 6;
                continue;
            }
            // Any other escape: what follows the backslash is not the beginning of one.
            _ => 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8),
        };
        out.push_str(&json[at..at + length]);
        from = at + length;
    }
    out.push_str(&json[from..]);
    out
}

#[cfg(test)]
mod tests;
