//! Values with a schema, from and to JSON, as Connect's `JsonConverter` has them. Where Connect would silently change a value
//! that does not fit its schema (300 as int8, text as a number), the record is refused.

mod write;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use millrace_sdk::json::{self, Fault, Scanner, Token};
use millrace_sdk::{Decimal, Error, Field, Result, Schema, Text, Type, Value};

use super::connect_name;
pub(super) use write::encode;

pub(super) const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
pub(super) const DATE: &str = "org.apache.kafka.connect.data.Date";
pub(super) const TIME: &str = "org.apache.kafka.connect.data.Time";
pub(super) const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// How values are read and written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options {
    /// `decimal.format=NUMERIC`: decimals are written as numbers instead of base64 text
    pub(super) numeric_decimals: bool,
    /// `replace.null.with.default`
    pub(super) null_is_default: bool,
}

/// What is wrong, and where below the value that was asked for.
pub(super) struct Misfit {
    path: String,
    error: Error,
}

impl Misfit {
    fn below(mut self, step: impl std::fmt::Display) -> Self {
        self.path.insert_str(0, &step.to_string());
        self
    }
}

impl From<Error> for Misfit {
    fn from(error: Error) -> Self {
        Self { path: String::new(), error }
    }
}

/// Room for the fields that transforms add.
const ROOM: usize = 4;

type Fit<T> = std::result::Result<T, Misfit>;

/// Reads a value of this schema from JSON text, which must be UTF-8; `at` names it in errors.
pub(super) fn decode(schema: &Schema, raw: &Bytes, options: Options, at: &str) -> Result<Value> {
    let mut scanner = Scanner::new(raw);
    let value = decode_at(schema, raw, &mut scanner, options, at)?;
    scanner.end().map_err(|fault| json::refused(raw, fault))?;
    Ok(value)
}

/// As [`decode`], from the scanner's place in `text` on; what follows is left to the caller.
pub(super) fn decode_at(
    schema: &Schema,
    text: &Bytes,
    scanner: &mut Scanner<'_>,
    options: Options,
    at: &str,
) -> Result<Value> {
    Reader { text, scanner, options }.value(schema).map_err(|misfit| {
        Error::bad_record(format!("{at}{} does not fit its schema", misfit.path)).because(misfit.error)
    })
}

/// Reads values as it walks over their text, once.
struct Reader<'a, 'b> {
    text: &'a Bytes,
    scanner: &'a mut Scanner<'b>,
    options: Options,
}

impl Reader<'_, '_> {
    fn wrong(&self, fault: Fault) -> Misfit {
        json::refused(self.text, fault).into()
    }

    fn value(&mut self, schema: &Schema) -> Fit<Value> {
        match (schema.kind, self.scanner.peek()) {
            (Type::Struct, Some(b'{')) if !is_logical(schema) => self.fields(schema),
            (Type::Array, Some(b'[')) if !is_logical(schema) => self.items(schema),
            _ => {
                let token = self.scanner.token().map_err(|fault| self.wrong(fault))?;
                self.token(schema, token)
            }
        }
    }

    /// Anything but structs and lists.
    fn token(&self, schema: &Schema, token: Token) -> Fit<Value> {
        if let Token::Word(b'n', _) = token {
            return absent(schema, self.options);
        }
        if is_logical(schema) {
            return Ok(logical(schema, &self.text.slice(token.range()))?);
        }
        match (schema.kind, token) {
            (Type::Boolean, Token::Word(first, _)) => Ok(Value::Bool(first == b't')),
            (Type::Int8 | Type::Int16 | Type::Int32 | Type::Int64, Token::Number(range)) => {
                Ok(integer(schema.kind, ascii(&self.text[range])?)?)
            }
            (Type::Float32 | Type::Float64, token @ (Token::Number(_) | Token::Text(_))) => {
                Ok(float(schema.kind, ascii(&self.text[token.range()])?)?)
            }
            (Type::String, Token::Text(text)) => Ok(Value::Str(json::text_at(self.text, &text)?)),
            (Type::Bytes, token @ Token::Text(_)) => Ok(Value::Bytes(base64(&self.text.slice(token.range()))?)),
            (Type::Map, token) => map(schema, &self.text.slice(token.range()), self.options),
            (kind, token) => Err(mismatch(kind, &self.text.slice(token.range())).into()),
        }
    }

    fn items(&mut self, schema: &Schema) -> Fit<Value> {
        let element = part(schema.element.as_deref())?;
        self.scanner.enter(b'[').map_err(|fault| self.wrong(fault))?;
        let mut items = Vec::new();
        while self.scanner.more(items.len(), b']').map_err(|fault| self.wrong(fault))? {
            let item = self.value(element).map_err(|e| e.below(format_args!("[{}]", items.len())))?;
            items.push(item);
        }
        Ok(Value::List(items))
    }

    /// All fields of the schema, in its order; others are passed over.
    fn fields(&mut self, schema: &Schema) -> Fit<Value> {
        self.scanner.enter(b'{').map_err(|fault| self.wrong(fault))?;
        let mut fields: Vec<(Text, Option<Value>)> = Vec::with_capacity(schema.fields.len() + ROOM);
        fields.extend(schema.fields.iter().map(|field| (field.name.clone(), None)));
        let (mut index, mut guess) = (0, 0);
        while self.scanner.more(index, b'}').map_err(|fault| self.wrong(fault))? {
            index += 1;
            let name = self.scanner.name().map_err(|fault| self.wrong(fault))?;
            let unescaped = if name.escaped { Some(json::text_at(self.text, &name)?) } else { None };
            let name = unescaped.as_ref().map_or(&self.text[name.content], |text| text.as_bytes());
            // Most producers write the fields in the schema's order.
            let is_it = |field: &Field| field.name.as_bytes() == name;
            let place = match schema.fields.get(guess) {
                Some(field) if is_it(field) => Some(guess),
                _ => schema.fields.iter().position(is_it),
            };
            let Some(place) = place else {
                self.scanner.token().map_err(|fault| self.wrong(fault))?;
                continue;
            };
            guess = place + 1;
            let field = &schema.fields[place];
            let value = self.value(&field.schema).map_err(|e| e.below(format_args!(".{}", field.name)))?;
            fields[place].1 = Some(value);
        }
        let whole = fields.into_iter().zip(&schema.fields).map(|((name, value), field)| match value {
            Some(value) => Ok((name, value)),
            None => match absent(&field.schema, self.options) {
                Ok(value) => Ok((name, value)),
                Err(misfit) => Err(misfit.below(format_args!(".{}", field.name))),
            },
        });
        Ok(Value::Map(whole.collect::<Fit<_>>()?))
    }
}

/// What stands for null.
fn absent(schema: &Schema, options: Options) -> Fit<Value> {
    match &schema.default {
        Some(default) if options.null_is_default => Ok(default.clone()),
        _ if schema.optional => Ok(Value::Null),
        _ => Err(bad(format!("Invalid null value for required {} field", connect_name(schema.kind))).into()),
    }
}

/// A value that stands alone.
fn value_of(schema: &Schema, raw: &Bytes, options: Options) -> Fit<Value> {
    Reader { text: raw, scanner: &mut Scanner::new(raw), options }.value(schema)
}

fn bad(what: String) -> Error {
    Error::bad_record(what)
}

fn mismatch(kind: Type, raw: &Bytes) -> Error {
    bad(format!("it is {} by the schema, but {} was found", connect_name(kind), Value::Json(raw.clone()).type_name()))
}

fn part(schema: Option<&Schema>) -> Result<&Schema> {
    schema.ok_or_else(|| bad("the schema says nothing of its elements".to_owned()))
}

fn raw_of(value: Value) -> Bytes {
    match value {
        Value::Json(raw) => raw,
        // Members are raw by construction.
        _ => Bytes::from_static(b"null"),
    }
}

fn members(raw: &Bytes) -> Result<Vec<Bytes>> {
    match json::parse_members(raw)? {
        Value::List(items) => Ok(items.into_iter().map(raw_of).collect()),
        _ => Err(mismatch(Type::Array, raw)),
    }
}

/// A map with text keys is a JSON map; with other keys it is a list of pairs.
fn map(schema: &Schema, raw: &Bytes, options: Options) -> Fit<Value> {
    let (key, element) = (part(schema.key.as_deref())?, part(schema.element.as_deref())?);
    match (key.kind, raw.first()) {
        (Type::String, Some(b'{')) => {
            let fields = json::parse_members(raw)?.into_fields()?.into_iter().map(|(name, value)| {
                let value = value_of(element, &raw_of(value), options).map_err(|e| e.below(format_args!(".{name}")))?;
                Ok((name, value))
            });
            Ok(Value::Map(fields.collect::<Fit<_>>()?))
        }
        (Type::String, _) => Err(bad("maps with string keys should be encoded as JSON objects".to_owned()).into()),
        (_, Some(b'[')) => {
            let mut map: Vec<Value> = Vec::new();
            let mut places: HashMap<Bytes, usize> = HashMap::new();
            for pair in members(raw)? {
                let pair = members(&pair)?;
                let [k, v] = &pair[..] else {
                    let found = pair.len();
                    return Err(bad(format!("found an invalid map entry, expected length 2 but found {found}")).into());
                };
                let entry = Value::List(vec![value_of(key, k, options)?, value_of(element, v, options)?]);
                // The last of equal keys wins.
                match places.entry(k.clone()) {
                    Entry::Occupied(place) => map[*place.get()] = entry,
                    Entry::Vacant(place) => {
                        place.insert(map.len());
                        map.push(entry);
                    }
                }
            }
            Ok(Value::List(map))
        }
        _ => {
            Err(bad("maps with keys that are no strings should be encoded as a JSON array of pairs".to_owned()).into())
        }
    }
}

fn ascii(raw: &[u8]) -> Result<&str> {
    std::str::from_utf8(raw).map_err(|error| bad("not a number".to_owned()).because(error))
}

/// Integers, also spelt `1.0` or `1e3`.
fn integer(kind: Type, text: &str) -> Result<Value> {
    let whole = || {
        let decimal = Decimal::parse(text).ok()?;
        let (digits, sign) = (decimal.digits().ok()?, if decimal.is_negative() { "-" } else { "" });
        let zeros = usize::try_from(decimal.scale.unsigned_abs()).ok().filter(|zeros| *zeros <= 40)?;
        let digits = if decimal.scale < 0 {
            format!("{digits}{}", "0".repeat(zeros))
        } else {
            digits
                .strip_suffix(&*"0".repeat(zeros))
                .filter(|rest| !rest.is_empty())
                .map_or_else(|| if digits == "0" { digits.clone() } else { String::new() }, str::to_owned)
        };
        format!("{sign}{digits}").parse::<i64>().ok()
    };
    let value = text.parse::<i64>().ok().or_else(whole);
    let fits = |value: &i64| match kind {
        Type::Int8 => i8::try_from(*value).is_ok(),
        Type::Int16 => i16::try_from(*value).is_ok(),
        Type::Int32 => i32::try_from(*value).is_ok(),
        _ => true,
    };
    let value = value.filter(fits);
    value.map(Value::Int).ok_or_else(|| bad(format!("{text} does not fit {}", connect_name(kind))))
}

/// Floats; Connect writes those that are no numbers as text.
fn float(kind: Type, text: &str) -> Result<Value> {
    let value = match (text, kind) {
        ("\"NaN\"", _) => Some(f64::NAN),
        ("\"Infinity\"", _) => Some(f64::INFINITY),
        ("\"-Infinity\"", _) => Some(f64::NEG_INFINITY),
        (_, Type::Float32) => text.parse::<f32>().ok().filter(|float| float.is_finite()).map(f64::from),
        _ => text.parse::<f64>().ok().filter(|float| float.is_finite()),
    };
    value.map(Value::Float).ok_or_else(|| bad(format!("{text} does not fit {}", connect_name(kind))))
}

fn base64(raw: &Bytes) -> Result<Bytes> {
    let Value::Str(text) = json::parse_level(raw)? else { return Err(mismatch(Type::Bytes, raw)) };
    STANDARD
        .decode(text.as_bytes())
        .map(Bytes::from)
        .map_err(|error| bad("it is not base64 text".to_owned()).because(error))
}

fn is_logical(schema: &Schema) -> bool {
    schema.name.as_deref().is_some_and(|name| matches!(name, DATE | TIME | TIMESTAMP | DECIMAL))
}

/// Values of logical types.
fn logical(schema: &Schema, raw: &Bytes) -> Result<Value> {
    let text = matches!(raw.first(), Some(b'"'));
    let whole = |limit: &str| {
        ascii(raw)?
            .parse::<i64>()
            .map_err(|_| bad(format!("it must be an integer{limit}, found {:?}", Value::Json(raw.clone()).type_name())))
    };
    let small = || i32::try_from(whole(" of 32 bits")?).map_err(|_| bad("it must be an integer of 32 bits".to_owned()));
    Ok(match schema.name.as_deref().unwrap_or_default() {
        DATE => Value::Date(small()?),
        TIME => {
            let millis = small()?;
            if !(0..=86_400_000).contains(&millis) {
                return Err(bad(
                    "Time values must use number of milliseconds greater than 0 and less than 86400000".to_owned()
                ));
            }
            Value::Time(millis)
        }
        TIMESTAMP => Value::Timestamp(whole(" of 64 bits")?),
        DECIMAL if text => {
            let unscaled = base64(raw)?;
            if unscaled.is_empty() {
                return Err(bad("Invalid bytes for Decimal field: there are none".to_owned()));
            }
            Value::Decimal(Decimal { unscaled: unscaled.as_ref().into(), scale: scale(schema)? })
        }
        // A number keeps the scale that it is written with.
        DECIMAL if matches!(raw.first(), Some(b'-' | b'0'..=b'9')) => Value::Decimal(Decimal::parse(ascii(raw)?)?),
        _ => return Err(mismatch(schema.kind, raw)),
    })
}

fn scale(schema: &Schema) -> Result<i32> {
    let parameter = schema.parameters.iter().find(|(name, _)| name == "scale");
    parameter
        .and_then(|(_, value)| value.parse().ok())
        .ok_or_else(|| bad("the schema of a Decimal has no parameter \"scale\"".to_owned()))
}
