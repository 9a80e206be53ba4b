//! BSON printed as JSON, letter by letter as MongoDB's Java driver prints it, straight from the bytes of a document.

mod escapes;

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use millrace_sdk::{Result, java};
use mongodb::bson::Decimal128;

use self::escapes::is_escaped;
use super::raw::{self, MAX_DEPTH, Raw, kind, malformed};

/// How values are written that JSON does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `DefaultJson`: the legacy strict form
    Strict,
    /// `ExtendedJson`: canonical extended JSON, every type told
    Extended,
    /// `SimplifiedJson`: relaxed, with ids, decimals, dates and binary values as plain strings
    Simplified,
    /// Relaxed extended JSON: how tokens are kept in positions
    Relaxed,
}

/// Appends a document.
///
/// # Errors
/// `BadRecord` for malformed BSON.
pub(crate) fn document(mode: Mode, bytes: &[u8], out: &mut Vec<u8>) -> Result<()> {
    Printer { mode, out }.document(bytes, 0)
}

/// Appends a value.
///
/// # Errors
/// `BadRecord` for malformed BSON.
pub(crate) fn value(mode: Mode, value: Raw<'_>, out: &mut Vec<u8>) -> Result<()> {
    Printer { mode, out }.value(value, 1)
}

/// A document as relaxed extended JSON.
///
/// # Errors
/// `BadRecord` for malformed BSON.
pub(crate) fn text(bytes: &[u8]) -> Result<String> {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    document(Mode::Relaxed, bytes, &mut out)?;
    // What is not UTF-8 has become U+FFFD on the way.
    Ok(String::from_utf8_lossy(&out).into_owned())
}

struct Printer<'o> {
    mode: Mode,
    out: &'o mut Vec<u8>,
}

impl Printer<'_> {
    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.put(itoa::Buffer::new().format(number));
    }

    fn document(&mut self, bytes: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(malformed());
        }
        self.out.push(b'{');
        let mut first = true;
        for element in raw::elements(bytes)? {
            let (name, value) = element?;
            if !first {
                self.put(", ");
            }
            first = false;
            string(name, self.out);
            self.put(": ");
            self.value(value, depth + 1)?;
        }
        self.out.push(b'}');
        Ok(())
    }

    fn array(&mut self, bytes: &[u8], depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(malformed());
        }
        self.out.push(b'[');
        let mut first = true;
        for element in raw::elements(bytes)? {
            if !first {
                self.put(", ");
            }
            first = false;
            self.value(element?.1, depth + 1)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn value(&mut self, value: Raw<'_>, depth: usize) -> Result<()> {
        let bytes = value.bytes;
        match value.kind {
            kind::STRING => string(raw::text(bytes)?, self.out),
            kind::INT32 => self.int32(raw::int32(bytes)?),
            kind::INT64 => self.int64(raw::int64(bytes)?),
            kind::DOUBLE => self.double(f64::from_bits(raw::int64(bytes)?.cast_unsigned())),
            kind::DOCUMENT => self.document(bytes, depth)?,
            kind::ARRAY => self.array(bytes, depth)?,
            kind::OBJECT_ID => self.object_id(bytes),
            kind::DATE => self.date(raw::int64(bytes)?),
            kind::BOOLEAN => self.put(if bytes == [0] { "false" } else { "true" }),
            kind::NULL => self.put("null"),
            kind::BINARY => self.binary(bytes)?,
            kind::DECIMAL => self.decimal(bytes)?,
            kind::TIMESTAMP => {
                let (seconds, increment) = raw::timestamp(bytes)?;
                self.put("{\"$timestamp\": {\"t\": ");
                self.number(seconds.into());
                self.put(", \"i\": ");
                self.number(increment.into());
                self.put("}}");
            }
            kind::REGEX => self.regex(bytes)?,
            kind::SYMBOL if self.mode == Mode::Simplified => string(raw::text(bytes)?, self.out),
            kind::SYMBOL => self.wrapped("$symbol", raw::text(bytes)?),
            kind::CODE => self.wrapped("$code", raw::text(bytes)?),
            kind::CODE_WITH_SCOPE => self.code_with_scope(bytes, depth)?,
            kind::DB_POINTER => self.pointer(bytes)?,
            kind::UNDEFINED => self.put("{\"$undefined\": true}"),
            kind::MIN_KEY => self.put("{\"$minKey\": 1}"),
            kind::MAX_KEY => self.put("{\"$maxKey\": 1}"),
            _ => return Err(malformed()),
        }
        Ok(())
    }

    /// `{"$name": "text"}`
    fn wrapped(&mut self, name: &str, text: &[u8]) {
        self.put("{\"");
        self.put(name);
        self.put("\": ");
        string(text, self.out);
        self.out.push(b'}');
    }

    fn int32(&mut self, number: i32) {
        if self.mode == Mode::Extended {
            self.put("{\"$numberInt\": \"");
            self.number(number.into());
            self.put("\"}");
        } else {
            self.number(number.into());
        }
    }

    fn int64(&mut self, number: i64) {
        if matches!(self.mode, Mode::Extended | Mode::Strict) {
            self.put("{\"$numberLong\": \"");
            self.number(number);
            self.put("\"}");
        } else {
            self.number(number);
        }
    }

    fn double(&mut self, number: f64) {
        let wrap = match self.mode {
            Mode::Extended => true,
            // The legacy form has no way to write them and writes them bare.
            Mode::Strict => false,
            Mode::Simplified | Mode::Relaxed => !number.is_finite(),
        };
        if wrap {
            self.put("{\"$numberDouble\": \"");
        }
        double(number, self.out);
        if wrap {
            self.put("\"}");
        }
    }

    fn object_id(&mut self, bytes: &[u8]) {
        let simple = self.mode == Mode::Simplified;
        self.put(if simple { "\"" } else { "{\"$oid\": \"" });
        hex(bytes, b"0123456789abcdef", self.out);
        self.put(if simple { "\"" } else { "\"}" });
    }

    fn date(&mut self, millis: i64) {
        match self.mode {
            Mode::Strict => {
                self.put("{\"$date\": ");
                self.number(millis);
                self.put("}");
            }
            Mode::Simplified => {
                self.out.push(b'"');
                instant(millis, self.out);
                self.out.push(b'"');
            }
            // Within the years 1970 to 9999
            Mode::Relaxed if (0..253_402_300_800_000).contains(&millis) => {
                self.put("{\"$date\": \"");
                instant(millis, self.out);
                self.put("\"}");
            }
            Mode::Relaxed | Mode::Extended => {
                self.put("{\"$date\": {\"$numberLong\": \"");
                self.number(millis);
                self.put("\"}}");
            }
        }
    }

    fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        let (subtype, content) = raw::binary(bytes)?;
        let (before, between) = match self.mode {
            Mode::Simplified => ("\"", "\""),
            Mode::Strict => ("{\"$binary\": \"", "\", \"$type\": \""),
            Mode::Extended | Mode::Relaxed => ("{\"$binary\": {\"base64\": \"", "\", \"subType\": \""),
        };
        self.put(before);
        self.put(&BASE64.encode(content));
        self.put(between);
        if self.mode != Mode::Simplified {
            hex(&[subtype], b"0123456789ABCDEF", self.out);
            self.put(if self.mode == Mode::Strict { "\"}" } else { "\"}}" });
        }
        Ok(())
    }

    fn decimal(&mut self, bytes: &[u8]) -> Result<()> {
        let decimal = Decimal128::from_bytes(*bytes.first_chunk().ok_or_else(malformed)?);
        let simple = self.mode == Mode::Simplified;
        self.put(if simple { "\"" } else { "{\"$numberDecimal\": \"" });
        self.put(&decimal.to_string());
        self.put(if simple { "\"" } else { "\"}" });
        Ok(())
    }

    fn regex(&mut self, bytes: &[u8]) -> Result<()> {
        let mut parts = bytes.split(|byte| *byte == 0);
        let (pattern, options) = parts.next().zip(parts.next()).ok_or_else(malformed)?;
        let (before, between, after) = match self.mode {
            Mode::Strict => ("{\"$regex\": ", ", \"$options\": ", "}"),
            _ => ("{\"$regularExpression\": {\"pattern\": ", ", \"options\": ", "}}"),
        };
        self.put(before);
        string(pattern, self.out);
        self.put(between);
        string(options, self.out);
        self.put(after);
        Ok(())
    }

    fn code_with_scope(&mut self, bytes: &[u8], depth: usize) -> Result<()> {
        let inner = bytes.get(4..).ok_or_else(malformed)?;
        let length = usize::try_from(raw::int32(inner)?).map_err(|_| malformed())?;
        let (code, scope) = inner.split_at_checked(length.saturating_add(4)).ok_or_else(malformed)?;
        self.put("{\"$code\": ");
        string(raw::text(code)?, self.out);
        self.put(", \"$scope\": ");
        self.document(scope, depth + 1)?;
        self.out.push(b'}');
        Ok(())
    }

    fn pointer(&mut self, bytes: &[u8]) -> Result<()> {
        let (namespace, id) = bytes.split_at_checked(bytes.len().saturating_sub(12)).ok_or_else(malformed)?;
        let extended = self.mode == Mode::Extended;
        self.put(if extended { "{\"$dbPointer\": {\"$ref\": " } else { "{\"$ref\": " });
        string(raw::text(namespace)?, self.out);
        self.put(", \"$id\": ");
        self.object_id(id);
        self.put(if extended { "}}" } else { "}" });
        Ok(())
    }
}

/// Appends a quoted string.
pub(crate) fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        let plain = matches!(byte, 0x20..=0x7e) && *byte != b'"' && *byte != b'\\';
        if plain {
            continue;
        }
        if *byte >= 0x80 {
            // The rest may hold characters to escape; what is not UTF-8 becomes U+FFFD, as in Java.
            out.extend_from_slice(&text[from..at]);
            String::from_utf8_lossy(&text[at..]).chars().for_each(|character| escape(character, out));
            out.push(b'"');
            return;
        }
        out.extend_from_slice(&text[from..at]);
        escape(char::from(*byte), out);
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

fn escape(character: char, out: &mut Vec<u8>) {
    let short = match character {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        ' '..='~' => {
            out.push(u8::try_from(u32::from(character)).unwrap_or(b'?'));
            return;
        }
        character if character >= '\u{80}' && !is_escaped(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
        character => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                hex(&unit.to_be_bytes(), b"0123456789abcdef", out);
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn hex(bytes: &[u8], digits: &[u8; 16], out: &mut Vec<u8>) {
    for byte in bytes {
        out.push(digits[usize::from(byte >> 4)]);
        out.push(digits[usize::from(byte & 15)]);
    }
}

/// As `Double.toString`.
fn double(number: f64, out: &mut Vec<u8>) {
    #[allow(clippy::cast_possible_truncation)] // checked by the comparison
    let whole = number as i32;
    if f64::from(whole) == number && whole.unsigned_abs() < 10_000_000 && (whole != 0 || number.is_sign_positive()) {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        out.extend_from_slice(b".0");
    } else {
        out.extend_from_slice(java::double(number).as_bytes());
    }
}

/// As `DateTimeFormatter.ISO_DATE_TIME` in UTC: a fraction only as long as it must be.
fn instant(millis: i64, out: &mut Vec<u8>) {
    let (year, month, day) = java::calendar::civil(millis.div_euclid(86_400_000));
    let in_day = millis.rem_euclid(86_400_000);
    let (hours, minutes, seconds) = (in_day / 3_600_000, in_day / 60_000 % 60, in_day / 1000 % 60);
    let sign = match year {
        10_000.. => "+",
        ..0 => "-",
        _ => "",
    };
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{sign}{:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}", year.abs());
    let fraction = in_day % 1000;
    if fraction != 0 {
        let digits = format!("{fraction:03}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests;
