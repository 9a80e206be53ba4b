//! Inserts, upserts and deletions, refused records, and servers that go away.

use std::time::Duration;

use millrace_connector_mongodb::Sink;
use millrace_sdk::{ErrorKind, OrderKeys, SinkConnector, SinkTask};
use mongodb::bson::{Bson, Document, doc};

use crate::{BY_KEY, Place, batch, context, indices};

#[tokio::test]
async fn the_sample_configuration_inserts_once_however_often_a_batch_comes() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[]).await;
    let batch = batch(vec![("", Some(r#"{"user":"a","n":1}"#)), ("k", Some(r#"{"user":"b","n":2.5}"#))]);
    assert_eq!(task.order_keys(&batch), OrderKeys::Any);
    for _ in 0..3 {
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
    }
    let found = place.all("items").await;
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|one| one.get_object_id("_id").is_ok()));
    assert!(found.iter().any(|one| one.get("n") == Some(&Bson::Int64(1))));
    assert!(found.iter().any(|one| one.get("n") == Some(&Bson::Double(2.5))));
    task.close().await.unwrap();
    place.drop().await;
}

#[tokio::test]
async fn keys_upsert_and_delete_and_the_newest_of_a_batch_stands() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(BY_KEY).await;
    let (a, b, c) =
        (r#"{"sku":"A","warehouse":1}"#, r#"{"sku":"B","warehouse":1}"#, r#"{ "sku":"A", "warehouse": 1 }"#);
    let first = batch(vec![
        (a, Some(r#"{"quantity":1}"#)),
        (b, Some(r#"{"quantity":2}"#)),
        (c, Some(r#"{"quantity":3,"note":"same key, other spelling"}"#)),
    ]);
    let OrderKeys::PerRecord(keys) = task.order_keys(&first) else { panic!("keys are named") };
    assert!(keys[0] == keys[2] && keys[0] != keys[1]);
    assert!(task.write(&first).await.unwrap().failures.is_empty());
    let found = place.all("items").await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].get("_id"), Some(&Bson::Document(doc! { "sku": "A", "warehouse": 1_i32 })));
    assert_eq!(found[0].get("quantity"), Some(&Bson::Int64(3)));
    // A deletion, one of what is not there, and a document that is written again after its deletion.
    let second = batch(vec![(a, None), (r#"{"sku":"Z"}"#, None), (b, None), (b, Some(r#"{"quantity":9}"#))]);
    for _ in 0..2 {
        assert!(task.write(&second).await.unwrap().failures.is_empty());
    }
    let found = place.all("items").await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].get("quantity"), Some(&Bson::Int64(9)));
    place.drop().await;
}

#[tokio::test]
async fn null_values_are_refused_unless_they_are_to_delete() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("document.id.strategy", "FullKeyStrategy")]).await;
    let key = r#"{"sku":"A"}"#;
    task.write(&batch(vec![(key, Some(r#"{"quantity":1}"#))])).await.unwrap();
    let report = task.write(&batch(vec![(key, None), ("", None)])).await.unwrap();
    assert_eq!(indices(&report), [0, 1]);
    assert!(report.failures[0].error.to_string().contains("delete.on.null.values=true"));
    assert_eq!(place.all("items").await.len(), 1);
    place.drop().await;
}

#[tokio::test]
async fn poison_is_named_and_its_neighbours_are_durable() {
    let Some(place) = Place::new().await else { return };
    place
        .client
        .database(&place.database)
        .run_command(doc! { "create": "items", "validator": { "quantity": { "$gte": 0 } } })
        .await
        .unwrap();
    let task = place.task(BY_KEY).await;
    let huge = format!(r#"{{"text":"{}"}}"#, "x".repeat(17 * 1024 * 1024));
    let report = task
        .write(&batch(vec![
            (r#"{"k":1}"#, Some(r#"{"quantity":1}"#)),
            (r#"{"k":2}"#, Some(r#"{"quantity":-1}"#)),
            ("no document", Some(r#"{"quantity":1}"#)),
            (r#"{"k":4}"#, Some("[1,2]")),
            (r#"{"k":5}"#, Some(&huge)),
            (r#"{"k":6}"#, Some(r#"{"quantity":6}"#)),
            ("", Some(r#"{"quantity":6}"#)),
        ]))
        .await
        .unwrap();
    assert_eq!(indices(&report), [1, 2, 3, 4, 6]);
    assert!(report.failures.iter().all(|failure| failure.error.kind() == ErrorKind::BadRecord));
    let messages: Vec<String> = report.failures.iter().map(|failure| failure.error.to_string()).collect();
    assert!(
        messages[0].starts_with("inventory-0@1: ") && messages[0].contains("v=1, code=121, message="),
        "{messages:?}"
    );
    assert!(messages[3].contains("16777216"), "{messages:?}");
    assert_eq!(place.all("items").await.len(), 2);
    place.drop().await;
}

#[tokio::test]
async fn a_refused_newest_record_leaves_its_predecessor() {
    let Some(place) = Place::new().await else { return };
    let validator = doc! { "create": "items", "validator": { "quantity": { "$gte": 0 } } };
    place.client.database(&place.database).run_command(validator).await.unwrap();
    let task = place.task(BY_KEY).await;
    let key = r#"{"k":1}"#;
    let report = task
        .write(&batch(vec![
            (key, Some(r#"{"quantity":1}"#)),
            (key, Some(r#"{"quantity":2}"#)),
            (key, Some(r#"{"quantity":-3}"#)),
        ]))
        .await
        .unwrap();
    assert_eq!(indices(&report), [2]);
    assert_eq!(place.all("items").await[0].get("quantity"), Some(&Bson::Int64(2)));
    place.drop().await;
}

#[tokio::test]
async fn updates_of_one_document_are_all_made_in_order() {
    let Some(place) = Place::new().await else { return };
    let more = [("document.id.strategy", "FullKeyStrategy"), ("writemodel.strategy", "UpdateOneTimestampsStrategy")];
    let task = place.task(&more).await;
    let key = r#"{"k":1}"#;
    let batch = batch(vec![(key, Some(r#"{"a":1,"b":1}"#)), (key, Some(r#"{"b":2}"#)), (key, Some(r#"{"c":3}"#))]);
    assert!(task.write(&batch).await.unwrap().failures.is_empty());
    let found = place.all("items").await;
    for (name, value) in [("a", 1), ("b", 2), ("c", 3)] {
        assert_eq!(found[0].get(name), Some(&Bson::Int64(value)), "{found:?}");
    }
    let inserted = found[0].get_datetime("_insertedTS").unwrap();
    assert!(inserted.timestamp_millis() <= found[0].get_datetime("_modifiedTS").unwrap().timestamp_millis() + 1000);
    place.drop().await;
}

#[tokio::test]
async fn an_insert_that_comes_again_is_done_and_another_document_is_refused() {
    let Some(place) = Place::new().await else { return };
    let more =
        [("document.id.strategy", "ProvidedInValueStrategy"), ("writemodel.strategy", "InsertOneDefaultStrategy")];
    let task = place.task(&more).await;
    let first = batch(vec![("", Some(r#"{"n":1,"_id":"one"}"#)), ("", Some(r#"{"_id":"two","n":2}"#))]);
    for _ in 0..2 {
        assert!(task.write(&first).await.unwrap().failures.is_empty());
    }
    let report =
        task.write(&batch(vec![("", Some(r#"{"_id":"one","n":7}"#)), ("", Some(r#"{"n":7}"#))])).await.unwrap();
    assert_eq!(indices(&report), [0, 1]);
    assert!(report.failures[0].error.to_string().contains("11000"));
    assert_eq!(place.all("items").await[0].get("n"), Some(&Bson::Int64(1)));
    place.drop().await;
}

#[tokio::test]
async fn topics_go_to_their_own_collections() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("collection", ""), ("topic.override.orders.eu.collection", "orders")]).await;
    let mut batch = batch(vec![("", Some(r#"{"n":1}"#)), ("", Some(r#"{"n":2}"#))]);
    batch.records[1].renamed_topic = Some("orders.eu".into());
    assert!(task.write(&batch).await.unwrap().failures.is_empty());
    assert_eq!((place.all("inventory").await.len(), place.all("orders").await.len()), (1, 1));
    place.drop().await;
}

#[tokio::test]
async fn a_thousand_documents_go_in_commands_of_any_size() {
    let Some(place) = Place::new().await else { return };
    for (collection, size) in [("all", "0"), ("few", "7")] {
        let mut more = BY_KEY.to_vec();
        more.extend([("collection", collection), ("max.batch.size", size)]);
        let task = place.task(&more).await;
        let keys: Vec<String> = (0..1000).map(|n| format!(r#"{{"k":{n}}}"#)).collect();
        let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(40_000));
        let batch = batch(keys.iter().map(|key| (key.as_str(), Some(text.as_str()))).collect());
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
        let count = place.client.database(&place.database).collection::<Document>(collection);
        assert_eq!(count.count_documents(doc! {}).await.unwrap(), 1000);
    }
    place.drop().await;
}

#[tokio::test]
async fn checks_tell_a_wrong_password_a_missing_server_and_success_apart() {
    let Some(place) = Place::new().await else { return };
    let good = place.config(&[]);
    assert!(Sink.check(&good, &context()).await.unwrap().errors.is_empty());
    assert!(place.client.list_database_names().await.unwrap().iter().all(|name| *name != place.database));

    let wrong = place.uri.replace("mongodb://", "mongodb://nobody:hunter2@");
    let error = Sink.check(&place.config(&[("connection.uri", &wrong)]), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
    assert!(error.chain().contains("check user, password"), "{}", error.chain());
    assert!(!error.chain().contains("hunter2"));

    let away = "mongodb://user:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=500";
    let error = Sink.check(&place.config(&[("connection.uri", away)]), &context()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
    assert!(!error.chain().contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_comes_back_is_written_to() {
    let Some(place) = Place::new().await else { return };
    // A port of our own in front of the server: closed at first, then handing bytes through.
    let target = place.uri.trim_start_matches("mongodb://").split('/').next().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let uri = format!("mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000");
    let mut more = BY_KEY.to_vec();
    more.push(("connection.uri", &uri));
    let task = place.task(&more).await;
    let batch = batch(vec![(r#"{"k":1}"#, Some(r#"{"n":1}"#))]);
    let error = task.write(&batch).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let proxy = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut inner, _)) = listener.accept().await {
            let target = target.clone();
            open.spawn(async move {
                let mut outer = tokio::net::TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
            });
        }
    });
    let written = async {
        while task.write(&batch).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), written).await.expect("the server is back");
    assert_eq!(place.all("items").await.len(), 1);
    proxy.abort();
    place.drop().await;
}

#[tokio::test]
async fn a_step_down_passes_and_a_missing_privilege_does_not() {
    let Some(place) = Place::new().await else { return };
    let app = format!("app{}", place.database);
    let uri = format!("{}&appName={app}&heartbeatFrequencyMS=500", place.uri);
    let mut more = BY_KEY.to_vec();
    more.push(("connection.uri", &uri));
    let task = place.task(&more).await;
    let batch = batch(vec![(r#"{"k":1}"#, Some(r#"{"n":1}"#))]);
    for (code, kind) in [(10_107, ErrorKind::TRANSIENT), (112, ErrorKind::TRANSIENT), (13, ErrorKind::BadConfig)] {
        let fail = doc! {
            "configureFailPoint": "failCommand", "mode": { "times": 1 },
            "data": { "failCommands": ["update"], "errorCode": code, "appName": &app },
        };
        place.client.database("admin").run_command(fail).await.unwrap();
        let error = task.write(&batch).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.chain());
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
    }
    place.drop().await;
}

#[tokio::test]
async fn the_write_concern_of_the_connection_string_is_asked_for() {
    let Some(place) = Place::new().await else { return };
    let uri = format!("{}&w=3&wtimeoutMS=200", place.uri);
    let mut more = BY_KEY.to_vec();
    more.push(("connection.uri", &uri));
    let task = place.task(&more).await;
    let error = task.write(&batch(vec![(r#"{"k":1}"#, Some(r#"{"n":1}"#))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
    assert!(error.to_string().contains("write concern"), "{error}");
    place.drop().await;
}
