//! Business keys, change events, versions, time series, privileges, tolerance, pace.

use std::sync::Arc;
use std::time::Duration;

use millrace_connector_mongodb::Sink;
use millrace_sdk::{ErrorKind, OrderKeys, SinkConnector, SinkTask, VersionRule};
use mongodb::bson::{Document, doc};

use crate::{BY_KEY, Place, batch, context, indices};

#[tokio::test]
async fn business_keys_find_their_documents() {
    let Some(place) = Place::new().await else { return };
    let keys = [
        ("document.id.strategy", "PartialValueStrategy"),
        ("document.id.strategy.partial.value.projection.type", "AllowList"),
        ("document.id.strategy.partial.value.projection.list", "sku,at.place"),
    ];
    let with = |model| [&keys[..], &[("writemodel.strategy", model)]].concat();
    let record = |n: i64| format!(r#"{{"sku":"A","at":{{"place":1,"n":{n}}},"n":{n}}}"#);
    let (first, second) = (record(1), record(2));
    let task = place.task(&with("ReplaceOneBusinessKeyStrategy")).await;
    for _ in 0..2 {
        let batch = batch(vec![("", Some(&first)), ("", Some(&second))]);
        let OrderKeys::PerRecord(order) = task.order_keys(&batch) else { panic!("keys are named") };
        assert_eq!(order[0], order[1]);
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
    }
    let found = place.all("items").await;
    assert_eq!((found.len(), found[0].get_i64("n").unwrap()), (1, 2));
    assert!(found[0].get_object_id("_id").is_ok());
    let task = place.task(&with("UpdateOneBusinessKeyTimestampStrategy")).await;
    let update = r#"{"sku":"A","at":{"place":1},"more":1}"#;
    assert!(task.write(&batch(vec![("", Some(update))])).await.unwrap().failures.is_empty());
    let found = place.all("items").await;
    assert!(found.len() == 1 && found[0].contains_key("n") && found[0].contains_key("_modifiedTS"), "{found:?}");
    let task = place.task(&with("DeleteOneBusinessKeyStrategy")).await;
    assert!(task.write(&batch(vec![("", Some(&first))])).await.unwrap().failures.is_empty());
    assert!(place.all("items").await.is_empty());
    place.drop().await;
}

/// As in the peer: what does not hold its business key is not found by it again.
#[tokio::test]
async fn documents_without_their_business_key_are_all_written() {
    let Some(place) = Place::new().await else { return };
    let keys = [("document.id.strategy", "FullKeyStrategy"), ("writemodel.strategy", "ReplaceOneBusinessKeyStrategy")];
    let task = place.task(&keys).await;
    let key = r#"{"part":1}"#;
    let (lacking, holding) = (vec![(key, Some(r#"{"n":1}"#)), (key, Some(r#"{"n":2}"#))], r#"{"part":1,"n":3}"#);
    let lacking = batch(lacking);
    assert!(matches!(task.order_keys(&lacking), OrderKeys::Total));
    assert!(task.write(&lacking).await.unwrap().failures.is_empty());
    assert_eq!(place.all("items").await.len(), 2);
    let holding = batch(vec![(key, Some(holding)), (key, Some(holding))]);
    assert!(matches!(task.order_keys(&holding), OrderKeys::PerRecord(_)));
    assert!(task.write(&holding).await.unwrap().failures.is_empty());
    assert_eq!(place.all("items").await.len(), 3);
    place.drop().await;
}

#[tokio::test]
async fn changes_of_rows_without_keys_keep_the_order_of_the_partition() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("change.data.capture.handler", "PostgresHandler")]).await;
    let mut events: Vec<String> = vec![r#"{"op":"c","after":{"name":"a","n":0}}"#.to_owned()];
    for n in 1..200 {
        events.push(format!(r#"{{"op":"u","before":{{"name":"a","n":{}}},"after":{{"name":"a","n":{n}}}}}"#, n - 1));
    }
    events.push(r#"{"op":"x"}"#.to_owned());
    events.push(r#"{"op":"c","after":{"name":"b"}}"#.to_owned());
    events.push(r#"{"op":"d","before":{"name":"b"}}"#.to_owned());
    let batch = batch(events.iter().map(|event| ("", Some(event.as_str()))).collect());
    assert_eq!(task.order_keys(&batch), OrderKeys::Total);
    assert_eq!(indices(&task.write(&batch).await.unwrap()), [200]);
    let found = place.all("items").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].get_i64("n").unwrap(), 199);
    place.drop().await;
}

#[tokio::test]
async fn change_streams_are_repeated_in_order_per_document() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("change.data.capture.handler", "mongodb.ChangeStreamHandler")]).await;
    let insert = |id: i64| {
        format!(r#"{{"operationType":"insert","documentKey":{{"_id":{id}}},"fullDocument":{{"_id":{id},"n":0}}}}"#)
    };
    let update = |id: i64, n: i64| {
        format!(
            r#"{{"operationType":"update","documentKey":{{"_id":{id}}},"updateDescription":{{"updatedFields":{{"n":{n},"f{n}":1}},"removedFields":["f{}"]}}}}"#,
            n - 1
        )
    };
    let delete = |id: i64| format!(r#"{{"operationType":"delete","documentKey":{{"_id":{id}}}}}"#);
    let mut events = vec![update(3, 1), insert(1), insert(2)];
    for n in 1..100 {
        events.extend([update(1, n), update(2, n)]);
    }
    events.extend([delete(2), insert(2), delete(2), update(2, 500)]);
    let batch = batch(events.iter().map(|event| ("", Some(event.as_str()))).collect());
    for _ in 0..2 {
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
        let found = place.all("items").await;
        assert_eq!(found, [doc! { "_id": 1_i64, "n": 99_i64, "f99": 1_i64 }]);
    }
    place.drop().await;
}

#[tokio::test]
async fn a_unique_value_that_moves_within_a_batch_is_no_error() {
    let Some(place) = Place::new().await else { return };
    let index =
        doc! { "createIndexes": "items", "indexes": [{ "key": { "mail": 1 }, "name": "mail", "unique": true }] };
    place.client.database(&place.database).run_command(index).await.unwrap();
    let task = place.task(BY_KEY).await;
    let (a, b, c) = (r#"{"k":1}"#, r#"{"k":2}"#, r#"{"k":3}"#);
    assert!(task.write(&batch(vec![(b, Some(r#"{"mail":"x"}"#))])).await.unwrap().failures.is_empty());
    let records = vec![(b, Some(r#"{"mail":"y"}"#)), (a, Some(r#"{"mail":"x"}"#)), (c, Some(r#"{"mail":"y"}"#))];
    let report = task.write(&batch(records)).await.unwrap();
    assert_eq!(indices(&report), [2], "{:?}", report.failures);
    assert!(report.failures[0].error.to_string().contains("v=1, code=11000"));
    assert_eq!(report.failures[0].error.class(), Some("com.mongodb.kafka.connect.sink.dlq.WriteException"));
    assert_eq!(place.all("items").await.len(), 2);
    place.drop().await;
}

#[tokio::test]
async fn no_replay_and_no_late_writer_puts_an_older_version_over_a_newer_one() {
    let Some(place) = Place::new().await else { return };
    for model in ["ReplaceOneDefaultStrategy", "UpdateOneDefaultStrategy"] {
        for chain in ["DocumentIdAdder", "NullFieldValueRemover"] {
            let mut keys = BY_KEY.to_vec();
            keys.extend([("writemodel.strategy", model), ("post.processor.chain", chain), ("collection", model)]);
            let task = place.guarded(&keys, VersionRule::Offset).await;
            let all: Vec<String> = (0..50).map(|n| format!(r#"{{"n":{n}}}"#)).collect();
            let key = |n: usize| if n.is_multiple_of(2) { r#"{"k":0}"# } else { r#"{"k":1}"# };
            let records = |range: std::ops::Range<usize>| {
                let mut found = batch(range.clone().map(|n| (key(n), Some(all[n].as_str()))).collect());
                for (record, n) in found.records.iter_mut().zip(range) {
                    record.offset = i64::try_from(n).unwrap();
                }
                found
            };
            let report = task.write(&records(0..50)).await.unwrap();
            assert!(report.failures.is_empty() && report.superseded == 0, "{report:?}");
            // The same again, and an older part of it.
            let report = task.write(&records(0..50)).await.unwrap();
            assert!(report.failures.is_empty(), "{report:?}");
            let report = task.write(&records(0..30)).await.unwrap();
            assert!(report.failures.is_empty() && report.superseded >= 2, "{report:?}");
            // A deletion that is older than the document, and one that is newer.
            let mut late = batch(vec![(key(0), None), (key(1), None)]);
            (late.records[0].offset, late.records[1].offset) = (3, 60);
            assert!(task.write(&late).await.unwrap().failures.is_empty());
            let found = place.all(model).await;
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!((found[0].get_i64("n").unwrap(), found[0].get_i64("_millraceVersion").unwrap()), (48, 48));
            place.client.database(&place.database).collection::<Document>(model).drop().await.unwrap();
        }
    }
    let refused = [
        ("writemodel.strategy", "InsertOneDefaultStrategy"),
        ("writemodel.strategy", "ReplaceOneBusinessKeyStrategy"),
        ("change.data.capture.handler", "MysqlHandler"),
        ("timeseries.timefield", "t"),
    ];
    for (key, value) in refused {
        let reason = Sink.versions(&place.config(&[(key, value)]), &VersionRule::Offset).unwrap_err();
        assert!(reason.contains("millrace.versions"), "{key}: {reason}");
    }
    assert_eq!(Sink.versions(&place.config(BY_KEY), &VersionRule::Timestamp), Ok(()));
    place.drop().await;
}

#[tokio::test]
async fn many_writers_of_one_document_leave_the_newest_version() {
    let Some(place) = Place::new().await else { return };
    let task = Arc::new(place.guarded(BY_KEY, VersionRule::Offset).await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_i64 {
        let task = Arc::clone(&task);
        writers.spawn(async move {
            for n in 0..40_i64 {
                let version = (n * 7 + writer * 13) % 300;
                let value = format!(r#"{{"n":{version}}}"#);
                let mut one = batch(vec![(r#"{"k":1}"#, Some(&value))]);
                one.records[0].offset = version;
                // Two that make the document at the same time: one of them is told to come again.
                while !task.write(&one).await.unwrap().failures.is_empty() {}
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    let newest = (0..8).flat_map(|writer| (0..40).map(move |n| (n * 7 + writer * 13) % 300)).max().unwrap();
    let found = place.all("items").await;
    assert_eq!((found.len(), found[0].get_i64("n").unwrap()), (1, newest));
    place.drop().await;
}

#[tokio::test]
async fn time_series_are_made_and_filled() {
    let Some(place) = Place::new().await else { return };
    let keys = [
        ("collection", "series"),
        ("timeseries.timefield", "at"),
        ("timeseries.metafield", "sensor"),
        ("timeseries.granularity", "minutes"),
        ("timeseries.expire.after.seconds", "1000000000"),
        ("timeseries.timefield.auto.convert", "true"),
        ("document.id.strategy", "KafkaMetaDataStrategy"),
    ];
    let task = place.task(&keys).await;
    let values = [r#"{"at":"2026-01-01T00:00:00Z","sensor":1,"c":5}"#, r#"{"at":1767225600000,"sensor":1,"c":6}"#];
    let report =
        task.write(&batch(vec![("", Some(values[0])), ("", Some(values[1])), ("", Some(r#"{"at":true}"#))])).await;
    assert_eq!(indices(&report.unwrap()), [2]);
    let found = place.all("series").await;
    assert_eq!(found.len(), 2);
    assert!(
        found.iter().all(|one| one.get_datetime("at").unwrap().timestamp_millis() == 1_767_225_600_000),
        "{found:?}"
    );
    let list = doc! { "listCollections": 1, "filter": { "name": "series" } };
    let reply = place.client.database(&place.database).run_command(list).await.unwrap();
    let first =
        reply.get_document("cursor").unwrap().get_array("firstBatch").unwrap()[0].as_document().unwrap().clone();
    assert_eq!(first.get_str("type").unwrap(), "timeseries");
    let options = first.get_document("options").unwrap();
    assert_eq!(options.get_document("timeseries").unwrap().get_str("metaField").unwrap(), "sensor");
    assert_eq!(options.get_i64("expireAfterSeconds").unwrap(), 1_000_000_000);
    let findings = Sink.check(&place.config(&keys), &context()).await.unwrap();
    assert_eq!(findings.warnings[0].key, "timeseries.timefield");
    // Something else has the name.
    place.client.database(&place.database).create_collection("plain").await.unwrap();
    let mut keys = keys.to_vec();
    keys[0].1 = "plain";
    let error = Sink.check(&place.config(&keys), &context()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::BadConfig && error.to_string().contains("no time series"), "{error}");
    let error = place.task(&keys).await.write(&batch(vec![("", Some(values[0]))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{error}");
    place.drop().await;
}

#[tokio::test]
async fn check_names_what_a_replay_does_and_what_must_be_granted() {
    let Some(place) = Place::new().await else { return };
    let findings = Sink.check(&place.config(&[]), &context()).await.unwrap();
    assert!(findings.warnings[0].message.contains("FullKeyStrategy"), "{findings:?}");
    assert!(Sink.check(&place.config(BY_KEY), &context()).await.unwrap().warnings.is_empty());
    // The server runs without access control, but a user that logs in has only its own privileges.
    let user = format!("reader_{}", place.database);
    let create = doc! { "createUser": &user, "pwd": "secret", "roles": [{ "role": "read", "db": &place.database }] };
    place.client.database("admin").run_command(create).await.unwrap();
    let uri = place.uri.replace("mongodb://", &format!("mongodb://{user}:secret@"));
    let uri = format!("{uri}&authSource=admin");
    let error = Sink.check(&place.config(&[("connection.uri", &uri)]), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
    let text = error.chain();
    assert!(
        text.contains("may not insert, update") && text.contains("readWrite") && !text.contains("secret"),
        "{text}"
    );
    let grant = doc! { "grantRolesToUser": &user, "roles": [{ "role": "readWrite", "db": &place.database }] };
    place.client.database("admin").run_command(grant).await.unwrap();
    Sink.check(&place.config(&[("connection.uri", &uri)]), &context()).await.unwrap();
    place.client.database("admin").run_command(doc! { "dropUser": &user }).await.unwrap();
    place.drop().await;
}

#[tokio::test]
async fn the_stable_api_is_enough() {
    let Some(place) = Place::new().await else { return };
    let mut keys = BY_KEY.to_vec();
    keys.extend([
        ("server.api.version", "1"),
        ("server.api.strict", "true"),
        ("server.api.deprecation.errors", "true"),
    ]);
    let task = place.task(&keys).await;
    assert!(task.write(&batch(vec![(r#"{"k":1}"#, Some(r#"{"n":1}"#))])).await.unwrap().failures.is_empty());
    Sink.check(&place.config(&keys), &context()).await.unwrap();
    place.drop().await;
}

#[tokio::test]
async fn a_topic_may_say_itself_what_is_passed_over() {
    let Some(place) = Place::new().await else { return };
    for (tolerance, expected) in [("", None), ("none", Some(false)), ("data", Some(true)), ("all", Some(true))] {
        let mut keys = BY_KEY.to_vec();
        keys.push(("mongo.errors.tolerance", tolerance));
        let report = place.task(&keys).await.write(&batch(vec![("no document", Some("{}"))])).await.unwrap();
        assert_eq!(report.failures[0].error.tolerance(), expected, "{tolerance}");
    }
    place.drop().await;
}

#[tokio::test]
async fn batches_are_spread_over_time_when_asked_for() {
    let Some(place) = Place::new().await else { return };
    let mut keys = BY_KEY.to_vec();
    keys.extend([("rate.limiting.timeout", "100"), ("rate.limiting.every.n", "2")]);
    let task = place.task(&keys).await;
    let begun = std::time::Instant::now();
    for _ in 0..6 {
        task.write(&batch(vec![(r#"{"k":1}"#, Some("{}"))])).await.unwrap();
    }
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    place.drop().await;
}
