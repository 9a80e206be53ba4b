//! The character sets that every Java has, decoded and encoded as Java does: what is malformed becomes U+FFFD, what cannot
//! be said becomes `?`.

use bytes::Bytes;
use millrace_sdk::Text;

/// A character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    Utf8,
    Ascii,
    Latin1,
    /// Big-endian with a byte order mark; when decoding the mark decides
    Utf16,
    Utf16Be,
    Utf16Le,
}

/// Java's names of them, in lower case.
const NAMES: &[(Charset, &[&str])] = &[
    (Charset::Utf8, &["utf-8", "utf8", "unicode-1-1-utf-8"]),
    (Charset::Ascii, &["us-ascii", "ascii", "iso646-us", "ascii7", "646", "cp367", "ansi_x3.4-1968"]),
    (Charset::Latin1, &["iso-8859-1", "iso8859_1", "iso8859-1", "8859_1", "latin1", "l1", "iso_8859-1", "cp819"]),
    (Charset::Utf16, &["utf-16", "utf_16", "utf16", "unicode", "unicodebig"]),
    (Charset::Utf16Be, &["utf-16be", "utf_16be", "x-utf-16be", "unicodebigunmarked", "iso-10646-ucs-2"]),
    (Charset::Utf16Le, &["utf-16le", "utf_16le", "x-utf-16le", "unicodelittleunmarked"]),
];

impl Charset {
    /// The set of that name, in any case.
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_lowercase();
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(set, _)| *set)
    }

    /// The text; well-formed UTF-8 is not copied, unless it is short.
    pub(super) fn decode(self, bytes: &Bytes) -> Text {
        match self {
            Self::Utf8 => utf8(bytes),
            Self::Ascii => single(bytes, |byte| if byte.is_ascii() { char::from(byte) } else { '\u{fffd}' }),
            Self::Latin1 => single(bytes, char::from),
            Self::Utf16 => match bytes.get(..2) {
                Some([0xff, 0xfe]) => utf16(&bytes[2..], u16::from_le_bytes),
                Some([0xfe, 0xff]) => utf16(&bytes[2..], u16::from_be_bytes),
                _ => utf16(bytes, u16::from_be_bytes),
            },
            Self::Utf16Be => utf16(bytes, u16::from_be_bytes),
            Self::Utf16Le => utf16(bytes, u16::from_le_bytes),
        }
    }

    /// The bytes; UTF-8 is not copied, unless it is short.
    pub(super) fn encode(self, text: &Text) -> Bytes {
        let single = |limit: u32| {
            text.chars().map(|c| if u32::from(c) < limit { u8::try_from(c).unwrap_or(b'?') } else { b'?' }).collect()
        };
        match self {
            Self::Utf8 => text.to_bytes(),
            Self::Ascii if text.is_ascii() => text.to_bytes(),
            Self::Ascii => single(0x80),
            Self::Latin1 => single(0x100),
            // Java writes no byte order mark before nothing.
            Self::Utf16 if text.is_empty() => Bytes::new(),
            Self::Utf16 => std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        }
    }
}

/// UTF-8 with U+FFFD for what is malformed; an encoded surrogate is one such place in Java and three in Rust.
pub(super) fn utf8(bytes: &Bytes) -> Text {
    if let Ok(text) = Text::slice(bytes, 0..bytes.len()) {
        return text;
    }
    let mut copy = bytes.to_vec();
    for at in 0..copy.len().saturating_sub(2) {
        if copy[at] == 0xed && (0xa0..=0xbf).contains(&copy[at + 1]) && (0x80..=0xbf).contains(&copy[at + 2]) {
            copy[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
        }
    }
    Text::from(String::from_utf8_lossy(&copy).into_owned())
}

fn single(bytes: &[u8], char_of: impl Fn(u8) -> char) -> Text {
    Text::from(bytes.iter().map(|byte| char_of(*byte)).collect::<String>())
}

/// A high surrogate takes the unit after it along when that is no low one, as in Java; half a unit at the end is malformed.
fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Text {
    let mut text = String::with_capacity(bytes.len());
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut units = pairs.iter().map(|pair| unit(*pair));
    while let Some(first) = units.next() {
        let high = (0xd800..0xdc00).contains(&first);
        let pair = [first, if high { units.next().unwrap_or(0) } else { 0 }];
        let length = if high { 2 } else { 1 };
        text.push(char::decode_utf16(pair[..length].iter().copied()).next().and_then(Result::ok).unwrap_or('\u{fffd}'));
    }
    if !rest.is_empty() && !(pairs.last().is_some_and(|pair| (0xd800..0xdc00).contains(&unit(*pair)))) {
        text.push('\u{fffd}');
    }
    Text::from(text)
}
