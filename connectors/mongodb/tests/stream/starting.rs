//! Where a source begins and where it goes on.

use std::time::{SystemTime, UNIX_EPOCH};

use millrace_sdk::{Position, Positions};
use mongodb::bson::doc;
use serde_json::{Map, Value as Json};

use crate::place::{Place, by_id, json, text};

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_behind_the_stored_position() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place.reading(&[]).await;
    place.items().insert_many((0..10).map(by_id)).await.unwrap();
    reading.next(10).await;
    let positions = reading.close().await;
    let Position { partition, offset } = &positions.0[0];
    let hosts = place.uri.split("://").nth(1).unwrap().split('/').next().unwrap();
    assert_eq!(partition["ns"], format!("mongodb://{hosts}/{}.items", place.database));
    assert!(offset["_id"].as_str().unwrap().starts_with("{\"_data\": \"82"), "{offset:?}");
    assert_eq!((partition.len(), offset.len()), (1, 1), "the peer reads it, too");

    place.items().insert_many((10..20).map(by_id)).await.unwrap();
    let mut reading = place.reading_from(&[], positions).await;
    let ids: Vec<_> = reading.next(10).await.iter().map(|record| text(&record.key).to_owned()).collect();
    assert_eq!(ids, (10..20).map(|id| format!("{{\"_id\": {id}}}")).collect::<Vec<_>>());
    place.drop().await;
}

/// The position of an event, as the peer keeps it, not that of a whole answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_position_of_the_peer_is_gone_on_from() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place.reading(&[("offset.partition.name", "mine")]).await;
    place.items().insert_many((0..3).map(by_id)).await.unwrap();
    let second = json(&reading.next(2).await[1].value)["_id"].clone();
    let token = format!("{{\"_data\": {}}}", second["_data"]);
    let position = Position {
        partition: Map::from_iter([("ns".to_owned(), Json::from("mine"))]),
        offset: Map::from_iter([("_id".to_owned(), Json::from(token)), ("HEARTBEAT".to_owned(), Json::from("true"))]),
    };
    let mut again = place.reading_from(&[("offset.partition.name", "mine")], Positions(vec![position.clone()])).await;
    assert_eq!(text(&again.next(1).await[0].key), "{\"_id\": 2}");
    // Another name forgets it.
    let mut other = place.reading(&[("offset.partition.name", "other")]).await;
    place.items().insert_one(by_id(9)).await.unwrap();
    assert_eq!(text(&other.next(1).await[0].key), "{\"_id\": 9}");
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_begins_at_a_time() {
    let Some(place) = Place::new().await else { return };
    place.items().insert_one(by_id(1)).await.unwrap();
    // Times are of whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    place.items().insert_one(by_id(2)).await.unwrap();
    let before = now - 1;
    let instant = mongodb::bson::DateTime::from_millis(i64::try_from(before).unwrap() * 1000);
    for time in [
        before.to_string(),
        instant.try_to_rfc3339_string().unwrap(),
        format!("{{\"$timestamp\": {{\"t\": {before}, \"i\": 0}}}}"),
    ] {
        let mut reading = place
            .reading(&[("startup.mode", "timestamp"), ("startup.mode.timestamp.start.at.operation.time", &time)])
            .await;
        assert_eq!(text(&reading.next(1).await[0].key), "{\"_id\": 2}", "{time}");
    }
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heartbeats_move_the_position_of_a_quiet_collection() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place.reading(&[("heartbeat.interval.ms", "300"), ("heartbeat.topic.name", "beats")]).await;
    let first = reading.positions.clone();
    place.collection("busy").insert_many((0..100).map(by_id)).await.unwrap();
    let beat = reading.next(1).await.remove(0);
    assert_eq!(beat.topic, "beats");
    assert!(text(&beat.key).starts_with("{\"_data\": \""));
    assert!(beat.value.is_null());
    assert_ne!(reading.positions.0, first.0);
    assert_eq!(reading.positions.0[0].offset["HEARTBEAT"], "true");
    place.drop().await;
}

/// The peer opens a new stream there without a token, and what happens in between is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_collection_is_followed_behind_its_end() {
    let Some(place) = Place::new().await else { return };
    let mut reading = place.reading(&[]).await;
    place.items().insert_one(by_id(1)).await.unwrap();
    place.items().drop().await.unwrap();
    place.items().insert_many((2..200).map(by_id)).await.unwrap();
    let records = reading.next(200).await;
    let operations: Vec<_> =
        records.iter().map(|record| json(&record.value)["operationType"].as_str().unwrap().to_owned()).collect();
    assert_eq!(operations[..2], ["insert", "drop"]);
    assert!(operations[2..].iter().all(|operation| operation == "insert"));
    assert_eq!(text(&records[199].key), "{\"_id\": 199}");
    let found = place.items().count_documents(doc! {}).await.unwrap();
    assert_eq!(found, 198);
    place.drop().await;
}
