//! `MaskField`: fields as the empty value of their type, or as a fixed one.

use millrace_sdk::{Config, Datum, Decimal, Error, Problem, Record, Result, Schema, Text, Type, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use super::config::{empty_list, non_empty};
use super::data::{Fields, Side, require_map, require_struct, take, take_field};
use super::java::number::{decimal, decimal_double, decimal_long, low_bits, narrow, parse_decimal, to_float};
use super::members::Members;
use super::plan::Draft;
use super::{Kind, PerRecord, Site, Verdict, sided};

const PURPOSE: &str = "mask fields";

#[derive(Deserialize, JsonSchema)]
pub(super) struct Options {
    /// Names of fields to mask.
    fields: Vec<String>,
    /// Custom value replacement, that will be applied to all `fields` values (numeric or non-empty string values only).
    #[serde(default)]
    replacement: Option<String>,
    /// Whether to replace fields that have a default value and that are null to the default value.
    #[serde(rename = "replace.null.with.default", default = "yes")]
    defaults: bool,
}
impl Config for Options {}

fn yes() -> bool {
    true
}

pub(super) struct MaskField {
    side: Side,
    fields: Vec<Text>,
    replacement: Option<Replacement>,
    defaults: bool,
}

/// The replacement as text and as a number, when it is one.
struct Replacement {
    text: Text,
    number: Option<Decimal>,
}

impl Kind for MaskField {
    type Options = Options;
    const CLASSES: &'static [&'static str] = sided!("org.apache.kafka.connect.transforms.MaskField");

    fn make(options: Options, side: Side) -> Result<Self, Problem> {
        if options.fields.is_empty() {
            return Err(empty_list("fields"));
        }
        if options.replacement.as_deref() == Some("") {
            return Err(non_empty("replacement"));
        }
        let replacement = options.replacement.map(|text| Replacement {
            number: parse_decimal(&text).map(|(negative, digits, scale)| decimal(negative, &digits, scale)),
            text: Text::from(text),
        });
        let fields = options.fields.into_iter().map(Text::from).collect();
        Ok(Self { side, fields, replacement, defaults: options.defaults })
    }

    fn opens(&self) -> Option<Side> {
        Some(self.side)
    }

    fn edits(&self) -> bool {
        true
    }

    fn plan_edit(&mut self, draft: &mut Draft, _: &Record, _: &Site<'_>) -> Result<()> {
        self.change(draft)
    }

    fn edited_value(&mut self, _: usize, value: &mut Value, _: &Record, _: &Site<'_>) -> Result<()> {
        self.mask(None, value)
    }
}

impl MaskField {
    fn change(&self, members: &mut impl Members) -> Result<()> {
        self.fields.iter().try_for_each(|name| members.update(name, 0, |value| self.mask(None, value)))
    }

    fn mask(&self, schema: Option<&Schema>, value: &mut Value) -> Result<()> {
        if !matches!(value, Value::Null) {
            *value = match &self.replacement {
                None => empty(schema, value)?,
                Some(replacement) => replacement.value(schema, value)?,
            };
        }
        Ok(())
    }
}

/// The empty value of the same type.
fn empty(schema: Option<&Schema>, value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Bool(_) => Value::Bool(false),
        Value::Int(_) => Value::Int(0),
        Value::Float(_) => Value::Float(0.0),
        Value::Decimal(number) => Value::Decimal(decimal(false, "0", number.scale)),
        Value::Str(_) => Value::Str(Text::new()),
        Value::Date(_) => Value::Date(0),
        Value::Time(_) => Value::Time(0),
        Value::Timestamp(_) => Value::Timestamp(0),
        Value::List(_) => Value::List(Vec::new()),
        Value::Map(_) if schema.is_none_or(|schema| schema.kind != Type::Struct) => Value::Map(Vec::new()),
        Value::Json(bytes) => match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{') => Value::Map(Vec::new()),
            Some(b'[') => Value::List(Vec::new()),
            _ => Value::Int(0),
        },
        other => return Err(Error::bad_record(format!("Cannot mask value of type: {}", named(schema, other)))),
    })
}

fn named(schema: Option<&Schema>, value: &Value) -> &'static str {
    if schema.is_some_and(|schema| schema.kind == Type::Struct) { "a struct" } else { value.type_name() }
}

impl Replacement {
    fn number(&self) -> Result<&Decimal> {
        self.number.as_ref().ok_or_else(|| Error::bad_record(format!("Unable to convert {} to a number", self.text)))
    }

    fn value(&self, schema: Option<&Schema>, value: &Value) -> Result<Value> {
        let bits = match schema.map(|schema| schema.kind) {
            Some(Type::Int8) => 8,
            Some(Type::Int16) => 16,
            Some(Type::Int32) => 32,
            _ => 64,
        };
        Ok(match value {
            Value::Str(_) => Value::Str(self.text.clone()),
            Value::Int(_) => Value::Int(narrow(decimal_long(self.number()?), bits)),
            Value::Float(_) if schema.is_some_and(|schema| schema.kind == Type::Float32) => {
                Value::Float(to_float(decimal_double(self.number()?), true))
            }
            Value::Float(_) => Value::Float(decimal_double(self.number()?)),
            Value::Decimal(_) => Value::Decimal(self.number()?.clone()),
            Value::Json(bytes) if !matches!(bytes.first(), Some(b'{' | b'[')) => {
                // A number beyond 64 bits is a BigInteger, which takes whole numbers only.
                self.number()?;
                if low_bits(&self.text).is_none() {
                    return Err(Error::bad_record(format!("Unable to convert {} to number", self.text)));
                }
                Value::Json(self.text.to_bytes())
            }
            other => {
                let what = named(schema, other);
                return Err(Error::bad_record(format!("Cannot mask value of type {what} with custom replacement.")));
            }
        })
    }
}

impl PerRecord for MaskField {
    fn apply(&mut self, record: &mut Record, _: &Site<'_>) -> Result<Verdict> {
        let datum = self.side.datum_mut(record);
        let (schema, value) = take(datum);
        let fields = match &schema {
            None => {
                let mut fields = require_map(value, PURPOSE)?;
                self.change(&mut fields)?;
                fields
            }
            Some(schema) => {
                let mut old = require_struct(schema, value, PURPOSE)?;
                let mut fields: Fields = Vec::with_capacity(schema.fields.len());
                for (guess, field) in schema.fields.iter().enumerate() {
                    let mut value = take_field(&mut old, field, guess, self.defaults);
                    if self.fields.contains(&field.name) {
                        self.mask(Some(&field.schema), &mut value)?;
                    }
                    fields.push((field.name.clone(), value));
                }
                fields
            }
        };
        *datum = Datum::Decoded { schema, value: Value::Map(fields) };
        Ok(Verdict::Keep)
    }
}
