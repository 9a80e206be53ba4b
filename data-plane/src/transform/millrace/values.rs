//! Between Connect's values and those of the expression language.

use millrace_sdk::{Bytes, Result, Text, Value};
use rhai::{Array, Blob, Dynamic, ImmutableString, Map};

use super::document::Document;

/// Connect's null is the unit; dates, times and timestamps are numbers, decimals floats, structs maps.
pub(super) fn to_dynamic(value: &Value) -> Result<Dynamic> {
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => Dynamic::from(*flag),
        Value::Int(number) | Value::Timestamp(number) => Dynamic::from(*number),
        Value::Date(number) | Value::Time(number) => Dynamic::from(i64::from(*number)),
        Value::Float(number) => Dynamic::from(*number),
        Value::Decimal(decimal) => Dynamic::from(decimal.text()?.parse::<f64>().unwrap_or(f64::NAN)),
        Value::Str(text) => Dynamic::from(ImmutableString::from(&**text)),
        Value::Bytes(bytes) => Dynamic::from_blob(bytes.to_vec()),
        Value::List(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect::<Result<Array>>()?),
        Value::Map(fields) => {
            let fields = fields.iter().map(|(name, value)| Ok((name.to_string().into(), to_dynamic(value)?)));
            Dynamic::from_map(fields.collect::<Result<Map>>()?)
        }
        Value::Json(raw) => match value.open()? {
            // A number that fits nothing else.
            Value::Json(_) => Dynamic::from(String::from_utf8_lossy(raw).trim().parse::<f64>().unwrap_or(f64::NAN)),
            opened => to_dynamic(&opened)?,
        },
    })
}

/// A value of the language; what it was before gives maps their order, and values their kind where nothing has changed.
///
/// # Errors
/// What it is, when it has no place in a record.
pub(super) fn from_dynamic(new: &Dynamic, before: Option<&Value>) -> Result<Value, String> {
    let opened = before.and_then(|before| before.open().ok());
    if let Some(before) = &opened
        && is_scalar(before)
        && to_dynamic(before).is_ok_and(|old| same(&old, new))
    {
        return Ok(before.clone());
    }
    if new.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = new.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = new.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = new.as_float() {
        return Ok(Value::Float(number));
    }
    if let Ok(text) = new.as_immutable_string_ref() {
        return Ok(Value::Str(Text::from(text.as_str())));
    }
    if let Ok(letter) = new.as_char() {
        return Ok(Value::Str(Text::from(letter.to_string())));
    }
    if let Some(bytes) = new.read_lock::<Blob>() {
        return Ok(Value::Bytes(Bytes::copy_from_slice(&bytes)));
    }
    if let Some(items) = new.read_lock::<Array>() {
        let old = match &opened {
            Some(Value::List(old)) => old.as_slice(),
            _ => &[],
        };
        let items = items.iter().enumerate().map(|(index, item)| from_dynamic(item, old.get(index)));
        return Ok(Value::List(items.collect::<Result<_, _>>()?));
    }
    if let Some(map) = new.read_lock::<Map>() {
        return from_map(&map, opened.as_ref());
    }
    if let Some(document) = new.read_lock::<Document>() {
        return document.clone().into_value();
    }
    Err(format!("a value of type {} has no place in a record", new.type_name()))
}

/// The fields that were there before come first, in their order.
fn from_map(map: &Map, before: Option<&Value>) -> Result<Value, String> {
    let old = match before {
        Some(Value::Map(old)) => old.as_slice(),
        _ => &[],
    };
    let mut fields = Vec::with_capacity(map.len());
    for (name, before) in old {
        if let Some(value) = map.get(&**name) {
            fields.push((name.clone(), from_dynamic(value, Some(before))?));
        }
    }
    for (name, value) in map {
        if !old.iter().any(|(known, _)| **known == **name) {
            fields.push((Text::from(name.as_str()), from_dynamic(value, None)?));
        }
    }
    Ok(Value::Map(fields))
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_) | Value::Bytes(_))
}

fn same(one: &Dynamic, two: &Dynamic) -> bool {
    if let (Ok(one), Ok(two)) = (one.as_int(), two.as_int()) {
        return one == two;
    }
    if let (Ok(one), Ok(two)) = (one.as_float(), two.as_float()) {
        return one.to_bits() == two.to_bits();
    }
    match (one.as_immutable_string_ref(), two.as_immutable_string_ref()) {
        (Ok(one), Ok(two)) => *one == *two,
        _ => false,
    }
}
