use millrace_sdk::{
    Batch, Bytes, Datum, Field, Flat, Header, Record, Schema, SourceRecord, Text, TimestampKind, TopicPartition, Type,
    Value, json,
};

use super::data::{DATE, TIMESTAMP, logical, plain};
use super::*;

mod config;
mod confluent;
mod debezium;
mod millrace;
mod plan;
mod typed;
mod untyped;

const PACKAGE: &str = "org.apache.kafka.connect.transforms.";

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The flat keys of one transform of Kafka's with the alias `t`.
fn one(class: &str, options: &[(&str, &str)]) -> Flat {
    of(&format!("{PACKAGE}{class}"), options)
}

/// The flat keys of one transform with the alias `t`.
fn of(class: &str, options: &[(&str, &str)]) -> Flat {
    let mut all = flat(&[("transforms", "t"), ("transforms.t.type", class)]);
    all.extend(options.iter().map(|(key, value)| (format!("transforms.t.{key}"), (*value).to_owned())));
    all
}

fn make_chain(flat: &Flat) -> Chain {
    chain(flat).unwrap().unwrap()
}

fn text(text: &str) -> Text {
    Text::from(text)
}

fn raw(json: &str) -> Datum {
    Datum::schemaless(Value::Json(Bytes::copy_from_slice(json.as_bytes())))
}

fn record(key: Datum, value: Datum) -> Record {
    Record {
        offset: 42,
        timestamp_ms: Some(1_709_211_909_007),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key,
        value,
        headers: Vec::new(),
    }
}

fn batch(records: Vec<Record>) -> Batch {
    Batch { origin: TopicPartition { topic: "orders".into(), partition: 3 }, records }
}

/// What becomes of a record, or the error's text.
fn run(flat: &Flat, record: Record) -> Result<Option<Record>, String> {
    let mut batch = batch(vec![record]);
    match make_chain(flat).apply(&mut batch).pop() {
        Some(rejected) => Err(rejected.error.to_string()),
        None => Ok(batch.records.pop()),
    }
}

/// A datum as JSON; `null` for none.
fn shown(datum: &Datum) -> String {
    let mut out = Vec::new();
    json::write(&datum.value(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn schema(datum: &Datum) -> &Schema {
    match datum {
        Datum::Decoded { schema: Some(schema), .. } => schema,
        other => panic!("no schema: {other:?}"),
    }
}

/// Fields and their types, optional ones with a question mark.
fn outline(schema: &Schema) -> String {
    let shown = |field: &Field| {
        let name = field.schema.name.as_deref().and_then(|name| name.rsplit('.').next());
        let kind = name.map_or_else(|| format!("{:?}", field.schema.kind), str::to_owned);
        format!("{}:{kind}{}", field.name, if field.schema.optional { "?" } else { "" })
    };
    schema.fields.iter().map(shown).collect::<Vec<_>>().join(",")
}

fn structure(fields: &[(&str, Arc<Schema>)]) -> Schema {
    let fields = fields.iter().map(|(name, schema)| Field { name: text(name), schema: Arc::clone(schema) });
    Schema { name: Some(text("Order")), version: Some(2), fields: fields.collect(), ..Schema::of(Type::Struct) }
}

fn typed(schema: &Arc<Schema>, values: &[Value]) -> Datum {
    let names = schema.fields.iter().map(|field| field.name.clone());
    Datum::Decoded { value: Value::Map(names.zip(values.iter().cloned()).collect()), schema: Some(Arc::clone(schema)) }
}

#[test]
fn a_batch_keeps_what_is_kept_and_names_what_fails() {
    let chain_of = one("ExtractField$Value", &[("field", "a")]);
    let mut chain = make_chain(&chain_of);
    let values = [r#"{"a":1}"#, "7", r#"{"a":{"b":2}}"#, "\"x\"", "null"];
    let records = values.iter().zip(10..).map(|(value, offset)| Record { offset, ..record(Datum::Null, raw(value)) });
    let mut all = batch(records.collect());
    let rejected = chain.apply(&mut all);
    assert_eq!(rejected.iter().map(|one| one.offset).collect::<Vec<_>>(), [11, 13]);
    assert_eq!(rejected[0].class, "org.apache.kafka.connect.transforms.ExtractField$Value");
    assert!(
        rejected[0]
            .error
            .to_string()
            .contains("Only Map objects supported in absence of schema for [field extraction]")
    );
    assert_eq!(rejected[0].error.kind(), millrace_sdk::ErrorKind::BadRecord);
    let kept: Vec<_> = all.records.iter().map(|one| (one.offset, shown(&one.value))).collect();
    assert_eq!(kept, [(10, "1".to_owned()), (12, r#"{"b":2}"#.to_owned()), (14, "null".to_owned())]);
}

#[test]
fn predicates_choose() {
    let header = Header { key: text("h"), value: Datum::Null };
    for (class, options, topic, headers, value, holds) in [
        ("TopicNameMatches", &[("pattern", "ord.*")][..], "orders", false, "1", true),
        ("TopicNameMatches", &[("pattern", "ord")], "orders", false, "1", false),
        ("HasHeaderKey", &[("name", "h")], "t", true, "1", true),
        ("HasHeaderKey", &[("name", "h")], "t", false, "1", false),
        ("RecordIsTombstone", &[], "t", false, "null", true),
        ("RecordIsTombstone", &[], "t", false, "0", false),
    ] {
        for negate in [false, true] {
            let mut all = one("Filter", &[("predicate", "p"), ("negate", if negate { "true" } else { "false" })]);
            all.extend(flat(&[("predicates", "p"), ("predicates.p.type", &format!("{PACKAGE}predicates.{class}"))]));
            all.extend(options.iter().map(|(key, value)| (format!("predicates.p.{key}"), (*value).to_owned())));
            let mut record = record(Datum::Null, raw(value));
            record.renamed_topic = Some(topic.into());
            record.headers.extend(headers.then(|| header.clone()));
            let dropped = run(&all, record).unwrap().is_none();
            assert_eq!(dropped, holds != negate, "{class} {options:?} {negate}");
        }
    }
}

#[test]
fn a_sources_records_keep_partition_and_timestamp() {
    let mut all =
        one("InsertField$Value", &[("topic.field", "t"), ("partition.field", "p"), ("timestamp.field", "ts")]);
    all.extend(flat(&[
        ("transforms", "t,r"),
        ("transforms.r.type", "RegexRouter"),
        ("transforms.r.regex", "a(.*)"),
        ("transforms.r.replacement", "b$1"),
    ]));
    let source = |topic: &str, partition, value: Datum| SourceRecord {
        topic: topic.to_owned(),
        partition,
        key: Datum::Null,
        value,
        headers: Vec::new(),
        timestamp_ms: partition.map(i64::from),
    };
    let records = vec![source("a1", Some(7), raw("{}")), source("x", None, raw("3")), source("a2", None, raw("{}"))];
    let outcome = make_chain(&all).apply_source(records);
    let shown: Vec<_> = outcome
        .records
        .iter()
        .map(|one| (one.topic.as_str(), one.partition, one.timestamp_ms, shown(&one.value)))
        .collect();
    let expected = [
        ("b1", Some(7), Some(7), r#"{"t":"a1","p":7,"ts":7}"#.to_owned()),
        ("b2", None, None, r#"{"t":"a2"}"#.to_owned()),
    ];
    assert_eq!(shown, expected);
    assert_eq!(outcome.rejected.len(), 1);
    assert_eq!((outcome.rejected[0].0.as_str(), outcome.rejected[0].1.offset), ("x", 1));
    let offsets = one("InsertField$Value", &[("offset.field", "o")]);
    let outcome = make_chain(&offsets).apply_source(vec![source("a", None, raw("{}"))]);
    assert!(outcome.rejected[0].1.error.to_string().contains("Only SinkRecord supported for [field insertion]"));
}

#[test]
fn predicates_see_a_sources_topics_and_choose_record_by_record() {
    let source = |topic: &str, value: Datum| SourceRecord {
        topic: topic.to_owned(),
        partition: None,
        key: Datum::Null,
        value,
        headers: Vec::new(),
        timestamp_ms: None,
    };
    for (negate, expected) in [("false", ["b1", "b2", "x"]), ("true", ["a1", "a2", "b_x"])] {
        let mut all = one("RegexRouter", &[("regex", "a?_?(.*)"), ("replacement", "b$1")]);
        if negate == "true" {
            all.insert("transforms.t.replacement".to_owned(), "b_$1".to_owned());
        }
        all.extend(flat(&[
            ("transforms.t.predicate", "p"),
            ("transforms.t.negate", negate),
            ("predicates", "p"),
            ("predicates.p.type", &format!("{PACKAGE}predicates.TopicNameMatches")),
            ("predicates.p.pattern", "a.*"),
        ]));
        let records = ["a1", "a2", "x"].map(|topic| source(topic, raw("{}")));
        let outcome = make_chain(&all).apply_source(records.into());
        let topics: Vec<_> = outcome.records.iter().map(|one| one.topic.as_str()).collect();
        assert_eq!(topics, expected);
    }
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Transforms of every kind which fit each other now and then.
    const LINKS: &[(&str, &[(&str, &str)])] = &[
        ("InsertField$Value", &[("topic.field", "t"), ("static.field", "s"), ("static.value", "v")]),
        ("ReplaceField$Value", &[("exclude", "a"), ("renames", "b:a,s:b")]),
        ("Cast$Value", &[("spec", "a:string,b:int32")]),
        ("MaskField$Value", &[("fields", "a")]),
        ("Flatten$Value", &[("delimiter", "_")]),
        ("HoistField$Value", &[("field", "a")]),
        ("ExtractField$Value", &[("field", "a")]),
        ("ValueToKey", &[("fields", "a,b")]),
        ("HeaderFrom$Value", &[("fields", "a"), ("headers", "h"), ("operation", "move")]),
        ("InsertHeader", &[("header", "h"), ("value.literal", "1")]),
        ("DropHeaders", &[("headers", "h")]),
        ("RegexRouter", &[("regex", "(.*)s"), ("replacement", "$1")]),
        ("TimestampRouter", &[]),
        ("TimestampConverter$Value", &[("field", "b"), ("target.type", "string"), ("format", "yyyy")]),
        ("Filter", &[("predicate", "p")]),
        ("Filter", &[("predicate", "h"), ("negate", "true")]),
    ];

    fn link(number: usize, alias: usize) -> Flat {
        let (class, options) = LINKS[number];
        let prefix = format!("transforms.t{alias}.");
        let mut all = flat(&[
            ("predicates", "p,h"),
            ("predicates.p.type", "RecordIsTombstone"),
            ("predicates.h.type", "HasHeaderKey"),
            ("predicates.h.name", "h"),
        ]);
        all.insert(format!("{prefix}type"), class.to_owned());
        all.extend(options.iter().map(|(key, value)| (format!("{prefix}{key}"), (*value).to_owned())));
        all
    }

    proptest! {
        #[test]
        fn a_chain_is_its_links_one_by_one(
            links in prop::collection::vec(0..LINKS.len(), 1..6),
            values in prop::collection::vec(0..7_usize, 1..8),
        ) {
            let texts = ["{}", r#"{"a":1,"b":2}"#, r#"{"a":{"c":"x"},"b":true}"#, "null", "3", r#"{"b":"z"}"#, r#"[1]"#];
            let records: Vec<Record> = values
                .iter()
                .zip(0..)
                .map(|(value, offset)| Record { offset, ..record(Datum::Null, raw(texts[*value])) })
                .collect();
            let mut together = Flat::new();
            let names: Vec<String> = (0..links.len()).map(|alias| format!("t{alias}")).collect();
            links.iter().enumerate().for_each(|(alias, number)| together.extend(link(*number, alias)));
            together.insert("transforms".to_owned(), names.join(","));
            let mut whole = batch(records.clone());
            let mut failed: Vec<i64> = make_chain(&together).apply(&mut whole).iter().map(|one| one.offset).collect();

            let mut apart = batch(records);
            let mut failed_apart = Vec::new();
            for number in &links {
                let mut single = link(*number, 0);
                single.insert("transforms".to_owned(), "t0".to_owned());
                failed_apart.extend(make_chain(&single).apply(&mut apart).iter().map(|one| one.offset));
            }
            failed.sort_unstable();
            failed_apart.sort_unstable();
            prop_assert_eq!(whole, apart);
            prop_assert_eq!(failed, failed_apart);
        }
    }
}
