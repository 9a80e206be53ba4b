//! From Connect's values to a Protobuf message. The message leads: fields are found by name, and a struct that stands for a
//! oneof gives it its one value.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use millrace_sdk::java::calendar;
use millrace_sdk::{Decimal, Error, Result, Schema, Text, Type, Value};
use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, FileDescriptor, Kind, MapKey, MessageDescriptor, Value as Proto};

use super::connect::{logical, unwrapped};
use super::descriptors::{message_at, place_of, write_place};
use super::{Options, describe, is_union};
use crate::convert::json_value::{DATE, DECIMAL, TIME};
use crate::convert::registry::{Write, scrubbed};

/// Deeper values are refused.
const MAX_DEPTH: usize = 64;

/// A schema ready to write with.
#[derive(Debug)]
pub(in crate::convert) struct Writer {
    schema: Option<Arc<Schema>>,
    message: MessageDescriptor,
    /// The message's place, as it is written before the data
    place: Vec<u8>,
    options: Options,
}

fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

impl Writer {
    pub(super) fn new(schema: Option<Arc<Schema>>, file: &FileDescriptor, options: Options) -> Result<Self> {
        let name = schema.as_deref().map(|schema| describe::message_name(schema, options));
        let place = place_of(file, name.as_deref().unwrap_or_default());
        let message = message_at(file, &place)?;
        let mut written = Vec::new();
        write_place(&place, &mut written);
        Ok(Self { schema, message, place: written, options })
    }
}

impl Write for Writer {
    fn write(&self, value: &Value, out: &mut Vec<u8>) -> Result<()> {
        out.extend_from_slice(&self.place);
        let message = match (unwrapped(&self.message), self.schema.as_deref()) {
            (Some(_), Some(schema)) if schema.kind != Type::Struct => self.wrapped(&self.message, value)?,
            (_, schema) => self.message(&self.message, schema, value, 0)?,
        };
        message.encode(out).map_err(|error| bad("the message cannot be written").because(error))
    }
}

impl Writer {
    /// A message that wraps one value.
    fn wrapped(&self, message: &MessageDescriptor, value: &Value) -> Result<DynamicMessage> {
        let mut wrapper = DynamicMessage::new(message.clone());
        let field = message.get_field_by_name("value").ok_or_else(|| bad("a wrapper without a value"))?;
        let value = self.one(&field.kind(), None, value, 0)?;
        wrapper.set_field(&field, value);
        Ok(wrapper)
    }

    fn message(
        &self,
        descriptor: &MessageDescriptor,
        schema: Option<&Schema>,
        value: &Value,
        depth: usize,
    ) -> Result<DynamicMessage> {
        if depth > MAX_DEPTH {
            return Err(bad(format!("a value is nested deeper than {MAX_DEPTH} levels")));
        }
        let Value::Map(fields) = value.open()? else {
            return Err(bad(format!("{} is no {}", value.type_name(), descriptor.full_name())));
        };
        let schema = schema.filter(|schema| schema.kind == Type::Struct && !schema.is_recursive());
        let mut message = DynamicMessage::new(descriptor.clone());
        for (name, value) in &fields {
            let of_field = schema.and_then(|schema| schema.fields.iter().find(|field| field.name == *name));
            self.field(&mut message, name, of_field.map(|field| &*field.schema), value, depth)
                .map_err(|error| bad(format!("the field {name} cannot be written")).because(error))?;
        }
        Ok(message)
    }

    fn field(
        &self,
        message: &mut DynamicMessage,
        name: &Text,
        schema: Option<&Schema>,
        value: &Value,
        depth: usize,
    ) -> Result<()> {
        let opened = value.open()?;
        let default = schema.and_then(|schema| schema.default.as_ref());
        let value = match (&opened, default) {
            (Value::Null, Some(default)) if !self.options.ignore_default_for_nullables => default,
            (Value::Null, None) if schema.is_some_and(|schema| !schema.optional) => {
                return Err(bad("Found null value for non-optional schema"));
            }
            (Value::Null, _) => return Ok(()),
            (value, _) => value,
        };
        if let (Some(union), Value::Map(branches)) = (schema.filter(|schema| is_union(schema)), value) {
            let Some((name, value)) = branches.iter().find(|(_, value)| *value != Value::Null) else { return Ok(()) };
            let branch = union.fields.iter().find(|field| field.name == *name).map(|field| &*field.schema);
            return self.field(message, name, branch, value, depth);
        }
        let name = scrubbed(name, self.options.scrub, true);
        let Some(field) = prost_reflect::ReflectMessage::descriptor(message).get_field_by_name(&name) else {
            return match schema {
                // Of data without a schema, or with an older one, the message takes what it knows.
                None => Ok(()),
                Some(_) => Err(bad(format!("Cannot find field with name {name}"))),
            };
        };
        let value = self.value(&field, schema, value, depth + 1)?;
        message.try_set_field(&field, value).map_err(|error| bad("the value does not fit the field").because(error))
    }

    fn value(&self, field: &FieldDescriptor, schema: Option<&Schema>, value: &Value, depth: usize) -> Result<Proto> {
        let element = schema.and_then(|schema| schema.element.as_deref());
        if field.is_map() {
            return self.map(field, schema, value, depth);
        }
        if field.is_list() {
            let Value::List(items) = value else { return Err(bad(format!("{} is no list", value.type_name()))) };
            let items = items.iter().map(|item| self.one(&field.kind(), element, item, depth));
            return Ok(Proto::List(items.collect::<Result<_>>()?));
        }
        self.one(&field.kind(), schema, value, depth)
    }

    fn map(&self, field: &FieldDescriptor, schema: Option<&Schema>, value: &Value, depth: usize) -> Result<Proto> {
        let Kind::Message(entry) = field.kind() else { return Err(bad("a map without entries")) };
        let (key_kind, kind) = (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind());
        let element = schema.and_then(|schema| schema.element.as_deref());
        let mut entries = HashMap::new();
        let mut add = |key: &Value, value: &Value| -> Result<()> {
            let key = match self.one(&key_kind, None, key, depth)? {
                Proto::String(text) => MapKey::String(text),
                Proto::Bool(flag) => MapKey::Bool(flag),
                Proto::I32(number) => MapKey::I32(number),
                Proto::I64(number) => MapKey::I64(number),
                Proto::U32(number) => MapKey::U32(number),
                Proto::U64(number) => MapKey::U64(number),
                _ => return Err(bad("a map's key is no key")),
            };
            if *value != Value::Null {
                entries.insert(key, self.one(&kind, element, value, depth)?);
            } else {
                entries.insert(key, Proto::default_value(&kind));
            }
            Ok(())
        };
        match value {
            Value::Map(pairs) => {
                for (key, value) in pairs {
                    add(&Value::Str(key.clone()), value)?;
                }
            }
            Value::List(pairs) => {
                for pair in pairs {
                    match pair {
                        Value::List(pair) if pair.len() == 2 => add(&pair[0], &pair[1])?,
                        _ => return Err(bad("an entry of a map is no pair")),
                    }
                }
            }
            other => return Err(bad(format!("{} is no map", other.type_name()))),
        }
        Ok(Proto::Map(entries))
    }

    fn one(&self, kind: &Kind, schema: Option<&Schema>, value: &Value, depth: usize) -> Result<Proto> {
        let opened = value.open()?;
        let misfit = || bad(format!("{} is no {kind:?}", opened.type_name()));
        let small = |number: i64| i32::try_from(number).map_err(|_| bad(format!("{number} does not fit 32 bits")));
        Ok(match (kind, &opened) {
            (Kind::Message(message), value) => Proto::Message(self.nested(message, schema, value, depth)?),
            (Kind::Enum(of), Value::Str(name)) => {
                let value = of.get_value_by_name(name);
                Proto::EnumNumber(value.ok_or_else(|| bad(format!("{} has no value {name}", of.full_name())))?.number())
            }
            (Kind::Enum(_), Value::Int(number)) => Proto::EnumNumber(small(*number)?),
            (Kind::Bool, Value::Bool(flag)) => Proto::Bool(*flag),
            (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, Value::Int(number)) => Proto::I32(small(*number)?),
            (Kind::Uint32 | Kind::Fixed32, Value::Int(number)) => {
                Proto::U32(u32::try_from(*number).map_err(|_| bad(format!("{number} does not fit uint32")))?)
            }
            (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, Value::Int(number) | Value::Timestamp(number)) => {
                Proto::I64(*number)
            }
            (Kind::Uint64 | Kind::Fixed64, Value::Int(number)) => Proto::U64(number.cast_unsigned()),
            #[allow(clippy::cast_possible_truncation)] // what the field holds
            (Kind::Float, Value::Float(number)) => Proto::F32(*number as f32),
            (Kind::Double, Value::Float(number)) => Proto::F64(*number),
            #[allow(clippy::cast_precision_loss)] // what the field holds
            (Kind::Double, Value::Int(number)) => Proto::F64(*number as f64),
            (Kind::String, Value::Str(text)) => Proto::String(text.to_string()),
            (Kind::Bytes, Value::Bytes(bytes)) => Proto::Bytes(bytes.clone()),
            _ => return Err(misfit()),
        })
    }

    fn nested(
        &self,
        descriptor: &MessageDescriptor,
        schema: Option<&Schema>,
        value: &Value,
        depth: usize,
    ) -> Result<DynamicMessage> {
        if let Some((_, name)) = logical(descriptor) {
            return logical_message(descriptor, name, value);
        }
        if unwrapped(descriptor).is_some() && !matches!(value, Value::Map(_)) {
            return self.wrapped(descriptor, value);
        }
        self.message(descriptor, schema, value, depth + 1)
    }
}

fn logical_message(descriptor: &MessageDescriptor, name: &str, value: &Value) -> Result<DynamicMessage> {
    let mut message = DynamicMessage::new(descriptor.clone());
    let misfit = || bad(format!("{} is no {}", value.type_name(), descriptor.full_name()));
    let fields: Vec<(&str, Proto)> = match (name, value) {
        (DECIMAL, Value::Decimal(decimal)) => decimal_fields(decimal)?,
        (DATE, Value::Date(days)) => {
            let (year, month, day) = calendar::civil(i64::from(*days));
            let small = |number: i64| Proto::I32(i32::try_from(number).unwrap_or(0));
            vec![("year", small(year)), ("month", small(month)), ("day", small(day))]
        }
        (TIME, Value::Time(millis)) => vec![
            ("hours", Proto::I32(millis / 3_600_000)),
            ("minutes", Proto::I32(millis / 60_000 % 60)),
            ("seconds", Proto::I32(millis / 1000 % 60)),
            ("nanos", Proto::I32(millis % 1000 * 1_000_000)),
        ],
        (_, Value::Timestamp(millis)) => vec![
            ("seconds", Proto::I64(millis.div_euclid(1000))),
            ("nanos", Proto::I32(i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000)),
        ],
        _ => return Err(misfit()),
    };
    for (name, value) in fields {
        message.try_set_field_by_name(name, value).map_err(|error| misfit().because(error))?;
    }
    Ok(message)
}

fn decimal_fields(decimal: &Decimal) -> Result<Vec<(&'static str, Proto)>> {
    let precision = u32::try_from(decimal.digits()?.len()).unwrap_or(0);
    let unscaled = Bytes::copy_from_slice(&decimal.unscaled);
    Ok(vec![
        ("value", Proto::Bytes(unscaled)),
        ("precision", Proto::U32(precision)),
        ("scale", Proto::I32(decimal.scale)),
    ])
}
