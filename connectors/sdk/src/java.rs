//! A value as Java's `toString` writes it, which is what Connect's `StringConverter` and its file sink write: `{a=1, b=x}` for a map, `Struct{a=1,b=x}`
//! for a struct, `[1, 2]` for a list. Two things differ: bytes are written as text (Java writes their address), and a map
//! keeps its order (Java's `HashMap` has none).

pub mod calendar;

use bytes::Bytes;

use crate::json::{self, Fault, Number, Scanner};
use crate::{Datum, Result, Schema, Text, Type, Value};

/// Appends what Java would print.
///
/// # Errors
/// `BadRecord` for bytes that claim to be JSON and are not, and for decimals beyond ten thousand digits.
pub fn print(datum: &Datum, out: &mut String) -> Result<()> {
    match datum {
        Datum::Null => out.push_str("null"),
        Datum::Encoded(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Datum::Decoded { schema, value } => value_text(value, schema.as_deref(), out)?,
    }
    Ok(())
}

fn value_text(value: &Value, schema: Option<&Schema>, out: &mut String) -> Result<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => int_text(*number, out),
        Value::Float(number) if schema.is_some_and(|schema| schema.kind == Type::Float32) => {
            float_text(*number, out);
        }
        Value::Float(number) => double_text(*number, out),
        Value::Decimal(decimal) => out.push_str(&decimal.text()?),
        Value::Str(text) => out.push_str(text),
        Value::Bytes(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
        Value::Date(days) => out.push_str(&date_text(i64::from(*days) * 86_400_000)),
        Value::Time(millis) => out.push_str(&date_text(i64::from(*millis))),
        Value::Timestamp(millis) => out.push_str(&date_text(*millis)),
        Value::List(pairs) if schema.is_some_and(|schema| schema.kind == Type::Map) => pairs_text(pairs, schema, out)?,
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                value_text(item, schema.and_then(|schema| schema.element.as_deref()), out)?;
            }
            out.push(']');
        }
        Value::Map(fields) => match schema.filter(|schema| schema.kind == Type::Struct && !schema.is_recursive()) {
            Some(schema) => struct_text(fields, schema, out)?,
            None => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    out.push_str(name);
                    out.push('=');
                    value_text(value, schema.and_then(|schema| schema.element.as_deref()), out)?;
                }
                out.push('}');
            }
        },
        Value::Json(raw) => json_text(raw, out)?,
    }
    Ok(())
}

/// JSON that nobody has looked into: printed as it is walked over, without building values.
fn json_text(raw: &Bytes, out: &mut String) -> Result<()> {
    let start = out.len();
    let text = json::check_utf8(raw)?;
    let mut walk = Walk { text, scanner: Scanner::new(raw), names: Vec::new() };
    match walk.value(out).and_then(|()| Ok(walk.scanner.end()?)) {
        Ok(()) => Ok(()),
        Err(Stop::Fault(fault)) => {
            out.truncate(start);
            Err(json::refused(raw, fault))
        }
        Err(Stop::Odd) => {
            out.truncate(start);
            value_text(&json::parse_level(raw)?, None, out)
        }
    }
}

/// A map whose keys are no text, which is a list of pairs.
fn pairs_text(pairs: &[Value], schema: Option<&Schema>, out: &mut String) -> Result<()> {
    let parts = schema.map(|schema| [schema.key.as_deref(), schema.element.as_deref()]).unwrap_or_default();
    out.push('{');
    for (index, pair) in pairs.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        let Value::List(pair) = pair else { continue };
        for (place, (part, schema)) in pair.iter().zip(parts).enumerate() {
            out.push_str(if place > 0 { "=" } else { "" });
            value_text(part, schema, out)?;
        }
    }
    out.push('}');
    Ok(())
}

/// Fields in the schema's order; null fields are left out.
fn struct_text(fields: &[(Text, Value)], schema: &Schema, out: &mut String) -> Result<()> {
    out.push_str("Struct{");
    let mut first = true;
    for field in &schema.fields {
        let value = fields.iter().find(|(name, _)| *name == field.name).map(|(_, value)| value);
        if let Some(value) = value.filter(|value| !matches!(value, Value::Null)) {
            out.push_str(if first { "" } else { "," });
            first = false;
            out.push_str(&field.name);
            out.push('=');
            value_text(value, Some(&field.schema), out)?;
        }
    }
    out.push('}');
    Ok(())
}

/// Why a walk over JSON stops.
enum Stop {
    Fault(Fault),
    /// A name that is written with escapes or comes twice: rare enough to be left to the parser
    Odd,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// A walk over JSON text.
struct Walk<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    /// Of the maps that are open; the innermost's are the last
    names: Vec<&'a str>,
}

impl Walk<'_> {
    fn value(&mut self, out: &mut String) -> Result<(), Stop> {
        match self.scanner.peek() {
            Some(b'{') => self.map(out),
            Some(b'[') => {
                self.scanner.enter(b'[')?;
                let mut index = 0;
                out.push('[');
                while self.scanner.more(index, b']')? {
                    out.push_str(if index > 0 { ", " } else { "" });
                    index += 1;
                    self.value(out)?;
                }
                out.push(']');
                Ok(())
            }
            Some(b'"') => {
                let text = self.scanner.text()?;
                if text.escaped {
                    let literal = &self.text[text.content.start - 1..text.content.end + 1];
                    let unescaped: String = serde_json::from_str(literal).map_err(|_| Stop::Odd)?;
                    out.push_str(&unescaped);
                } else {
                    out.push_str(&self.text[text.content]);
                }
                Ok(())
            }
            first => {
                let word = &self.text[self.scanner.value()?];
                match first {
                    Some(b't' | b'f' | b'n') => out.push_str(word),
                    _ => match json::number(word) {
                        // The digits that it is written with, but for -0.
                        Number::Int(0) => out.push('0'),
                        Number::Int(_) => out.push_str(word),
                        Number::Float(number) => double_text(number, out),
                        Number::Beyond => out.push_str(word), // more digits than fit
                    },
                }
                Ok(())
            }
        }
    }

    fn map(&mut self, out: &mut String) -> Result<(), Stop> {
        self.scanner.enter(b'{')?;
        let outer = self.names.len();
        out.push('{');
        while self.scanner.more(self.names.len() - outer, b'}')? {
            let name = self.scanner.name()?;
            let text = &self.text[name.content];
            if name.escaped || self.names[outer..].contains(&text) {
                return Err(Stop::Odd);
            }
            out.push_str(if self.names.len() > outer { ", " } else { "" });
            self.names.push(text);
            out.push_str(text);
            out.push('=');
            self.value(out)?;
        }
        self.names.truncate(outer);
        out.push('}');
        Ok(())
    }
}

/// As Java's `Double.toString`.
pub fn double_text(number: f64, out: &mut String) {
    // Where Java writes no exponent, Rust's shortest digits are Java's.
    if (1e-3..1e7).contains(&number.abs()) {
        out.push_str(zmij::Buffer::new().format_finite(number));
    } else {
        out.push_str(&scientific(number, &two_digits(format!("{number:e}"), format!("{number:.1e}"))));
    }
}

/// As Java's `Float.toString`.
#[allow(clippy::cast_possible_truncation)] // it was a float
pub fn float_text(number: f64, out: &mut String) {
    let number = number as f32;
    out.push_str(&scientific(f64::from(number), &two_digits(format!("{number:e}"), format!("{number:.1e}"))));
}

fn int_text(number: i64, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// As `Double.toString` (of Java 19 or newer: the shortest digits that tell the number from others).
#[must_use]
pub fn double(number: f64) -> String {
    let mut text = String::new();
    double_text(number, &mut text);
    text
}

/// Java writes at least two digits, and the second is the right one where one would do to tell the number from others.
fn two_digits(shortest: String, two: String) -> String {
    if shortest.contains('.') || two.contains(".0e") { shortest } else { two }
}

/// Java's notation of a number whose shortest digits are `exponential` (such as `1.25e3`): plain between 10^-3 and 10^7.
fn scientific(number: f64, exponential: &str) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    let (mantissa, exponent) = exponential.split_once('e').unwrap_or((exponential, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    if number == 0.0 {
        return format!("{sign}0.0");
    }
    if !(-3..7).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        return format!("{sign}{first}.{}E{exponent}", if rest.is_empty() { "0" } else { rest });
    }
    let Ok(whole) = usize::try_from(exponent + 1) else {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1).unsigned_abs() as usize));
    };
    if whole == 0 {
        return format!("{sign}0.{digits}");
    }
    if digits.len() <= whole {
        return format!("{sign}{digits:0<whole$}.0");
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// `java.util.Date.toString` in UTC: `Sat Nov 21 10:15:30 UTC 2026`.
fn date_text(millis: i64) -> String {
    let days = millis.div_euclid(86_400_000);
    let seconds = millis.rem_euclid(86_400_000) / 1000;
    let (year, month, day) = calendar::civil(days);
    let month = &calendar::MONTHS[usize::try_from(month - 1).unwrap_or(0)][..3];
    let weekday = &calendar::WEEKDAYS[usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0)][..3];
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{weekday} {month} {day:02} {hours:02}:{minutes:02}:{seconds:02} UTC {year}")
}

#[cfg(test)]
mod tests;
