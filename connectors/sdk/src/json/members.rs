//! Where the members of a map stand in its text, for who changes some and leaves the others as they are.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;

use super::names::{self, Found};
use super::{FEW_NAMES, Scanner, Text, check_utf8, text_at};
use crate::Result;

/// A member of a map.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name, if it is one that is kept
    kept: Option<&'static str>,
    /// Where its name's quote stands
    start: u32,
    /// How long its name is, which has no escapes
    length: u32,
    /// Where its value stands
    value: (u32, u32),
}

impl Member {
    /// Its name in the text that it was found in.
    #[must_use]
    #[inline]
    pub fn name<'a>(&self, text: &'a [u8]) -> &'a str {
        match self.kept {
            Some(name) => name,
            None => {
                let start = self.start as usize + 1;
                std::str::from_utf8(&text[start..start + self.length as usize]).unwrap_or_default()
            }
        }
    }

    /// Its name for whoever keeps it.
    ///
    /// # Errors
    /// `BadRecord` when the text is not the one that it was found in.
    pub fn owned_name(&self, text: &Bytes) -> Result<ByteString> {
        match self.kept {
            Some(name) => Ok(ByteString::from_static(name)),
            None => {
                let start = self.start as usize + 1;
                let content = start..start + self.length as usize;
                text_at(text, &Text { content, escaped: false })
            }
        }
    }

    /// Where its value stands.
    #[must_use]
    pub fn value(&self) -> Range<usize> {
        self.value.0 as usize..self.value.1 as usize
    }

    /// Where all of it stands.
    #[must_use]
    pub fn whole(&self) -> Range<usize> {
        self.start as usize..self.value.1 as usize
    }
}

/// Finds the members of a map, in order, and checks the syntax of all of the text. False when it is not that simple: the text
/// is not JSON or no map, or some name has escapes or comes twice, or there are many that are not kept. Then nothing can be said about
/// `found`.
#[must_use]
pub fn members(bytes: &[u8], found: &mut Vec<Member>) -> bool {
    found.clear();
    u32::try_from(bytes.len()).is_ok() && check_utf8(bytes).is_ok() && walk(bytes, found).is_some()
}

#[allow(clippy::cast_possible_truncation)] // the text is not longer than that
fn walk(bytes: &[u8], found: &mut Vec<Member>) -> Option<()> {
    let mut scanner = Scanner::new(bytes);
    if !scanner.enter(b'{').ok()? {
        return None;
    }
    names::level(|names| {
        while scanner.more(found.len(), b'}').ok()? {
            if scanner.peek() != Some(b'"') {
                return None;
            }
            let start = scanner.position();
            let (kept, length) = if let Some(Found::New(name)) = names.find_usual(&bytes[start + 1..]) {
                scanner.skip(name.len() + 2);
                (Some(name), name.len())
            } else {
                let text = scanner.text().ok().filter(|text| !text.escaped)?;
                let name = &bytes[text.content];
                match names.find(name) {
                    Found::New(kept) => (Some(kept), name.len()),
                    Found::Unknown if is_new(bytes, name, found) => (None, name.len()),
                    Found::Again(_) | Found::Unknown => return None,
                }
            };
            scanner.expect(b':').ok()?;
            scanner.peek();
            let from = scanner.position() as u32;
            scanner.pass().ok()?;
            let value = (from, scanner.position() as u32);
            found.push(Member { kept, start: start as u32, length: length as u32, value });
        }
        scanner.end().ok()
    })
}

/// Whether a name that is not kept is the first of its map; not known of maps with many members.
fn is_new(bytes: &[u8], name: &[u8], found: &[Member]) -> bool {
    found.len() <= FEW_NAMES && !found.iter().any(|member| member.name(bytes).as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_where_they_stand() {
        let text = " {\"a\" : 1 ,\"long name\":{\"a\":[2, 3]}, \"é\":\"x\\n\" } ";
        let mut found = Vec::new();
        // The second time its names are those that are expected.
        for _ in 0..2 {
            assert!(members(text.as_bytes(), &mut found));
            let parts: Vec<_> =
                found.iter().map(|one| (one.name(text.as_bytes()), &text[one.value()], &text[one.whole()])).collect();
            assert_eq!(
                parts,
                [
                    ("a", "1", "\"a\" : 1"),
                    ("long name", "{\"a\":[2, 3]}", "\"long name\":{\"a\":[2, 3]}"),
                    ("é", "\"x\\n\"", "\"é\":\"x\\n\""),
                ]
            );
        }
        assert!(members(b"{}", &mut found) && found.is_empty());
    }

    #[test]
    fn what_is_not_that_simple_is_refused() {
        let mut found = Vec::new();
        assert!(members(b"{\"aa\":1,\"a\":2}", &mut found));
        for text in [
            "",
            "1",
            "[]",
            "{",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a",
            "{\"aa",
            "{\"a\":01}",
            "{\"a\":1} x",
            "{\"a\":1,\"a\":2}",
            "{\"aa\":1,\"a\":2,\"aa\":3}",
            "{\"\\u0061\":1}",
            "{\"a\":{\"b\":tru}}",
        ] {
            assert!(!members(text.as_bytes(), &mut found), "{text}");
        }
        assert!(!members(b"{\"a\":\"\xff\"}", &mut found));
    }

    #[test]
    fn names_that_are_too_long_to_be_kept() {
        let (one, other) = ("n".repeat(100), "m".repeat(100));
        let text = format!("{{\"{one}\":1,\"{other}\":2}}");
        let mut found = Vec::new();
        assert!(members(text.as_bytes(), &mut found));
        assert_eq!([found[0].name(text.as_bytes()), found[1].name(text.as_bytes())], [&*one, &*other]);
        assert_eq!(found[1].owned_name(&Bytes::from(text)).unwrap(), *other);
        let twice = format!("{{\"{one}\":1,\"{one}\":2}}");
        assert!(!members(twice.as_bytes(), &mut found));
    }
}
