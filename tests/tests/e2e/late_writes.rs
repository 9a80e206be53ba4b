//! A write that was on its way when its worker froze, and arrives after newer ones: with versions it changes nothing. The write is
//! held back by a proxy; without versions the old value wins, which shows that the scenario is one.

use std::future::Future;
use std::time::Duration;

use millrace_tests::cluster::{Cluster, workers_of};
use millrace_tests::kafka::{Produced, create_topic, produce, wait_drained};
use millrace_tests::proxy::{Fault, Proxy};
use millrace_tests::stores::{
    cassandra, cassandra_connector, cassandra_state, create_stock_table, elasticsearch_connector, elasticsearch_state,
    mongodb, mongodb_connector, mongodb_state,
};
use millrace_tests::wait::{eventually, throughout};
use millrace_tests::workload::State;
use millrace_tests::{server, unique};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
const KEYS: usize = 20;

fn round(quantity: i64) -> Vec<Produced> {
    let record = |n: usize| {
        let (sku, warehouse) = (format!("sku-{n}"), "w".to_owned());
        let key = json!({"sku": sku, "warehouse": warehouse});
        let value = json!({"sku": sku, "warehouse": warehouse, "quantity": quantity, "reserved": 0, "price": 1.5,
            "name": "x", "updated_at": 1});
        Produced {
            key: Some(key.to_string()),
            value: Some(value.to_string()),
            timestamp_ms: 1_700_000_000_000 + quantity,
        }
    };
    (0..KEYS).map(record).collect()
}

fn all_are(state: &State, quantity: i64) -> Result<(), String> {
    let found: Vec<i64> = state.values().filter_map(|row| row["quantity"].as_i64()).collect();
    let right = found.len() == KEYS && found.iter().all(|one| *one == quantity);
    if right { Ok(()) } else { Err(format!("{found:?}, not all {quantity}")) }
}

/// Runs the scenario; the rows are `expected` once the late write has arrived.
async fn run<Fut>(topic: &str, proxy: &Proxy, config: Value, expected: i64, state: impl Fn() -> Fut)
where
    Fut: Future<Output = Result<State, String>>,
{
    create_topic(topic, 1).await;
    let mut cluster = Cluster::start(1, 2).await;
    let connector = unique("late");
    cluster.rest().create(&connector, config).await;
    let status = cluster.rest().wait_state(&connector, "RUNNING", 1, LIMIT).await;
    let worker = workers_of(&status)[0].as_str().unwrap().to_owned();
    let index = cluster.worker_number(&worker);
    produce(topic, &round(1));
    wait_drained(&connector, topic, LIMIT).await;

    proxy.set(Fault::Hold);
    produce(topic, &round(2));
    eventually("a write is on its way", LIMIT, || async {
        if proxy.held() > 0 { Ok(()) } else { Err("nothing is held".to_owned()) }
    })
    .await;
    cluster.worker(index).signal("STOP");
    produce(topic, &round(3));
    let newest = || async { all_are(&state().await?, 3) };
    eventually("another worker has written the newest values", LIMIT, newest).await;
    wait_drained(&connector, topic, LIMIT).await;

    proxy.set(Fault::None);
    cluster.worker(index).signal("CONT");
    if expected == 3 {
        throughout("the newest values stand", Duration::from_secs(5), newest).await;
    } else {
        eventually("the late write wins", LIMIT, || async { all_are(&state().await?, expected) }).await;
    }
}

async fn elasticsearch(rule: Option<&str>, expected: i64) {
    let topic = unique("late");
    let url = server("ELASTICSEARCH_URL");
    let proxy = Proxy::start(url.trim_start_matches("http://").trim_end_matches('/')).await.unwrap();
    let mut config = elasticsearch_connector(&topic, 1);
    config["connection.url"] = json!(format!("http://{}", proxy.address()));
    if let Some(rule) = rule {
        config["millrace.versions"] = json!(rule);
    }
    run(&topic, &proxy, config, expected, || elasticsearch_state(&topic)).await;
    let _ = millrace_tests::rest::Rest::new(url).try_call("DELETE", &format!("/{topic}"), None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn elasticsearch_keeps_the_newest_value_by_offset() {
    elasticsearch(Some("offset"), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_versions_the_late_write_wins() {
    elasticsearch(Some("none"), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cassandra_keeps_the_newest_value_by_timestamp() {
    let topic = unique("late");
    let keyspace = topic.replace('-', "_");
    let session = cassandra().await;
    create_stock_table(&session, &keyspace).await;
    let proxy = Proxy::start(&server("CASSANDRA_CONTACT_POINTS")).await.unwrap();
    let mut config = cassandra_connector(&topic, &keyspace, 1);
    let (host, port) = proxy.address().split_once(':').map(|(h, p)| (h.to_owned(), p.to_owned())).unwrap();
    config["contactPoints"] = json!(host);
    config["port"] = json!(port);
    config["millrace.versions"] = json!("timestamp");
    run(&topic, &proxy, config, 3, || cassandra_state(&session, &keyspace)).await;
    session.query_unpaged(format!("DROP KEYSPACE {keyspace}"), ()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mongodb_keeps_the_newest_value_by_offset() {
    let topic = unique("late");
    let uri = server("MONGODB_URI");
    let host = uri.split_once("://").unwrap().1.split(['/', ',', '?']).next().unwrap();
    let proxy = Proxy::start(host).await.unwrap();
    let mut config = mongodb_connector(&topic, &topic, 1);
    // Behind a proxy the members of a replica set would be found at their own addresses.
    config["connection.uri"] = json!(format!("mongodb://{}/?directConnection=true", proxy.address()));
    config["millrace.versions"] = json!("offset");
    run(&topic, &proxy, config, 3, || mongodb_state(&topic, "stock")).await;
    mongodb().await.database(&topic).drop().await.unwrap();
}
