//! Avro with a schema registry, end to end and against an implementation that shares nothing with Millrace.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use futures::TryStreamExt as _;
use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::create_topic;
use millrace_tests::stores::mongodb;
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use mongodb::bson::{Bson, Document, doc};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// Runs the other side; answers its lines.
fn peer(arguments: &[&str]) -> Vec<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/registry_peer.py");
    let (command, rest) = arguments.split_first().unwrap();
    let output = Command::new(server("DEMO_PYTHON"))
        .args([script, command, &server("KAFKA_BOOTSTRAP"), &server("SCHEMA_REGISTRY_URL")])
        .args(rest)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn avro(mut config: Value) -> Value {
    config["value.converter"] = "io.confluent.connect.avro.AvroConverter".into();
    config["value.converter.schema.registry.url"] = server("SCHEMA_REGISTRY_URL").into();
    config["key.converter"] = "string".into();
    config
}

fn sink(topic: &str, database: &str) -> Value {
    avro(json!({
        "connector.class": "mongodb-sink", "topics": topic, "connection.uri": server("MONGODB_URI"),
        "database": database, "collection": "rows",
    }))
}

async fn rows(database: &str, count: usize) -> BTreeMap<i64, Document> {
    let collection = mongodb().await.database(database).collection::<Document>("rows");
    eventually("the rows in MongoDB", LIMIT, || async {
        let found: Vec<Document> = match collection.find(doc! {}).await {
            Ok(cursor) => cursor.try_collect().await.map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        };
        let rows: BTreeMap<i64, Document> = found.into_iter().map(|row| (row.get_i64("id").unwrap(), row)).collect();
        if rows.len() == count { Ok(rows) } else { Err(format!("{} rows", rows.len())) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_goes_from_a_source_through_the_registry_to_a_sink_and_an_independent_reader() {
    let cluster = Cluster::start(1, 1).await;
    let (topic, database) = (unique("avro"), unique("avro_db"));
    create_topic(&topic, 2).await;
    let source = avro(json!({
        "connector.class": "generator-source", "topic": topic, "count": "500", "keys": "50", "schema": "true", "rate": "0",
    }));
    cluster.rest().create("avro-source", source).await;
    cluster.rest().create("avro-sink", sink(&topic, &database)).await;
    let rows = rows(&database, 500).await;
    let read = peer(&["read", &topic, "500"]);
    assert_eq!(read.len(), 500);
    for theirs in read {
        let ours = &rows[&theirs["id"].as_i64().unwrap()];
        assert_eq!(theirs["user"].as_i64(), ours.get_i64("user").ok());
        assert_eq!(theirs["amount"].as_f64(), ours.get_f64("amount").ok());
        assert_eq!(theirs["active"].as_bool(), ours.get_bool("active").ok());
        assert_eq!(theirs["text"].as_str(), ours.get_str("text").ok());
        assert!(ours.get_datetime("at").is_ok());
    }
    mongodb().await.database(&database).drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn avro_of_an_independent_writer_is_read_in_two_versions_of_its_schema() {
    let cluster = Cluster::start(1, 1).await;
    let (topic, database) = (unique("peer"), unique("peer_db"));
    create_topic(&topic, 2).await;
    peer(&["write", &topic]);
    cluster.rest().create("peer-sink", sink(&topic, &database)).await;
    let rows = rows(&database, 100).await;
    for (number, row) in rows {
        let index = usize::try_from(number).unwrap();
        let cents = number * 7 - 500;
        let price: f64 = row.get("price").unwrap().to_string().trim_matches('"').parse().unwrap();
        #[allow(clippy::cast_precision_loss)] // small
        let expected = cents as f64 / 100.0;
        assert!((price - expected).abs() < 1e-9, "{row}");
        let at = row.get_datetime("at").unwrap().timestamp_millis();
        assert_eq!(at, 1_767_225_600_000 + number);
        assert_eq!(row.get_datetime("day").unwrap().timestamp_millis() % 86_400_000, 0);
        let note = if index % 3 == 0 { Bson::Null } else { Bson::String("n\u{f6}te ".repeat(index)) };
        assert_eq!(row.get("note"), Some(&note));
        assert_eq!(row.get_str("state").unwrap(), if index % 2 == 1 { "OPEN" } else { "DONE" });
        assert_eq!(row.get_array("tags").unwrap().len(), index % 5);
        let sizes = row.get_document("sizes").unwrap();
        assert!((0..index % 3).all(|i| sizes.get_i32(format!("k{i}")).unwrap() == -1000 * i32::try_from(i).unwrap()));
        let any = row.get("any").unwrap();
        match index % 3 {
            0 => assert_eq!(any, &Bson::Null),
            1 => assert_eq!(i64::from(any.as_document().unwrap().get_i32("int").unwrap()), number),
            _ => assert_eq!(any.as_document().unwrap().get_str("string").unwrap(), format!("s{number}")),
        }
        assert_eq!(row.get_document("home").unwrap().get_str("city").unwrap(), "\u{6771}\u{4eac}");
        let flag = (index % 2 == 1).then_some(index % 2 == 0);
        assert_eq!(row.get_bool("flag").ok(), flag);
    }
    mongodb().await.database(&database).drop().await.unwrap();
}
