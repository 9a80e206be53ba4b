//! Documents with a schema: from Avro's text (`avro`) or from the document itself (`infer`), and values by it.

mod avro;
mod infer;

use std::sync::Arc;

use millrace_sdk::{Bytes, Decimal, Error, Result, Schema, Text, Type, Value};
use mongodb::bson::Decimal128;

use super::json::{self, Mode};
use super::raw::{self, MAX_DEPTH, Raw, kind, malformed};

pub(super) use infer::Inferrer;

/// A schema that documents are made to fit.
pub(super) type Shape = Arc<Schema>;

/// The schema of an Avro record.
///
/// # Errors
/// What is wrong with it.
pub(super) fn avro(text: &str) -> Result<Shape, String> {
    avro::schema(text)
}

const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";
const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";

/// A document by a schema.
///
/// # Errors
/// `BadRecord` when it does not fit, with the peer's words.
pub(super) fn value(schema: &Schema, document: &[u8], mode: Mode) -> Result<Value> {
    convert(schema, Raw { kind: kind::DOCUMENT, bytes: document }, mode, 0)
}

fn convert(schema: &Schema, raw: Raw<'_>, mode: Mode, depth: usize) -> Result<Value> {
    if depth > MAX_DEPTH {
        return Err(malformed());
    }
    if schema.optional && raw.kind == kind::NULL {
        return Ok(Value::Null);
    }
    match schema.kind {
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 | Type::Float32 | Type::Float64 => number(schema, raw),
        Type::Boolean if raw.kind == kind::BOOLEAN => Ok(Value::Bool(raw.bytes != [0])),
        Type::String => string(raw, mode).map(Value::Str),
        Type::Bytes => bytes(schema, raw),
        Type::Array if raw.kind == kind::ARRAY => {
            let element = schema.element.as_deref().ok_or_else(malformed)?;
            let items = raw::elements(raw.bytes)?.map(|item| convert(element, item?.1, mode, depth + 1));
            Ok(Value::List(items.collect::<Result<_>>()?))
        }
        Type::Map if raw.kind == kind::DOCUMENT => {
            let element = schema.element.as_deref().ok_or_else(malformed)?;
            let entries = raw::elements(raw.bytes)?.map(|entry| {
                let (name, item) = entry?;
                Ok((lossy(name), convert(element, item, mode, depth + 1)?))
            });
            Ok(Value::Map(entries.collect::<Result<_>>()?))
        }
        Type::Struct if raw.kind == kind::DOCUMENT => structure(schema, raw.bytes, mode, depth),
        _ => Err(unexpected(schema.kind, raw.kind)),
    }
}

fn structure(schema: &Schema, document: &[u8], mode: Mode, depth: usize) -> Result<Value> {
    let mut fields = Vec::with_capacity(schema.fields.len());
    for field in &schema.fields {
        let value = match look_up(document, &field.name)? {
            Some(found) => convert(&field.schema, found, mode, depth + 1)?,
            None => match &field.schema.default {
                Some(default) => default.clone(),
                None if field.schema.optional => Value::Null,
                None => {
                    let mut text = Vec::new();
                    json::document(mode, document, &mut text)?;
                    let text = String::from_utf8_lossy(&text);
                    return Err(Error::bad_record(format!("Missing field '{}' in: '{text}'", field.name)));
                }
            },
        };
        fields.push((field.name.clone(), value));
    }
    Ok(Value::Map(fields))
}

/// The value of a field, or of the path that its name is.
fn look_up<'a>(document: &'a [u8], path: &str) -> Result<Option<Raw<'a>>> {
    if let Some(found) = raw::field(document, path)? {
        return Ok(Some(found));
    }
    match path.split_once('.') {
        Some((first, rest)) if !path.ends_with('.') => match raw::field(document, first)?.and_then(Raw::document) {
            Some(inner) => look_up(inner, rest),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

fn lossy(text: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(text).into_owned())
}

/// Numbers are made to fit as Java casts them.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // as Java does
fn number(schema: &Schema, raw: Raw<'_>) -> Result<Value> {
    enum Number {
        Int(i64),
        Float(f64),
    }
    let found = match raw.kind {
        kind::INT32 => Number::Int(raw::int32(raw.bytes)?.into()),
        kind::INT64 | kind::DATE => Number::Int(raw::int64(raw.bytes)?),
        kind::TIMESTAMP => Number::Int(i64::from(raw::timestamp(raw.bytes)?.0.cast_signed()) * 1000),
        kind::DOUBLE => Number::Float(f64::from_bits(raw::int64(raw.bytes)?.cast_unsigned())),
        other => return Err(unexpected(schema.kind, other)),
    };
    let int32 = match found {
        Number::Int(number) => number as i32,
        Number::Float(number) => number as i32,
    };
    let int64 = match found {
        Number::Int(number) => number,
        Number::Float(number) => number as i64,
    };
    let float = match found {
        Number::Int(number) => number as f64,
        Number::Float(number) => number,
    };
    Ok(match schema.kind {
        Type::Int8 => Value::Int(i64::from(int32 as i8)),
        Type::Int16 => Value::Int(i64::from(int32 as i16)),
        Type::Int32 => Value::Int(int32.into()),
        Type::Float32 => Value::Float(f64::from(float as f32)),
        Type::Float64 => Value::Float(float),
        _ if schema.name.as_ref().is_some_and(|name| name == TIMESTAMP) => Value::Timestamp(int64),
        _ => Value::Int(int64),
    })
}

/// Text as it is; everything else as JSON, without quotes around it.
fn string(raw: Raw<'_>, mode: Mode) -> Result<Text> {
    if raw.kind == kind::STRING {
        return Ok(lossy(raw::text(raw.bytes)?));
    }
    let mut text = Vec::new();
    json::value(mode, raw, &mut text)?;
    let inner = match text.as_slice() {
        [b'"', inner @ .., b'"'] if raw.kind != kind::DOCUMENT => inner,
        all => all,
    };
    Ok(lossy(inner))
}

fn bytes(schema: &Schema, raw: Raw<'_>) -> Result<Value> {
    let copied = |bytes: &[u8]| Value::Bytes(Bytes::copy_from_slice(bytes));
    match raw.kind {
        kind::STRING => Ok(copied(raw::text(raw.bytes)?)),
        kind::BINARY => Ok(copied(raw::binary(raw.bytes)?.1)),
        kind::DOCUMENT => Ok(copied(raw.bytes)),
        kind::DECIMAL if schema.name.as_ref().is_some_and(|name| name == DECIMAL) => {
            decimal(raw.bytes).map(Value::Decimal)
        }
        other => Err(unexpected(Type::Bytes, other)),
    }
}

fn decimal(bytes: &[u8]) -> Result<Decimal> {
    let text = Decimal128::from_bytes(*bytes.first_chunk().ok_or_else(malformed)?).to_string();
    match text.as_str() {
        "NaN" | "-NaN" => Err(Error::bad_record("NaN can not be converted to a BigDecimal")),
        "Infinity" | "-Infinity" => Err(Error::bad_record(format!("{text} can not be converted to a BigDecimal"))),
        _ if text.starts_with("-0") && !text.contains(|c: char| ('1'..='9').contains(&c)) => {
            Err(Error::bad_record("Negative zero can not be converted to a BigDecimal"))
        }
        _ => Decimal::parse(&text),
    }
}

fn unexpected(wanted: Type, found: u8) -> Error {
    let wanted = match wanted {
        Type::Int8 => "int8",
        Type::Int16 => "int16",
        Type::Int32 => "int32",
        Type::Int64 => "int64",
        Type::Float32 => "float32",
        Type::Float64 => "float64",
        Type::Boolean => "boolean",
        Type::String => "string",
        Type::Bytes => "bytes",
        Type::Array => "array",
        Type::Map => "map",
        Type::Struct => "struct",
    };
    Error::bad_record(format!("Schema type of {wanted} but value was of type: {}", type_name(found)))
}

/// As the Java driver names types.
fn type_name(found: u8) -> &'static str {
    match found {
        kind::DOUBLE => "double",
        kind::STRING => "string",
        kind::DOCUMENT => "document",
        kind::ARRAY => "array",
        kind::BINARY => "binary",
        kind::UNDEFINED => "undefined",
        kind::OBJECT_ID => "object_id",
        kind::BOOLEAN => "boolean",
        kind::DATE => "date_time",
        kind::NULL => "null",
        kind::REGEX => "regular_expression",
        kind::DB_POINTER => "db_pointer",
        kind::CODE => "javascript",
        kind::SYMBOL => "symbol",
        kind::CODE_WITH_SCOPE => "javascript_with_scope",
        kind::INT32 => "int32",
        kind::TIMESTAMP => "timestamp",
        kind::INT64 => "int64",
        kind::DECIMAL => "decimal128",
        kind::MIN_KEY => "min_key",
        kind::MAX_KEY => "max_key",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
