//! Numbers: exact integers, decimals of any size, floats.

use millrace_sdk::{Decimal, Value};

/// Longer texts are no numbers: reading them takes time with the square of their length.
const MOST_DIGITS: usize = 4096;

/// More zeros than this are written as an exponent.
const MOST_ZEROS: u32 = 400;

/// Why something is not an integer.
pub(super) enum Problem {
    NoInteger,
    TooLarge,
}

impl Problem {
    pub(super) fn explain(self, value: &Value, typ: &str) -> String {
        match self {
            Self::NoInteger => super::mismatch(value, typ),
            Self::TooLarge => super::out_of_range(value, typ),
        }
    }
}

/// An integer; floats and decimals count when they are whole.
pub(super) fn integer(value: &Value) -> Result<i64, Problem> {
    match value {
        Value::Int(number) | Value::Timestamp(number) => return Ok(*number),
        Value::Date(number) | Value::Time(number) => return Ok(i64::from(*number)),
        _ => {}
    }
    let (unscaled, scale) = decimal(value).ok_or(Problem::NoInteger)?;
    if scale > 0 {
        return Err(Problem::NoInteger);
    }
    let mut whole = to_i128(&unscaled).ok_or(Problem::TooLarge)?;
    if whole == 0 {
        return Ok(0); // else the loop would go on for as long as the exponent is
    }
    for _ in 0..scale.unsigned_abs() {
        whole = whole.checked_mul(10).ok_or(Problem::TooLarge)?;
    }
    i64::try_from(whole).map_err(|_| Problem::TooLarge)
}

fn to_i128(bytes: &[u8]) -> Option<i128> {
    if bytes.len() > 16 {
        return None;
    }
    let mut number: i128 = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    for byte in bytes {
        number = (number << 8) | i128::from(*byte);
    }
    Some(number)
}

/// Unscaled two's complement, big-endian, and scale. Trailing zeros after the point of floats and JSON numbers count as
/// they are written.
pub(super) fn decimal(value: &Value) -> Option<(Vec<u8>, i32)> {
    match value {
        Value::Int(number) => Some((minimal(&number.to_be_bytes()), 0)),
        Value::Float(number) if number.is_finite() => parse(&whole_or_shortest(*number)),
        Value::Str(text) => parse(text.trim()),
        Value::Json(bytes) => parse(std::str::from_utf8(bytes).ok()?.trim()),
        Value::Decimal(decimal) => Some((decimal.unscaled.to_vec(), decimal.scale)),
        _ => None,
    }
}

/// `5.0` is written `5`: JSON has one kind of number.
fn whole_or_shortest(number: f64) -> String {
    number.to_string()
}

/// Parses `-12.50e3`.
pub(super) fn parse(text: &str) -> Option<(Vec<u8>, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() || whole.len() + fraction.len() > MOST_DIGITS {
        return None;
    }
    // Base 256, little-endian.
    let mut magnitude: Vec<u8> = vec![0];
    for digit in whole.bytes().chain(fraction.bytes()) {
        if !digit.is_ascii_digit() {
            return None;
        }
        let mut carry = u16::from(digit - b'0');
        for byte in &mut magnitude {
            carry += u16::from(*byte) * 10;
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        if carry > 0 {
            magnitude.push(carry.to_le_bytes()[0]);
        }
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    Some((twos_complement(magnitude, negative), scale))
}

fn twos_complement(mut magnitude: Vec<u8>, negative: bool) -> Vec<u8> {
    magnitude.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut magnitude {
            let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
            *byte = sum;
            carry = overflow;
        }
    }
    magnitude.reverse();
    minimal(&magnitude)
}

/// Without the leading bytes that only repeat the sign.
fn minimal(bytes: &[u8]) -> Vec<u8> {
    let mut at = 0;
    while at + 1 < bytes.len()
        && ((bytes[at] == 0 && bytes[at + 1] & 0x80 == 0) || (bytes[at] == 0xff && bytes[at + 1] & 0x80 != 0))
    {
        at += 1;
    }
    bytes[at..].to_vec()
}

/// Decimal notation of Connect's Decimal: in full while that is short, else Java's with an exponent. None for more digits
/// than are worth writing: both come from outside, and a scale of four bytes can ask for two thousand million zeros.
pub(super) fn decimal_text(decimal: &Decimal) -> Option<String> {
    if decimal.scale.unsigned_abs() > MOST_ZEROS {
        return decimal.text().ok();
    }
    let digits = decimal.digits().ok()?;
    let sign = if decimal.is_negative() { "-" } else { "" };
    let after = usize::try_from(decimal.scale).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = after + 1);
    let (whole, fraction) = padded.split_at(padded.len() - after);
    let zeros = if digits == "0" { 0 } else { usize::try_from(-decimal.scale).unwrap_or(0) };
    let point = if after > 0 { "." } else { "" };
    Some(format!("{sign}{whole}{}{point}{fraction}", "0".repeat(zeros)))
}

/// A double.
pub(super) fn double(value: &Value) -> Option<f64> {
    match value {
        #[allow(clippy::cast_precision_loss)] // as Java does
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Str(text) => text.trim().parse().ok(),
        Value::Json(bytes) => std::str::from_utf8(bytes).ok()?.trim().parse::<f64>().ok().filter(|n| n.is_finite()),
        Value::Decimal(decimal) => decimal_text(decimal)?.parse().ok(),
        _ => None,
    }
}

/// The nearest float; None when a finite number has none.
pub(super) fn narrow(number: f64) -> Option<f32> {
    #[allow(clippy::cast_possible_truncation)] // the nearest float is meant
    let float = number as f32;
    (float.is_finite() || !number.is_finite()).then_some(float)
}
