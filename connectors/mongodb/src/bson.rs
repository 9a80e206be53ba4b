//! Writing BSON: from JSON bytes by a streaming visitor, from Connect's values by a walk, into one buffer, without a tree
//! between. What little is read of it, such as the `_id` of a document that came as BSON, is in `read`.
//!
//! Integers follow the peer: decoded JSON holds 64-bit integers and doubles; JSON in a text (String converter) is MongoDB's
//! relaxed extended JSON, whose integers are 32-bit where they fit and whose `$oid`, `$date`, `$number…` are types.

use std::ops::Range;

use millrace_sdk::{Bytes, Datum, Decimal, Error, Result, Schema, Text, Type, Value};
use mongodb::bson::raw::{RawBsonRef, RawDocument};

mod extended;
mod json;
mod read;

pub(crate) use json::Names;
use read::raw_document;
pub(crate) use read::{decoded, encoded, extended_value, id_of, tree};

/// The largest document that a server takes.
pub(crate) const MAX_DOCUMENT_BYTES: usize = 16 * 1024 * 1024;

/// BSON's element types, as far as they are written here.
pub(crate) mod kind {
    /// 64-bit float
    pub(crate) const DOUBLE: u8 = 0x01;
    /// UTF-8 text
    pub(crate) const STRING: u8 = 0x02;
    /// Embedded document
    pub(crate) const DOCUMENT: u8 = 0x03;
    /// Array
    pub(crate) const ARRAY: u8 = 0x04;
    /// Bytes
    pub(crate) const BINARY: u8 = 0x05;
    /// Object id
    pub(crate) const OBJECT_ID: u8 = 0x07;
    /// Boolean
    pub(crate) const BOOLEAN: u8 = 0x08;
    /// Milliseconds since the epoch
    pub(crate) const DATE: u8 = 0x09;
    /// null
    pub(crate) const NULL: u8 = 0x0A;
    /// Regular expression
    pub(crate) const REGEX: u8 = 0x0B;
    /// 32-bit integer
    pub(crate) const INT32: u8 = 0x10;
    /// 64-bit integer
    pub(crate) const INT64: u8 = 0x12;
    /// Decimal128
    pub(crate) const DECIMAL: u8 = 0x13;
}

/// How the numbers of a JSON text become BSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// What Connect's JSON converter would have handed over: 64-bit integers and doubles
    Connect,
    /// MongoDB's extended JSON, as the peer reads texts
    Extended,
}

/// A growing BSON buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
    /// Elements of the open documents, for finding repeated names
    names: Vec<json::Written>,
    /// The names of a map that was written, which the next will often have, too
    usual: Vec<json::Usual>,
    /// Whether there was a map before: names are kept from the second on, as many writers write but one
    begun: bool,
}

impl Writer {
    /// One for about so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { out: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// How much is written.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Forgets everything after `len`: what a refused record had written.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
        self.names.clear();
    }

    /// Written bytes.
    pub(crate) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.out[range]
    }

    /// Everything written.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Opens a document or array; hand the result to [`Writer::end`].
    pub(crate) fn begin(&mut self) -> usize {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        at
    }

    /// Closes what [`Writer::begin`] opened.
    pub(crate) fn end(&mut self, at: usize) {
        self.out.push(0);
        // Nothing near 2 GiB is ever written: records are refused above 16 MiB and commands are cut below that.
        let length = i32::try_from(self.out.len() - at).unwrap_or(i32::MAX);
        self.out[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Takes back the end of the document that was closed last, to add to it.
    pub(crate) fn reopen(&mut self) {
        self.out.pop();
    }

    /// Starts an element; its type is set by [`Writer::set`].
    ///
    /// # Errors
    /// `BadRecord` for a name that BSON cannot hold.
    pub(crate) fn element(&mut self, name: &str) -> Result<usize> {
        if name.as_bytes().contains(&0) {
            return Err(Error::bad_record("a field name holds a NUL character, which MongoDB cannot store"));
        }
        Ok(self.known(name))
    }

    /// Starts an element with a name that is known to hold no NUL.
    pub(crate) fn known(&mut self, name: &str) -> usize {
        let at = self.out.len();
        self.out.push(0);
        self.out.extend_from_slice(name.as_bytes());
        self.out.push(0);
        at
    }

    /// Starts an array's element.
    pub(crate) fn item(&mut self, index: usize) -> usize {
        let at = self.out.len();
        self.out.push(0);
        self.out.extend_from_slice(itoa::Buffer::new().format(index).as_bytes());
        self.out.push(0);
        at
    }

    /// Sets the type of the element started at `at` and appends its payload.
    pub(crate) fn set(&mut self, at: usize, kind: u8, payload: &[u8]) {
        self.out[at] = kind;
        self.out.extend_from_slice(payload);
    }

    /// Appends bytes that are BSON already.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A text as the payload of the element started at `at`.
    pub(crate) fn text(&mut self, at: usize, text: &str) {
        let length = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
        self.set(at, kind::STRING, &length.to_le_bytes());
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(0);
    }

    /// Bytes of a binary subtype as the payload of the element started at `at`.
    pub(crate) fn binary(&mut self, at: usize, subtype: u8, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
        self.set(at, kind::BINARY, &length.to_le_bytes());
        self.out.push(subtype);
        self.out.extend_from_slice(bytes);
    }

    /// Opens an embedded document or array as the payload of the element started at `at`.
    pub(crate) fn open(&mut self, at: usize, kind: u8) -> usize {
        self.out[at] = kind;
        self.begin()
    }

    /// A value as the payload of the element started at `at`.
    ///
    /// # Errors
    /// `BadRecord` for what BSON cannot hold.
    pub(crate) fn value(&mut self, at: usize, value: &Value, schema: Option<&Schema>) -> Result<()> {
        match value {
            Value::Null => self.set(at, kind::NULL, &[]),
            Value::Bool(flag) => self.set(at, kind::BOOLEAN, &[u8::from(*flag)]),
            Value::Int(integer) => self.integer(at, *integer, schema),
            Value::Float(float) => self.set(at, kind::DOUBLE, &float.to_le_bytes()),
            Value::Decimal(decimal) => self.set(at, kind::DECIMAL, &decimal128(decimal)?),
            Value::Str(text) => self.text(at, text),
            Value::Bytes(bytes) => self.binary(at, 0, bytes),
            Value::Date(days) => self.set(at, kind::DATE, &(i64::from(*days) * 86_400_000).to_le_bytes()),
            Value::Time(millis) => self.set(at, kind::DATE, &i64::from(*millis).to_le_bytes()),
            Value::Timestamp(millis) => self.set(at, kind::DATE, &millis.to_le_bytes()),
            Value::List(items) => {
                let element = schema.and_then(|schema| schema.element.as_deref());
                let open = self.open(at, kind::ARRAY);
                for (index, item) in items.iter().enumerate() {
                    let at = self.item(index);
                    self.value(at, item, element)?;
                }
                self.end(open);
            }
            Value::Map(fields) => {
                let open = self.open(at, kind::DOCUMENT);
                self.fields(fields.iter().map(|(name, value)| (name.as_ref(), value)), schema)?;
                self.end(open);
            }
            Value::Json(bytes) => json::element(self, at, bytes, Dialect::Connect)?,
        }
        Ok(())
    }

    fn integer(&mut self, at: usize, integer: i64, schema: Option<&Schema>) {
        let narrow = matches!(schema.map(|schema| schema.kind), Some(Type::Int8 | Type::Int16 | Type::Int32));
        match i32::try_from(integer) {
            Ok(small) if narrow => self.set(at, kind::INT32, &small.to_le_bytes()),
            _ => self.set(at, kind::INT64, &integer.to_le_bytes()),
        }
    }

    fn fields<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a str, &'a Value)>,
        schema: Option<&Schema>,
    ) -> Result<()> {
        for (position, (name, value)) in fields.enumerate() {
            let at = self.element(name)?;
            let field = schema.and_then(|schema| match schema.kind {
                Type::Map => schema.element.as_deref(),
                _ => schema
                    .fields
                    .get(position)
                    .filter(|field| field.name == name)
                    .or_else(|| schema.fields.iter().find(|field| field.name == name))
                    .map(|field| &*field.schema),
            });
            self.value(at, value, field)?;
        }
        Ok(())
    }

    /// A whole document from a record's key or value, with `id` (an encoded `_id` element) first in the place of any `_id`
    /// that it has, or as it is.
    ///
    /// # Errors
    /// `BadRecord` when it is not a document, or too large.
    pub(crate) fn document(&mut self, datum: &Datum, id: Option<&[u8]>) -> Result<()> {
        let start = self.out.len();
        match datum {
            Datum::Null => return Err(Error::bad_record("there is no document: null")),
            Datum::Encoded(bytes) => self.reencode(bytes, id)?,
            Datum::Decoded { schema, value } => match value {
                Value::Bytes(bytes) => self.reencode(bytes, id)?,
                Value::Str(text) => self.json(text.as_bytes(), id, Dialect::Extended)?,
                Value::Json(bytes) => match text_of(bytes)? {
                    Some(text) => self.json(text.as_bytes(), id, Dialect::Extended)?,
                    None => self.json(bytes, id, Dialect::Connect)?,
                },
                Value::Map(fields) => {
                    let open = self.begin();
                    self.raw(id.unwrap_or_default());
                    let kept = fields.iter().map(|(name, value)| (name.as_ref(), value));
                    self.fields(kept.filter(|(name, _)| id.is_none() || *name != "_id"), schema.as_deref())?;
                    self.end(open);
                }
                other => return Err(not_a_document(other)),
            },
        }
        let size = self.out.len() - start;
        if size > MAX_DOCUMENT_BYTES {
            return Err(Error::bad_record(format!(
                "the document has {size} bytes; MongoDB takes at most {MAX_DOCUMENT_BYTES}"
            )));
        }
        Ok(())
    }

    fn json(&mut self, bytes: &[u8], id: Option<&[u8]>, dialect: Dialect) -> Result<()> {
        let open = self.begin();
        self.raw(id.unwrap_or_default());
        let taken = if id.is_some() { json::Taken::AllButId } else { json::Taken::All };
        json::fields(self, bytes, dialect, taken)?;
        self.end(open);
        Ok(())
    }

    /// A document of some members of a JSON object as the payload of the element started at `at`. False, with nothing written
    /// of it, where that takes a closer look: values that are no JSON, members that are not scalars.
    ///
    /// # Errors
    /// `BadRecord` when it is no JSON object.
    pub(crate) fn scalars_of(&mut self, at: usize, datum: &Datum, names: &Names) -> Result<bool> {
        let (bytes, dialect): (&[u8], Dialect) = match datum {
            Datum::Decoded { value: Value::Json(bytes), .. } => (bytes, Dialect::Connect),
            Datum::Decoded { value: Value::Str(text), .. } => (text.as_bytes(), Dialect::Extended),
            _ => return Ok(false),
        };
        if bytes.first() != Some(&b'{') {
            return Ok(false);
        }
        let payload = self.out.len();
        let open = self.open(at, kind::DOCUMENT);
        json::fields(self, bytes, dialect, json::Taken::Only(names))?;
        self.end(open);
        let document = RawDocument::from_bytes(&self.out[payload..]).map_err(|error| not_bson(&error))?;
        let is_scalar = |value: RawBsonRef<'_>| !matches!(value, RawBsonRef::Document(_) | RawBsonRef::Array(_));
        let scalars = document.iter().all(|element| element.is_ok_and(|(_, value)| is_scalar(value)));
        if !scalars {
            self.out.truncate(payload);
        }
        Ok(scalars)
    }

    /// A document that is BSON already (`ByteArrayConverter`).
    fn reencode(&mut self, bytes: &[u8], id: Option<&[u8]>) -> Result<()> {
        let document = raw_document(bytes)?;
        let Some(id) = id else {
            self.raw(bytes);
            return Ok(());
        };
        let open = self.begin();
        self.raw(id);
        let mut at = 4;
        for element in document.iter_elements() {
            let element = element.map_err(|error| not_bson(&error))?;
            // Type, name, NUL, payload.
            let end = at + 1 + element.key().as_str().len() + 1 + element.size();
            if element.key().as_str() != "_id" {
                self.raw(bytes.get(at..end).ok_or_else(|| Error::bad_record("the value is not BSON: it is cut off"))?);
            }
            at = end;
        }
        self.end(open);
        Ok(())
    }
}

/// The text that JSON is, if it is one: a string that the JSON converter decoded, whose text the peer reads as a document.
fn text_of(json: &Bytes) -> Result<Option<Text>> {
    if json.trim_ascii_start().first() != Some(&b'"') {
        return Ok(None);
    }
    match millrace_sdk::json::parse_level(json)? {
        Value::Str(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

fn not_a_document(value: &Value) -> Error {
    Error::bad_record(format!(
        "a document is needed, found {}; use a converter that yields maps, or a text that holds a JSON object",
        value.type_name()
    ))
}

fn not_bson(error: &mongodb::bson::error::Error) -> Error {
    Error::bad_record(format!("the bytes are not a BSON document ({error}); use a JSON or Avro converter"))
}

fn decimal128(decimal: &Decimal) -> Result<[u8; 16]> {
    let too_wide = || Error::bad_record("a decimal has more than the 34 digits of MongoDB's Decimal128");
    let negative = decimal.unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xFF } else { 0 };
    let skip = decimal.unscaled.iter().take_while(|byte| **byte == fill).count();
    let digits = &decimal.unscaled[skip..];
    // A digit byte may have its top bit set while the sign is in the skipped ones, hence one byte less than 16.
    if digits.len() > 15 {
        return Err(too_wide());
    }
    let mut bytes = [fill; 16];
    bytes[16 - digits.len()..].copy_from_slice(digits);
    let unscaled = i128::from_be_bytes(bytes);
    if unscaled.unsigned_abs() >= 10_u128.pow(34) {
        return Err(too_wide());
    }
    let exponent = -i64::from(decimal.scale);
    let number: mongodb::bson::Decimal128 =
        format!("{unscaled}E{exponent}").parse().map_err(|_| Error::bad_record("a decimal is out of range"))?;
    Ok(number.bytes())
}

#[cfg(test)]
mod tests;
