//! Business keys: fields other than `_id` that say which document is meant.
//!
//! Such a filter tells documents apart only when all records have the same fields in theirs, and when what is written holds
//! these fields: `{a: 1}` also finds a document with `a: 1` and `b: 2`, and a document without `a` is not found again. Where
//! that is not certain, records are written one after the other, each for itself, as the peer does.

use millrace_sdk::{Error, Result};
use mongodb::bson::{Bson, Document};

use super::document::Filter;
use super::process::Projection;
use super::settings::IdStrategy;

/// Takes the `_id` out of a document: its fields are the business key.
///
/// # Errors
/// `BadRecord` when it has none.
pub(super) fn take(value: &mut Document, strategy: &IdStrategy) -> Result<Filter> {
    let Some(Bson::Document(key)) = value.remove("_id") else {
        return Err(Error::bad_record(
            "the _id is no document of business key fields; use PartialValueStrategy, PartialKeyStrategy or FullKeyStrategy, \
             and document.id.strategy.overwrite.existing=true where values have an _id of their own",
        ));
    };
    let filter = of(key, strategy);
    if filter.fields.is_empty() {
        return Err(Error::bad_record("the business key has no fields, so that it would mean any document"));
    }
    Ok(filter)
}

/// The filter of an id that is a business key.
pub(super) fn of(key: Document, strategy: &IdStrategy) -> Filter {
    match strategy {
        IdStrategy::Partial(_, projection) => {
            let fields = flat(&key);
            if is_complete(projection, &fields) { Filter::by(fields) } else { Filter::loosely_by(fields) }
        }
        _ => Filter::by(key),
    }
}

/// Whether a filter has every field that the configuration names, so that no record has others in its own.
fn is_complete(projection: &Projection, fields: &Document) -> bool {
    let Projection::Allow(paths) = projection else { return false };
    let paths = paths.list();
    let is_way =
        |path: &str| paths.iter().any(|other| other.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')));
    paths.iter().all(|path| !path.contains('*') && (is_way(path) || fields.contains_key(path)))
}

/// Nested fields by their paths.
fn flat(document: &Document) -> Document {
    fn add(path: &str, document: &Document, out: &mut Document) {
        for (name, value) in document {
            let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match value {
                Bson::Document(inner) => add(&here, inner, out),
                other => {
                    out.insert(here, other.clone());
                }
            }
        }
    }
    let mut out = Document::new();
    add("", document, &mut out);
    out
}

impl Filter {
    /// This filter, which says for sure what is meant only where a replacement can be found by it again.
    pub(super) fn found_in(mut self, document: &Document) -> Self {
        let found =
            |(path, value): (&String, &Bson)| matches!(at(document, path), At::Value(found) if same(found, value));
        self.identifies = self.identifies && self.fields.iter().all(found);
        self
    }

    /// As [`Filter::found_in`], for an upsert that sets fields: it brings those of the filter into a new document itself.
    pub(super) fn found_beside(mut self, set: &Document) -> Self {
        let found = |(path, value): (&String, &Bson)| match at(set, path) {
            At::Value(found) => same(found, value),
            At::Nowhere => *value != Bson::Null,
            At::Elsewhere => false,
        };
        // A name with a dot is a path, for `$set`.
        let paths = set.keys().any(|name| name.contains('.'));
        self.identifies = self.identifies && !paths && self.fields.iter().all(found);
        self
    }
}

/// What a document has at a path.
enum At<'d> {
    Value(&'d Bson),
    /// Not even the way to it
    Nowhere,
    /// The beginning of the way, which leads to something else
    Elsewhere,
}

fn at<'d>(document: &'d Document, path: &str) -> At<'d> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match document.get(first) {
        None => At::Nowhere,
        Some(value) if rest.is_empty() => At::Value(value),
        Some(Bson::Document(inner)) => match at(inner, rest) {
            At::Value(value) => At::Value(value),
            _ => At::Elsewhere,
        },
        Some(_) => At::Elsewhere,
    }
}

/// Equal for the server. A null is not, as it also finds documents without the field.
fn same(one: &Bson, other: &Bson) -> bool {
    let integer = |value: &Bson| match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        _ => None,
    };
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other && *one != Bson::Null,
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;
    use crate::sink::settings::Side;

    fn strategy(fields: &str) -> IdStrategy {
        IdStrategy::Partial(Side::Value, Projection::allow(fields))
    }

    #[test]
    fn a_filter_identifies_when_it_has_all_fields() {
        for (fields, key, identifies) in [
            ("sku", doc! { "sku": "A" }, true),
            ("sku,b.c", doc! { "sku": "A", "b": { "c": 1 } }, true),
            ("sku,b.c", doc! { "sku": "A", "b": {} }, false),
            ("sku,b", doc! { "sku": "A" }, false),
            ("sku,b", doc! { "sku": "A", "b": { "c": 1 } }, false),
            ("sku*", doc! { "sku": "A" }, false),
        ] {
            assert_eq!(of(key.clone(), &strategy(fields)).identifies, identifies, "{fields}: {key}");
        }
        let block = IdStrategy::Partial(Side::Value, Projection::block("n"));
        assert!(!of(doc! { "sku": "A" }, &block).identifies, "which fields are left differs from record to record");
        assert!(of(doc! { "sku": "A" }, &IdStrategy::FullKey).identifies);
    }

    #[test]
    fn a_filter_identifies_when_what_is_written_is_found_by_it() {
        let filter = |fields: Document| Filter::by(fields);
        for (fields, document, replaced, updated) in [
            (doc! { "k": 1 }, doc! { "k": 1_i64, "n": 1 }, true, true),
            (doc! { "k": 1 }, doc! { "k": 2 }, false, false),
            (doc! { "k": 1 }, doc! { "n": 2 }, false, true),
            (doc! { "k": Bson::Null }, doc! { "k": Bson::Null }, false, false),
            (doc! { "k": Bson::Null }, doc! { "n": 1 }, false, false),
            (doc! { "a.b": 1 }, doc! { "a": { "b": 1 } }, true, true),
            (doc! { "a.b": 1 }, doc! { "a": { "c": 1 } }, false, false),
            (doc! { "a.b": 1 }, doc! { "a": 1 }, false, false),
            (doc! { "a.b": 1 }, doc! { "a.b": 1 }, false, false),
        ] {
            assert_eq!(filter(fields.clone()).found_in(&document).identifies, replaced, "{fields} in {document}");
            assert_eq!(
                filter(fields.clone()).found_beside(&document).identifies,
                updated,
                "{fields} beside {document}"
            );
        }
    }
}
