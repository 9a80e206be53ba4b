//! Where the members of a map stand in its text, for who changes some and leaves the others as they are.

use std::ops::Range;

use super::names::{self, Found};
use super::{FEW_NAMES, Scanner, check_utf8};

/// A member of a map.
#[derive(Debug, Clone, Copy)]
pub struct Member {
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
    pub fn name<'a>(&self, text: &'a [u8]) -> &'a str {
        std::str::from_utf8(self.bare_name(text)).unwrap_or_default()
    }

    fn bare_name<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        let start = self.start as usize + 1;
        &text[start..start + self.length as usize]
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
    is_short(bytes) && check_utf8(bytes).is_ok() && walk(bytes, found).is_some()
}

fn is_short(bytes: &[u8]) -> bool {
    u32::try_from(bytes.len()).is_ok()
}

#[allow(clippy::cast_possible_truncation)] // the text is not longer than that
fn walk(bytes: &[u8], found: &mut Vec<Member>) -> Option<()> {
    found.clear();
    let mut scanner = Scanner::new(bytes);
    if !scanner.enter(b'{').ok()? {
        return None;
    }
    names::level(|names| {
        while scanner.more(found.len(), b'}').ok()? {
            scanner.peek();
            let start = scanner.position() as u32;
            let text = scanner.text().ok().filter(|text| !text.escaped)?;
            let name = &bytes[text.content];
            match names.find(name) {
                Found::New(_) => {}
                Found::Unknown if is_new(bytes, name, found) => {}
                Found::Again(_) | Found::Unknown => return None,
            }
            scanner.expect(b':').ok()?;
            found.push(Member { start, length: name.len() as u32, value: value(&mut scanner)? });
        }
        scanner.end().ok()
    })
}

/// Whether a name that is not kept is the first of its map; not known of maps with many members.
fn is_new(bytes: &[u8], name: &[u8], found: &[Member]) -> bool {
    found.len() <= FEW_NAMES && !found.iter().any(|member| member.bare_name(bytes) == name)
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // the text is not longer than that
fn value(scanner: &mut Scanner<'_>) -> Option<(u32, u32)> {
    scanner.peek();
    let from = scanner.position() as u32;
    scanner.pass().ok()?;
    Some((from, scanner.position() as u32))
}

/// The names of a map's members, which differ, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// With their quotes
    names: Vec<Box<str>>,
}

impl Layout {
    /// Of members that [`members`] has found.
    #[must_use]
    pub fn of(text: &[u8], found: &[Member]) -> Self {
        Self { names: found.iter().map(|member| format!("\"{}\"", member.name(text)).into()).collect() }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &name[1..name.len() - 1])
    }

    /// Whether members that were found are these.
    #[must_use]
    pub fn is_of(&self, text: &[u8], found: &[Member]) -> bool {
        self.names.len() == found.len()
            && self.names().zip(found).all(|(name, one)| one.bare_name(text) == name.as_bytes())
    }

    /// As [`members`], for a map that has these members, which is quicker. False when it has others, too.
    #[must_use]
    pub fn find(&self, bytes: &[u8], found: &mut Vec<Member>) -> bool {
        is_short(bytes) && check_utf8(bytes).is_ok() && self.walk(bytes, found).is_some()
    }

    #[allow(clippy::cast_possible_truncation)] // the text is not longer than that
    fn walk(&self, bytes: &[u8], found: &mut Vec<Member>) -> Option<()> {
        found.clear();
        found.reserve(self.names.len());
        let mut scanner = Scanner::new(bytes);
        if !scanner.enter(b'{').ok()? {
            return None;
        }
        for (index, name) in self.names.iter().enumerate() {
            if !scanner.more(index, b'}').ok()? {
                return None;
            }
            scanner.peek();
            let (start, length) = (scanner.position() as u32, name.len() as u32 - 2);
            if !scanner.name_is(name.as_bytes()).ok()? {
                return None;
            }
            found.push(Member { start, length, value: value(&mut scanner)? });
        }
        if scanner.more(self.names.len(), b'}').ok()? {
            return None;
        }
        scanner.end().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stand_where_they_stand() {
        let text = " {\"a\" : 1 ,\"long name\":{\"a\":[2, 3]}, \"é\":\"x\\n\" } ";
        let mut found = Vec::new();
        assert!(members(text.as_bytes(), &mut found));
        let layout = Layout::of(text.as_bytes(), &found);
        assert!(layout.is_of(text.as_bytes(), &found));
        for look in [&members as &dyn Fn(&[u8], &mut Vec<Member>) -> bool, &|text, found| layout.find(text, found)] {
            assert!(look(text.as_bytes(), &mut found));
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
        assert!(Layout::of(b"{}", &found).find(b" { } ", &mut found));
    }

    #[test]
    fn what_is_not_that_simple_is_refused() {
        let mut found = Vec::new();
        assert!(members(b"{\"aa\":1,\"a\":2}", &mut found));
        let two = Layout::of(b"{\"aa\":1,\"a\":2}", &found);
        assert!(members(b"{\"a\":1}", &mut found));
        let one = Layout::of(b"{\"a\":1}", &found);
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
            assert!(!one.find(text.as_bytes(), &mut found), "{text}");
            assert!(!two.find(text.as_bytes(), &mut found), "{text}");
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
        let twice = format!("{{\"{one}\":1,\"{one}\":2}}");
        assert!(!members(twice.as_bytes(), &mut found));
    }

    #[test]
    fn other_maps_are_not_of_a_layout() {
        let mut found = Vec::new();
        let text = b"{\"a\":1,\"name of it\":2,\"four\":3,\"one that is longer than others\":4}";
        assert!(members(text, &mut found));
        let layout = Layout::of(text, &found);
        let names: Vec<&str> = layout.names().collect();
        assert_eq!(names, ["a", "name of it", "four", "one that is longer than others"]);
        assert!(layout.find(text, &mut found) && found.len() == 4);
        let text = String::from_utf8(text.to_vec()).unwrap();
        for (old, new) in [
            ("\"a\"", "\"b\""),
            ("name of it", "name_of it"),
            ("four", "foul"),
            ("than others", "than_others"),
            (",\"four\":3", ""),
            (":4}", ":4,\"b\":5}"),
            ("\"four\"", "\"fou\\u0072\""),
        ] {
            let other = text.replace(old, new);
            assert!(!layout.find(other.as_bytes(), &mut found), "{other}");
            if members(other.as_bytes(), &mut found) {
                assert!(!layout.is_of(other.as_bytes(), &found), "{other}");
            }
        }
    }
}
