//! MongoDB → Kafka → MongoDB with both connectors: what is there is copied, changes follow, workers are killed in the copy and
//! in the stream, and in the end both collections are equal, document by document and type by type.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{create_topic, end_offsets};
use millrace_tests::stores::mongodb;
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex, Timestamp, doc,
};
use mongodb::{Client, Collection};
use serde_json::{Value, json};

const PARTITIONS: i32 = 4;
const LIMIT: Duration = Duration::from_secs(60);

fn id(number: i64) -> Bson {
    match number % 7 {
        0 => Bson::Int64(number << 33),
        1 => Bson::String(format!("ä-{number}")),
        3 => Bson::Decimal128(format!("{number}.25").parse().unwrap()),
        4 => Bson::DateTime(DateTime::from_millis(number)),
        5 => Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: [number.to_be_bytes(); 2].concat() }),
        2 => Bson::Document(doc! { "sku": format!("s{number}"), "warehouse": number }),
        _ => {
            let mut bytes = [7; 12];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            Bson::ObjectId(ObjectId::from_bytes(bytes))
        }
    }
}

fn document(number: i64, version: i32) -> Document {
    let decimals = ["NaN", "-Infinity", "-0.00", "1E-6143", "9.99E+6144"];
    let decimals = decimals.map(|text| text.parse::<Decimal128>().unwrap());
    doc! {
        "_id": id(number),
        "version": version,
        "long": number,
        "double": f64::from(version) / 8.0,
        "whole": 5.0,
        "text": format!("\u{fc}\u{20ac} \"quoted\" \u{1f600} {version}"),
        "flag": version % 2 == 0,
        "nothing": Bson::Null,
        "at": DateTime::from_millis(1_700_000_000_000 + i64::from(version)),
        "price": format!("{version}.50").parse::<Decimal128>().unwrap(),
        "undefined": Bson::Undefined,
        "special": [f64::NAN, f64::INFINITY, -0.0, 1e300, 5e-324],
        "limits": [i64::MIN, i64::MAX, i64::from(i32::MIN)],
        "int": version.wrapping_mul(7919),
        "early": DateTime::from_millis(-62_135_596_800_001),
        "bytes": Binary { subtype: BinarySubtype::Generic, bytes: number.to_be_bytes().to_vec() },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: [number.to_be_bytes(); 2].concat() },
        "own": Binary { subtype: BinarySubtype::UserDefined(0x80), bytes: vec![] },
        "pattern": Regex { pattern: cstr!("^a/\"b\"$").into(), options: cstr!("im").into() },
        "code": Bson::JavaScriptCode("function() { return \"x\"; }".to_owned()),
        "scoped": JavaScriptCodeWithScope { code: "x + y".to_owned(), scope: doc! { "y": number } },
        "symbol": Bson::Symbol("symbol".to_owned()),
        "stamp": Timestamp { time: u32::MAX, increment: 7 },
        "ends": [Bson::MinKey, Bson::MaxKey],
        "decimals": decimals,
        "empty": { "document": {}, "array": [], "text": "" },
        "control": "\u{0}\u{1}\u{7f}\u{85}\u{2028} \\ / \t",
        "nested": { "list": [1_i32, 2_i64, "three", { "four": 4.0 }], "oid": ObjectId::from_bytes([9; 12]) },
    }
}

async fn state(collection: &Collection<RawDocumentBuf>) -> Result<BTreeMap<Vec<u8>, RawDocumentBuf>, String> {
    let found: Vec<RawDocumentBuf> =
        collection.find(doc! {}).await.map_err(|e| e.to_string())?.try_collect().await.map_err(|e| e.to_string())?;
    let id = |document: &RawDocumentBuf| {
        let id = Bson::try_from(document.get("_id").unwrap().expect("an _id")).unwrap();
        mongodb::bson::serialize_to_vec(&doc! { "_id": id }).unwrap()
    };
    Ok(found.into_iter().map(|document| (id(&document), document)).collect())
}

fn source(database: &str) -> Value {
    json!({
        "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector", "tasks.max": "1",
        "connection.uri": server("MONGODB_URI"), "database": database, "collection": "from",
        "startup.mode": "copy_existing",
        "publish.full.document.only": "true", "publish.full.document.only.tombstone.on.delete": "true",
        "output.json.formatter": "com.mongodb.kafka.connect.source.json.formatter.ExtendedJson",
        "poll.await.time.ms": "500", "offset.flush.interval.ms": "500",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    })
}

fn sink(topic: &str, database: &str) -> Value {
    json!({
        "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector", "tasks.max": "2", "topics": topic,
        "connection.uri": server("MONGODB_URI"), "database": database, "collection": "to",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        "document.id.strategy": "com.mongodb.kafka.connect.sink.processor.id.strategy.ProvidedInKeyStrategy",
        "delete.on.null.values": "true",
    })
}

/// Inserts, updates, replacements and deletions, as many as asked for.
async fn change(from: &Collection<Document>, documents: i64, changes: i64) {
    let mut seed = 42_u64;
    let mut done = 0;
    while done < changes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let number = i64::try_from(seed >> 33).unwrap() % documents;
        let version = i32::try_from(done % 1_000_000).unwrap();
        match seed >> 20 & 7 {
            0 => drop(from.delete_one(doc! { "_id": id(number) }).await.unwrap()),
            1 | 2 => {
                let replacement = document(number, version);
                drop(from.replace_one(doc! { "_id": id(number) }, replacement).upsert(true).await.unwrap());
            }
            3 => {
                // Many at once, as batch jobs do.
                let range = doc! { "long": { "$gte": number, "$lt": number + 200 } };
                let changed =
                    from.update_many(range, doc! { "$set": { "version": version }, "$inc": { "long2": 1_i64 } }).await;
                done += i64::try_from(changed.unwrap().modified_count).unwrap();
                continue;
            }
            _ => {
                let update = doc! { "$set": { "version": version, "nested.more": f64::from(version) }, "$unset": { "nothing": 1 } };
                drop(from.update_one(doc! { "_id": id(number) }, update).await.unwrap());
            }
        }
        done += 1;
    }
}

async fn fill(from: &Collection<Document>, documents: i64) {
    for start in (0..documents).step_by(5000) {
        let some = (start..documents.min(start + 5000)).map(|number| document(number, 0));
        from.insert_many(some).await.unwrap();
    }
}

async fn run(documents: i64, changes: i64, limit: Duration) {
    let began = Instant::now();
    let database = unique("pipeline");
    let topic = format!("{database}.from");
    create_topic(&topic, PARTITIONS).await;
    let client: Client = mongodb().await;
    let from = client.database(&database).collection::<Document>("from");
    fill(&from, documents).await;
    let mut cluster = Cluster::start(1, 3).await;
    let (source_name, sink_name) = (unique("source"), unique("sink"));
    cluster.rest().create(&source_name, source(&database)).await;

    // Killed in the copy, and again in the stream.
    some_more(&topic, documents / 10, limit).await;
    let first = kill_worker_of(&mut cluster, &source_name).await;
    cluster.rest().create(&sink_name, sink(&topic, &database)).await;
    let writing = tokio::spawn({
        let from = from.clone();
        async move { change(&from, documents, changes).await }
    });
    some_more(&topic, documents + changes / 4, limit).await;
    let second = kill_worker_of(&mut cluster, &source_name).await;
    assert_ne!(first, second, "the task went to another worker");
    writing.await.unwrap();

    let expected = state(&from.clone_with_type()).await.unwrap();
    assert!(i64::try_from(expected.len()).unwrap() > documents / 3, "{} documents are too few", expected.len());
    let to = client.database(&database).collection::<RawDocumentBuf>("to");
    eventually("both collections are equal", limit, || async {
        let found = state(&to).await?;
        let different: Vec<_> = expected
            .iter()
            .filter(|(id, document)| found.get(*id) != Some(document))
            .map(|(_, document)| document)
            .collect();
        let too_much = found.keys().filter(|id| !expected.contains_key(*id)).count();
        match (different.first(), too_much) {
            (None, 0) => Ok(()),
            (first, _) => Err(format!("{} differ, {too_much} too much; the first {first:?}", different.len())),
        }
    })
    .await;
    println!("{documents} documents and {changes} changes equal after {:.1?}", began.elapsed());
    client.database(&database).drop().await.unwrap();
}

/// Waits until the topic has at least so many records.
async fn some_more(topic: &str, records: i64, limit: Duration) {
    eventually("records in the topic", limit, || async {
        let found: i64 = end_offsets(topic).await.iter().sum();
        if found >= records { Ok(()) } else { Err(format!("{found} of {records}")) }
    })
    .await;
}

/// `kill -9` of the worker that has the connector's task.
async fn kill_worker_of(cluster: &mut Cluster, connector: &str) -> usize {
    let status = cluster.rest().wait_state(connector, "RUNNING", 1, LIMIT).await;
    let number = cluster.worker_number(status["tasks"][0]["worker_id"].as_str().unwrap_or_default());
    cluster.worker(number).kill_9();
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn two_collections_are_equal_in_the_end() {
    run(8_000, 20_000, Duration::from_secs(120)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "`make pipeline`; PIPELINE_CHANGES says how many"]
async fn a_million_changes() {
    let changes = std::env::var("PIPELINE_CHANGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    run(changes / 5, changes, Duration::from_secs(1800)).await;
}
