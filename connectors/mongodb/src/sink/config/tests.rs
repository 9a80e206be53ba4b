use millrace_sdk::config::{definition, parse};

use super::*;
use crate::sink::settings::{IdStrategy, WriteModel};

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

#[test]
fn defaults_are_the_peers() {
    let base = settings(&[]);
    let topic = base.of("user-events");
    assert_eq!((topic.id, topic.model), (IdStrategy::BsonOid, WriteModel::Replace));
    assert!(!topic.delete_on_null && !topic.overwrite_existing_id);
    assert_eq!(topic.namespace("user-events").to_string(), "analytics.user-events");
    let def = definition::<SinkConfig>();
    for (key, default) in [
        ("max.batch.size", "0"),
        ("collection", ""),
        ("delete.on.null.values", "false"),
        ("post.processor.chain", "com.mongodb.kafka.connect.sink.processor.DocumentIdAdder"),
    ] {
        assert_eq!(def.key(key).unwrap().default.as_deref(), Some(default), "{key}");
    }
    assert!(def.key("connection.uri").unwrap().required && def.key("database").unwrap().required);
    assert_eq!(def.key("connection.uri").unwrap().kind.name(), "PASSWORD");
}

#[test]
fn strategies_have_short_and_full_names() {
    for (name, strategy) in [
        ("FullKeyStrategy", IdStrategy::FullKey),
        ("com.mongodb.kafka.connect.sink.processor.id.strategy.ProvidedInKeyStrategy", IdStrategy::ProvidedInKey),
        ("com.mongodb.kafka.connect.sink.processor.id.strategy.UuidStrategy", IdStrategy::Uuid),
    ] {
        assert_eq!(settings(&[("document.id.strategy", name)]).of("t").id, strategy);
    }
}

#[test]
fn topics_override_and_may_hold_dots() {
    let base = settings(&[
        ("topic.override.a.b.database.database", "other"),
        ("topic.override.a.document.id.strategy", "FullKeyStrategy"),
        ("topic.override.a.delete.on.null.values", "true"),
        ("topic.override.a.max.batch.size", "7"),
    ]);
    assert_eq!(base.of("a.b.database").database, "other");
    let topic = base.of("a");
    assert_eq!((topic.id, topic.delete_on_null, topic.max_batch), (IdStrategy::FullKey, true, 7));
    assert_eq!(base.of("b").id, IdStrategy::BsonOid);
    let names = base.namespaces(&["b".to_owned()]);
    assert!(names.contains(&("analytics".to_owned(), "b".to_owned())), "{names:?}");
    assert!(names.contains(&("other".to_owned(), "a.b.database".to_owned())), "{names:?}");
}

#[test]
fn each_mistake_is_named_with_its_key() {
    for (key, value, said) in [
        ("connection.uri", "http://user:hunter2@host", "connection string"),
        ("connection.uri", "mongodb://user:hunter2@host/?w=hunter2x&readPreference=no", "connection string"),
        ("database", "a b", "' '"),
        ("database", "", "no name"),
        ("collection", "system.users", "system."),
        ("collection", "a$b", "$"),
        ("document.id.strategy", "FullKeyStrategi", "did you mean FullKeyStrategy?"),
        ("document.id.strategy", "PartialKeyStrategy", "not available yet"),
        ("writemodel.strategy", "ReplaceOneBusinessKeyStrategy", "not available yet"),
        ("writemodel.strategy", "org.example.Mine", "no strategy"),
        ("delete.on.null.values", "true", "FullKeyStrategy"),
        ("delete.writemodel.strategy", "DeleteOneBusinessKeyStrategy", "not available yet"),
        ("post.processor.chain", "DocumentIdAdder,KafkaMetaAdder", "KafkaMetaAdder"),
        ("document.id.strategy.uuid.format", "hex", "neither"),
        (
            "change.data.capture.handler",
            "com.mongodb.kafka.connect.sink.cdc.mongodb.ChangeStreamHandler",
            "not available yet",
        ),
        ("timeseries.timefield", "ts", "not available yet"),
        ("max.batch.size", "-1", "at least 0"),
        ("topic.override.t.database", "a/b", "'/'"),
        ("topic.override.t.max.batch.size", "many", "Not a number"),
        ("topic.override.t.colection", "x", "can be set per topic"),
    ] {
        let found = problems(&[(key, value)]);
        assert_eq!(found.len(), 1, "{key}={value}: {found:?}");
        assert_eq!(found[0].key, key);
        assert!(found[0].message.contains(said), "{found:?}");
        assert!(!found[0].message.contains("hunter2"), "{found:?}");
    }
    assert_eq!(problems(&[("database", "a b"), ("topic.override.t.collection", "c"), ("collection", "a$b")]).len(), 2);
}

#[test]
fn the_peers_defaults_may_be_written_out() {
    for (key, default) in NOT_YET {
        assert_eq!(problems(&[(key, default)]), [], "{key}");
        let def = definition::<SinkConfig>();
        assert_eq!(def.unknown_keys(&flat(&[(key, default)])).warnings, [], "{key} is known");
    }
    let def = definition::<SinkConfig>();
    assert_eq!(def.validate(&flat(&[("bulk.write.ordered", "true")])).warnings.len(), 1);
}
