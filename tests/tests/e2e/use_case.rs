//! The main job: one topic of inventory events into three stores, verified key by key; and the demo's own verification,
//! which must fail when a row is corrupted.

use std::process::Command;
use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{create_topic, produce, wait_drained};
use millrace_tests::stores::{
    cassandra, cassandra_connector, cassandra_state, create_stock_table, elasticsearch_connector, elasticsearch_state,
    mongodb, mongodb_connector, mongodb_state,
};
use millrace_tests::workload::{FIELDS, Workload, differences};
use millrace_tests::{server, unique};
use mongodb::bson::{Document, doc};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn three_stores_hold_what_the_topic_says() {
    let topic = unique("inventory");
    create_topic(&topic, 4).await;
    let session = cassandra().await;
    create_stock_table(&session, &topic).await;

    let mut workload = Workload::new(42, 600);
    produce(&topic, &workload.take(6_000)); // part of it is there before the connectors are
    let cluster = Cluster::start(1, 2).await;
    let rest = cluster.rest();
    let names = [unique("mongodb"), unique("cassandra"), unique("elasticsearch")];
    rest.create(&names[0], mongodb_connector(&topic, &topic, 2)).await;
    rest.create(&names[1], cassandra_connector(&topic, &topic, 2)).await;
    rest.create(&names[2], elasticsearch_connector(&topic, 2)).await;
    for name in &names {
        rest.wait_state(name, "RUNNING", 2, LIMIT).await;
    }
    produce(&topic, &workload.take(14_000));
    for name in &names {
        wait_drained(name, &topic, LIMIT).await;
    }

    let nothing: Vec<String> = Vec::new();
    let expected = &workload.expected;
    assert!(expected.len() > 500, "the workload is too small to prove anything");
    assert_eq!(differences(expected, &mongodb_state(&topic, "stock").await.unwrap(), FIELDS), nothing);
    assert_eq!(differences(expected, &cassandra_state(&session, &topic).await.unwrap(), FIELDS), nothing);
    assert_eq!(differences(expected, &elasticsearch_state(&topic).await.unwrap(), FIELDS), nothing);

    the_demo_verification_sees_a_corrupted_row(&topic).await;
}

/// The demo's own verification agrees, and stops agreeing when one row is changed behind everybody's back.
async fn the_demo_verification_sees_a_corrupted_row(topic: &str) {
    let verify = || {
        Command::new(server("DEMO_PYTHON"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/demo/verify.py"))
            .env("INVENTORY_TOPIC", topic)
            .env("INVENTORY_DATABASE", topic)
            .output()
            .expect("python runs")
    };
    let good = verify();
    let text = String::from_utf8_lossy(&good.stdout).into_owned();
    assert!(good.status.success(), "{text}{}", String::from_utf8_lossy(&good.stderr));
    assert_eq!(text.matches("100 %").count(), 3, "{text}");

    let stock = mongodb().await.database(topic).collection::<Document>("stock");
    let one = stock.find_one(doc! {}).await.unwrap().expect("a stock line");
    let quantity = one.get("quantity").cloned().expect("a quantity");
    let filter = doc! {"_id": one.get("_id").cloned()};
    stock.update_one(filter, doc! {"$set": {"quantity": json!(quantity).to_string() + " corrupted"}}).await.unwrap();
    let bad = verify();
    let text = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert_eq!(bad.status.code(), Some(1), "{text}");
    assert!(text.contains("First differences") && text.contains("quantity"), "{text}");
    assert_eq!(text.matches("100 %").count(), 2, "{text}");
}
