use super::*;
use crate::model::TaskId;

fn flat(pairs: &[(&str, &str)]) -> Flat {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn sink(pairs: &[(&str, &str)]) -> Findings {
    let mut all = flat(&[("name", "x"), ("connector.class", "mongodb-sink")]);
    all.extend(flat(pairs));
    findings(ConnectorKind::Sink, &all, &Flat::new())
}

#[test]
fn a_plain_sink_is_accepted_with_connects_defaults() {
    let findings = sink(&[("topics", "a, b"), ("tasks.max", "2")]);
    assert_eq!(findings.errors, []);
    let settings: SinkSettings = config::parse(
        &definition(ConnectorKind::Sink),
        &flat(&[("name", "n"), ("connector.class", "x"), ("topics", "a,b")]),
    )
    .unwrap();
    assert_eq!(settings.topics, ["a", "b"]);
    assert_eq!((settings.common.tasks_max, settings.lanes), (1, 4));
    assert_eq!(settings.common.tolerance, Tolerance::None);
    assert_eq!((settings.common.retry_timeout_ms, settings.common.retry_delay_max_ms), (0, 60_000));
    assert_eq!(settings.common.dead_letter_replication, 3);
    let definition = definition(ConnectorKind::Sink);
    assert_eq!(definition.key("errors.tolerance").unwrap().allowed, ["none", "all", "data"]);
    assert!(definition.knows("consumer.override.auto.offset.reset"));
    assert!(definition.key("connector.class").unwrap().required);
}

#[test]
fn each_mistake_is_named_with_its_key() {
    for (pairs, key, part) in [
        (&[][..], "topics", "Must configure one of topics or topics.regex"),
        (&[("topics", "a"), ("topics.regex", "b")], "topics.regex", "mutually exclusive"),
        (&[("topics.regex", "(")], "topics.regex", "Invalid value ("),
        (&[("topics", "a"), ("tasks.max", "0")], "tasks.max", "at least 1"),
        (&[("topics", "a"), ("errors.tolerance", "some")], "errors.tolerance", "must be one of: none, all, data"),
        (&[("topics", "a"), ("transforms", "t")], "transforms.t.type", "Missing required configuration"),
        (&[("topics", "a"), ("predicates", "p")], "predicates.p.type", "Missing required configuration"),
        (&[("topics", "a"), ("value.converter", "org.example.CborConverter")], "value.converter", "available are json"),
        (
            &[("topics", "a"), ("value.converter", "io.confluent.connect.avro.AvroConverter")],
            "value.converter",
            "Missing required configuration \"schema.registry.url\"",
        ),
        (&[("topics", "a"), ("header.converter", "x.Y")], "header.converter", "unknown converter x.Y"),
        (
            &[("topics", "a"), ("value.converter", "json"), ("value.converter.schemas.enable", "perhaps")],
            "value.converter",
            "true or false",
        ),
        (
            &[("topics", "a"), ("errors.deadletterqueue.topic.name", "a")],
            "errors.deadletterqueue.topic.name",
            "may not be included",
        ),
        (
            &[("topics.regex", "a.*"), ("errors.deadletterqueue.topic.name", "abc")],
            "errors.deadletterqueue.topic.name",
            "may not be matched",
        ),
        (
            &[("topics", "a"), ("consumer.override.interceptor.classes", "x.Y")],
            "consumer.override.interceptor.classes",
            "loads code",
        ),
        (&[("topics", "a"), ("millrace.versions", "newest")], "millrace.versions", "none of none, offset"),
        (&[("topics", "a,b"), ("millrace.versions", "offset")], "millrace.versions", "one topic"),
        (&[("topics.regex", "a.*"), ("millrace.versions", "offset")], "millrace.versions", "one topic"),
        (&[("topics", "a"), ("producer.override.linger.ms", "soon")], "producer.override.linger.ms", "Invalid value"),
    ] {
        let findings = sink(pairs);
        assert!(
            findings.errors.iter().any(|problem| problem.key == key && problem.message.contains(part)),
            "{pairs:?}: {:?}",
            findings.errors
        );
    }
}

#[test]
fn names_follow_from_tenant_and_connector() {
    assert_eq!(group_id("default", "orders"), "connect-orders");
    assert_eq!(group_id("acme", "orders"), "millrace.acme.orders");
    let task = TaskId { tenant: "acme".to_owned(), connector: "orders".to_owned(), index: 3 };
    let instance = |topics: &[&str], regex: &str| {
        instance_id(&task, &topics.iter().map(|topic| (*topic).to_owned()).collect::<Vec<_>>(), regex)
    };
    assert_eq!(instance(&["a", "b"], ""), "acme.orders-3-d72e17de");
    assert_eq!(instance(&["b", " a"], ""), instance(&["a", "b"], ""));
    assert_ne!(instance(&["a"], ""), instance(&["a", "b"], ""));
    assert_ne!(instance(&[], "a.*"), instance(&[], "b.*"));
    assert_eq!(offsets_topic("default", &Flat::new()), "millrace-offsets");
    assert_eq!(offsets_topic("acme", &Flat::new()), "millrace-acme-offsets");
    assert_eq!(offsets_topic("acme", &flat(&[("offset.storage.topic", "o")])), "o");
}

#[test]
fn a_pattern_matches_whole_names() {
    let pattern = full_match("orders|lines").unwrap();
    for (topic, matches) in [("orders", true), ("lines", true), ("orders2", false), ("my-lines", false)] {
        assert_eq!(pattern.is_match(topic).unwrap(), matches, "{topic}");
    }
}
