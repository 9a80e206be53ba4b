//! Converters: bytes of a record's key or value to a [`Datum`] and back, one call per batch. A new converter is a file and a
//! line in [`LIST`].

mod bytes;
mod json;
mod json_schema;
mod json_value;
mod text;

use ::bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result};

/// A converter. Calls may overlap.
pub trait Converter: Send + Sync {
    /// Its Java class, for dead-letter headers.
    fn class(&self) -> &'static str;

    /// Decodes payloads one by one; no payload is [`Datum::Null`]. The answers are in the order of the payloads.
    fn decode(&self, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>>;

    /// Encodes data one by one; `None` is a tombstone (or no key).
    fn encode(&self, data: &[&Datum]) -> Vec<Result<Option<Bytes>>>;
}

/// What a converter is made from: the settings after `key.converter.` or `value.converter.`.
type Make = fn(&Flat) -> Result<Box<dyn Converter>>;

/// A converter's names, ours first, and how it is made.
struct Entry {
    names: &'static [&'static str],
    make: Make,
}

/// All converters.
const LIST: &[Entry] = &[
    Entry { names: &["json", json::CLASS, "JsonConverter", "Json"], make: json::JsonConverter::make },
    Entry { names: &["string", text::CLASS, "StringConverter", "String"], make: text::StringConverter::make },
    Entry { names: &["bytes", bytes::CLASS, "ByteArrayConverter", "ByteArray"], make: bytes::ByteArrayConverter::make },
];

/// Whether a converter is for keys or for values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `key.converter`
    Key,
    /// `value.converter`
    Value,
}

impl Role {
    /// The key that names the class.
    #[must_use]
    pub fn config_key(self) -> &'static str {
        match self {
            Self::Key => "key.converter",
            Self::Value => "value.converter",
        }
    }
}

fn entry(class: &str) -> Result<&'static Entry, String> {
    let class = class.trim();
    LIST.iter().find(|entry| entry.names.contains(&class)).ok_or_else(|| {
        let available: Vec<&str> = LIST.iter().map(|entry| entry.names[0]).collect();
        format!("unknown converter {class}; available are {} and their Java class names", available.join(", "))
    })
}

/// Whether there is a converter of that name.
///
/// # Errors
/// A message that names those there are.
pub fn check_class(class: &str) -> Result<(), String> {
    entry(class).map(|_| ())
}

/// Whether a header converter is the default one, which needs no converter here.
#[must_use]
pub fn is_default_header_converter(class: &str) -> bool {
    matches!(
        class.trim(),
        "org.apache.kafka.connect.storage.SimpleHeaderConverter" | "SimpleHeaderConverter" | "SimpleHeader" | ""
    )
}

/// The converter that a connector asks for, else its tenant's, else ours: text keys, schemaless JSON values. As in Connect
/// the settings of a converter are taken from where its class is named.
///
/// # Errors
/// `BadConfig` for an unknown converter or setting.
pub fn converter(role: Role, config: &Flat, tenant: &Flat) -> Result<Box<dyn Converter>> {
    let key = role.config_key();
    for flat in [config, tenant] {
        if let Some(class) = flat.get(key) {
            let prefix = format!("{key}.");
            let settings =
                flat.iter().filter_map(|(name, value)| Some((name.strip_prefix(&prefix)?.to_owned(), value.clone())));
            let entry = entry(class).map_err(|message| Error::bad_config(format!("{key}: {message}")))?;
            return (entry.make)(&settings.collect());
        }
    }
    match role {
        Role::Key => text::StringConverter::make(&Flat::new()),
        Role::Value => json::JsonConverter::make(&Flat::from([("schemas.enable".to_owned(), "false".to_owned())])),
    }
}

#[cfg(test)]
mod tests;
