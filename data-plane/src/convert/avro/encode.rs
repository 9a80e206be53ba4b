//! Values in Avro's binary form. The Avro schema leads: fields are found by name, so that the data may be written with
//! another version of their schema, and what it has and they have not gets its default.

use std::sync::Arc;

use millrace_sdk::{Decimal, Error, Result, Schema, Text, Type, Value};

use super::Options;
use super::connect::{branch_name, default_value, map_entry, node_schema};
use super::names::{ANYTHING, is_union, parameter, scrubbed, scrubbed_full};
use super::schema::{AvroSchema, Field, Kind, NodeId};
use crate::convert::connect_name;
use crate::convert::registry::Write;

/// Deeper values are refused.
const MAX_DEPTH: usize = 128;

/// A schema ready to write with.
#[derive(Debug)]
pub(in crate::convert) struct Writer {
    schema: Option<Arc<Schema>>,
    avro: AvroSchema,
    options: Options,
}

/// A value, and what Connect says of it.
#[derive(Clone, Copy)]
struct Given<'a> {
    schema: Option<&'a Schema>,
    value: &'a Value,
}

fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

#[allow(clippy::cast_possible_truncation)] // seven bits at a time
fn long(value: i64, out: &mut Vec<u8>) {
    let mut bits = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while bits >= 0x80 {
        out.push((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

fn length(length: usize, out: &mut Vec<u8>) {
    // No payload is longer than 2^63 bytes.
    long(i64::try_from(length).unwrap_or(i64::MAX), out);
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

impl Writer {
    pub(super) fn new(schema: Option<Arc<Schema>>, avro: AvroSchema, options: Options) -> Self {
        Self { schema, avro, options }
    }
}

impl Write for Writer {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        let given = Given { schema: self.schema.as_deref(), value };
        // Bytes at the top are written without their length.
        match (self.avro.kind(self.avro.root), value) {
            (Kind::Bytes, Value::Bytes(bytes)) => out.extend_from_slice(bytes),
            (Kind::Bytes, Value::Decimal(decimal)) => {
                out.extend_from_slice(&self.unscaled(self.avro.root, decimal)?);
            }
            _ => self.value(self.avro.root, given, 0, out)?,
        }
        Ok(())
    }
}

impl Writer {
    fn value(&self, id: NodeId, given: Given<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(bad(format!("a value is nested deeper than {MAX_DEPTH} levels")));
        }
        if let Value::Json(_) = given.value {
            let opened = match given.value.open()? {
                // A number with more digits than fit
                Value::Json(raw) => Value::Decimal(Decimal::parse(&String::from_utf8_lossy(&raw))?),
                opened => opened,
            };
            return self.value(id, Given { schema: given.schema, value: &opened }, depth, out);
        }
        match (self.avro.kind(id), given.value) {
            (Kind::Union(branches), _) => return self.union(branches, given, depth, out),
            (Kind::Null, Value::Null) => {}
            (_, Value::Null) if !self.is_anything(id) => {
                return Err(bad("Found null value for non-optional schema"));
            }
            (Kind::Boolean, Value::Bool(flag)) => out.push(u8::from(*flag)),
            (Kind::Int, Value::Int(number)) => {
                let small = i32::try_from(*number).map_err(|_| bad(format!("{number} does not fit an Avro int")))?;
                long(i64::from(small), out);
            }
            (Kind::Int, Value::Date(number) | Value::Time(number)) => long(i64::from(*number), out),
            (Kind::Long, Value::Int(number) | Value::Timestamp(number)) => long(*number, out),
            (Kind::Long, Value::Date(number) | Value::Time(number)) => long(i64::from(*number), out),
            (Kind::Float, Value::Float(number)) => {
                #[allow(clippy::cast_possible_truncation)] // it was a float, or is to become one
                out.extend_from_slice(&(*number as f32).to_le_bytes());
            }
            (Kind::Double, Value::Float(number)) => out.extend_from_slice(&number.to_le_bytes()),
            #[allow(clippy::cast_precision_loss)] // what the schema asks for
            (Kind::Double, Value::Int(number)) => out.extend_from_slice(&(*number as f64).to_le_bytes()),
            #[allow(clippy::cast_precision_loss)] // what the schema asks for
            (Kind::Float, Value::Int(number)) => out.extend_from_slice(&(*number as f32).to_le_bytes()),
            (Kind::String, Value::Str(text)) => bytes(text.as_bytes(), out),
            (Kind::Bytes, Value::Bytes(content)) => bytes(content, out),
            (Kind::Bytes, Value::Decimal(decimal)) => bytes(&self.unscaled(id, decimal)?, out),
            (Kind::Fixed { size, .. }, Value::Bytes(content)) if content.len() == *size => {
                out.extend_from_slice(content);
            }
            (Kind::Fixed { size, .. }, Value::Decimal(decimal)) => fixed(&self.unscaled(id, decimal)?, *size, out)?,
            (Kind::Enum { symbols, name, .. }, Value::Str(text)) => {
                let index = symbols.iter().position(|symbol| *symbol == **text);
                length(index.ok_or_else(|| bad(format!("{} has no symbol {text}", name.full())))?, out);
            }
            _ => return self.nested(id, given, depth, out),
        }
        Ok(())
    }

    fn nested(&self, id: NodeId, given: Given<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        let element = given.schema.and_then(|schema| schema.element.as_deref());
        match (self.avro.kind(id), given.value) {
            (Kind::Record { .. }, _) if self.is_anything(id) => return self.anything(id, given, depth, out),
            (Kind::Record { fields, .. }, Value::Map(values)) => {
                for (index, field) in fields.iter().enumerate() {
                    self.field(index, field, given.schema, values, depth, out)?;
                }
            }
            (Kind::Map(values), Value::Map(entries)) => {
                if !entries.is_empty() {
                    length(entries.len(), out);
                }
                for (name, value) in entries {
                    bytes(name.as_bytes(), out);
                    self.value(*values, Given { schema: element, value }, depth + 1, out)?;
                }
                long(0, out);
            }
            (Kind::Array(items), value) => match (map_entry(&self.avro, *items)?, value) {
                (Some(entry), _) => self.pairs(entry, given, depth, out)?,
                (None, Value::List(list)) => {
                    if !list.is_empty() {
                        length(list.len(), out);
                    }
                    for value in list {
                        self.value(*items, Given { schema: element, value }, depth + 1, out)?;
                    }
                    long(0, out);
                }
                _ => return Err(self.misfit(id, given)),
            },
            _ => return Err(self.misfit(id, given)),
        }
        Ok(())
    }

    fn misfit(&self, id: NodeId, given: Given<'_>) -> Error {
        let avro = branch_name(&self.avro, id, 0, Options { generalized_sum_types: false, ..self.options });
        let found = given.value.type_name();
        match given.schema {
            Some(schema) => {
                bad(format!("Invalid type for {}: {found}, to be written as Avro's {avro}", connect_name(schema.kind)))
            }
            None => bad(format!("{found} cannot be written as Avro's {avro}")),
        }
    }

    fn field(
        &self,
        index: usize,
        field: &Field,
        parent: Option<&Schema>,
        values: &[(Text, Value)],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let scrub = self.options.scrub;
        let is_it = |name: &Text| **name == *field.name || (scrub && scrubbed(name, true) == field.name);
        let parent = parent.filter(|parent| parent.kind == Type::Struct);
        let schema = parent.and_then(|parent| {
            let here = parent.fields.get(index).filter(|one| is_it(&one.name));
            here.or_else(|| parent.fields.iter().find(|one| is_it(&one.name))).map(|one| &*one.schema)
        });
        // Mostly the fields come in the schema's order.
        let here = values.get(index).filter(|(name, _)| is_it(name));
        let value = here.or_else(|| values.iter().find(|(name, _)| is_it(name))).map(|(_, value)| value);
        let default = schema.and_then(|schema| schema.default.as_ref());
        let value = match (value, default) {
            (None | Some(Value::Null), Some(default)) if !self.options.ignore_default_for_nullables => Some(default),
            (value, _) => value,
        };
        let wrong =
            |error: Error| Error::bad_record(format!("the field {} cannot be written", field.name)).because(error);
        match (value, &field.default) {
            (Some(value), _) => self.value(field.node, Given { schema, value }, depth + 1, out).map_err(wrong),
            // The data know nothing of the field.
            (None, Some(json)) if schema.is_none() => {
                let connect = node_schema(&self.avro, field.node, self.options)?;
                let value = default_value(&connect, &self.avro, field.node, json, self.options).unwrap_or(Value::Null);
                self.value(field.node, Given { schema: Some(&connect), value: &value }, depth + 1, out).map_err(wrong)
            }
            (None, _) => self.value(field.node, Given { schema, value: &Value::Null }, depth + 1, out).map_err(wrong),
        }
    }

    /// A map as a list of records with key and value.
    fn pairs(&self, entry: (NodeId, NodeId), given: Given<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        let key_schema = given.schema.and_then(|schema| schema.key.as_deref());
        let value_schema = given.schema.and_then(|schema| schema.element.as_deref());
        let pair = |key: &Value, value: &Value, out: &mut Vec<u8>| {
            self.value(entry.0, Given { schema: key_schema, value: key }, depth + 1, out)?;
            self.value(entry.1, Given { schema: value_schema, value }, depth + 1, out)
        };
        match given.value {
            Value::List(pairs) => {
                if !pairs.is_empty() {
                    length(pairs.len(), out);
                }
                for one in pairs {
                    let Value::List(one) = one else { return Err(bad("an entry of a map is no pair")) };
                    let [key, value] = &one[..] else { return Err(bad("an entry of a map is no pair")) };
                    pair(key, value, out)?;
                }
            }
            Value::Map(entries) => {
                if !entries.is_empty() {
                    length(entries.len(), out);
                }
                for (name, value) in entries {
                    pair(&Value::Str(name.clone()), value, out)?;
                }
            }
            other => return Err(bad(format!("{} is no map", other.type_name()))),
        }
        long(0, out);
        Ok(())
    }

    fn union(&self, branches: &[NodeId], given: Given<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        if let (Some(schema), Value::Map(fields)) = (given.schema.filter(|schema| is_union(schema)), given.value) {
            let present = fields.iter().find(|(_, value)| *value != Value::Null);
            let Some((name, value)) = present else {
                return self.union(branches, Given { schema: None, value: &Value::Null }, depth, out);
            };
            let field = schema.fields.iter().find(|field| field.name == *name).map(|field| &*field.schema);
            let named =
                |(index, branch): &(usize, &NodeId)| branch_name(&self.avro, **branch, *index, self.options) == **name;
            let given = Given { schema: field, value };
            let index = match branches.iter().enumerate().find(named) {
                Some((index, _)) => Some(index),
                None => self.branch(branches, given),
            };
            let index = index.ok_or_else(|| bad(format!("the union has no branch for {name}")))?;
            length(index, out);
            return self.value(branches[index], given, depth + 1, out);
        }
        let index = self.branch(branches, given).ok_or_else(|| match given.value {
            Value::Null => bad("Found null value for non-optional schema"),
            other => bad(format!("no branch of the Avro union takes {}", other.type_name())),
        })?;
        length(index, out);
        self.value(branches[index], given, depth + 1, out)
    }

    /// The branch for a value: the one of its schema's name, else the first that takes such a value.
    fn branch(&self, branches: &[NodeId], given: Given<'_>) -> Option<usize> {
        let takes = |branch: &NodeId| self.takes(*branch, given.value);
        if let Some(name) = given.schema.and_then(|schema| schema.name.as_deref()) {
            let name = scrubbed_full(name, self.options.scrub);
            let named =
                |branch: &NodeId| self.avro.name(*branch).is_some_and(|one| one.full() == name) && takes(branch);
            if let Some(index) = branches.iter().position(named) {
                return Some(index);
            }
        }
        if let Some(name) = given.schema.and_then(|schema| parameter(schema, self.options.enum_parameter())) {
            let named = |branch: &NodeId| self.avro.name(*branch).is_some_and(|one| one.full() == name);
            if let Some(index) = branches.iter().position(named) {
                return Some(index);
            }
        }
        branches.iter().position(takes)
    }

    fn takes(&self, id: NodeId, value: &Value) -> bool {
        match (self.avro.kind(id), value) {
            (_, Value::Json(_)) => value.open().is_ok_and(|opened| match opened {
                Value::Json(_) => matches!(self.avro.kind(id), Kind::Bytes | Kind::Double),
                opened => self.takes(id, &opened),
            }),
            (Kind::Null, Value::Null)
            | (Kind::Boolean, Value::Bool(_))
            | (Kind::Int, Value::Date(_) | Value::Time(_))
            | (Kind::Long, Value::Int(_) | Value::Timestamp(_))
            | (Kind::Float | Kind::Double, Value::Float(_) | Value::Int(_))
            | (Kind::Bytes | Kind::Fixed { .. }, Value::Decimal(_))
            | (Kind::Bytes, Value::Bytes(_))
            | (Kind::Array(_), Value::List(_))
            | (Kind::String, Value::Str(_))
            | (Kind::Map(_) | Kind::Record { .. }, Value::Map(_)) => true,
            (Kind::Int, Value::Int(number)) => i32::try_from(*number).is_ok(),
            (Kind::Fixed { size, .. }, Value::Bytes(bytes)) => bytes.len() == *size,
            (Kind::Enum { symbols, .. }, Value::Str(text)) => symbols.iter().any(|symbol| *symbol == **text),
            (Kind::Array(items), Value::Map(_)) => map_entry(&self.avro, *items).is_ok_and(|entry| entry.is_some()),
            (Kind::Union(branches), value) => branches.iter().any(|branch| self.takes(*branch, value)),
            _ => false,
        }
    }

    fn is_anything(&self, id: NodeId) -> bool {
        self.avro.name(id).is_some_and(|name| name.full() == ANYTHING)
    }

    /// Data without a schema: a record with a field for each kind of value, of which one is set.
    fn anything(&self, id: NodeId, given: Given<'_>, depth: usize, out: &mut Vec<u8>) -> Result<()> {
        let Kind::Record { fields, .. } = self.avro.kind(id) else { return Ok(()) };
        let plain = match given.value {
            Value::Decimal(decimal) => Some(decimal_as_plain(decimal)?),
            Value::Date(number) | Value::Time(number) => Some(Value::Int(i64::from(*number))),
            Value::Timestamp(number) => Some(Value::Int(*number)),
            _ => None,
        };
        let value = plain.as_ref().unwrap_or(given.value);
        let name = match value {
            Value::Bool(_) => "boolean",
            Value::Bytes(_) => "bytes",
            Value::Float(_) => "double",
            // As JSON without a schema has it in Connect
            Value::Int(_) => "long",
            Value::Str(_) => "string",
            Value::List(_) => "array",
            Value::Map(_) => "map",
            _ => "",
        };
        for field in fields {
            let value = if field.name == name { value } else { &Value::Null };
            self.value(field.node, Given { schema: None, value }, depth + 1, out)?;
        }
        Ok(())
    }

    /// The unscaled bytes at the scale of the Avro schema, where that can be had without loss.
    fn unscaled<'a>(&self, id: NodeId, decimal: &'a Decimal) -> Result<std::borrow::Cow<'a, [u8]>> {
        let scale = self.avro.node(id).props.get("scale").and_then(serde_json::Value::as_i64).unwrap_or(0);
        if scale == i64::from(decimal.scale) {
            return Ok(std::borrow::Cow::Borrowed(&decimal.unscaled));
        }
        Err(bad(format!(
            "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {}.",
            decimal.scale
        )))
    }
}

/// A decimal where there are none: a number of JSON with more digits than fit others.
fn decimal_as_plain(decimal: &Decimal) -> Result<Value> {
    let text = decimal.text()?;
    text.parse().map(Value::Float).map_err(|_| bad(format!("{text} is no number")))
}

/// Two's complement filled up to a fixed's size.
fn fixed(unscaled: &[u8], size: usize, out: &mut Vec<u8>) -> Result<()> {
    let missing = size.checked_sub(unscaled.len()).ok_or_else(|| {
        bad(format!("Unscaled value byte array length {} is greater than fixed size {size}", unscaled.len()))
    })?;
    let sign = if unscaled.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    out.extend(std::iter::repeat_n(sign, missing));
    out.extend_from_slice(unscaled);
    Ok(())
}
