//! Transforms in front of a sink, against a real Kafka. Without `KAFKA_BOOTSTRAP` this test says that it is skipped.

#![allow(clippy::unwrap_used)] // a test may

#[allow(dead_code, unused_imports)] // other tests use more of it
mod support;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use support::*;

const LIMIT: Duration = Duration::from_secs(60);

/// Of ten the last is a tombstone, the one before is no map.
fn record(i: u64) -> (String, String) {
    let value = match i % 10 {
        9 => "null".to_owned(),
        8 => i.to_string(),
        _ => format!("{{\"n\":{i},\"secret\":\"s\",\"keep\":{{\"a\" : [1.50]}}}}"),
    };
    (format!("k{i}"), value)
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_transformed_dropped_and_dead_lettered() {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("smt"), unique("smt-topic"));
    let dead = format!("{topic}-dlq");
    create_topic(&bootstrap, &topic, 1).await;
    produce(&producer(&bootstrap), &topic, (0..200).map(record)).await;
    let pairs = [
        ("topics", topic.as_str()),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", dead.as_str()),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
        ("transforms", "drop,replace,insert,route"),
        ("transforms.drop.type", "org.apache.kafka.connect.transforms.Filter"),
        ("transforms.drop.predicate", "tombstone"),
        ("predicates", "tombstone"),
        ("predicates.tombstone.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone"),
        ("transforms.replace.type", "org.apache.kafka.connect.transforms.ReplaceField$Value"),
        ("transforms.replace.exclude", "secret"),
        ("transforms.replace.renames", "keep:kept"),
        ("transforms.insert.type", "InsertField$Value"),
        ("transforms.insert.offset.field", "at"),
        ("transforms.insert.topic.field", "from"),
        ("transforms.route.type", "RegexRouter"),
        ("transforms.route.regex", "smt-(.*)"),
        ("transforms.route.replacement", "routed.$1"),
    ];
    let worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let group = format!("connect-{name}");
    eventually("everything is committed for the origin", LIMIT, || {
        offsets(&bootstrap, &group, &topic, 1) == [(Some(200), 200)]
    })
    .await;
    task.stop().await;
    let seen = store(&name).seen.lock().unwrap().clone();
    let expected: Vec<u64> = (0..200).filter(|i| i % 10 < 8).collect();
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), expected);
    let routed = topic.replacen("smt-", "routed.", 1);
    for (i, (target, value)) in &seen {
        assert_eq!(*target, routed);
        assert_eq!(*value, format!("{{\"n\":{i},\"kept\":{{\"a\" : [1.50]}},\"from\":\"{topic}\",\"at\":{i}}}"));
    }
    let letters = dead_letters(&bootstrap, &dead);
    assert_eq!(
        letters.iter().map(|letter| letter.0.clone()).collect::<Vec<_>>(),
        (0..20).map(|i| (i * 10 + 8).to_string()).collect::<Vec<_>>()
    );
    for (_, stage, class) in &letters {
        assert_eq!(
            (stage.as_str(), class.as_str()),
            ("TRANSFORMATION", "org.apache.kafka.connect.transforms.ReplaceField$Value")
        );
    }
    delete_topic(&bootstrap, &topic).await;
    delete_topic(&bootstrap, &dead).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intolerant_task_fails_at_the_record() {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("smt-strict"), unique("smt-strict-topic"));
    create_topic(&bootstrap, &topic, 1).await;
    produce(&producer(&bootstrap), &topic, (0..10).map(record)).await;
    let pairs = [
        ("topics", topic.as_str()),
        ("transforms", "insert"),
        ("transforms.insert.type", "InsertField$Value"),
        ("transforms.insert.offset.field", "at"),
    ];
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let status = loop {
        let status = worker.statuses.recv().await.unwrap();
        if status.state == millrace_data_plane::model::TaskState::Failed {
            break status;
        }
    };
    assert_eq!(status.error_kind, "bad-record");
    assert!(status.trace.contains(&format!("cannot transform the record {topic}-0@8")), "{}", status.trace);
    assert!(status.trace.contains("Only Map objects supported"), "{}", status.trace);
    assert_eq!(store(&name).seen.lock().unwrap().len(), 8);
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

/// Value, stage and class of each letter.
fn dead_letters(bootstrap: &str, topic: &str) -> Vec<(String, String, String)> {
    let settings = [("bootstrap.servers", bootstrap), ("group.id", "reader"), ("enable.auto.commit", "false")];
    let mut config = ClientConfig::new();
    for (key, value) in settings {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let end = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).unwrap().1;
    let letters = (0..end).map(|_| {
        let message = consumer.poll(Duration::from_secs(10)).expect("there are more").unwrap();
        let header = |name: &str| {
            let headers = message.headers().unwrap();
            let found = headers.iter().find(|header| header.key == name).unwrap();
            String::from_utf8_lossy(found.value.unwrap_or_default()).into_owned()
        };
        let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
        (value, header("__connect.errors.stage"), header("__connect.errors.class.name"))
    });
    letters.collect()
}
