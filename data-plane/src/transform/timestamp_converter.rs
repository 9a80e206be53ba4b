//! `TimestampConverter`: timestamps as text, Unix time, or Connect's Date, Time and Timestamp.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_sdk::{Config, Datum, Error, Field, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::invalid;
use super::data::{
    DATE, SchemaCache, Side, TIME, TIMESTAMP, basics, in_order, logical, plain, require_map, require_struct,
    require_struct_schema, take,
};
use super::java::calendar::DAY_MS;
use super::java::date_format::DateFormat;
use super::members::Members;
use super::plan::Draft;
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "converting timestamp formats";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Form {
    #[serde(rename = "string")]
    Text,
    #[serde(rename = "unix")]
    Unix,
    Date,
    Time,
    Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Precision {
    Nanoseconds,
    Microseconds,
    #[default]
    Milliseconds,
    Seconds,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// The field containing the timestamp, or empty if the entire value is a timestamp.
    #[serde(default)]
    field: String,
    /// The desired timestamp representation: string, unix, Date, Time, or Timestamp.
    #[serde(rename = "target.type")]
    target: Form,
    /// A SimpleDateFormat-compatible format for the timestamp. Used to generate the output when type=string or used to
    /// parse the input if the input is a string.
    #[serde(default)]
    format: String,
    /// The desired Unix precision for the timestamp. Used to generate the output when type=unix or used to parse the input
    /// if the input is a Long.
    #[serde(rename = "unix.precision", default)]
    precision: Precision,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct TimestampConverter {
    side: Side,
    field: Option<Text>,
    target: Form,
    format: Option<DateFormat>,
    precision: Precision,
    defaults: bool,
    schemas: SchemaCache<Updated>,
}

/// An updated schema, and place and form of the timestamp in the old one.
type Updated = (Arc<Schema>, Option<(usize, Form)>);

/// Two-digit years lie around now, as in Java.
pub(super) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(0)
}

impl Kind for TimestampConverter {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.TimestampConverter");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        let blank = options.format.trim().is_empty();
        if options.target == Form::Text && blank {
            let message = "TimestampConverter requires format option to be specified when using string timestamps";
            return Err(Problem::new("format", message));
        }
        let compile = || DateFormat::new(&options.format, now_ms());
        let format = if blank { None } else { Some(compile()) };
        let format = format.transpose().map_err(|why| {
            let why = format!("TimestampConverter requires a SimpleDateFormat-compatible pattern: {why}");
            invalid("format", &options.format, &why)
        })?;
        Ok(Self {
            side,
            field: if options.field.is_empty() { None } else { Some(Text::from(options.field)) },
            target: options.target,
            format,
            precision: options.precision,
            defaults: options.defaults,
            schemas: SchemaCache::default(),
        })
    }

    fn opens(&self) -> Option<Side> {
        self.field.as_ref().map(|_| self.side)
    }

    fn edits(&self) -> bool {
        self.field.is_some()
    }

    fn plan_edit(&mut self, draft: &mut Draft, _: &Record, _: &Site<'_>) -> Result<()> {
        self.field.as_ref().map_or(Ok(()), |name| draft.update(name, 0, |value| self.convert(value, None)))
    }

    fn edited_value(&mut self, _: usize, value: &mut Value, _: &Record, _: &Site<'_>) -> Result<()> {
        self.convert(value, None)
    }
}

/// The form of a timestamp by its schema.
fn form_of(schema: &Schema) -> Result<Form> {
    match (schema.name.as_deref(), schema.kind) {
        (Some(TIMESTAMP), _) => Ok(Form::Timestamp),
        (Some(DATE), _) => Ok(Form::Date),
        (Some(TIME), _) => Ok(Form::Time),
        (_, Type::String) => Ok(Form::Text),
        (_, Type::Int64) => Ok(Form::Unix),
        (_, kind) => {
            Err(Error::bad_record(format!("Schema {kind:?} does not correspond to a known timestamp type format")))
        }
    }
}

impl TimestampConverter {
    fn target_schema(&self, optional: bool) -> Arc<Schema> {
        match self.target {
            Form::Text => plain(Type::String, optional),
            Form::Unix => plain(Type::Int64, optional),
            Form::Date => logical(Type::Int32, DATE, optional),
            Form::Time => logical(Type::Int32, TIME, optional),
            Form::Timestamp => logical(Type::Int64, TIMESTAMP, optional),
        }
    }

    fn updated(&self, schema: &Schema) -> Result<Updated> {
        let Some(name) = &self.field else {
            return Ok((self.target_schema(schema.optional), Some((0, form_of(schema)?))));
        };
        require_struct_schema(schema, PURPOSE)?;
        let mut updated = basics(schema, Type::Struct);
        let mut form = None;
        for (place, field) in schema.fields.iter().enumerate() {
            updated.fields.push(if field.name == *name {
                form = Some((place, form_of(&field.schema)?));
                Field { name: field.name.clone(), schema: self.target_schema(field.schema.optional) }
            } else {
                field.clone()
            });
        }
        updated.optional = schema.optional;
        if let Some(default) = &schema.default {
            updated.default = Some(self.fields(schema, form, default.clone())?);
        }
        Ok((Arc::new(updated), form))
    }

    /// The struct with its field converted.
    fn fields(&self, schema: &Schema, form: Option<(usize, Form)>, value: Value) -> Result<Value> {
        if matches!(value, Value::Null) {
            return Ok(value);
        }
        let mut fields = in_order(schema, require_struct(schema, value, PURPOSE)?, self.defaults);
        if let Some((place, form)) = form {
            self.convert(&mut fields[place].1, Some(form))?;
        }
        Ok(Value::Map(fields))
    }

    fn with_schema(&mut self, schema: &Arc<Schema>, mut value: Value) -> Result<Datum> {
        let mut cache = std::mem::take(&mut self.schemas);
        let updated = cache.get(schema, |schema| self.updated(schema));
        self.schemas = cache;
        let (updated, form) = updated?;
        let value = match self.field {
            Some(_) => self.fields(schema, form, value)?,
            None => {
                self.convert(&mut value, form.map(|(_, form)| form))?;
                value
            }
        };
        Ok(Datum::Decoded { schema: Some(updated), value })
    }

    /// `form` is what the schema says; without one it follows from the value.
    fn convert(&self, value: &mut Value, form: Option<Form>) -> Result<()> {
        if matches!(value, Value::Json(_)) {
            *value = value.open()?;
        }
        if !matches!(value, Value::Null) {
            *value = self.target(self.millis(value, form)?)?;
        }
        Ok(())
    }

    fn millis(&self, value: &Value, form: Option<Form>) -> Result<i64> {
        match (value, form) {
            (Value::Timestamp(millis), _) => Ok(*millis),
            (Value::Date(days), _) => Ok(i64::from(*days) * DAY_MS),
            (Value::Time(millis), _) => Ok(i64::from(*millis)),
            (Value::Int(number), None | Some(Form::Unix)) => Ok(match self.precision {
                Precision::Seconds => number.saturating_mul(1000),
                Precision::Milliseconds => *number,
                Precision::Microseconds => number / 1000,
                Precision::Nanoseconds => number / 1_000_000,
            }),
            (Value::Str(text), None | Some(Form::Text)) => {
                let format = self.format.as_ref().ok_or_else(|| {
                    Error::bad_record(
                        "the timestamp is a string and the transform has no option \"format\" to read it by",
                    )
                })?;
                format.parse(text).ok_or_else(|| {
                    let pattern = format.pattern();
                    Error::bad_record(format!(
                        "Could not parse timestamp: value ({text}) does not match pattern ({pattern})"
                    ))
                })
            }
            (other, None) => Err(Error::bad_record(format!(
                "TimestampConverter does not support {} objects as timestamps",
                other.type_name()
            ))),
            (other, Some(form)) => Err(Error::bad_record(format!(
                "Expected a timestamp of the form {form:?}, but found {}",
                other.type_name()
            ))),
        }
    }

    fn target(&self, millis: i64) -> Result<Value> {
        Ok(match self.target {
            Form::Text => {
                let text = self.format.as_ref().map(|format| format.text(millis)).unwrap_or_default();
                Value::Str(Text::from(text))
            }
            Form::Unix => Value::Int(match self.precision {
                Precision::Seconds => millis / 1000,
                Precision::Milliseconds => millis,
                Precision::Microseconds => millis.saturating_mul(1000),
                Precision::Nanoseconds => millis.saturating_mul(1_000_000),
            }),
            Form::Date => {
                let days = i32::try_from(millis.div_euclid(DAY_MS));
                Value::Date(days.map_err(|_| Error::bad_record(format!("{millis} is no date: it is too large")))?)
            }
            // A day has fewer milliseconds than 31 bits hold.
            Form::Time => Value::Time(i32::try_from(millis.rem_euclid(DAY_MS)).unwrap_or(0)),
            Form::Timestamp => Value::Timestamp(millis),
        })
    }
}

impl PerRecord for TimestampConverter {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let (schema, mut value) = take(self.side.datum_mut(record));
        let datum = match (schema, &self.field) {
            (Some(schema), _) => self.with_schema(&schema, value)?,
            (None, Some(name)) if !matches!(value, Value::Null) => {
                let mut fields = require_map(value, PURPOSE)?;
                fields.update(name, 0, |value| self.convert(value, None))?;
                Datum::schemaless(Value::Map(fields))
            }
            (None, _) => {
                self.convert(&mut value, None)?;
                if matches!(value, Value::Null) { Datum::Null } else { Datum::schemaless(value) }
            }
        };
        *self.side.datum_mut(record) = datum;
        Ok(Verdict::Keep)
    }
}
