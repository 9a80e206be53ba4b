//! Decimals of any precision: between Connect's unscaled bytes and digits.

use crate::{Decimal, Error, Result};

/// Beyond this an unscaled value is not turned into digits: that takes time with the square of its length.
const MAX_UNSCALED_BYTES: usize = 4096;

/// More digits in a number are refused, as Kafka Connect's JSON parser refuses them.
const MAX_DIGITS: usize = 1000;

/// Nine digits at a time
const CHUNK: u64 = 1_000_000_000;

impl Decimal {
    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.unscaled.first().is_some_and(|first| first & 0x80 != 0)
    }

    /// The digits of the unscaled value without sign or leading zeros; `0` for zero.
    ///
    /// # Errors
    /// `BadRecord` for a value of nearly ten thousand digits or more.
    pub fn digits(&self) -> Result<String> {
        if self.unscaled.len() > MAX_UNSCALED_BYTES {
            let length = self.unscaled.len();
            return Err(Error::bad_record(format!("a decimal of {length} bytes is too long to be written in digits")));
        }
        let mut limbs = magnitude(&self.unscaled, self.is_negative());
        let mut chunks = Vec::new();
        while limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0_u64;
            for limb in limbs.iter_mut().rev() {
                let current = rest << 32 | u64::from(*limb);
                *limb = low(current / CHUNK);
                rest = current % CHUNK;
            }
            while limbs.last() == Some(&0) {
                limbs.pop();
            }
            chunks.push(rest);
        }
        let mut digits = chunks.last().map_or_else(|| "0".to_owned(), u64::to_string);
        for chunk in chunks.iter().rev().skip(1) {
            digits.push_str(&format!("{chunk:09}"));
        }
        Ok(digits)
    }

    /// The decimal of these ASCII digits with the shortest unscaled value, as Java's `BigInteger` has it.
    ///
    /// # Errors
    /// `BadRecord` for more than a thousand digits, and for what is no digit.
    pub fn from_digits(negative: bool, digits: &str, scale: i32) -> Result<Self> {
        if digits.len() > MAX_DIGITS || digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Error::bad_record(format!("not a decimal of 1 to {MAX_DIGITS} digits")));
        }
        let mut limbs: Vec<u32> = Vec::with_capacity(digits.len() / 9 + 1);
        for digit in digits.bytes() {
            let mut carry = u64::from(digit - b'0');
            for limb in &mut limbs {
                let current = u64::from(*limb) * 10 + carry;
                *limb = low(current);
                carry = current >> 32;
            }
            if carry > 0 {
                limbs.push(low(carry));
            }
        }
        let mut bytes: Vec<u8> =
            std::iter::once(0).chain(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes())).collect();
        if negative {
            negate(&mut bytes);
        }
        let fill = if bytes[0] & 0x80 == 0 { 0 } else { 0xff };
        let redundant = |pair: &[u8]| pair[0] == fill && (pair[1] ^ fill) & 0x80 == 0;
        let start = bytes.windows(2).take_while(|pair| redundant(pair)).count();
        Ok(Self { unscaled: Box::from(&bytes[start..]), scale })
    }

    /// A number such as `-12.50e3`, with the scale it is written with: the digits after the point less the exponent.
    ///
    /// # Errors
    /// `BadRecord` for what is no such number.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::bad_record("not a decimal number");
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().map_err(|_| bad())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits_after = i64::try_from(fraction.len()).map_err(|_| bad())?;
        let scale = digits_after.checked_sub(exponent).and_then(|scale| i32::try_from(scale).ok()).ok_or_else(bad)?;
        Self::from_digits(negative, &format!("{whole}{fraction}"), scale)
    }

    /// As Java's `BigDecimal.toString`, which is a JSON number, too: plain where that is short, else with an exponent.
    ///
    /// # Errors
    /// As [`Decimal::digits`].
    pub fn text(&self) -> Result<String> {
        let digits = self.digits()?;
        let sign = if self.is_negative() { "-" } else { "" };
        let adjusted = digits.len() as i64 - 1 - i64::from(self.scale);
        if self.scale == 0 {
            return Ok(format!("{sign}{digits}"));
        }
        if self.scale > 0 && adjusted >= -6 {
            let scale = usize::try_from(self.scale).unwrap_or(0);
            let padded = format!("{digits:0>width$}", width = scale + 1);
            let (whole, fraction) = padded.split_at(padded.len() - scale);
            return Ok(format!("{sign}{whole}.{fraction}"));
        }
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { String::new() } else { format!(".{rest}") };
        Ok(if adjusted == 0 { format!("{sign}{first}{point}") } else { format!("{sign}{first}{point}E{adjusted:+}") })
    }
}

#[allow(clippy::cast_possible_truncation)] // the lower half is what is asked for
fn low(value: u64) -> u32 {
    value as u32
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes.iter_mut().rev() {
        (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
    }
}

/// The magnitude, least significant limb first.
fn magnitude(unscaled: &[u8], negative: bool) -> Vec<u32> {
    let mut bytes = unscaled.to_vec();
    if negative {
        negate(&mut bytes);
    }
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_bytes_are_javas() {
        for (text, bytes, scale) in [
            ("0", &[0][..], 0),
            ("127", &[0x7f], 0),
            ("128", &[0, 0x80], 0),
            ("-128", &[0x80], 0),
            ("-129", &[0xff, 0x7f], 0),
            ("2.22", &[0, 0xde], 2),
            ("-0.01", &[0xff], 2),
            ("4294967296", &[1, 0, 0, 0, 0], 0),
            ("1E+3", &[1], -3),
            ("1E-30", &[1], 30),
            ("1.5E+400", &[15], -399),
        ] {
            let decimal = Decimal::parse(text).unwrap();
            assert_eq!((&decimal.unscaled[..], decimal.scale), (bytes, scale), "{text}");
            assert_eq!(decimal.text().unwrap(), text);
        }
        let long = format!("-{}", "1234567890".repeat(90));
        assert_eq!(Decimal::parse(&long).unwrap().text().unwrap(), long);
        assert_eq!(Decimal { unscaled: Box::default(), scale: 0 }.text().unwrap(), "0");
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", "1.2.3", "x", "1e", "1e99999999999", &"1".repeat(1001)] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert!(Decimal { unscaled: vec![1; 5000].into(), scale: 0 }.digits().is_err());
    }
}
