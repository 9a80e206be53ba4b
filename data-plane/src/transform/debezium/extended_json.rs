//! MongoDB's extended JSON, in which Debezium carries documents: canonical or relaxed.

use base64::Engine as _;
use millrace_sdk::{Bytes, Error, Result, Text, Value, json};

use super::super::java::date_format::DateFormat;

/// A value of a document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bson {
    Null,
    Undefined,
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Double(f64),
    /// Text, and what is carried as text: symbols, code, object ids, decimals
    Text(Text),
    Binary(Bytes),
    /// Milliseconds since 1970
    Date(i64),
    Regex(Text, Text),
    Code(Text, Document),
    Document(Document),
    Array(Vec<Bson>),
    /// A type that has no place in a Connect record
    Other(&'static str),
}

/// Fields in order.
pub(super) type Document = Vec<(Text, Bson)>;

/// A document's text.
///
/// # Errors
/// `BadRecord` when it is no document in extended JSON.
pub(super) fn document(text: &Text) -> Result<Document> {
    match value(text)? {
        Bson::Document(document) => Ok(document),
        _ => Err(Error::bad_record("not a document in MongoDB's extended JSON")),
    }
}

/// A value's text.
pub(super) fn value(text: &Text) -> Result<Bson> {
    json::validate(text.as_bytes())?;
    bson(&json::parse_level(&text.to_bytes())?)
}

fn bson(value: &Value) -> Result<Bson> {
    Ok(match value {
        Value::Null => Bson::Null,
        Value::Bool(flag) => Bson::Bool(*flag),
        Value::Int(number) => i32::try_from(*number).map_or(Bson::Int64(*number), Bson::Int32),
        Value::Float(number) => Bson::Double(*number),
        Value::Str(text) => Bson::Text(text.clone()),
        Value::List(items) => Bson::Array(items.iter().map(bson).collect::<Result<_>>()?),
        Value::Map(fields) => match special(fields)? {
            Some(special) => special,
            None => Bson::Document(
                fields.iter().map(|(name, value)| Ok((name.clone(), bson(value)?))).collect::<Result<_>>()?,
            ),
        },
        Value::Json(raw) if matches!(raw.first(), Some(b'{' | b'[')) => bson(&json::parse_level(raw)?)?,
        Value::Json(raw) => double(&String::from_utf8_lossy(raw))?,
        other => return Err(Error::bad_record(format!("{} is not extended JSON", other.type_name()))),
    })
}

fn double(text: &str) -> Result<Bson> {
    let number = match text {
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => text.parse().map_err(|_| wrong("$numberDouble"))?,
    };
    Ok(Bson::Double(number))
}

fn wrong(name: &str) -> Error {
    Error::bad_record(format!("extended JSON: {name} does not have the form that MongoDB gives it"))
}

/// The seconds of a timestamp. They are unsigned, and Debezium reads them as signed.
fn timestamp(value: &Bson) -> Option<i32> {
    let Bson::Document(parts) = value else { return None };
    match parts.iter().find(|(name, _)| **name == *"t")? {
        (_, Bson::Int32(seconds)) => Some(*seconds),
        (_, Bson::Int64(seconds)) => u32::try_from(*seconds).ok().map(u32::cast_signed),
        _ => None,
    }
}

/// A map that stands for a value of another type; None for an ordinary document.
fn special(fields: &[(Text, Value)]) -> Result<Option<Bson>> {
    let Some((name, first)) = fields.first() else { return Ok(None) };
    if !name.starts_with('$') || fields.len() > 2 {
        return Ok(None);
    }
    let name: &str = name;
    let second = |wanted: &str| fields.iter().find(|(name, _)| **name == *wanted).map(|(_, value)| value);
    let as_text = || text(first).ok_or_else(|| wrong(name));
    Ok(Some(match name {
        "$oid" | "$numberDecimal" | "$symbol" => Bson::Text(as_text()?),
        "$numberInt" => Bson::Int32(as_text()?.parse().map_err(|_| wrong(name))?),
        "$numberLong" => Bson::Int64(as_text()?.parse().map_err(|_| wrong(name))?),
        "$numberDouble" => double(&as_text()?)?,
        "$date" => Bson::Date(date(first).ok_or_else(|| wrong(name))?),
        "$timestamp" => Bson::Date(1000 * i64::from(timestamp(&bson(first)?).ok_or_else(|| wrong(name))?)),
        "$binary" => match bson(first)? {
            Bson::Document(parts) => match parts.iter().find(|(name, _)| **name == *"base64") {
                Some((_, Bson::Text(text))) => binary(text)?,
                _ => return Err(wrong(name)),
            },
            Bson::Text(text) => binary(&text)?,
            _ => return Err(wrong(name)),
        },
        "$uuid" => uuid(&as_text()?).ok_or_else(|| wrong(name))?,
        "$regularExpression" => match bson(first)? {
            Bson::Document(parts) => {
                let part = |wanted: &str| match parts.iter().find(|(name, _)| **name == *wanted) {
                    Some((_, Bson::Text(text))) => Ok(text.clone()),
                    _ => Err(wrong(name)),
                };
                Bson::Regex(part("pattern")?, part("options")?)
            }
            _ => return Err(wrong(name)),
        },
        "$regex" if text(first).is_some() => {
            Bson::Regex(as_text()?, second("$options").and_then(text).unwrap_or_default())
        }
        "$code" => match second("$scope") {
            Some(scope) => match bson(scope)? {
                Bson::Document(scope) => Bson::Code(as_text()?, scope),
                _ => return Err(wrong(name)),
            },
            None => Bson::Text(as_text()?),
        },
        "$undefined" => Bson::Undefined,
        "$minKey" => Bson::Other("MinKey"),
        "$maxKey" => Bson::Other("MaxKey"),
        "$dbPointer" => Bson::Other("DBPointer"),
        _ => return Ok(None),
    }))
}

fn text(value: &Value) -> Option<Text> {
    match value {
        Value::Str(text) => Some(text.clone()),
        _ => None,
    }
}

fn binary(text: &str) -> Result<Bson> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|_| wrong("$binary"))?;
    Ok(Bson::Binary(Bytes::from(bytes)))
}

fn uuid(text: &str) -> Option<Bson> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let bytes = pairs.collect::<Option<Vec<u8>>>().filter(|bytes| bytes.len() == 16)?;
    Some(Bson::Binary(Bytes::from(bytes)))
}

fn date(value: &Value) -> Option<i64> {
    match value {
        Value::Int(millis) => Some(*millis),
        Value::Str(text) => {
            let read = |pattern: &str| DateFormat::new(pattern, 0).ok().and_then(|format| format.parse(text));
            read("yyyy-MM-dd'T'HH:mm:ss.SSSX").or_else(|| read("yyyy-MM-dd'T'HH:mm:ssX"))
        }
        Value::Json(_) => match bson(value).ok()? {
            Bson::Int64(millis) => Some(millis),
            Bson::Int32(millis) => Some(i64::from(millis)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Bson {
        Bson::Text(Text::from(text))
    }

    #[test]
    fn values_have_types() {
        for (json, expected) in [
            ("null", Bson::Null),
            ("1", Bson::Int32(1)),
            ("2147483648", Bson::Int64(2_147_483_648)),
            ("1.5", Bson::Double(1.5)),
            (r#"{"$oid":"65f0"}"#, text("65f0")),
            (r#"{"$numberInt":"-7"}"#, Bson::Int32(-7)),
            (r#"{"$numberLong":"7"}"#, Bson::Int64(7)),
            (r#"{"$numberDouble":"-Infinity"}"#, Bson::Double(f64::NEG_INFINITY)),
            (r#"{"$numberDecimal":"1.50"}"#, text("1.50")),
            (r#"{"$date":7}"#, Bson::Date(7)),
            (r#"{"$date":{"$numberLong":"7"}}"#, Bson::Date(7)),
            (r#"{"$date":"1970-01-01T00:00:00.007Z"}"#, Bson::Date(7)),
            (r#"{"$date":"1970-01-01T00:00:01Z"}"#, Bson::Date(1000)),
            (r#"{"$timestamp":{"t":1,"i":2}}"#, Bson::Date(1000)),
            (r#"{"$binary":{"base64":"AP8=","subType":"00"}}"#, Bson::Binary(Bytes::from_static(&[0, 255]))),
            (r#"{"$binary":"AP8=","$type":"00"}"#, Bson::Binary(Bytes::from_static(&[0, 255]))),
            (r#"{"$uuid":"00000000-0000-0000-0000-0000000000ff"}"#, {
                let mut bytes = [0; 16];
                bytes[15] = 255;
                Bson::Binary(Bytes::copy_from_slice(&bytes))
            }),
            (r#"{"$regularExpression":{"pattern":"a","options":"i"}}"#, Bson::Regex("a".into(), "i".into())),
            (r#"{"$regex":"a","$options":"i"}"#, Bson::Regex("a".into(), "i".into())),
            (r#"{"$code":"x"}"#, text("x")),
            (r#"{"$code":"x","$scope":{"a":1}}"#, Bson::Code("x".into(), vec![("a".into(), Bson::Int32(1))])),
            (r#"{"$symbol":"x"}"#, text("x")),
            (r#"{"$undefined":true}"#, Bson::Undefined),
            (r#"{"$minKey":1}"#, Bson::Other("MinKey")),
            (r#"{"$other":1}"#, Bson::Document(vec![("$other".into(), Bson::Int32(1))])),
            (r#"[1,{"a":null}]"#, Bson::Array(vec![Bson::Int32(1), Bson::Document(vec![("a".into(), Bson::Null)])])),
        ] {
            assert_eq!(value(&Text::from(json)).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for json in [
            "",
            "{",
            r#"{"$oid":1}"#,
            r#"{"$numberInt":"2147483648"}"#,
            r#"{"$date":true}"#,
            r#"{"$date":"yesterday"}"#,
            r#"{"$timestamp":1}"#,
            r#"{"$binary":{"base64":"?"}}"#,
            r#"{"$uuid":"0"}"#,
            r#"{"$regularExpression":{"pattern":1}}"#,
            &format!("{}1{}", "[".repeat(200), "]".repeat(200)),
        ] {
            assert!(value(&Text::from(json)).is_err(), "{json}");
        }
        assert!(document(&Text::from_static("1")).is_err());
    }
}
