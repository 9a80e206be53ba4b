//! Values with a schema as JSON text.

use millrace_sdk::{Decimal, Result, Schema, Text, Type, Value, json};

use super::{DECIMAL, Options, bad, connect_name, scale};

/// Writes a value, as its schema says where there is one.
pub(in crate::convert) fn encode(
    schema: Option<&Schema>,
    value: &Value,
    options: Options,
    out: &mut Vec<u8>,
) -> Result<()> {
    if let (Value::Null, Some(schema)) = (value, schema) {
        return match &schema.default {
            Some(default) if options.null_is_default && *default != Value::Null => {
                encode(Some(schema), default, options, out)
            }
            _ if schema.optional => json::write(value, out),
            _ => Err(bad("null value for a field that is required and has no default value".to_owned())),
        };
    }
    match (value, schema) {
        (Value::Decimal(decimal), _) => decimal_out(decimal, schema, options, out),
        (Value::Float(float), _) => float_out(*float, schema, out),
        (Value::List(items), schema) => list_out(items, schema, options, out),
        (Value::Map(fields), Some(schema)) if schema.kind == Type::Struct && !schema.is_recursive() => {
            let null = Value::Null;
            let fields = schema.fields.iter().map(|field| {
                let value = fields.iter().find(|(name, _)| *name == field.name).map_or(&null, |(_, value)| value);
                (&field.name, Some(&*field.schema), value)
            });
            map_out(fields, options, out)
        }
        (Value::Map(fields), _) => {
            let element = schema.and_then(|schema| schema.element.as_deref());
            map_out(fields.iter().map(|(name, value)| (name, element, value)), options, out)
        }
        _ => {
            if let Some(schema) = schema.filter(|schema| !holds(schema.kind, value)) {
                return Err(bad(format!("Invalid type for {}: {}", connect_name(schema.kind), value.type_name())));
            }
            json::write(value, out)
        }
    }
}

/// Whether a scalar may stand where the schema has that type.
fn holds(kind: Type, value: &Value) -> bool {
    match value {
        Value::Bool(_) => kind == Type::Boolean,
        Value::Int(_) => matches!(kind, Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64),
        Value::Date(_) | Value::Time(_) => kind == Type::Int32,
        Value::Timestamp(_) => kind == Type::Int64,
        Value::Str(_) => kind == Type::String,
        Value::Bytes(_) => kind == Type::Bytes,
        _ => true,
    }
}

fn decimal_out(decimal: &Decimal, schema: Option<&Schema>, options: Options, out: &mut Vec<u8>) -> Result<()> {
    if options.numeric_decimals {
        out.extend_from_slice(decimal.text()?.as_bytes());
        return Ok(());
    }
    if let Some(schema) = schema.filter(|schema| schema.name.as_deref() == Some(DECIMAL)) {
        let (asked, found) = (scale(schema)?, decimal.scale);
        if asked != found {
            return Err(bad(format!(
                "Decimal value has mismatching scale for given Decimal schema. Schema has scale {asked}, value has scale {found}."
            )));
        }
    }
    json::write_base64(&decimal.unscaled, out);
    Ok(())
}

fn float_out(float: f64, schema: Option<&Schema>, out: &mut Vec<u8>) -> Result<()> {
    let kind = schema.map_or(Type::Float64, |schema| schema.kind);
    match float {
        _ if !matches!(kind, Type::Float32 | Type::Float64) => {
            return Err(bad(format!("Invalid type for {}: a float", connect_name(kind))));
        }
        _ if float.is_nan() => out.extend_from_slice(b"\"NaN\""),
        f64::INFINITY => out.extend_from_slice(b"\"Infinity\""),
        f64::NEG_INFINITY => out.extend_from_slice(b"\"-Infinity\""),
        #[allow(clippy::cast_possible_truncation)] // it was a float
        _ if kind == Type::Float32 => out.extend_from_slice(format!("{:?}", float as f32).as_bytes()),
        _ => return json::write(&Value::Float(float), out),
    }
    Ok(())
}

fn list_out(items: &[Value], schema: Option<&Schema>, options: Options, out: &mut Vec<u8>) -> Result<()> {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        match (schema, item) {
            // An entry of a map whose keys are no text
            (Some(schema), Value::List(pair)) if schema.kind == Type::Map && pair.len() == 2 => {
                out.push(b'[');
                encode(schema.key.as_deref(), &pair[0], options, out)?;
                out.push(b',');
                encode(schema.element.as_deref(), &pair[1], options, out)?;
                out.push(b']');
            }
            _ => encode(schema.and_then(|schema| schema.element.as_deref()), item, options, out)?,
        }
    }
    out.push(b']');
    Ok(())
}

fn map_out<'a>(
    fields: impl Iterator<Item = (&'a Text, Option<&'a Schema>, &'a Value)>,
    options: Options,
    out: &mut Vec<u8>,
) -> Result<()> {
    out.push(b'{');
    for (i, (name, schema, value)) in fields.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        json::write(&Value::Str(name.clone()), out)?;
        out.push(b':');
        encode(schema, value, options, out)?;
    }
    out.push(b'}');
    Ok(())
}
