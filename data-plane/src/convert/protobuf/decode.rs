//! From a Protobuf message to Connect's values, by its descriptor; names are those of the Connect schema.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use millrace_sdk::java::calendar;
use millrace_sdk::{Datum, Decimal, Error, Result, Schema, Text, Type, Value};
use prost_reflect::{
    DynamicMessage, FieldDescriptor, FileDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _,
    Value as Proto,
};

use super::Options;
use super::connect::{self, real_oneof, sees_absence, unwrapped};
use super::descriptors::{message_at, read_place};
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::convert::registry::Read;

/// Nulls that become structs may be recursive without end.
const MAX_GENERATED: usize = 16;

/// A file ready to read the messages of.
#[derive(Debug)]
pub(in crate::convert) struct Reader {
    file: FileDescriptor,
    options: Options,
    version: Option<i32>,
    /// Messages that were met, by their place
    messages: RwLock<HashMap<Vec<usize>, Arc<Message>>>,
}

#[derive(Debug)]
struct Message {
    descriptor: MessageDescriptor,
    schema: Arc<Schema>,
}

fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

impl Reader {
    pub(super) fn new(file: FileDescriptor, options: Options, version: Option<i32>) -> Self {
        Self { file, options, version, messages: RwLock::default() }
    }
}

impl Read for Reader {
    fn read(&self, payload: &Bytes) -> Result<Datum> {
        let (place, length) = read_place(payload)?;
        let message = self.message(place)?;
        let name = message.descriptor.full_name();
        let decoded = DynamicMessage::decode(message.descriptor.clone(), payload.slice(length..))
            .map_err(|error| bad(format!("the payload is no {name}")).because(error))?;
        let walk = Walk { options: self.options };
        let value = if message.schema.kind == Type::Struct {
            walk.message(&decoded, &message.schema, 0)?
        } else {
            walk.unwrapped(&decoded)?
        };
        Ok(Datum::Decoded { schema: Some(Arc::clone(&message.schema)), value })
    }
}

impl Reader {
    fn message(&self, place: Vec<usize>) -> Result<Arc<Message>> {
        if let Some(known) = self.messages.read().unwrap_or_else(PoisonError::into_inner).get(&place) {
            return Ok(Arc::clone(known));
        }
        let descriptor = message_at(&self.file, &place)?;
        let schema = Arc::new(connect::schema(&descriptor, self.options, self.version));
        let message = Arc::new(Message { descriptor, schema });
        self.messages.write().unwrap_or_else(PoisonError::into_inner).insert(place, Arc::clone(&message));
        Ok(message)
    }
}

#[derive(Clone, Copy)]
struct Walk {
    options: Options,
}

impl Walk {
    /// All fields, in the order of the schema: oneofs first.
    fn message(self, message: &DynamicMessage, schema: &Schema, generated: usize) -> Result<Value> {
        let descriptor = message.descriptor();
        let mut values: Vec<(Text, Value)> = Vec::with_capacity(schema.fields.len());
        let mut fields = schema.fields.iter();
        // Below a name that stands for itself the schema says nothing of the fields.
        let mut next = |name: &str| match fields.next() {
            Some(field) => (field.name.clone(), Some(&*field.schema)),
            None => (Text::from(name), None),
        };
        for oneof in descriptor.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            if self.options.flatten_unions {
                for field in oneof.fields() {
                    let (name, of_field) = next(field.name());
                    values.push((name, self.field(message, &field, of_field, generated)?));
                }
                continue;
            }
            let (name, union) = next(&connect::union_name(&oneof, self.options));
            let chosen = oneof.fields().position(|field| message.has_field(&field));
            let Some(chosen) = chosen else {
                values.push((name, Value::Null));
                continue;
            };
            let mut branches = Vec::new();
            for (index, field) in oneof.fields().enumerate() {
                let of_branch = union.and_then(|union| union.fields.get(index));
                let branch = of_branch.map_or_else(|| Text::from(field.name()), |branch| branch.name.clone());
                let value = if index == chosen {
                    self.value(&message.get_field(&field), &field, of_branch.map(|one| &*one.schema), generated)?
                } else {
                    Value::Null
                };
                branches.push((branch, value));
            }
            values.push((name, Value::Map(branches)));
        }
        for field in descriptor.fields().filter(|field| real_oneof(field).is_none()) {
            let (name, of_field) = next(field.name());
            values.push((name, self.field(message, &field, of_field, generated)?));
        }
        Ok(Value::Map(values))
    }

    fn field(
        self,
        message: &DynamicMessage,
        field: &FieldDescriptor,
        schema: Option<&Schema>,
        generated: usize,
    ) -> Result<Value> {
        let plain = !matches!(field.kind(), Kind::Message(_)) || field.is_list() || field.is_map();
        let present = message.has_field(field);
        let in_oneof = real_oneof(field).is_some();
        let shown = plain && !sees_absence(field, self.options) && !in_oneof;
        // Of a date or time that is absent there is nothing to make.
        let is_struct = field.kind().as_message().is_some_and(|message| connect::logical(message).is_none());
        let generate = self.options.generate_struct_for_nulls && is_struct && !in_oneof && generated < MAX_GENERATED;
        if !present && !shown && !generate {
            return Ok(Value::Null);
        }
        let generated = if present { generated } else { generated + 1 };
        self.value(&message.get_field(field), field, schema, generated)
    }

    fn value(self, value: &Proto, field: &FieldDescriptor, schema: Option<&Schema>, generated: usize) -> Result<Value> {
        let element = schema.and_then(|schema| schema.element.as_deref());
        match value {
            Proto::List(items) => {
                let items = items.iter().map(|item| self.one(item, &field.kind(), element, generated));
                Ok(Value::List(items.collect::<Result<_>>()?))
            }
            Proto::Map(entries) => self.map(entries, field, element, generated),
            one => self.one(one, &field.kind(), schema, generated),
        }
    }

    /// A map with text keys is a map; with other keys it is a list of pairs.
    fn map(
        self,
        entries: &HashMap<MapKey, Proto>,
        field: &FieldDescriptor,
        element: Option<&Schema>,
        generated: usize,
    ) -> Result<Value> {
        let Kind::Message(entry) = field.kind() else { return Ok(Value::Null) };
        let kind = entry.map_entry_value_field().kind();
        let mut sorted: Vec<_> = entries.iter().collect();
        // The compiler's map has no order; a record should read the same each time.
        sorted.sort_by_key(|(key, _)| *key);
        if matches!(entry.map_entry_key_field().kind(), Kind::String) {
            let entries = sorted.into_iter().map(|(key, value)| {
                let name = key.as_str().unwrap_or_default();
                Ok((Text::from(name), self.one(value, &kind, element, generated)?))
            });
            return Ok(Value::Map(entries.collect::<Result<_>>()?));
        }
        let pairs = sorted.into_iter().map(|(key, value)| {
            let key = match key {
                MapKey::Bool(flag) => Value::Bool(*flag),
                MapKey::I32(number) => Value::Int(i64::from(*number)),
                MapKey::I64(number) => Value::Int(*number),
                MapKey::U32(number) => Value::Int(i64::from(*number)),
                MapKey::U64(number) => Value::Int(number.cast_signed()),
                MapKey::String(text) => Value::Str(Text::from(text.as_str())),
            };
            Ok(Value::List(vec![key, self.one(value, &kind, element, generated)?]))
        });
        Ok(Value::List(pairs.collect::<Result<_>>()?))
    }

    fn one(self, value: &Proto, kind: &Kind, schema: Option<&Schema>, generated: usize) -> Result<Value> {
        Ok(match value {
            Proto::Bool(flag) => Value::Bool(*flag),
            Proto::I32(number) => Value::Int(i64::from(*number)),
            Proto::I64(number) => Value::Int(*number),
            Proto::U32(number) => Value::Int(i64::from(*number)),
            // Connect has no wider integer: as Java's long has it.
            Proto::U64(number) => Value::Int(number.cast_signed()),
            Proto::F32(number) => Value::Float(f64::from(*number)),
            Proto::F64(number) => Value::Float(*number),
            Proto::String(text) => Value::Str(Text::from(text.as_str())),
            Proto::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Proto::EnumNumber(number) if self.options.int_for_enums => Value::Int(i64::from(*number)),
            Proto::EnumNumber(number) => {
                let name = match kind {
                    Kind::Enum(of) => match of.get_value(*number) {
                        Some(value) => Text::from(value.name()),
                        None => Text::from(format!("UNKNOWN_ENUM_VALUE_{}_{number}", of.name())),
                    },
                    _ => Text::from(number.to_string()),
                };
                Value::Str(name)
            }
            Proto::Message(message) => self.nested(message, schema, generated)?,
            Proto::List(_) | Proto::Map(_) => return Err(bad("a list within a list")),
        })
    }

    fn nested(self, message: &DynamicMessage, schema: Option<&Schema>, generated: usize) -> Result<Value> {
        if let Some((_, name)) = connect::logical(&message.descriptor()) {
            return logical(message, name);
        }
        if self.options.wrapper_for_nullables && unwrapped(&message.descriptor()).is_some() {
            return self.unwrapped(message);
        }
        let unknown = Schema::of(Type::Struct);
        let schema = schema.filter(|schema| !schema.is_recursive()).unwrap_or(&unknown);
        self.message(message, schema, generated)
    }

    /// The value of a message that wraps one.
    fn unwrapped(self, message: &DynamicMessage) -> Result<Value> {
        let field = message.descriptor().get_field_by_name("value").ok_or_else(|| bad("a wrapper without a value"))?;
        self.one(&message.get_field(&field), &field.kind(), None, 0)
    }
}

fn number(message: &DynamicMessage, name: &str) -> i64 {
    let value = message.get_field_by_name(name);
    match value.as_deref() {
        Some(Proto::I32(number)) => i64::from(*number),
        Some(Proto::I64(number)) => *number,
        _ => 0,
    }
}

fn logical(message: &DynamicMessage, name: &str) -> Result<Value> {
    let field = |name: &str| number(message, name);
    Ok(match name {
        DECIMAL => {
            let unscaled = message.get_field_by_name("value").and_then(|value| value.as_bytes().cloned());
            let scale = i32::try_from(field("scale")).unwrap_or(0);
            Value::Decimal(Decimal { unscaled: unscaled.unwrap_or_default().as_ref().into(), scale })
        }
        DATE => Value::Date(days(field("year"), field("month"), field("day"))?),
        TIME => {
            let (hours, minutes, seconds) = (field("hours"), field("minutes"), field("seconds"));
            let millis = field("nanos") / 1_000_000;
            let fits = (0..24).contains(&hours)
                && (0..60).contains(&minutes)
                && (0..60).contains(&seconds)
                && (0..1000).contains(&millis);
            let all = ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis;
            Value::Time(i32::try_from(all).ok().filter(|_| fits).ok_or_else(|| bad("a TimeOfDay that is no time"))?)
        }
        TIMESTAMP => {
            let millis = field("seconds").checked_mul(1000);
            let millis = millis.and_then(|millis| millis.checked_add(field("nanos").div_euclid(1_000_000)));
            Value::Timestamp(millis.ok_or_else(|| bad("a Timestamp beyond milliseconds of 64 bits"))?)
        }
        _ => Value::Null,
    })
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Result<i32> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1..=9999).contains(&year) {
        return Err(bad(format!("the Date {year}-{month}-{day} is no date")));
    }
    Ok(i32::try_from(calendar::days(year, month, day)).unwrap_or(0))
}
