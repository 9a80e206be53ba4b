//! The capture sink: each record as the connector receives it, with schemas, headers and origin, is a line of JSON in which
//! nothing is lost. Integers and text are JSON's; what JSON has no form for is a map with one entry that names its kind:
//! `{"float":"3ff0000000000000"}` (its bits), `bytes` (in hex), `decimal` (`-125e-2`), `date` (milliseconds since 1970),
//! `number` (a JSON number that fits no type), `struct` and `map` (lists of pairs, in order).

use std::fmt::Write as _;

use millrace_sdk::{
    Batch, Datum, Findings, Record, RecordFailure, Result, Schema, SinkConnector, SinkTask, TaskContext, Text,
    TimestampKind, Type, Value, WriteReport, async_trait, json,
};

use crate::CaptureConfig;
use crate::output::Output;

const DAY_MS: i64 = 86_400_000;

/// Writes down all of each record.
#[derive(Debug, Default, Clone, Copy)]
pub struct Capture;

/// The running task.
#[derive(Debug)]
pub struct CaptureSink {
    output: Output,
}

#[async_trait]
impl SinkConnector for Capture {
    const NAME: &'static str = "capture-sink";
    const ALIASES: &'static [&'static str] = &[];
    const DESCRIPTION: &'static str = "Appends each record with schemas and headers as a line of JSON to a file: what converters and transforms made of it.";
    type Config = CaptureConfig;
    type Task = CaptureSink;

    async fn check(&self, config: &CaptureConfig, _: &TaskContext) -> Result<Findings> {
        Ok(Output::check(&config.file))
    }

    async fn open(&self, config: CaptureConfig, _: TaskContext) -> Result<CaptureSink> {
        Ok(CaptureSink { output: Output::open(config.file)? })
    }
}

#[async_trait]
impl SinkTask for CaptureSink {
    async fn write(&self, batch: &Batch) -> Result<WriteReport> {
        let mut report = WriteReport::all_durable();
        let mut lines = self.output.buffer();
        for (index, record) in batch.records.iter().enumerate() {
            let before = lines.len();
            match line(batch, record, &mut lines) {
                Ok(()) => lines.push(b'\n'),
                Err(error) => {
                    lines.truncate(before);
                    report.failures.push(RecordFailure { index, error });
                }
            }
        }
        self.output.append(lines).await?;
        Ok(report)
    }

    /// After the last line, so that a reader knows that none follows.
    async fn close(&self) -> Result<()> {
        self.output.append(b"{\"closed\":true}\n".to_vec()).await
    }
}

fn line(batch: &Batch, record: &Record, out: &mut Vec<u8>) -> Result<()> {
    put(out, "{\"topic\":");
    text(batch.topic(record), out)?;
    put(out, ",\"origin\":[");
    text(&batch.origin.topic, out)?;
    put(out, &format!(",{},{}]", batch.origin.partition, record.offset));
    put(out, ",\"timestamp\":");
    put(out, &record.timestamp_ms.map_or_else(|| "null".to_owned(), |millis| millis.to_string()));
    let kind = match record.timestamp_kind {
        TimestampKind::None => "NoTimestampType",
        TimestampKind::CreateTime => "CreateTime",
        TimestampKind::LogAppendTime => "LogAppendTime",
    };
    put(out, &format!(",\"timestampType\":\"{kind}\",\"key\":"));
    datum(&record.key, out)?;
    put(out, ",\"value\":");
    datum(&record.value, out)?;
    put(out, ",\"headers\":");
    list(&record.headers, out, |header, out| {
        put(out, "[");
        text(&header.key, out)?;
        put(out, ",");
        datum(&header.value, out)?;
        put(out, "]");
        Ok(())
    })?;
    put(out, "}");
    Ok(())
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    json::write(&Value::Str(Text::from(text)), out)
}

/// `[a,b]`, and before it nothing.
fn list<T>(items: &[T], out: &mut Vec<u8>, mut one: impl FnMut(&T, &mut Vec<u8>) -> Result<()>) -> Result<()> {
    put(out, "[");
    for (index, item) in items.iter().enumerate() {
        put(out, if index > 0 { "," } else { "" });
        one(item, out)?;
    }
    put(out, "]");
    Ok(())
}

fn datum(datum: &Datum, out: &mut Vec<u8>) -> Result<()> {
    let (schema, value) = match datum {
        Datum::Decoded { schema, value } => (schema.as_deref(), value.clone()),
        other => (None, other.value()),
    };
    put(out, "{\"schema\":");
    optional_schema(schema, out)?;
    put(out, ",\"value\":");
    write(&value, schema, out)?;
    put(out, "}");
    Ok(())
}

fn optional_schema(of: Option<&Schema>, out: &mut Vec<u8>) -> Result<()> {
    let Some(of) = of else {
        put(out, "null");
        return Ok(());
    };
    let kind = format!("{:?}", of.kind).to_uppercase();
    put(out, &format!("{{\"type\":\"{kind}\",\"optional\":{}", of.optional));
    for (name, value) in [("name", &of.name), ("doc", &of.doc)] {
        if let Some(value) = value {
            put(out, &format!(",\"{name}\":"));
            text(value, out)?;
        }
    }
    if let Some(version) = of.version {
        put(out, &format!(",\"version\":{version}"));
    }
    if let Some(default) = &of.default {
        put(out, ",\"default\":");
        write(default, Some(of), out)?;
    }
    if !of.parameters.is_empty() {
        let parameters = of.parameters.iter().map(|(name, value)| (name.clone(), Value::Str(value.clone())));
        put(out, ",\"parameters\":");
        write(&Value::Map(parameters.collect()), None, out)?;
    }
    match of.kind {
        Type::Struct => {
            put(out, ",\"fields\":");
            list(&of.fields, out, |field, out| {
                put(out, "[");
                text(&field.name, out)?;
                put(out, ",");
                optional_schema(Some(&field.schema), out)?;
                put(out, "]");
                Ok(())
            })?;
        }
        Type::Map => {
            put(out, ",\"keys\":");
            optional_schema(of.key.as_deref(), out)?;
            put(out, ",\"values\":");
            optional_schema(of.element.as_deref(), out)?;
        }
        Type::Array => {
            put(out, ",\"values\":");
            optional_schema(of.element.as_deref(), out)?;
        }
        _ => {}
    }
    put(out, "}");
    Ok(())
}

fn tagged(kind: &str, content: &str, out: &mut Vec<u8>) -> Result<()> {
    put(out, &format!("{{\"{kind}\":"));
    text(content, out)?;
    put(out, "}");
    Ok(())
}

fn write(value: &Value, schema: Option<&Schema>, out: &mut Vec<u8>) -> Result<()> {
    let element = schema.and_then(|schema| schema.element.as_deref());
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Str(_) => json::write(value, out),
        Value::Float(float) => {
            let float = if float.is_nan() { f64::NAN } else { *float };
            tagged("float", &format!("{:x}", float.to_bits()), out)
        }
        Value::Decimal(decimal) => {
            let sign = if decimal.is_negative() { "-" } else { "" };
            tagged("decimal", &format!("{sign}{}e{}", decimal.digits()?, -i64::from(decimal.scale)), out)
        }
        Value::Bytes(bytes) => tagged("bytes", &hex(bytes), out),
        Value::Date(days) => tagged("date", &(i64::from(*days) * DAY_MS).to_string(), out),
        Value::Time(millis) => tagged("date", &millis.to_string(), out),
        Value::Timestamp(millis) => tagged("date", &millis.to_string(), out),
        // A map whose keys are no text is a list of pairs.
        Value::List(items) if schema.is_some_and(|schema| schema.kind == Type::Map) => {
            let key = schema.and_then(|schema| schema.key.as_deref());
            put(out, "{\"map\":");
            list(items, out, |item, out| match item {
                Value::List(pair) => {
                    let mut side = [key, element].into_iter();
                    list(pair, out, |one, out| write(one, side.next().flatten(), out))
                }
                other => write(other, None, out),
            })?;
            put(out, "}");
            Ok(())
        }
        Value::List(items) => list(items, out, |item, out| write(item, element, out)),
        Value::Map(fields) => match schema.filter(|schema| schema.kind == Type::Struct) {
            Some(schema) => fields_of(schema, fields, out),
            None => {
                put(out, "{\"map\":");
                list(fields, out, |(name, value), out| pair(name, value, element, out))?;
                put(out, "}");
                Ok(())
            }
        },
        Value::Json(raw) => match value.open()? {
            Value::Json(_) => tagged("number", &String::from_utf8_lossy(raw), out),
            opened => write(&opened, None, out),
        },
    }
}

/// All fields of the schema, in its order; null where the record has none.
fn fields_of(schema: &Schema, fields: &[(Text, Value)], out: &mut Vec<u8>) -> Result<()> {
    put(out, "{\"struct\":");
    list(&schema.fields, out, |field, out| {
        let value = fields.iter().find(|(name, _)| *name == field.name).map_or(&Value::Null, |(_, value)| value);
        pair(&field.name, value, Some(&field.schema), out)
    })?;
    put(out, "}");
    Ok(())
}

fn pair(name: &Text, value: &Value, schema: Option<&Schema>, out: &mut Vec<u8>) -> Result<()> {
    put(out, "[");
    text(name, out)?;
    put(out, ",");
    write(value, schema, out)?;
    put(out, "]");
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests;
