//! Records from outside that nobody would make on purpose: each is stored, or refused by name of what is wrong, alone.

use std::sync::Arc;

use millrace_sdk::{Batch, Bytes, Datum, Decimal, Error, ErrorKind, Text, Value};

use super::records::{assert_state, state};
use super::{Sink, Verdict, untried};
use crate::drive::{Log, batch, deliver};
use crate::stand::{json, text};

/// Longer than an error needs to be; one that is longer repeats what it was given.
const LONGEST_ERROR: usize = 3000;

fn map(fields: Vec<(&str, Value)>) -> Datum {
    let fields = fields.into_iter().map(|(name, value)| (Text::from(name), value)).collect();
    Datum::schemaless(Value::Map(fields))
}

fn decimal(unscaled: &[u8], scale: i32) -> Value {
    Value::Decimal(Decimal { unscaled: Box::from(unscaled), scale })
}

/// JSON members beside the good ones.
#[expect(clippy::too_many_lines, reason = "a table")]
fn members() -> Vec<String> {
    let mut members: Vec<String> = [
        r#""$x":1"#,
        r#""$set":{"n":1}"#,
        r#""$where":"1""#,
        r#""x":{"$oid":"no"}"#,
        r#""x":{"$date":"no"}"#,
        r#""x":{"$numberLong":"x"}"#,
        r#""a.b":1"#,
        r#""a":1,"a.b":2"#,
        r#""":1"#,
        r#"".":1"#,
        r#""..":{"":{"":1}}"#,
        r#""a..b":1"#,
        r#"".a":1"#,
        r#""a.":1"#,
        r#"" ":1"#,
        r#""\u0000":1"#,
        r#""x\u0000y":1"#,
        r#""\ud800":1"#,
        r#""_index":"other""#,
        r#""_source":1"#,
        r#""_type":1"#,
        r#""__proto__":{}"#,
        r#""x":"\u0000""#,
        r#""x":"\ud800""#,
        r#""x":"\ud83d\ude00 \udc00""#,
        r#""x":"\u2028\u0085""#,
        r#""x":-0.0"#,
        r#""x":1e308"#,
        r#""x":-1.7976931348623157e308"#,
        r#""x":5e-324"#,
        r#""x":1e400"#,
        r#""x":-1e-400"#,
        r#""x":1E+2"#,
        r#""x":9223372036854775807"#,
        r#""x":-9223372036854775808"#,
        r#""x":9223372036854775808"#,
        r#""x":123456789012345678901234567890123456789012345678901234567890"#,
        r#""x":0.1000000000000000055511151231257827"#,
        r#""x":[]"#,
        r#""x":{}"#,
        r#""x":[[[]],{},null]"#,
        r#""x":[1,"a",{"b":null},[true]]"#,
        r#""x":1,"x":"twice""#,
        r#""n":"no number""#,
        r#""n":1.5"#,
        r#""n":1e30"#,
        r#""n":null"#,
        r#""n":{}"#,
        r#""n":[1]"#,
        r#""n":true"#,
        r#""body":1"#,
        r#""body":{"a":1}"#,
        r#""body":[1]"#,
        r#""body":null"#,
        r#""body":false"#,
        r#""_id":null"#,
        r#""_id":"own""#,
        r#""_id":[1]"#,
        r#""_id":{"$x":1}"#,
        r#""_id":{}"#,
        r#""_id":1.5"#,
    ]
    .map(str::to_owned)
    .into();
    members.push(format!(r#""x":{}1{}"#, "[".repeat(99), "]".repeat(99)));
    members.push(format!(r#""x":{}1{}"#, "[".repeat(126), "]".repeat(126)));
    members.push(format!(r#""x":{}1{}"#, r#"{"a":"#.repeat(99), "}".repeat(99)));
    members.push(format!(r#""x":{}1{}"#, r#"{"a":"#.repeat(126), "}".repeat(126)));
    members.push(format!(r#""{}":1"#, "n".repeat(40_000)));
    members.push(format!(r#""x":"{}""#, "word ".repeat(20_000)));
    members.push((0..1500).map(|n| format!(r#""f{n}":{n}"#)).collect::<Vec<_>>().join(","));
    // What the JSON converter refuses never comes to a connector.
    members.retain(|member| millrace_sdk::json::validate(format!("{{{member}}}").as_bytes()).is_ok());
    members
}

/// Values: as JSON, as JSON nobody looked into, of each type, and at the types' limits.
fn hostile_values() -> Vec<(String, Datum)> {
    let mut all: Vec<(String, Datum)> = Vec::new();
    for member in members() {
        let shown: String = member.chars().take(60).collect();
        all.push((shown, json(&format!(r#"{{"k":"hostile","n":1,"body":"b",{member}}}"#))));
    }
    for whole in ["{}", "[]", "1", "true", "\"text\"", "\"{\\\"n\\\":1}\"", " {\n \"k\" : \"x\" ,\r\n \"n\" : 1 } "] {
        all.push((format!("JSON {whole}"), json(whole)));
    }
    for whole in ["", "text", "{", "{}", "{\"n\":1}", "{\"n\":1}\n{\"delete\":{\"_id\":\"good-0\"}}", "\0"] {
        all.push((format!("text {whole:?}"), text(whole)));
        let bytes = Bytes::copy_from_slice(whole.as_bytes());
        all.push((format!("bytes {whole:?}"), Datum::schemaless(Value::Bytes(bytes.clone()))));
        all.push((format!("encoded {whole:?}"), Datum::Encoded(bytes)));
    }
    let bytes = |bytes: &[u8]| Value::Bytes(Bytes::copy_from_slice(bytes));
    let scalars = [
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Int(i64::MAX),
        Value::Float(f64::NAN),
        Value::Float(f64::INFINITY),
        Value::Float(f64::NEG_INFINITY),
        Value::Float(f64::MIN_POSITIVE),
        Value::Float(-0.0),
        Value::Float(f64::MAX),
        Value::Date(i32::MIN),
        Value::Date(i32::MAX),
        Value::Time(-1),
        Value::Time(i32::MAX),
        Value::Time(i32::MIN),
        Value::Timestamp(i64::MIN),
        Value::Timestamp(i64::MAX),
        decimal(&[], 0),
        decimal(&[1], i32::MAX),
        decimal(&[1], i32::MIN),
        decimal(&[0x80], -1),
        decimal(&[0x7f; 100], 50),
        decimal(&[0xff; 16], 34),
        decimal(&[0; 40], 3),
        bytes(&[]),
        bytes(&[0xff, 0, 0xfe]),
        Value::List(vec![Value::Null, Value::Int(1), Value::Str("x".into()), Value::List(Vec::new())]),
        Value::Map(vec![("".into(), Value::Null), ("".into(), Value::Int(1)), ("$a.b".into(), Value::Map(Vec::new()))]),
    ];
    for scalar in scalars {
        let shown: String = format!("{scalar:?}").chars().take(60).collect();
        all.push((format!("whole {shown}"), Datum::schemaless(scalar.clone())));
        for field in ["n", "body", "x"] {
            let fields = vec![("k", Value::Str("hostile".into())), (field, scalar.clone())];
            all.push((format!("{field}: {shown}"), map(fields)));
        }
    }
    all
}

fn hostile_keys() -> Vec<(String, Datum)> {
    let mut all: Vec<(String, Datum)> = Vec::new();
    for name in
        ["", " ", "\0", "a\0b", "a/b?c#d%", "\"\\\n", "{", "{}", "[1]", "null", "\u{1F600}", "..", "_x", "\u{7f}\u{85}"]
    {
        all.push((format!("text {name:?}"), text(name)));
        all.push((format!("bytes {name:?}"), Datum::schemaless(Value::Bytes(Bytes::copy_from_slice(name.as_bytes())))));
    }
    for length in [512, 513, 65_535, 65_536, 200_000] {
        all.push((format!("text of {length}"), text(&"k".repeat(length))));
        let long = "k".repeat(length);
        all.push((format!("document of {length}"), json(&format!(r#"{{"k":"{long}"}}"#))));
    }
    for whole in [
        "{}",
        "[]",
        "1",
        "1.5",
        "true",
        r#"{"k":null}"#,
        r#"{"k":[1]}"#,
        r#"{"k":{"$x":1,"a.b":{"":2}}}"#,
        r#"{"$k":1}"#,
        r#"{"k":"a","k":"b"}"#,
        r#"{"_id":{"_id":1}}"#,
        r#"{"k":"\u0000"}"#,
        r#"{"k":"\ud800"}"#,
        r#"{"k":1e999}"#,
    ] {
        all.push((format!("JSON {whole}"), json(whole)));
    }
    let values = [
        Value::Int(i64::MIN),
        Value::Float(f64::NAN),
        Value::Bool(false),
        Value::Date(0),
        Value::Timestamp(i64::MAX),
        decimal(&[1], i32::MIN),
        Value::List(Vec::new()),
        Value::Map(Vec::new()),
        Value::Bytes(Bytes::from_static(&[0xff, 0xfe])),
    ];
    all.extend(values.into_iter().map(|value| (format!("{value:?}"), Datum::schemaless(value))));
    all.push(("none".to_owned(), Datum::Null));
    all
}

/// What is wrong with how a batch was settled in which only the records at `hostile` may be refused.
fn complaint(refused: &[(usize, Error)], hostile: impl Fn(usize) -> bool) -> Option<String> {
    for (index, error) in refused {
        let text = error.chain();
        if !hostile(*index) {
            return Some(format!("the good record at {index} was refused: {text}"));
        }
        if error.kind() != ErrorKind::BadRecord || text.len() < 20 || text.len() > LONGEST_ERROR {
            let shown: String = text.chars().take(300).collect();
            return Some(format!("a {} error of {} bytes: {shown}", error.kind().name(), text.len()));
        }
    }
    None
}

async fn one_by_one(sink: Arc<Sink>, hostile: Vec<(String, Datum)>, as_key: bool) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let mut complaints = Vec::new();
    let total = hostile.len();
    for (what, datum) in hostile {
        let good = log.update("before", "x");
        let strange = if as_key {
            let value = crate::stand::value("strange", 0, "x");
            log.record(datum, value)
        } else {
            log.record(sink.stand.key("hostile"), datum)
        };
        let records = batch(vec![good, strange, log.update("after", "x")]);
        match settled(task.as_ref(), &records).await {
            Ok(refused) => {
                complaints.extend(complaint(&refused, |index| index == 1).map(|text| format!("{what}: {text}")))
            }
            Err(text) => complaints.push(format!("{what}: {text}")),
        }
    }
    assert!(complaints.is_empty(), "{} of {total}:\n  {}", complaints.len(), complaints.join("\n  "));
    // The good ones are there whatever the others became.
    let mut state = match sink.stand.state(&place).await {
        Ok(state) => state,
        Err(reason) => return untried(reason),
    };
    state.retain(|key, _| log.expected.contains_key(key));
    assert_state(&state, &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}

/// Delivers, with a panic or an error of the whole batch as a text.
async fn settled(task: &dyn millrace_sdk::SinkTask, records: &Batch) -> Result<Vec<(usize, Error)>, String> {
    use futures::FutureExt as _;
    std::panic::AssertUnwindSafe(deliver(task, records)).catch_unwind().await.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

pub(crate) async fn values(sink: Arc<Sink>) -> Verdict {
    one_by_one(sink, hostile_values(), false).await
}

pub(crate) async fn keys(sink: Arc<Sink>) -> Verdict {
    one_by_one(sink, hostile_keys(), true).await
}

/// All of them in one batch, each followed by a good record.
pub(crate) async fn together(sink: Arc<Sink>) -> Verdict {
    let place = sink.place().await;
    let task = sink.opened(&place).await;
    let mut log = Log::new(sink.stand);
    let mut records = Vec::new();
    for (number, (_, datum)) in hostile_values().into_iter().enumerate() {
        records.push(log.record(sink.stand.key(&format!("hostile-{number}")), datum));
        records.push(log.update(&format!("good-{number}"), "x"));
    }
    for (number, (_, datum)) in hostile_keys().into_iter().enumerate() {
        let value = crate::stand::value("strange", 0, "x");
        records.push(log.record(datum, value));
        records.push(log.update(&format!("more-{number}"), "x"));
    }
    let refused = settled(task.as_ref(), &batch(records)).await.unwrap_or_else(|text| panic!("{text}"));
    if let Some(text) = complaint(&refused, |index| index % 2 == 0) {
        panic!("{text}");
    }
    let mut state = state!(sink, &place);
    state.retain(|key, _| key.starts_with("good-") || key.starts_with("more-"));
    assert_state(&state, &log.expected);
    task.close().await.unwrap();
    Verdict::Kept
}
