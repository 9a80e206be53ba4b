//! Values from and to JSON, by a Connect schema. Scalars are the JSON converter's; what differs is nested: unions, maps whose
//! keys are no text (a list of objects with `key` and `value`), fields that are absent.

use bytes::Bytes;
use millrace_sdk::{Error, Result, Schema, Text, Type, Value, json};

use super::{Options, is_union};
use crate::convert::connect_name;
use crate::convert::json_value;

fn bad(what: impl Into<String>) -> Error {
    Error::bad_record(what.into())
}

/// The members of a JSON object, their values as they stand.
fn members(raw: &Bytes) -> Result<Vec<(Text, Bytes)>> {
    let Value::Map(fields) = json::parse_members(raw)? else { return Err(misfit("an object", raw)) };
    Ok(fields.into_iter().map(|(name, value)| (name, as_raw(value))).collect())
}

fn items(raw: &Bytes) -> Result<Vec<Bytes>> {
    let Value::List(items) = json::parse_members(raw)? else { return Err(misfit("a list", raw)) };
    Ok(items.into_iter().map(as_raw).collect())
}

fn as_raw(value: Value) -> Bytes {
    match value {
        Value::Json(raw) => raw,
        // Members are raw by construction.
        _ => Bytes::from_static(b"null"),
    }
}

fn misfit(wanted: &str, raw: &Bytes) -> Error {
    bad(format!("it should be encoded as {wanted}, but {} was found", Value::Json(raw.clone()).type_name()))
}

fn within(error: Error, step: impl std::fmt::Display) -> Error {
    bad(format!("{step} does not fit its schema")).because(error)
}

/// Reads a value from JSON that is known to be valid.
pub(super) fn read(schema: &Schema, raw: &Bytes, options: Options) -> Result<Value> {
    if schema.is_recursive() {
        return Ok(if raw.as_ref() == b"null" { Value::Null } else { Value::Json(raw.clone()) });
    }
    let nested = matches!(schema.kind, Type::Array | Type::Map | Type::Struct);
    if !nested || raw.as_ref() == b"null" {
        let scalars = json_value::Options { null_is_default: true, ..options.scalars() };
        return json_value::decode(schema, raw, scalars, "the value");
    }
    match schema.kind {
        Type::Array => {
            let element = part(schema.element.as_deref())?;
            let items = items(raw)?.into_iter().enumerate();
            let items = items
                .map(|(i, item)| read(element, &item, options).map_err(|error| within(error, format_args!("[{i}]"))));
            Ok(Value::List(items.collect::<Result<_>>()?))
        }
        Type::Map => read_map(schema, raw, options),
        _ if is_union(schema) => read_union(schema, raw, options),
        _ => read_struct(schema, raw, options),
    }
}

fn part(schema: Option<&Schema>) -> Result<&Schema> {
    schema.ok_or_else(|| bad("the schema says nothing of its elements"))
}

fn read_map(schema: &Schema, raw: &Bytes, options: Options) -> Result<Value> {
    let (key, element) = (part(schema.key.as_deref())?, part(schema.element.as_deref())?);
    if key.kind == Type::String && !key.optional {
        let entries = members(raw)?.into_iter().map(|(name, value)| {
            let value = read(element, &value, options).map_err(|error| within(error, &name))?;
            Ok((name, value))
        });
        return Ok(Value::Map(entries.collect::<Result<_>>()?));
    }
    let null = Bytes::from_static(b"null");
    let pairs = items(raw)?.into_iter().map(|entry| {
        let entry = members(&entry)?;
        if entry.len() != 2 {
            return Err(bad(format!("Found invalid map entry, expected length 2 but found: {}", entry.len())));
        }
        let of = |name: &str| entry.iter().find(|(one, _)| one == name).map_or(&null, |(_, value)| value);
        Ok(Value::List(vec![read(key, of("key"), options)?, read(element, of("value"), options)?]))
    });
    Ok(Value::List(pairs.collect::<Result<_>>()?))
}

/// All fields of the schema, in its order; others are passed over. An absent field is null, or its default.
fn read_struct(schema: &Schema, raw: &Bytes, options: Options) -> Result<Value> {
    let found = members(raw)?;
    let fields = schema.fields.iter().enumerate().map(|(i, field)| {
        let here = found.get(i).filter(|(name, _)| *name == field.name);
        let value = match here.or_else(|| found.iter().find(|(name, _)| *name == field.name)) {
            Some((_, raw)) => read(&field.schema, raw, options).map_err(|error| within(error, &field.name))?,
            None => field.schema.default.clone().unwrap_or(Value::Null),
        };
        Ok((field.name.clone(), value))
    });
    Ok(Value::Map(fields.collect::<Result<_>>()?))
}

/// The first branch whose type it has; of structs the one that knows most of its fields.
fn read_union(schema: &Schema, raw: &Bytes, options: Options) -> Result<Value> {
    let mut best = (0, None);
    for (index, field) in schema.fields.iter().enumerate() {
        if takes(&field.schema, raw) {
            best = (usize::MAX, Some(index));
            break;
        }
        let known = matching(&field.schema, raw)?;
        if known > best.0 {
            best = (known, Some(index));
        }
    }
    let chosen = best.1.ok_or_else(|| bad("Did not find matching oneof field for data"))?;
    let value = read(&schema.fields[chosen].schema, raw, options)?;
    let mut fields: Vec<_> = schema.fields.iter().map(|field| (field.name.clone(), Value::Null)).collect();
    fields[chosen].1 = value;
    Ok(Value::Map(fields))
}

fn takes(schema: &Schema, raw: &Bytes) -> bool {
    let number = matches!(raw.first(), Some(b'-' | b'0'..=b'9'));
    let whole = number && !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match schema.kind {
        Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64 => whole,
        Type::Float32 | Type::Float64 => number,
        Type::Boolean => matches!(raw.first(), Some(b't' | b'f')),
        Type::String => raw.first() == Some(&b'"'),
        Type::Bytes => number && schema.name.as_deref() == Some(json_value::DECIMAL),
        Type::Array => raw.first() == Some(&b'['),
        Type::Map => matches!(raw.first(), Some(b'[' | b'{')),
        Type::Struct => false,
    }
}

/// How many of an object's fields a struct knows, those within them included.
fn matching(schema: &Schema, raw: &Bytes) -> Result<usize> {
    if schema.kind != Type::Struct || raw.first() != Some(&b'{') {
        return Ok(0);
    }
    let mut known = 0;
    for (name, value) in members(raw)? {
        if let Some(field) = schema.fields.iter().find(|field| field.name == name) {
            known += 1 + matching(&field.schema, &value)?;
        }
    }
    Ok(known)
}

/// Writes a value; false when there is nothing to write: a null where null has no place.
pub(super) fn write(schema: Option<&Schema>, value: &Value, options: Options, out: &mut Vec<u8>) -> Result<bool> {
    let Some(schema) = schema.filter(|schema| !schema.is_recursive()) else {
        json_value::encode(None, value, options.scalars(), out)?;
        return Ok(true);
    };
    match (value, schema.kind) {
        (Value::Null, _) => match &schema.default {
            Some(default) if !options.ignore_default_for_nullables && *default != Value::Null => {
                return write(Some(schema), default, options, out);
            }
            _ if schema.optional => out.extend_from_slice(b"null"),
            _ => return Ok(false),
        },
        (Value::List(items), Type::Array) => {
            let element = schema.element.as_deref();
            list(items, out, |item, out| write(element, item, options, out))?;
        }
        (value, Type::Map) => write_map(schema, value, options, out)?,
        (Value::Map(fields), Type::Struct) if is_union(schema) => {
            let present = fields.iter().find(|(_, value)| *value != Value::Null);
            let Some((name, value)) = present else { return write(Some(schema), &Value::Null, options, out) };
            let branch = schema.fields.iter().find(|field| field.name == *name);
            return write(branch.map(|branch| &*branch.schema), value, options, out);
        }
        (Value::Map(fields), Type::Struct) => write_struct(schema, fields, options, out)?,
        _ => json_value::encode(Some(schema), value, options.scalars(), out)?,
    }
    Ok(true)
}

fn list<T>(items: &[T], out: &mut Vec<u8>, mut one: impl FnMut(&T, &mut Vec<u8>) -> Result<bool>) -> Result<()> {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if !one(item, out)? {
            return Err(bad("null within a list whose elements are required"));
        }
    }
    out.push(b']');
    Ok(())
}

fn write_struct(schema: &Schema, fields: &[(Text, Value)], options: Options, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'{');
    let mut first = true;
    for (i, field) in schema.fields.iter().enumerate() {
        let here = fields.get(i).filter(|(name, _)| *name == field.name);
        let value = here.or_else(|| fields.iter().find(|(name, _)| *name == field.name));
        let value = value.map_or(&Value::Null, |(_, value)| value);
        let before = out.len();
        if !first {
            out.push(b',');
        }
        json::write(&Value::Str(field.name.clone()), out)?;
        out.push(b':');
        let written = write(Some(&field.schema), value, options, out)
            .map_err(|error| bad(format!("the field {} cannot be written", field.name)).because(error))?;
        if written {
            first = false;
        } else {
            out.truncate(before);
        }
    }
    out.push(b'}');
    Ok(())
}

fn write_map(schema: &Schema, value: &Value, options: Options, out: &mut Vec<u8>) -> Result<()> {
    let (key, element) = (part(schema.key.as_deref())?, schema.element.as_deref());
    let missing = || bad("null as a value of a map whose values are required");
    let as_object = key.kind == Type::String && !key.optional;
    match value {
        Value::Map(entries) if as_object => {
            out.push(b'{');
            for (i, (name, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json::write(&Value::Str(name.clone()), out)?;
                out.push(b':');
                if !write(element, value, options, out)? {
                    return Err(missing());
                }
            }
            out.push(b'}');
            Ok(())
        }
        Value::Map(entries) => list(entries, out, |(name, value), out| {
            entry(key, element, (&Value::Str(name.clone()), value), options, out)
        }),
        Value::List(pairs) => list(pairs, out, |pair, out| match pair {
            Value::List(pair) if pair.len() == 2 => entry(key, element, (&pair[0], &pair[1]), options, out),
            _ => Err(bad("an entry of a map is no pair")),
        }),
        other => Err(bad(format!("Invalid type for {}: {}", connect_name(Type::Map), other.type_name()))),
    }
}

fn entry(
    key: &Schema,
    element: Option<&Schema>,
    pair: (&Value, &Value),
    options: Options,
    out: &mut Vec<u8>,
) -> Result<bool> {
    out.extend_from_slice(b"{\"key\":");
    let written = write(Some(key), pair.0, options, out)?;
    out.extend_from_slice(b",\"value\":");
    let written = write(element, pair.1, options, out)? && written;
    out.push(b'}');
    Ok(written)
}
