#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::collections::BTreeSet;

use millrace_sdk::Findings;
use millrace_sdk::config::{definition, parse};
use mongodb::bson::Timestamp;

use super::super::json::Mode;
use super::super::settings::{Form, Heartbeat, Scope, Settings, Startup, Tolerance};
use super::*;

const DOCS: &str = include_str!("../../../../../docs/connectors/mongodb-source.md");

/// The options of the peer, 3.0.
const PEERS: &[&str] = &[
    "connection.uri",
    "server.api.version",
    "server.api.deprecation.errors",
    "server.api.strict",
    "connection.ssl.truststore",
    "connection.ssl.truststorePassword",
    "connection.ssl.keystore",
    "connection.ssl.keystorePassword",
    "provider",
    "database",
    "collection",
    "pipeline",
    "collation",
    "batch.size",
    "poll.max.batch.size",
    "poll.await.time.ms",
    "publish.full.document.only",
    "publish.full.document.only.tombstone.on.delete",
    "change.stream.document.key.as.key",
    "change.stream.full.document",
    "change.stream.full.document.before.change",
    "change.stream.show.expanded.events",
    "topic.mapper",
    "topic.prefix",
    "topic.suffix",
    "topic.separator",
    "topic.namespace.map",
    "output.format.key",
    "output.format.value",
    "output.json.formatter",
    "output.schema.key",
    "output.schema.value",
    "output.schema.infer.value",
    "startup.mode",
    "startup.mode.timestamp.start.at.operation.time",
    "startup.mode.copy.existing.max.threads",
    "startup.mode.copy.existing.queue.size",
    "startup.mode.copy.existing.pipeline",
    "startup.mode.copy.existing.namespace.regex",
    "startup.mode.copy.existing.allow.disk.use",
    "copy.existing",
    "copy.existing.max.threads",
    "copy.existing.queue.size",
    "copy.existing.pipeline",
    "copy.existing.namespace.regex",
    "copy.existing.allow.disk.use",
    "mongo.errors.tolerance",
    "mongo.errors.log.enable",
    "mongo.errors.deadletterqueue.topic.name",
    "heartbeat.interval.ms",
    "heartbeat.topic.name",
    "offset.partition.name",
];

fn parsed(more: &[(&str, &str)]) -> Result<SourceConfig, Findings> {
    let mut flat = Flat::from([("connection.uri".to_owned(), "mongodb://b:2,a:1/?replicaSet=x".to_owned())]);
    flat.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    parse(&definition::<SourceConfig>(), &flat)
}

fn settings(more: &[(&str, &str)]) -> Settings {
    Settings::resolve(&parsed(more).unwrap(), &Flat::new()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// A row of the table may name several options.
fn documented() -> BTreeSet<String> {
    let rows = DOCS.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_option_is_a_key_and_a_row_of_the_table() {
    let keys: BTreeSet<String> = definition::<SourceConfig>().keys.into_iter().map(|key| key.name).collect();
    let rows = documented();
    for option in PEERS {
        assert!(keys.contains(*option), "{option} is no key");
    }
    for key in &keys {
        assert!(rows.contains(key), "{key} has no row in docs/connectors/mongodb-source.md");
    }
    // The table of differences has names of another kind.
    for row in rows.into_iter().filter(|row| !row.starts_with("differs-")) {
        assert!(keys.contains(&row) || row == "mongo.custom.auth.mechanism.*", "{row} is no key");
    }
}

#[test]
fn defaults_are_the_peers() {
    let settings = settings(&[]);
    assert_eq!(settings.scope, Scope::Deployment);
    assert_eq!((settings.poll_max, settings.poll_await.as_millis(), settings.batch_size), (1000, 5000, None));
    assert_eq!((settings.mode, settings.startup), (Mode::Strict, Startup::Latest));
    assert!(matches!((&settings.key, &settings.value), (Form::Json, Form::Json)));
    assert_eq!((settings.full_document, settings.full_document_before_change), (None, None));
    assert!(settings.document_key_as_key && !settings.full_document_only && !settings.show_expanded_events);
    assert_eq!((settings.copying.queue, settings.copying.allow_disk_use), (16_000, true));
    assert_eq!(settings.tolerance, Tolerance::Framework);
    assert_eq!(settings.heartbeat.topic, None);
    assert_eq!(settings.partition_name, "mongodb://a:1,b:2/");
}

#[test]
fn what_keys_come_to() {
    assert_eq!(settings(&[("database", "d"), ("collection", "c")]).partition_name, "mongodb://a:1,b:2/d.c");
    assert_eq!(settings(&[("offset.partition.name", "x")]).partition_name, "x");
    let only = settings(&[("publish.full.document.only", "true"), ("change.stream.full.document", "required")]);
    assert_eq!(only.full_document.as_deref(), Some("updateLookup"), "as in the peer");
    let beat = settings(&[("heartbeat.interval.ms", "500")]).heartbeat;
    assert_eq!(beat.topic.as_deref(), Some("__mongodb_heartbeats"));
    assert_eq!(settings(&[("heartbeat.interval.ms", "0")]).heartbeat, Heartbeat { every: None, topic: None });
    assert_eq!(settings(&[("copy.existing", "true")]).startup, Startup::Copy);
    assert_eq!(settings(&[("copy.existing", "true"), ("startup.mode", "latest")]).startup, Startup::Latest);
    let threads = [("copy.existing.max.threads", "3"), ("startup.mode.copy.existing.max.threads", "5")];
    assert_eq!(settings(&threads).copying.threads, 5);
    for (time, seconds, increment) in
        [("30", 30, 0), ("1970-01-01T00:00:30Z", 30, 0), (r#"{"$timestamp": {"t": 30, "i": 7}}"#, 30, 7), ("0", 0, 0)]
    {
        let more = [("startup.mode", "timestamp"), ("startup.mode.timestamp.start.at.operation.time", time)];
        assert_eq!(settings(&more).startup, Startup::Timestamp(Timestamp { time: seconds, increment }), "{time}");
    }
    assert_eq!(settings(&[("startup.mode", "timestamp")]).startup, Startup::Latest);
    let schemas = settings(&[("output.format.value", "SCHEMA"), ("output.format.key", "bson")]);
    assert!(matches!((schemas.key, schemas.value), (Form::Bson, Form::Schema(_))));
    let inferred = settings(&[("output.format.value", "schema"), ("output.schema.infer.value", "true")]);
    assert!(matches!(inferred.value, Form::Infer));
}

#[test]
fn every_problem_is_found_at_once() {
    let found = parsed(&[
        ("collection", "c"),
        ("pipeline", "{}"),
        ("collation", "[]"),
        ("change.stream.full.document", "always"),
        ("topic.namespace.map", "{\"a\": 1}"),
        ("topic.mapper", "com.example.Mine"),
        ("output.format.key", "xml"),
        ("output.json.formatter", "com.example.Mine"),
        (
            "output.schema.value",
            "{\"type\": \"record\", \"name\": \"r\", \"fields\": [{\"name\": \"f\", \"type\": \"null\"}]}",
        ),
        ("startup.mode", "sometime"),
        ("startup.mode.copy.existing.namespace.regex", "("),
        ("mongo.errors.tolerance", "some"),
    ]);
    let found = found.unwrap_err().errors;
    let keys: BTreeSet<&str> = found.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys.len(), 12, "{found:?}");
}
