use millrace_sdk::config::{definition, parse};

use super::*;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn resolved(pairs: &[(&str, &str)]) -> Result<Vec<TableSettings>, String> {
    let flat = flat(pairs);
    let config: SinkConfig =
        parse(&definition::<SinkConfig>(), &flat).map_err(|f| millrace_sdk::config::join(&f.errors))?;
    resolve(&config, &topics(&flat)).map_err(|problems| millrace_sdk::config::join(&problems))
}

fn addresses(tables: &[TableSettings]) -> Vec<(Option<&str>, &str, &str)> {
    tables.iter().map(|t| (t.topic.as_deref(), t.keyspace.as_str(), t.table.as_str())).collect()
}

#[test]
fn one_mapping_serves_all_topics() {
    let tables = resolved(&[
        ("topics", "orders"),
        ("contactPoints", "cassandra1:9042"),
        ("loadBalancing.localDc", "dc1"),
        ("keyspace", "sales"),
        ("table", "orders"),
        ("mapping", "order_id=value.order_id, amount=value.amount, created_at=value.created_at"),
    ])
    .unwrap();
    assert_eq!(addresses(&tables), [(Some("orders"), "sales", "orders")]);
    assert_eq!(tables[0].mapping.len(), 3);
    assert_eq!(tables[0].consistency, Consistency::LocalOne);
}

#[test]
fn the_mappings_table_wins_over_the_table_name_format() {
    let tables = resolved(&[
        ("topics", "my_kafka_topic"),
        ("contactPoints", "127.0.0.1"),
        ("loadBalancing.localDc", "datacenter1"),
        ("keyspace", "my_keyspace"),
        ("table.name.format", "${topic}"),
        ("topic.my_kafka_topic.my_keyspace.my_table.mapping", "kafka_key=key, kafka_value=value"),
    ])
    .unwrap();
    assert_eq!(addresses(&tables), [(Some("my_kafka_topic"), "my_keyspace", "my_table")]);
}

#[test]
fn a_table_name_follows_the_topic() {
    let tables = resolved(&[
        ("topics", "a, b.c"),
        ("keyspace", "ks"),
        ("table.name.format", "t_${topic}"),
        ("mapping", "id=key"),
        ("topic.b.c.ks2.own.mapping", "id=key"),
    ])
    .unwrap();
    assert_eq!(addresses(&tables), [(Some("a"), "ks", "t_a"), (Some("b.c"), "ks2", "own")]);
}

#[test]
fn settings_of_a_table_are_read() {
    let tables = resolved(&[
        ("topics", "t.x"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".mapping", "id=key"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".consistencyLevel", "local_quorum"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".ttl", "2"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".ttlTimeUnit", "HOURS"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".nullToUnset", "false"),
        ("topic.t.x.\"My Ks\".\"Ta\"\"ble\".deletesEnabled", "FALSE"),
    ])
    .unwrap();
    let table = &tables[0];
    assert_eq!(addresses(&tables), [(Some("t.x"), "My Ks", "Ta\"ble")]);
    assert_eq!((table.consistency, table.ttl), (Consistency::LocalQuorum, Some(7200)));
    assert!(!table.null_to_unset && !table.deletes_enabled);
}

#[test]
fn what_is_wrong_is_said() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("topics", "t")], "no mapping for topic t: add topic.t.<keyspace>.<table>.mapping"),
        (&[("topics", "t"), ("mapping", "a=key")], "mapping needs keyspace and table"),
        (&[("topics", "t"), ("topic.t.ks.mapping", "a=key")], "is not of the form topic.<topic>"),
        (&[("topics", "t"), ("topic.t.ks.tb.mapping", "a=kye")], "invalid field 'kye' at character 3"),
        (&[("topics", "t"), ("topic.t.ks.tb.mapping", "a=key"), ("topic.t.ks.tb.ttl", "soon")], "Invalid value soon"),
        (
            &[("topics", "t"), ("topic.t.ks.tb.mapping", "a=key"), ("topic.t.ks.tb.consistencyLevel", "MOST")],
            "valid values are ANY, ONE",
        ),
        (&[("topics", "t"), ("topic.t.ks.tb.mapping", "a=key"), ("topic.t.ks.tb.query", "x")], "not available yet"),
        (&[("topics", "t"), ("topic.t.ks.tb.mapping", "a=key"), ("topic.t.codec.date", "x")], "not available yet"),
        (&[("topics", "t"), ("topic.t.ks.other.ttl", "5")], "topic.t.ks.other.mapping is missing"),
        (&[("topics.regex", "t.*"), ("keyspace", "k"), ("table", "${topic}"), ("mapping", "a=key")], "topics.regex"),
    ];
    for (pairs, message) in cases {
        let error = resolved(pairs).unwrap_err();
        assert!(error.contains(message), "{pairs:?}: {error}");
    }
}

#[test]
fn units_convert_as_in_java() {
    assert_eq!(Unit::Nanoseconds.to_micros(1999), 1);
    assert_eq!(Unit::Milliseconds.to_micros(5), 5000);
    assert_eq!(Unit::Days.to_seconds(2), 172_800);
    assert_eq!(Unit::Milliseconds.to_seconds(1999), 1);
}
