//! Reading: one member of what a record holds, a whole document as a tree, and encoded elements back to values.

use millrace_sdk::{Datum, Error, Result, Value};
use mongodb::bson::raw::{RawBsonRef, RawDocument};
use mongodb::bson::{Bson, Document};

use super::{Dialect, Writer, json, not_a_document, not_bson, text_of};

pub(super) fn raw_document(bytes: &[u8]) -> Result<&RawDocument> {
    let document = RawDocument::from_bytes(bytes).map_err(|error| not_bson(&error))?;
    for element in document.iter() {
        element.map_err(|error| not_bson(&error))?;
    }
    Ok(document)
}

/// The `_id` element of a document; `None` when there is none.
///
/// # Errors
/// `BadRecord` when it is not a document.
pub(crate) fn id_of(datum: &Datum) -> Result<Option<Vec<u8>>> {
    let (value, schema) = match datum {
        Datum::Null | Datum::Decoded { value: Value::Null, .. } => return Ok(None),
        Datum::Encoded(bytes) => return raw_id(bytes),
        Datum::Decoded { value: Value::Bytes(bytes), .. } => return raw_id(bytes),
        // Most have none.
        Datum::Decoded { value: Value::Json(bytes), .. }
            if bytes.first() == Some(&b'{') && !json::may_hold_id(bytes) =>
        {
            return Ok(None);
        }
        Datum::Decoded { value, schema } => (value, schema.as_deref()),
    };
    let mut writer = Writer::with_capacity(64);
    let at = writer.known("_id");
    let found = match value {
        Value::Str(text) => json::id(&mut writer, at, text.as_bytes(), Dialect::Extended)?,
        Value::Json(bytes) => match text_of(bytes)? {
            Some(text) => json::id(&mut writer, at, text.as_bytes(), Dialect::Extended)?,
            None => json::id(&mut writer, at, bytes, Dialect::Connect)?,
        },
        Value::Map(fields) => match fields.iter().find(|(field, _)| field == "_id") {
            Some((_, value)) => {
                let field = schema.and_then(|schema| schema.fields.iter().find(|field| field.name == "_id"));
                writer.value(at, value, field.map(|field| &*field.schema))?;
                true
            }
            None => false,
        },
        other => return Err(not_a_document(other)),
    };
    Ok(found.then(|| writer.into_bytes()))
}

fn raw_id(bytes: &[u8]) -> Result<Option<Vec<u8>>> {
    let document = raw_document(bytes)?;
    let mut at = 4;
    for element in document.iter_elements() {
        let element = element.map_err(|error| not_bson(&error))?;
        let end = at + 1 + element.key().as_str().len() + 1 + element.size();
        if element.key().as_str() == "_id" {
            return Ok(Some(bytes.get(at..end).unwrap_or_default().to_vec()));
        }
        at = end;
    }
    Ok(None)
}

/// The server nests no deeper either.
const MAX_DEPTH: usize = 180;

/// A key or value as a tree.
///
/// # Errors
/// `BadRecord` when it is not a document, or nested too deeply.
pub(crate) fn tree(datum: &Datum) -> Result<Document> {
    let mut writer = Writer::default();
    writer.document(datum, None)?;
    let bytes = writer.into_bytes();
    let raw = RawDocument::from_bytes(&bytes).map_err(|error| not_bson(&error))?;
    check_depth(raw, MAX_DEPTH)?;
    Document::try_from(raw).map_err(|error| not_bson(&error))
}

fn check_depth(document: &RawDocument, left: usize) -> Result<()> {
    document.iter().try_for_each(|element| check_value(element.map_err(|error| not_bson(&error))?.1, left))
}

fn check_value(value: RawBsonRef<'_>, left: usize) -> Result<()> {
    match value {
        RawBsonRef::Document(_) | RawBsonRef::Array(_) if left == 0 => {
            Err(Error::bad_record(format!("the document is nested deeper than {MAX_DEPTH} levels")))
        }
        RawBsonRef::Document(inner) => check_depth(inner, left - 1),
        RawBsonRef::Array(items) => {
            items.into_iter().try_for_each(|item| check_value(item.map_err(|error| not_bson(&error))?, left - 1))
        }
        _ => Ok(()),
    }
}

/// A value as an encoded element.
pub(crate) fn encoded(name: &str, value: &Bson) -> Vec<u8> {
    // What comes from BSON goes back into it.
    let mut document = Document::new();
    document.insert(name, value);
    let bytes = mongodb::bson::serialize_to_vec(&document).unwrap_or_default();
    bytes.get(4..bytes.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

/// The value of an encoded element.
pub(crate) fn decoded(element: &[u8]) -> Option<Bson> {
    let mut writer = Writer::default();
    let open = writer.begin();
    writer.raw(element);
    writer.end(open);
    let bytes = writer.into_bytes();
    let document = Document::try_from(RawDocument::from_bytes(&bytes).ok()?).ok()?;
    document.into_iter().next().map(|(_, value)| value)
}

/// A value of extended JSON.
///
/// # Errors
/// `BadRecord` when it is none.
pub(crate) fn extended_value(text: &str) -> Result<Bson> {
    let mut writer = Writer::default();
    let open = writer.begin();
    let at = writer.known("v");
    json::element(&mut writer, at, text.as_bytes(), Dialect::Extended)?;
    writer.end(open);
    let bytes = writer.into_bytes();
    let raw = RawDocument::from_bytes(&bytes).map_err(|error| not_bson(&error))?;
    let mut document = Document::try_from(raw).map_err(|error| not_bson(&error))?;
    Ok(document.remove("v").unwrap_or(Bson::Null))
}
