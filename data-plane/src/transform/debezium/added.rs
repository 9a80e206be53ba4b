//! `add.fields` and `add.headers`: what goes from a change event into the record, such as `op,source.ts_ms:at`.

use std::sync::Arc;

use millrace_sdk::{Error, Problem, Result, Schema, Text, Type, Value};

use super::super::config::invalid;
use super::super::data::{Fields, basics, field, position, require_map};

/// A field of the event and its new name.
#[derive(Debug, PartialEq)]
pub(super) struct Reference {
    /// `source`, `transaction`…; None for a field of the event itself
    parent: Option<String>,
    pub(super) field: String,
    pub(super) name: Text,
}

/// The references of a list.
pub(super) fn references(key: &str, prefix: &str, list: &[String]) -> Result<Vec<Reference>, Problem> {
    list.iter().map(|item| reference(prefix, item).ok_or_else(|| wrong(key, list, item))).collect()
}

fn wrong(key: &str, list: &[String], item: &str) -> Problem {
    let why = format!("unexpected field name: {item}; write a field, structure.field, or either of them with :newName");
    invalid(key, &format!("[{}]", list.join(", ")), &why)
}

fn reference(prefix: &str, item: &str) -> Option<Reference> {
    let mut parts = item.split(':');
    let (path, renamed, more) = (parts.next()?, parts.next(), parts.next());
    if more.is_some() || path.is_empty() || renamed == Some("") {
        return None;
    }
    let mut steps = path.split('.');
    let (first, second) = (steps.next()?, steps.next());
    let (parent, field) = match second {
        Some(field) => (Some(first), field),
        None => (home(first), first),
    };
    let name = match (renamed, second) {
        (Some(renamed), _) => format!("{prefix}{renamed}"),
        (None, Some(second)) => format!("{prefix}{first}_{second}"),
        (None, None) => format!("{prefix}{first}"),
    };
    Some(Reference { parent: parent.map(str::to_owned), field: field.to_owned(), name: Text::from(name) })
}

/// Where a field is looked for that is named without its structure.
fn home(field: &str) -> Option<&'static str> {
    match field {
        "op" | "ts_ms" | "ts_us" | "ts_ns" => None,
        "id" | "data_collection_order" | "total_order" => Some("transaction"),
        "updateDescription" => Some("updateDescription"),
        _ => Some("source"),
    }
}

impl Reference {
    /// The schema of the new field, optional whatever it was; None when the event has no such field, neither in its
    /// structure nor by itself.
    pub(super) fn schema(&self, event: &Schema) -> Option<Arc<Schema>> {
        let parent = match &self.parent {
            Some(parent) => field(event, parent).map(|parent| &*parent.schema),
            None => Some(event),
        };
        let found = parent.and_then(|parent| field(parent, &self.field)).or_else(|| field(event, &self.field))?;
        let mut schema = basics(&found.schema, found.schema.kind);
        schema.optional = true;
        if found.schema.kind == Type::Struct {
            schema.fields.clone_from(&found.schema.fields);
        }
        schema.key.clone_from(&found.schema.key);
        schema.element.clone_from(&found.schema.element);
        Some(Arc::new(schema))
    }

    /// The value of a field that the schema has; null when its structure is absent.
    pub(super) fn value(&self, event: &Fields) -> Value {
        self.schemaless(event).ok().flatten().unwrap_or(Value::Null)
    }

    /// The value in an event without a schema; None when there is no such field.
    pub(super) fn schemaless(&self, event: &Fields) -> Result<Option<Value>, Error> {
        let get = |fields: &Fields, name: &str| position(fields, name).map(|index| fields[index].1.clone());
        if let Some(parent) = &self.parent
            && let Some(inner @ (Value::Map(_) | Value::Json(_))) = get(event, parent)
        {
            let inner = require_map(inner, "source field insertion")?;
            if let Some(value) = get(&inner, &self.field) {
                return Ok(Some(value));
            }
        }
        Ok(get(event, &self.field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_structures_and_new_names() {
        let reference = |parent: Option<&str>, field: &str, name: &str| {
            Some(Reference { parent: parent.map(str::to_owned), field: field.to_owned(), name: Text::from(name) })
        };
        for (item, expected) in [
            ("op", reference(None, "op", "__op")),
            ("ts_ms", reference(None, "ts_ms", "__ts_ms")),
            ("lsn", reference(Some("source"), "lsn", "__lsn")),
            ("source.ts_ms", reference(Some("source"), "ts_ms", "__source_ts_ms")),
            ("source.ts_ms:at", reference(Some("source"), "ts_ms", "__at")),
            ("id", reference(Some("transaction"), "id", "__id")),
            ("transaction.total_order", reference(Some("transaction"), "total_order", "__transaction_total_order")),
            ("updateDescription", reference(Some("updateDescription"), "updateDescription", "__updateDescription")),
            ("op:OP", reference(None, "op", "__OP")),
            ("a:b:c", None),
            ("a:", None),
        ] {
            assert_eq!(super::reference("__", item), expected, "{item}");
        }
    }
}
