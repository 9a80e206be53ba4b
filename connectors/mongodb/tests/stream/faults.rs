//! What can go wrong.

use millrace_connector_mongodb::Source;
use millrace_sdk::{ErrorKind, SourceConnector, TaskContext};
use mongodb::bson::doc;

use crate::place::{Place, by_id, text};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_beyond_16_mb_is_told_and_passed_over() {
    let Some(place) = Place::new().await else { return };
    let database = place.client.database(&place.database);
    let enable = doc! { "collMod": "items", "changeStreamPreAndPostImages": { "enabled": true } };
    database.run_command(enable).await.unwrap();
    let images =
        [("change.stream.full.document", "required"), ("change.stream.full.document.before.change", "required")];
    let mut tolerant = place.reading(&images).await;
    let mut strict = place.reading(&[&images[..], &[("mongo.errors.tolerance", "none")]].concat()).await;
    let projected = [&images[..], &[("pipeline", "[{$unset: 'fullDocumentBeforeChange'}]")]].concat();
    let mut projected = place.reading(&projected).await;
    let large = "x".repeat(9 << 20);
    place.items().insert_many([by_id(1), doc! { "_id": 2, "large": &large }, by_id(3)]).await.unwrap();
    // Twice nine megabytes: before and after.
    place.items().update_one(by_id(2), doc! { "$set": { "n": 1 } }).await.unwrap();
    place.items().update_one(by_id(3), doc! { "$set": { "n": 1 } }).await.unwrap();

    let records = tolerant.next(4).await;
    let keys: Vec<_> = records.iter().map(|record| text(&record.key)).collect();
    assert_eq!(keys, ["{\"_id\": 1}", "{\"_id\": 2}", "{\"_id\": 3}", "{\"_id\": 3}"], "all but that one");
    assert_eq!(tolerant.failures.len(), 1);
    let failure = &tolerant.failures[0];
    assert_eq!(failure.key.as_deref(), Some(&b"{\"_id\": 2}"[..]));
    assert_eq!(failure.error.kind(), ErrorKind::BadRecord);
    assert!(failure.error.to_string().contains("larger than MongoDB can send"), "{}", failure.error);
    let error = strict.error().await;
    assert_eq!(error.kind(), ErrorKind::BadRecord, "{}", error.chain());
    assert_eq!(projected.next(5).await.len(), 5, "with less in it, it is small enough");
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_tells_what_would_not_work() {
    let Some(place) = Place::new().await else { return };
    let check = async |more: &[(&str, &str)]| Source.check(&place.config(more), &TaskContext::default()).await;
    assert!(check(&[]).await.unwrap().errors.is_empty());
    let error = check(&[("pipeline", "[{$nonsense: 1}]")]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig, "{}", error.chain());
    assert!(error.chain().contains("$nonsense"), "{}", error.chain());
    let away = [("connection.uri", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300")];
    assert!(matches!(check(&away).await.unwrap_err().kind(), ErrorKind::Transient { .. }));
    place.drop().await;
}
