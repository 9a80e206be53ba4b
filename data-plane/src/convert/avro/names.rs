//! The names that Confluent's converter gives things, and how it makes a name fit for Avro.

use millrace_sdk::{Schema, Type};

use crate::convert::registry;

pub(super) const NAMESPACE: &str = "io.confluent.connect.avro";
pub(super) const DEFAULT_NAME: &str = "io.confluent.connect.avro.ConnectDefault";
pub(super) const DEFAULT_SIMPLE_NAME: &str = "ConnectDefault";
pub(super) const MAP_ENTRY: &str = "MapEntry";
pub(super) const ANYTHING: &str = "io.confluent.connect.avro.Anything";
pub(super) const UNION: &str = "io.confluent.connect.avro.Union";
pub(super) const ENUM: &str = "io.confluent.connect.avro.Enum";
pub(super) const RECORD_DOC: &str = "io.confluent.connect.avro.record.doc";
pub(super) const FIELD_DOC: &str = "io.confluent.connect.avro.field.doc.";
pub(super) const ENUM_DOC: &str = "io.confluent.connect.avro.enum.doc.";
pub(super) const ENUM_DEFAULT: &str = "io.confluent.connect.avro.enum.default.";
pub(super) const FIELD_DEFAULT: &str = "io.confluent.connect.avro.field.default";
pub(super) const CONNECT_RECORD_DOC: &str = "connect.record.doc";
pub(super) const CONNECT_ENUM_DOC: &str = "connect.enum.doc";
pub(super) const GENERALIZED_UNION: &str = "org.apache.kafka.connect.data.Union";
pub(super) const GENERALIZED_ENUM: &str = "org.apache.kafka.connect.data.Enum";
pub(super) const FIXED_SIZE: &str = "connect.fixed.size";
pub(super) const PRECISION: &str = "connect.decimal.precision";
pub(super) const DEFAULT_PRECISION: i64 = 64;

/// A parameter of a schema.
pub(super) fn parameter<'a>(schema: &'a Schema, name: &str) -> Option<&'a str> {
    schema.parameters.iter().find(|(one, _)| one == name).map(|(_, value)| &**value)
}

/// A Decimal's scale.
pub(super) fn scale(schema: &Schema) -> i32 {
    parameter(schema, "scale").and_then(|scale| scale.parse().ok()).unwrap_or(0)
}

/// Whether a struct stands for a union.
pub(super) fn is_union(schema: &Schema) -> bool {
    schema.kind == Type::Struct
        && (schema.name.as_deref() == Some(UNION) || parameter(schema, GENERALIZED_UNION).is_some())
}

/// The size of a fixed.
pub(super) fn fixed_size(schema: &Schema) -> Option<usize> {
    if schema.kind != Type::Bytes || schema.name.is_none() {
        return None;
    }
    parameter(schema, FIXED_SIZE)?.parse().ok()
}

/// A name that Avro takes.
pub(super) fn scrubbed(name: &str, scrub: bool) -> std::borrow::Cow<'_, str> {
    registry::scrubbed(name, scrub, false)
}

/// Each part of a dotted name made fit.
pub(super) fn scrubbed_full(name: &str, scrub: bool) -> String {
    let parts: Vec<_> = name.split('.').map(|part| scrubbed(part, scrub)).collect();
    parts.join(".")
}

/// The last part of a dotted name.
pub(super) fn simple_name(name: &str, scrub: bool) -> String {
    scrubbed(name.rsplit('.').next().unwrap_or(name), scrub).into_owned()
}
