//! Every configuration that both sides run.

use crate::records::Set;

/// A configuration.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) set: Set,
    pub(crate) keys: &'static [(&'static str, &'static str)],
    /// Whether `make test` runs it
    pub(crate) selected: bool,
}

const fn case(name: &'static str, set: Set, keys: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, set, keys, selected: false }
}

const fn selected(name: &'static str, set: Set, keys: &'static [(&'static str, &'static str)]) -> Case {
    Case { name, set, keys, selected: true }
}

macro_rules! id {
    ($name:literal) => {
        ("document.id.strategy", concat!("com.mongodb.kafka.connect.sink.processor.id.strategy.", $name, "Strategy"))
    };
}
macro_rules! model {
    ($name:literal) => {
        ("writemodel.strategy", concat!("com.mongodb.kafka.connect.sink.writemodel.strategy.", $name, "Strategy"))
    };
}
macro_rules! chain {
    ($($name:literal),+) => {
        ("post.processor.chain", chain!(@ "", $($name),+))
    };
    (@ $before:expr, $name:literal) => { concat!($before, "com.mongodb.kafka.connect.sink.processor.", $name) };
    (@ $before:expr, $name:literal, $($rest:literal),+) => {
        chain!(@ concat!($before, "com.mongodb.kafka.connect.sink.processor.", $name, ","), $($rest),+)
    };
}
macro_rules! cdc {
    ($name:literal) => {
        ("change.data.capture.handler", concat!("com.mongodb.kafka.connect.sink.cdc.", $name))
    };
}

const OVERWRITE: (&str, &str) = ("document.id.strategy.overwrite.existing", "true");
const DELETES: (&str, &str) = ("delete.on.null.values", "true");
const BY_TOMBSTONE: (&str, &str) = (
    "delete.writemodel.strategy",
    "com.mongodb.kafka.connect.sink.writemodel.strategy.DeleteOneTombstoneBusinessKeyStrategy",
);
const BY_FIELD: (&str, &str) =
    ("namespace.mapper", "com.mongodb.kafka.connect.sink.namespace.mapping.FieldPathNamespaceMapper");
const ALL: (&str, &str) = ("errors.tolerance", "all");
const UNORDERED: (&str, &str) = ("bulk.write.ordered", "false");
const KEY_TYPE: &str = "document.id.strategy.partial.key.projection.type";
const KEY_LIST: &str = "document.id.strategy.partial.key.projection.list";
const VALUE_TYPE: &str = "document.id.strategy.partial.value.projection.type";
const VALUE_LIST: &str = "document.id.strategy.partial.value.projection.list";
const KEYS: &str = "key.projection.list";
const VALUES: &str = "value.projection.list";

pub(crate) const CASES: &[Case] = &[
    // Ids
    selected("id-object-id", Set::Plain, &[]),
    case("id-kafka", Set::Plain, &[id!("KafkaMetaData")]),
    case("id-uuid", Set::Plain, &[id!("Uuid")]),
    case("id-uuid-binary", Set::Plain, &[id!("Uuid"), ("document.id.strategy.uuid.format", "binary")]),
    case("id-full-key", Set::Plain, &[id!("FullKey")]),
    selected("id-partial-key", Set::Plain, &[id!("PartialKey"), (KEY_TYPE, "AllowList"), (KEY_LIST, "k,x.y.z")]),
    case("id-partial-key-block", Set::Plain, &[id!("PartialKey"), (KEY_TYPE, "BlockList"), (KEY_LIST, "region,x.y.w")]),
    case("id-partial-value", Set::Plain, &[id!("PartialValue"), (VALUE_TYPE, "AllowList"), (VALUE_LIST, "a,c.d")]),
    case(
        "id-partial-of-projection",
        Set::Plain,
        &[id!("PartialValue"), ("value.projection.type", "blocklist"), (VALUES, "c,l,b")],
    ),
    case("id-in-key", Set::Ids, &[id!("ProvidedInKey")]),
    selected("id-in-key-overwrite", Set::Ids, &[id!("ProvidedInKey"), OVERWRITE]),
    case("id-in-value", Set::Ids, &[id!("ProvidedInValue")]),
    case("id-of-values", Set::Ids, &[id!("KafkaMetaData")]),
    case("id-of-values-overwritten", Set::Ids, &[id!("KafkaMetaData"), OVERWRITE]),
    case("id-uuid-in-key", Set::Uuids, &[id!("UuidProvidedInKey"), OVERWRITE]),
    selected("id-uuid-in-value", Set::Uuids, &[id!("UuidProvidedInValue"), OVERWRITE]),
    case("id-uuid-in-value-kept", Set::Uuids, &[id!("UuidProvidedInValue")]),
    // Write models
    case("model-insert", Set::Changes, &[id!("KafkaMetaData"), model!("InsertOneDefault")]),
    selected("model-replace", Set::Changes, &[id!("FullKey"), model!("ReplaceOneDefault")]),
    case("model-update", Set::Changes, &[id!("FullKey"), model!("UpdateOneDefault")]),
    case("model-timestamps", Set::Changes, &[id!("FullKey"), model!("UpdateOneTimestamps")]),
    case("model-delete", Set::Changes, &[id!("FullKey"), model!("DeleteOneDefault")]),
    selected(
        "model-replace-business",
        Set::Changes,
        &[id!("PartialValue"), (VALUE_TYPE, "AllowList"), (VALUE_LIST, "sku"), model!("ReplaceOneBusinessKey")],
    ),
    case(
        "model-update-business",
        Set::Changes,
        &[id!("PartialValue"), (VALUE_TYPE, "AllowList"), (VALUE_LIST, "sku"), model!("UpdateOneBusinessKeyTimestamp")],
    ),
    case(
        "model-delete-business",
        Set::Changes,
        &[id!("PartialValue"), (VALUE_TYPE, "AllowList"), (VALUE_LIST, "sku"), model!("DeleteOneBusinessKey")],
    ),
    case(
        "model-replace-nested-business",
        Set::Plain,
        &[
            id!("PartialValue"),
            (VALUE_TYPE, "AllowList"),
            (VALUE_LIST, "a,at.place,nested.deep.my"),
            model!("ReplaceOneBusinessKey"),
        ],
    ),
    case(
        "model-update-nested-business",
        Set::Plain,
        &[id!("PartialKey"), (KEY_TYPE, "AllowList"), (KEY_LIST, "k,x.y.z"), model!("UpdateOneBusinessKeyTimestamp")],
    ),
    selected(
        "model-business-of-id",
        Set::Ids,
        &[
            id!("FullKey"),
            OVERWRITE,
            model!("ReplaceOneBusinessKey"),
            chain!("DocumentIdAdder", "BlockListKeyProjector"),
            (KEYS, "_id"),
        ],
    ),
    case(
        "model-business-some-fields",
        Set::Business,
        &[id!("PartialValue"), (VALUE_TYPE, "AllowList"), (VALUE_LIST, "a,b"), model!("ReplaceOneBusinessKey")],
    ),
    case(
        "model-business-blocked-fields",
        Set::Business,
        &[id!("PartialValue"), (VALUE_TYPE, "BlockList"), (VALUE_LIST, "n"), model!("UpdateOneBusinessKeyTimestamp")],
    ),
    // Deletions
    selected("delete-full-key", Set::Tombstones, &[id!("FullKey"), DELETES]),
    case(
        "delete-partial-key",
        Set::Tombstones,
        &[id!("PartialKey"), (KEY_TYPE, "AllowList"), (KEY_LIST, "k"), DELETES],
    ),
    case(
        "delete-business",
        Set::Tombstones,
        &[
            id!("PartialKey"),
            (KEY_TYPE, "AllowList"),
            (KEY_LIST, "k,v.w"),
            DELETES,
            model!("ReplaceOneBusinessKey"),
            BY_TOMBSTONE,
        ],
    ),
    case("null-values-fail", Set::Tombstones, &[id!("FullKey")]),
    case("null-values-tolerated", Set::Tombstones, &[id!("FullKey"), ALL]),
    case("delete-then-batches-of-one", Set::Tombstones, &[id!("FullKey"), DELETES, ("max.batch.size", "1")]),
    // Post processors
    selected(
        "chain-all",
        Set::Plain,
        &[
            id!("FullKey"),
            chain!(
                "DocumentIdAdder",
                "BlockListValueProjector",
                "KafkaMetaAdder",
                "field.renaming.RenameByMapping",
                "field.renaming.RenameByRegExp",
                "NullFieldValueRemover"
            ),
            (VALUES, "empty,l.m"),
            (
                "field.renamer.mapping",
                r#"[{"oldName":"value.a","newName":"alpha"},{"oldName":"key.k","newName":"number"}]"#,
            ),
            ("field.renamer.regexp", r#"[{"regexp":"^value\\..*my.*$","pattern":"my_?","replace":"our$0"}]"#),
        ],
    ),
    case("chain-without-ids", Set::Plain, &[id!("KafkaMetaData"), chain!("KafkaMetaAdder")]),
    case(
        "chain-ids-last",
        Set::Plain,
        &[
            id!("PartialValue"),
            (VALUE_TYPE, "AllowList"),
            (VALUE_LIST, "a"),
            chain!("AllowListValueProjector", "DocumentIdAdder"),
            (VALUES, "a,b"),
        ],
    ),
    case("chain-nulls", Set::Plain, &[id!("FullKey"), chain!("DocumentIdAdder", "NullFieldValueRemover")]),
    case(
        "chain-key-projected",
        Set::Plain,
        &[id!("FullKey"), chain!("DocumentIdAdder", "BlockListKeyProjector"), (KEYS, "region")],
    ),
    case(
        "chain-key-projected-first",
        Set::Plain,
        &[id!("FullKey"), chain!("AllowListKeyProjector", "DocumentIdAdder"), (KEYS, "k")],
    ),
    case(
        "project-allow",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "AllowListValueProjector"), (VALUES, "_id,a,c.d.e,l.m")],
    ),
    case(
        "project-allow-star",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "AllowListValueProjector"), (VALUES, "_id,c.*,nested.*.my")],
    ),
    case(
        "project-allow-stars",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "AllowListValueProjector"), (VALUES, "_id,c.**,l.**")],
    ),
    case(
        "project-allow-prefix",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "AllowListValueProjector"), (VALUES, "_id,my*,n*,with*")],
    ),
    case(
        "project-allow-all",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "AllowListValueProjector"), (VALUES, "**")],
    ),
    case(
        "project-block",
        Set::Plain,
        &[
            id!("KafkaMetaData"),
            chain!("DocumentIdAdder", "BlockListValueProjector"),
            (VALUES, "a,c.d,l.n,nested.deep.my"),
        ],
    ),
    case(
        "project-block-star",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("BlockListValueProjector", "DocumentIdAdder"), (VALUES, "*")],
    ),
    case(
        "project-block-star-below",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("BlockListValueProjector", "DocumentIdAdder"), (VALUES, "c.*,nested.*.my")],
    ),
    case(
        "project-block-stars",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("BlockListValueProjector", "DocumentIdAdder"), (VALUES, "c.**,nested.**")],
    ),
    case(
        "project-block-prefix",
        Set::Plain,
        &[id!("KafkaMetaData"), chain!("BlockListValueProjector", "DocumentIdAdder"), (VALUES, "my*,co*")],
    ),
    case(
        "rename-mapping",
        Set::Plain,
        &[
            id!("KafkaMetaData"),
            chain!("DocumentIdAdder", "field.renaming.RenameByMapping"),
            (
                "field.renamer.mapping",
                r#"[{"oldName":"value.c","newName":"cc"},{"oldName":"value.cc.d","newName":"dd"},{"oldName":"value.l","newName":"list"}]"#,
            ),
        ],
    ),
    case(
        "rename-regexp",
        Set::Plain,
        &[
            id!("KafkaMetaData"),
            chain!("DocumentIdAdder", "field.renaming.RenameByRegExp"),
            (
                "field.renamer.regexp",
                r#"[{"regexp":"^value\\.with.*$","pattern":"\\.","replace":"_"},{"regexp":".*","pattern":"^(.)$","replace":"_$1"}]"#,
            ),
        ],
    ),
    // Namespaces
    selected(
        "namespace-by-field",
        Set::Plain,
        &[BY_FIELD, id!("KafkaMetaData"), ("namespace.mapper.value.collection.field", "coll")],
    ),
    case(
        "namespace-by-key",
        Set::Plain,
        &[BY_FIELD, id!("KafkaMetaData"), ("namespace.mapper.key.collection.field", "region")],
    ),
    case(
        "namespace-strict",
        Set::Plain,
        &[
            BY_FIELD,
            id!("KafkaMetaData"),
            ("namespace.mapper.value.collection.field", "coll"),
            ("namespace.mapper.error.if.invalid", "true"),
            ALL,
            UNORDERED,
        ],
    ),
    case(
        "topic-override",
        Set::Changes,
        &[
            id!("KafkaMetaData"),
            ("topic.override.<topic>.collection", "other"),
            (
                "topic.override.<topic>.document.id.strategy",
                "com.mongodb.kafka.connect.sink.processor.id.strategy.FullKeyStrategy",
            ),
            ("topic.override.<topic>.max.batch.size", "2"),
        ],
    ),
    // Types
    selected("types-schemas", Set::Typed, &[id!("KafkaMetaData")]),
    case("types-schemas-by-tree", Set::Typed, &[id!("KafkaMetaData"), chain!("DocumentIdAdder", "KafkaMetaAdder")]),
    selected("types-extended", Set::Extended, &[id!("ProvidedInValue")]),
    case(
        "types-extended-by-tree",
        Set::Extended,
        &[id!("ProvidedInKey"), OVERWRITE, chain!("DocumentIdAdder", "KafkaMetaAdder")],
    ),
    case(
        "types-flattened",
        Set::Plain,
        &[
            id!("KafkaMetaData"),
            ("transforms", "f"),
            ("transforms.f.type", "org.apache.kafka.connect.transforms.Flatten$Value"),
            ("transforms.f.delimiter", "_"),
        ],
    ),
    selected("types-bson", Set::Bson, &[id!("ProvidedInKey"), OVERWRITE]),
    case("types-bson-as-it-is", Set::Bson, &[id!("ProvidedInValue"), model!("InsertOneDefault")]),
    case("types-bson-by-tree", Set::Bson, &[id!("FullKey"), OVERWRITE, chain!("DocumentIdAdder", "KafkaMetaAdder")]),
    // Time series
    selected(
        "series",
        Set::Series,
        &[
            id!("KafkaMetaData"),
            ("timeseries.timefield", "at"),
            ("timeseries.metafield", "sensor"),
            ("timeseries.granularity", "hours"),
            ("timeseries.expire.after.seconds", "100000000"),
            ("timeseries.timefield.auto.convert", "true"),
            ALL,
            UNORDERED,
        ],
    ),
    case(
        "series-format",
        Set::Series,
        &[
            id!("KafkaMetaData"),
            ("timeseries.timefield", "at"),
            ("timeseries.timefield.auto.convert", "true"),
            ("timeseries.timefield.auto.convert.date.format", "yyyy-MM-dd[ HH:mm:ss.SSS]"),
            ALL,
            UNORDERED,
        ],
    ),
    // Errors
    case("poison-fails", Set::Poison, &[id!("FullKey")]),
    // In batches of one; of larger ones the peer gives up all records for the sake of one key.
    selected("poison-tolerated", Set::Poison, &[id!("FullKey"), ALL, ("max.batch.size", "1")]),
    case("poison-values-tolerated", Set::Poison, &[id!("KafkaMetaData"), ALL]),
    case("poison-data", Set::Poison, &[id!("KafkaMetaData"), ("mongo.errors.tolerance", "data"), ALL]),
    case("poison-not-tolerated", Set::Poison, &[id!("FullKey"), ("mongo.errors.tolerance", "none"), ALL]),
    case(
        "duplicates-tolerated",
        Set::Changes,
        &[
            id!("PartialValue"),
            (VALUE_TYPE, "AllowList"),
            (VALUE_LIST, "sku"),
            model!("InsertOneDefault"),
            ALL,
            UNORDERED,
        ],
    ),
    case("duplicates-fail", Set::Changes, &[id!("FullKey"), model!("InsertOneDefault")]),
    // Change events
    selected("cdc-change-stream", Set::ChangeStream, &[cdc!("mongodb.ChangeStreamHandler")]),
    case(
        "cdc-change-stream-batches",
        Set::ChangeStream,
        &[cdc!("mongodb.ChangeStreamHandler"), ("max.batch.size", "1")],
    ),
    case("cdc-debezium-oplog", Set::DebeziumOplog, &[cdc!("debezium.mongodb.MongoDbHandler")]),
    case("cdc-debezium-mongodb", Set::DebeziumMongo, &[cdc!("debezium.mongodb.ChangeStreamHandler")]),
    selected("cdc-debezium-rows", Set::DebeziumRows, &[cdc!("debezium.rdbms.RdbmsHandler")]),
    case("cdc-debezium-mysql", Set::DebeziumRows, &[cdc!("debezium.rdbms.mysql.MysqlHandler")]),
    case("cdc-debezium-postgres", Set::DebeziumRows, &[cdc!("debezium.rdbms.postgres.PostgresHandler")]),
    case("cdc-debezium-keyless", Set::DebeziumKeyless, &[cdc!("debezium.rdbms.RdbmsHandler")]),
    case("cdc-qlik", Set::Qlik, &[cdc!("qlik.rdbms.RdbmsHandler"), ALL]),
];
