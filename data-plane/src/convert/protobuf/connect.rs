//! From a message to a Connect schema, as Confluent's converter has it.

use std::sync::Arc;

use millrace_sdk::{Field, Schema, Text, Type};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor, Syntax};

use super::{ENUM, GENERALIZED_UNION, Options, PRECISION, TAG, TYPE, UNION, WRAPPER};
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};

/// The Connect schema of a message.
pub(super) fn schema(message: &MessageDescriptor, options: Options, version: Option<i32>) -> Schema {
    let unwrapped = options.wrapper_for_raw_primitives.then(|| unwrapped(message)).flatten();
    let mut schema = match unwrapped {
        Some(kind) => Schema::of(kind),
        None => Builder { options, open: Vec::new() }.message(message),
    };
    schema.version = version.or(schema.version);
    schema
}

/// The type of the one value of a message that wraps it.
pub(super) fn unwrapped(message: &MessageDescriptor) -> Option<Type> {
    Some(match message.full_name() {
        "google.protobuf.DoubleValue" => Type::Float64,
        "google.protobuf.FloatValue" => Type::Float32,
        "google.protobuf.Int64Value" | "google.protobuf.UInt64Value" | "google.protobuf.UInt32Value" => Type::Int64,
        "google.protobuf.Int32Value" => Type::Int32,
        "google.protobuf.BoolValue" => Type::Boolean,
        "google.protobuf.StringValue" => Type::String,
        "google.protobuf.BytesValue" => Type::Bytes,
        _ => return None,
    })
}

/// The logical type that a message stands for.
pub(super) fn logical(message: &MessageDescriptor) -> Option<(Type, &'static str)> {
    Some(match message.full_name() {
        "confluent.type.Decimal" => (Type::Bytes, DECIMAL),
        "google.type.Date" => (Type::Int32, DATE),
        "google.type.TimeOfDay" => (Type::Int32, TIME),
        "google.protobuf.Timestamp" => (Type::Int64, TIMESTAMP),
        _ => return None,
    })
}

/// What the struct's field for a oneof is called.
pub(super) fn union_name(oneof: &OneofDescriptor, options: Options) -> String {
    if options.generate_index_for_unions {
        let index = oneof.parent_message().oneofs().position(|one| one == *oneof).unwrap_or(0);
        format!("{}_{index}", oneof.name())
    } else {
        oneof.name().to_owned()
    }
}

/// The oneof that the user wrote; the compiler makes one of each `optional`.
pub(super) fn real_oneof(field: &FieldDescriptor) -> Option<OneofDescriptor> {
    field.containing_oneof().filter(|oneof| !oneof.is_synthetic())
}

/// Whether a field was written with `optional`.
pub(super) fn has_optional(field: &FieldDescriptor) -> bool {
    let proto3 = field.containing_oneof().is_some_and(|oneof| oneof.is_synthetic());
    let proto2 = field.parent_file().syntax() == Syntax::Proto2
        && field.cardinality() == prost_reflect::Cardinality::Optional
        && field.containing_oneof().is_none();
    proto3 || proto2
}

/// Whether absence is seen in a field that is no message.
pub(super) fn sees_absence(field: &FieldDescriptor, options: Options) -> bool {
    let proto3 = field.containing_oneof().is_some_and(|oneof| oneof.is_synthetic());
    proto3 || (options.optional_for_proto2 && has_optional(field))
}

struct Builder {
    options: Options,
    /// Messages that are being built, outermost first
    open: Vec<String>,
}

fn set(schema: &mut Schema, name: &'static str, value: impl Into<Text>) {
    schema.parameters.push((Text::from_static(name), value.into()));
}

/// Parameters among the annotations of a field.
fn annotation(field: &FieldDescriptor, name: &str) -> Option<String> {
    let extension = field.parent_pool().get_extension_by_name("confluent.field_meta")?;
    let options: DynamicMessage = field.options();
    let meta = options.get_extension(&extension);
    let parameters = meta.as_message()?.get_field_by_name("params")?;
    let value = parameters.as_map()?.get(&prost_reflect::MapKey::String(name.to_owned()))?;
    value.as_str().map(str::to_owned)
}

impl Builder {
    fn message(&mut self, message: &MessageDescriptor) -> Schema {
        let mut schema = Schema::of(Type::Struct);
        let name = if self.options.enhanced { message.full_name() } else { message.name() };
        schema.name = Some(Text::from(name));
        self.open.push(message.full_name().to_owned());
        let mut add = |name: &str, of_field: Schema| {
            schema.fields.push(Field::new(name, of_field));
        };
        for oneof in message.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            if self.options.flatten_unions {
                for field in oneof.fields() {
                    add(field.name(), self.field(&field, true));
                }
            } else {
                add(&union_name(&oneof, self.options), self.oneof(&oneof));
            }
        }
        for field in message.fields().filter(|field| real_oneof(field).is_none()) {
            add(field.name(), self.field(&field, false));
        }
        self.open.pop();
        schema
    }

    fn oneof(&mut self, oneof: &OneofDescriptor) -> Schema {
        let mut schema = Schema::of(Type::Struct);
        schema.optional = true;
        if self.options.generalized_sum_types {
            schema.name = Some(Text::from(oneof.name()));
            set(&mut schema, GENERALIZED_UNION, oneof.name());
        } else {
            let name = if self.options.enhanced { oneof.full_name() } else { oneof.name() };
            schema.name = Some(Text::from(format!("{UNION}.{name}")));
        }
        for field in oneof.fields() {
            let of_field = self.field(&field, true);
            schema.fields.push(Field::new(field.name(), of_field));
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor, in_oneof: bool) -> Schema {
        let mut schema = self.value(field);
        if field.is_list() {
            schema.optional = true;
            schema = Schema { optional: true, element: Some(Arc::new(schema)), ..Schema::of(Type::Array) };
        }
        if in_oneof {
            schema.optional = true;
            if self.options.wrapper_for_nullables
                && field.kind().as_message().is_some_and(|message| unwrapped(message).is_some())
            {
                set(&mut schema, WRAPPER, "true");
            }
        } else if self.options.optional_for_nullables {
            schema.optional |= has_optional(field);
        } else if !self.options.wrapper_for_nullables {
            schema.optional = true;
        }
        set(&mut schema, TAG, field.number().to_string());
        schema
    }

    /// What a field holds, one of it where it is repeated.
    fn value(&mut self, field: &FieldDescriptor) -> Schema {
        let typed = |kind: Type, name: Option<&'static str>| {
            let mut schema = Schema::of(kind);
            if let Some(name) = name {
                set(&mut schema, TYPE, name);
            }
            schema
        };
        match field.kind() {
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                match annotation(field, "connect.type").as_deref() {
                    Some("int8") => return Schema::of(Type::Int8),
                    Some("int16") => return Schema::of(Type::Int16),
                    _ => {}
                }
                typed(Type::Int32, type_name(&field.kind()).filter(|name| *name != "int32"))
            }
            kind @ (Kind::Uint32
            | Kind::Fixed32
            | Kind::Int64
            | Kind::Uint64
            | Kind::Sint64
            | Kind::Fixed64
            | Kind::Sfixed64) => typed(Type::Int64, type_name(&kind).filter(|name| *name != "int64")),
            Kind::Float => Schema::of(Type::Float32),
            Kind::Double => Schema::of(Type::Float64),
            Kind::Bool => Schema::of(Type::Boolean),
            Kind::String => Schema::of(Type::String),
            Kind::Bytes => Schema::of(Type::Bytes),
            Kind::Enum(of) => {
                let mut schema = Schema::of(if self.options.int_for_enums { Type::Int32 } else { Type::String });
                let name = if self.options.enhanced { of.full_name() } else { of.name() };
                schema.name = Some(Text::from(name));
                schema.optional = true;
                let parameter = self.options.enum_parameter();
                set(&mut schema, parameter, of.name());
                for value in of.values() {
                    let name = Text::from(format!("{parameter}.{}", value.name()));
                    schema.parameters.push((name, value.number().to_string().into()));
                }
                schema
            }
            Kind::Message(message) => {
                let mut schema = self.nested(field, &message);
                schema.optional = true;
                schema
            }
        }
    }

    fn nested(&mut self, field: &FieldDescriptor, message: &MessageDescriptor) -> Schema {
        if let Some((kind, name)) = logical(message) {
            let mut schema = Schema::of(kind);
            schema.name = Some(Text::from_static(name));
            schema.version = Some(1);
            if name == DECIMAL {
                let scale = annotation(field, "scale").filter(|scale| scale.parse::<i32>().is_ok());
                set(&mut schema, "scale", scale.unwrap_or_else(|| "0".to_owned()));
                if let Some(precision) = annotation(field, "precision").filter(|one| one.parse::<i32>().is_ok()) {
                    set(&mut schema, PRECISION, precision);
                }
            }
            return schema;
        }
        if self.options.wrapper_for_nullables
            && let Some(kind) = unwrapped(message)
        {
            return Schema::of(kind);
        }
        if message.is_map_entry() {
            let mut schema = Schema::of(Type::Map);
            let full = if self.options.enhanced { message.full_name() } else { message.name() };
            schema.name = Some(map_name(full));
            schema.key = Some(Arc::new(self.field(&message.map_entry_key_field(), false)));
            schema.element = Some(Arc::new(self.field(&message.map_entry_value_field(), false)));
            return schema;
        }
        if self.open.iter().any(|open| open == message.full_name()) {
            return Schema::recursive(if self.options.enhanced { message.full_name() } else { message.name() });
        }
        self.message(message)
    }
}

/// The field's name from that of the message of its entries: `TagsEntry` is `tags`.
fn map_name(entry: &str) -> Text {
    let (prefix, name) = entry.rsplit_once('.').map_or(("", entry), |(prefix, name)| (prefix, name));
    let name = name.strip_suffix("Entry").unwrap_or(name);
    let mut out = String::new();
    if !prefix.is_empty() {
        out.push_str(prefix);
        out.push('.');
    }
    for (index, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() {
            if index > 0 {
                out.push('_');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    Text::from(out)
}

/// A scalar type as it is written.
fn type_name(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Int32 => "int32",
        Kind::Sint32 => "sint32",
        Kind::Sfixed32 => "sfixed32",
        Kind::Uint32 => "uint32",
        Kind::Fixed32 => "fixed32",
        Kind::Int64 => "int64",
        Kind::Uint64 => "uint64",
        Kind::Sint64 => "sint64",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed64 => "sfixed64",
        _ => return None,
    })
}

/// The parameter of an enum, whichever way it was made.
pub(super) fn enum_name(schema: &Schema) -> Option<&str> {
    super::parameter(schema, super::GENERALIZED_ENUM).or_else(|| super::parameter(schema, ENUM))
}
