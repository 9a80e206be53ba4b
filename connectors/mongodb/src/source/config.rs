//! The source's keys: names, meanings and defaults of MongoDB's Kafka connector, and ours under `millrace.mongodb.`. What
//! they come to is in `settings`.

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::client::{self, Connection};

/// Keys of the MongoDB source.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SourceConfig {
    /// How to reach MongoDB
    #[serde(flatten)]
    pub connection: Connection,
    /// Name of the database to watch; empty means all databases.
    #[serde(rename = "database", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "medium"))]
    pub database: String,
    /// Name of the collection to watch; empty means all collections of the database.
    #[serde(rename = "collection", default)]
    #[schemars(extend("x-group" = "Connection", "x-importance" = "medium"))]
    pub collection: String,
    /// Stages that every event of the change stream goes through, as a JSON array, such as
    /// `[{"$match": {"operationType": "insert"}}]`.
    #[serde(rename = "pipeline", default = "empty_array")]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "medium"))]
    pub pipeline: String,
    /// Events per answer of the server; 0 leaves it to the server.
    #[serde(rename = "batch.size", default)]
    #[schemars(range(min = 0), extend("x-group" = "Change stream", "x-importance" = "medium"))]
    pub batch_size: i32,
    /// Publish the changed document alone instead of the whole event. Sets `change.stream.full.document=updateLookup`.
    #[serde(rename = "publish.full.document.only", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "high"))]
    pub full_document_only: bool,
    /// Publish a null value for an event without a document, such as a deletion. Needs `publish.full.document.only=true`.
    #[serde(rename = "publish.full.document.only.tombstone.on.delete", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "medium"))]
    pub tombstone_on_delete: bool,
    /// Use the key of the changed document as the record's key, so that compaction and order per document work; otherwise
    /// the key is the event's resume token.
    #[serde(rename = "change.stream.document.key.as.key", default = "yes")]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "medium"))]
    pub document_key_as_key: bool,
    /// What an event tells of the document before the change: `default`, `off`, `whenAvailable` or `required`. Needs MongoDB 6.0 and a
    /// collection with `changeStreamPreAndPostImages`.
    #[serde(rename = "change.stream.full.document.before.change", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "high"))]
    pub full_document_before_change: String,
    /// What an update event tells of the whole document: `default` (nothing), `updateLookup` (as it is when the event is
    /// read), `whenAvailable` or `required` (as it was then; needs `changeStreamPreAndPostImages`).
    #[serde(rename = "change.stream.full.document", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "high"))]
    pub full_document: String,
    /// Whether changes of collections and indexes are told, too. Needs MongoDB 6.0.
    #[serde(rename = "change.stream.show.expanded.events", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "medium"))]
    pub show_expanded_events: bool,
    /// The collation of the change stream's pipeline, as a JSON object such as `{"locale": "de"}`.
    #[serde(rename = "collation", default)]
    #[schemars(extend("x-group" = "Change stream", "x-importance" = "high"))]
    pub collation: String,
    /// The most records in one batch.
    #[serde(rename = "poll.max.batch.size", default = "thousand")]
    #[schemars(range(min = 1), extend("x-group" = "Change stream", "x-importance" = "low"))]
    pub poll_max_batch_size: i32,
    /// How long the server waits for new events before it answers that there are none, in milliseconds.
    #[serde(rename = "poll.await.time.ms", default = "five_seconds")]
    #[schemars(range(min = 1), extend("x-group" = "Change stream", "x-importance" = "low"))]
    pub poll_await_ms: i64,
    /// The class that finds the topic of an event. There is the peer's DefaultTopicMapper; a class of your own cannot be
    /// loaded: use `topic.namespace.map`, or a transform such as `RegexRouter`.
    #[serde(rename = "topic.mapper", default = "default_topic_mapper")]
    #[schemars(extend("x-group" = "Topic mapping", "x-importance" = "high", "x-class" = true))]
    pub topic_mapper: String,
    /// What stands between prefix, database, collection and suffix in a topic's name.
    #[serde(rename = "topic.separator", default = "dot")]
    #[schemars(extend("x-group" = "Topic mapping", "x-importance" = "low"))]
    pub topic_separator: String,
    /// What every topic's name begins with.
    #[serde(rename = "topic.prefix", default)]
    #[schemars(extend("x-group" = "Topic mapping", "x-importance" = "low"))]
    pub topic_prefix: String,
    /// What every topic's name ends with.
    #[serde(rename = "topic.suffix", default)]
    #[schemars(extend("x-group" = "Topic mapping", "x-importance" = "low"))]
    pub topic_suffix: String,
    /// Topics by namespace, as a JSON object: `{"db.coll": "topic"}` for one collection, `{"db": "topic"}` for a database,
    /// `{"/regex": "template"}` with the variables `{db}` `{sep}` `{coll}` `{sep_coll}` `{coll_sep}` `{sep_coll_sep}`, and
    /// `{"*": "topic"}` for the rest; tried in this order. Prefix and suffix are added.
    #[serde(rename = "topic.namespace.map", default)]
    #[schemars(extend("x-group" = "Topic mapping", "x-importance" = "high"))]
    pub topic_namespace_map: String,
    /// The form of keys: `json` (text), `bson` (bytes) or `schema`.
    #[serde(rename = "output.format.key", default = "json")]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "high"))]
    pub format_key: String,
    /// The form of values: `json` (text), `bson` (bytes) or `schema`.
    #[serde(rename = "output.format.value", default = "json")]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "high"))]
    pub format_value: String,
    /// Whether the schema of a value is made from each document (with `output.format.value=schema`).
    #[serde(rename = "output.schema.infer.value", default)]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "medium"))]
    pub infer_schema: bool,
    /// The schema of keys, as an Avro record (with `output.format.key=schema`). Names of fields may be paths into the event.
    #[serde(rename = "output.schema.key", default = "default_key_schema")]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "high"))]
    pub schema_key: String,
    /// The schema of values, as an Avro record (with `output.format.value=schema`).
    #[serde(rename = "output.schema.value", default = "default_value_schema")]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "high"))]
    pub schema_value: String,
    /// How JSON is written: `DefaultJson` (the legacy strict form), `ExtendedJson` (canonical extended JSON) or
    /// `SimplifiedJson` (ids, decimals, dates and binary values as plain strings).
    #[serde(rename = "output.json.formatter", default = "default_formatter")]
    #[schemars(extend("x-group" = "Schema", "x-importance" = "medium", "x-class" = true))]
    pub json_formatter: String,
    /// Where to begin when no position is stored: `latest`, `timestamp` or `copy_existing`.
    #[serde(rename = "startup.mode", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub startup_mode: String,
    /// With `startup.mode=timestamp` the time to begin at: seconds since 1970, an ISO-8601 instant, or
    /// `{"$timestamp": {"t": 30, "i": 0}}`. `0` is the beginning of the oplog; empty means `latest`.
    #[serde(rename = "startup.mode.timestamp.start.at.operation.time", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub start_at: String,
    /// How many parts of collections are copied at a time. The default is the number of processors.
    #[serde(rename = "startup.mode.copy.existing.max.threads", default)]
    #[schemars(range(min = 1), extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub copy_threads: Option<i32>,
    /// The most documents that were read by the copy and not handed on yet.
    #[serde(rename = "startup.mode.copy.existing.queue.size", default)]
    #[schemars(range(min = 1), extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub copy_queue: Option<i32>,
    /// Stages that documents go through when they are copied, before they become events; such as a `$match` that uses an index.
    #[serde(rename = "startup.mode.copy.existing.pipeline", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub copy_pipeline: Option<String>,
    /// A regular expression found in the namespaces (`database.collection`) to copy.
    #[serde(rename = "startup.mode.copy.existing.namespace.regex", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub copy_namespaces: Option<String>,
    /// Whether the server may use its disk for the copy's pipeline.
    #[serde(rename = "startup.mode.copy.existing.allow.disk.use", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "medium"))]
    pub copy_allow_disk_use: Option<bool>,
    /// Deprecated: `startup.mode=copy_existing`.
    #[serde(rename = "copy.existing", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy: bool,
    /// Deprecated: `startup.mode.copy.existing.max.threads`.
    #[serde(rename = "copy.existing.max.threads", default)]
    #[schemars(range(min = 1), extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy_threads: Option<i32>,
    /// Deprecated: `startup.mode.copy.existing.queue.size`.
    #[serde(rename = "copy.existing.queue.size", default)]
    #[schemars(range(min = 1), extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy_queue: Option<i32>,
    /// Deprecated: `startup.mode.copy.existing.pipeline`.
    #[serde(rename = "copy.existing.pipeline", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy_pipeline: Option<String>,
    /// Deprecated: `startup.mode.copy.existing.namespace.regex`.
    #[serde(rename = "copy.existing.namespace.regex", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy_namespaces: Option<String>,
    /// Deprecated: `startup.mode.copy.existing.allow.disk.use`.
    #[serde(rename = "copy.existing.allow.disk.use", default)]
    #[schemars(extend("x-group" = "Startup", "x-importance" = "low"))]
    pub old_copy_allow_disk_use: Option<bool>,
    /// As `errors.tolerance`, for documents that cannot become records; it goes before that key.
    #[serde(rename = "mongo.errors.tolerance", default)]
    #[schemars(extend("x-group" = "Errors", "x-importance" = "medium"))]
    pub errors_tolerance: Option<String>,
    /// As `errors.log.enable`; it goes before that key.
    #[serde(rename = "mongo.errors.log.enable", default)]
    #[schemars(extend("x-group" = "Errors", "x-importance" = "medium"))]
    pub errors_log: Option<bool>,
    /// As `errors.deadletterqueue.topic.name`, for documents that cannot become records; it goes before that key.
    #[serde(rename = "mongo.errors.deadletterqueue.topic.name", default)]
    #[schemars(extend("x-group" = "Errors", "x-importance" = "medium"))]
    pub errors_topic: Option<String>,
    /// How often the position is stored while there is nothing to publish, in milliseconds, so that a quiet collection keeps
    /// its place in a busy oplog; 0 turns it off. Without this key the position is stored every 10 seconds and no record is
    /// made; with it a record goes to `heartbeat.topic.name` as well, as the peer does (whose default is 0).
    #[serde(rename = "heartbeat.interval.ms", default)]
    #[schemars(range(min = 0), extend("x-group" = "Errors", "x-importance" = "medium"))]
    pub heartbeat_ms: Option<i64>,
    /// The topic of heartbeat records.
    #[serde(rename = "heartbeat.topic.name", default = "heartbeat_topic")]
    #[schemars(extend("x-group" = "Errors", "x-importance" = "medium"))]
    pub heartbeat_topic: String,
    /// A name for the positions; another name forgets the stored ones. The default is made of the servers and the namespace.
    #[serde(rename = "offset.partition.name", default)]
    #[schemars(extend("x-group" = "Partition", "x-importance" = "medium"))]
    pub partition_name: String,
    /// What to do when the oplog no longer reaches back to the stored position.
    #[serde(rename = "millrace.mongodb.on.lost.token", default)]
    #[schemars(extend("x-group" = "Millrace", "x-importance" = "medium"))]
    pub on_lost_token: OnLostToken,
    /// How near to its end the oplog may come to the stored position before that is a warning, in minutes of writes.
    #[serde(rename = "millrace.mongodb.oplog.warning.minutes", default = "an_hour")]
    #[schemars(range(min = 0), extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub oplog_warning_minutes: i64,
    /// Which namespaces a task reads. Written by the planner when `tasks.max` is more than 1; not to be set by hand.
    #[serde(rename = "millrace.mongodb.share", default)]
    #[schemars(extend("x-group" = "Millrace", "x-importance" = "low"))]
    pub share: String,
}

/// What to do when the oplog no longer reaches back to the stored position. It is always told, in log, status and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnLostToken {
    /// The task fails and says what can be done
    #[default]
    Fail,
    /// Everything is copied again, then the stream goes on from where that copy began
    Resnapshot,
    /// The stream goes on with the oldest event that the oplog still has; what lies between is missing
    Timestamp,
}

impl Config for SourceConfig {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &client::PATTERNS;

    const IGNORED: &'static [(&'static str, &'static str)] =
        &[("provider", "it only adds a name to the client's greeting to the server")];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = self.connection.check(flat);
        if let Err(found) = Settings::resolve(self, flat) {
            problems.extend(found);
        }
        problems
    }
}

fn empty_array() -> String {
    "[]".to_owned()
}

fn yes() -> bool {
    true
}

fn thousand() -> i32 {
    1000
}

fn five_seconds() -> i64 {
    5000
}

fn an_hour() -> i64 {
    60
}

fn default_topic_mapper() -> String {
    "com.mongodb.kafka.connect.source.topic.mapping.DefaultTopicMapper".to_owned()
}

fn default_formatter() -> String {
    "com.mongodb.kafka.connect.source.json.formatter.DefaultJson".to_owned()
}

fn dot() -> String {
    ".".to_owned()
}

fn json() -> String {
    "json".to_owned()
}

fn heartbeat_topic() -> String {
    "__mongodb_heartbeats".to_owned()
}

fn default_key_schema() -> String {
    KEY_SCHEMA.to_owned()
}

fn default_value_schema() -> String {
    VALUE_SCHEMA.to_owned()
}

/// The peer's default schema of keys.
pub(super) const KEY_SCHEMA: &str =
    r#"{"type": "record", "name": "keySchema", "fields": [{"name": "_id", "type": "string"}]}"#;

/// The peer's default schema of values (3.x; 2.x has no `wallTime`).
pub(super) const VALUE_SCHEMA: &str = include_str!("schema/change_stream.avsc");

#[cfg(test)]
mod tests;
