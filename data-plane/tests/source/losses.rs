//! Records that cannot reach their topic, dead letters of sources, and topics that are created.

use std::collections::BTreeMap;

use millrace_data_plane::model::TaskState;
use rdkafka::message::{Headers, Message, OwnedMessage};

use crate::counting::{LIMIT, Names, around, numbers, reaches, read_all, read_messages};
use crate::support::{bootstrap, delete_topic, flat};

fn headers(message: &OwnedMessage) -> BTreeMap<String, String> {
    let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
    let headers = message.headers().unwrap();
    (0..headers.count()).map(|index| headers.get(index)).map(|one| (one.key.to_owned(), text(one.value))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_encoded_or_is_too_large_goes_to_the_dead_letters() {
    let Some(bootstrap) = bootstrap() else { return };
    for exactly_once in [false, true] {
        let names = Names::new(bootstrap.clone());
        let dead = format!("{}-dead", names.topic);
        let mut around = around();
        let mut spec = names.spec(&[
            ("limit", "500"),
            ("poison", "101"),
            ("torn", "97"),
            ("big", "103"),
            ("errors.tolerance", "all"),
            ("errors.deadletterqueue.topic.name", &dead),
            ("errors.deadletterqueue.topic.replication.factor", "1"),
            ("errors.deadletterqueue.context.headers.enable", "true"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.partitions", "2"),
            ("topic.creation.default.max.message.bytes", "3000"),
        ]);
        if exactly_once {
            spec.config.extend(flat(&[("exactly.once.support", "required")]));
        }
        let task = around.start(spec);
        around.wait_for(TaskState::Running).await;
        reaches(&names, 500).await;
        task.stop().await;
        // 0 is of all kinds, and torn comes first.
        let lost = |n: &i64| n % 101 == 0 || n % 97 == 0 || n % 103 == 0;
        let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
        assert!(numbers.values().all(|times| *times == 1), "exactly once: {exactly_once}");
        assert_eq!(numbers.into_keys().collect::<Vec<_>>(), (0..500).filter(|n| !lost(n)).collect::<Vec<_>>());
        let mut stages: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for letter in read_messages(&names.bootstrap, &dead).await {
            let headers = headers(&letter);
            assert_eq!(headers["__connect.errors.topic"], names.topic);
            assert_eq!(headers["__connect.errors.connector.name"], names.connector);
            assert_eq!(headers["__millrace.errors.kind"], "bad-record");
            assert_eq!(headers["__millrace.errors.attempt"], "1");
            assert!(!headers.contains_key("__connect.errors.offset"), "a source has none");
            let value = String::from_utf8(letter.payload().unwrap().to_vec()).unwrap();
            let value = value.trim_start_matches('0').to_owned();
            stages.entry(headers["__connect.errors.stage"].clone()).or_default().push(value);
        }
        stages.values_mut().for_each(|values| values.sort());
        let expected = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        assert_eq!(stages["TASK_POLL"], expected(&["", "194", "291", "388", "485", "97"]));
        assert_eq!(stages["VALUE_CONVERTER"], expected(&["true", "true", "true", "true"]));
        assert_eq!(stages["KAFKA_PRODUCE"], expected(&["103", "206", "309", "412"]));
        delete_topic(&names.bootstrap, &dead).await;
        names.clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_the_broker_refuses_names_the_key() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let out = names.topic.clone();
    for (pairs, key) in [
        (
            [("topic.creation.default.replication.factor", "9"), ("topic.creation.default.partitions", "1")],
            "topic.creation.default.replication.factor",
        ),
        (
            [("topic.creation.default.replication.factor", "1"), ("topic.creation.default.retention.ms", "soon")],
            "topic.creation.default.retention.ms=soon",
        ),
        (
            [("errors.deadletterqueue.topic.name", &*out), ("errors.tolerance", "all")],
            "errors.deadletterqueue.topic.replication.factor",
        ),
    ] {
        let mut around = around();
        let mut spec = names.spec(&[("limit", "5"), ("topic.creation.default.partitions", "1")]);
        spec.config.extend(flat(&pairs));
        spec.config.entry("topic.creation.default.replication.factor".to_owned()).or_insert_with(|| "1".to_owned());
        let task = around.start(spec);
        let failed = loop {
            let status = tokio::time::timeout(LIMIT, around.statuses.recv()).await.unwrap().unwrap();
            assert_ne!(status.state, TaskState::Stopped);
            if status.state == TaskState::Failed {
                break status;
            }
        };
        assert_eq!(failed.error_kind, "bad-config", "{}", failed.trace);
        assert!(failed.trace.contains(key), "{}", failed.trace);
        task.stop().await;
    }
    delete_topic(&names.bootstrap, &names.offsets).await;
}
