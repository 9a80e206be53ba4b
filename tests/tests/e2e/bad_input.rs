//! Bad input of every kind, each with the error that a user would hope for: what was wrong, where, what to do.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{Produced, create_topic, produce, read_all, wait_drained};
use millrace_tests::stores::{mongodb, mongodb_connector};
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// Posts `change`d configuration, which must be refused with 400 and a message that holds all of `words`.
async fn refused(cluster: &Cluster, change: impl FnOnce(&mut Value), words: &[&str]) {
    let mut config = mongodb_connector("some-topic", "db", 1);
    change(&mut config);
    let name = unique("bad");
    let answer = cluster.rest().call("POST", "/connectors", Some(json!({"name": name, "config": config}))).await;
    let message = answer.body["message"].as_str().unwrap_or_default();
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    assert_eq!(answer.body["error_code"], 400, "{answer:?}");
    for word in words {
        assert!(message.contains(word), "\"{word}\" is not in: {message}");
    }
    assert_eq!(cluster.rest().call("GET", &format!("/connectors/{name}"), None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_configurations_are_refused_with_the_key_and_the_remedy() {
    let cluster = Cluster::start(1, 1).await;
    refused(&cluster, |c| c["connector.class"] = json!("com.example.Nothing"), &["com.example.Nothing", "available"])
        .await;
    refused(&cluster, |c| drop(c.as_object_mut().unwrap().remove("topics")), &["topics"]).await;
    refused(&cluster, |c| c["topics.regex"] = json!("a.*"), &["topics", "topics.regex"]).await;
    refused(&cluster, |c| c["tasks.max"] = json!("many"), &["tasks.max", "many"]).await;
    refused(&cluster, |c| c["connection.uri"] = json!("not a uri"), &["connection.uri"]).await;
    refused(&cluster, |c| c["millrace.lane"] = json!("4"), &["millrace.lane", "millrace.lanes"]).await;
    refused(
        &cluster,
        |c| c["consumer.override.plugin.library.paths"] = json!("/tmp/x.so"),
        &["consumer.override.plugin.library.paths"],
    )
    .await;
    refused(&cluster, |c| c["value.converter"] = json!("com.example.NoConverter"), &["value.converter", "NoConverter"])
        .await;

    // Wrong credentials: told at once, with the remedy, and without the password.
    let host = server("MONGODB_URI").replacen("mongodb://", "mongodb://nobody:hunter2-secret@", 1);
    let mut config = mongodb_connector("some-topic", "db", 1);
    config["connection.uri"] = json!(host);
    let answer = cluster.rest().call("POST", "/connectors", Some(json!({"name": "x", "config": config}))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
    let text = answer.body.to_string();
    assert!(text.contains("connection.uri") || text.contains("redentials") || text.contains("uthentication"), "{text}");
    assert!(!text.contains("hunter2"), "a secret in an answer: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_does_not_exist_is_waited_for_and_said() {
    let cluster = Cluster::start(1, 1).await;
    let (topic, name) = (unique("later"), unique("mongodb"));
    cluster.rest().create(&name, mongodb_connector(&topic, &topic, 1)).await;
    cluster.rest().wait_state(&name, "RUNNING", 1, LIMIT).await;
    eventually("a warning that names the topic", LIMIT, || async {
        let described = cluster.describe(&name);
        if described.contains(&topic) && described.contains("does not exist") { Ok(()) } else { Err(described) }
    })
    .await;
    create_topic(&topic, 1).await;
    let value = json!({"sku": "a", "warehouse": "b"}).to_string();
    produce(&topic, &[Produced { key: Some(value.clone()), value: Some(value), timestamp_ms: 1 }]);
    wait_drained(&name, &topic, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_record_fails_the_task_at_its_offset_or_goes_to_the_dead_letter_topic() {
    let cluster = Cluster::start(1, 1).await;
    let topic = unique("malformed");
    create_topic(&topic, 1).await;
    let good = |n: i32| Produced {
        key: Some(json!({"sku": n.to_string(), "warehouse": "w"}).to_string()),
        value: Some(json!({"sku": n.to_string(), "n": n}).to_string()),
        timestamp_ms: 1,
    };
    let bad = Produced { key: Some("{\"sku\":\"bad\"}".into()), value: Some("{\"n\": 1,,}".into()), timestamp_ms: 1 };
    produce(&topic, &[good(1), good(2), bad, good(3)]);

    let strict = unique("strict");
    cluster.rest().create(&strict, mongodb_connector(&topic, &unique("strict"), 1)).await;
    let trace = cluster.rest().wait_failed(&strict, LIMIT).await;
    for word in [format!("{topic}-0@2"), "errors.tolerance".into(), "JSON".into()] {
        assert!(trace.contains(&word), "\"{word}\" is not in: {trace}");
    }

    let (tolerant, database, dead) = (unique("tolerant"), unique("tolerant"), unique("dead"));
    let mut config = mongodb_connector(&topic, &database, 1);
    config["errors.tolerance"] = json!("all");
    config["errors.deadletterqueue.topic.name"] = json!(dead);
    config["errors.deadletterqueue.topic.replication.factor"] = json!("1");
    config["errors.deadletterqueue.context.headers.enable"] = json!(true);
    cluster.rest().create(&tolerant, config).await;
    wait_drained(&tolerant, &topic, LIMIT).await;
    let stock = mongodb().await.database(&database).collection::<Document>("stock");
    assert_eq!(stock.count_documents(doc! {}).await.unwrap(), 3);
    let letters = read_all(&dead).await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0].value.as_deref(), Some("{\"n\": 1,,}"));
    let header = |name: &str| letters[0].headers.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str());
    assert_eq!(header("__connect.errors.topic"), Some(topic.as_str()));
    assert_eq!(header("__connect.errors.partition"), Some("0"));
    assert_eq!(header("__connect.errors.offset"), Some("2"));
    assert_eq!(header("__connect.errors.connector.name"), Some(tolerant.as_str()));
    assert!(header("__connect.errors.exception.message").is_some_and(|m| m.contains("JSON")), "{letters:?}");
}
