//! `.proto` texts, with those they import: the registry's references, Google's own and Confluent's. A message is named by its
//! place: the index of the message in its file, then of the message within that, and so on.

use millrace_sdk::{Error, Result};
use prost_reflect::{FileDescriptor, MessageDescriptor};
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::convert::registry::Fetched;

/// The file that a schema is parsed as.
const MAIN: &str = "millrace-schema.proto";
/// Deeper places are refused.
const MAX_DEPTH: usize = 64;

/// What registries take for granted.
const KNOWN: &[(&str, &str)] = &[
    ("confluent/meta.proto", include_str!("known/meta.proto")),
    ("confluent/type/decimal.proto", include_str!("known/decimal.proto")),
    ("google/type/date.proto", include_str!("known/date.proto")),
    ("google/type/timeofday.proto", include_str!("known/timeofday.proto")),
];

/// The messages for a value alone.
pub(super) const WRAPPERS: &str = include_str!("known/wrappers.proto");

/// Finds what a schema imports. It lives by itself; schemas are parsed once each.
struct Imports(Fetched);

impl FileResolver for Imports {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == MAIN {
            return File::from_source(name, &self.0.text.schema);
        }
        if let Some((_, text)) = self.0.references.iter().find(|(one, _)| one == name) {
            return File::from_source(name, text);
        }
        match KNOWN.iter().find(|(one, _)| *one == name) {
            Some((_, text)) => File::from_source(name, text),
            None => GoogleFileResolver::new().open_file(name),
        }
    }
}

fn bad(what: String) -> Error {
    Error::bad_record(what)
}

/// Parses a schema.
pub(super) fn parse(schema: &Fetched) -> Result<FileDescriptor> {
    let imports = Imports(Fetched { text: schema.text.clone(), references: schema.references.clone() });
    let mut compiler = protox::Compiler::with_file_resolver(imports);
    compiler
        .include_imports(true)
        .open_file(MAIN)
        .map_err(|error| bad(format!("the Protobuf schema cannot be parsed: {error}")))?;
    let found = compiler.descriptor_pool().get_file_by_name(MAIN);
    found.ok_or_else(|| bad("the Protobuf schema is empty".to_owned()))
}

fn own_messages(of: impl Iterator<Item = MessageDescriptor>, index: usize) -> Option<MessageDescriptor> {
    // The entries of maps are messages to the compiler, not to those who wrote the file.
    of.filter(|message| !message.is_map_entry()).nth(index)
}

/// The message at a place.
pub(super) fn message_at(file: &FileDescriptor, place: &[usize]) -> Result<MessageDescriptor> {
    let none = || bad(format!("the schema has no message at the place {place:?}"));
    let (first, rest) = place.split_first().ok_or_else(none)?;
    let mut message = own_messages(file.messages(), *first).ok_or_else(none)?;
    for index in rest {
        message = own_messages(message.child_messages(), *index).ok_or_else(none)?;
    }
    Ok(message)
}

/// The place of a message as it is written before the data.
pub(super) fn write_place(place: &[usize], out: &mut Vec<u8>) {
    if place == [0] {
        out.push(0);
        return;
    }
    zig_zag(place.len(), out);
    for index in place {
        zig_zag(*index, out);
    }
}

#[allow(clippy::cast_possible_truncation)] // seven bits at a time
fn zig_zag(number: usize, out: &mut Vec<u8>) {
    let mut bits = (number as u64) << 1;
    while bits >= 0x80 {
        out.push((bits & 0x7f) as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// The place that a payload begins with, and how many bytes it takes.
pub(super) fn read_place(payload: &[u8]) -> Result<(Vec<usize>, usize)> {
    let mut at = 0;
    let mut number = || {
        let mut bits = 0_u64;
        for shift in (0..35).step_by(7) {
            let byte = *payload.get(at)?;
            at += 1;
            bits |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return (bits & 1 == 0).then(|| usize::try_from(bits >> 1).ok()).flatten();
            }
        }
        None
    };
    let broken = || bad("the payload names no message of its schema".to_owned());
    let count = number().ok_or_else(broken)?;
    if count == 0 {
        return Ok((vec![0], at));
    }
    if count > MAX_DEPTH {
        return Err(broken());
    }
    let place = (0..count).map(|_| number()).collect::<Option<Vec<_>>>().ok_or_else(broken)?;
    Ok((place, at))
}

/// The place of a message by its name; the first message of the file when there is none of that name.
pub(super) fn place_of(file: &FileDescriptor, name: &str) -> Vec<usize> {
    let position = file
        .messages()
        .filter(|message| !message.is_map_entry())
        .position(|message| message.full_name() == name || message.name() == name);
    vec![position.unwrap_or(0)]
}
