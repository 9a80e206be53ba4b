//! From values to the column's CQL type. JSON is opened one level at a time, schema'd values are taken as they are. A value
//! that does not fit is refused with its kind and never its content: errors end in logs, statuses and dead letters.

mod number;
mod temporal;

use std::net::IpAddr;
use std::str::FromStr as _;

use base64::Engine as _;
use millrace_sdk::{Value, json};
use scylla::cluster::metadata::{CollectionType, ColumnType, NativeType};
use scylla::value::{CqlDate, CqlDecimal, CqlTime, CqlTimestamp, CqlTimeuuid, CqlValue, CqlVarint};
use uuid::Uuid;

/// Why a value cannot be written, as the end of a sentence that begins with the column.
pub(crate) type Mismatch = String;

type Encoded = Result<CqlValue, Mismatch>;

/// The CQL value of `value` in a column of type `typ`; None for null.
///
/// # Errors
/// When the value does not fit.
pub(crate) fn encode(value: &Value, typ: &ColumnType<'_>) -> Result<Option<CqlValue>, Mismatch> {
    let opened;
    let value = match value {
        // A whole document goes into a text column as it is written.
        Value::Json(bytes) if is_text(typ) && matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[')) => value,
        Value::Json(_) => {
            opened = value.open().map_err(|error| error.to_string())?;
            &opened
        }
        other => other,
    };
    if matches!(value, Value::Null) {
        return Ok(None);
    }
    match typ {
        ColumnType::Native(native) => encode_native(value, native),
        ColumnType::Collection { typ: collection, .. } => encode_collection(value, collection, typ),
        ColumnType::Vector { typ: element, dimensions } => encode_vector(value, element, *dimensions, typ),
        ColumnType::UserDefinedType { definition, .. } => encode_udt(value, definition, typ),
        ColumnType::Tuple(elements) => encode_tuple(value, elements, typ),
        other => Err(format!("has type {}, which is not available yet", name(other))),
    }
    .map(Some)
}

/// Whether values can be written to such a column at all; the reason when not.
pub(crate) fn supported(typ: &ColumnType<'_>) -> Result<(), String> {
    match typ {
        ColumnType::Native(NativeType::Duration | NativeType::Counter) => {
            Err(format!("type {} is not available yet", name(typ)))
        }
        ColumnType::Native(_) => Ok(()),
        ColumnType::Collection { typ, .. } => match typ {
            CollectionType::List(element) | CollectionType::Set(element) => supported(element),
            CollectionType::Map(key, value) => supported(key).and_then(|()| supported(value)),
            _ => Err("this collection type is not available yet".to_owned()),
        },
        ColumnType::Vector { typ, .. } => supported(typ),
        ColumnType::UserDefinedType { definition, .. } => {
            definition.field_types.iter().try_for_each(|(_, typ)| supported(typ))
        }
        ColumnType::Tuple(elements) => elements.iter().try_for_each(supported),
        _ => Err("this type is not available yet".to_owned()),
    }
}

/// The type as CQL spells it.
pub(crate) fn name(typ: &ColumnType<'_>) -> String {
    match typ {
        ColumnType::Native(native) => format!("{native:?}").to_ascii_lowercase(),
        ColumnType::Collection { typ, .. } => match typ {
            CollectionType::List(element) => format!("list<{}>", name(element)),
            CollectionType::Set(element) => format!("set<{}>", name(element)),
            CollectionType::Map(key, value) => format!("map<{}, {}>", name(key), name(value)),
            other => format!("{other:?}"),
        },
        ColumnType::Vector { typ, dimensions } => format!("vector<{}, {dimensions}>", name(typ)),
        ColumnType::UserDefinedType { definition, .. } => definition.name.to_string(),
        ColumnType::Tuple(elements) => format!("tuple<{}>", elements.iter().map(name).collect::<Vec<_>>().join(", ")),
        other => format!("{other:?}"),
    }
}

fn is_text(typ: &ColumnType<'_>) -> bool {
    matches!(typ, ColumnType::Native(NativeType::Text | NativeType::Ascii))
}

fn mismatch(value: &Value, typ: &str) -> Mismatch {
    format!("has type {typ}, which {} is not", value.type_name())
}

fn out_of_range(value: &Value, typ: &str) -> Mismatch {
    let kind = if matches!(value, Value::Json(_)) { "a number" } else { value.type_name() };
    format!("has type {typ}, and the value ({kind}) is out of its range")
}

fn encode_native(value: &Value, native: &NativeType) -> Encoded {
    let typ = format_args!("{native:?}").to_string().to_ascii_lowercase();
    let integer = || number::integer(value).map_err(|problem| problem.explain(value, &typ));
    let range = |_| out_of_range(value, &typ);
    Ok(match native {
        NativeType::Text => CqlValue::Text(text(value)?),
        NativeType::Ascii => {
            let text = text(value)?;
            if !text.is_ascii() {
                return Err("has type ascii, and the text has other characters".to_owned());
            }
            CqlValue::Ascii(text)
        }
        NativeType::Int => CqlValue::Int(integer()?.try_into().map_err(range)?),
        NativeType::BigInt => CqlValue::BigInt(integer()?),
        NativeType::SmallInt => CqlValue::SmallInt(integer()?.try_into().map_err(range)?),
        NativeType::TinyInt => CqlValue::TinyInt(integer()?.try_into().map_err(range)?),
        NativeType::Varint => {
            let (unscaled, scale) = number::decimal(value).ok_or_else(|| mismatch(value, &typ))?;
            if scale != 0 {
                return Err(mismatch(value, &typ));
            }
            CqlValue::Varint(CqlVarint::from_signed_bytes_be(unscaled))
        }
        NativeType::Decimal => {
            let (unscaled, scale) = number::decimal(value).ok_or_else(|| mismatch(value, &typ))?;
            CqlValue::Decimal(CqlDecimal::from_signed_be_bytes_and_exponent(unscaled, scale))
        }
        NativeType::Double => CqlValue::Double(number::double(value).ok_or_else(|| mismatch(value, &typ))?),
        NativeType::Float => {
            let double = number::double(value).ok_or_else(|| mismatch(value, &typ))?;
            CqlValue::Float(number::narrow(double).ok_or_else(|| out_of_range(value, &typ))?)
        }
        NativeType::Boolean => CqlValue::Boolean(boolean(value).ok_or_else(|| mismatch(value, &typ))?),
        NativeType::Uuid => CqlValue::Uuid(uuid(value, &typ)?),
        NativeType::Timeuuid => {
            let uuid = uuid(value, &typ)?;
            if uuid.get_version_num() != 1 {
                return Err("has type timeuuid, and the UUID is not of version 1".to_owned());
            }
            CqlValue::Timeuuid(CqlTimeuuid::from_bytes(*uuid.as_bytes()))
        }
        NativeType::Timestamp => CqlValue::Timestamp(CqlTimestamp(temporal::timestamp(value)?)),
        NativeType::Date => CqlValue::Date(CqlDate(temporal::date(value)?)),
        NativeType::Time => CqlValue::Time(CqlTime(temporal::time(value)?)),
        NativeType::Blob => CqlValue::Blob(blob(value)?),
        NativeType::Inet => match value {
            Value::Str(text) => CqlValue::Inet(
                IpAddr::from_str(text.trim()).map_err(|_| "has type inet, and the text is no IP address".to_owned())?,
            ),
            other => return Err(mismatch(other, &typ)),
        },
        _ => return Err(format!("has type {typ}, which is not available yet")),
    })
}

fn text(value: &Value) -> Result<String, Mismatch> {
    Ok(match value {
        Value::Str(text) => text.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Decimal(decimal) => number::decimal_text(decimal)
            .ok_or_else(|| "has type text, and the decimal has too many digits".to_owned())?,
        Value::Timestamp(millis) => temporal::timestamp_text(*millis),
        Value::Date(days) => temporal::date_text(*days),
        Value::Time(millis) => temporal::time_text(*millis),
        Value::Bytes(bytes) => {
            std::str::from_utf8(bytes).map_err(|_| "has type text, and the bytes are not UTF-8".to_owned())?.to_owned()
        }
        Value::List(_) | Value::Map(_) | Value::Json(_) => {
            let mut bytes = Vec::new();
            json::write(value, &mut bytes).map_err(|error| format!("has type text, and {error}"))?;
            String::from_utf8(bytes).map_err(|_| "has type text, and the JSON is not UTF-8".to_owned())?
        }
        Value::Null => return Err(mismatch(value, "text")),
    })
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Str(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Str(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn uuid(value: &Value, typ: &str) -> Result<Uuid, Mismatch> {
    match value {
        Value::Str(text) => {
            Uuid::parse_str(text.trim()).map_err(|_| format!("has type {typ}, and the text is no UUID"))
        }
        Value::Bytes(bytes) => Uuid::from_slice(bytes).map_err(|_| format!("has type {typ}, and the bytes are not 16")),
        other => Err(mismatch(other, typ)),
    }
}

fn blob(value: &Value) -> Result<Vec<u8>, Mismatch> {
    match value {
        Value::Bytes(bytes) => Ok(bytes.to_vec()),
        Value::Str(text) => match text.strip_prefix("0x") {
            Some(digits) => hex(digits),
            None => base64::engine::general_purpose::STANDARD.decode(text.as_bytes()).ok(),
        }
        .ok_or_else(|| "has type blob, and the text is neither base64 nor 0x… hexadecimal".to_owned()),
        other => Err(mismatch(other, "blob")),
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

/// A collection's element: null has no place in one.
fn element(value: &Value, typ: &ColumnType<'_>) -> Encoded {
    encode(value, typ)?.ok_or_else(|| "is a collection, which cannot hold null".to_owned())
}

/// The members of a list; a text may hold one as JSON.
fn items(value: &Value, typ: &ColumnType<'_>) -> Result<Vec<Value>, Mismatch> {
    match nested(value)? {
        Value::List(items) => Ok(items),
        other => Err(mismatch(&other, &name(typ))),
    }
}

fn fields(value: &Value, typ: &ColumnType<'_>) -> Result<Vec<(String, Value)>, Mismatch> {
    match nested(value)? {
        Value::Map(fields) => Ok(fields.into_iter().map(|(key, value)| (key.to_string(), value)).collect()),
        other => Err(mismatch(&other, &name(typ))),
    }
}

fn nested(value: &Value) -> Result<Value, Mismatch> {
    match value {
        Value::Str(text) if text.trim_start().starts_with(['{', '[']) => {
            json::parse_level(&text.to_bytes()).map_err(|error| error.to_string())
        }
        other => other.open().map_err(|error| error.to_string()),
    }
}

fn encode_collection(value: &Value, collection: &CollectionType<'_>, typ: &ColumnType<'_>) -> Encoded {
    match collection {
        CollectionType::List(inner) => {
            items(value, typ)?.iter().map(|item| element(item, inner)).collect::<Result<_, _>>().map(CqlValue::List)
        }
        CollectionType::Set(inner) => {
            items(value, typ)?.iter().map(|item| element(item, inner)).collect::<Result<_, _>>().map(CqlValue::Set)
        }
        CollectionType::Map(key_type, value_type) => {
            let mut pairs = Vec::new();
            for (key, value) in fields(value, typ)? {
                pairs.push((element(&Value::Str(key.into()), key_type)?, element(&value, value_type)?));
            }
            Ok(CqlValue::Map(pairs))
        }
        _ => Err(format!("has type {}, which is not available yet", name(typ))),
    }
}

fn encode_vector(value: &Value, inner: &ColumnType<'_>, dimensions: u16, typ: &ColumnType<'_>) -> Encoded {
    let items = items(value, typ)?;
    if items.len() != usize::from(dimensions) {
        return Err(format!("has type {}, and the list has {} elements", name(typ), items.len()));
    }
    items.iter().map(|item| element(item, inner)).collect::<Result<_, _>>().map(CqlValue::Vector)
}

fn encode_udt(
    value: &Value,
    definition: &scylla::cluster::metadata::UserDefinedType<'_>,
    typ: &ColumnType<'_>,
) -> Encoded {
    let mut given = fields(value, typ)?;
    let mut encoded = Vec::with_capacity(definition.field_types.len());
    for (name, typ) in &definition.field_types {
        let value = match given.iter().position(|(given, _)| given == name) {
            Some(at) => encode(&given.swap_remove(at).1, typ).map_err(|problem| format!("field {name} {problem}"))?,
            None => None,
        };
        encoded.push((name.to_string(), value));
    }
    if let Some((unknown, _)) = given.first() {
        return Err(format!("has type {}, which has no field {unknown}", name(typ)));
    }
    Ok(CqlValue::UserDefinedType {
        keyspace: definition.keyspace.to_string(),
        name: definition.name.to_string(),
        fields: encoded,
    })
}

fn encode_tuple(value: &Value, elements: &[ColumnType<'_>], typ: &ColumnType<'_>) -> Encoded {
    let items = items(value, typ)?;
    if items.len() != elements.len() {
        return Err(format!("has type {}, and the list has {} elements", name(typ), items.len()));
    }
    items.iter().zip(elements).map(|(item, typ)| encode(item, typ)).collect::<Result<_, _>>().map(CqlValue::Tuple)
}

#[cfg(test)]
mod tests;
