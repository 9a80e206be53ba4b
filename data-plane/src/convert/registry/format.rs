//! What differs from one format to the next: how its schemas are translated, and what follows the id of a schema. All of it
//! is pure.

use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::{Datum, Flat, Result, Schema, Value};

use super::client::{Fetched, Text};

/// A format.
pub(in crate::convert) trait Format: Sized + Send + Sync + 'static {
    /// The Java class
    const CLASS: &'static str;
    /// The registry's name of such schemas
    const KIND: &'static str;
    /// The settings of this format alone
    const SETTINGS: &'static [&'static str];
    /// A schema ready to read with
    type Reader: Read;
    /// A schema ready to write with
    type Writer: Write;

    fn make(settings: &Flat) -> Result<Self>;

    /// The name of a schema's record, which subjects may follow.
    fn record_name(&self, schema: &Fetched) -> Result<Option<String>>;

    /// Prepares to read; `version` is the schema's under its subject.
    fn reader(&self, schema: &Fetched, version: Option<i32>) -> Result<Self::Reader>;

    /// Prepares to read data of one schema as another one has them, whose version that is. Here: payloads that say
    /// themselves which fields they have.
    fn reader_as(&self, _written: &Fetched, wanted: &Fetched, version: Option<i32>) -> Result<Self::Reader> {
        self.reader(wanted, version)
    }

    /// The schema to register for data of a Connect schema (None for data without).
    fn describe(&self, schema: Option<&Schema>) -> Result<String>;

    /// Prepares to write data of a Connect schema as the registry's schema says.
    fn writer(&self, schema: Option<&Arc<Schema>>, target: &Fetched) -> Result<Self::Writer>;
}

/// Reads what follows the id.
pub(in crate::convert) trait Read: Send + Sync {
    fn read(&self, payload: &Bytes) -> Result<Datum>;
}

/// Writes what follows the id; the value is not null.
pub(in crate::convert) trait Write: Send + Sync {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()>;
}

/// A schema of a format that refers to no other.
pub(in crate::convert) fn alone<F: Format>(schema: String) -> Fetched {
    Fetched { text: Text { schema, kind: F::KIND.to_owned(), references: Vec::new() }, references: Vec::new() }
}

/// A format's settings that are true or false: a struct with a field for each, their names, and how they are read. `also`
/// names those of another kind.
macro_rules! flags {
    ($(#[$about:meta])* struct $name:ident {
        $($(#[$doc:meta])* $field:ident: $key:literal = $default:literal,)*
    } $(also $more:literal)*) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy)]
        struct $name {
            $($(#[$doc])* $field: bool,)*
        }

        impl $name {
            const NAMES: &'static [&'static str] = &[$($key,)* $($more,)*];

            fn read(settings: &millrace_sdk::Flat) -> millrace_sdk::Result<Self> {
                let settings = $crate::convert::registry::Settings::new(settings);
                Ok(Self { $($field: settings.flag($key, $default)?,)* })
            }
        }
    };
}
pub(in crate::convert) use flags;
