//! The sink's keys: names and defaults of MongoDB's Kafka connector. Strategies are class names, with or without their Java
//! package; what they become is in `settings`.

use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::Deserialize;

use super::settings::Settings;
use crate::client::Connection;

/// Keys of the MongoDB sink.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SinkConfig {
    /// How to reach MongoDB
    #[serde(flatten)]
    pub connection: Connection,
    /// Name of the database to write into.
    #[serde(rename = "database")]
    #[schemars(extend("x-group" = "Namespace", "x-importance" = "high"))]
    pub database: String,
    /// Name of the collection to write into; empty means the record's topic.
    #[serde(rename = "collection", default)]
    #[schemars(extend("x-group" = "Namespace", "x-importance" = "high"))]
    pub collection: String,
    /// What becomes of a record's document: DefaultWriteModelStrategy and ReplaceOneDefaultStrategy replace or insert by
    /// `_id`, InsertOneDefaultStrategy inserts, UpdateOneDefaultStrategy sets the record's fields and keeps the others,
    /// UpdateOneTimestampsStrategy does so and keeps `_insertedTS` and `_modifiedTS`, DeleteOneDefaultStrategy deletes by `_id`.
    #[serde(rename = "writemodel.strategy", default = "default_write_model")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "medium", "x-class" = true))]
    pub write_model: String,
    /// Whether a record with a null value deletes the document of its key. Needs a document id strategy that works on the
    /// key. Without it such records are skipped.
    #[serde(rename = "delete.on.null.values", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "medium"))]
    pub delete_on_null_values: bool,
    /// How `delete.on.null.values` deletes: DeleteOneDefaultStrategy.
    #[serde(rename = "delete.writemodel.strategy", default = "default_delete_model")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low", "x-class" = true))]
    pub delete_write_model: String,
    /// The most documents in one command to the server; 0 means as many as fit.
    #[serde(rename = "max.batch.size", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "medium"), range(min = 0))]
    pub max_batch_size: i32,
    /// Where a document's `_id` comes from when it has none: BsonOidStrategy (an object id made of the record's timestamp
    /// and coordinates, so that a replay writes the same document again), KafkaMetaDataStrategy (`topic#partition#offset`),
    /// UuidStrategy, FullKeyStrategy (the whole key as a document), ProvidedInKeyStrategy and ProvidedInValueStrategy (the
    /// field `_id`).
    #[serde(rename = "document.id.strategy", default = "default_id_strategy")]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "high", "x-class" = true))]
    pub id_strategy: String,
    /// Whether the strategy's id replaces an `_id` that the value has already.
    #[serde(rename = "document.id.strategy.overwrite.existing", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub overwrite_existing_id: bool,
    /// How UuidStrategy writes: `string` or `binary`.
    #[serde(rename = "document.id.strategy.uuid.format", default = "default_uuid_format")]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub uuid_format: String,
    /// Post processors, in order. Only DocumentIdAdder is available yet.
    #[serde(rename = "post.processor.chain", default = "default_post_processors")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub post_processors: Vec<String>,
    /// Keys with a variable part.
    #[serde(flatten)]
    #[schemars(skip)]
    pub extra: Flat,
}

fn default_write_model() -> String {
    "com.mongodb.kafka.connect.sink.writemodel.strategy.DefaultWriteModelStrategy".to_owned()
}

fn default_delete_model() -> String {
    "com.mongodb.kafka.connect.sink.writemodel.strategy.DeleteOneDefaultStrategy".to_owned()
}

fn default_id_strategy() -> String {
    "com.mongodb.kafka.connect.sink.processor.id.strategy.BsonOidStrategy".to_owned()
}

fn default_uuid_format() -> String {
    "string".to_owned()
}

fn default_post_processors() -> Vec<String> {
    vec!["com.mongodb.kafka.connect.sink.processor.DocumentIdAdder".to_owned()]
}

/// Prefix of the keys that apply to one topic.
pub(crate) const OVERRIDE_PREFIX: &str = "topic.override.";

/// The peer's keys that would change what is written, and their defaults: refused when set to anything else.
const NOT_YET: &[(&str, &str)] = &[
    ("change.data.capture.handler", ""),
    ("change.data.capture.handler.remove.null.values", "false"),
    ("namespace.mapper", "com.mongodb.kafka.connect.sink.namespace.mapping.DefaultNamespaceMapper"),
    ("field.renamer.mapping", "[]"),
    ("field.renamer.regexp", "[]"),
    ("field.value.transformer", ""),
    ("key.projection.type", "none"),
    ("key.projection.list", ""),
    ("value.projection.type", "none"),
    ("value.projection.list", ""),
    ("document.id.strategy.partial.key.projection.type", ""),
    ("document.id.strategy.partial.key.projection.list", ""),
    ("document.id.strategy.partial.value.projection.type", ""),
    ("document.id.strategy.partial.value.projection.list", ""),
    ("timeseries.timefield", ""),
    ("timeseries.metafield", ""),
    ("timeseries.granularity", ""),
    ("timeseries.expire.after.seconds", "0"),
    ("timeseries.timefield.auto.convert", "false"),
    ("mongo.errors.tolerance", "none"),
    ("rate.limiting.timeout", "0"),
    ("rate.limiting.every.n", "0"),
];

impl Config for SinkConfig {
    const PATTERNS: &'static [(&'static str, &'static str, &'static str)] = &[
        (OVERRIDE_PREFIX, "", "`topic.override.<topic>.<key>`: the value of a key for the records of one topic"),
        ("change.data.capture.", "", "Change data capture handlers: not available yet, refused when set"),
        ("namespace.", "", "Namespaces from fields: not available yet, refused when set"),
        ("field.", "", "Field renaming and transformation: not available yet, refused when set"),
        ("key.projection.", "", "Key projection: not available yet, refused when set"),
        ("value.projection.", "", "Value projection: not available yet, refused when set"),
        ("document.id.strategy.partial.", "", "Ids from parts of key or value: not available yet, refused when set"),
        ("timeseries.", "", "Time series collections: not available yet, refused when set"),
        crate::client::PATTERNS[0],
        ("mongo.errors.", "", "Use `errors.tolerance`; refused when set to anything but the default"),
        ("rate.limiting.", "", "Rate limits: not available yet, refused when set"),
    ];

    const IGNORED: &'static [(&'static str, &'static str)] = &[
        (
            "bulk.write.ordered",
            "the writes of one document keep their order either way, and a refused document never holds up others",
        ),
        ("max.num.retries", "what passes by itself is tried again for as long as it takes, with back-off"),
        ("retries.defer.timeout", "the framework backs off with jitter"),
    ];

    fn check(&self, flat: &Flat) -> Vec<Problem> {
        let mut problems = self.connection.check(flat);
        for (key, default) in NOT_YET {
            if flat.get(*key).is_some_and(|value| !same(value, default)) {
                problems.push(Problem::new(
                    *key,
                    format!("{key} is not available yet; remove it, or set it to its default \"{default}\""),
                ));
            }
        }
        match Settings::resolve(self) {
            Ok(_) => {}
            Err(found) => problems.extend(found),
        }
        problems
    }
}

/// Equal as configuration values: class names by their last part.
fn same(value: &str, default: &str) -> bool {
    let value = value.trim();
    value.is_empty() || value.eq_ignore_ascii_case(default) || default.rsplit('.').next() == Some(value)
}

#[cfg(test)]
mod tests;
