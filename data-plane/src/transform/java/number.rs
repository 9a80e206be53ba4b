//! Java's numbers: their texts, what `parse…` accepts, and decimals of any size.

use millrace_sdk::Decimal;

/// A number as a Java float. Where no schema tells that it is one it gets the shortest digits that name it: 0.1 stays 0.1.
#[allow(clippy::cast_possible_truncation)] // that is the point
pub(in crate::transform) fn to_float(number: f64, typed: bool) -> f64 {
    let single = number as f32;
    if typed {
        return f64::from(single);
    }
    format!("{single:e}").parse().unwrap_or(f64::from(single))
}

/// What `Double.parseDouble` accepts, hexadecimal notation aside.
pub(in crate::transform) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    match rest {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(sign * f64::INFINITY),
        _ => {}
    }
    let digits = rest.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(rest);
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if !plain || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    digits.parse::<f64>().ok().map(|number| sign * number)
}

/// What `Long.parseLong` and its siblings accept, within bounds.
pub(in crate::transform) fn parse_integer(text: &str, bits: u32) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (narrow(number, bits) == number).then_some(number)
}

/// The low bits of a number, as Java's casts take them.
pub(in crate::transform) fn narrow(number: i64, bits: u32) -> i64 {
    let shift = 64 - bits;
    (number << shift) >> shift
}

/// `Number.byteValue` and its siblings of a double: saturating to int (or long), then the low bits.
#[allow(clippy::cast_possible_truncation)] // saturates, as in Java
pub(in crate::transform) fn narrow_double(number: f64, bits: u32) -> i64 {
    if bits == 64 { number as i64 } else { narrow(i64::from(number as i32), bits) }
}

/// The low 64 bits of an integer of any size, as `BigInteger.longValue`.
pub(in crate::transform) fn low_bits(digits: &str) -> Option<i64> {
    let (negative, digits) = digits.strip_prefix('-').map_or((false, digits), |rest| (true, rest));
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let low = digits.bytes().fold(0_i64, |low, b| low.wrapping_mul(10).wrapping_add(i64::from(b - b'0')));
    Some(if negative { low.wrapping_neg() } else { low })
}

/// `new BigDecimal(text)`: sign, digits without leading zeros, scale.
pub(in crate::transform) fn parse_decimal(text: &str) -> Option<(bool, String, i32)> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (negative, mantissa) = match mantissa.as_bytes().first()? {
        b'-' => (true, &mantissa[1..]),
        b'+' => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let digits = digits.trim_start_matches('0');
    Some((negative, if digits.is_empty() { "0" } else { digits }.to_owned(), scale))
}

/// A decimal from its digits.
pub(in crate::transform) fn decimal(negative: bool, digits: &str, scale: i32) -> Decimal {
    // Big-endian base 256, grown digit by digit; decimals are short.
    let mut bytes: Vec<u8> = vec![0];
    for digit in digits.bytes() {
        let mut carry = u32::from(digit - b'0');
        for byte in bytes.iter_mut().rev() {
            let sum = u32::from(*byte) * 10 + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
        if carry > 0 {
            bytes.insert(0, carry.to_le_bytes()[0]);
        }
    }
    if bytes[0] & 0x80 != 0 {
        bytes.insert(0, 0);
    }
    if negative {
        negate(&mut bytes);
        while bytes.len() > 1 && bytes[0] == 0xff && bytes[1] & 0x80 != 0 {
            bytes.remove(0);
        }
    }
    Decimal { unscaled: bytes.into(), scale }
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// Sign and digits of the unscaled number.
fn unscaled(decimal: &Decimal) -> (bool, String) {
    let mut magnitude = decimal.unscaled.to_vec();
    let negative = magnitude.first().is_some_and(|first| first & 0x80 != 0);
    if negative {
        negate(&mut magnitude);
    }
    let mut digits = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut magnitude {
            let sum = (rest << 8) | u32::from(*byte);
            *byte = (sum / 10).to_le_bytes()[0];
            rest = sum % 10;
        }
        digits.push(b'0' + rest.to_le_bytes()[0]);
    }
    digits.reverse();
    (negative, if digits.is_empty() { "0".to_owned() } else { String::from_utf8_lossy(&digits).into_owned() })
}

/// `BigDecimal.toString`.
pub(in crate::transform) fn decimal_text(decimal: &Decimal) -> String {
    let (negative, digits) = unscaled(decimal);
    let sign = if negative { "-" } else { "" };
    let length = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let adjusted = length - 1 - i64::from(decimal.scale);
    if decimal.scale == 0 {
        return format!("{sign}{digits}");
    }
    if decimal.scale > 0 && adjusted >= -6 {
        let scale = usize::try_from(decimal.scale).unwrap_or(0);
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    if adjusted == 0 { format!("{sign}{first}{point}") } else { format!("{sign}{first}{point}E{adjusted:+}") }
}

/// `BigDecimal.doubleValue`.
pub(in crate::transform) fn decimal_double(decimal: &Decimal) -> f64 {
    let (negative, digits) = unscaled(decimal);
    let sign = if negative { "-" } else { "" };
    format!("{sign}{digits}e{}", -i64::from(decimal.scale)).parse().unwrap_or(f64::NAN)
}

/// `BigDecimal.longValue`: the low bits of the whole part.
pub(in crate::transform) fn decimal_long(decimal: &Decimal) -> i64 {
    let (negative, digits) = unscaled(decimal);
    let whole = match usize::try_from(decimal.scale) {
        Ok(scale) if scale >= digits.len() => "0".to_owned(),
        Ok(scale) => digits[..digits.len() - scale].to_owned(),
        // Beyond 64 zeros the low 64 bits are zero.
        Err(_) => format!("{digits}{}", "0".repeat(decimal.scale.unsigned_abs().min(64) as usize)),
    };
    let low = low_bits(&whole).unwrap_or(0);
    if negative { low.wrapping_neg() } else { low }
}
