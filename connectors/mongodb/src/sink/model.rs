//! From records to write models: one operation per record, encoded in one buffer for the whole batch.

use std::ops::Range;

use millrace_sdk::{Batch, Error, Record, Result};

use super::id::{Chosen, Ids};
use super::settings::{TopicSettings, WriteModel};
use crate::bson::{Writer, kind};

/// Which command carries an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// `delete`
    Delete,
    /// `update`, and `upsert` is on
    Update,
    /// `insert`
    Insert,
}

/// One operation. The ranges are in the [`Writer`] it was encoded into.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    /// Index of the record in its batch
    pub(crate) record: usize,
    /// Index of the namespace in the list of the batch
    pub(crate) namespace: usize,
    /// The command
    pub(crate) verb: Verb,
    /// Whether it leaves nothing of what was before, so that an earlier one of the same document need not be written
    pub(crate) whole: bool,
    /// Whether another document with this id can only be an earlier attempt of this record
    pub(crate) per_record: bool,
    /// The encoded `_id` element
    pub(crate) id: Range<usize>,
    /// The element of the command's array: a document
    pub(crate) entry: Range<usize>,
}

/// Encodes the operation of a record; `None` when there is nothing to do.
///
/// # Errors
/// `BadRecord` when the record has no usable document or id.
pub(crate) fn encode(
    writer: &mut Writer,
    (settings, namespace): (&TopicSettings, usize),
    ids: Ids,
    batch: &Batch,
    index: usize,
) -> Result<Option<Operation>> {
    let record = &batch.records[index];
    let tombstone = record.value.is_null();
    // As in the peer: null values are skipped unless they are to delete, and without a key there is nothing to delete.
    if tombstone && (!settings.delete_on_null || record.key.is_null()) {
        return Ok(None);
    }
    let start = writer.len();
    let encoded = write(writer, settings, ids, batch, record, tombstone);
    match encoded {
        Ok((verb, id, entry)) => Ok(Some(Operation {
            record: index,
            namespace,
            verb,
            whole: verb == Verb::Delete || settings.model == WriteModel::Replace,
            per_record: settings.id.is_per_record(),
            id,
            entry,
        })),
        Err(error) => {
            writer.truncate(start);
            Err(at(batch, record, error))
        }
    }
}

/// An error with the record's coordinates in front.
pub(crate) fn at(batch: &Batch, record: &Record, error: Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", batch.coordinates(record), error)).because(error)
}

type Encoded = (Verb, Range<usize>, Range<usize>);

fn write(
    writer: &mut Writer,
    settings: &TopicSettings,
    ids: Ids,
    batch: &Batch,
    record: &Record,
    tombstone: bool,
) -> Result<Encoded> {
    let chosen = ids.choose(settings, batch, record)?;
    let id_start = writer.len();
    writer.raw(chosen.id());
    let id = id_start..writer.len();
    let added = match &chosen {
        Chosen::Added(id) => Some(id.as_slice()),
        Chosen::Existing(_) => None,
    };
    let start = writer.len();
    let verb = if tombstone || settings.model == WriteModel::Delete {
        delete(writer, chosen.id());
        Verb::Delete
    } else if settings.model == WriteModel::Insert {
        writer.document(&record.value, added)?;
        Verb::Insert
    } else {
        update(writer, settings.model, record, chosen.id(), added)?;
        Verb::Update
    };
    Ok((verb, id, start..writer.len()))
}

/// `{q: {_id}, limit: 1}`
fn delete(writer: &mut Writer, id: &[u8]) {
    let entry = writer.begin();
    filter(writer, id);
    let limit = writer.known("limit");
    writer.set(limit, kind::INT32, &1_i32.to_le_bytes());
    writer.end(entry);
}

/// `{q: {_id}, u: …, upsert: true}`
fn update(writer: &mut Writer, model: WriteModel, record: &Record, id: &[u8], added: Option<&[u8]>) -> Result<()> {
    let entry = writer.begin();
    filter(writer, id);
    let change = writer.known("u");
    if model == WriteModel::Replace {
        writer.set(change, kind::DOCUMENT, &[]);
        let start = writer.len();
        writer.document(&record.value, added)?;
        // Length, type, then the first name. The server would take such a document for update operators.
        if writer.slice(start + 5..start + 6) == b"$" {
            return Err(Error::bad_record(
                "a document to be stored must not begin with a field whose name starts with $",
            ));
        }
    } else {
        let operators = writer.open(change, kind::DOCUMENT);
        let set = writer.known("$set");
        writer.set(set, kind::DOCUMENT, &[]);
        writer.document(&record.value, added)?;
        if model == WriteModel::UpdateTimestamps {
            stamps(writer);
        }
        writer.end(operators);
    }
    let upsert = writer.known("upsert");
    writer.set(upsert, kind::BOOLEAN, &[1]);
    writer.end(entry);
    Ok(())
}

/// The server's clock, which is one clock for all tasks: `_modifiedTS` each time, `_insertedTS` once.
fn stamps(writer: &mut Writer) {
    let at = writer.known("$currentDate");
    let open = writer.open(at, kind::DOCUMENT);
    let modified = writer.known("_modifiedTS");
    writer.set(modified, kind::BOOLEAN, &[1]);
    writer.end(open);
    let at = writer.known("$setOnInsert");
    let open = writer.open(at, kind::DOCUMENT);
    let inserted = writer.known("_insertedTS");
    let now = mongodb::bson::DateTime::now().timestamp_millis();
    writer.set(inserted, kind::DATE, &now.to_le_bytes());
    writer.end(open);
}

/// A filter for the document with this encoded `_id` element.
pub(crate) fn by_id(id: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    equals(&mut writer, id);
    writer.into_bytes()
}

fn filter(writer: &mut Writer, id: &[u8]) {
    let at = writer.known("q");
    writer.set(at, kind::DOCUMENT, &[]);
    equals(writer, id);
}

/// `{_id: {$eq: …}}`: an id that is a document is compared as a whole, whatever its names are.
fn equals(writer: &mut Writer, id: &[u8]) {
    let open = writer.begin();
    let by = writer.known("_id");
    let operator = writer.open(by, kind::DOCUMENT);
    let equal = writer.known("$eq");
    writer.set(equal, id[0], &id["\0_id\0".len()..]);
    writer.end(operator);
    writer.end(open);
}

#[cfg(test)]
mod tests;
