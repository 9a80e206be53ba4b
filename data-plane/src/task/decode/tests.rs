use millrace_sdk::{Bytes, Flat, TopicPartition, Value};

use super::super::batch::BatchBuilder;
use super::*;
use crate::convert::{Role, converter};

type Written = (i64, &'static str, Vec<(&'static str, Option<&'static [u8]>)>);

fn record(offset: i64, value: &'static str, headers: &[(&'static str, Option<&'static str>)]) -> Written {
    (offset, value, headers.iter().map(|(name, value)| (*name, value.map(str::as_bytes))).collect())
}

fn converters(header: &str) -> Converters {
    let config = Flat::from([
        ("header.converter".to_owned(), header.to_owned()),
        ("header.converter.schemas.enable".to_owned(), "false".to_owned()),
    ]);
    let make = |role| converter(role, &config, &Flat::new()).unwrap();
    Converters::new(make(Role::Key), make(Role::Value), make(Role::Header))
}

fn raw(records: Vec<Written>) -> RawBatch {
    let mut raw = BatchBuilder::default();
    for (offset, value, headers) in records {
        raw.put(offset, None, Some(value.as_bytes()), &headers);
    }
    raw.take(TopicPartition { topic: "t".into(), partition: 0 })
}

#[test]
fn headers_are_read_by_their_looks_unless_told_otherwise() {
    let raw = raw(vec![
        record(0, "{}", &[("n", Some("17")), ("none", None), ("text", Some("a b"))]),
        record(1, "{}", &[]),
        record(2, "{}", &[("n", Some("true"))]),
    ]);
    let decoded = converters("SimpleHeaderConverter").decode(&raw, None);
    let values = |index: usize| -> Vec<(String, Value)> {
        let headers = &decoded.batch.records[index].headers;
        headers.iter().map(|header| (header.key.to_string(), header.value.value())).collect()
    };
    let named = |name: &str, value| (name.to_owned(), value);
    assert_eq!(
        values(0),
        [named("n", Value::Int(17)), named("none", Value::Null), named("text", Value::Str("a b".into()))]
    );
    assert_eq!(values(1), []);
    assert_eq!(values(2), [named("n", Value::Bool(true))]);
    let bytes = converters("bytes").decode(&raw, None);
    assert_eq!(bytes.batch.records[0].headers[0].value.value(), Value::Bytes(Bytes::from_static(b"17")));
}

#[test]
fn a_bad_header_costs_its_record_alone() {
    let raw = raw(vec![
        record(0, "{}", &[("a", Some("1")), ("b", Some("{broken")), ("c", Some("3"))]),
        record(1, "{broken", &[("a", Some("4"))]),
        record(2, "{}", &[("a", Some("5"))]),
    ]);
    let decoded = converters("json").decode(&raw, None);
    let bad: Vec<_> = decoded.undecodable.iter().map(|bad| (bad.index, bad.stage)).collect();
    assert_eq!(bad, [(0, Stage::DecodeHeader), (1, Stage::DecodeValue)]);
    let message = decoded.undecodable[0].error.chain();
    assert!(message.contains("the header \"b\" cannot be decoded"), "{message}");
    // Its own header, not that of a record before it.
    assert_eq!(decoded.batch.records.len(), 1);
    assert_eq!(decoded.batch.records[0].headers[0].value.value().open().unwrap(), Value::Int(5));
}
