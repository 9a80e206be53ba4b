//! MongoDB's Extended JSON, canonical and relaxed, with the older forms of binaries and regular expressions: objects that
//! stand for a BSON type.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, JavaScriptCodeWithScope, Regex, Timestamp, Uuid, oid::ObjectId,
};
use serde_json::Value as Json;

use super::{Writer, encoded, kind};

/// The names that an object standing for a type begins with.
const TYPES: &[&str] = &[
    "$oid",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$date",
    "$binary",
    "$type",
    "$uuid",
    "$timestamp",
    "$regularExpression",
    "$regex",
    "$options",
    "$minKey",
    "$maxKey",
    "$undefined",
    "$symbol",
    "$code",
    "$scope",
];

type Members = [(String, Json)];

/// Whether an object whose first name is this may stand for a type.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// An object as the payload of the element started at `at`: the type that it stands for, or a document.
pub(super) fn object(writer: &mut Writer, at: usize, members: &Members) -> Result<(), String> {
    if let Some(value) = special(members)? {
        let element = encoded("", &value);
        // Type, the NUL of an empty name, payload.
        if let [kind, _, payload @ ..] = element.as_slice() {
            writer.set(at, *kind, payload);
        }
        return Ok(());
    }
    let open = writer.open(at, kind::DOCUMENT);
    for (name, value) in members {
        let at = writer.element(name).map_err(|error| error.to_string())?;
        self::value(writer, at, value)?;
    }
    writer.end(open);
    Ok(())
}

fn value(writer: &mut Writer, at: usize, value: &Json) -> Result<(), String> {
    match value {
        Json::Null => writer.set(at, kind::NULL, &[]),
        Json::Bool(flag) => writer.set(at, kind::BOOLEAN, &[u8::from(*flag)]),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => match i32::try_from(integer) {
                Ok(small) => writer.set(at, kind::INT32, &small.to_le_bytes()),
                Err(_) => writer.set(at, kind::INT64, &integer.to_le_bytes()),
            },
            (None, float) => writer.set(at, kind::DOUBLE, &float.unwrap_or(f64::NAN).to_le_bytes()),
        },
        Json::String(text) => writer.text(at, text),
        Json::Array(items) => {
            let open = writer.open(at, kind::ARRAY);
            for (index, item) in items.iter().enumerate() {
                let at = writer.item(index);
                self::value(writer, at, item)?;
            }
            writer.end(open);
        }
        Json::Object(fields) => {
            let members: Vec<(String, Json)> =
                fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            object(writer, at, &members)?;
        }
    }
    Ok(())
}

/// The value that an object stands for; `None` when it is a plain document.
fn special(members: &Members) -> Result<Option<Bson>, String> {
    let found = match members {
        [(name, operand)] => one(name, operand),
        [(first, a), (second, b)] => two(first, a, second, b),
        _ => None,
    };
    // These are operators of queries too, and such documents are stored as they are.
    let plain = ["$regex", "$options", "$type", "$scope"];
    match members.first() {
        Some((name, _)) if found.is_none() && is_type(name) && !plain.contains(&name.as_str()) => {
            Err(format!("this is not extended JSON: \"{name}\" with such a value"))
        }
        _ => Ok(found),
    }
}

fn one(name: &str, operand: &Json) -> Option<Bson> {
    let text = operand.as_str();
    Some(match name {
        "$oid" => Bson::ObjectId(ObjectId::parse_str(text?).ok()?),
        "$numberInt" => Bson::Int32(i32::try_from(long(operand)?).ok()?),
        "$numberLong" => Bson::Int64(long(operand)?),
        "$numberDouble" => Bson::Double(double(operand)?),
        "$numberDecimal" => Bson::Decimal128(text?.parse::<Decimal128>().ok()?),
        "$date" => Bson::DateTime(match operand {
            Json::String(text) => DateTime::parse_rfc3339_str(text).ok()?,
            Json::Object(object) => DateTime::from_millis(long(object.get("$numberLong")?)?),
            other => DateTime::from_millis(other.as_i64()?),
        }),
        "$binary" => binary(operand.get("base64")?.as_str()?, operand.get("subType")?)?,
        "$uuid" => {
            let bytes = Uuid::parse_str(text?).ok()?.bytes().to_vec();
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes })
        }
        "$timestamp" => Bson::Timestamp(Timestamp {
            time: u32::try_from(operand.get("t")?.as_u64()?).ok()?,
            increment: u32::try_from(operand.get("i")?.as_u64()?).ok()?,
        }),
        "$regularExpression" => regex(operand.get("pattern")?.as_str()?, operand.get("options")?.as_str()?)?,
        "$minKey" => Bson::MinKey,
        "$maxKey" => Bson::MaxKey,
        "$undefined" => Bson::Undefined,
        "$symbol" => Bson::Symbol(text?.to_owned()),
        "$code" => Bson::JavaScriptCode(text?.to_owned()),
        _ => return None,
    })
}

fn two(first: &str, a: &Json, second: &str, b: &Json) -> Option<Bson> {
    match (first, second) {
        ("$binary", "$type") => binary(a.as_str()?, b),
        ("$type", "$binary") => binary(b.as_str()?, a),
        ("$regex", "$options") => regex(a.as_str()?, b.as_str()?),
        ("$options", "$regex") => regex(b.as_str()?, a.as_str()?),
        ("$code", "$scope") => {
            let Json::Object(scope) = b else { return None };
            let Bson::Document(scope) = super::extended_value(&Json::Object(scope.clone()).to_string()).ok()? else {
                return None;
            };
            Some(Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: a.as_str()?.to_owned(), scope }))
        }
        _ => None,
    }
}

fn long(operand: &Json) -> Option<i64> {
    operand.as_i64().or_else(|| operand.as_str()?.parse().ok())
}

fn double(operand: &Json) -> Option<f64> {
    match operand {
        Json::String(text) => match text.as_str() {
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            "NaN" => Some(f64::NAN),
            digits => digits.parse().ok(),
        },
        other => other.as_f64(),
    }
}

/// The subtype is a hexadecimal text, or a number in older forms.
fn binary(base64: &str, subtype: &Json) -> Option<Bson> {
    let subtype = match subtype {
        Json::String(text) => u8::from_str_radix(text, 16).ok()?,
        number => u8::try_from(number.as_u64()?).ok()?,
    };
    Binary::from_base64(base64, BinarySubtype::from(subtype)).ok().map(Bson::Binary)
}

fn regex(pattern: &str, options: &str) -> Option<Bson> {
    let mut sorted: Vec<char> = options.chars().collect();
    sorted.sort_unstable();
    let (pattern, options) = (pattern.try_into().ok()?, sorted.into_iter().collect::<String>().try_into().ok()?);
    Some(Bson::RegularExpression(Regex { pattern, options }))
}
