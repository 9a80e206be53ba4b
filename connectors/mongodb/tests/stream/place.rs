//! A database of a test, and a source task on it that is polled as the framework does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use millrace_connector_mongodb::{Source, SourceConfig, SourceReader};
use millrace_sdk::{
    Datum, Flat, Position, Positions, SourceBatch, SourceConnector, SourceFailure, SourceRecord, SourceTask,
    TaskContext, Value, config,
};
use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Longer than anything takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    pub(crate) uri: String,
    pub(crate) client: Client,
    pub(crate) database: String,
}

impl Place {
    pub(crate) async fn new() -> Option<Self> {
        Some(Self::at(millrace_sdk::testing::server("MONGODB_URI")?).await)
    }

    pub(crate) async fn at(uri: String) -> Self {
        let client = Client::with_uri_str(&uri).await.unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let database = format!("source_{now}_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        // A change stream of a database that does not exist yet is waited for; the tests need not.
        client.database(&database).create_collection("items").await.unwrap();
        Self { uri, client, database }
    }

    pub(crate) fn items(&self) -> Collection<Document> {
        self.collection("items")
    }

    pub(crate) fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.database).collection(name)
    }

    pub(crate) fn flat(&self, more: &[(&str, &str)]) -> Flat {
        let mut flat: Flat = BTreeMap::from([
            ("connection.uri".to_owned(), self.uri.clone()),
            ("database".to_owned(), self.database.clone()),
            ("collection".to_owned(), "items".to_owned()),
            ("poll.await.time.ms".to_owned(), "200".to_owned()),
        ]);
        flat.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        flat
    }

    pub(crate) fn config(&self, more: &[(&str, &str)]) -> SourceConfig {
        config::parse(&config::definition::<SourceConfig>(), &self.flat(more)).unwrap()
    }

    pub(crate) async fn reading(&self, more: &[(&str, &str)]) -> Reading {
        self.reading_from(more, Positions::default()).await
    }

    /// A task that has begun: what happens from now on is seen by it.
    pub(crate) async fn reading_from(&self, more: &[(&str, &str)], positions: Positions) -> Reading {
        let context = TaskContext { config: Arc::new(self.flat(more)), ..TaskContext::default() };
        let fresh = positions.0.is_empty();
        let task = Source.open(self.config(more), context, positions.clone()).await.unwrap();
        let mut reading = Reading { task, positions, records: Vec::new(), failures: Vec::new() };
        if fresh {
            reading.until("a first position", |reading| !reading.positions.0.is_empty()).await;
        }
        reading
    }

    pub(crate) async fn drop(self) {
        self.client.database(&self.database).drop().await.unwrap();
    }
}

/// A task, what it brought, and the positions as they would be stored.
pub(crate) struct Reading {
    pub(crate) task: SourceReader,
    pub(crate) positions: Positions,
    pub(crate) records: Vec<SourceRecord>,
    pub(crate) failures: Vec<SourceFailure>,
}

impl Reading {
    pub(crate) async fn poll(&mut self) -> millrace_sdk::Result<()> {
        let batch = tokio::time::timeout(LIMIT, self.task.poll()).await.expect("a batch in time")?;
        self.take(batch);
        Ok(())
    }

    fn take(&mut self, batch: SourceBatch) {
        self.records.extend(batch.records);
        self.failures.extend(batch.failures);
        for position in batch.positions {
            store(&mut self.positions, position);
        }
    }

    pub(crate) async fn until(&mut self, what: &str, enough: impl Fn(&Self) -> bool) {
        let poll = async {
            while !enough(self) {
                self.poll().await.unwrap();
            }
        };
        if tokio::time::timeout(LIMIT, poll).await.is_err() {
            panic!("{what} did not come; there are {} records", self.records.len());
        }
    }

    /// The next `count` records.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<SourceRecord> {
        self.until(&format!("{count} records"), |reading| reading.records.len() >= count).await;
        self.records.drain(..count).collect()
    }

    /// The error that ends the task.
    pub(crate) async fn error(&mut self) -> millrace_sdk::Error {
        loop {
            if let Err(error) = self.poll().await {
                return error;
            }
        }
    }

    pub(crate) async fn close(mut self) -> Positions {
        self.task.close().await.unwrap();
        self.positions
    }
}

fn store(positions: &mut Positions, position: Position) {
    match positions.0.iter_mut().find(|known| known.partition == position.partition) {
        Some(known) => *known = position,
        None => positions.0.push(position),
    }
}

/// A text key or value.
pub(crate) fn text(datum: &Datum) -> &str {
    match datum {
        Datum::Decoded { value: Value::Str(text), schema: Some(_) } => text,
        other => panic!("no text: {other:?}"),
    }
}

pub(crate) fn json(datum: &Datum) -> serde_json::Value {
    serde_json::from_str(text(datum)).unwrap()
}

pub(crate) fn by_id(id: i32) -> Document {
    doc! { "_id": id }
}
