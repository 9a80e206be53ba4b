//! Runs every configuration on both sides and compares what is in MongoDB then.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use futures::future::join_all;
use millrace_tests::kafka::{committed, create_topic, end_offsets, produce_raw};
use millrace_tests::rest::Rest;
use millrace_tests::standalone::Standalone;
use millrace_tests::wait::eventually;
use millrace_tests::{server, stores, unique};
use mongodb::bson::{Bson, Document};
use serde_json::{Map, Value, json};

use crate::matrix::{CASES, Case};
use crate::records::Set;

const LIMIT: Duration = Duration::from_secs(90);
/// Connectors at the same time.
const AT_ONCE: usize = 16;

/// One of the two.
struct Side {
    label: &'static str,
    rest: Rest,
}

/// What a configuration came to: whether its task failed, and the collections with their documents.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// The answer to a configuration that was not accepted
    refused: Option<String>,
    failed: bool,
    collections: BTreeMap<String, Vec<String>>,
}

fn chosen() -> Vec<&'static Case> {
    let begins = std::env::var("DIFFERENTIAL_CASES").unwrap_or_default();
    let all = std::env::var("DIFFERENTIAL").is_ok_and(|which| which == "all") || !begins.is_empty();
    CASES.iter().filter(|case| (all || case.selected) && case.name.starts_with(&begins)).collect()
}

fn topic(run: &str, set: Set) -> String {
    format!("{run}-{set:?}").to_lowercase()
}

impl Side {
    fn database(&self, run: &str, case: &Case) -> String {
        format!("{run}-{}-{}", self.label, case.name).replace('.', "-")
    }

    fn config(&self, run: &str, case: &Case) -> Value {
        let topic = topic(run, case.set);
        let mut config = Map::new();
        let common = [
            ("connector.class", "com.mongodb.kafka.connect.MongoSinkConnector".to_owned()),
            ("tasks.max", "1".to_owned()),
            ("topics", topic.clone()),
            ("connection.uri", server("MONGODB_URI")),
            ("database", self.database(run, case)),
            ("collection", "target".to_owned()),
            ("key.converter", "org.apache.kafka.connect.storage.StringConverter".to_owned()),
        ];
        config.extend(common.into_iter().map(|(key, value)| (key.to_owned(), json!(value))));
        for (key, value) in case.set.converter().iter().chain(case.keys) {
            config.insert(key.replace("<topic>", &topic), json!(value));
        }
        Value::Object(config)
    }

    async fn run(&self, run: &str, case: &Case) -> Outcome {
        // Both read the same Kafka: each needs a consumer group of its own.
        let name = format!("{run}-{}-{}", self.label, case.name);
        let group = format!("connect-{name}");
        let topic = topic(run, case.set);
        let body = json!({ "name": name, "config": self.config(run, case) });
        let answer = self.rest.call("POST", "/connectors", Some(body)).await;
        if !answer.status.is_success() {
            return Outcome { refused: Some(answer.body.to_string()), failed: true, collections: BTreeMap::new() };
        }
        let ends = end_offsets(&topic).await;
        let failed = eventually(&format!("{name} of {} is done", self.label), LIMIT, || async {
            let status = self.rest.status(&name).await?;
            let failed = status["tasks"].as_array().into_iter().flatten().any(|task| task["state"] == "FAILED");
            if failed || committed(&group, &topic).await == ends { Ok(failed) } else { Err(status.to_string()) }
        })
        .await;
        let collections = collections(&self.database(run, case)).await;
        self.rest.call("DELETE", &format!("/connectors/{name}"), None).await;
        Outcome { refused: None, failed, collections }
    }
}

/// All documents of a database as texts, what cannot be equal replaced by its type.
async fn collections(database: &str) -> BTreeMap<String, Vec<String>> {
    let database = stores::mongodb().await.database(database);
    let names = database.list_collection_names().await.unwrap();
    let mut found = BTreeMap::new();
    for name in names.into_iter().filter(|name| !name.starts_with("system.")) {
        let cursor = database.collection::<Document>(&name).find(Document::new()).await.unwrap();
        let documents: Vec<Document> = cursor.try_collect().await.unwrap();
        let mut texts: Vec<String> = documents.into_iter().map(|document| format!("{:?}", blurred(document))).collect();
        texts.sort();
        found.insert(name, texts);
    }
    found
}

fn is_uuid(id: &Bson) -> bool {
    matches!(id, Bson::String(text) if mongodb::bson::Uuid::parse_str(text).is_ok())
        || matches!(id, Bson::Binary(binary) if binary.bytes.len() == 16)
}

/// Fields by name, at every level: schemaless JSON is a `HashMap` in Kafka Connect, which loses the order that Millrace keeps.
fn sorted(document: Document) -> Document {
    let mut fields: Vec<(String, Bson)> = document.into_iter().map(|(name, value)| (name, in_order(value))).collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields.into_iter().collect()
}

fn in_order(value: Bson) -> Bson {
    match value {
        Bson::Document(inner) => Bson::Document(sorted(inner)),
        Bson::Array(items) => Bson::Array(items.into_iter().map(in_order).collect()),
        other => other,
    }
}

/// Ids that are made up differ, and times of the write.
fn blurred(document: Document) -> Document {
    let mut document = sorted(document);
    if let Some(id) = document.get_mut("_id") {
        if matches!(id, Bson::ObjectId(_)) {
            *id = Bson::String("an object id".to_owned());
        } else if is_uuid(id) {
            *id = Bson::String(format!("a UUID as {:?}", id.element_type()));
        }
    }
    for name in ["_insertedTS", "_modifiedTS"] {
        if let Some(time) = document.get_mut(name) {
            *time = Bson::String(format!("{:?}", time.element_type()));
        }
    }
    document
}

fn difference(name: &str, peer: &Outcome, ours: &Outcome) -> Option<String> {
    if peer.refused.is_some() || ours.refused.is_some() {
        return Some(format!("{name}: refused: Kafka Connect {:?}, Millrace {:?}", peer.refused, ours.refused));
    }
    if peer.failed != ours.failed {
        return Some(format!("{name}: failed: Kafka Connect {}, Millrace {}", peer.failed, ours.failed));
    }
    // What was written before a failure depends on how records happen to be batched.
    if peer.failed || peer.collections == ours.collections {
        return None;
    }
    let mut text = format!("{name}:");
    let names: BTreeSet<&String> = peer.collections.keys().chain(ours.collections.keys()).collect();
    for collection in names {
        let of = |outcome: &Outcome| outcome.collections.get(collection).cloned().unwrap_or_default();
        let (peer, ours) = (of(peer), of(ours));
        for line in peer.iter().filter(|line| !ours.contains(line)) {
            text.push_str(&format!("\n  {collection}, only Kafka Connect: {line}"));
        }
        for line in ours.iter().filter(|line| !peer.contains(line)) {
            text.push_str(&format!("\n  {collection}, only Millrace:      {line}"));
        }
        if peer.len() != ours.len() {
            text.push_str(&format!("\n  {collection}: {} and {} documents", peer.len(), ours.len()));
        }
    }
    Some(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_leave_the_collections_that_the_peer_leaves() {
    let begun = Instant::now();
    let run = unique("dm");
    let cases = chosen();
    let sets: BTreeSet<Set> = cases.iter().map(|case| case.set).collect();
    for set in sets {
        let topic = topic(&run, set);
        create_topic(&topic, 1).await;
        produce_raw(&topic, &set.records());
    }
    let millrace = Standalone::start().await;
    let peer = Side { label: "peer", rest: Rest::new(server("CONNECT_URL")) };
    let ours = Side { label: "ours", rest: millrace.rest() };
    for side in [&peer, &ours] {
        eventually("the connector class is there", LIMIT, || async {
            let plugins = side.rest.try_call("GET", "/connector-plugins", None).await?.body.to_string();
            if plugins.contains("MongoSinkConnector") || plugins.contains("mongodb-sink") {
                Ok(())
            } else {
                Err(plugins)
            }
        })
        .await;
    }
    let mut differences = Vec::new();
    for some in cases.chunks(AT_ONCE) {
        let both = some.iter().map(|case| async {
            let (peer, ours) = futures::join!(peer.run(&run, case), ours.run(&run, case));
            difference(case.name, &peer, &ours)
        });
        differences.extend(join_all(both).await.into_iter().flatten());
    }
    let client = stores::mongodb().await;
    for case in &cases {
        for side in [&peer, &ours] {
            client.database(&side.database(&run, case)).drop().await.unwrap();
        }
    }
    println!("{} configurations of {} compared in {:.1?}", cases.len(), CASES.len(), begun.elapsed());
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn the_matrix_is_wide_enough() {
    assert!(CASES.len() >= 60, "{}", CASES.len());
    let names: BTreeSet<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), CASES.len(), "each case has a name of its own");
}
