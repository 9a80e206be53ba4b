//! Which collection a record's document goes to: a fixed one, the topic's, or one named by the record's fields.

use millrace_sdk::{Error, Result};
use mongodb::Namespace;
use mongodb::bson::{Bson, Document};

use super::config::TopicConfig;
use super::settings::Side;

/// Where the documents of a topic go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Namespaces {
    /// Database, unless a field names it
    pub(crate) database: String,
    /// Collection, unless a field names it; empty means the topic
    pub(crate) collection: String,
    database_field: Option<Path>,
    collection_field: Option<Path>,
    error_if_invalid: bool,
}

/// A field with dots for nested ones.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    side: Side,
    path: String,
}

impl Namespaces {
    /// One namespace for all records of a topic.
    pub(crate) fn fixed_to(database: &str, collection: &str) -> Self {
        Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
            database_field: None,
            collection_field: None,
            error_if_invalid: false,
        }
    }

    /// Namespaces from fields; an error is a key and what is wrong with it.
    pub(crate) fn by_field(config: &TopicConfig) -> Result<Self, (&'static str, String)> {
        let pick = |what: &'static str, of_key: &str, of_value: &str| match (of_key.trim(), of_value.trim()) {
            ("", "") => Ok(None),
            (path, "") => Ok(Some(Path { side: Side::Key, path: path.to_owned() })),
            ("", path) => Ok(Some(Path { side: Side::Value, path: path.to_owned() })),
            _ => Err((
                if what == "database" {
                    "namespace.mapper.key.database.field"
                } else {
                    "namespace.mapper.key.collection.field"
                },
                format!("the {what} is named by a field of the key or by one of the value, not by both"),
            )),
        };
        let database_field = pick("database", &config.key_database_field, &config.value_database_field)?;
        let collection_field = pick("collection", &config.key_collection_field, &config.value_collection_field)?;
        if database_field.is_none() && collection_field.is_none() {
            let message = "FieldPathNamespaceMapper needs namespace.mapper.{key,value}.{database,collection}.field";
            return Err(("namespace.mapper", message.to_owned()));
        }
        let error_if_invalid = config.namespace_error_if_invalid;
        let fixed = Self::fixed_to(&config.database, &config.collection);
        Ok(Self { database_field, collection_field, error_if_invalid, ..fixed })
    }

    /// Whether no field names anything.
    pub(crate) fn is_fixed(&self) -> bool {
        self.database_field.is_none() && self.collection_field.is_none()
    }

    /// Whether a field of key or value names anything.
    pub(crate) fn looks_at(&self, side: Side) -> bool {
        [&self.database_field, &self.collection_field].into_iter().flatten().any(|path| path.side == side)
    }

    /// The namespace of a topic where fields say nothing.
    pub(crate) fn fixed(&self, topic: &str) -> Namespace {
        let collection = if self.collection.is_empty() { topic } else { &self.collection };
        Namespace::new(self.database.clone(), collection)
    }

    /// The namespace of a record.
    ///
    /// # Errors
    /// `BadRecord` for a field that names nothing, when that is to be an error, and for names that MongoDB does not take.
    pub(crate) fn of<'d>(
        &self,
        topic: &str,
        mut document: impl FnMut(Side) -> Result<Option<&'d Document>>,
    ) -> Result<Namespace> {
        let mut namespace = self.fixed(topic);
        let mut look = |field: &Option<Path>| match field {
            None => Ok(None),
            Some(path) => self.named_by(path, document(path.side)?),
        };
        if let Some(name) = look(&self.database_field)? {
            namespace.db = name;
        }
        if let Some(name) = look(&self.collection_field)? {
            namespace.coll = name;
        }
        let wrong = wrong_database(&namespace.db).or_else(|| wrong_collection(&namespace.coll));
        match wrong.or_else(|| namespace.coll.is_empty().then(|| "the collection has no name".to_owned())) {
            Some(message) => Err(Error::bad_record(format!("the record names no usable namespace: {message}"))),
            None => Ok(namespace),
        }
    }

    fn named_by(&self, path: &Path, document: Option<&Document>) -> Result<Option<String>> {
        let found = document.and_then(|document| lookup(document, &path.path));
        match found {
            Some(Bson::String(name)) => Ok(Some(name.clone())),
            _ if !self.error_if_invalid => Ok(None),
            _ => Err(Error::bad_record(format!(
                "the field {} that names the namespace is {}",
                path.path,
                if found.is_some() { "no text" } else { "absent" }
            ))),
        }
    }
}

/// A field by its whole name, or else by its path.
fn lookup<'d>(document: &'d Document, path: &str) -> Option<&'d Bson> {
    if let Some(found) = document.get(path) {
        return Some(found);
    }
    let (first, rest) = path.split_once('.').filter(|_| !path.ends_with('.'))?;
    document.get(first)?.as_document().and_then(|document| lookup(document, rest))
}

/// Why a database cannot have this name.
pub(super) fn wrong_database(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the database has no name".to_owned());
    }
    if name.len() > 63 {
        return Some(format!("the database name has {} bytes; MongoDB takes at most 63", name.len()));
    }
    let bad = name.chars().find(|c| "/\\. \"$*<>:|?\0".contains(*c))?;
    Some(format!("a database name must not hold {bad:?}: \"{name}\""))
}

/// Why a collection cannot have this name.
pub(super) fn wrong_collection(name: &str) -> Option<String> {
    if name.contains('$') || name.contains('\0') {
        return Some(format!("a collection name must hold neither \"$\" nor NUL: {name:?}"));
    }
    if name.starts_with("system.") || name.starts_with('.') || name.ends_with('.') {
        return Some(format!("a collection name must not start with \"system.\" or a dot, nor end in one: \"{name}\""));
    }
    None
}
