//! Several tasks share the collections, and go on right when they are dealt out anew.

use millrace_connector_mongodb::Source;
use millrace_sdk::{Positions, SourceConnector};

use crate::place::{Place, by_id, text};

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_dealt_out_and_dealt_out_anew() {
    let Some(place) = Place::new().await else { return };
    for (name, count) in [("a", 300), ("b", 200), ("c", 100)] {
        place.collection(name).insert_many((0..count).map(by_id)).await.unwrap();
    }
    let all = [("collection", "")];
    let plan = Source.plan(&place.config(&all), 3).await.unwrap();
    assert_eq!(plan.len(), 3);
    assert_eq!(Source.plan(&place.config(&all), 1).await.unwrap(), [millrace_sdk::Flat::new()]);
    assert_eq!(Source.plan(&place.config(&[]), 5).await.unwrap().len(), 1, "one collection, one stream");

    let shares: Vec<String> = plan.iter().map(|task| task["millrace.mongodb.share"].clone()).collect();
    let mut readings = Vec::new();
    for share in &shares {
        readings.push(place.reading(&[("collection", ""), ("millrace.mongodb.share", share)]).await);
    }
    for name in ["a", "b", "c", "created.later"] {
        place.collection(name).insert_one(by_id(1000)).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut positions = Positions::default();
    for mut reading in readings {
        // Each has at least one collection.
        seen.extend(reading.next(1).await);
        let more = async {
            loop {
                reading.poll().await.unwrap();
            }
        };
        let _ = tokio::time::timeout(std::time::Duration::from_millis(1500), more).await;
        seen.append(&mut reading.records);
        positions.0.extend(reading.close().await.0);
    }
    let mut topics: Vec<_> = seen.iter().map(|record| record.topic.rsplit_once(&place.database).unwrap().1).collect();
    topics.sort_unstable();
    assert_eq!(topics, [".a", ".b", ".c", ".created.later"], "each event once, what is new among them");

    // One task takes over all of them: nothing is lost and nothing comes twice.
    place.collection("b").insert_one(by_id(1001)).await.unwrap();
    let mut reading = place.reading_from(&all, positions).await;
    let record = reading.next(1).await.remove(0);
    assert_eq!((record.topic.ends_with(".b"), text(&record.key)), (true, "{\"_id\": 1001}"));
    place.drop().await;
}
