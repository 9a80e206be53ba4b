//! JSON bytes into BSON by a visitor: each token is written as it is read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use millrace_sdk::{Error, Result};
use mongodb::bson::Decimal128;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

use super::{Dialect, Writer, extended, kind};

/// From this many fields on, repeated names are looked for by hash.
const MANY_FIELDS: usize = 32;

fn not_json(error: &serde_json::Error) -> Error {
    Error::bad_record(format!("cannot make a document of the JSON: {error}"))
}

fn drive<'de, S: DeserializeSeed<'de>>(bytes: &'de [u8], seed: S) -> Result<S::Value> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer).map_err(|error| not_json(&error))?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// A JSON value as the payload of the element started at `at`.
pub(super) fn element(writer: &mut Writer, at: usize, bytes: &[u8], dialect: Dialect) -> Result<()> {
    drive(bytes, Element { writer, at, dialect })
}

/// Which members of an object are taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken<'n> {
    All,
    AllButId,
    Only(&'n [String]),
}

impl Taken<'_> {
    fn takes(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllButId => name != "_id",
            Self::Only(names) => names.iter().any(|one| one == name),
        }
    }
}

/// Members of a JSON object into the open document.
pub(super) fn fields(writer: &mut Writer, bytes: &[u8], dialect: Dialect, taken: Taken<'_>) -> Result<()> {
    drive(bytes, Root { writer, dialect, taken })
}

/// The member `name` of a JSON object as the payload of the element started at `at`; false when there is none.
pub(super) fn member(writer: &mut Writer, at: usize, bytes: &[u8], name: &str, dialect: Dialect) -> Result<bool> {
    drive(bytes, Member { writer, at, name, dialect })
}

/// A name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

struct Root<'w, 'n> {
    writer: &'w mut Writer,
    dialect: Dialect,
    taken: Taken<'n>,
}

impl<'de> DeserializeSeed<'de> for Root<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Root<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let first = map.next_key::<Name<'de>>()?;
        members(self.writer, map, first.map(|name| name.0), self.dialect, self.taken)
    }
}

struct Member<'w, 'n> {
    writer: &'w mut Writer,
    at: usize,
    name: &'n str,
    dialect: Dialect,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<bool, A::Error> {
        let payload = self.writer.len();
        let mut found = false;
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            if name != self.name {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            // The last of repeated names wins.
            self.writer.truncate(payload);
            found = true;
            map.next_value_seed(Element { writer: &mut *self.writer, at: self.at, dialect: self.dialect })?;
        }
        Ok(found)
    }
}

/// Members of an object into the open document. `first` is the name that was read already.
fn members<'de, A: MapAccess<'de>>(
    writer: &mut Writer,
    mut map: A,
    first: Option<Cow<'de, str>>,
    dialect: Dialect,
    taken: Taken<'_>,
) -> std::result::Result<(), A::Error> {
    let base = writer.names.len();
    let mut hashes: Option<(RandomState, HashSet<u64>)> = None;
    let mut next = first;
    while let Some(name) = next {
        if taken.takes(&name) {
            let at = writer.element(&name).map_err(A::Error::custom)?;
            map.next_value_seed(Element { writer: &mut *writer, at, dialect })?;
            if writer.names.len() - base >= MANY_FIELDS && hashes.is_none() {
                let state = RandomState::new();
                let known = writer.names[base..].iter().map(|one| state.hash_one(name_at(&writer.out, one.start)));
                hashes = Some((state.clone(), known.collect()));
            }
            let fresh = hashes.as_mut().is_some_and(|(state, known)| known.insert(state.hash_one(name.as_bytes())));
            note(writer, base, (at, name.as_bytes()), fresh);
        } else {
            map.next_value::<IgnoredAny>()?;
        }
        next = map.next_key::<Name<'de>>()?.map(|name| name.0);
    }
    writer.names.truncate(base);
    Ok(())
}

/// An element that was written, and what its name is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    start: usize,
    end: usize,
    print: u64,
}

/// Different for most different names: the end of a name, and its length.
fn print(name: &[u8]) -> u64 {
    let mut end = [0; 8];
    let taken = name.len().min(8);
    end[..taken].copy_from_slice(&name[name.len() - taken..]);
    u64::from_le_bytes(end) ^ (name.len() as u64).rotate_right(8)
}

/// Remembers the element that starts at `at` and ends here. One of the same name before it is replaced in its place: the
/// last of repeated names wins, as in Java's `LinkedHashMap`.
fn note(writer: &mut Writer, base: usize, (at, name): (usize, &[u8]), fresh: bool) {
    let one = Written { start: at, end: writer.out.len(), print: print(name) };
    let is_same = |other: &Written| other.print == one.print && name_at(&writer.out, other.start) == name;
    let earlier = if fresh { None } else { writer.names[base..].iter().position(is_same) };
    let Some(earlier) = earlier else {
        writer.names.push(one);
        return;
    };
    let element = writer.out.split_off(at);
    let Written { start, end, .. } = writer.names[base + earlier];
    let new_end = start + element.len();
    writer.out.splice(start..end, element);
    writer.names[base + earlier].end = new_end;
    for later in &mut writer.names[base + earlier + 1..] {
        later.start = later.start + new_end - end;
        later.end = later.end + new_end - end;
    }
}

/// The name of the element at `at`: after the type, up to the NUL.
fn name_at(out: &[u8], at: usize) -> &[u8] {
    out[at + 1..].split(|byte| *byte == 0).next().unwrap_or_default()
}

struct Element<'w> {
    writer: &'w mut Writer,
    at: usize,
    dialect: Dialect,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<(), E> {
        self.writer.set(self.at, kind::BOOLEAN, &[u8::from(value)]);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<(), E> {
        match i32::try_from(value) {
            Ok(small) if self.dialect == Dialect::Extended => {
                self.writer.set(self.at, kind::INT32, &small.to_le_bytes());
            }
            _ => self.writer.set(self.at, kind::INT64, &value.to_le_bytes()),
        }
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<(), E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            // Beyond 64 bits signed: the peer wraps around silently; a decimal keeps the number.
            Err(_) => {
                let decimal: Decimal128 = value.to_string().parse().map_err(|_| E::custom("number out of range"))?;
                self.writer.set(self.at, kind::DECIMAL, &decimal.bytes());
                Ok(())
            }
        }
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<(), E> {
        self.writer.set(self.at, kind::DOUBLE, &value.to_le_bytes());
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        self.writer.set(self.at, kind::NULL, &[]);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> std::result::Result<(), E> {
        self.writer.text(self.at, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<(), A::Error> {
        let Self { writer, at, dialect } = self;
        let open = writer.open(at, kind::ARRAY);
        for index in 0.. {
            let before = writer.len();
            let at = writer.item(index);
            if seq.next_element_seed(Element { writer: &mut *writer, at, dialect })?.is_none() {
                writer.out.truncate(before);
                break;
            }
        }
        writer.end(open);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        let Self { writer, at, dialect } = self;
        let first = map.next_key::<Name<'de>>()?.map(|name| name.0);
        if dialect == Dialect::Extended && first.as_ref().is_some_and(|name| extended::is_type(name)) {
            let mut all = Vec::new();
            let mut next = first;
            while let Some(name) = next {
                all.push((name.into_owned(), map.next_value::<Json>()?));
                next = map.next_key::<Name<'de>>()?.map(|name| name.0);
            }
            return extended::object(writer, at, &all).map_err(A::Error::custom);
        }
        let open = writer.open(at, kind::DOCUMENT);
        members(writer, map, first, dialect, Taken::All)?;
        writer.end(open);
        Ok(())
    }
}
