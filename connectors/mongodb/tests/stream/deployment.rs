//! Neither a database nor a collection is named: the whole deployment is watched, and copied.

use std::collections::BTreeSet;

use crate::place::{Place, Reading, by_id, text};

const ALL: [(&str, &str); 2] = [("database", ""), ("collection", "")];

/// Topics and keys of what came from the databases of the test; others have events, too.
fn seen(reading: &Reading, places: [&Place; 2]) -> BTreeSet<(String, String)> {
    let ours = |topic: &str| places.iter().any(|place| topic.starts_with(&format!("{}.", place.database)));
    let records = reading.records.iter().filter(|record| ours(&record.topic));
    records.map(|record| (record.topic.clone(), text(&record.key).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_database_is_watched_and_copied() {
    let (Some(one), Some(two)) = (Place::new().await, Place::new().await) else { return };
    one.items().insert_one(by_id(1)).await.unwrap();
    two.collection("more").insert_one(by_id(2)).await.unwrap();
    let regex = format!("^({}|{})\\.", one.database, two.database);
    let copy = [("startup.mode", "copy_existing"), ("startup.mode.copy.existing.namespace.regex", regex.as_str())];
    let mut copies = one.reading(&[&ALL[..], &copy].concat()).await;
    let mut follows = one.reading(&ALL).await;

    // What is not there yet is in scope as well.
    one.items().insert_one(by_id(3)).await.unwrap();
    two.collection("later").insert_one(by_id(4)).await.unwrap();
    let record = |place: &Place, collection: &str, id: i32| {
        (format!("{}.{collection}", place.database), format!("{{\"_id\": {id}}}"))
    };
    let old = BTreeSet::from([record(&one, "items", 1), record(&two, "more", 2)]);
    let new = BTreeSet::from([record(&one, "items", 3), record(&two, "later", 4)]);
    let both = &old | &new;
    copies.until("the copy and the changes", |reading| seen(reading, [&one, &two]) == both).await;
    follows.until("the changes", |reading| seen(reading, [&one, &two]) == new).await;

    let positions = follows.close().await;
    let name = positions.0[0].partition["ns"].as_str().unwrap();
    assert!(name.ends_with('/'), "the peer's name for a deployment: {name}");
    two.items().insert_one(by_id(5)).await.unwrap();
    let mut again = one.reading_from(&ALL, positions).await;
    let next = BTreeSet::from([record(&two, "items", 5)]);
    again.until("what follows the position", |reading| !seen(reading, [&one, &two]).is_empty()).await;
    assert!(seen(&again, [&one, &two]).is_superset(&next) && seen(&again, [&one, &two]).is_disjoint(&both));
    one.drop().await;
    two.drop().await;
}
