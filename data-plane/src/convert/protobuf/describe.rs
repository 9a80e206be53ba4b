//! From a Connect schema to a `.proto` text: one message with all that it needs within it.

use std::collections::HashSet;
use std::fmt::Write as _;

use millrace_sdk::{Error, Field, Result, Schema, Type};

use super::connect::enum_name;
use super::descriptors::WRAPPERS;
use super::{GENERALIZED_UNION, Options, PRECISION, TAG, TYPE, UNION, WRAPPER, is_union, parameter};
use crate::convert::connect_name;
use crate::convert::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};
use crate::convert::registry::scrubbed;

/// What a message is called that has no name.
const DEFAULT_NAME: &str = "ConnectDefault";

/// The text of the `.proto` file.
pub(super) fn describe(schema: Option<&Schema>, options: Options) -> Result<String> {
    let Some(schema) = schema else {
        return Err(Error::bad_record(
            "ProtobufConverter needs data with a schema; use another converter for data without",
        ));
    };
    match schema.kind {
        Type::Struct => {}
        Type::Array | Type::Map => {
            return Err(Error::bad_record(format!(
                "Unsupported root schema of type {}: a Protobuf message has fields; wrap it in a struct (HoistField)",
                connect_name(schema.kind)
            )));
        }
        _ => return Ok(WRAPPERS.to_owned()),
    }
    let mut describer = Describer { options, imports: Vec::new(), unnamed: 0 };
    let full = describer.full_name(schema);
    let (package, name) = full.rsplit_once('.').unwrap_or(("", &full));
    let message = describer.message(name, schema, 0)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if !package.is_empty() {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    describer.imports.sort_unstable();
    describer.imports.dedup();
    for import in &describer.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !describer.imports.is_empty() {
        text.push('\n');
    }
    text.push_str(&message);
    Ok(text)
}

/// The message that data of this schema are written as: its name without the package.
pub(super) fn message_name(schema: &Schema, options: Options) -> String {
    match schema.kind {
        Type::Struct => {
            let full = Describer { options, imports: Vec::new(), unnamed: 0 }.full_name(schema);
            full.rsplit('.').next().unwrap_or(&full).to_owned()
        }
        Type::Int8 | Type::Int16 | Type::Int32 => "Int32Value".to_owned(),
        Type::Int64 => "Int64Value".to_owned(),
        Type::Float32 => "FloatValue".to_owned(),
        Type::Float64 => "DoubleValue".to_owned(),
        Type::Boolean => "BoolValue".to_owned(),
        Type::Bytes => "BytesValue".to_owned(),
        _ => "StringValue".to_owned(),
    }
}

struct Describer {
    options: Options,
    imports: Vec<&'static str>,
    unnamed: usize,
}

/// A field's type as it is written, with what is annotated.
#[derive(Default)]
struct Typed {
    name: String,
    params: Vec<(&'static str, String)>,
    /// A message or enum that is defined within the one around the field
    definition: Option<(String, String)>,
}

impl Describer {
    fn full_name(&mut self, schema: &Schema) -> String {
        match schema.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => {
                let parts: Vec<_> = name.split('.').map(|part| scrubbed(part, self.options.scrub, true)).collect();
                parts.join(".")
            }
            None => {
                self.unnamed += 1;
                format!("{DEFAULT_NAME}{}", self.unnamed)
            }
        }
    }

    fn simple_name(&mut self, schema: &Schema) -> String {
        let full = self.full_name(schema);
        full.rsplit('.').next().unwrap_or(&full).to_owned()
    }

    fn message(&mut self, name: &str, schema: &Schema, depth: usize) -> Result<String> {
        let mut body = Vec::new();
        let mut definitions: Vec<String> = Vec::new();
        let mut defined = HashSet::from([name.to_owned()]);
        let mut index = 0;
        let mut used: HashSet<u32> = HashSet::new();
        for field in &schema.fields {
            if let Some(tag) = tag_of(&field.schema) {
                used.insert(tag);
            }
            for branch in is_union(&field.schema).then_some(&field.schema.fields).into_iter().flatten() {
                used.extend(tag_of(&branch.schema));
            }
        }
        let mut number = |schema: &Schema| {
            tag_of(schema).unwrap_or_else(|| {
                loop {
                    index += 1;
                    if !used.contains(&index) {
                        return index;
                    }
                }
            })
        };
        for field in &schema.fields {
            if is_union(&field.schema) && field.schema.kind == Type::Struct {
                let mut lines = vec![format!("oneof {} {{", self.union_name(&field.schema))];
                for branch in &field.schema.fields {
                    let tag = number(&branch.schema);
                    let line = self.field(branch, tag, true, depth, (&mut definitions, &mut defined))?;
                    lines.push(format!("  {line}"));
                }
                lines.push("}".to_owned());
                body.push(lines.join("\n"));
            } else {
                let tag = number(&field.schema);
                body.push(self.field(field, tag, false, depth, (&mut definitions, &mut defined))?);
            }
        }
        let mut text = format!("message {name} {{\n");
        for part in body.iter().chain(&definitions) {
            for line in part.lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
        text.push_str("}\n");
        Ok(text)
    }

    fn union_name(&mut self, schema: &Schema) -> String {
        if self.options.generalized_sum_types
            && let Some(name) = parameter(schema, GENERALIZED_UNION)
        {
            return name.to_owned();
        }
        let name = schema.name.as_deref().unwrap_or_default();
        let name = name.strip_prefix(UNION).map_or(name, |rest| rest.trim_start_matches('.'));
        let simple = name.rsplit('.').next().unwrap_or(name);
        scrubbed(simple, self.options.scrub, true).into_owned()
    }

    fn field(
        &mut self,
        field: &Field,
        tag: u32,
        in_oneof: bool,
        depth: usize,
        (definitions, defined): (&mut Vec<String>, &mut HashSet<String>),
    ) -> Result<String> {
        let name = scrubbed(&field.name, self.options.scrub, true);
        let wrong = |error: Error| {
            Error::bad_record(format!("the field {} has no place in Protobuf", field.name)).because(error)
        };
        let (label, schema) = match field.schema.kind {
            Type::Array => ("repeated ", part(field.schema.element.as_deref()).map_err(wrong)?),
            Type::Map => ("", &*field.schema),
            _ if self.options.optional_for_nullables && field.schema.optional && !in_oneof => {
                ("optional ", &*field.schema)
            }
            _ => ("", &*field.schema),
        };
        let typed = self.typed(schema, &name, in_oneof, depth).map_err(wrong)?;
        if let Some((name, text)) = typed.definition
            && defined.insert(name)
        {
            definitions.push(text);
        }
        let mut line = format!("{label}{} {name} = {tag}", typed.name);
        if !typed.params.is_empty() {
            self.imports.push("confluent/meta.proto");
            let params: Vec<_> =
                typed.params.iter().map(|(key, value)| format!("{{ key: \"{key}\", value: \"{value}\" }}")).collect();
            let _ = write!(line, " [(confluent.field_meta) = {{ params: [{}] }}]", params.join(", "));
        }
        line.push(';');
        Ok(line)
    }

    fn imported(&mut self, file: &'static str, name: &str) -> Typed {
        self.imports.push(file);
        Typed { name: name.to_owned(), ..Typed::default() }
    }

    fn typed(&mut self, schema: &Schema, field: &str, in_oneof: bool, depth: usize) -> Result<Typed> {
        if depth > 32 {
            return Err(Error::bad_record("the schema is nested deeper than 32 levels"));
        }
        match schema.name.as_deref() {
            Some(DECIMAL) => {
                let mut typed = self.imported("confluent/type/decimal.proto", "confluent.type.Decimal");
                let params = [("precision", parameter(schema, PRECISION)), ("scale", parameter(schema, "scale"))];
                typed.params.extend(params.iter().filter_map(|(key, value)| Some((*key, value.as_ref()?.to_string()))));
                return Ok(typed);
            }
            Some(DATE) => return Ok(self.imported("google/type/date.proto", "google.type.Date")),
            Some(TIME) => return Ok(self.imported("google/type/timeofday.proto", "google.type.TimeOfDay")),
            Some(TIMESTAMP) => return Ok(self.imported("google/protobuf/timestamp.proto", "google.protobuf.Timestamp")),
            _ => {}
        }
        let wrapped = self.options.wrapper_for_nullables
            && schema.optional
            && (!in_oneof || parameter(schema, WRAPPER) == Some("true"));
        match schema.kind {
            Type::Struct => {
                let mut name = self.simple_name(schema);
                if name == field {
                    // A message and a field cannot have the same name.
                    name.push_str("Message");
                }
                let definition = if schema.is_recursive() {
                    None
                } else {
                    Some((name.clone(), self.message(&name, schema, depth + 1)?))
                };
                Ok(Typed { name, definition, ..Typed::default() })
            }
            Type::Map => self.map(schema, depth),
            Type::Array => Err(Error::bad_record("Array cannot be nested")),
            Type::String | Type::Int32 if enum_name(schema).is_some() => Ok(self.enumeration(schema)),
            _ => Ok(self.scalar(schema, wrapped)),
        }
    }

    fn map(&mut self, schema: &Schema, depth: usize) -> Result<Typed> {
        let (key, value) = (part(schema.key.as_deref())?, part(schema.element.as_deref())?);
        if !matches!(key.kind, Type::String | Type::Boolean | Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64) {
            let kind = connect_name(key.kind);
            return Err(Error::bad_record(format!("a map's keys must be text, integers or booleans, not {kind}")));
        }
        if matches!(value.kind, Type::Array | Type::Map) {
            return Err(Error::bad_record("a map's values cannot be lists or maps"));
        }
        let key = self.scalar(key, false);
        let value = self.typed(value, "value", false, depth + 1)?;
        let name = format!("map<{}, {}>", key.name, value.name);
        Ok(Typed { name, params: Vec::new(), definition: value.definition })
    }

    fn enumeration(&mut self, schema: &Schema) -> Typed {
        let parameter = self.options.enum_parameter();
        let name = enum_name(schema).unwrap_or_default();
        let simple = name.rsplit('.').next().unwrap_or(name).to_owned();
        let prefix = format!("{parameter}.");
        let mut values: Vec<(&str, i32)> = schema
            .parameters
            .iter()
            .filter_map(|(name, tag)| Some((name.strip_prefix(&*prefix)?, tag.parse().ok()?)))
            .collect();
        // The first value of an enum is its zero.
        values.sort_by_key(|(_, number)| *number != 0);
        let mut text = format!("enum {simple} {{\n");
        for (symbol, number) in values {
            let _ = writeln!(text, "  {symbol} = {number};");
        }
        text.push_str("}\n");
        Typed { name: simple.clone(), params: Vec::new(), definition: Some((simple, text)) }
    }

    fn scalar(&mut self, schema: &Schema, wrapped: bool) -> Typed {
        let given = parameter(schema, TYPE);
        let (plain, wrapper, params) = match schema.kind {
            Type::Int8 => ("int32", "Int32Value", Some("int8")),
            Type::Int16 => ("int32", "Int32Value", Some("int16")),
            Type::Int32 => (given.unwrap_or("int32"), "Int32Value", None),
            Type::Int64 => match given.unwrap_or("int64") {
                plain @ ("uint32" | "fixed32") => (plain, "UInt32Value", None),
                plain @ ("uint64" | "fixed64") => (plain, "UInt64Value", None),
                plain => (plain, "Int64Value", None),
            },
            Type::Float32 => ("float", "FloatValue", None),
            Type::Float64 => ("double", "DoubleValue", None),
            Type::Boolean => ("bool", "BoolValue", None),
            Type::Bytes => ("bytes", "BytesValue", None),
            _ => ("string", "StringValue", None),
        };
        let mut typed = if wrapped {
            self.imported("google/protobuf/wrappers.proto", &format!("google.protobuf.{wrapper}"))
        } else {
            Typed { name: plain.to_owned(), ..Typed::default() }
        };
        typed.params.extend(params.map(|kind| ("connect.type", kind.to_owned())));
        typed
    }
}

fn tag_of(schema: &Schema) -> Option<u32> {
    parameter(schema, TAG)?.parse().ok()
}

fn part(schema: Option<&Schema>) -> Result<&Schema> {
    schema.ok_or_else(|| Error::bad_record("the schema says nothing of its elements"))
}
