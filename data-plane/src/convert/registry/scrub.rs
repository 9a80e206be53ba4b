//! Names made fit for schema languages, which take letters, digits and `_`, as Confluent's converters do it.

use std::borrow::Cow;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The name as it is, unless it is to be made fit: what a schema language does not take is written as in a URL, with `_` for
/// `%` and the rest. `letter_first` also forbids `_` at the beginning.
pub(in crate::convert) fn scrubbed(name: &str, scrub: bool, letter_first: bool) -> Cow<'_, str> {
    let bad_start = |c: char| c.is_ascii_digit() || (letter_first && c == '_');
    let fine = name.bytes().all(is_word) && !name.starts_with(bad_start);
    if !scrub || fine || name.is_empty() {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len() + 8);
    if name.starts_with(bad_start) {
        out.push('x');
    }
    for byte in name.bytes() {
        match byte {
            _ if is_word(byte) => out.push(char::from(byte)),
            // What a URL leaves as it is, and the space, which it writes as one character
            b'.' | b'-' | b'*' | b' ' => out.push('_'),
            _ => out.push_str(&format!("_{byte:02X}")),
        }
    }
    Cow::Owned(out)
}
