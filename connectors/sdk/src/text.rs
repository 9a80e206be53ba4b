//! Text as values, names and headers hold it.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Deref, Range};
use std::str::Utf8Error;

use arrayvec::ArrayString;
use bytes::Bytes;
use bytestring::ByteString;

/// Text that nobody changes. Longer text is a slice of the buffer it came in, which is counted; short text — most names and
/// most texts of a record — is copied instead, because the two counts cost more than the copy.
#[derive(Clone)]
pub struct Text(Held);

#[derive(Clone)]
enum Held {
    Short(ArrayString<{ Text::SHORT }>),
    Shared(ByteString),
}

const _: () = assert!(size_of::<Text>() == size_of::<Bytes>());

impl Text {
    /// Text of up to so many bytes lies where it is used; the largest number that leaves a [`Text`] no larger than a slice.
    pub const SHORT: usize = 20;

    /// No text.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self(Held::Short(ArrayString::new()))
    }

    /// Text of the program.
    #[must_use]
    #[inline]
    pub const fn from_static(text: &'static str) -> Self {
        Self(Held::Shared(ByteString::from_static(text)))
    }

    /// A part of a buffer, which is copied if it is short and keeps the buffer alive if it is not.
    ///
    /// # Errors
    /// When it is no UTF-8.
    ///
    /// # Panics
    /// When the buffer has no such part.
    #[inline]
    pub fn slice(buffer: &Bytes, part: Range<usize>) -> Result<Self, Utf8Error> {
        if part.len() > Self::SHORT {
            return ByteString::try_from(buffer.slice(part)).map(|text| Self(Held::Shared(text)));
        }
        let text = std::str::from_utf8(&buffer[part])?;
        Ok(Self::short(text).unwrap_or_default()) // its length was looked at
    }

    #[inline]
    fn short(text: &str) -> Option<Self> {
        ArrayString::from(text).ok().map(|text| Self(Held::Short(text)))
    }

    /// The text.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Held::Short(text) => text,
            Held::Shared(text) => text,
        }
    }

    /// Its bytes: the slice that it is, or a copy if it is short.
    #[must_use]
    #[inline]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Held::Short(text) => Bytes::copy_from_slice(text.as_bytes()),
            Held::Shared(text) => text.as_bytes().clone(),
        }
    }

    /// The same, with no buffer held.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self::from(self.as_str())
    }
}

impl Default for Text {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl From<&str> for Text {
    #[inline]
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self(Held::Shared(ByteString::from(text))))
    }
}

impl From<String> for Text {
    #[inline]
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self(Held::Shared(ByteString::from(text))))
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.as_str().to_owned()
    }
}

impl TryFrom<Bytes> for Text {
    type Error = Utf8Error;

    #[inline]
    fn try_from(bytes: Bytes) -> Result<Self, Utf8Error> {
        let text = ByteString::try_from(bytes)?;
        Ok(Self::short(&text).unwrap_or(Self(Held::Shared(text))))
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    #[inline]
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self
    }
}

impl<T: AsRef<str> + ?Sized> PartialEq<T> for Text {
    #[inline]
    fn eq(&self, other: &T) -> bool {
        self.as_str() == other.as_ref()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_is_the_same_however_it_was_made(text in ".{0,24}", before in 0usize..4) {
            let buffer = Bytes::from(format!("{}{text}..", ".".repeat(before)));
            let part = before..before + text.len();
            let made = [
                Text::from(text.as_str()),
                Text::from(text.clone()),
                Text::try_from(buffer.slice(part.clone())).unwrap(),
                Text::slice(&buffer, part.clone()).unwrap(),
                Text::slice(&buffer, part).unwrap().detached(),
                Text::from_static(Box::leak(text.clone().into_boxed_str())),
            ];
            for one in &made {
                prop_assert_eq!(one.as_str(), text.as_str());
                prop_assert_eq!(one.to_bytes(), text.as_bytes());
                prop_assert_eq!(one.clone(), made[0].clone());
            }
        }

        #[test]
        fn only_utf8_is_text(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            let valid = std::str::from_utf8(&bytes).is_ok();
            let bytes = Bytes::from(bytes);
            prop_assert_eq!(Text::slice(&bytes, 0..bytes.len()).is_ok(), valid);
            prop_assert_eq!(Text::try_from(bytes).is_ok(), valid);
        }
    }

    #[test]
    fn long_text_is_a_slice_of_its_buffer_and_short_text_holds_none() {
        let buffer = Bytes::from("a text of more than twenty bytes".to_owned());
        let (long, short) = (Text::slice(&buffer, 0..21).unwrap(), Text::slice(&buffer, 0..20).unwrap());
        assert_eq!(long.to_bytes().as_ptr(), buffer.as_ptr());
        assert_eq!(long.as_str(), "a text of more than t");
        drop(long);
        assert_eq!(short.as_str(), "a text of more than ");
        assert!(buffer.is_unique());
    }
}
