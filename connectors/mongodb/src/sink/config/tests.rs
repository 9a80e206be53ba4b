use millrace_sdk::config::{definition, parse};

use super::*;
use crate::sink::settings::{IdStrategy, Side, TopicSettings, WriteModel};

fn flat(more: &[(&str, &str)]) -> Flat {
    let mut flat: Flat =
        [("connection.uri", "mongodb://user:hunter2@host:27017"), ("database", "analytics")].map(own).into();
    flat.extend(more.iter().copied().map(own));
    flat
}

fn own((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn problems(more: &[(&str, &str)]) -> Vec<Problem> {
    match parse::<SinkConfig>(&definition::<SinkConfig>(), &flat(more)) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.errors,
    }
}

fn settings(more: &[(&str, &str)]) -> Settings {
    Settings::resolve(&parse::<SinkConfig>(&definition::<SinkConfig>(), &flat(more)).unwrap()).unwrap()
}

/// The settings that a topic has with these keys, for the tests of other modules.
pub(in crate::sink) fn topic_settings(more: &[(&str, &str)]) -> TopicSettings {
    settings(more).of("t").clone()
}

#[test]
fn defaults_are_the_peers() {
    let base = settings(&[]);
    let topic = base.of("user-events");
    assert_eq!((&topic.id, topic.model), (&IdStrategy::BsonOid, WriteModel::Replace));
    assert!(topic.tombstone.is_none() && !topic.overwrite_existing_id && topic.is_direct());
    assert_eq!(topic.namespaces.fixed("user-events").to_string(), "analytics.user-events");
    let def = definition::<SinkConfig>();
    for (key, default) in [
        ("max.batch.size", "0"),
        ("collection", ""),
        ("delete.on.null.values", "false"),
        ("bulk.write.ordered", "true"),
        ("post.processor.chain", "com.mongodb.kafka.connect.sink.processor.DocumentIdAdder"),
    ] {
        assert_eq!(def.key(key).unwrap().default.as_deref(), Some(default), "{key}");
    }
    assert!(def.key("connection.uri").unwrap().required && def.key("database").unwrap().required);
    for key in ["connection.uri", "csfle.local.master.key", "connection.ssl.truststorePassword"] {
        assert_eq!(def.key(key).unwrap().kind.name(), "PASSWORD");
    }
}

#[test]
fn strategies_have_short_and_full_names() {
    for (name, strategy) in [
        ("FullKeyStrategy", IdStrategy::FullKey),
        (
            "com.mongodb.kafka.connect.sink.processor.id.strategy.ProvidedInKeyStrategy",
            IdStrategy::Provided { side: Side::Key, uuid: false },
        ),
        ("UuidProvidedInValueStrategy", IdStrategy::Provided { side: Side::Value, uuid: true }),
        ("com.mongodb.kafka.connect.sink.processor.id.strategy.UuidStrategy", IdStrategy::Uuid { binary: false }),
    ] {
        assert_eq!(topic_settings(&[("document.id.strategy", name)]).id, strategy);
    }
}

#[test]
fn topics_override_and_may_hold_dots() {
    let base = settings(&[
        ("topic.override.a.b.database.database", "other"),
        ("topic.override.a.document.id.strategy", "FullKeyStrategy"),
        ("topic.override.a.delete.on.null.values", "true"),
        ("topic.override.a.max.batch.size", "7"),
        ("topic.override.c.post.processor.chain", "KafkaMetaAdder,NullFieldValueRemover"),
        ("topic.override.c.mongo.errors.tolerance", "data"),
        ("mongo.errors.tolerance", "none"),
    ]);
    assert_eq!(base.of("a.b.database").namespaces.database, "other");
    let topic = base.of("a");
    assert_eq!((&topic.id, topic.tombstone.is_some(), topic.max_batch), (&IdStrategy::FullKey, true, 7));
    assert_eq!(base.of("b").id, IdStrategy::BsonOid);
    assert_eq!(base.of("c").chain.as_ref().map(Vec::len), Some(3), "ids come first");
    assert_eq!((base.of("c").tolerates, base.of("b").tolerates), (Some(true), Some(false)));
    let topics = ["b".to_owned()];
    let names: Vec<String> = base.known(&topics).map(|(topic, one)| one.namespaces.fixed(topic).to_string()).collect();
    assert!(["analytics.b", "other.a.b.database"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
}

#[test]
fn each_mistake_is_named_with_its_key() {
    for (key, value, said) in [
        ("connection.uri", "http://user:hunter2@host", "connection string"),
        ("connection.uri", "mongodb://user:hunter2@host/?w=hunter2x&readPreference=no", "connection string"),
        ("server.api.version", "2", "only 1"),
        ("server.api.strict", "true", "needs server.api.version"),
        ("mongo.custom.auth.mechanism.enable", "true", "Java class"),
        ("csfle.enabled", "true", "library"),
        ("database", "a b", "' '"),
        ("database", "", "no name"),
        ("collection", "system.users", "system."),
        ("collection", "a$b", "$"),
        ("namespace.mapper", "FieldPathNamespaceMapper", "field"),
        ("document.id.strategy", "FullKeyStrategi", "did you mean FullKeyStrategy?"),
        ("document.id.strategy", "PartialKeyStrategy", "AllowList"),
        ("writemodel.strategy", "org.example.Mine", "available are"),
        ("delete.on.null.values", "true", "FullKeyStrategy"),
        ("delete.writemodel.strategy", "DeleteOneBusinessKeyStrategy", "available are"),
        ("post.processor.chain", "DocumentIdAdder,Mine", "Mine"),
        ("field.renamer.mapping", "[{\"oldName\":1}]", "JSON"),
        ("key.projection.type", "some", "AllowList"),
        ("field.value.transformer", "org.example.Mask", "transform"),
        ("document.id.strategy.uuid.format", "hex", "neither"),
        ("change.data.capture.handler", "MyHandler", "available are"),
        ("timeseries.metafield", "m", "timeseries.timefield"),
        ("timeseries.granularity", "days", "hours"),
        ("max.batch.size", "-1", "at least 0"),
        ("mongo.errors.tolerance", "some", "none of"),
        ("topic.override.t.database", "a/b", "'/'"),
        ("topic.override.t.max.batch.size", "many", "Not a number"),
        ("topic.override.t.colection", "x", "can be set per topic"),
    ] {
        let mut keys = vec![(key, value)];
        keys.extend((key == "field.renamer.mapping").then_some(("post.processor.chain", "RenameByMapping")));
        let found = problems(&keys);
        assert_eq!(found.len(), 1, "{key}={value}: {found:?}");
        assert!(found[0].key == key || value == "PartialKeyStrategy", "{found:?}");
        assert!(found[0].message.contains(said), "{found:?}");
        assert!(!found[0].message.contains("hunter2"), "{found:?}");
    }
    assert_eq!(problems(&[("database", "a b"), ("topic.override.t.collection", "c"), ("collection", "a$b")]).len(), 2);
}

/// The rows of the table of keys: key, what is said of it, the words.
fn documented() -> Vec<(String, String, String)> {
    let text = include_str!("../../../../../docs/connectors/mongodb-sink.md");
    let table = text.split("## All keys").nth(1).unwrap().split("\n## ").next().unwrap();
    let cell = |cell: Option<&str>| cell.unwrap_or_default().trim().to_owned();
    table
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let mut cells = line.split(" | ");
            let key = cell(cells.next()).trim_end_matches('`').to_owned();
            (key, cell(cells.next()), cell(cells.next()).trim_end_matches(" |").to_owned())
        })
        .collect()
}

#[test]
fn the_table_of_keys_says_what_the_struct_does() {
    let def = definition::<SinkConfig>();
    let rows = documented();
    for key in &def.keys {
        let row = rows.iter().find(|row| row.0 == key.name);
        let (_, said, words) = row.unwrap_or_else(|| panic!("{} is not in the table", key.name));
        assert!(key.ignored.is_none() || (said == "explained" && words.contains("without effect")), "{}", key.name);
    }
    for (key, said, words) in &rows {
        assert!(def.knows(key), "{key} is in the table and not in the struct");
        assert!(["works", "explained", "refused"].contains(&said.as_str()), "{key}: {said}");
        assert!(said == "works" || !words.is_empty(), "{key} needs a reason");
        if said == "refused" {
            let value = if key.ends_with("enable") || key.ends_with("enabled") { "true" } else { "org.example.Mine" };
            assert!(problems(&[(key, value)]).iter().any(|problem| problem.key == *key), "{key} is refused");
        }
    }
}

#[test]
fn every_key_of_the_peer_is_known() {
    let def = definition::<SinkConfig>();
    for key in PEERS.split_whitespace() {
        assert!(def.knows(key), "{key}");
        assert!(documented().iter().any(|row| row.0 == key), "{key} is documented");
    }
}

/// The sink's keys in mongo-kafka 3.0.1, but for those of Connect's framework.
const PEERS: &str = "bulk.write.ordered change.data.capture.handler change.data.capture.handler.remove.null.values collection \
    connection.ssl.keystore connection.ssl.keystorePassword connection.ssl.truststore connection.ssl.truststorePassword \
    connection.uri csfle.bypass.query.analysis csfle.enabled csfle.key.vault.namespace csfle.local.master.key csfle.schema.map \
    database delete.on.null.values delete.writemodel.strategy document.id.strategy document.id.strategy.overwrite.existing \
    document.id.strategy.partial.key.projection.list document.id.strategy.partial.key.projection.type \
    document.id.strategy.partial.value.projection.list document.id.strategy.partial.value.projection.type \
    document.id.strategy.uuid.format field.renamer.mapping field.renamer.regexp field.value.transformer \
    field.value.transformer.fields key.projection.list key.projection.type max.batch.size mongo.custom.auth.mechanism.enable \
    mongo.custom.auth.mechanism.providerClass mongo.errors.log.enable mongo.errors.tolerance namespace.mapper \
    namespace.mapper.error.if.invalid namespace.mapper.key.collection.field namespace.mapper.key.database.field \
    namespace.mapper.value.collection.field namespace.mapper.value.database.field post.processor.chain provider \
    rate.limiting.every.n rate.limiting.timeout server.api.deprecation.errors server.api.strict server.api.version \
    timeseries.expire.after.seconds timeseries.granularity timeseries.metafield timeseries.timefield \
    timeseries.timefield.auto.convert timeseries.timefield.auto.convert.date.format \
    timeseries.timefield.auto.convert.locale.language.tag value.projection.list value.projection.type writemodel.strategy";
