//! What the text of a header looks like, by Connect's rules: null, a boolean, the smallest integer or float that holds it, a
//! date, a time, a timestamp, a list, a map, else text.
//!
//! The odd ones among the rules are Connect's, too: `1:2` is the number 1, and `[1,null]` is text.

use std::sync::Arc;

use millrace_sdk::{Decimal, Schema, Text, Type, Value};

use super::super::json_value::{DATE, DECIMAL, TIME, TIMESTAMP};
use super::tokens::{Tokens, trim};

/// Lists and maps nested deeper than this are not read.
const MAX_DEPTH: usize = 200;

const DAY_MS: i64 = 86_400_000;

/// A value and its schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Read {
    pub(super) schema: Arc<Schema>,
    pub(super) value: Value,
}

/// Nested too deep to be read.
#[derive(Debug, PartialEq)]
pub(super) struct TooDeep;

/// Why a list or map is none.
enum Stop {
    /// It is text
    Text,
    TooDeep,
}

type Step<T> = Result<T, Stop>;

/// Reads a header's text; None is null.
pub(super) fn value(text: &str) -> Result<Option<Read>, TooDeep> {
    if text.is_empty() {
        return Ok(Some(string(text)));
    }
    match read(&mut Tokens::new(text), None) {
        Ok(read) => Ok(read),
        Err(Stop::Text) => Ok(Some(string(text))),
        Err(Stop::TooDeep) => Err(TooDeep),
    }
}

fn plain(kind: Type, value: Value) -> Read {
    Read { schema: Arc::new(Schema::of(kind)), value }
}

fn string(text: &str) -> Read {
    plain(Type::String, Value::Str(Text::from(text)))
}

fn logical(kind: Type, name: &'static str, value: Value) -> Read {
    let mut schema = Schema::of(kind);
    schema.name = Some(Text::from_static(name));
    schema.version = Some(1);
    Read { schema: Arc::new(schema), value }
}

/// One value; `depth` is None for the header itself and counts the lists and maps around an element.
fn read(tokens: &mut Tokens<'_>, depth: Option<usize>) -> Step<Option<Read>> {
    let embedded = depth.is_some();
    if !tokens.has_next() {
        return Ok(None);
    }
    if embedded && tokens.take_if("\"") {
        return Ok(Some(quoted(tokens)));
    }
    if literal(tokens, embedded, "null") {
        return Ok(None);
    }
    for (word, flag) in [("true", true), ("false", false)] {
        if literal(tokens, embedded, word) {
            return Ok(Some(plain(Type::Boolean, Value::Bool(flag))));
        }
    }
    let start = tokens.mark();
    let inner = depth.unwrap_or(0) + 1;
    if inner > MAX_DEPTH {
        return Err(Stop::TooDeep);
    }
    let nested = if tokens.take_if("[") {
        Some(list(tokens, inner))
    } else if tokens.take_if("{") {
        Some(map(tokens, inner))
    } else {
        None
    };
    match nested {
        Some(Err(Stop::Text)) => tokens.back_to(start),
        Some(nested) => return nested.map(Some),
        None => {}
    }
    let token = tokens.take();
    match trim(token) {
        "" => Ok(Some(string(token))),
        token => word(tokens, embedded, token).map(Some),
    }
}

/// A word which, in the header itself, must be all there is.
fn literal(tokens: &mut Tokens<'_>, embedded: bool, word: &str) -> bool {
    let start = tokens.mark();
    if tokens.take_if(word) && (embedded || !tokens.has_next()) {
        return true;
    }
    tokens.back_to(start);
    false
}

fn word(tokens: &mut Tokens<'_>, embedded: bool, token: &str) -> Step<Read> {
    let first = token.as_bytes()[0];
    if first.is_ascii_digit() {
        // Colons cut times and timestamps into five tokens.
        let mark = tokens.mark();
        if let Some(read) = tokens.take_many(4).and_then(|rest| temporal(&format!("{token}{rest}"))) {
            return Ok(read);
        }
        tokens.back_to(mark);
        if let Some(read) = temporal(token) {
            return Ok(read);
        }
    }
    if (first.is_ascii_digit() || matches!(first, b'+' | b'-'))
        && let Some(read) = number(token)
    {
        return Ok(read);
    }
    if embedded { Err(Stop::Text) } else { Ok(string(tokens.text())) }
}

fn quoted(tokens: &mut Tokens<'_>) -> Read {
    let mut content = String::new();
    while tokens.has_next() && !tokens.take_if("\"") {
        content.push_str(tokens.take());
    }
    temporal(&content).unwrap_or_else(|| string(&content))
}

fn list(tokens: &mut Tokens<'_>, depth: usize) -> Step<Read> {
    let mut items = Vec::new();
    let mut common = Common::default();
    while tokens.has_next() {
        if tokens.take_if("]") {
            let mut schema = Schema::of(Type::Array);
            schema.element = common.schema();
            if let Some(element) = &schema.element {
                items = items.into_iter().map(|item| aligned(element, item)).collect::<Step<_>>()?;
            }
            return Ok(Read { schema: Arc::new(schema), value: Value::List(items) });
        }
        if tokens.take_if(",") {
            return Err(Stop::Text);
        }
        items.push(common.add(read(tokens, Some(depth))?));
        let end = tokens.mark();
        if tokens.take_if("]") {
            tokens.back_to(end);
        } else if !tokens.take_if(",") {
            return Err(Stop::Text);
        }
    }
    Err(Stop::Text)
}

fn map(tokens: &mut Tokens<'_>, depth: usize) -> Step<Read> {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    let (mut keys, mut values) = (Common::default(), Common::default());
    while tokens.has_next() {
        if tokens.take_if("}") {
            return map_of(entries, keys.schema(), values.schema());
        }
        if tokens.take_if(",") {
            return Err(Stop::Text);
        }
        let key = read(tokens, Some(depth))?.ok_or(Stop::Text)?;
        if !tokens.take_if(":") {
            return Err(Stop::Text);
        }
        let value = read(tokens, Some(depth))?;
        tokens.take_if(",");
        let (key, value) = (keys.add(Some(key)), values.add(value));
        match entries.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => entries.push((key, value)),
        }
    }
    Err(Stop::Text)
}

fn map_of(entries: Vec<(Value, Value)>, key: Option<Arc<Schema>>, element: Option<Arc<Schema>>) -> Step<Read> {
    let mut schema = Schema::of(Type::Map);
    if let Some(key) = &key {
        schema.element.clone_from(&element);
        schema.key = Some(Arc::clone(key));
    }
    let mut pairs = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let name = key.as_ref().map_or(Ok(name.clone()), |key| aligned(key, name))?;
        let value = match (&key, &element) {
            (Some(_), Some(element)) => aligned(element, value)?,
            _ => value,
        };
        pairs.push((name, value));
    }
    let text_keys = pairs.iter().all(|(name, _)| matches!(name, Value::Str(_)));
    let value = if text_keys {
        let named = pairs.into_iter().filter_map(|(name, value)| match name {
            Value::Str(name) => Some((name, value)),
            _ => None,
        });
        Value::Map(named.collect())
    } else {
        Value::List(pairs.into_iter().map(|(name, value)| Value::List(vec![name, value])).collect())
    };
    Ok(Read { schema: Arc::new(schema), value })
}

/// The schema that all elements have in common, if any.
#[derive(Default)]
struct Common {
    found: Option<Arc<Schema>>,
    incompatible: bool,
}

impl Common {
    /// Takes an element's schema in and hands its value out; null has none.
    fn add(&mut self, element: Option<Read>) -> Value {
        let Some(Read { schema, value }) = element else { return Value::Null };
        if !self.incompatible {
            self.found = match self.found.take() {
                None => Some(schema),
                Some(before) => merged(before, schema),
            };
            self.incompatible = self.found.is_none();
        }
        value
    }

    fn schema(self) -> Option<Arc<Schema>> {
        self.found
    }
}

/// Of numbers the wider type, of equal types the later schema.
fn merged(before: Arc<Schema>, new: Arc<Schema>) -> Option<Arc<Schema>> {
    const WIDTHS: [Type; 6] = [Type::Int8, Type::Int16, Type::Int32, Type::Int64, Type::Float32, Type::Float64];
    if before.kind == new.kind {
        return Some(new);
    }
    let width = |schema: &Schema| WIDTHS.iter().position(|kind| *kind == schema.kind);
    Some(if width(&before)? > width(&new)? { before } else { new })
}

/// An element as the common schema has it.
fn aligned(schema: &Schema, value: Value) -> Step<Value> {
    let name = schema.name.as_deref();
    let small = |number: i64| i32::try_from(number).map_err(|_| Stop::Text);
    Ok(match (schema.kind, value) {
        (_, Value::Null) => return Err(Stop::Text),
        (Type::Int32, Value::Int(number)) if name == Some(DATE) => Value::Date(small(number)?),
        (Type::Int32, Value::Int(number)) if name == Some(TIME) => Value::Time(small(number)?),
        (Type::Int32, Value::Time(millis)) if name == Some(DATE) => Value::Date(small(i64::from(millis) / DAY_MS)?),
        (Type::Int32, Value::Date(days)) if name == Some(TIME) => Value::Time(small(i64::from(days) * DAY_MS)?),
        (Type::Int64, Value::Int(number)) if name == Some(TIMESTAMP) => Value::Timestamp(number),
        (Type::Int64, Value::Date(days)) if name == Some(TIMESTAMP) => Value::Timestamp(i64::from(days) * DAY_MS),
        (Type::Int64, Value::Time(millis)) if name == Some(TIMESTAMP) => Value::Timestamp(i64::from(millis)),
        // A date among plain numbers cannot become one.
        (Type::Int32 | Type::Int64, Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) if name.is_none() => {
            return Err(Stop::Text);
        }
        (Type::Float32 | Type::Float64, Value::Date(_) | Value::Time(_) | Value::Timestamp(_)) => {
            return Err(Stop::Text);
        }
        #[allow(clippy::cast_precision_loss)] // as Java's floatValue
        (Type::Float32, Value::Int(number)) => Value::Float(f64::from(number as f32)),
        #[allow(clippy::cast_precision_loss)] // as Java's doubleValue
        (Type::Float64, Value::Int(number)) => Value::Float(number as f64),
        (_, value) => value,
    })
}

/// A number as the smallest type that holds it: integers of 8 to 64 bits, floats, else a decimal.
fn number(token: &str) -> Option<Read> {
    let decimal = Decimal::parse(token).ok()?;
    let digits = decimal.digits().ok()?;
    if let Some(integer) = whole(&decimal, &digits) {
        let kind = match integer {
            _ if i8::try_from(integer).is_ok() => Type::Int8,
            _ if i16::try_from(integer).is_ok() => Type::Int16,
            _ if i32::try_from(integer).is_ok() => Type::Int32,
            _ => Type::Int64,
        };
        return Some(plain(kind, Value::Int(integer)));
    }
    if decimal.scale != 0 {
        if let Some(float) = token.parse::<f32>().ok().filter(|float| float.is_finite()) {
            return Some(plain(Type::Float32, Value::Float(f64::from(float))));
        }
        if let Some(float) = token.parse::<f64>().ok().filter(|float| float.is_finite()) {
            return Some(plain(Type::Float64, Value::Float(float)));
        }
    }
    let mut schema = Schema::of(Type::Bytes);
    schema.name = Some(Text::from_static(DECIMAL));
    schema.version = Some(1);
    schema.parameters = vec![(Text::from_static("scale"), Text::from(decimal.scale.to_string()))];
    Some(Read { schema: Arc::new(schema), value: Value::Decimal(decimal) })
}

/// The integer that a decimal is, if it is one of 64 bits.
fn whole(decimal: &Decimal, digits: &str) -> Option<i64> {
    if digits == "0" {
        return Some(0);
    }
    let zeros = usize::try_from(decimal.scale.unsigned_abs()).ok()?;
    let digits = if decimal.scale > 0 {
        let kept = digits.len().checked_sub(zeros).filter(|kept| *kept > 0)?;
        digits[kept..].bytes().all(|digit| digit == b'0').then(|| digits[..kept].to_owned())?
    } else if zeros < 20 {
        format!("{digits}{}", "0".repeat(zeros))
    } else {
        return None;
    };
    format!("{}{digits}", if decimal.is_negative() { "-" } else { "" }).parse().ok()
}

/// `yyyy-MM-dd`, `HH:mm:ss.SSSZ` or both with a `T`, told apart by their lengths; colons may be escaped. As lenient as
/// Java: a 13th month is the next year's first.
fn temporal(token: &str) -> Option<Read> {
    let text = token.replace("\\:", ":");
    match text.chars().count() {
        10 => {
            let (days, _) = date(&text)?;
            Some(logical(Type::Int32, DATE, Value::Date(i32::try_from(days).ok()?)))
        }
        13 => Some(logical(Type::Int32, TIME, Value::Time(i32::try_from(time(&text)?).ok()?))),
        24 => {
            let (days, rest) = date(&text)?;
            let millis = time(rest.strip_prefix('T')?)?;
            let millis = days.checked_mul(DAY_MS)?.checked_add(millis)?;
            Some(logical(Type::Int64, TIMESTAMP, Value::Timestamp(millis)))
        }
        _ => None,
    }
}

fn leading_number(text: &str) -> Option<(i64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn date(text: &str) -> Option<(i64, &str)> {
    let (year, rest) = leading_number(text)?;
    let (month, rest) = leading_number(rest.strip_prefix('-')?)?;
    let (day, rest) = leading_number(rest.strip_prefix('-')?)?;
    Some((days_from_civil(year, month, day)?, rest))
}

fn time(text: &str) -> Option<i64> {
    let (hours, rest) = leading_number(text)?;
    let (minutes, rest) = leading_number(rest.strip_prefix(':')?)?;
    let (seconds, rest) = leading_number(rest.strip_prefix(':')?)?;
    let (millis, rest) = leading_number(rest.strip_prefix('.')?)?;
    let _ = rest.strip_prefix('Z')?;
    ((hours.checked_mul(60)?.checked_add(minutes)?).checked_mul(60)?.checked_add(seconds)?)
        .checked_mul(1000)?
        .checked_add(millis)
}

/// Days since 1970-01-01 of a date whose month and day may lie beyond their ranges; before 15 October 1582 the calendar is
/// Julian, as in Java.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    const CUTOVER: i64 = -141_427;
    if year > 1_000_000_000 || month > 1_000_000_000 || day > 1_000_000_000 {
        return None;
    }
    let months = year * 12 + month - 1;
    // Years begin in March, so that leap days come last.
    let shifted = months - 2;
    let (year, month) = (shifted.div_euclid(12), shifted.rem_euclid(12));
    let in_year = (153 * month + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4);
    let gregorian = year * 365 + leaps - year.div_euclid(100) + year.div_euclid(400) + in_year - 719_468;
    if gregorian >= CUTOVER { Some(gregorian) } else { Some(year * 365 + leaps + in_year - 719_470) }
}
