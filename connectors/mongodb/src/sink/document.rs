//! Records as documents, for all that does not go straight from bytes to commands: post processors, ids from parts of
//! documents, business keys, namespaces from fields, change events.

use millrace_sdk::{Batch, Datum, Error, Record, Result};
use mongodb::Namespace;
use mongodb::bson::{Bson, DateTime, Document, doc};

use super::business;
use super::id::Ids;
use super::process::Processor;
use super::settings::{IdStrategy, Side, Tombstone, TopicSettings, WriteModel};
use crate::bson;

/// Key and value of a record, read when they are first needed: a key that is no document only matters to who looks at it.
#[derive(Debug)]
pub(crate) struct Documents<'a> {
    record: &'a Record,
    key: Option<Option<Document>>,
    value: Option<Option<Document>>,
    /// The value's `_id` is the key itself: what happens to one happens to the other, as in the peer
    id_is_key: bool,
}

fn read<'d>(place: &'d mut Option<Option<Document>>, datum: &Datum, what: &str) -> Result<&'d mut Option<Document>> {
    if place.is_none() {
        let document = if datum.is_null() {
            None
        } else {
            let read = bson::tree(datum);
            Some(read.map_err(|error| Error::bad_record(format!("the {what}: {}", error.chain())).because(error))?)
        };
        *place = Some(document);
    }
    Ok(place.get_or_insert_default())
}

impl<'a> Documents<'a> {
    /// The documents of a record.
    pub(crate) fn of(record: &'a Record) -> Self {
        Self { record, key: None, value: None, id_is_key: false }
    }

    /// The record.
    pub(crate) fn record(&self) -> &'a Record {
        self.record
    }

    /// The key, when there is one.
    ///
    /// # Errors
    /// `BadRecord` when it is no document.
    pub(crate) fn key(&mut self) -> Result<Option<&Document>> {
        read(&mut self.key, &self.record.key, "key").map(|key| key.as_ref())
    }

    /// The value, when there is one.
    ///
    /// # Errors
    /// `BadRecord` when it is no document.
    pub(crate) fn value(&mut self) -> Result<Option<&Document>> {
        read(&mut self.value, &self.record.value, "value").map(|value| value.as_ref())
    }

    /// Key or value.
    ///
    /// # Errors
    /// As [`Documents::key`].
    pub(crate) fn side(&mut self, side: Side) -> Result<Option<&Document>> {
        match side {
            Side::Key => self.key(),
            Side::Value => self.value(),
        }
    }

    /// Changes key or value, when there is one.
    ///
    /// # Errors
    /// As [`Documents::key`].
    pub(crate) fn change(&mut self, side: Side, change: impl FnOnce(&mut Document)) -> Result<()> {
        let document = match side {
            Side::Key => read(&mut self.key, &self.record.key, "key")?,
            Side::Value => read(&mut self.value, &self.record.value, "value")?,
        };
        let Some(document) = document else { return Ok(()) };
        change(document);
        self.keep_id_and_key_one(side);
        Ok(())
    }

    fn keep_id_and_key_one(&mut self, changed: Side) {
        let (true, Some(Some(key)), Some(Some(value))) = (self.id_is_key, &mut self.key, &mut self.value) else {
            return;
        };
        match (changed, value.get_mut("_id")) {
            (Side::Key, Some(id)) => *id = Bson::Document(key.clone()),
            (Side::Value, Some(Bson::Document(id))) => key.clone_from(id),
            _ => {}
        }
    }

    /// Gives the value its `_id`.
    ///
    /// # Errors
    /// As [`Documents::value`].
    pub(crate) fn set_id(&mut self, id: Bson, strategy: &IdStrategy) -> Result<()> {
        self.change(Side::Value, |value| {
            value.insert("_id", id);
        })?;
        self.id_is_key = *strategy == IdStrategy::FullKey;
        Ok(())
    }

    fn take_value(&mut self) -> Result<Option<Document>> {
        Ok(read(&mut self.value, &self.record.value, "value")?.take())
    }
}

/// A write, as documents.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Write {
    /// Replace what the filter finds
    Replace { filter: Filter, document: Document, upsert: bool },
    /// Change what the filter finds
    Update { filter: Filter, update: Document, upsert: bool },
    /// Add a document, which has an `_id`
    Insert { document: Document },
    /// Delete what the filter finds
    Delete { filter: Filter },
}

/// Which document is meant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    /// Fields and the values they must equal
    pub(crate) fields: Document,
    /// Whether these fields are what identifies the document, as an `_id` or a business key does. Without that nothing can be
    /// said of the order in which writes may go.
    pub(crate) identifies: bool,
}

impl Filter {
    /// By `_id`.
    pub(crate) fn by_id(id: impl Into<Bson>) -> Self {
        Self { fields: doc! { "_id": id.into() }, identifies: true }
    }

    /// By fields that identify a document.
    pub(crate) fn by(fields: Document) -> Self {
        Self { fields, identifies: true }
    }

    /// By fields that happen to be known.
    pub(crate) fn loosely_by(fields: Document) -> Self {
        Self { fields, identifies: false }
    }
}

/// What a record comes to: where, and what; nothing for change events without effect.
///
/// # Errors
/// `BadRecord` when the record has no usable documents or id.
pub(crate) fn write(
    settings: &TopicSettings,
    ids: Ids,
    batch: &Batch,
    record: &Record,
) -> Result<Option<(Namespace, Write)>> {
    let mut documents = Documents::of(record);
    let namespace = namespace(settings, batch, record, &mut documents)?;
    let write = match &settings.cdc {
        Some(cdc) => cdc.handle(&mut documents)?,
        None => Some(chain(settings, ids, batch, record, &mut documents)?),
    };
    Ok(write.map(|write| (namespace, write)))
}

fn namespace(
    settings: &TopicSettings,
    batch: &Batch,
    record: &Record,
    documents: &mut Documents<'_>,
) -> Result<Namespace> {
    let topic = batch.topic(record);
    if settings.namespaces.is_fixed() {
        return Ok(settings.namespaces.fixed(topic));
    }
    // Both are read first, as the look-ups borrow them.
    if settings.namespaces.looks_at(Side::Key) {
        documents.key()?;
    }
    if settings.namespaces.looks_at(Side::Value) {
        documents.value()?;
    }
    let (key, value) = (&documents.key, &documents.value);
    let side = |side| match side {
        Side::Key => Ok(key.as_ref().and_then(Option::as_ref)),
        Side::Value => Ok(value.as_ref().and_then(Option::as_ref)),
    };
    settings.namespaces.of(topic, side)
}

fn chain(
    settings: &TopicSettings,
    ids: Ids,
    batch: &Batch,
    record: &Record,
    documents: &mut Documents<'_>,
) -> Result<Write> {
    match &settings.chain {
        Some(chain) => chain.iter().try_for_each(|one| one.apply(documents, settings, ids, (batch, record)))?,
        None => Processor::AddId.apply(documents, settings, ids, (batch, record))?,
    }
    if record.value.is_null() {
        return tombstone(settings, ids, batch, documents);
    }
    if settings.model == WriteModel::Delete {
        let key = documents.key()?.ok_or_else(no_key)?;
        return Ok(Write::Delete { filter: by_key(key) });
    }
    let mut value = documents.take_value()?.unwrap_or_default();
    Ok(match settings.model {
        WriteModel::Insert => Write::Insert { document: value },
        WriteModel::Update => {
            let filter = Filter::by_id(value.remove("_id").ok_or_else(no_id)?);
            Write::Update { filter, update: doc! { "$set": value }, upsert: true }
        }
        WriteModel::UpdateTimestamps => {
            let filter = Filter::by_id(value.get("_id").cloned().ok_or_else(no_id)?);
            Write::Update { filter, update: with_timestamps(value), upsert: true }
        }
        WriteModel::ReplaceBusinessKey => {
            let filter = business::take(&mut value, &settings.id)?.found_in(&value);
            Write::Replace { filter, document: value, upsert: true }
        }
        WriteModel::UpdateBusinessKey => {
            let filter = business::take(&mut value, &settings.id)?.found_beside(&value);
            Write::Update { filter, update: with_timestamps(value), upsert: true }
        }
        WriteModel::DeleteBusinessKey => Write::Delete { filter: business::take(&mut value, &settings.id)? },
        WriteModel::Replace | WriteModel::Delete => {
            let filter = Filter::by_id(value.get("_id").cloned().ok_or_else(no_id)?);
            Write::Replace { filter, document: value, upsert: true }
        }
    })
}

/// What a null value without `delete.on.null.values` is told, as in the peer.
pub(crate) fn null_value() -> Error {
    Error::bad_record(
        "the value is null, and nothing says what to do then: set delete.on.null.values=true to delete the document of the \
         key, or drop such records by a transform (Filter with the predicate RecordIsTombstone)",
    )
}

fn tombstone(settings: &TopicSettings, ids: Ids, batch: &Batch, documents: &mut Documents<'_>) -> Result<Write> {
    let tombstone = settings.tombstone.ok_or_else(null_value)?;
    documents.key()?.ok_or_else(no_key)?;
    let id = ids.generate(&settings.id, batch, documents)?;
    let filter = match (tombstone, id) {
        (Tombstone::BusinessKey, Bson::Document(key)) => business::of(key, &settings.id),
        (_, id) => Filter::by_id(id),
    };
    Ok(Write::Delete { filter })
}

/// The document that a key means: the key is its filter when it has an `_id`, and its `_id` when it has none.
fn by_key(key: &Document) -> Filter {
    if key.contains_key("_id") { Filter::by(key.clone()) } else { Filter::by_id(key.clone()) }
}

fn no_key() -> Error {
    Error::bad_record("the record has no key, and the key says which document to delete")
}

fn no_id() -> Error {
    Error::bad_record("the document has lost its _id to a post processor, and the write model strategy needs it")
}

fn with_timestamps(mut value: Document) -> Document {
    value.remove("_modifiedTS");
    doc! {
        "$set": value,
        // The server's clock, which is one clock for all tasks.
        "$currentDate": { "_modifiedTS": true },
        "$setOnInsert": { "_insertedTS": DateTime::now() },
    }
}

#[cfg(test)]
mod tests;
