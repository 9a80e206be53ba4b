use std::sync::Arc;

use millrace_sdk::{ByteString, Bytes, Datum, TaskContext, TimestampKind, TopicPartition, Value};
use mongodb::bson::{Document, RawDocumentBuf, doc};

use super::*;
use crate::sink::settings::IdStrategy;

fn settings(id: IdStrategy, model: WriteModel) -> TopicSettings {
    TopicSettings {
        database: "d".to_owned(),
        collection: "c".to_owned(),
        id,
        overwrite_existing_id: false,
        uuid_binary: false,
        model,
        delete_on_null: true,
        max_batch: 0,
    }
}

fn one(key: Option<&str>, value: Option<&str>) -> Batch {
    let text = |text: &str| Datum::schemaless(Value::Str(ByteString::from(text)));
    let record = Record {
        offset: 5,
        timestamp_ms: None,
        timestamp_kind: TimestampKind::None,
        renamed_topic: None,
        key: key.map_or(Datum::Null, text),
        value: value
            .map_or(Datum::Null, |json| Datum::schemaless(Value::Json(Bytes::copy_from_slice(json.as_bytes())))),
        headers: Vec::new(),
    };
    Batch { origin: TopicPartition { topic: "t".into(), partition: 2 }, records: vec![record] }
}

fn ids() -> Ids {
    Ids::of(&TaskContext {
        tenant: "default".to_owned(),
        connector: "c".to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: Vec::new(),
        config: Arc::default(),
        ..TaskContext::default()
    })
}

fn entry(settings: &TopicSettings, batch: &Batch) -> Result<Option<(Operation, Document)>> {
    let mut writer = Writer::default();
    let Some(operation) = encode(&mut writer, (settings, 0), ids(), batch, 0)? else { return Ok(None) };
    let raw = RawDocumentBuf::from_bytes(writer.slice(operation.entry.clone()).to_vec()).unwrap();
    Ok(Some((operation, Document::try_from(raw.as_ref()).unwrap())))
}

#[test]
fn each_model_has_its_entry() {
    let key = || one(Some(r#"{"k":1}"#), Some(r#"{"n":1}"#));
    let id = doc! { "k": 1_i32 };
    let filter = doc! { "_id": { "$eq": id.clone() } };
    let full = |model| settings(IdStrategy::FullKey, model);
    let (operation, found) = entry(&full(WriteModel::Replace), &key()).unwrap().unwrap();
    assert_eq!(found, doc! { "q": filter.clone(), "u": { "_id": id.clone(), "n": 1_i64 }, "upsert": true });
    assert!(operation.verb == Verb::Update && operation.whole && !operation.per_record);
    let (operation, found) = entry(&full(WriteModel::Update), &key()).unwrap().unwrap();
    assert_eq!(found, doc! { "q": filter.clone(), "u": { "$set": { "_id": id.clone(), "n": 1_i64 } }, "upsert": true });
    assert!(!operation.whole);
    let (operation, found) = entry(&full(WriteModel::Insert), &key()).unwrap().unwrap();
    assert_eq!(found, doc! { "_id": id, "n": 1_i64 });
    assert!(operation.verb == Verb::Insert && !operation.whole);
    for batch in [one(Some(r#"{"k":1}"#), None), key()] {
        let (operation, found) = entry(&full(WriteModel::Delete), &batch).unwrap().unwrap();
        assert_eq!(found, doc! { "q": filter.clone(), "limit": 1_i32 });
        assert!(operation.verb == Verb::Delete && operation.whole);
    }
}

#[test]
fn null_values_need_a_key_and_the_wish_to_delete() {
    let mut settings = settings(IdStrategy::FullKey, WriteModel::Replace);
    assert!(entry(&settings, &one(None, None)).unwrap().is_none());
    settings.delete_on_null = false;
    assert!(entry(&settings, &one(Some(r#"{"k":1}"#), None)).unwrap().is_none());
}

#[test]
fn a_document_is_never_taken_for_update_operators() {
    let settings = settings(IdStrategy::ProvidedInValue, WriteModel::Replace);
    let error = entry(&settings, &one(None, Some(r#"{"$set":{"admin":true},"_id":1}"#))).unwrap_err();
    assert!(error.to_string().starts_with("t-2@5: ") && error.to_string().contains('$'), "{error}");
    assert!(entry(&settings, &one(None, Some(r#"{"_id":1,"a":{"$set":1}}"#))).unwrap().is_some());
}

#[test]
fn ids_follow_their_strategy() {
    let chosen = |strategy, batch: &Batch| {
        let settings = settings(strategy, WriteModel::Replace);
        entry(&settings, batch).map(|found| found.unwrap().1.get_document("u").unwrap().get("_id").unwrap().clone())
    };
    let plain = one(Some(r#"{"_id":"key","k":1}"#), Some(r#"{"n":1}"#));
    let own = one(Some(r#"{"_id":"key","k":1}"#), Some(r#"{"n":1,"_id":"value"}"#));
    assert_eq!(chosen(IdStrategy::KafkaMetaData, &plain).unwrap().as_str(), Some("t#2#5"));
    assert_eq!(chosen(IdStrategy::ProvidedInKey, &plain).unwrap().as_str(), Some("key"));
    assert_eq!(chosen(IdStrategy::ProvidedInKey, &own).unwrap().as_str(), Some("value"), "an existing _id stays");
    assert_eq!(chosen(IdStrategy::ProvidedInValue, &own).unwrap().as_str(), Some("value"));
    let uuid = chosen(IdStrategy::Uuid, &plain).unwrap();
    assert_eq!(mongodb::bson::Uuid::parse_str(uuid.as_str().unwrap()).unwrap().to_string(), uuid.as_str().unwrap());
    for (strategy, batch, said) in [
        (IdStrategy::ProvidedInValue, &plain, "value has no field"),
        (IdStrategy::ProvidedInKey, &one(Some("{}"), Some("{}")), "key has no field"),
        (IdStrategy::ProvidedInKey, &one(Some(r#"{"_id":null}"#), Some("{}")), "null"),
        (IdStrategy::FullKey, &one(None, Some("{}")), "no key"),
        (IdStrategy::FullKey, &one(Some("seven"), Some("{}")), "document as key"),
    ] {
        let error = chosen(strategy, batch).unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
}
