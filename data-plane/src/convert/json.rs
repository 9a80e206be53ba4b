//! Connect's `JsonConverter`. Without schemas, decoding checks the syntax and leaves the bytes as they are; with them, an
//! envelope `{"schema": …, "payload": …}` becomes typed values. Equal schemas are parsed once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use millrace_sdk::json::{self, Scanner};
use millrace_sdk::{Datum, Error, Flat, Result, Schema, Value};

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
    /// Whether values are opened while they are checked, since somebody looks into them anyway
    opening: bool,
    /// The last envelope
    last: Mutex<Option<Envelope>>,
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
        Ok(Box::new(Self {
            schemas_enabled,
            options,
            cache_size,
            fixed,
            opening: false,
            last: Mutex::default(),
            parsed: Mutex::new(HashMap::new()),
        }))
    }

    fn decode_plain(payload: &Bytes) -> Result<Datum> {
        // Java's parser finds nothing in empty bytes, which Connect takes for null.
        if payload.is_empty() {
            return Ok(Datum::Null);
        }
        let json = checked(payload)?;
        Ok(Datum::schemaless(if json.as_ref() == b"null" { Value::Null } else { Value::Json(json) }))
    }

    fn decode_opened(payload: &Bytes) -> Result<Datum> {
        if payload.is_empty() {
            return Ok(Datum::Null);
        }
        match json::open(payload) {
            Ok(value) => Ok(Datum::schemaless(value)),
            // It may be UTF-16.
            Err(_) => checked(payload).and_then(|json| json::open(&json)).map(Datum::schemaless),
        }
    }

    fn decode_fixed(&self, schema: &Arc<Schema>, payload: &Bytes) -> Result<Datum> {
        let json = checked(payload)?;
        let value = json_value::decode(schema, &json, self.options, "the record")?;
        Ok(Datum::Decoded { schema: Some(Arc::clone(schema)), value })
    }

    /// `last` is the envelope before this one, which mostly begins the same: then the schema need not be looked at.
    fn decode_envelope(&self, payload: &Bytes, last: &mut Option<Envelope>) -> Result<Datum> {
        if let Some(envelope) = last.as_ref().filter(|envelope| payload.starts_with(&envelope.start))
            && let Some(datum) = self.decode_payload(payload, envelope)
        {
            return Ok(datum);
        }
        if payload.is_empty() {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        }
        let text = checked(payload)?;
        let Value::Map(fields) = json::parse_members(&text)? else {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        };
        let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let (Some(schema), Some(value), 2) = (field("schema"), field("payload"), fields.len()) else {
            return Err(Error::bad_record(NOT_AN_ENVELOPE));
        };
        let Value::Json(value) = value else { return Err(Error::bad_record(NOT_AN_ENVELOPE)) };
        match schema {
            Value::Json(text) if text.as_ref() == b"null" => Self::decode_plain(value),
            Value::Json(schema) if schema.first() == Some(&b'{') => {
                let schema = self.schema(schema)?;
                let decoded = json_value::decode(&schema, value, self.options, "payload")?;
                *last = Envelope::of(&text, value, &schema);
                Ok(Datum::Decoded { schema: Some(schema), value: decoded })
            }
            other => Err(Error::bad_record(format!("the schema must be a JSON object, found {}", other.type_name()))),
        }
    }

    /// The payload of an envelope with a known start; None when anything is not as it should be, which is told without haste.
    fn decode_payload(&self, text: &Bytes, envelope: &Envelope) -> Option<Datum> {
        json::check_utf8(text).ok()?;
        let mut scanner = Scanner::at(text, envelope.start.len());
        let value = json_value::decode_at(&envelope.schema, text, &mut scanner, self.options, "payload").ok()?;
        let ends = scanner.take(b'}') && scanner.end().is_ok();
        ends.then(|| Datum::Decoded { schema: Some(Arc::clone(&envelope.schema)), value })
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

    /// Appends the text of a datum; false for a tombstone.
    fn encode_one(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<bool> {
        let bytes;
        let (schema, value) = match datum {
            Datum::Null | Datum::Decoded { schema: None, value: Value::Null } => return Ok(false),
            Datum::Encoded(encoded) => {
                bytes = Value::Bytes(encoded.clone());
                (None, &bytes)
            }
            Datum::Decoded { schema, value } => (schema.as_deref(), value),
        };
        if self.schemas_enabled {
            out.extend_from_slice(b"{\"schema\":");
            json_schema::encode(schema, out)?;
            out.extend_from_slice(b",\"payload\":");
        }
        json_value::encode(schema, value, self.options, out)?;
        if self.schemas_enabled {
            out.push(b'}');
        }
        Ok(true)
    }
}

/// What many envelopes have in common: all that stands before the payload, which comes last.
#[derive(Clone)]
struct Envelope {
    start: Bytes,
    schema: Arc<Schema>,
}

impl Envelope {
    fn of(text: &Bytes, payload: &Bytes, schema: &Arc<Schema>) -> Option<Self> {
        let at = payload.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let (start, rest) = text.split_at_checked(at)?;
        // Copied: a slice would keep the whole buffer of its batch.
        let found = || Self { start: Bytes::copy_from_slice(start), schema: Arc::clone(schema) };
        rest.get(payload.len()..)?.trim_ascii().eq(b"}").then(found)
    }
}

/// About how long the text of a datum is.
fn usual_size(datum: &Datum) -> usize {
    match datum {
        Datum::Null => 0,
        Datum::Encoded(bytes) | Datum::Decoded { value: Value::Bytes(bytes), .. } => bytes.len() * 4 / 3 + 8,
        Datum::Decoded { value: Value::Json(json), .. } => json.len(),
        // Some characters need escapes.
        Datum::Decoded { value: Value::Str(text), .. } => text.len() + text.len() / 4 + 8,
        Datum::Decoded { .. } => 256,
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

    fn is_plain_json(&self) -> bool {
        !self.schemas_enabled
    }

    fn open_at_once(&mut self) {
        self.opening = true;
    }

    fn decode(&self, _: &str, payloads: &[Option<Bytes>]) -> Vec<Result<Datum>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let decoded = |payload: &Option<Bytes>| match payload {
            None => Ok(Datum::Null),
            Some(payload) if !self.schemas_enabled && self.opening => Self::decode_opened(payload),
            Some(payload) if !self.schemas_enabled => Self::decode_plain(payload),
            Some(payload) => match &self.fixed {
                Some(schema) => self.decode_fixed(schema, payload),
                None => self.decode_envelope(payload, &mut last),
            },
        };
        let decoded = payloads.iter().map(decoded).collect();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = last;
        decoded
    }

    fn encode(&self, _: &str, data: &[&Datum]) -> Vec<Result<Option<Bytes>>> {
        // One buffer for all, of which each is a slice.
        let mut out = Vec::with_capacity(data.iter().map(|datum| usual_size(datum)).sum());
        let place = |datum: &&Datum| {
            let start = out.len();
            let written = self.encode_one(datum, &mut out);
            if !matches!(written, Ok(true)) {
                out.truncate(start);
            }
            written.map(|is_some| is_some.then_some(start..out.len()))
        };
        let places: Vec<_> = data.iter().map(place).collect();
        let buffer = Bytes::from(out);
        places.into_iter().map(|place| place.map(|range| range.map(|range| buffer.slice(range)))).collect()
    }
}
