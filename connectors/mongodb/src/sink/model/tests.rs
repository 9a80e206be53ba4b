use std::sync::Arc;

use millrace_sdk::{Bytes, Datum, TaskContext, Text, TimestampKind, TopicPartition, Value};
use mongodb::bson::{Document, RawDocumentBuf, doc};

use super::*;
use crate::sink::config::tests::topic_settings;

/// Key and value are JSON: the key in a text (extended JSON), the value decoded.
pub(in crate::sink) fn one(key: Option<&str>, value: Option<&str>) -> Batch {
    let text = |text: &str| Datum::schemaless(Value::Str(Text::from(text)));
    let record = Record {
        offset: 5,
        timestamp_ms: Some(7),
        timestamp_kind: TimestampKind::CreateTime,
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
        config: Arc::default(),
        ..TaskContext::default()
    })
}

/// The operation of a record, its entry as a document, and the namespace when it is not the topic's.
pub(in crate::sink) fn entry(
    keys: &[(&str, &str)],
    batch: &Batch,
) -> Result<Option<(Operation, Document, Option<Namespace>)>> {
    let mut writer = Writer::default();
    let mut named = None;
    let mut place = |namespace| {
        named = namespace;
        0
    };
    let Some(operation) = encode(&mut writer, &topic_settings(keys), ids(), (batch, 0, None), &mut place)? else {
        return Ok(None);
    };
    let raw = RawDocumentBuf::from_bytes(writer.slice(operation.entry.clone()).to_vec()).unwrap();
    Ok(Some((operation, Document::try_from(raw.as_ref()).unwrap(), named)))
}

const FULL_KEY: (&str, &str) = ("document.id.strategy", "FullKeyStrategy");

#[test]
fn each_model_has_its_entry() {
    let key = || one(Some(r#"{"k":1}"#), Some(r#"{"n":1}"#));
    let id = doc! { "k": 1_i32 };
    let filter = doc! { "_id": id.clone() };
    // By way of documents the same comes out as straight from the bytes.
    for by_tree in [false, true] {
        let full = |model| {
            let chain = if by_tree { "NullFieldValueRemover" } else { "DocumentIdAdder" };
            let deletes = ("delete.on.null.values", "true");
            move |batch: &Batch| {
                let keys = [FULL_KEY, deletes, ("writemodel.strategy", model), ("post.processor.chain", chain)];
                let (operation, document, _) = entry(&keys, batch).unwrap().unwrap();
                (operation, document)
            }
        };
        let document = if by_tree {
            doc! { "n": 1_i64, "_id": id.clone() }
        } else {
            doc! { "_id": id.clone(), "n": 1_i64 }
        };
        let (operation, found) = full("ReplaceOneDefaultStrategy")(&key());
        assert_eq!(found, doc! { "q": filter.clone(), "u": document.clone(), "upsert": true });
        assert!(operation.verb == Verb::Update && operation.whole && !operation.per_record && operation.identified);
        let (operation, found) = full("UpdateOneDefaultStrategy")(&key());
        assert_eq!(found, doc! { "q": filter.clone(), "u": { "$set": { "n": 1_i64 } }, "upsert": true });
        assert!(!operation.whole);
        let (operation, found) = full("InsertOneDefaultStrategy")(&key());
        assert_eq!(found, document);
        assert!(operation.verb == Verb::Insert && !operation.whole);
        let (operation, found) = full("DefaultWriteModelStrategy")(&one(Some(r#"{"k":1}"#), None));
        assert_eq!(found, doc! { "q": filter.clone(), "limit": 1_i32 });
        assert!(operation.verb == Verb::Delete && operation.whole);
    }
}

#[test]
fn null_values_need_a_key_and_the_wish_to_delete() {
    let deletes = ("delete.on.null.values", "true");
    for (keys, batch, said) in [
        (vec![FULL_KEY], one(Some(r#"{"k":1}"#), None), "delete.on.null.values=true"),
        (vec![], one(None, None), "delete.on.null.values=true"),
        (vec![FULL_KEY, deletes], one(None, None), "no key"),
    ] {
        for chain in ["DocumentIdAdder", "KafkaMetaAdder"] {
            let mut keys = keys.clone();
            keys.push(("post.processor.chain", chain));
            let error = entry(&keys, &batch).unwrap_err();
            assert!(error.to_string().starts_with("t-2@5: ") && error.to_string().contains(said), "{error}");
        }
    }
}

#[test]
fn an_id_is_never_taken_for_a_condition() {
    let same = |id: Bson| doc! { "_id": id };
    let spelled = |id: Bson| doc! { "_id": { "$eq": id } };
    let regex = Bson::RegularExpression(mongodb::bson::Regex {
        pattern: mongodb::bson::raw::cstr!("a").into(),
        options: mongodb::bson::raw::cstr!("").into(),
    });
    for (id, wanted) in [
        (Bson::Null, same as fn(Bson) -> Document),
        (Bson::Int64(1), same),
        (Bson::from("$gt"), same),
        (Bson::from(doc! {}), same),
        (Bson::from(doc! { "a": 1, "$b": 2 }), same),
        (Bson::from(doc! { "$gt": 1 }), spelled),
        (Bson::from(vec![1, 2]), spelled),
        (regex, spelled),
    ] {
        let found = mongodb::bson::deserialize_from_slice::<Document>(&by_id(&bson::encoded("_id", &id))).unwrap();
        assert_eq!(found, wanted(id.clone()));
        assert_eq!(operators(&Filter::by_id(id.clone()), None), wanted(id));
    }
}

#[test]
fn a_document_is_never_taken_for_update_operators() {
    let keys = [("document.id.strategy", "ProvidedInValueStrategy")];
    for chain in ["DocumentIdAdder", "NullFieldValueRemover"] {
        let keys = [keys[0], ("post.processor.chain", chain)];
        let error = entry(&keys, &one(None, Some(r#"{"$set":{"admin":true},"_id":1}"#))).unwrap_err();
        assert!(error.to_string().starts_with("t-2@5: ") && error.to_string().contains('$'), "{error}");
        assert!(entry(&keys, &one(None, Some(r#"{"_id":1,"a":{"$set":1}}"#))).unwrap().is_some());
    }
}

#[test]
fn ids_follow_their_strategy() {
    let chosen = |strategy: &str, batch: &Batch, more: &[(&str, &str)]| {
        let mut keys = vec![("document.id.strategy", strategy)];
        keys.extend_from_slice(more);
        entry(&keys, batch).map(|found| found.unwrap().1.get_document("u").unwrap().get("_id").unwrap().clone())
    };
    let plain = one(Some(r#"{"_id":"key","k":1,"l":2}"#), Some(r#"{"n":1,"m":{"a":1,"b":2}}"#));
    let own = one(Some(r#"{"_id":"key","k":1}"#), Some(r#"{"n":1,"_id":"value"}"#));
    let uuid = "6bb1d4b2-1b1f-4d1c-9f3e-0a1b2c3d4e5f";
    let with_uuid =
        one(Some(&format!(r#"{{"_id":"{uuid}"}}"#)), Some(&format!(r#"{{"_id":"{}"}}"#, uuid.replace('-', ""))));
    let overwrite = ("document.id.strategy.overwrite.existing", "true");
    let allow = |list| {
        vec![
            ("document.id.strategy.partial.key.projection.type", "AllowList"),
            ("document.id.strategy.partial.key.projection.list", list),
            ("document.id.strategy.partial.value.projection.type", "BlockList"),
            ("document.id.strategy.partial.value.projection.list", list),
        ]
    };
    // On both ways to the command.
    for chain in ["DocumentIdAdder", "NullFieldValueRemover"] {
        let chain = ("post.processor.chain", chain);
        let chosen =
            |strategy: &str, batch: &Batch, more: &[(&str, &str)]| chosen(strategy, batch, &[more, &[chain]].concat());
        assert_eq!(chosen("KafkaMetaDataStrategy", &plain, &[]).unwrap().as_str(), Some("t#2#5"));
        assert_eq!(chosen("ProvidedInKeyStrategy", &plain, &[]).unwrap().as_str(), Some("key"));
        assert_eq!(
            chosen("ProvidedInKeyStrategy", &own, &[]).unwrap().as_str(),
            Some("value"),
            "an existing _id stays"
        );
        assert_eq!(chosen("ProvidedInKeyStrategy", &own, &[overwrite]).unwrap().as_str(), Some("key"));
        assert_eq!(chosen("ProvidedInValueStrategy", &own, &[]).unwrap().as_str(), Some("value"));
        assert_eq!(chosen("PartialKeyStrategy", &plain, &allow("k")).unwrap(), doc! { "k": 1_i32 }.into());
        assert_eq!(
            chosen("PartialValueStrategy", &plain, &allow("n,m.b")).unwrap(),
            doc! { "m": { "a": 1_i64 } }.into()
        );
        for strategy in ["UuidProvidedInKeyStrategy", "UuidProvidedInValueStrategy"] {
            let found = chosen(strategy, &with_uuid, &[overwrite]).unwrap();
            assert_eq!(found, mongodb::bson::Uuid::parse_str(uuid).unwrap().into(), "{strategy}");
        }
        let made = chosen("UuidStrategy", &plain, &[]).unwrap();
        assert_eq!(mongodb::bson::Uuid::parse_str(made.as_str().unwrap()).unwrap().to_string(), made.as_str().unwrap());
        for (strategy, batch, said) in [
            ("ProvidedInValueStrategy", &plain, "value has no field"),
            ("ProvidedInKeyStrategy", &one(Some("{}"), Some("{}")), "key has no field"),
            ("ProvidedInKeyStrategy", &one(Some(r#"{"_id":null}"#), Some("{}")), "null"),
            ("FullKeyStrategy", &one(None, Some("{}")), "no key"),
            ("FullKeyStrategy", &one(Some("seven"), Some("{}")), "key"),
            ("UuidProvidedInKeyStrategy", &plain, "no UUID"),
        ] {
            let error = chosen(strategy, batch, &[]).unwrap_err();
            assert!(error.to_string().contains(said), "{strategy}: {error}");
        }
    }
}
