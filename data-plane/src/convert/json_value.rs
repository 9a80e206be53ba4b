//! Values with a schema, from and to JSON, as Connect's `JsonConverter` has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use millrace_sdk::{ByteString, Decimal, Error, Result, Schema, Type, Value, json};

pub(super) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
const DATE: &str = "org.apache.kafka.connect.data.Date";
const TIME: &str = "org.apache.kafka.connect.data.Time";
const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// Reads a value of this schema; `at` names it in errors.
pub(super) fn decode(schema: &Schema, json: &Value, at: &str) -> Result<Value> {
    let json = json.open()?;
    if json == Value::Null {
        return match &schema.default {
            Some(default) => Ok(default.clone()),
            None if schema.optional => Ok(Value::Null),
            None => Err(Error::bad_record(format!("{at} is required by the schema but null or absent"))),
        };
    }
    if let Some(name) = &schema.name
        && let Some(value) = logical(name, schema, &json, at)?
    {
        return Ok(value);
    }
    match (schema.kind, json) {
        (Type::Boolean, Value::Bool(value)) => Ok(Value::Bool(value)),
        (kind @ (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64), Value::Int(value)) => integer(kind, value, at),
        (Type::Float32 | Type::Float64, Value::Float(value)) => Ok(Value::Float(value)),
        #[allow(clippy::cast_precision_loss)] // as Java's doubleValue
        (Type::Float32 | Type::Float64, Value::Int(value)) => Ok(Value::Float(value as f64)),
        (Type::String, text @ Value::Str(_)) => Ok(text),
        (Type::Bytes, Value::Str(text)) => base64(&text, at).map(Value::Bytes),
        (Type::Array, Value::List(items)) => {
            let element = part(schema.element.as_deref(), at)?;
            let items = items.iter().enumerate().map(|(i, item)| decode(element, item, &format!("{at}[{i}]")));
            Ok(Value::List(items.collect::<Result<_>>()?))
        }
        (Type::Map, Value::Map(fields)) => {
            let element = part(schema.element.as_deref(), at)?;
            let fields = fields.into_iter().map(|(key, value)| {
                let value = decode(element, &value, &format!("{at}.{key}"))?;
                Ok((key, value))
            });
            Ok(Value::Map(fields.collect::<Result<_>>()?))
        }
        // A map whose keys are not text comes as a list of pairs.
        (Type::Map, Value::List(pairs)) => {
            let (key, element) = (part(schema.key.as_deref(), at)?, part(schema.element.as_deref(), at)?);
            let pairs = pairs.iter().map(|pair| match pair.open()? {
                Value::List(pair) if pair.len() == 2 => {
                    Ok(Value::List(vec![decode(key, &pair[0], at)?, decode(element, &pair[1], at)?]))
                }
                _ => Err(Error::bad_record(format!("{at} must hold pairs of key and value"))),
            });
            Ok(Value::List(pairs.collect::<Result<_>>()?))
        }
        (Type::Struct, Value::Map(fields)) => {
            let decoded = schema.fields.iter().map(|field| {
                let value =
                    fields.iter().find(|(name, _)| *name == field.name).map_or(&Value::Null, |(_, value)| value);
                Ok((field.name.clone(), decode(&field.schema, value, &format!("{at}.{}", field.name))?))
            });
            Ok(Value::Map(decoded.collect::<Result<_>>()?))
        }
        (kind, other) => Err(mismatch(kind, &other, at)),
    }
}

fn mismatch(kind: Type, found: &Value, at: &str) -> Error {
    Error::bad_record(format!("{at} is {kind:?} by the schema, but {} was found", found.type_name()))
}

fn part<'a>(schema: Option<&'a Schema>, at: &str) -> Result<&'a Schema> {
    schema.ok_or_else(|| Error::bad_record(format!("the schema of {at} says nothing of its elements")))
}

fn integer(kind: Type, value: i64, at: &str) -> Result<Value> {
    let fits = match kind {
        Type::Int8 => i8::try_from(value).is_ok(),
        Type::Int16 => i16::try_from(value).is_ok(),
        Type::Int32 => i32::try_from(value).is_ok(),
        _ => true,
    };
    if fits { Ok(Value::Int(value)) } else { Err(Error::bad_record(format!("{at}: {value} does not fit {kind:?}"))) }
}

fn base64(text: &str, at: &str) -> Result<Bytes> {
    STANDARD
        .decode(text)
        .map(Bytes::from)
        .map_err(|error| Error::bad_record(format!("{at} is not base64 text")).because(error))
}

/// Values of logical types; None when `name` is no logical type of Connect.
fn logical(name: &str, schema: &Schema, json: &Value, at: &str) -> Result<Option<Value>> {
    let small = |value: i64| i32::try_from(value).map_err(|_| Error::bad_record(format!("{at}: {value} is too large")));
    Ok(Some(match (name, json) {
        (DATE, Value::Int(days)) => Value::Date(small(*days)?),
        (TIME, Value::Int(millis)) => Value::Time(small(*millis)?),
        (TIMESTAMP, Value::Int(millis)) => Value::Timestamp(*millis),
        (DECIMAL, Value::Str(text)) => {
            // Base64 first: that is Connect's default, and what does not decode is a number in text.
            let scale = scale(schema, at)?;
            Value::Decimal(Decimal { unscaled: base64(text, at)?, scale })
        }
        (DECIMAL, Value::Int(_) | Value::Float(_) | Value::Json(_)) => {
            let mut text = Vec::new();
            json::write(json, &mut text)?;
            Value::Decimal(decimal_of(&String::from_utf8_lossy(&text), scale(schema, at)?, at)?)
        }
        (DATE | TIME | TIMESTAMP | DECIMAL, other) => return Err(mismatch(schema.kind, other, at)),
        _ => return Ok(None),
    }))
}

fn scale(schema: &Schema, at: &str) -> Result<i32> {
    schema
        .parameters
        .iter()
        .find(|(name, _)| name == "scale")
        .and_then(|(_, value)| value.parse().ok())
        .ok_or_else(|| Error::bad_record(format!("the Decimal schema of {at} has no parameter \"scale\"")))
}

/// A number in text as a decimal of the given scale; digits beyond the scale must be zero.
fn decimal_of(text: &str, scale: i32, at: &str) -> Result<Decimal> {
    let bad = || Error::bad_record(format!("{at}: {text} is no decimal of scale {scale}"));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut unscaled: i128 = format!("{whole}{fraction}").parse().map_err(|_| bad())?;
    let digits_after = i32::try_from(fraction.len()).map_err(|_| bad())?;
    let mut shift = scale.checked_add(exponent).and_then(|sum| sum.checked_sub(digits_after)).ok_or_else(bad)?;
    while shift > 0 {
        unscaled = unscaled.checked_mul(10).ok_or_else(bad)?;
        shift -= 1;
    }
    while shift < 0 && unscaled != 0 {
        if unscaled % 10 != 0 {
            return Err(bad());
        }
        unscaled /= 10;
        shift += 1;
    }
    let bytes = unscaled.to_be_bytes();
    // The shortest two's complement, as Java's BigInteger.
    let negative = unscaled < 0;
    let redundant = |i: usize| {
        let (byte, next) = (bytes[i], bytes[i + 1]);
        if negative { byte == 0xff && next & 0x80 != 0 } else { byte == 0 && next & 0x80 == 0 }
    };
    let start = (0..15).find(|i| !redundant(*i)).unwrap_or(15);
    Ok(Decimal { unscaled: Bytes::copy_from_slice(&bytes[start..]), scale })
}

/// Writes a value; with `numeric_decimals` decimals become numbers instead of base64 text.
pub(super) fn encode(schema: Option<&Schema>, value: &Value, numeric_decimals: bool, out: &mut Vec<u8>) -> Result<()> {
    if numeric_decimals {
        let value = decimals_as_numbers(value)?;
        return json::write(&value, out);
    }
    let _ = schema; // what JSON says depends on the value alone
    json::write(value, out)
}

fn decimals_as_numbers(value: &Value) -> Result<Value> {
    Ok(match value {
        Value::Decimal(decimal) => Value::Json(decimal_text(decimal)?.into_bytes().into()),
        Value::List(items) => Value::List(items.iter().map(decimals_as_numbers).collect::<Result<_>>()?),
        Value::Map(fields) => {
            let fields = fields.iter().map(|(key, value)| Ok((ByteString::clone(key), decimals_as_numbers(value)?)));
            Value::Map(fields.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}

fn decimal_text(decimal: &Decimal) -> Result<String> {
    let bytes = &decimal.unscaled;
    if bytes.len() > 16 {
        return Err(Error::bad_record("a decimal of more than 38 digits cannot be written as a number"));
    }
    let fill = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1_i128 } else { 0 };
    let unscaled = bytes.iter().fold(fill, |number, byte| (number << 8) | i128::from(*byte));
    Ok(match usize::try_from(decimal.scale) {
        Ok(0) => unscaled.to_string(),
        Ok(scale) => {
            let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            format!("{}{whole}.{fraction}", if unscaled < 0 { "-" } else { "" })
        }
        Err(_) => format!("{unscaled}e{}", -i64::from(decimal.scale)),
    })
}
