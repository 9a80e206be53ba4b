#![allow(clippy::unwrap_used)] // a test fails by panicking

use millrace_sdk::Flat;
use millrace_sdk::config::{definition, parse};
use mongodb::bson::{Document, doc, serialize_to_vec};

use super::super::config::SourceConfig;
use super::*;

fn made(more: &[(&str, &str)], events: &[Document]) -> Result<Made> {
    let keys = [&[("connection.uri", "mongodb://a/?replicaSet=r")], more].concat();
    let flat: Flat = keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let config = parse::<SourceConfig>(&definition::<SourceConfig>(), &flat).unwrap();
    let mut output = Output::new(&Settings::resolve(&config, &flat).unwrap());
    let mut inferrer = Inferrer::default();
    let mut batch = output.batch(&mut inferrer, 100);
    for event in events {
        let bytes = serialize_to_vec(event).unwrap();
        batch.add(&Event::parse(&bytes)?)?;
    }
    Ok(batch.finish())
}

fn event(document: Option<Document>) -> Document {
    let mut event = doc! {
        "_id": { "_data": "82" }, "operationType": "x", "ns": { "db": "d", "coll": "c" }, "documentKey": { "_id": 1 },
    };
    if let Some(document) = document {
        event.insert("fullDocument", document);
    }
    event
}

fn text(datum: &Datum) -> String {
    match datum {
        Datum::Null => "null".to_owned(),
        Datum::Decoded { value: Value::Str(text), .. } => text.to_string(),
        Datum::Decoded { value: Value::Bytes(bytes), .. } => format!("{} bytes", bytes.len()),
        other => format!("{other:?}"),
    }
}

const ALONE: (&str, &str) = ("publish.full.document.only", "true");
const TOMBSTONES: (&str, &str) = ("publish.full.document.only.tombstone.on.delete", "true");
const TOKENS: (&str, &str) = ("change.stream.document.key.as.key", "false");

#[test]
fn the_settings_say_what_is_published() {
    let changed = event(Some(doc! { "_id": 1, "a": 2 }));
    let deleted = event(None);
    // What is left of a document that is gone when it is looked up
    let mut gone = event(None);
    gone.insert("fullDocument", mongodb::bson::Bson::Null);
    let mut nameless = event(Some(doc! { "_id": 1 }));
    nameless.remove("ns");
    let mut keyless = event(Some(doc! { "_id": 1 }));
    keyless.remove("documentKey");
    for (more, event, expected) in [
        (&[ALONE][..], &changed, Some((r#"{"_id": 1}"#, r#"{"_id": 1, "a": 2}"#))),
        (&[ALONE], &deleted, None),
        (&[ALONE, TOMBSTONES], &deleted, Some((r#"{"_id": 1}"#, "null"))),
        (&[ALONE, TOMBSTONES], &gone, None),
        (&[ALONE], &nameless, None),
        (&[ALONE], &keyless, Some((r#"{"_id": {"_data": "82"}}"#, r#"{"_id": 1}"#))),
        (&[ALONE, TOKENS], &changed, Some((r#"{"_id": {"_data": "82"}}"#, r#"{"_id": 1, "a": 2}"#))),
        (&[ALONE, ("output.format.key", "bson")], &changed, Some(("14 bytes", r#"{"_id": 1, "a": 2}"#))),
        (&[ALONE, ("output.format.value", "bson")], &changed, Some((r#"{"_id": 1}"#, "21 bytes"))),
        // Without full documents alone there are no tombstones.
        (
            &[TOMBSTONES],
            &deleted,
            Some((
                r#"{"_id": 1}"#,
                r#"{"_id": {"_data": "82"}, "operationType": "x", "ns": {"db": "d", "coll": "c"}, "documentKey": {"_id": 1}}"#,
            )),
        ),
    ] {
        let made = made(more, std::slice::from_ref(event)).unwrap();
        let found = made.records.first().map(|record| (text(&record.key), text(&record.value)));
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(found, expected, "{more:?} {event}");
        assert!(made.records.iter().all(|record| record.topic == "d.c") && made.failures.is_empty());
    }
}

#[test]
fn what_does_not_fit_costs_itself_alone() {
    let schema = r#"{"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}"#;
    let strict = [ALONE, ("output.format.value", "schema"), ("output.schema.value", schema)];
    let events = [doc! { "n": 1 }, doc! { "n": "x" }, doc! { "n": 3 }].map(|document| event(Some(document)));
    let with = |more: &[(&str, &str)]| made(&[&strict[..], more].concat(), &events);

    let framework = with(&[]).unwrap();
    assert_eq!((framework.records.len(), framework.failures.len()), (2, 1));
    assert_eq!(framework.failures[0].at, r#"d.c at {"_id": 1}"#);
    assert_eq!(framework.failures[0].value.as_deref(), Some(&br#"{"n": "x"}"#[..]));

    let none = with(&[("mongo.errors.tolerance", "none")]).unwrap_err();
    assert!(none.chain().contains(r#"d.c at {"_id": 1} cannot become a record"#), "{}", none.chain());

    let all = ("mongo.errors.tolerance", "all");
    assert_eq!(with(&[all]).unwrap().records.len(), 2);
    let kept = with(&[all, ("mongo.errors.deadletterqueue.topic.name", "letters")]).unwrap();
    let topics: Vec<_> = kept.records.iter().map(|record| record.topic.as_str()).collect();
    assert_eq!(topics, ["d.c", "letters", "d.c"]);
    assert_eq!(text(&kept.records[1].value), r#"{"n": "x"}"#);
}

#[test]
fn torn_bson_is_a_bad_record_and_no_panic() {
    let whole = serialize_to_vec(&event(Some(doc! { "_id": 1, "a": [1, { "b": "text" }] }))).unwrap();
    for length in 0..whole.len() {
        let mut torn = whole[..length].to_vec();
        assert!(Event::parse(&torn).is_err(), "{length}");
        // Also where the length pretends that it is whole.
        if length > 5 {
            let size = i32::try_from(length).unwrap().to_le_bytes();
            torn[..4].copy_from_slice(&size);
            torn[length - 1] = 0;
            if let Ok(event) = Event::parse(&torn) {
                let _ = json::text(event.whole);
            }
        }
    }
}
