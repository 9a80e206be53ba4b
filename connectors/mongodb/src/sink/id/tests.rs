use std::collections::HashSet;
use std::sync::Arc;

use millrace_sdk::{TimestampKind, TopicPartition};

use super::*;

fn context(connector: &str) -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: connector.to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: Vec::new(),
        config: Arc::default(),
        ..TaskContext::default()
    }
}

fn batch(topic: &str, partition: i32, offsets: std::ops::Range<i64>) -> Batch {
    let records = offsets
        .map(|offset| Record {
            offset,
            timestamp_ms: Some(1_700_000_000_000),
            timestamp_kind: TimestampKind::CreateTime,
            renamed_topic: None,
            key: Datum::Null,
            value: Datum::Null,
            headers: Vec::new(),
        })
        .collect();
    Batch { origin: TopicPartition { topic: topic.into(), partition }, records }
}

#[test]
fn made_up_ids_are_one_per_record_and_the_same_each_time() {
    let mut object_ids = HashSet::new();
    let mut uuids = HashSet::new();
    for connector in ["a", "b"] {
        for (topic, partition) in [("t", 0), ("t", 1), ("u", 0)] {
            let batch = batch(topic, partition, 0..1000);
            for record in &batch.records {
                let ids = Ids::of(&context(connector));
                object_ids.insert(ids.object_id(&batch, record));
                uuids.insert(ids.uuid(&batch, record));
                assert_eq!(ids.object_id(&batch, record), Ids::of(&context(connector)).object_id(&batch, record));
            }
        }
    }
    assert_eq!((object_ids.len(), uuids.len()), (6000, 6000));
}

#[test]
fn made_up_ids_never_change() {
    // Documents are found again by them after an upgrade.
    let batch = batch("inventory", 3, 42..43);
    let ids = Ids::of(&context("stock"));
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&ids.object_id(&batch, &batch.records[0])), "6553f1003133ee7678a203dd");
    assert_eq!(hex(&ids.uuid(&batch, &batch.records[0])), "3133ee7678a283dda6a6dd1fefe40ad0");
}

#[test]
fn a_value_without_an_id_leaves_the_order_free() {
    let value = |json: &'static str| Datum::schemaless(Value::Json(millrace_sdk::Bytes::from_static(json.as_bytes())));
    let mut records = batch("t", 0, 0..1).records;
    assert!(values_have_no_id(&records));
    for (json, free) in [(r#"{"a":1}"#, true), (r#"{"a":{"_id":1}}"#, true), (r#"{"_id":1}"#, false), ("[1", false)] {
        records[0].value = value(json);
        assert_eq!(values_have_no_id(&records), free, "{json}");
    }
    records[0].value = Datum::schemaless(Value::Str("{}".into()));
    assert!(!values_have_no_id(&records), "texts are not looked into");
}
