//! Events of MongoDB's change streams, as its source connector and ours publish them.

use millrace_sdk::{Error, Result};
use mongodb::bson::{Bson, Document, doc};

use super::super::document::{Documents, Filter, Write};
use super::or_empty;

/// What `updateDescription` may hold; with anything else the update cannot be repeated faithfully.
const KNOWN: [&str; 4] = ["updatedFields", "removedFields", "truncatedArrays", "disambiguatedPaths"];

pub(super) fn handle(documents: &mut Documents<'_>) -> Result<Option<Write>> {
    let event = or_empty(documents.value()?);
    let operation = match event.get("operationType") {
        Some(Bson::String(operation)) => operation.to_ascii_lowercase(),
        found => return Err(wrong("operationType", "a text", found)),
    };
    Ok(match operation.as_str() {
        "insert" | "replace" => {
            let document = part(&event, "fullDocument")?.clone();
            Some(Write::Replace { filter: filter(&event)?, document, upsert: true })
        }
        // A document that is gone since must not come back, so nothing is inserted.
        "update" if event.contains_key("fullDocument") => {
            let document = part(&event, "fullDocument")?.clone();
            Some(Write::Replace { filter: filter(&event)?, document, upsert: false })
        }
        "update" => Some(Write::Update { filter: filter(&event)?, update: update(&event)?, upsert: false }),
        "delete" => Some(Write::Delete { filter: filter(&event)? }),
        _ => None,
    })
}

fn filter(event: &Document) -> Result<Filter> {
    part(event, "documentKey").map(|key| Filter::by(key.clone()))
}

fn part<'d>(event: &'d Document, name: &str) -> Result<&'d Document> {
    match event.get(name) {
        Some(Bson::Document(found)) => Ok(found),
        found => Err(wrong(name, "a document", found)),
    }
}

fn wrong(name: &str, wanted: &str, found: Option<&Bson>) -> Error {
    let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("{:?}", found.element_type()));
    Error::bad_record(format!("the value is no change event: {name} must be {wanted}, found {found}"))
}

fn update(event: &Document) -> Result<Document> {
    let description = part(event, "updateDescription")?;
    if let Some(unknown) = description.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(Error::bad_record(format!(
            "updateDescription holds {unknown}, which is not known: data could be lost"
        )));
    }
    let fields = part(description, "updatedFields")?;
    let removed = match description.get("removedFields") {
        Some(Bson::Array(removed)) => removed,
        found => return Err(wrong("removedFields", "a list", found)),
    };
    if let Some(found) = description.get("truncatedArrays").filter(|found| found.as_array().is_none()) {
        return Err(wrong("truncatedArrays", "a list", Some(found)));
    }
    let mut update = doc! { "$set": fields.clone() };
    let mut unset = Document::new();
    for name in removed {
        match name {
            Bson::String(name) => unset.insert(name.clone(), ""),
            found => return Err(wrong("removedFields", "a list of texts", Some(found))),
        };
    }
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    Ok(update)
}
