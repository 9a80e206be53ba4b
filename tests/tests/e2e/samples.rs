//! The sample configurations of the documents the product was conceived from: posted with only host names, data-centre name
//! and credentials replaced, and running.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{Produced, create_topic, produce};
use millrace_tests::stores::{cassandra, cassandra_rows, elasticsearch_documents, mongodb};
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

fn record(key: Option<&str>, value: &Value) -> Produced {
    Produced { key: key.map(str::to_owned), value: Some(value.to_string()), timestamp_ms: 1_700_000_000_000 }
}

/// The topics of the samples have fixed names; another run's may be there already.
async fn topic(name: &str) {
    if millrace_tests::kafka::end_offsets(name).await.is_empty() {
        create_topic(name, 2).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mongodb_sample_runs() {
    let cluster = Cluster::start(1, 1).await;
    topic("user-events").await;
    let marker = unique("user");
    produce("user-events", &[record(Some("u1"), &json!({"user": marker, "action": "login", "ms": 12}))]);
    let sample = json!({
        "name": "mongo-sink",
        "config": {
            "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector",
            "topics": "user-events",
            "connection.uri": server("MONGODB_URI"),
            "database": "analytics",
            "collection": "user_events",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.schemas.enable": false
        }
    });
    let answer = cluster.rest().call("POST", "/connectors", Some(sample)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.body["config"]["value.converter.schemas.enable"], "false", "values are answered as strings");
    cluster.rest().wait_state("mongo-sink", "RUNNING", 1, LIMIT).await;
    let events = mongodb().await.database("analytics").collection::<Document>("user_events");
    eventually("the event in MongoDB", LIMIT, || async {
        match events.find_one(doc! {"user": &marker}).await {
            Ok(Some(found)) if found.get_i64("ms").is_ok_and(|ms| ms == 12) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cassandra_sample_with_flat_keys_runs() {
    let cluster = Cluster::start(1, 1).await;
    let session = cassandra().await;
    let keyspace =
        "CREATE KEYSPACE IF NOT EXISTS sales WITH replication = {'class':'SimpleStrategy','replication_factor':1}";
    session.query_unpaged(keyspace, ()).await.unwrap();
    let table =
        "CREATE TABLE IF NOT EXISTS sales.orders (order_id text PRIMARY KEY, amount double, created_at timestamp)";
    session.query_unpaged(table, ()).await.unwrap();
    topic("orders").await;
    let id = unique("order");
    let value = json!({"order_id": id, "amount": 12.5, "created_at": "2026-01-02T03:04:05.678Z"});
    produce("orders", &[record(None, &value)]);
    let sample = json!({
        "name": "cassandra-sink",
        "config": {
            "connector.class": "com.datastax.oss.kafka.sink.CassandraSinkConnector",
            "topics": "orders",
            "contactPoints": server("CASSANDRA_CONTACT_POINTS"),
            "loadBalancing.localDc": "datacenter1",
            "keyspace": "sales",
            "table": "orders",
            "mapping": "order_id=value.order_id, amount=value.amount, created_at=value.created_at"
        }
    });
    let answer = cluster.rest().call("POST", "/connectors", Some(sample)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    cluster.rest().wait_state("cassandra-sink", "RUNNING", 1, LIMIT).await;
    eventually("the order in Cassandra", LIMIT, || async {
        let rows = cassandra_rows(&session, "sales.orders").await?;
        match rows.iter().find(|row| row["order_id"] == id.as_str()) {
            Some(row) if row["amount"] == 12.5 && row["created_at"].to_string().contains("1767323045678") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_elasticsearch_sample_runs() {
    let cluster = Cluster::start(1, 1).await;
    topic("clickstream").await;
    let page = unique("page");
    produce("clickstream", &[record(None, &json!({"page": page, "ms": 3}))]);
    let sample = json!({
        "name": "es-sink",
        "config": {
            "connector.class": "io.confluent.connect.elasticsearch.ElasticsearchSinkConnector",
            "topics": "clickstream",
            "connection.url": server("ELASTICSEARCH_URL"),
            "type.name": "_doc",
            "key.ignore": true,
            "schema.ignore": true,
            "index.name": "clickstream-index"
        }
    });
    let answer = cluster.rest().call("POST", "/connectors", Some(sample)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    cluster.rest().wait_state("es-sink", "RUNNING", 1, LIMIT).await;
    eventually("the click in Elasticsearch", LIMIT, || async {
        let documents = elasticsearch_documents("clickstream-index").await?;
        let found = documents.iter().find(|(_, source)| source["page"] == page.as_str());
        found.map(|_| ()).ok_or_else(|| format!("{} other documents", documents.len()))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cassandra_sample_with_a_topic_mapping_runs_and_the_mapping_names_the_table() {
    let cluster = Cluster::start(1, 1).await;
    let session = cassandra().await;
    let keyspace = "CREATE KEYSPACE IF NOT EXISTS my_keyspace WITH replication = {'class':'SimpleStrategy','replication_factor':1}";
    session.query_unpaged(keyspace, ()).await.unwrap();
    let table = "CREATE TABLE IF NOT EXISTS my_keyspace.my_table (kafka_key text PRIMARY KEY, kafka_value text)";
    session.query_unpaged(table, ()).await.unwrap();
    topic("my_kafka_topic").await;
    let key = unique("key");
    produce("my_kafka_topic", &[record(Some(&key), &json!({"hello": "world"}))]);
    let sample = json!({
        "name": "cassandra-sink-connector",
        "config": {
            "connector.class": "com.datastax.oss.kafka.sink.CassandraSinkConnector",
            "tasks.max": "1",
            "topics": "my_kafka_topic",
            "contactPoints": server("CASSANDRA_CONTACT_POINTS"),
            "loadBalancing.localDc": "datacenter1",
            "keyspace": "my_keyspace",
            "table.name.format": "${topic}",
            "topic.my_kafka_topic.my_keyspace.my_table.mapping": "kafka_key=key, kafka_value=value"
        }
    });
    let answer = cluster.rest().call("POST", "/connectors", Some(sample)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    cluster.rest().wait_state("cassandra-sink-connector", "RUNNING", 1, LIMIT).await;
    eventually("the row in my_table", LIMIT, || async {
        let rows = cassandra_rows(&session, "my_keyspace.my_table").await?;
        match rows.iter().find(|row| row["kafka_key"] == key.as_str()) {
            Some(row) if row["kafka_value"].as_str().is_some_and(|v| v.contains("world")) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cassandra_source_sample_is_told_that_it_is_not_available_yet() {
    let cluster = Cluster::start(1, 1).await;
    let sample = json!({
        "name": "cassandra-source-connector",
        "config": {
            "connector.class": "com.datastax.oss.kafka.source.CassandraSourceConnector",
            "tasks.max": "1",
            "contactPoints": server("CASSANDRA_CONTACT_POINTS"),
            "loadBalancing.localDc": "datacenter1",
            "keyspace": "my_keyspace",
            "table.name.format": "my_table",
            "topic.prefix": "cassandra_",
            "query": "SELECT * FROM my_keyspace.my_table WHERE token(key) > ? AND token(key) <= ?"
        }
    });
    let answer = cluster.rest().call("POST", "/connectors", Some(sample)).await;
    assert!(answer.status.is_client_error() || answer.status.is_server_error(), "{answer:?}");
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert!(message.contains("not available yet"), "{message}");
    let list = cluster.rest().call("GET", "/connectors", None).await;
    assert_eq!(list.body, json!([]));
}
