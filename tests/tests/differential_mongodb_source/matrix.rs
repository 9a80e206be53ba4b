//! Every configuration that both sides run.

use serde_json::Value;

use crate::databases::{Set, WARM};
use crate::topics::Arrived;

/// Where a source begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Before anything happened: both sides read the same events of the oplog
    Time,
    /// With a copy of what is there, which comes to so many records at least
    Copy(usize),
    /// With what happens from now on
    Latest,
}

/// A configuration.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) set: Set,
    pub(crate) start: Start,
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// What is in the last record, if it is not the last document's `_id`
    pub(crate) last: Option<&'static str>,
    /// The name of a difference that is meant; the sides must differ then
    pub(crate) intended: Option<&'static str>,
    /// Whether `make test` runs it
    pub(crate) selected: bool,
}

const fn case(name: &'static str, set: Set, keys: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, set, start: Start::Time, keys, last: None, intended: None, selected: false }
}

const fn copy(name: &'static str, set: Set, count: usize, keys: &'static [(&'static str, &'static str)]) -> Case {
    Case { start: Start::Copy(count), ..case(name, set, keys) }
}

impl Case {
    const fn selected(self) -> Self {
        Self { selected: true, ..self }
    }

    const fn until(self, last: &'static str) -> Self {
        Self { last: Some(last), ..self }
    }

    const fn latest(self) -> Self {
        Self { start: Start::Latest, ..self }
    }

    const fn differs(self, name: &'static str) -> Self {
        Self { intended: Some(name), ..self }
    }

    /// Records of a topic as they are compared.
    pub(crate) fn normal(&self, mut records: Vec<Arrived>) -> Vec<Arrived> {
        let of_connect = |part: &str| self.keys.contains(&(part, JSON));
        for record in &mut records {
            // How a converter spells JSON is its own; what the connector prints is compared letter by letter.
            record.key = record.key.take().map(|key| if of_connect("key.converter") { by_value(key) } else { key });
            record.value =
                record.value.take().map(|value| if of_connect("value.converter") { by_value(value) } else { value });
        }
        if self.start == Start::Latest {
            let within =
                |bytes: &Option<Vec<u8>>| bytes.as_deref().is_some_and(|b| String::from_utf8_lossy(b).contains(WARM));
            records.retain(|record| !within(&record.key) && !within(&record.value));
        }
        if self.name.starts_with("heartbeat") {
            // How many there are, and where the stream is then, is a matter of time.
            for record in &mut records {
                let token = record.key.as_deref().is_some_and(|key| key.starts_with(br#"{"_data": "82"#));
                record.key = if token { Some(b"a token".to_vec()) } else { record.key.take() };
            }
            records.dedup();
        }
        if matches!(self.start, Start::Copy(_)) {
            records.sort();
        }
        records
    }
}

fn by_value(bytes: Vec<u8>) -> Vec<u8> {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
                fields.sort_by(|a, b| a.0.cmp(&b.0));
                Value::Object(fields.into_iter().collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    serde_json::from_slice(&bytes).map_or(bytes, |value: Value| sorted(value).to_string().into_bytes())
}

macro_rules! formatter {
    ($name:literal) => {
        ("output.json.formatter", concat!("com.mongodb.kafka.connect.source.json.formatter.", $name))
    };
}

const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const BYTES: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const ALONE: (&str, &str) = ("publish.full.document.only", "true");
const TOMBSTONES: (&str, &str) = ("publish.full.document.only.tombstone.on.delete", "true");
const BSON_KEY: (&str, &str) = ("output.format.key", "bson");
const BSON: (&str, &str) = ("output.format.value", "bson");
const KEY_BYTES: (&str, &str) = ("key.converter", BYTES);
const VALUE_BYTES: (&str, &str) = ("value.converter", BYTES);
const SCHEMA_KEY: (&str, &str) = ("output.format.key", "schema");
const SCHEMA: (&str, &str) = ("output.format.value", "schema");
const KEY_JSON: (&str, &str) = ("key.converter", JSON);
const VALUE_JSON: (&str, &str) = ("value.converter", JSON);
const INFER: (&str, &str) = ("output.schema.infer.value", "true");
const LOOK_UP: (&str, &str) = ("change.stream.full.document", "updateLookup");
const DATABASE: (&str, &str) = ("collection", "");
const EXPANDED: (&str, &str) = ("change.stream.show.expanded.events", "true");
const SKIP: (&str, &str) = ("mongo.errors.tolerance", "all");
const NAMESPACES: &str = "topic.namespace.map";
const COPY_REGEX: &str = "startup.mode.copy.existing.namespace.regex";
const COPY_PIPELINE: &str = "startup.mode.copy.existing.pipeline";

/// Of the documents of `Set::Changes` and `Set::Mixed`; fields that are missing have a default or may be null.
const ITEM: (&str, &str) = (
    "output.schema.value",
    r#"{"type": "record", "name": "item", "namespace": "shop", "fields": [
        {"name": "_id", "type": "string"}, {"name": "n", "type": "double"},
        {"name": "name", "type": ["null", "string"]}, {"name": "at.x", "type": ["null", "int"]},
        {"name": "tags", "type": [{"type": "array", "items": "string"}, "null"]},
        {"name": "kind", "type": "string", "default": "none"}]}"#,
);
/// What few documents of `Set::Mixed` fit.
const STRICT: (&str, &str) = (
    "output.schema.value",
    r#"{"type": "record", "name": "item", "fields": [{"name": "n", "type": "long"}, {"name": "list", "type": {"type": "array", "items": "int"}}]}"#,
);
const LAST_FITS: (&str, &str) = (
    "output.schema.value",
    r#"{"type": "record", "name": "item", "fields": [{"name": "_id", "type": "string"}, {"name": "n", "type": "long"}, {"name": "name", "type": ["null", "long"]}]}"#,
);
/// Of events, with paths.
const EVENT: (&str, &str) = (
    "output.schema.value",
    r#"{"type": "record", "name": "event", "fields": [
        {"name": "operationType", "type": "string"}, {"name": "ns.coll", "type": "string"},
        {"name": "documentKey", "type": {"type": "map", "values": "string"}}, {"name": "clusterTime", "type": "long"},
        {"name": "updateDescription.updatedFields", "type": ["null", "string"]},
        {"name": "fullDocument", "type": [{"type": "record", "name": "doc", "fields": [
            {"name": "name", "type": ["null", "string"]}, {"name": "n", "type": ["null", "double"]}]}, "null"]}]}"#,
);
const EVENT_KEY: (&str, &str) = (
    "output.schema.key",
    r#"{"type": "record", "name": "key", "fields": [{"name": "documentKey._id", "type": "string"}, {"name": "operationType", "type": "string"}]}"#,
);
/// The peer's default as 2.x has it: `wallTime` came with 3.0.
const DEFAULT: (&str, &str) = ("output.schema.value", "<default>");
const LOGICAL: (&str, &str) = (
    "output.schema.value",
    r#"{"type": "record", "name": "typed", "fields": [
        {"name": "_id", "type": "string"}, {"name": "v", "type": ["null", "string"]},
        {"name": "list", "type": [{"type": "array", "items": "string"}, "null"]}, {"name": "in", "type": ["null", "bytes"]}]}"#,
);

#[rustfmt::skip] // one after the other
pub(crate) const CASES: &[Case] = &[
    // Formats and formatters
    case("json-default", Set::Changes, &[]).selected(),
    case("json-extended", Set::Changes, &[formatter!("ExtendedJson")]),
    case("json-simplified", Set::Changes, &[formatter!("SimplifiedJson")]),
    case("types-default", Set::Types, &[]).selected(),
    case("types-extended", Set::Types, &[formatter!("ExtendedJson")]).selected(),
    case("types-simplified", Set::Types, &[formatter!("SimplifiedJson")]).selected(),
    case("types-default-alone", Set::Types, &[ALONE]),
    case("types-simplified-alone", Set::Types, &[ALONE, formatter!("SimplifiedJson")]),
    case("types-bson", Set::Types, &[BSON, VALUE_BYTES, ALONE]),
    case("types-inferred", Set::Types, &[SCHEMA, VALUE_JSON, INFER, ALONE, SKIP]).selected(),
    case("types-inferred-simplified", Set::Types, &[SCHEMA, VALUE_JSON, INFER, ALONE, SKIP, formatter!("SimplifiedJson")]),
    case("types-schema", Set::Types, &[SCHEMA, VALUE_JSON, LOGICAL, ALONE, SKIP]),
    case("types-schema-extended", Set::Types, &[SCHEMA, VALUE_JSON, LOGICAL, ALONE, SKIP, formatter!("ExtendedJson")]),
    case("types-json-through-converter", Set::Types, &[KEY_JSON, VALUE_JSON]),
    case("bson-both", Set::Changes, &[BSON_KEY, KEY_BYTES, BSON, VALUE_BYTES]),
    case("bson-key", Set::Changes, &[BSON_KEY, KEY_BYTES]).selected(),
    case("bson-value", Set::Changes, &[BSON, VALUE_BYTES]),
    case("bson-alone", Set::Changes, &[BSON, VALUE_BYTES, ALONE, TOMBSTONES]),
    case("schema-both", Set::Changes, &[SCHEMA_KEY, KEY_JSON, SCHEMA, VALUE_JSON, DEFAULT]).selected(),
    case("schema-wall-time", Set::Changes, &[SCHEMA_KEY, KEY_JSON, SCHEMA, VALUE_JSON]).differs("differs-wall-time"),
    case("schema-key", Set::Changes, &[SCHEMA_KEY, KEY_JSON]),
    case("schema-of-key", Set::Mixed, &[SCHEMA_KEY, KEY_JSON, EVENT_KEY]),
    case("schema-value", Set::Changes, &[SCHEMA, VALUE_JSON, DEFAULT, LOOK_UP]),
    case("schema-value-extended", Set::Changes, &[SCHEMA, VALUE_JSON, DEFAULT, LOOK_UP, formatter!("ExtendedJson")]),
    case("schema-value-simplified", Set::Types, &[SCHEMA, VALUE_JSON, DEFAULT, formatter!("SimplifiedJson")]),
    case("schema-event", Set::Changes, &[SCHEMA, VALUE_JSON, EVENT, LOOK_UP]),
    case("schema-item", Set::Changes, &[SCHEMA, VALUE_JSON, ITEM, ALONE, TOMBSTONES]).selected(),
    case("schema-item-mixed", Set::Mixed, &[SCHEMA, VALUE_JSON, ITEM, ALONE, SKIP]),
    case("schema-infer", Set::Mixed, &[SCHEMA, VALUE_JSON, INFER, ALONE]).selected(),
    case("schema-infer-events", Set::Mixed, &[SCHEMA, VALUE_JSON, INFER]),
    case("schema-infer-changes", Set::Changes, &[SCHEMA, VALUE_JSON, INFER, LOOK_UP]),
    case("schema-infer-key", Set::Mixed, &[SCHEMA_KEY, KEY_JSON, SCHEMA, VALUE_JSON, INFER, ALONE]),
    // What is published
    case("alone", Set::Changes, &[ALONE]).selected(),
    case("alone-tombstones", Set::Changes, &[ALONE, TOMBSTONES]),
    case("tombstones-of-events", Set::Changes, &[TOMBSTONES]),
    case("token-as-key", Set::Changes, &[("change.stream.document.key.as.key", "false")]),
    case("token-as-key-bson", Set::Changes, &[("change.stream.document.key.as.key", "false"), BSON_KEY, KEY_BYTES]),
    case("full-default", Set::Changes, &[("change.stream.full.document", "default")]),
    case("full-lookup", Set::Changes, &[LOOK_UP]),
    case("full-available", Set::Changes, &[("change.stream.full.document", "whenAvailable")]),
    case("images-available", Set::Images, &[("change.stream.full.document", "whenAvailable"), ("change.stream.full.document.before.change", "whenAvailable")]).selected(),
    case("images-required", Set::Images, &[("change.stream.full.document", "required"), ("change.stream.full.document.before.change", "required")]),
    case("images-before", Set::Images, &[("change.stream.full.document.before.change", "required")]),
    case("images-off", Set::Images, &[("change.stream.full.document.before.change", "off")]),
    case("images-missing", Set::Changes, &[("change.stream.full.document.before.change", "whenAvailable")]),
    case("images-required-missing", Set::Changes, &[("change.stream.full.document", "required")]).differs("differs-missing-image"),
    // Pipelines
    case("pipeline-match", Set::Changes, &[("pipeline", r#"[{"$match": {"operationType": {"$in": ["insert", "delete"]}}}]"#)]).selected(),
    case("pipeline-shell", Set::Changes, &[("pipeline", "[{$match: {$or: [{'fullDocument.name': /^item|^new/}, {'fullDocument.n': NumberLong(1)}]}}, {$unset: 'fullDocument.tags'}]")]),
    case("pipeline-fields", Set::Changes, &[("pipeline", r#"[{"$project": {"fullDocument.at": 0, "wallTime": 0}}, {"$addFields": {"fullDocument.added": {"$numberLong": "7"}, "extra": ISODate("2020-01-01T00:00:00Z")}}]"#), ALONE]),
    case("pipeline-namespace", Set::Many, &[DATABASE, ("pipeline", r#"[{"$match": {"ns.coll": {"$in": ["items", "other"]}}}]"#)]),
    case("collation", Set::Changes, &[("collation", r#"{"locale": "en", "strength": 1}"#), ("pipeline", r#"[{"$match": {"operationType": "INSERT"}}]"#)]),
    case("batch-size", Set::Bulk, &[("batch.size", "7")]),
    case("poll-size", Set::Bulk, &[("poll.max.batch.size", "3"), ALONE]),
    case("bulk", Set::Bulk, &[ALONE, formatter!("SimplifiedJson")]),
    // Scopes and topics
    case("database", Set::Many, &[DATABASE]).selected(),
    case("deployment", Set::Many, &[DATABASE, ("database", ""), ("pipeline", r#"[{"$match": {"ns.db": "<db>"}}]"#)]).selected(),
    case("topic-prefix", Set::Many, &[DATABASE, ("topic.prefix", "pre")]),
    case("topic-suffix", Set::Many, &[DATABASE, ("topic.suffix", "suf"), ("topic.separator", "_")]),
    case("topic-all", Set::Many, &[DATABASE, ("topic.prefix", "pre"), ("topic.suffix", "suf"), ("topic.separator", "-")]),
    case("topic-map", Set::Many, &[DATABASE, (NAMESPACES, r#"{"<db>.items": "exact", "<db>": "database"}"#), ("topic.prefix", "p")]).selected(),
    case("topic-map-rest", Set::Many, &[DATABASE, (NAMESPACES, r#"{"<db>.items": "exact", "*": "rest"}"#)]),
    case("topic-map-regex", Set::Many, &[DATABASE, (NAMESPACES, r#"{"/<db>\\.(?:items|other)": "some{sep}{coll}", "/.*dots": "{db}{sep_coll_sep}x", "*": "rest"}"#), ("topic.separator", "_")]),
    // What collections go through
    case("definitions", Set::Definitions, &[DATABASE]).selected(),
    case("definitions-expanded", Set::Definitions, &[DATABASE, EXPANDED]),
    case("definitions-expanded-simplified", Set::Definitions, &[DATABASE, EXPANDED, formatter!("SimplifiedJson")]),
    case("definitions-alone", Set::Definitions, &[DATABASE, ALONE, TOMBSTONES]),
    case("definitions-inferred", Set::Definitions, &[DATABASE, SCHEMA, VALUE_JSON, INFER]),
    case("dropped", Set::Dropped, &[]).until("\"drop\"").differs("differs-dropped"),
    case("dropped-of-database", Set::Dropped, &[DATABASE]).until("\"drop\""),
    case("renamed", Set::Renamed, &[]).until("\"rename\"").differs("differs-dropped"),
    case("renamed-of-database", Set::Renamed, &[DATABASE]).until("\"rename\""),
    // Where it begins
    copy("copy", Set::Mixed, 12, &[]).selected(),
    copy("copy-deprecated", Set::Mixed, 12, &[("startup.mode", ""), ("copy.existing", "true")]),
    copy("copy-alone", Set::Mixed, 12, &[ALONE, formatter!("ExtendedJson")]),
    copy("copy-types", Set::Types, 75, &[formatter!("SimplifiedJson")]),
    copy("copy-bson", Set::Mixed, 12, &[ALONE, BSON_KEY, KEY_BYTES, BSON, VALUE_BYTES]),
    copy("copy-schema", Set::Mixed, 12, &[SCHEMA_KEY, KEY_JSON, SCHEMA, VALUE_JSON, DEFAULT]),
    copy("copy-inferred", Set::Mixed, 12, &[SCHEMA, VALUE_JSON, INFER, ALONE]),
    copy("copy-database", Set::Many, 11, &[DATABASE]).selected(),
    copy("copy-regex", Set::Many, 5, &[DATABASE, (COPY_REGEX, r".*\.(items|other)$")]),
    copy("copy-deployment", Set::Many, 11, &[DATABASE, ("database", ""), (COPY_REGEX, r"<db>\."), ("pipeline", r#"[{"$match": {"ns.db": "<db>"}}]"#)]),
    copy("copy-pipeline", Set::Mixed, 8, &[(COPY_PIPELINE, r#"[{"$match": {"n": {"$gt": 3}}}, {"$unset": "docs"}]"#), ("startup.mode.copy.existing.allow.disk.use", "false")]),
    copy("copy-both-pipelines", Set::Mixed, 8, &[(COPY_PIPELINE, r#"[{"$match": {"n": {"$gt": 3}}}]"#), ("pipeline", r#"[{"$addFields": {"fullDocument.more": 1}}]"#), ALONE]),
    copy("copy-threads", Set::Bulk, 2501, &[ALONE, ("startup.mode.copy.existing.max.threads", "4"), ("startup.mode.copy.existing.queue.size", "100"), ("poll.max.batch.size", "50")]),
    case("latest", Set::Changes, &[]).latest().selected(),
    // Nothing changes twice: what is looked up while it happens depends on the moment.
    case("latest-alone", Set::Types, &[ALONE, ("startup.mode", "latest")]).latest(),
    case("latest-dropped", Set::Dropped, &[("startup.mode", "latest")]).latest().until("\"drop\""),
    // What does not fit
    case("misfit-default", Set::Mixed, &[SCHEMA, VALUE_JSON, STRICT, ALONE]),
    case("misfit-none", Set::Mixed, &[SCHEMA, VALUE_JSON, STRICT, ALONE, ("mongo.errors.tolerance", "none")]),
    case("misfit-skipped", Set::Mixed, &[SCHEMA, VALUE_JSON, LAST_FITS, ALONE, SKIP]),
    case("misfit-logged", Set::Mixed, &[SCHEMA, VALUE_JSON, LAST_FITS, ALONE, SKIP, ("mongo.errors.log.enable", "true")]),
    case("misfit-kept", Set::Mixed, &[SCHEMA, VALUE_JSON, LAST_FITS, ALONE, SKIP, ("mongo.errors.deadletterqueue.topic.name", "letters")]).selected(),
    case("misfit-kept-extended", Set::Mixed, &[SCHEMA, VALUE_JSON, LAST_FITS, ALONE, SKIP, formatter!("ExtendedJson"), ("mongo.errors.deadletterqueue.topic.name", "letters")]),
    case("misfit-framework", Set::Mixed, &[SCHEMA, VALUE_JSON, LAST_FITS, ALONE, ("errors.tolerance", "all")]),
    // Heartbeats
    case("heartbeat", Set::Changes, &[ALONE, ("heartbeat.interval.ms", "300")]).until("{\"_data\": \"82"),
    case("heartbeat-topic", Set::Changes, &[ALONE, ("heartbeat.interval.ms", "300"), ("heartbeat.topic.name", "beats"), ("topic.prefix", "p")]).until("{\"_data\": \"82"),
    // Refused
    case("refused-avro", Set::Changes, &[SCHEMA, ("output.schema.value", r#"{"type": "record", "name": "r", "fields": [{"name": "f", "type": ["int", "string"]}]}"#)]),
    case("refused-pipeline", Set::Changes, &[("pipeline", "[{\"$match\": ")]),
    case("refused-map", Set::Changes, &[(NAMESPACES, r#"{"a": 1}"#)]),
    case("refused-format", Set::Changes, &[("output.format.value", "xml")]),
    case("refused-full-document", Set::Changes, &[("change.stream.full.document", "sometimes")]),
];
