//! Connect's `JsonConverter`. Without schemas, decoding checks the syntax and leaves the bytes as they are; with them, an
//! envelope `{"schema": …, "payload": …}` becomes typed values. Equal schemas are parsed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Value, json};

use super::json_value::Options;
use super::{Converter, json_schema, json_value};

pub(super) const CLASS: &str = "org.apache.kafka.connect.json.JsonConverter";

/// Connect's message, which users search for.
const NOT_AN_ENVELOPE: &str = "JsonConverter with schemas.enable requires \"schema\" and \"payload\" fields and may not \
                               contain additional fields. If you are trying to deserialize plain JSON data, set \
                               schemas.enable=false in your converter configuration.";

pub(super) struct JsonConverter {
    schemas_enabled: bool,
    options: Options,
    cache_size: usize,
    /// `schema.content`: the schema of every record, which then comes without an envelope
    fixed: Option<Arc<Schema>>,
    /// Parsed schemas by their JSON
    parsed: Mutex<HashMap<Bytes, Arc<Schema>>>,
}

impl JsonConverter {
    pub(super) fn make(settings: &Flat) -> Result<Box<dyn Converter>> {
        let flag = |name: &str, default: bool| match settings.get(name).map(|value| value.trim()) {
            None => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
            Some(value) => Err(Error::bad_config(format!(
                "Invalid value {value} for configuration {name}: Expected value to be either true or false"
            ))),
        };
        let numeric_decimals = match settings.get("decimal.format").map(|value| value.trim().to_ascii_uppercase()) {
            None => false,
            Some(format) if format == "BASE64" => false,
            Some(format) if format == "NUMERIC" => true,
            Some(format) => {
                return Err(Error::bad_config(format!(
                    "Invalid value {format} for configuration decimal.format: String must be one of: BASE64, NUMERIC"
                )));
            }
        };
        let cache_size = match settings.get("schemas.cache.size") {
            None => 1000,
            Some(text) => text.trim().parse().map_err(|_| {
                Error::bad_config(format!("Invalid value {text} for configuration schemas.cache.size: Not a number"))
            })?,
        };
        let schemas_enabled = flag("schemas.enable", true)?;
        let options = Options { numeric_decimals, null_is_default: flag("replace.null.with.default", true)? };
        let fixed = settings.get("schema.content").filter(|text| !text.is_empty()).map(|text| fixed_schema(text));
        let fixed = fixed.transpose()?;
        Ok(Box::new(Self { schemas_enabled, options, cache_size, fixed, parsed: Mutex::new(HashMap::new()) }))
    }

    fn decode_plain(payload: &Bytes) -> Result<Datum> {
        // Java's parser finds nothing in empty bytes, which Connect takes for null.
        if payload.is_empty() {
            return Ok(Datum::Null);
        }
        let json = checked(payload)?;
        Ok(Datum::schemaless(if json.as_ref() == b"null" { Value::Null } else { Value::Json(json) }))
    }

    fn decode_fixed(&self, schema: &Arc<Schema>, payload: &Bytes) -> Result<Datum> {
        let json = checked(payload)?;
        let value = json_value::decode(schema, &json, self.options, "the record")?;
        Ok(Datum::Decoded { schema: Some(Arc::clone(schema)), value })
    }

    fn decode_envelope(&self, payload: &Bytes) -> Result<Datum> {
        if payload.is_empty() {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        }
        let Value::Map(fields) = json::parse_members(&checked(payload)?)? else {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        };
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let (Some(schema), Some(value), 2) = (field("schema"), field("payload"), fields.len()) else {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        };
        let Value::Json(value) = value else { return Err(Error::bad_record(NOT_AN_ENVELOPE)) };
        match schema {
            Value::Json(text) if text.as_ref() == b"null" => Self::decode_plain(value),
            Value::Json(text) if text.first() == Some(&b'{') => {
                let schema = self.schema(text)?;
                let value = json_value::decode(&schema, value, self.options, "payload")?;
                Ok(Datum::Decoded { schema: Some(schema), value })
            }
            other => Err(Error::bad_record(format!("the schema must be a JSON object, found {}", other.type_name()))),
        }
    }

    fn schema(&self, text: &Bytes) -> Result<Arc<Schema>> {
        if let Some(known) = self.parsed.lock().unwrap_or_else(PoisonError::into_inner).get(text) {
            return Ok(Arc::clone(known));
        }
        let schema = json_schema::decode(&Value::Json(text.clone()))?;
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if parsed.len() >= self.cache_size {
            parsed.clear();
        }
        // Copied: a slice would keep the whole buffer of its batch.
        parsed.insert(Bytes::copy_from_slice(text), Arc::clone(&schema));
        Ok(schema)
    }

    fn encode_one(&self, datum: &Datum) -> Result<Option<Bytes>> {
        let (schema, value) = match datum {
            Datum::Null => return Ok(None),
            Datum::Encoded(bytes) => (None, Value::Bytes(bytes.clone())),
            Datum::Decoded { schema: None, value: Value::Null } => return Ok(None),
            Datum::Decoded { schema, value } => (schema.as_deref(), value.clone()),
        };
        let mut out = Vec::new();
        if self.schemas_enabled {
            out.extend_from_slice(b"{\"schema\":");
            json_schema::encode(schema, &mut out)?;
            out.extend_from_slice(b",\"payload\":");
        }
        json_value::encode(schema, &value, self.options, &mut out)?;
        if self.schemas_enabled {
            out.push(b'}');
        }
        Ok(Some(out.into()))
    }
}

fn fixed_schema(text: &str) -> Result<Arc<Schema>> {
    let json = Bytes::copy_from_slice(text.as_bytes());
    let schema = json::validate(&json).and_then(|()| json_schema::decode(&Value::Json(json)));
    schema.map_err(|error| Error::bad_config("Invalid value for configuration schema.content").because(error))
}

/// The text of a payload without the white space around it, once it is known to be JSON. As Java's reader it takes UTF-16
/// and a byte order mark, too.
fn checked(payload: &Bytes) -> Result<Bytes> {
    let error = match json::validate(payload) {
        Ok(()) => return Ok(payload.slice_ref(payload.trim_ascii())),
        Err(error) => error,
    };
    let Some(text) = from_utf16(payload) else { return Err(error) };
    json::validate(&text)?;
    Ok(text.slice_ref(text.trim_ascii()))
}

/// The payload in UTF-8 without a byte order mark, when it has one or is UTF-16; None when it is neither.
fn from_utf16(payload: &Bytes) -> Option<Bytes> {
    let (text, big_endian) = match payload.get(..2)? {
        [0xef, 0xbb] if payload.get(2) == Some(&0xbf) => return Some(payload.slice(3..)),
        [0xfe, 0xff] => (&payload[2..], true),
        [0xff, 0xfe] => (&payload[2..], false),
        // JSON begins with a character of ASCII.
        [0, _] => (&payload[..], true),
        [_, 0] => (&payload[..], false),
        _ => return None,
    };
    let (units, []) = text.as_chunks::<2>() else { return None };
    let unit = |pair: &[u8; 2]| if big_endian { u16::from_be_bytes(*pair) } else { u16::from_le_bytes(*pair) };
    let text: Result<String, _> = char::decode_utf16(units.iter().map(unit)).collect();
    text.ok().map(Bytes::from)
}

impl Converter for JsonConverter {
    fn class(&self) -> &'static str {
        CLASS
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Null),
            Some(payload) if !self.schemas_enabled => Self::decode_plain(payload),
            Some(payload) => match &self.fixed {
                Some(schema) => self.decode_fixed(schema, payload),
                None => self.decode_envelope(payload),
            },
        };
        payloads.iter().map(decoded).collect()
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        data.iter().map(|datum| self.encode_one(datum)).collect()
    }
}
