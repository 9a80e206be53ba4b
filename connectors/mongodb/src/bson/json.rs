//! JSON bytes into BSON in one walk: each token is written as it is read.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use memchr::memmem;
use millrace_sdk::json::{self, Fault, Number, Quoted, Scanner, Token};
use millrace_sdk::{Error, Result};
use mongodb::bson::Decimal128;
use serde_json::Value as Json;

use super::{Dialect, Writer, extended, kind};

/// From this many fields on, repeated names are looked for by hash.
const MANY_FIELDS: usize = 32;

/// A JSON value as the payload of the element started at `at`.
pub(super) fn element(writer: &mut Writer, at: usize, bytes: &[u8], dialect: Dialect) -> Result<()> {
    walk(bytes, dialect, |walk| walk.value(writer, at))
}

/// Names that are looked for in JSON.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    list: Vec<String>,
    quoted: Vec<memmem::Finder<'static>>,
}

impl Names {
    pub(crate) fn new(list: Vec<String>) -> Self {
        let quoted = list.iter().map(|name| memmem::Finder::new(&format!("\"{name}\"")).into_owned()).collect();
        Self { list, quoted }
    }

    pub(crate) fn list(&self) -> &[String] {
        &self.list
    }

    /// Whether JSON may have a member anywhere with one of these names.
    fn may_be_in(&self, json: &[u8]) -> bool {
        // An escaped spelling would hide a name.
        memchr::memchr(b'\\', json).is_some() || self.quoted.iter().any(|name| name.find(json).is_some())
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

/// Which members of an object are taken.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taken<'n> {
    All,
    AllButId,
    Only(&'n Names),
}

impl Taken<'_> {
    fn takes(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllButId => name != "_id",
            Self::Only(names) => names.list.iter().any(|one| one == name),
        }
    }
}

/// Whether JSON may have an `_id` anywhere: spares a walk over most.
pub(super) fn may_hold_id(json: &[u8]) -> bool {
    static QUOTED: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("\"_id\""));
    // Letters have one other spelling, with the escape \u.
    QUOTED.find(json).is_some()
        || memchr::memchr(b'\\', json).is_some_and(|from| memmem::find(&json[from..], b"\\u").is_some())
}

/// Members of a JSON object into the open document.
pub(super) fn fields(writer: &mut Writer, bytes: &[u8], dialect: Dialect, taken: Taken<'_>) -> Result<()> {
    let base = writer.names.len();
    walk(bytes, dialect, |walk| {
        walk.enter()?;
        let (index, next) = walk.usual(writer, taken)?;
        walk.members(writer, base, (index, next), taken)
    })?;
    if !matches!(taken, Taken::Only(_)) {
        if writer.begun && writer.usual.is_empty() {
            writer.usual = usual(&writer.names[base..], &writer.out);
        }
        writer.begun = true;
    }
    writer.names.truncate(base);
    Ok(())
}

/// A name that many maps have at the same place, as most records of a batch are alike.
#[derive(Debug)]
pub(super) struct Usual {
    /// In quotes
    name: Box<str>,
    print: u64,
}

impl Usual {
    fn name(&self) -> &str {
        &self.name[1..self.name.len() - 1]
    }
}

/// The first names of a map that was written, which all differ: those that JSON has no escapes for.
fn usual(written: &[Written], out: &[u8]) -> Vec<Usual> {
    let usual = |one: &Written| {
        let name = std::str::from_utf8(name_at(out, one.start)).ok()?;
        let is_plain = !name.contains(|c: char| c < ' ' || c == '"' || c == '\\');
        is_plain.then(|| Usual { name: format!("\"{name}\"").into(), print: one.print })
    };
    written.iter().take(MANY_FIELDS - 1).map_while(usual).collect()
}

/// The `_id` of a JSON object as the payload of the element started at `at`; false when there is none.
pub(super) fn id(writer: &mut Writer, at: usize, bytes: &[u8], dialect: Dialect) -> Result<bool> {
    walk(bytes, dialect, |walk| {
        walk.enter()?;
        let (payload, mut found) = (writer.len(), false);
        for index in 0.. {
            match walk.name(index)? {
                None => break,
                Some(other) if other != "_id" => {
                    walk.scanner.value()?;
                }
                Some(_) => {
                    // The last of repeated names wins.
                    writer.truncate(payload);
                    found = true;
                    walk.value(writer, at)?;
                }
            }
        }
        Ok(found)
    })
}

/// Why a walk ends early.
enum Stop {
    /// Not JSON
    Fault(Fault),
    /// JSON that MongoDB cannot hold
    Error(Error),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A walk over JSON text.
struct Walk<'a> {
    text: &'a str,
    scanner: Scanner<'a>,
    dialect: Dialect,
}

/// Walks over all of a text; what follows the value must be white space.
fn walk<T>(bytes: &[u8], dialect: Dialect, step: impl FnOnce(&mut Walk<'_>) -> Result<T, Stop>) -> Result<T> {
    let text = json::check_utf8(bytes)?;
    let mut walk = Walk { text, scanner: Scanner::new(bytes), dialect };
    let outcome = step(&mut walk).and_then(|value| Ok(walk.scanner.end().map(|()| value)?));
    outcome.map_err(|stop| match stop {
        Stop::Fault(fault) => {
            Error::bad_record("cannot make a document of the JSON").because(json::refused(bytes, fault))
        }
        Stop::Error(error) => error,
    })
}

impl<'a> Walk<'a> {
    fn enter(&mut self) -> Result<(), Stop> {
        if self.scanner.enter(b'{')? {
            return Ok(());
        }
        let found = match self.scanner.token()? {
            Token::Text(_) => "a string",
            Token::Number(_) => "a number",
            Token::Word(b'n', _) => "null",
            Token::Word(..) => "a boolean",
            Token::Nested(_) => "a list",
        };
        let message = format!("cannot make a document of the JSON: expected a JSON object, found {found}");
        Err(Stop::Error(Error::bad_record(message)))
    }

    /// The name of the next member; none when the object ends.
    fn name(&mut self, index: usize) -> Result<Option<Cow<'a, str>>, Stop> {
        if !self.scanner.more(index, b'}')? {
            return Ok(None);
        }
        let name = self.scanner.name()?;
        self.content(&name).map(Some)
    }

    /// A text without its escapes.
    fn content(&self, text: &Quoted) -> Result<Cow<'a, str>, Stop> {
        if !text.escaped {
            return Ok(Cow::Borrowed(&self.text[text.content.clone()]));
        }
        let literal = &self.text[text.content.start - 1..text.content.end + 1];
        let unescaped: Result<String, _> = serde_json::from_str(literal);
        unescaped.map(Cow::Owned).map_err(|_| Stop::Fault(Fault::Syntax(text.content.start)))
    }

    fn value(&mut self, writer: &mut Writer, at: usize) -> Result<(), Stop> {
        match self.scanner.peek() {
            Some(b'{') => return self.object(writer, at),
            Some(b'[') => return self.list(writer, at),
            _ => {}
        }
        match self.scanner.token()? {
            Token::Text(text) => writer.text(at, &self.content(&text)?),
            Token::Word(b'n', _) => writer.set(at, kind::NULL, &[]),
            Token::Word(letter, _) => writer.set(at, kind::BOOLEAN, &[u8::from(letter == b't')]),
            Token::Number(range) => self.number(writer, at, &self.text[range])?,
            Token::Nested(_) => {}
        }
        Ok(())
    }

    fn number(&self, writer: &mut Writer, at: usize, digits: &str) -> Result<(), Stop> {
        match json::number(digits) {
            Number::Int(number) => match i32::try_from(number) {
                Ok(small) if self.dialect == Dialect::Extended => writer.set(at, kind::INT32, &small.to_le_bytes()),
                _ => writer.set(at, kind::INT64, &number.to_le_bytes()),
            },
            Number::Float(number) => writer.set(at, kind::DOUBLE, &number.to_le_bytes()),
            Number::Beyond => {
                let out_of_range = || {
                    Error::bad_record(format!(
                        "cannot make a document of the JSON: the number {digits} is out of range"
                    ))
                };
                // Beyond 64 bits signed: the peer wraps around silently; a decimal keeps the number.
                if digits.parse::<u64>().is_ok() {
                    let decimal: Decimal128 = digits.parse().map_err(|_| out_of_range())?;
                    writer.set(at, kind::DECIMAL, &decimal.bytes());
                    return Ok(());
                }
                let number = digits.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(out_of_range)?;
                writer.set(at, kind::DOUBLE, &number.to_le_bytes());
            }
        }
        Ok(())
    }

    fn list(&mut self, writer: &mut Writer, at: usize) -> Result<(), Stop> {
        self.scanner.enter(b'[')?;
        let open = writer.open(at, kind::ARRAY);
        let mut index = 0;
        while self.scanner.more(index, b']')? {
            let at = writer.item(index);
            self.value(writer, at)?;
            index += 1;
        }
        writer.end(open);
        Ok(())
    }

    fn object(&mut self, writer: &mut Writer, at: usize) -> Result<(), Stop> {
        self.scanner.enter(b'{')?;
        let first = self.name(0)?;
        if self.dialect == Dialect::Extended && first.as_ref().is_some_and(|name| extended::is_type(name)) {
            return self.special(writer, at, first);
        }
        let (open, base) = (writer.open(at, kind::DOCUMENT), writer.names.len());
        self.members(writer, base, (0, first), Taken::All)?;
        writer.names.truncate(base);
        writer.end(open);
        Ok(())
    }

    /// An object that may stand for a type.
    fn special(&mut self, writer: &mut Writer, at: usize, first: Option<Cow<'a, str>>) -> Result<(), Stop> {
        let (mut all, mut next) = (Vec::new(), first);
        while let Some(name) = next {
            let range = self.scanner.value()?;
            let value: Json = serde_json::from_str(&self.text[range.clone()]).map_err(|error| {
                Error::bad_record(format!("cannot make a document of the JSON: {error}, after byte {}", range.start))
            })?;
            all.push((name.into_owned(), value));
            next = self.name(all.len())?;
        }
        extended::object(writer, at, &all)
            .map_err(|why| Stop::Error(Error::bad_record(format!("cannot make a document of the JSON: {why}"))))
    }

    /// Whether the members that are wanted are there and none comes again, so that the rest need not be looked at: what a
    /// converter has handed over is JSON, a text need not be.
    fn has_all(&self, taken: Taken<'_>, found: usize) -> bool {
        let Taken::Only(names) = taken else { return false };
        self.dialect == Dialect::Connect
            && found == names.list.len()
            && !names.may_be_in(&self.text.as_bytes()[self.scanner.position()..])
    }

    /// Members into the open document as long as their names are the usual ones: how many there were, and the name after them.
    fn usual(&mut self, writer: &mut Writer, taken: Taken<'_>) -> Result<(usize, Option<Cow<'a, str>>), Stop> {
        let all = if matches!(taken, Taken::Only(_)) { Vec::new() } else { std::mem::take(&mut writer.usual) };
        let mut index = 0;
        let mut step = || {
            while let Some(one) = all.get(index).filter(|one| taken.takes(one.name())) {
                if !self.scanner.more(index, b'}')? {
                    return Ok(None);
                }
                if !self.scanner.name_is(one.name.as_bytes())? {
                    let name = self.scanner.name()?;
                    return self.content(&name).map(Some);
                }
                let start = writer.known(one.name());
                self.value(writer, start)?;
                writer.names.push(Written { start, end: writer.out.len(), print: one.print });
                index += 1;
            }
            self.name(index)
        };
        let next = step();
        if !all.is_empty() {
            writer.usual = all;
        }
        Ok((index, next?))
    }

    /// Members of an object into the open document, whose elements are known from `base` on. `index` members were read already, and
    /// so was the name of the next.
    fn members(
        &mut self,
        writer: &mut Writer,
        base: usize,
        (mut index, mut next): (usize, Option<Cow<'a, str>>),
        taken: Taken<'_>,
    ) -> Result<(), Stop> {
        let mut hashes: Option<(RandomState, HashSet<u64>)> = None;
        while let Some(name) = next {
            index += 1;
            if taken.takes(&name) {
                let at = match &name {
                    // Without escapes there is no NUL in a text.
                    Cow::Borrowed(name) => writer.known(name),
                    Cow::Owned(name) => writer.element(name)?,
                };
                self.value(writer, at)?;
                if writer.names.len() - base >= MANY_FIELDS && hashes.is_none() {
                    let state = RandomState::new();
                    let known = writer.names[base..].iter().map(|one| state.hash_one(name_at(&writer.out, one.start)));
                    hashes = Some((state.clone(), known.collect()));
                }
                let fresh = hashes.as_mut().is_some_and(|(state, known)| known.insert(state.hash_one(name.as_bytes())));
                note(writer, base, (at, name.as_bytes()), fresh);
                if self.has_all(taken, writer.names.len() - base) {
                    self.scanner.leave();
                    break;
                }
            } else {
                self.scanner.value()?;
            }
            next = self.name(index)?;
        }
        Ok(())
    }
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
