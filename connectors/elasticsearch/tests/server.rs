//! The sink against a real Elasticsearch at `ELASTICSEARCH_URL`. Each test works in an index of its own and removes it.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use elasticsearch::http::headers::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use elasticsearch::http::{Method, transport::Transport};
use millrace_connector_elasticsearch::{Sink, SinkConfig, Task};
use millrace_sdk::{
    Batch, Bytes, Datum, ErrorKind, Flat, OrderKeys, Record, SinkConnector, SinkTask, TaskContext, Text, TimestampKind,
    TopicPartition, Value, VersionRule, Versions, WriteReport, config,
};
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// An index of a test, removed at its end.
struct Place {
    url: String,
    transport: Transport,
    index: String,
}

impl Place {
    async fn new() -> Option<Self> {
        let url = millrace_sdk::testing::server("ELASTICSEARCH_URL")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let index = format!("sink-{now}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        Some(Self { transport: Transport::single_node(&url).unwrap(), url, index })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Json>) -> (u16, Json) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = body.map(|body| body.to_string());
        let sent = self.transport.send(method, path, headers, None::<&()>, body, Some(Duration::from_secs(60))).await;
        let response = sent.unwrap();
        let status = response.status_code().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or_default())
    }

    fn config(&self, more: &[(&str, &str)]) -> SinkConfig {
        let mut flat: Flat = BTreeMap::from([
            ("connection.url".to_owned(), self.url.clone()),
            ("type.name".to_owned(), "_doc".to_owned()),
            ("schema.ignore".to_owned(), "true".to_owned()),
            ("index.name".to_owned(), self.index.clone()),
        ]);
        flat.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        config::parse(&config::definition::<SinkConfig>(), &flat).unwrap()
    }

    async fn task(&self, more: &[(&str, &str)]) -> Task {
        self.versioned("", more).await
    }

    /// A task with a rule for versions.
    async fn versioned(&self, rule: &str, more: &[(&str, &str)]) -> Task {
        let versions = Versions { rule: VersionRule::parse(rule).unwrap(), epoch: 0 };
        Sink.open(self.config(more), TaskContext { versions, ..context() }).await.unwrap()
    }

    /// Documents by id.
    async fn all(&self, index: &str) -> BTreeMap<String, Json> {
        self.ask(Method::Post, &format!("{index}/_refresh"), None).await;
        let (status, found) = self.ask(Method::Post, &format!("{index}/_search?size=1000"), None).await;
        assert_eq!(status, 200, "{found}");
        let hits = found["hits"]["hits"].as_array().unwrap().clone();
        hits.into_iter().map(|hit| (hit["_id"].as_str().unwrap().to_owned(), hit["_source"].clone())).collect()
    }

    async fn remove(self) {
        self.ask(Method::Delete, &self.index, None).await;
    }
}

fn context() -> TaskContext {
    TaskContext {
        tenant: "default".to_owned(),
        connector: "search".to_owned(),
        task: 0,
        tasks_total: 1,
        generation: 1,
        topics: vec!["inventory".to_owned()],
        config: Arc::default(),
        ..TaskContext::default()
    }
}

fn batch(from: i64, records: &[(&str, Option<&str>)]) -> Batch {
    let records = (from..).zip(records).map(|(offset, (key, value))| record(offset, key, *value)).collect();
    Batch { origin: TopicPartition { topic: "inventory".into(), partition: 3 }, records }
}

fn record(offset: i64, key: &str, value: Option<&str>) -> Record {
    Record {
        offset,
        timestamp_ms: Some(1_700_000_000_000),
        timestamp_kind: TimestampKind::CreateTime,
        renamed_topic: None,
        key: if key.is_empty() { Datum::Null } else { Datum::schemaless(Value::Str(Text::from(key))) },
        value: value
            .map_or(Datum::Null, |json| Datum::schemaless(Value::Json(Bytes::copy_from_slice(json.as_bytes())))),
        headers: Vec::new(),
    }
}

fn indices(report: &WriteReport) -> Vec<usize> {
    report.failures.iter().map(|failure| failure.index).collect()
}

#[tokio::test]
async fn the_sample_configuration_creates_its_index_and_writes_once() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("key.ignore", "true")]).await;
    let batch = batch(7, &[("", Some("{\n  \"page\": \"/a\"\n}")), ("k", Some(r#"{"page":"/b"}"#))]);
    assert_eq!(task.order_keys(&batch), OrderKeys::Any);
    for _ in 0..2 {
        assert!(task.write(&batch).await.unwrap().failures.is_empty());
    }
    let found = place.all(&place.index).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["inventory+3+7", "inventory+3+8"]);
    assert_eq!(found["inventory+3+7"], json!({ "page": "/a" }));
    place.remove().await;
}

#[tokio::test]
async fn keys_upsert_and_delete_and_no_replay_puts_the_old_over_the_new() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("behavior.on.null.values", "delete")]).await;
    let (a, b) = (r#"{"sku":"A","warehouse":1}"#, r#"{"sku":"B","warehouse":1}"#);
    let first = batch(0, &[(a, Some(r#"{"n":1}"#)), (b, Some(r#"{"n":2}"#)), (a, Some(r#"{"n":3}"#))]);
    let OrderKeys::PerRecord(keys) = task.order_keys(&first) else { panic!("keys are named") };
    assert!(keys[0] == keys[2] && keys[0] != keys[1]);
    let report = task.write(&first).await.unwrap();
    assert!(report.failures.is_empty() && report.superseded == 0);
    assert_eq!(place.all(&place.index).await[a], json!({ "n": 3 }));

    let second = batch(3, &[(a, None), (b, Some(r#"{"n":4}"#)), ("absent", None), ("", None)]);
    assert!(task.write(&second).await.unwrap().failures.is_empty());
    let after = BTreeMap::from([(b.to_owned(), json!({ "n": 4 }))]);
    assert_eq!(place.all(&place.index).await, after);

    // Both again, in the order of a replay: nothing changes, and it is counted.
    let report = task.write(&first).await.unwrap();
    assert!(report.failures.is_empty());
    assert_eq!(report.superseded, 2);
    assert!(task.write(&second).await.unwrap().failures.is_empty());
    assert_eq!(place.all(&place.index).await, after);
    place.remove().await;
}

#[tokio::test]
async fn the_highest_version_stands_whatever_arrives_last() {
    let Some(place) = Place::new().await else { return };
    let task = place.versioned("field:v", &[]).await;
    // Within a batch, over batches, and at a tie the later to arrive.
    let first =
        batch(0, &[("a", Some(r#"{"v":5,"n":1}"#)), ("a", Some(r#"{"v":3,"n":2}"#)), ("b", Some(r#"{"v":1}"#))]);
    let report = task.write(&first).await.unwrap();
    assert!(report.failures.is_empty() && report.superseded == 1, "{report:?}");
    assert_eq!(place.all(&place.index).await["a"], json!({ "v": 5, "n": 1 }));
    let second = batch(3, &[("a", Some(r#"{"v":4,"n":3}"#)), ("b", Some(r#"{"v":1,"n":4}"#)), ("c", Some("{}"))]);
    let report = task.write(&second).await.unwrap();
    assert_eq!((report.failures.len(), report.superseded), (1, 1), "{report:?}");
    let all = place.all(&place.index).await;
    assert_eq!((&all["a"]["n"], &all["b"]["n"]), (&json!(1), &json!(4)));
    place.remove().await;
}

#[tokio::test]
async fn the_topic_names_the_index_when_nothing_else_does() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("index.name", ""), ("key.ignore", "true")]).await;
    let mut batch = batch(0, &[("", Some(r#"{"n":1}"#))]);
    batch.records[0].renamed_topic = Some(place.index.to_uppercase().into());
    assert!(task.write(&batch).await.unwrap().failures.is_empty());
    assert_eq!(place.all(&place.index).await.len(), 1);
    place.remove().await;
}

#[tokio::test]
async fn poison_is_named_and_its_neighbours_are_durable() {
    let Some(place) = Place::new().await else { return };
    let mapping = json!({ "mappings": { "properties": { "n": { "type": "integer" } } } });
    assert_eq!(place.ask(Method::Put, &place.index, Some(mapping)).await.0, 200);
    let long = "x".repeat(513);
    let records = [
        ("a", Some(r#"{"n":1}"#)),
        ("b", Some(r#"{"n":"many"}"#)),
        ("", Some(r#"{"n":1}"#)),
        (long.as_str(), Some(r#"{"n":1}"#)),
        ("e", Some("[1]")),
        ("f", None),
        ("g", Some(r#"{"n":2}"#)),
        ("a", Some(r#"{"n":"newer but refused"}"#)),
    ];
    let task = place.task(&[]).await;
    let report = task.write(&batch(0, &records)).await.unwrap();
    assert_eq!(indices(&report), [1, 2, 3, 4, 5, 7]);
    assert!(report.failures.iter().all(|failure| failure.error.kind() == ErrorKind::BadRecord));
    let message = report.failures[0].error.to_string();
    assert!(message.starts_with("inventory-3@1: ") && message.contains("[n]"), "{message}");
    let good = BTreeMap::from([("a".to_owned(), json!({ "n": 1 })), ("g".to_owned(), json!({ "n": 2 }))]);
    assert_eq!(place.all(&place.index).await, good);

    // behavior.on.malformed.documents is about what Elasticsearch refuses, drop.invalid.message about the rest.
    let task = place.task(&[("behavior.on.malformed.documents", "ignore")]).await;
    assert_eq!(indices(&task.write(&batch(8, &records[1..3])).await.unwrap()), [1]);
    let task = place.task(&[("drop.invalid.message", "true")]).await;
    assert_eq!(indices(&task.write(&batch(8, &records[1..3])).await.unwrap()), [0]);
    place.remove().await;
}

#[tokio::test]
async fn upserts_keep_the_other_fields() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[("write.method", "upsert")]).await;
    let batch = batch(0, &[("k", Some(r#"{"a":1,"b":1}"#)), ("k", Some(r#"{"b":2}"#)), ("k", Some(r#"{"c":3}"#))]);
    assert!(task.write(&batch).await.unwrap().failures.is_empty());
    assert_eq!(place.all(&place.index).await["k"], json!({ "a": 1, "b": 2, "c": 3 }));
    place.remove().await;
}

#[tokio::test]
async fn requests_are_cut_by_records_and_bytes_and_may_be_compressed() {
    let Some(place) = Place::new().await else { return };
    let keys: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let text = format!(r#"{{"text":"{}"}}"#, "x".repeat(1000));
    let records: Vec<_> = keys.iter().map(|key| (key.as_str(), Some(text.as_str()))).collect();
    for (size, bytes, compressed) in [("7", "-1", "false"), ("2000", "5000", "true")] {
        let more = [("batch.size", size), ("bulk.size.bytes", bytes), ("connection.compression", compressed)];
        let task = place.versioned("none", &more).await;
        let report = task.write(&batch(0, &records)).await.unwrap();
        assert!(report.failures.is_empty() && report.superseded == 0);
    }
    assert_eq!(place.all(&place.index).await.len(), 100);
    place.remove().await;
}

#[tokio::test]
async fn an_index_that_was_removed_is_made_again() {
    let Some(place) = Place::new().await else { return };
    let task = place.task(&[]).await;
    let batch = batch(0, &[("k", Some(r#"{"n":1}"#))]);
    task.write(&batch).await.unwrap();
    place.ask(Method::Delete, &place.index, None).await;
    let written = async {
        while !matches!(task.write(&batch).await, Ok(report) if report.failures.is_empty()) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), written).await.expect("the index is made again");
    assert_eq!(place.all(&place.index).await.len(), 1);
    place.remove().await;
}

#[tokio::test]
async fn two_tasks_may_create_the_same_index() {
    let Some(place) = Place::new().await else { return };
    let (one, two) = (place.task(&[]).await, place.task(&[]).await);
    let (first, second) = (batch(0, &[("a", Some("{}"))]), batch(1, &[("b", Some("{}"))]));
    let (first, second) = tokio::join!(one.write(&first), two.write(&second));
    assert!(first.unwrap().failures.is_empty() && second.unwrap().failures.is_empty());
    assert_eq!(place.all(&place.index).await.len(), 2);
    place.remove().await;
}

#[tokio::test]
async fn checks_pass_and_fail_for_the_right_reason() {
    let Some(place) = Place::new().await else { return };
    assert!(Sink.check(&place.config(&[]), &context()).await.unwrap().errors.is_empty());
    assert_eq!(place.ask(Method::Get, &place.index, None).await.0, 404, "a check creates nothing");
    let away = place.config(&[("connection.url", "http://user:hunter2@127.0.0.1:1")]);
    let error = Sink.check(&away, &context()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
    assert!(!error.chain().contains("hunter2"));
    let task = Sink.open(away, context()).await.unwrap();
    let error = task.write(&batch(0, &[("k", Some("{}"))])).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Transient { .. }), "{}", error.chain());
}

/// A server that gives canned answers, one per connection, and hands back the requests it got.
async fn canned(answers: Vec<(&'static str, &'static str)>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            requests.push(read_request(&mut stream).await);
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\nretry-after: 7\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        requests
    });
    (url, server)
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        text.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0_usize) || read == 0 {
            return text;
        }
    }
}

fn canned_config(url: &str) -> SinkConfig {
    let flat: Flat = [
        ("connection.url", url),
        ("index.name", "stock"),
        ("connection.username", "me"),
        ("connection.password", "hunter2"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    config::parse(&config::definition::<SinkConfig>(), &flat).unwrap()
}

#[tokio::test]
async fn wrong_credentials_are_a_matter_of_configuration() {
    let refusal = r#"{"error":{"root_cause":[],"type":"security_exception","reason":"unable to authenticate user [me] for REST request [/]"},"status":401}"#;
    let (url, server) = canned(vec![("401 Unauthorized", refusal), ("401 Unauthorized", "")]).await;
    let error = Sink.check(&canned_config(&url), &context()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    assert!(error.to_string().contains("connection.password"), "{error}");
    let task = Sink.open(canned_config(&url), context()).await.unwrap();
    let error = task.write(&batch(0, &[("k", Some("{}"))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadConfig);
    let requests = server.await.unwrap();
    assert!(requests[0].contains("authorization: Basic bWU6aHVudGVyMg=="), "{requests:?}");
}

#[tokio::test]
async fn a_rejected_item_comes_again_and_its_neighbours_do_not() {
    let mixed = r#"{"errors":true,"items":[{"index":{"status":201}},{"index":{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"rejected execution of primary operation"}}},{"index":{"status":409,"error":{"type":"version_conflict_engine_exception","reason":"[c]: version conflict, current version [9] is higher or equal to the one provided [2]"}}}]}"#;
    let (url, server) = canned(vec![
        ("200 OK", ""),
        ("200 OK", mixed),
        ("429 Too Many Requests", r#"{"error":{"type":"circuit_breaking_exception","reason":"data too large"}}"#),
    ])
    .await;
    let task = Sink.open(canned_config(&url), context()).await.unwrap();
    let records =
        batch(0, &[("a", Some("{}")), ("b", Some(r#"{"n":1}"#)), ("c", Some("{}")), ("b", Some(r#"{"n":2}"#))]);
    let report = task.write(&records).await.unwrap();
    assert_eq!(report.superseded, 1);
    // Both records of b come again, so that they stay in order.
    assert_eq!(indices(&report), [1, 3]);
    assert!(report.failures.iter().all(|failure| matches!(failure.error.kind(), ErrorKind::Transient { .. })));
    // The index is looked for again after an item failed; here that request is refused as a whole.
    let error = task.write(&records).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Transient { retry_after: Some(Duration::from_secs(7)) });
    let requests = server.await.unwrap();
    assert!(requests[1].contains(r#"{"index":{"_index":"stock","_id":"b","version":3,"version_type":"external"}}"#));
    assert!(!requests[1].contains(r#"{"n":1}"#), "only the newest of a key is sent");
}
