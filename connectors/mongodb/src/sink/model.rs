//! From records to operations: one per record at most, encoded in one buffer for the whole batch.

use std::ops::Range;

use millrace_sdk::{Batch, Error, Record, Result};
use mongodb::Namespace;
use mongodb::bson::{Bson, Document, doc};

use super::document::{self, Filter, Write};
use super::id::{Chosen, Ids};
use super::settings::{TopicSettings, WriteModel};
use crate::bson::{self, MAX_DOCUMENT_BYTES, Writer, kind};

/// Which command carries an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// `delete`
    Delete,
    /// `update`
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
    /// What identifies the document: an encoded `_id` element, or a business key
    pub(crate) identity: Range<usize>,
    /// Whether that says it for sure; without it no two operations may change places
    pub(crate) identified: bool,
    /// Refused by the server's copy of a newer version
    pub(crate) version: Option<i64>,
    /// The element of the command's array: a document
    pub(crate) entry: Range<usize>,
}

/// The field that guarded documents keep their version in.
pub(crate) const VERSION_FIELD: &str = "_millraceVersion";

/// In front of business keys, where the type of an `_id` stands otherwise; no type of BSON has this number.
const BUSINESS_KEY: u8 = 0x80;

/// Encodes the operation of a record; `None` when there is nothing to do. `place` turns a namespace into its index in the
/// list of the batch; without one it is the topic's. With a version the write does nothing to a document of a newer one.
///
/// # Errors
/// `BadRecord` when the record has no usable document or id.
pub(crate) fn encode(
    writer: &mut Writer,
    settings: &TopicSettings,
    ids: Ids,
    (batch, index, version): (&Batch, usize, Option<i64>),
    place: &mut dyn FnMut(Option<Namespace>) -> usize,
) -> Result<Option<Operation>> {
    let record = &batch.records[index];
    let start = writer.len();
    let encoded = if settings.is_direct() {
        direct(writer, settings, ids, (batch, record, version)).map(|encoded| Some((None, encoded)))
    } else {
        document::write(settings, ids, batch, record).and_then(|write| match write {
            None => Ok(None),
            Some((namespace, write)) => {
                from_tree(writer, write, version).map(|encoded| Some((Some(namespace), encoded)))
            }
        })
    };
    match encoded {
        Ok(None) => Ok(None),
        Ok(Some((namespace, encoded))) => Ok(Some(Operation {
            record: index,
            namespace: place(namespace),
            verb: encoded.verb,
            whole: encoded.whole,
            per_record: settings.cdc.is_none() && settings.id.is_per_record(),
            identity: encoded.identity,
            identified: encoded.identified,
            version,
            entry: encoded.entry,
        })),
        Err(error) => {
            writer.truncate(start);
            Err(at(batch, record, error))
        }
    }
}

/// An error with the record's coordinates in front.
pub(crate) fn at(batch: &Batch, record: &Record, error: Error) -> Error {
    let message = format!("{}: {error}", batch.coordinates(record));
    let (tolerance, class) = (error.tolerance(), error.class());
    let mut located = Error::new(error.kind(), message).because(error);
    if let Some(tolerates) = tolerance {
        located = located.tolerated(tolerates);
    }
    match class {
        Some(class) => located.of_class(class),
        None => located,
    }
}

struct Encoded {
    verb: Verb,
    whole: bool,
    identity: Range<usize>,
    identified: bool,
    entry: Range<usize>,
}

/// Straight from the record's bytes, without a tree.
fn direct(
    writer: &mut Writer,
    settings: &TopicSettings,
    ids: Ids,
    (batch, record, version): (&Batch, &Record, Option<i64>),
) -> Result<Encoded> {
    let tombstone = record.value.is_null();
    if tombstone && settings.tombstone.is_none() {
        return Err(document::null_value());
    }
    let chosen = ids.choose(settings, batch, record)?;
    let id_start = writer.len();
    writer.raw(chosen.id());
    let identity = id_start..writer.len();
    let start = writer.len();
    let verb = if tombstone {
        delete(writer, chosen.id(), version);
        Verb::Delete
    } else if settings.model == WriteModel::Insert {
        let added = match &chosen {
            Chosen::Added(id) => Some(id.as_slice()),
            Chosen::Existing(_) => None,
        };
        writer.document(&record.value, added)?;
        Verb::Insert
    } else {
        update(writer, settings.model, record, (&chosen, version))?;
        Verb::Update
    };
    let entry = start..writer.len();
    let whole = verb == Verb::Delete || settings.model == WriteModel::Replace;
    Ok(Encoded { verb, whole, identity, identified: true, entry })
}

fn delete(writer: &mut Writer, id: &[u8], version: Option<i64>) {
    let entry = writer.begin();
    filter(writer, id, version);
    let limit = writer.known("limit");
    writer.set(limit, kind::INT32, &1_i32.to_le_bytes());
    writer.end(entry);
}

/// `{q: {_id}, u: …, upsert: true}`
fn update(
    writer: &mut Writer,
    model: WriteModel,
    record: &Record,
    (chosen, version): (&Chosen, Option<i64>),
) -> Result<()> {
    let added = match chosen {
        Chosen::Added(id) => Some(id.as_slice()),
        Chosen::Existing(_) => None,
    };
    let entry = writer.begin();
    filter(writer, chosen.id(), version);
    let change = writer.known("u");
    if model == WriteModel::Replace {
        writer.set(change, kind::DOCUMENT, &[]);
        let start = writer.len();
        writer.document(&record.value, added)?;
        // Length, type, then the first name. The server would take such a document for update operators.
        if writer.slice(start + 5..start + 6) == b"$" {
            return Err(operator_name());
        }
        keep_version(writer, start, version);
    } else {
        let operators = writer.open(change, kind::DOCUMENT);
        let set = writer.known("$set");
        writer.set(set, kind::DOCUMENT, &[]);
        // The filter brings the `_id` into a new document; an old one has it.
        let id = if model == WriteModel::Update { Some([].as_slice()) } else { added };
        let start = writer.len();
        writer.document(&record.value, id)?;
        keep_version(writer, start, version);
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

/// Adds the version to the document that was written from `start` on.
fn keep_version(writer: &mut Writer, start: usize, version: Option<i64>) {
    if let Some(version) = version {
        writer.reopen();
        let at = writer.known(VERSION_FIELD);
        writer.set(at, kind::INT64, &version.to_le_bytes());
        writer.end(start);
    }
}

fn operator_name() -> Error {
    Error::bad_record("a document to be stored must not begin with a field whose name starts with $")
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
    equals(&mut writer, id, None);
    writer.into_bytes()
}

fn filter(writer: &mut Writer, id: &[u8], version: Option<i64>) {
    let at = writer.known("q");
    writer.set(at, kind::DOCUMENT, &[]);
    equals(writer, id, version);
}

/// `{_id: …}`, which servers look up without planning a query, or `{_id: {$eq: …}}` for an id that would be taken for operators.
/// With a version, no document of a newer one; where there is one, the upsert tries to insert and the unique `_id` refuses that.
fn equals(writer: &mut Writer, id: &[u8], version: Option<i64>) {
    let open = writer.begin();
    let by = writer.known("_id");
    let value = &id["\0_id\0".len()..];
    if version.is_none() && is_plain(id[0], value) {
        writer.set(by, id[0], value);
        return writer.end(open);
    }
    let operator = writer.open(by, kind::DOCUMENT);
    let equal = writer.known("$eq");
    writer.set(equal, id[0], value);
    writer.end(operator);
    if let Some(version) = version {
        writer.raw(&bson::encoded(VERSION_FIELD, &not_newer(version)));
    }
    writer.end(open);
}

/// Whether a filter takes an encoded value for itself: a document that begins with an operator is a condition.
fn is_plain(kind: u8, value: &[u8]) -> bool {
    /// After the document's length and the kind of its first member
    const FIRST_NAME: usize = 5;
    match kind {
        kind::DOCUMENT => value.get(FIRST_NAME) != Some(&b'$'),
        kind::ARRAY | kind::REGEX => false,
        _ => true,
    }
}

fn not_newer(version: i64) -> Bson {
    Bson::Document(doc! { "$not": { "$gt": version } })
}

/// From documents that were looked into.
fn from_tree(writer: &mut Writer, mut write: Write, version: Option<i64>) -> Result<Encoded> {
    if let Some(version) = version {
        guard(&mut write, version);
    }
    let operators = |filter: &Filter| operators(filter, version);
    let (verb, whole, fields, identified, entry) = match write {
        Write::Insert { document } => {
            let id = document.get("_id").cloned().unwrap_or(Bson::Null);
            (Verb::Insert, false, doc! { "_id": id }, true, document)
        }
        Write::Delete { filter } => {
            let entry = doc! { "q": operators(&filter), "limit": 1 };
            (Verb::Delete, true, filter.fields, filter.identifies, entry)
        }
        Write::Replace { filter, document, upsert } => {
            if document.keys().next().is_some_and(|name| name.starts_with('$')) {
                return Err(operator_name());
            }
            let entry = doc! { "q": operators(&filter), "u": document, "upsert": upsert };
            // Where nothing is inserted, an earlier insert must have been made.
            (Verb::Update, upsert, filter.fields, filter.identifies, entry)
        }
        Write::Update { filter, update, upsert } => {
            if let Some(name) = update.keys().find(|name| !name.starts_with('$')) {
                return Err(Error::bad_record(format!("an update must hold operators only, found the field {name}")));
            }
            let entry = doc! { "q": operators(&filter), "u": update, "upsert": upsert };
            (Verb::Update, false, filter.fields, filter.identifies, entry)
        }
    };
    let start = writer.len();
    match fields.get("_id") {
        Some(id) => writer.raw(&bson::encoded("_id", id)),
        None => {
            writer.raw(&[BUSINESS_KEY]);
            writer.raw(&bytes(&fields)?);
        }
    }
    let identity = start..writer.len();
    let start = writer.len();
    let entry = bytes(&entry)?;
    if entry.len() > MAX_DOCUMENT_BYTES + 16 * 1024 {
        let size = entry.len();
        return Err(Error::bad_record(format!(
            "the document has about {size} bytes; MongoDB takes at most {MAX_DOCUMENT_BYTES}"
        )));
    }
    writer.raw(&entry);
    Ok(Encoded { verb, whole, identity, identified, entry: start..writer.len() })
}

fn guard(write: &mut Write, version: i64) {
    let document = match write {
        Write::Replace { document, .. } => Some(document),
        Write::Update { update, .. } => update.get_document_mut("$set").ok(),
        Write::Insert { .. } | Write::Delete { .. } => None,
    };
    if let Some(document) = document {
        document.insert(VERSION_FIELD, version);
    }
}

/// Equality, spelled out: a value that looks like an operator is a value. An id alone is looked up as in `equals`.
fn operators(filter: &Filter, version: Option<i64>) -> Document {
    let is_plain = |value: &Bson| match value {
        Bson::Document(document) => !document.keys().next().is_some_and(|name| name.starts_with('$')),
        Bson::Array(_) | Bson::RegularExpression(_) => false,
        _ => true,
    };
    if let (Some(id), 1, None) = (filter.fields.get("_id"), filter.fields.len(), version)
        && is_plain(id)
    {
        return filter.fields.clone();
    }
    let equal = |(name, value): (&String, &Bson)| (name.clone(), Bson::Document(doc! { "$eq": value.clone() }));
    let mut operators: Document = filter.fields.iter().map(equal).collect();
    if let Some(version) = version {
        operators.insert(VERSION_FIELD, not_newer(version));
    }
    operators
}

fn bytes(document: &Document) -> Result<Vec<u8>> {
    mongodb::bson::serialize_to_vec(document)
        .map_err(|error| Error::bad_record(format!("the document cannot be written as BSON: {error}")))
}

#[cfg(test)]
pub(super) mod tests;
