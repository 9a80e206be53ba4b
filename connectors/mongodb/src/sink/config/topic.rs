//! The keys that each topic may have for itself (`topic.override.<topic>.<key>`), which are all but those of the connection.

use std::collections::BTreeMap;

use millrace_sdk::config::{ConfigDef, definition, parse};
use millrace_sdk::{Config, Flat, Problem};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Prefix of the keys that apply to one topic.
pub(crate) const OVERRIDE_PREFIX: &str = "topic.override.";

/// Keys of the sink that a topic may override.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TopicConfig {
    /// Name of the database to write into.
    #[serde(rename = "database")]
    #[schemars(extend("x-group" = "Namespace", "x-importance" = "high"))]
    pub database: String,
    /// Name of the collection to write into; empty means the record's topic.
    #[serde(rename = "collection", default)]
    #[schemars(extend("x-group" = "Namespace", "x-importance" = "high"))]
    pub collection: String,
    /// What names database and collection: DefaultNamespaceMapper (the two keys above), or FieldPathNamespaceMapper (fields of
    /// the record).
    #[serde(rename = "namespace.mapper", default = "namespace_mapper")]
    #[schemars(extend("x-group" = "Namespace mapping", "x-importance" = "high", "x-class" = true))]
    pub namespace_mapper: String,
    /// The key's field, with dots for nested ones, that names the database.
    #[serde(rename = "namespace.mapper.key.database.field", default)]
    #[schemars(extend("x-group" = "Namespace mapping"))]
    pub key_database_field: String,
    /// The key's field that names the collection.
    #[serde(rename = "namespace.mapper.key.collection.field", default)]
    #[schemars(extend("x-group" = "Namespace mapping"))]
    pub key_collection_field: String,
    /// The value's field that names the database.
    #[serde(rename = "namespace.mapper.value.database.field", default)]
    #[schemars(extend("x-group" = "Namespace mapping"))]
    pub value_database_field: String,
    /// The value's field that names the collection.
    #[serde(rename = "namespace.mapper.value.collection.field", default)]
    #[schemars(extend("x-group" = "Namespace mapping"))]
    pub value_collection_field: String,
    /// Whether a record whose field is absent or no text is refused, instead of going to `database` and `collection`.
    #[serde(rename = "namespace.mapper.error.if.invalid", default)]
    #[schemars(extend("x-group" = "Namespace mapping"))]
    pub namespace_error_if_invalid: bool,

    /// What becomes of a record's document: DefaultWriteModelStrategy (ReplaceOneDefaultStrategy, or InsertOneDefaultStrategy
    /// into time series), InsertOneDefaultStrategy, ReplaceOneDefaultStrategy, UpdateOneDefaultStrategy,
    /// UpdateOneTimestampsStrategy, DeleteOneDefaultStrategy by `_id`; ReplaceOneBusinessKeyStrategy,
    /// UpdateOneBusinessKeyTimestampStrategy and DeleteOneBusinessKeyStrategy by the fields that the document id strategy
    /// picks.
    #[serde(rename = "writemodel.strategy", default = "write_model")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low", "x-class" = true))]
    pub write_model: String,
    /// Whether a record with a null value deletes the document of its key. Without it such a record is refused.
    #[serde(rename = "delete.on.null.values", default)]
    #[schemars(extend("x-group" = "Writes"))]
    pub delete_on_null_values: bool,
    /// How `delete.on.null.values` deletes: DeleteOneDefaultStrategy by the id that the document id strategy makes of the key,
    /// DeleteOneTombstoneBusinessKeyStrategy by the key's fields that PartialKeyStrategy picks.
    #[serde(rename = "delete.writemodel.strategy", default = "delete_model")]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low", "x-class" = true))]
    pub delete_write_model: String,
    /// The most documents in one command to the server; 0 means as many as fit.
    #[serde(rename = "max.batch.size", default)]
    #[schemars(extend("x-group" = "Writes"), range(min = 0))]
    pub max_batch_size: i32,
    /// Whether the peer stops a batch at the first refused document. Here the writes of one document keep their order either
    /// way, and a refused document never holds up others.
    #[serde(rename = "bulk.write.ordered", default = "yes")]
    #[schemars(extend("x-group" = "Writes"))]
    pub bulk_write_ordered: bool,
    /// Milliseconds to wait after every `rate.limiting.every.n` batches; 0 means no limit.
    #[serde(rename = "rate.limiting.timeout", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low"), range(min = 0))]
    pub rate_timeout_ms: i32,
    /// After how many batches to wait; 0 means never.
    #[serde(rename = "rate.limiting.every.n", default)]
    #[schemars(extend("x-group" = "Writes", "x-importance" = "low"), range(min = 0))]
    pub rate_every_n: i32,

    /// Post processors, in order: DocumentIdAdder (goes first when it is not named), AllowListKeyProjector,
    /// AllowListValueProjector, BlockListKeyProjector, BlockListValueProjector, KafkaMetaAdder, RenameByMapping,
    /// RenameByRegExp, NullFieldValueRemover.
    #[serde(rename = "post.processor.chain", default = "post_processors")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub post_processors: Vec<String>,
    /// `none`, `AllowList` or `BlockList`: what `key.projection.list` is.
    #[serde(rename = "key.projection.type", default = "none")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub key_projection_type: String,
    /// Fields of the key, separated by commas: dots for nested ones, `*` for one level, `**` for all below.
    #[serde(rename = "key.projection.list", default)]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub key_projection_list: String,
    /// `none`, `AllowList` or `BlockList`: what `value.projection.list` is.
    #[serde(rename = "value.projection.type", default = "none")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub value_projection_type: String,
    /// Fields of the value, as in `key.projection.list`.
    #[serde(rename = "value.projection.list", default)]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub value_projection_list: String,
    /// For RenameByMapping: `[{"oldName":"value.a.b","newName":"c"}, …]`, the names beginning with `key.` or `value.`.
    #[serde(rename = "field.renamer.mapping", default = "empty_list")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub renamer_mapping: String,
    /// For RenameByRegExp: `[{"regexp":"^value\\..*","pattern":"\\s","replace":"_"}, …]`: in names whose path matches
    /// `regexp`, what matches `pattern` is replaced.
    #[serde(rename = "field.renamer.regexp", default = "empty_list")]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub renamer_regexp: String,
    /// A Java class of the user: refused, use a transform.
    #[serde(rename = "field.value.transformer", default)]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low", "x-class" = true))]
    pub value_transformer: String,
    /// The fields of `field.value.transformer`: without effect as long as there is none.
    #[serde(rename = "field.value.transformer.fields", default)]
    #[schemars(extend("x-group" = "Post processing", "x-importance" = "low"))]
    pub value_transformer_fields: String,

    /// Where a document's `_id` comes from when it has none: BsonOidStrategy (an object id made of the record's timestamp
    /// and coordinates, so that a replay writes the same document again), KafkaMetaDataStrategy (`topic#partition#offset`),
    /// UuidStrategy, FullKeyStrategy (the whole key as a document), PartialKeyStrategy and PartialValueStrategy (some fields
    /// of key or value), ProvidedInKeyStrategy and ProvidedInValueStrategy (the field `_id`), UuidProvidedInKeyStrategy and
    /// UuidProvidedInValueStrategy (the same, as a UUID).
    #[serde(rename = "document.id.strategy", default = "id_strategy")]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "high", "x-class" = true))]
    pub id_strategy: String,
    /// Whether the strategy's id replaces an `_id` that the value has already.
    #[serde(rename = "document.id.strategy.overwrite.existing", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub overwrite_existing_id: bool,
    /// How UuidStrategy writes: `string` or `binary`.
    #[serde(rename = "document.id.strategy.uuid.format", default = "string")]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub uuid_format: String,
    /// For PartialKeyStrategy: `AllowList` or `BlockList`; empty means `key.projection.type`.
    #[serde(rename = "document.id.strategy.partial.key.projection.type", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub partial_key_type: String,
    /// For PartialKeyStrategy: the fields; empty means `key.projection.list`.
    #[serde(rename = "document.id.strategy.partial.key.projection.list", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub partial_key_list: String,
    /// For PartialValueStrategy: `AllowList` or `BlockList`; empty means `value.projection.type`.
    #[serde(rename = "document.id.strategy.partial.value.projection.type", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub partial_value_type: String,
    /// For PartialValueStrategy: the fields; empty means `value.projection.list`.
    #[serde(rename = "document.id.strategy.partial.value.projection.list", default)]
    #[schemars(extend("x-group" = "Document ids", "x-importance" = "low"))]
    pub partial_value_list: String,

    /// What becomes of records that MongoDB or this connector refuses, whatever `errors.tolerance` says of the others: `none`
    /// fails the task, `all` and `data` pass them over. What passes by itself is tried again either way.
    #[serde(rename = "mongo.errors.tolerance", default)]
    #[schemars(extend("x-group" = "Errors"))]
    pub errors_tolerance: String,
    /// Accepted for the peer's sake; `errors.log.enable` decides.
    #[serde(rename = "mongo.errors.log.enable", default)]
    #[schemars(extend("x-group" = "Errors"))]
    pub errors_log: bool,

    /// Reads records as change events and repeats the changes: ChangeStreamHandler (MongoDB's change streams, with the
    /// package `….cdc.mongodb` or none), MongoDbHandler (Debezium for MongoDB until 1.x), `debezium.mongodb.ChangeStreamHandler`
    /// (since 2.0), RdbmsHandler, MysqlHandler and PostgresHandler (Debezium for relational databases), or
    /// `qlik.rdbms.RdbmsHandler`. Post processors and write model strategies do not apply then.
    #[serde(rename = "change.data.capture.handler", default)]
    #[schemars(extend("x-group" = "Change data capture", "x-importance" = "low", "x-class" = true))]
    pub cdc_handler: String,
    /// Whether the handler leaves out fields that are null.
    #[serde(rename = "change.data.capture.handler.remove.null.values", default)]
    #[schemars(extend("x-group" = "Change data capture", "x-importance" = "low"))]
    pub cdc_remove_nulls: bool,

    /// The top-level field with the time; when set, the collection is created as a time series.
    #[serde(rename = "timeseries.timefield", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub time_field: String,
    /// The top-level field that names the series.
    #[serde(rename = "timeseries.metafield", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub meta_field: String,
    /// After how many seconds measurements are deleted; 0 means never.
    #[serde(rename = "timeseries.expire.after.seconds", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"), range(min = 0))]
    pub expire_after_seconds: i64,
    /// How far measurements lie apart: `seconds`, `minutes` or `hours`; empty leaves it to the server.
    #[serde(rename = "timeseries.granularity", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub granularity: String,
    /// Whether numbers (milliseconds since the epoch) and texts in the time field become dates.
    #[serde(rename = "timeseries.timefield.auto.convert", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub auto_convert: bool,
    /// The form of such texts, a pattern of Java's `DateTimeFormatter`.
    #[serde(rename = "timeseries.timefield.auto.convert.date.format", default = "date_format")]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub date_format: String,
    /// The language of month and day names in such texts: only English and none.
    #[serde(rename = "timeseries.timefield.auto.convert.locale.language.tag", default)]
    #[schemars(extend("x-group" = "Time series", "x-importance" = "low"))]
    pub date_language: String,
}

fn namespace_mapper() -> String {
    "com.mongodb.kafka.connect.sink.namespace.mapping.DefaultNamespaceMapper".to_owned()
}

fn write_model() -> String {
    "com.mongodb.kafka.connect.sink.writemodel.strategy.DefaultWriteModelStrategy".to_owned()
}

fn delete_model() -> String {
    "com.mongodb.kafka.connect.sink.writemodel.strategy.DeleteOneDefaultStrategy".to_owned()
}

fn id_strategy() -> String {
    "com.mongodb.kafka.connect.sink.processor.id.strategy.BsonOidStrategy".to_owned()
}

fn post_processors() -> Vec<String> {
    vec!["com.mongodb.kafka.connect.sink.processor.DocumentIdAdder".to_owned()]
}

fn date_format() -> String {
    "yyyy-MM-dd[['T'][ ]][HH:mm:ss[[.][SSSSSS][SSS]][ ]VV[ ]'['VV']'][HH:mm:ss[[.][SSSSSS][SSS]][ ]X][HH:mm:ss[[.][SSSSSS][SSS]]]"
        .to_owned()
}

fn string() -> String {
    "string".to_owned()
}

fn none() -> String {
    "none".to_owned()
}

fn empty_list() -> String {
    "[]".to_owned()
}

fn yes() -> bool {
    true
}

impl Config for TopicConfig {}

/// `topic.override.<topic>.<key>` in two; topics may hold dots, so the longest key that can be set counts.
fn split<'a>(key: &'a str, def: &'a ConfigDef) -> Option<(&'a str, &'a str)> {
    let rest = key.strip_prefix(OVERRIDE_PREFIX)?;
    def.keys
        .iter()
        .filter_map(|known| Some((rest.strip_suffix(known.name.as_str())?.strip_suffix('.')?, known.name.as_str())))
        .filter(|(topic, _)| !topic.is_empty())
        .min_by_key(|(topic, _)| topic.len())
}

impl TopicConfig {
    /// The keys of each topic that has its own.
    pub(in crate::sink) fn overridden(&self, extra: &Flat, problems: &mut Vec<Problem>) -> BTreeMap<String, Self> {
        let def = definition::<Self>();
        let mut topics: BTreeMap<String, Flat> = BTreeMap::new();
        for (key, value) in extra.iter().filter(|(key, _)| key.starts_with(OVERRIDE_PREFIX)) {
            match split(key, &def) {
                Some((topic, name)) => {
                    topics.entry(topic.to_owned()).or_default().insert(name.to_owned(), value.clone());
                }
                None => problems.push(Problem::new(key, "no key that can be set per topic stands after the topic")),
            }
        }
        let mut overridden = BTreeMap::new();
        for (topic, own) in topics {
            let mut flat = self.flat();
            flat.extend(own);
            match parse::<Self>(&def, &flat) {
                Ok(config) => {
                    overridden.insert(topic, config);
                }
                Err(findings) => {
                    problems.extend(findings.errors.into_iter().map(|problem| {
                        Problem::new(format!("{OVERRIDE_PREFIX}{topic}.{}", problem.key), problem.message)
                    }))
                }
            }
        }
        overridden
    }

    /// These keys as text, as the user would write them.
    fn flat(&self) -> Flat {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(serde_json::Value::as_str).collect();
                items.join(",")
            }
            other => other.to_string(),
        };
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => {
                fields.into_iter().map(|(name, value)| (name, text(value))).collect()
            }
            _ => Flat::new(),
        }
    }
}
