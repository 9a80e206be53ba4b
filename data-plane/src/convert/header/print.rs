//! Header values as Connect writes them: numbers as in Java, bytes in base64, dates in ISO form, lists and maps much like JSON.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_sdk::{Datum, Result, Schema, Type, Value, java, json};

const DAY_MS: i64 = 86_400_000;

/// Appends a value; text within lists and maps is quoted.
pub(super) fn append(value: &Value, schema: Option<&Schema>, embedded: bool, out: &mut String) -> Result<()> {
    match value {
        Value::Str(text) if embedded => quoted(text, out),
        Value::Bytes(bytes) if embedded => quoted(&STANDARD.encode(bytes), out),
        Value::Bytes(bytes) => out.push_str(&STANDARD.encode(bytes)),
        Value::Date(days) => date(i64::from(*days) * DAY_MS, out),
        Value::Time(millis) => date(i64::from(*millis), out),
        Value::Timestamp(millis) => date(*millis, out),
        Value::List(items) => list(items, schema, out)?,
        Value::Map(fields) => {
            out.push('{');
            for (index, (name, value)) in fields.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                quoted(name, out);
                out.push(':');
                append(value, member(schema, name), true, out)?;
            }
            out.push('}');
        }
        Value::Json(raw) => match json::parse_deep(raw)? {
            Value::Json(number) => out.push_str(&String::from_utf8_lossy(&number)),
            opened => append(&opened, None, embedded, out)?,
        },
        scalar => {
            let kind = schema.filter(|schema| schema.kind == Type::Float32).map(|_| Schema::of(Type::Float32).into());
            java::print(&Datum::Decoded { schema: kind, value: scalar.clone() }, out)?;
        }
    }
    Ok(())
}

fn member<'a>(schema: Option<&'a Schema>, name: &str) -> Option<&'a Schema> {
    let schema = schema?;
    match schema.kind {
        Type::Struct => schema.fields.iter().find(|field| field.name == name).map(|field| &*field.schema),
        _ => schema.element.as_deref(),
    }
}

/// A list, or a map whose keys are no text, which comes as a list of pairs.
fn list(items: &[Value], schema: Option<&Schema>, out: &mut String) -> Result<()> {
    let is_map = schema.is_some_and(|schema| schema.kind == Type::Map);
    out.push(if is_map { '{' } else { '[' });
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { "," } else { "" });
        let element = schema.and_then(|schema| schema.element.as_deref());
        match item {
            Value::List(pair) if is_map && pair.len() == 2 => {
                append(&pair[0], schema.and_then(|schema| schema.key.as_deref()), true, out)?;
                out.push(':');
                append(&pair[1], element, true, out)?;
            }
            item => append(item, element, true, out)?,
        }
    }
    out.push(if is_map { '}' } else { ']' });
    Ok(())
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
    out.push('"');
}

/// In UTC, where Java takes the worker's time zone. What lies before 1970-01-02 is written as a time.
fn date(millis: i64, out: &mut String) {
    let (days, in_day) = (millis.div_euclid(DAY_MS), millis.rem_euclid(DAY_MS));
    // Writing into a String cannot fail.
    let _ = if millis < DAY_MS {
        Ok(())
    } else {
        let (year, month, day) = java::calendar::civil(days);
        write!(out, "{year:04}-{month:02}-{day:02}{}", if in_day == 0 { "" } else { "T" })
    };
    if millis < DAY_MS || in_day != 0 {
        let (seconds, millis) = (in_day / 1000, in_day % 1000);
        let _ = write!(out, "{:02}:{:02}:{:02}.{millis:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
}
