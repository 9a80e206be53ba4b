//! `Cast`: fields, or the whole key or value, as another primitive type.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_sdk::{Config, Datum, Error, Field, Problem, Record, Result, Schema, Text, Type, Value, java};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::invalid;
use super::data::{SchemaCache, Side, basics, in_order, require_map, require_struct, take};
use super::java::calendar::DAY_MS;
use super::java::date_format::DateFormat;
use super::java::number::{
    decimal_double, decimal_long, decimal_text, low_bits, narrow, narrow_double, parse_double, parse_integer, to_float,
};
use super::members::Members;
use super::plan::Draft;
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "cast types";
const OUTPUTS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING]";
const INPUTS: &str = "[INT8, INT16, INT32, INT64, FLOAT32, FLOAT64, BOOLEAN, STRING, BYTES]";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// List of fields and the type to cast them to of the form `field1:type,field2:type` to cast fields of Maps or Structs.
    /// A single type to cast the entire value. Valid types are int8, int16, int32, int64, float32, float64, boolean, and
    /// string. Note that binary fields can only be cast to string.
    spec: Vec<String>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct Cast {
    side: Side,
    whole: Option<Type>,
    casts: Vec<(Text, Type)>,
    defaults: bool,
    schemas: SchemaCache<Updated>,
    /// For texts until their length is known
    scratch: String,
}

/// An updated schema, and the places of the fields that are cast, each with its new type.
type Updated = (Arc<Schema>, Arc<[(usize, Type)]>);

fn output(name: &str) -> Result<Type, String> {
    Ok(match name.to_ascii_uppercase().as_str() {
        "INT8" => Type::Int8,
        "INT16" => Type::Int16,
        "INT32" => Type::Int32,
        "INT64" => Type::Int64,
        "FLOAT32" => Type::Float32,
        "FLOAT64" => Type::Float64,
        "BOOLEAN" => Type::Boolean,
        "STRING" => Type::String,
        other @ ("BYTES" | "ARRAY" | "MAP" | "STRUCT") => {
            return Err(format!(
                "Cast transformation does not support casting to {other}; supported types are {OUTPUTS}"
            ));
        }
        _ => return Err(format!("Invalid type found in casting spec: {name}; supported types are {OUTPUTS}")),
    })
}

impl Kind for Cast {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.Cast");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let all = format!("[{}]", options.spec.join(", "));
        let wrong = |why: &str| invalid("spec", &all, why);
        if options.spec.is_empty() {
            return Err(wrong("Must specify at least one field to cast."));
        }
        let mut casts: Vec<(Text, Type)> = Vec::new();
        let mut whole = None;
        for mapping in &options.spec {
            let parts: Vec<&str> = mapping.split(':').map(str::trim).collect();
            match parts[..] {
                [kind] => whole = Some(output(kind).map_err(|why| wrong(&why))?),
                [name, kind] => {
                    let kind = output(kind).map_err(|why| wrong(&why))?;
                    match casts.iter_mut().find(|(known, _)| **known == *name) {
                        Some((_, known)) => *known = kind,
                        None => casts.push((Text::from(name), kind)),
                    }
                }
                _ => return Err(wrong(&format!("Invalid cast mapping: {mapping}"))),
            }
        }
        if whole.is_some() && options.spec.len() > 1 {
            return Err(wrong(
                "Cast transformations that specify a type to cast the entire value to may only specify a single cast in \
                 their spec",
            ));
        }
        Ok(Self {
            side,
            whole,
            casts,
            defaults: options.defaults,
            schemas: SchemaCache::default(),
            scratch: String::new(),
        })
    }

    fn opens(&self) -> Option<Side> {
        self.whole.is_none().then_some(self.side)
    }

    fn edits(&self) -> bool {
        self.whole.is_none()
    }

    fn plan_edit(&mut self, draft: &mut Draft, _: &Record, _: &Site<'_>) -> Result<()> {
        self.change(draft)
    }

    fn edited_value(&mut self, number: usize, value: &mut Value, _: &Record, _: &Site<'_>) -> Result<()> {
        let (name, kind) = &self.casts[number];
        cast(None, value, *kind, &mut self.scratch).map_err(|error| at(name, &error))
    }
}

impl Cast {
    fn updated(&self, schema: &Schema) -> Result<Updated> {
        let mut targets = Vec::new();
        let mut updated = match self.whole {
            Some(kind) => basics(schema, kind),
            None => {
                // A value that is no struct is refused with its own message afterwards.
                let mut updated = basics(schema, Type::Struct);
                for (place, field) in schema.fields.iter().enumerate() {
                    let target = self.casts.iter().find(|(name, _)| *name == field.name).map(|(_, kind)| *kind);
                    targets.extend(target.map(|kind| (place, kind)));
                    updated.fields.push(match target {
                        Some(kind) => Field { name: field.name.clone(), schema: cast_schema(&field.schema, kind)? },
                        None => field.clone(),
                    });
                }
                updated
            }
        };
        updated.optional = schema.optional;
        if let Some(default) = &schema.default {
            let mut default = default.clone();
            cast(Some(schema), &mut default, updated.kind, &mut String::new())?;
            updated.default = Some(default);
        }
        Ok((Arc::new(updated), targets.into()))
    }

    fn with_schema(&mut self, schema: &Arc<Schema>, mut value: Value) -> Result<Datum> {
        let mut cache = std::mem::take(&mut self.schemas);
        let updated = cache.get(schema, |schema| self.updated(schema));
        self.schemas = cache;
        let (updated, targets) = updated?;
        let value = match self.whole {
            Some(kind) => {
                cast(Some(schema), &mut value, kind, &mut self.scratch)?;
                value
            }
            None => {
                let mut fields = in_order(schema, require_struct(schema, value, PURPOSE)?, self.defaults);
                for (place, kind) in targets.iter() {
                    let (name, value) = &mut fields[*place];
                    let schema = &schema.fields[*place].schema;
                    cast(Some(schema), value, *kind, &mut self.scratch).map_err(|error| at(name, &error))?;
                }
                Value::Map(fields)
            }
        };
        Ok(Datum::Decoded { schema: Some(updated), value })
    }

    fn change(&mut self, members: &mut impl Members) -> Result<()> {
        for (number, (name, kind)) in self.casts.iter().enumerate() {
            let cast =
                |value: &mut Value| cast(None, value, *kind, &mut self.scratch).map_err(|error| at(name, &error));
            members.update(name, number, cast)?;
        }
        Ok(())
    }
}

impl PerRecord for Cast {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        if self.side.datum(record).is_null() {
            return Ok(Verdict::Keep);
        }
        let (schema, mut value) = take(self.side.datum_mut(record));
        let datum = match (schema, self.whole) {
            (Some(schema), _) => self.with_schema(&schema, value)?,
            (None, Some(kind)) => {
                cast(None, &mut value, kind, &mut self.scratch)?;
                Datum::schemaless(value)
            }
            (None, None) => {
                let mut fields = require_map(value, PURPOSE)?;
                self.change(&mut fields)?;
                Datum::schemaless(Value::Map(fields))
            }
        };
        *self.side.datum_mut(record) = datum;
        Ok(Verdict::Keep)
    }
}

fn at(field: &str, error: &Error) -> Error {
    Error::bad_record(format!("field {field}: {error}"))
}

fn cast_schema(schema: &Schema, kind: Type) -> Result<Arc<Schema>> {
    let mut default = schema.default.clone();
    if let Some(default) = &mut default {
        cast(Some(schema), default, kind, &mut String::new())?;
    }
    Ok(Arc::new(Schema { optional: schema.optional, default, ..Schema::of(kind) }))
}

/// Gives a value another type; `scratch` is for texts. Without a schema Connect knows no dates and no decimals.
fn cast(schema: Option<&Schema>, value: &mut Value, to: Type, scratch: &mut String) -> Result<()> {
    if matches!(value, Value::Json(_)) {
        *value = value.open()?;
    }
    let refused = |what: &str| {
        Err(Error::bad_record(format!(
            "Cast transformation does not support casting from {what}; supported types are {INPUTS}"
        )))
    };
    match value {
        Value::Null => return Ok(()),
        Value::List(_) => return refused("ARRAY"),
        Value::Map(_) if schema.is_some_and(|schema| schema.kind == Type::Struct) => return refused("STRUCT"),
        Value::Map(_) => return refused("MAP"),
        Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::Decimal(_) if schema.is_none() => {
            return Err(Error::bad_record(format!(
                "Cast transformation was passed a value of type {} which is not supported without a schema",
                value.type_name()
            )));
        }
        _ => {}
    }
    match to {
        Type::String => {
            let text = string(schema, std::mem::replace(value, Value::Null), scratch)?;
            *value = Value::Str(text);
        }
        Type::Boolean => *value = Value::Bool(boolean(value)?),
        Type::Float32 => *value = Value::Float(to_float(float(value)?, schema.is_some())),
        Type::Float64 => *value = Value::Float(float(value)?),
        Type::Int8 => *value = Value::Int(integer(value, 8)?),
        Type::Int16 => *value = Value::Int(integer(value, 16)?),
        Type::Int32 => *value = Value::Int(integer(value, 32)?),
        _ => *value = Value::Int(integer(value, 64)?),
    }
    Ok(())
}

fn unexpected(value: &Value) -> Error {
    Error::bad_record(format!("Unexpected type in Cast transformation: {}", value.type_name()))
}

fn out_of_range(value: &str) -> Error {
    Error::bad_record(format!("Value ({value}) was out of range for requested data type"))
}

/// A number that fits no other type, as text.
fn digits(value: &Value) -> Option<&str> {
    match value {
        Value::Json(bytes) => std::str::from_utf8(bytes).ok().map(str::trim),
        _ => None,
    }
}

fn integer(value: &Value, bits: u32) -> Result<i64> {
    Ok(match value {
        Value::Int(number) | Value::Timestamp(number) => narrow(*number, bits),
        Value::Date(number) | Value::Time(number) => narrow(i64::from(*number), bits),
        Value::Float(number) => narrow_double(*number, bits),
        Value::Bool(flag) => i64::from(*flag),
        Value::Decimal(decimal) => narrow(decimal_long(decimal), bits),
        Value::Str(text) => parse_integer(text, bits).ok_or_else(|| out_of_range(text))?,
        Value::Json(_) => {
            let digits = digits(value).unwrap_or_default();
            match low_bits(digits) {
                Some(low) => narrow(low, bits),
                None => narrow_double(parse_double(digits).ok_or_else(|| unexpected(value))?, bits),
            }
        }
        _ => return Err(unexpected(value)),
    })
}

#[allow(clippy::cast_precision_loss)] // as Java's doubleValue
fn float(value: &Value) -> Result<f64> {
    Ok(match value {
        Value::Int(number) | Value::Timestamp(number) => *number as f64,
        Value::Date(number) | Value::Time(number) => f64::from(*number),
        Value::Float(number) => *number,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Decimal(decimal) => decimal_double(decimal),
        Value::Str(text) => parse_double(text).ok_or_else(|| out_of_range(text))?,
        Value::Json(_) => digits(value).and_then(parse_double).ok_or_else(|| unexpected(value))?,
        _ => return Err(unexpected(value)),
    })
}

fn boolean(value: &Value) -> Result<bool> {
    Ok(match value {
        Value::Bool(flag) => *flag,
        Value::Str(text) => text.eq_ignore_ascii_case("true"),
        other => integer(other, 64)? != 0,
    })
}

fn string(schema: Option<&Schema>, value: Value, scratch: &mut String) -> Result<Text> {
    scratch.clear();
    match value {
        Value::Str(text) => return Ok(text),
        Value::Bool(flag) => return Ok(Text::from_static(if flag { "true" } else { "false" })),
        Value::Float(number) if schema.is_some_and(|schema| schema.kind == Type::Float32) => {
            java::float_text(number, scratch);
        }
        Value::Float(number) => java::double_text(number, scratch),
        Value::Int(number) => return Ok(Text::from(number.to_string())),
        Value::Decimal(decimal) => return Ok(Text::from(decimal_text(&decimal))),
        Value::Bytes(bytes) => STANDARD.encode_string(&bytes, scratch),
        Value::Date(days) => return date_text(i64::from(days) * DAY_MS),
        Value::Time(millis) => return date_text(i64::from(millis)),
        Value::Timestamp(millis) => return date_text(millis),
        Value::Json(_) => scratch.push_str(digits(&value).unwrap_or_default()),
        _ => return Err(unexpected(&value)),
    }
    Ok(Text::from(scratch.as_str()))
}

/// As Connect's `Values` writes a `java.util.Date`: the first day of the epoch and what lies before it as a time of day,
/// midnights as a date.
fn date_text(millis: i64) -> Result<Text> {
    let pattern = if millis < DAY_MS {
        "HH:mm:ss.SSS'Z'"
    } else if millis % DAY_MS == 0 {
        "yyyy-MM-dd"
    } else {
        "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"
    };
    Ok(Text::from(DateFormat::new(pattern, 0).map_err(Error::internal)?.text(millis)))
}
