//! Events of Qlik Replicate for relational databases, with or without an envelope `message` and with headers beside the data
//! or flattened into it.

use millrace_sdk::{Error, Result};
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};

use super::super::document::{Documents, Filter, Write};
use super::or_empty;

pub(super) fn handle(documents: &mut Documents<'_>) -> Result<Option<Write>> {
    let key = or_empty(documents.key()?);
    let event = or_empty(documents.value()?);
    if event.is_empty() {
        return Ok(None); // for the compaction of the topic
    }
    let message = part(&event, "message", false)?;
    let headers = part(message, "headers", false)?;
    let operation = match headers.get("operation").or_else(|| headers.get("headers_operation")) {
        Some(Bson::String(operation)) => operation.to_ascii_lowercase(),
        _ => return Err(Error::bad_record("the value is no event of Qlik: headers.operation is no text")),
    };
    match operation.as_str() {
        "insert" | "refresh" | "read" => replace(&key, message).map(Some),
        "update" => update(&key, message),
        "delete" => {
            let data = part(message, "data", true)?;
            let filter = filter(&key, part(data, "beforeData", true)?)?;
            Ok(Some(Write::Delete { filter }))
        }
        other => Err(Error::bad_record(format!("the event's operation is \"{other}\", which is not known"))),
    }
}

/// The document in a field, or the whole when there is no such field.
fn part<'d>(whole: &'d Document, name: &str, or_null: bool) -> Result<&'d Document> {
    match whole.get(name) {
        None => Ok(whole),
        Some(Bson::Null) if or_null => Ok(whole),
        Some(Bson::Document(found)) => Ok(found),
        Some(_) => Err(Error::bad_record(format!("the event's {name} is no document"))),
    }
}

fn filter(key: &Document, otherwise: &Document) -> Result<Filter> {
    if !key.is_empty() {
        return Ok(Filter::by_id(key.clone()));
    }
    if otherwise.is_empty() {
        return Err(Error::bad_record("the event has neither a key nor the row before the change"));
    }
    Ok(Filter::loosely_by(otherwise.clone()))
}

fn replace(key: &Document, message: &Document) -> Result<Write> {
    let filter = if key.is_empty() {
        Filter { identifies: false, ..Filter::by_id(ObjectId::new()) }
    } else {
        Filter::by_id(key.clone())
    };
    let mut document = Document::new();
    if let Some(id) = filter.fields.get("_id") {
        document.insert("_id", id.clone());
    }
    for (name, value) in part(message, "data", false)? {
        document.insert(name.clone(), value.clone());
    }
    Ok(Write::Replace { filter, document, upsert: true })
}

fn update(key: &Document, message: &Document) -> Result<Option<Write>> {
    let before = part(message, "beforeData", false)?;
    let filter = filter(key, before)?;
    let after = part(message, "data", false)?;
    if after.is_empty() {
        return Err(Error::bad_record("the event has no row in data"));
    }
    let changed: Document = after
        .iter()
        .filter(|(name, value)| before.get(name.as_str()) != Some(*value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if changed.is_empty() {
        return Ok(None);
    }
    Ok(Some(Write::Update { filter, update: doc! { "$set": changed }, upsert: true }))
}
