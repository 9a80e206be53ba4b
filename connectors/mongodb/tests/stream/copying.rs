//! The copy of what exists: complete, resumable, and never newer than the stream that follows it.

use std::collections::{BTreeMap, BTreeSet};

use millrace_sdk::{Datum, SourceRecord};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Binary, Bson, DateTime, Decimal128, Document, Timestamp, doc, spec::BinarySubtype};

use crate::place::{Place, Reading, by_id, json, text};

const COPY: (&str, &str) = ("startup.mode", "copy_existing");
const ALONE: (&str, &str) = ("publish.full.document.only", "true");
const TOMBSTONES: (&str, &str) = ("publish.full.document.only.tombstone.on.delete", "true");

/// An `_id` of a type that changes with the number.
fn id(number: i32) -> Bson {
    match number % 10 {
        0 => Bson::Int32(number),
        1 => Bson::Int64(i64::from(number) << 32),
        2 => Bson::Double(f64::from(number) + 0.5),
        3 => Bson::String(format!("s{number:06}")),
        4 => Bson::ObjectId(ObjectId::new()),
        5 => Bson::DateTime(DateTime::from_millis(i64::from(number))),
        6 => Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: [number.to_be_bytes(); 4].concat() }),
        7 => Bson::Document(doc! { "a": number, "b": "x" }),
        8 => Bson::Decimal128(format!("{number}.25").parse::<Decimal128>().unwrap()),
        _ => Bson::Timestamp(Timestamp { time: 1, increment: number.unsigned_abs() }),
    }
}

async fn fill(place: &Place, from: i32, to: i32) {
    for start in (from..to).step_by(5000) {
        let documents = (start..to.min(start + 5000)).map(|number| doc! { "_id": id(number), "n": number });
        place.items().insert_many(documents).await.unwrap();
    }
}

/// What a reader of the topic knows in the end: the last value of each key.
fn state(records: &[SourceRecord]) -> BTreeMap<String, String> {
    let mut state = BTreeMap::new();
    for record in records {
        let key = text(&record.key).to_owned();
        match &record.value {
            Datum::Null => drop(state.remove(&key)),
            value => drop(state.insert(key, text(value).to_owned())),
        }
    }
    state
}

async fn numbers(place: &Place) -> BTreeSet<i32> {
    let mut cursor = place.items().find(doc! {}).await.unwrap();
    let mut numbers = BTreeSet::new();
    while cursor.advance().await.unwrap() {
        let document: Document = cursor.deserialize_current().unwrap();
        numbers.insert(document.get_i32("n").unwrap());
    }
    numbers
}

fn told(state: &BTreeMap<String, String>) -> BTreeSet<i32> {
    let number = |text: &String| serde_json::from_str::<serde_json::Value>(text).unwrap()["n"].as_i64().unwrap();
    state.values().map(|text| i32::try_from(number(text)).unwrap()).collect()
}

/// The copy is done, and the stream has told all that happened.
async fn settled(place: &Place, reading: &mut Reading) {
    let done = |reading: &Reading| reading.positions.0.iter().all(|position| !position.offset.contains_key("copy"));
    reading.until("the end of the copy", done).await;
    place.items().insert_one(doc! { "_id": "last", "n": -1 }).await.unwrap();
    let last = |reading: &Reading| reading.records.iter().any(|record| text(&record.key).contains("last"));
    reading.until("the last change", last).await;
}

fn assert_same(told: &BTreeSet<i32>, expected: &BTreeSet<i32>) {
    let few = |numbers: Vec<&i32>| (numbers.len(), numbers.into_iter().take(10).copied().collect::<Vec<_>>());
    let missing = few(expected.difference(told).collect());
    let too_much = few(told.difference(expected).collect());
    assert_eq!((missing, too_much), ((0, vec![]), (0, vec![])), "missing, too much");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_id_is_copied_and_the_stream_follows() {
    let Some(place) = Place::new().await else { return };
    fill(&place, 0, 30_000).await;
    let mut reading = place.reading(&[COPY, ALONE, TOMBSTONES]).await;
    let parts = reading.positions.0.iter().filter(|position| position.partition.contains_key("part")).count();
    assert!(parts > 1, "{parts} parts");
    // While it is copied: new documents, changed ones, deleted ones.
    fill(&place, 30_000, 31_000).await;
    place.items().update_many(doc! { "n": { "$lt": 500 } }, doc! { "$inc": { "n": 100_000 } }).await.unwrap();
    place.items().delete_many(doc! { "n": { "$gte": 500, "$lt": 1000 } }).await.unwrap();
    settled(&place, &mut reading).await;
    let expected = numbers(&place).await;
    assert_eq!(expected.len(), 30_501);
    assert_same(&told(&state(&reading.records)), &expected);
    assert_eq!(reading.positions.0.len(), 1, "those of the parts are forgotten: {:?}", reading.positions);
    place.drop().await;
}

/// Closed again and again in the middle of it, as by kill -9: what was stored counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_cut_short_goes_on_with_the_parts_that_are_left() {
    let Some(place) = Place::new().await else { return };
    fill(&place, 0, 40_000).await;
    let more = [COPY, ALONE, ("poll.max.batch.size", "500"), ("startup.mode.copy.existing.max.threads", "3")];
    let mut records = Vec::new();
    let mut positions = millrace_sdk::Positions::default();
    for _ in 0..4 {
        let mut reading = place.reading_from(&more, positions).await;
        reading.until("some", |reading| reading.records.len() >= 7000).await;
        records.append(&mut reading.records);
        positions = reading.close().await;
    }
    assert!(positions.0.iter().any(|position| position.offset.contains_key("copy")), "it is still copying");
    let mut reading = place.reading_from(&more, positions).await;
    settled(&place, &mut reading).await;
    records.append(&mut reading.records);
    assert_same(&told(&state(&records)), &numbers(&place).await);
    assert!(
        records.len() < 41_000,
        "{} records for 40 001 documents: it went on and did not begin anew",
        records.len()
    );

    // And once more: there is nothing to copy.
    let positions = reading.close().await;
    place.items().insert_one(doc! { "_id": "more", "n": -2 }).await.unwrap();
    let mut reading = place.reading_from(&more, positions).await;
    assert_eq!(text(&reading.next(1).await[0].key), "{\"_id\": \"more\"}");
    place.drop().await;
}

/// In the peer's form, field by field in its order.
#[tokio::test(flavor = "multi_thread")]
async fn copied_documents_are_insert_events() {
    let Some(place) = Place::new().await else { return };
    place.items().insert_one(doc! { "_id": 1, "a": "x" }).await.unwrap();
    let expected = format!(
        "{{\"_id\": {{\"_id\": 1, \"copyingData\": true}}, \"operationType\": \"insert\", \"documentKey\": {{\"_id\": 1}}, \
         \"fullDocument\": {{\"_id\": 1, \"a\": \"x\"}}, \"ns\": {{\"db\": \"{}\", \"coll\": \"items\"}}}}",
        place.database
    );
    // Made here, and by the server.
    for pipeline in ["[]", "[{$match: {operationType: 'insert'}}]"] {
        let mut reading = place.reading(&[COPY, ("pipeline", pipeline)]).await;
        let record = reading.next(1).await.remove(0);
        assert_eq!(text(&record.value), expected, "{pipeline}");
        assert_eq!(text(&record.key), "{\"_id\": 1}");
        assert_eq!(record.topic, format!("{}.items", place.database));
    }
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_and_namespaces_choose_what_is_copied() {
    let Some(place) = Place::new().await else { return };
    place.items().insert_many((0..10).map(by_id)).await.unwrap();
    place.collection("others").insert_many((0..10).map(by_id)).await.unwrap();
    let create = doc! { "create": "a_view", "viewOn": "items", "pipeline": [{ "$match": { "_id": 3 } }] };
    place.client.database(&place.database).run_command(create).await.unwrap();
    let mut reading = place
        .reading(&[
            ("collection", ""),
            ("copy.existing", "true"),
            ("copy.existing.pipeline", "[{$match: {_id: {$gte: 8}}}]"),
            ("startup.mode.copy.existing.namespace.regex", r".*\.(items|a_view)$"),
            ALONE,
        ])
        .await;
    let records = reading.next(2).await;
    let mut ids: Vec<_> = records.iter().map(|record| text(&record.key).to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["{\"_id\": 8}", "{\"_id\": 9}"]);
    place.items().insert_one(by_id(77)).await.unwrap();
    let next = reading.next(1).await.remove(0);
    assert_eq!(json(&next.value), serde_json::json!({ "_id": 77 }), "nothing else was copied");
    place.drop().await;
}
