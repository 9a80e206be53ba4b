//! What `make fuzz` throws bytes at, compiled for it and for the tests alone: each target is a function that must neither
//! panic nor hang, whatever it is given. The kept corpus (`fuzz/corpus/<target>/`) runs as an ordinary test.

use std::time::{Duration, Instant};

use millrace_sdk::{Batch, Bytes, Datum, Flat, Header, Record, Text, TimestampKind, TopicPartition, Value, json};

use crate::convert::{self, Converter, Role, converter};
use crate::kafka::wire::{Aborted, Apart, Isolation, take_apart};
use crate::task::offsets_topic;
use crate::transform;

/// Takes any bytes; fails by panicking.
pub type Target = fn(&[u8]);

/// What is fuzzed: a name and the function.
pub const TARGETS: &[(&str, Target)] = &[
    ("converters", converters),
    ("headers", headers),
    ("json", json),
    ("transforms", transforms),
    ("expressions", expressions),
    ("registry", registry),
    ("offsets", offsets),
    ("records", records),
];

/// Converters of bytes; the first byte of the input chooses one. Those that need a registry are [`registry`]'s.
const CONVERTERS: &[(&str, &[(&str, &str)])] = &[
    ("json", &[("schemas.enable", "true")]),
    ("json", &[("schemas.enable", "false")]),
    ("json", &[("schemas.enable", "true"), ("decimal.format", "NUMERIC"), ("replace.null.with.default", "false")]),
    ("string", &[]),
    ("string", &[("encoding", "UTF-16")]),
    ("bytes", &[]),
    ("boolean", &[]),
    ("short", &[]),
    ("integer", &[]),
    ("long", &[]),
    ("float", &[]),
    ("double", &[]),
];

fn made(role: Role, class: &str, settings: &[(&str, &str)]) -> Option<Box<dyn Converter>> {
    let key = role.config_key();
    let mut flat: Flat = settings.iter().map(|(name, value)| (format!("{key}.{name}"), (*value).to_owned())).collect();
    flat.insert(key.to_owned(), class.to_owned());
    converter(role, &flat, &Flat::new()).ok()
}

/// Decodes, and encodes what came of it by every converter.
fn decode_and_encode(role: Role, class: &str, settings: &[(&str, &str)], payload: &[u8]) {
    let Some(reader) = made(role, class, settings) else { return };
    for decoded in reader.decode("t", &[Some(Bytes::copy_from_slice(payload))]) {
        let Ok(datum) = decoded else { continue };
        for (class, settings) in CONVERTERS {
            if let Some(writer) = made(Role::Value, class, settings) {
                let _ = writer.encode("t", &[&datum]);
            }
        }
        let mut text = String::new();
        let _ = millrace_sdk::java::print(&datum, &mut text);
    }
}

fn converters(data: &[u8]) {
    let Some((choice, payload)) = data.split_first() else { return };
    let (class, settings) = CONVERTERS[usize::from(*choice) % CONVERTERS.len()];
    decode_and_encode(Role::Value, class, settings, payload);
}

fn headers(data: &[u8]) {
    decode_and_encode(Role::Header, "simple", &[], data);
}

/// The lazy reader against itself: what is valid can be opened, walked and written.
fn json(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    if json::validate(&bytes).is_err() {
        return;
    }
    let Ok(deep) = json::parse_deep(&bytes) else { return };
    let mut out = Vec::new();
    if json::write(&deep, &mut out).is_ok() {
        assert!(json::validate(&out).is_ok(), "what is written is not JSON: {}", String::from_utf8_lossy(&out));
    }
    let _ = Value::Json(bytes).path("a.b");
}

/// `name=value` lines of a chain, an empty line, and the record's value in JSON, with or without a schema.
fn transforms(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (options, payload) = text.split_once("\n\n").unwrap_or((text, "{}"));
    let flat: Flat = options
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let _ = transform::findings(&flat);
    let Ok(Some(mut chain)) = transform::chain(&flat) else { return };
    for schemas in ["true", "false"] {
        let Some(reader) = made(Role::Value, "json", &[("schemas.enable", schemas)]) else { continue };
        let Some(Ok(value)) = reader.decode("t", &[Some(Bytes::copy_from_slice(payload.as_bytes()))]).pop() else {
            continue;
        };
        let _ = chain.apply(&mut batch(value));
    }
}

fn batch(value: Datum) -> Batch {
    let header = Header { key: Text::from_static("h"), value: Datum::schemaless(Value::Str("x".into())) };
    let record = |key: Datum, value: Datum| Record {
        offset: 42,
        timestamp_ms: Some(1_709_211_909_007),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key,
        value,
        headers: vec![header.clone()],
    };
    let records =
        vec![record(value.clone(), value.clone()), record(Datum::Null, value.clone()), record(value, Datum::Null)];
    Batch { origin: TopicPartition { topic: "orders".into(), partition: 3 }, records }
}

/// A digit for the format, the text of a schema, 0xff, and a payload in a registry's wire format: the schema's id, for
/// Protobuf the place of the message, and the data. What can be read can be written, and read again.
fn registry(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let format = ["avro", "protobuf", "json-schema"][usize::from(*choice) % 3];
    let end = rest.iter().position(|byte| *byte == 0xff).unwrap_or(rest.len());
    let Ok(schema) = std::str::from_utf8(&rest[..end]) else { return };
    let payload = Bytes::copy_from_slice(rest.get(end + 1..).unwrap_or_default());
    if let Ok(Some(again)) = convert::round_trip(format, schema, &payload) {
        assert!(again.is_ok(), "{format}: what was written cannot be read: {again:?}");
    }
}

/// Keys of the offsets topic: what is one can be written again.
fn offsets(data: &[u8]) {
    let Some((connector, partition)) = offsets_topic::parse_key(data) else { return };
    let written = offsets_topic::key_of(&connector, &partition).unwrap_or_default();
    assert_eq!(offsets_topic::parse_key(&written), Some((connector, partition)));
}

/// A script with few operations, over a record with everything; it ends soon, whatever it says.
fn expressions(data: &[u8]) {
    let Ok(script) = std::str::from_utf8(data) else { return };
    let flat: Flat = [
        ("transforms", "t"),
        ("transforms.t.type", "millrace"),
        ("transforms.t.max.operations", "5000"),
        ("transforms.t.max.bytes", "65536"),
        ("transforms.t.script", script),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    let Ok(Some(mut chain)) = transform::chain(&flat) else { return };
    let value = Bytes::from_static(br#"{"a":1,"b":[1.5,"x",null],"c":{"d":true},"e":123456789012345678901}"#);
    let start = Instant::now();
    let _ = chain.apply(&mut batch(Datum::schemaless(Value::Json(value))));
    assert!(start.elapsed() < Duration::from_secs(20), "a script ran for {:?}", start.elapsed());
}

/// Record batches as brokers send them; the first byte says how they are looked at.
fn records(data: &[u8]) {
    let Some((choice, batches)) = data.split_first() else { return };
    let isolation = if choice & 1 == 0 { Isolation::Uncommitted } else { Isolation::Committed };
    let how = Apart { from: i64::from(choice >> 2), check: choice & 2 != 0, isolation };
    let (mut bytes, mut found) = (batches.to_vec(), Vec::new());
    let end = take_apart(&mut bytes, Vec::new, how, &mut Aborted::new(vec![(1, 0)]), &mut found);
    assert!(end.next >= how.from);
    for record in &found {
        let headers = record.headers().iter().map(|(_, value)| *value);
        for place in [record.key, record.value].into_iter().chain(headers) {
            assert!(place.range().is_none_or(|range| range.end <= bytes.len()));
        }
    }
}

#[cfg(test)]
mod tests;
