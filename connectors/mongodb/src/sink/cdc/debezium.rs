//! Events of Debezium: for MongoDB in its two forms, and for relational databases, whose primary key becomes the `_id`.

use millrace_sdk::{Error, Result};
use mongodb::bson::{Bson, Document, oid::ObjectId};

use super::super::document::{Documents, Filter, Write};
use super::or_empty;
use crate::bson;

/// The two forms of Debezium's events for MongoDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Updates are patches of the oplog
    Oplog,
    /// Updates are documents after the change
    ChangeStream,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    Delete,
}

/// What an event did; `None` for changes of a schema.
fn operation(event: &Document) -> Result<Option<Operation>> {
    match event.get("op") {
        None if event.contains_key("ddl") => Ok(None),
        Some(Bson::String(op)) => match op.as_str() {
            "c" | "r" => Ok(Some(Operation::Create)),
            "u" => Ok(Some(Operation::Update)),
            "d" => Ok(Some(Operation::Delete)),
            other => Err(Error::bad_record(format!("the event's op is \"{other}\"; known are c, r, u, d"))),
        },
        _ => Err(Error::bad_record("the value is no event of Debezium: it has no text in op")),
    }
}

pub(super) fn document(documents: &mut Documents<'_>, form: Form) -> Result<Option<Write>> {
    let key = or_empty(documents.key()?);
    if key.is_empty() {
        return Err(Error::bad_record("the event has no key, which says which document changed"));
    }
    let event = or_empty(documents.value()?);
    if key.contains_key("id") && event.is_empty() {
        return Ok(None); // for the compaction of the topic
    }
    let Some(operation) = operation(&event)? else { return Ok(None) };
    Ok(Some(match (operation, form) {
        (Operation::Create, _) => {
            let document = text(&event, "after")?;
            let id =
                document.get("_id").cloned().ok_or_else(|| Error::bad_record("the document in after has no _id"))?;
            Write::Replace { filter: Filter::by_id(id), document, upsert: true }
        }
        (Operation::Update, Form::ChangeStream) => {
            Write::Replace { filter: Filter::by_id(id(&key)?), document: text(&event, "after")?, upsert: true }
        }
        (Operation::Update, Form::Oplog) => {
            let mut patch = text(&event, "patch")?;
            patch.remove("$v");
            match patch.get("_id").cloned() {
                Some(id) => Write::Replace { filter: Filter::by_id(id), document: patch, upsert: true },
                None => Write::Update { filter: Filter::by_id(id(&key)?), update: patch, upsert: false },
            }
        }
        (Operation::Delete, _) => Write::Delete { filter: Filter::by_id(id(&key)?) },
    }))
}

/// The key's `id`: extended JSON in a text.
fn id(key: &Document) -> Result<Bson> {
    match key.get("id") {
        Some(Bson::String(text)) => bson::extended_value(text),
        _ => Err(Error::bad_record("the event's key has no text in id")),
    }
}

/// A document as extended JSON in a text.
fn text(event: &Document, name: &str) -> Result<Document> {
    match event.get(name) {
        Some(Bson::String(text)) => match bson::extended_value(text)? {
            Bson::Document(document) => Ok(document),
            _ => Err(Error::bad_record(format!("the event's {name} is no document"))),
        },
        _ => Err(Error::bad_record(format!("the event has no text in {name}"))),
    }
}

pub(super) fn row(documents: &mut Documents<'_>) -> Result<Option<Write>> {
    let key = or_empty(documents.key()?);
    let event = or_empty(documents.value()?);
    if event.is_empty() {
        return Ok(None); // for the compaction of the topic
    }
    let Some(operation) = operation(&event)? else { return Ok(None) };
    let filter = match operation {
        _ if !key.is_empty() => Filter::by_id(key.clone()),
        // A table without a primary key: only the row as it was says which one is meant.
        Operation::Create => Filter { identifies: false, ..Filter::by_id(ObjectId::new()) },
        Operation::Update | Operation::Delete => match event.get("before") {
            Some(Bson::Document(before)) if !before.is_empty() => Filter::loosely_by(before.clone()),
            _ => {
                return Err(Error::bad_record(
                    "the event has neither a key nor the row before the change, so that it does not say which row it means",
                ));
            }
        },
    };
    if operation == Operation::Delete {
        return Ok(Some(Write::Delete { filter }));
    }
    let after = match event.get("after") {
        Some(Bson::Document(after)) if !after.is_empty() => after,
        _ => return Err(Error::bad_record("the event has no row in after")),
    };
    let mut document = Document::new();
    if let Some(id) = filter.fields.get("_id") {
        document.insert("_id", id.clone());
    }
    document.extend(
        after.iter().filter(|(name, _)| !key.contains_key(name)).map(|(name, value)| (name.clone(), value.clone())),
    );
    Ok(Some(Write::Replace { filter, document, upsert: true }))
}
