//! Connect's schemas. Shared by `Arc`: one per topic and version, never one per record.

use std::sync::Arc;

use crate::{Text, Value, json};

/// Connect's schema types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Type {
    /// 8-bit signed
    Int8,
    /// 16-bit signed
    Int16,
    /// 32-bit signed
    Int32,
    /// 64-bit signed
    Int64,
    /// 32-bit IEEE 754
    Float32,
    /// 64-bit IEEE 754
    Float64,
    /// true or false
    Boolean,
    /// UTF-8 text
    String,
    /// Bytes
    Bytes,
    /// A list, its element in [`Schema::element`]
    Array,
    /// A map, its key and value in [`Schema::key`] and [`Schema::element`]
    Map,
    /// Named fields in [`Schema::fields`]
    Struct,
}

/// A Connect schema. Logical types (Decimal, Date, Time, Timestamp) are recognised by `name`, as in Connect.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// The physical type
    pub kind: Type,
    /// Whether null is allowed
    pub optional: bool,
    /// Such as `org.apache.kafka.connect.data.Timestamp`
    pub name: Option<Text>,
    /// The user's version of the schema
    pub version: Option<i32>,
    /// Documentation
    pub doc: Option<Text>,
    /// The value of an absent field
    pub default: Option<Value>,
    /// Such as `scale` of a Decimal
    pub parameters: Vec<(Text, Text)>,
    /// Fields of a struct
    pub fields: Vec<Field>,
    /// Key of a map
    pub key: Option<Arc<Schema>>,
    /// Element of an array, value of a map
    pub element: Option<Arc<Schema>>,
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name
    pub name: Text,
    /// Its schema
    pub schema: Arc<Schema>,
}

impl Field {
    /// A field whose name all values share: it is kept for the process where there is room, so that nobody counts its users.
    #[must_use]
    pub fn new(name: &str, schema: impl Into<Arc<Schema>>) -> Self {
        Self { name: json::lasting_name(name), schema: schema.into() }
    }
}

/// Marks a schema that only names the struct it stands within.
const RECURSIVE: &str = "millrace.recursive";

impl Schema {
    /// The schema of a struct within itself: a struct whose name stands for the fields of the one around it that has this
    /// name. What is below is to be taken as data without a schema.
    #[must_use]
    pub fn recursive(name: &str) -> Self {
        let name = Text::from(name);
        let parameters = vec![(Text::from_static(RECURSIVE), name.clone())];
        Self { name: Some(name), parameters, ..Self::of(Type::Struct) }
    }

    /// Whether this only names a struct around it.
    #[must_use]
    pub fn is_recursive(&self) -> bool {
        self.kind == Type::Struct && self.fields.is_empty() && self.parameters.iter().any(|(name, _)| name == RECURSIVE)
    }

    /// A required schema of a physical type, without anything else.
    #[must_use]
    pub fn of(kind: Type) -> Self {
        Self {
            kind,
            optional: false,
            name: None,
            version: None,
            doc: None,
            default: None,
            parameters: Vec::new(),
            fields: Vec::new(),
            key: None,
            element: None,
        }
    }
}
