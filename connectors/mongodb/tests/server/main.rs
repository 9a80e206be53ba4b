//! The sink against a real MongoDB at `MONGODB_URI`. Each test works in a database of its own and drops it.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod basics;
mod strategies;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use millrace_connector_mongodb::{Sink, SinkConfig, Task};
use millrace_sdk::{
    Batch, Bytes, Datum, Flat, Record, SinkConnector, TaskContext, Text, TimestampKind, TopicPartition, Value,
    VersionRule, Versions, WriteReport, config,
};
use mongodb::Client;
use mongodb::bson::{Document, doc};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A database of a test, dropped at its end.
struct Place {
    uri: String,
    client: Client,
    database: String,
}

impl Place {
    async fn new() -> Option<Self> {
        let uri = millrace_sdk::testing::server("MONGODB_URI")?;
        let client = Client::with_uri_str(&uri).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let database = format!("sink_{now}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Some(Self { uri, client, database })
    }

    fn config(&self, more: &[(&str, &str)]) -> SinkConfig {
        let mut flat: Flat = BTreeMap::from([
            ("connection.uri".to_owned(), self.uri.clone()),
            ("database".to_owned(), self.database.clone()),
            ("collection".to_owned(), "items".to_owned()),
        ]);
        flat.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config::parse(&config::definition::<SinkConfig>(), &flat).unwrap()
    }

    async fn guarded(&self, more: &[(&str, &str)], rule: VersionRule) -> Task {
        let versions = Versions { rule, epoch: 0 };
        Sink.open(self.config(more), TaskContext { versions, ..context() }).await.unwrap()
    }

    async fn task(&self, more: &[(&str, &str)]) -> Task {
        Sink.open(self.config(more), context()).await.unwrap()
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        let mut cursor = self
            .client
            .database(&self.database)
            .collection::<Document>(collection)
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .await
            .unwrap();
        let mut found = Vec::new();
        while cursor.advance().await.unwrap() {
            found.push(cursor.deserialize_current().unwrap());
        }
        found
    }

    async fn drop(self) {
        self.client.database(&self.database).drop().await.unwrap();
    }
}

fn context() -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: "stock".to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: vec!["inventory".to_owned()],
        config: Arc::default(),
        ..TaskContext::default()
    }
}

fn batch(records: Vec<(&str, Option<&str>)>) -> Batch {
    let records = records.into_iter().enumerate().map(|(offset, (key, value))| record(offset, key, value)).collect();
    Batch { origin: TopicPartition { topic: "inventory".into(), partition: 0 }, records }
}

fn record(offset: usize, key: &str, value: Option<&str>) -> Record {
    Record {
        offset: i64::try_from(offset).unwrap(),
        timestamp_ms: Some(1_700_000_000_000),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key: if key.is_empty() { Datum::Null } else { Datum::schemaless(Value::Str(Text::from(key))) },
        value: value
            .map_or(Datum::Null, |json| Datum::schemaless(Value::Json(Bytes::copy_from_slice(json.as_bytes())))),
        headers: Vec::new(),
    }
}

const BY_KEY: &[(&str, &str)] = &[
    ("document.id.strategy", "com.mongodb.kafka.connect.sink.processor.id.strategy.FullKeyStrategy"),
    ("delete.on.null.values", "true"),
];

fn indices(report: &WriteReport) -> Vec<usize> {
    report.failures.iter().map(|failure| failure.index).collect()
}
