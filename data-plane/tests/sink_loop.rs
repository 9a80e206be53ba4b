//! The sink loop against a real Kafka. Without `KAFKA_BOOTSTRAP` these tests say that they are skipped.

#![allow(clippy::unwrap_used)] // a test may

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millrace_data_plane::model::TaskState;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use support::*;

const LIMIT: Duration = Duration::from_secs(90);

either_way! {
    all_is_written_in_order_and_poison_goes_to_the_dead_letters
    many_partitions_share_the_memory_of_a_task
    an_intolerant_task_fails_at_the_record_and_commits_what_lies_before
    records_that_were_deleted_before_they_were_read_are_told
    an_absent_store_is_waited_for_and_a_paused_task_holds_still
    a_topic_that_does_not_exist_is_waited_for
    a_pattern_matches_whole_names_and_topics_that_come_later
    a_successor_takes_the_place_of_a_task_and_siblings_share_partitions
}

/// Value `{"n": i}` for record i, of key `k<i % keys>`; every hundredth cannot be decoded, and of those every other decodes
/// but has no number.
fn record(i: u64, keys: u64, poison: bool) -> (String, String) {
    let value = match i % 100 {
        99 if poison && i % 200 == 199 => format!("not json {i}"),
        99 if poison => format!("{{\"m\":{i}}}"),
        _ => format!("{{\"n\":{i}}}"),
    };
    (format!("k{}", i % keys), value)
}

fn is_poison(i: u64) -> bool {
    i % 100 == 99
}

async fn all_is_written_in_order_and_poison_goes_to_the_dead_letters(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("loop"), unique("loop-topic"));
    let dead = format!("{topic}-dlq");
    create_topic(&bootstrap, &topic, 4).await;
    let producer = producer(&bootstrap);
    let (records, keys) = (20_000_u64, 997_u64);
    produce(&producer, &topic, (0..records / 2).map(|i| record(i, keys, true))).await;
    let store = store(&name);
    store.fail_every.store(5, Ordering::SeqCst);
    store.slow_ms.store(3, Ordering::SeqCst);
    let pairs = [
        ("topics", topic.as_str()),
        ("millrace.fetch", fetch),
        ("key.converter", "string"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
        ("errors.tolerance", "all"),
        ("errors.deadletterqueue.topic.name", dead.as_str()),
        ("errors.deadletterqueue.topic.replication.factor", "1"),
        ("errors.deadletterqueue.context.headers.enable", "true"),
    ];
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    worker.wait_for(TaskState::Running).await;
    // A stop in the middle loses nothing, and the next life goes on.
    eventually("some are written", LIMIT, || store.rows.lock().unwrap().len() > 100).await;
    task.stop().await;
    worker.wait_for(TaskState::Stopped).await;
    produce(&producer, &topic, (records / 2..records).map(|i| record(i, keys, true))).await;
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let group = format!("connect-{name}");
    eventually("everything is committed", LIMIT, || {
        offsets(&bootstrap, &group, &topic, 4).iter().all(|(committed, end)| *committed == Some(*end))
    })
    .await;
    task.stop().await;
    worker.wait_for(TaskState::Stopped).await;

    let mut expected: BTreeMap<String, u64> = BTreeMap::new();
    for i in (0..records).filter(|i| !is_poison(*i)) {
        expected.insert(format!("k{}", i % keys), i);
    }
    assert_eq!(*store.rows.lock().unwrap(), expected);
    assert_eq!(store.overlaps.load(Ordering::SeqCst), 0, "writes of one key overlapped");
    assert!(store.most_at_once.load(Ordering::SeqCst) > 1, "lanes were never used");
    assert!(store.most_at_once.load(Ordering::SeqCst) <= 4);
    check_log(&store.log.lock().unwrap(), records);
    let letters = read_all(&bootstrap, &dead);
    let mut dead_records: Vec<u64> = letters.iter().map(|letter| letter.number).collect();
    dead_records.sort_unstable();
    dead_records.dedup();
    assert_eq!(dead_records, (0..records).filter(|i| is_poison(*i)).collect::<Vec<_>>());
    for letter in &letters {
        let stage = if letter.number % 200 == 199 { "VALUE_CONVERTER" } else { "TASK_PUT" };
        assert_eq!(letter.headers["__connect.errors.stage"], stage);
        assert_eq!(letter.headers["__connect.errors.topic"], topic);
        assert!(!letter.headers["__connect.errors.exception.message"].is_empty());
    }
    delete_topic(&bootstrap, &topic).await;
    delete_topic(&bootstrap, &dead).await;
}

/// More partitions than a consumer's memory is laid out for at first: it is made anew, and nothing is lost or restarted.
async fn many_partitions_share_the_memory_of_a_task(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("many"), unique("many-topic"));
    create_topic(&bootstrap, &topic, 40).await;
    let (records, keys) = (4_000_u64, 499_u64);
    produce(&producer(&bootstrap), &topic, (0..records).map(|i| record(i, keys, false))).await;
    let store = store(&name);
    let pairs = [
        ("topics", topic.as_str()),
        ("millrace.fetch", fetch),
        ("key.converter", "string"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter"),
        ("value.converter.schemas.enable", "false"),
    ];
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let group = format!("connect-{name}");
    eventually("everything is committed", LIMIT, || {
        offsets(&bootstrap, &group, &topic, 40).iter().all(|(committed, end)| committed.unwrap_or(0) == *end)
    })
    .await;
    task.stop().await;
    while let Ok(status) = worker.statuses.try_recv() {
        assert_ne!(status.state, TaskState::Restarting, "{}", status.trace);
    }
    let expected: BTreeMap<String, u64> = (0..records).map(|i| (format!("k{}", i % keys), i)).collect();
    assert_eq!(*store.rows.lock().unwrap(), expected);
    assert_eq!(store.overlaps.load(Ordering::SeqCst), 0, "writes of one key overlapped");
    delete_topic(&bootstrap, &topic).await;
}

/// Every record was written at least once, and after the first write of a record no older one of its key is the last.
fn check_log(log: &[(String, u64)], records: u64) {
    let mut seen = vec![false; usize::try_from(records).unwrap()];
    for (_, n) in log {
        seen[usize::try_from(*n).unwrap()] = true;
    }
    let missing: Vec<u64> = (0..records).filter(|i| !is_poison(*i) && !seen[usize::try_from(*i).unwrap()]).collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}

struct Letter {
    number: u64,
    headers: BTreeMap<String, String>,
}

fn read_all(bootstrap: &str, topic: &str) -> Vec<Letter> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", unique("reader"))
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let end = consumer.fetch_watermarks(topic, 0, Duration::from_secs(10)).unwrap().1;
    let mut letters = Vec::new();
    while i64::try_from(letters.len()).unwrap() < end {
        let message = consumer.poll(Duration::from_secs(10)).expect("there are more").unwrap();
        let value = String::from_utf8_lossy(message.payload().unwrap()).into_owned();
        let number = value.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap();
        let headers = message.headers().unwrap().iter().map(|header| {
            (header.key.to_owned(), String::from_utf8_lossy(header.value.unwrap_or_default()).into_owned())
        });
        letters.push(Letter { number, headers: headers.collect() });
    }
    letters
}

async fn an_intolerant_task_fails_at_the_record_and_commits_what_lies_before(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("strict"), unique("strict-topic"));
    create_topic(&bootstrap, &topic, 1).await;
    produce(&producer(&bootstrap), &topic, (0..150).map(|i| record(i, 10, i > 100))).await;
    // Record 99 is fine here; make the 150th malformed.
    produce(&producer(&bootstrap), &topic, std::iter::once(("k".to_owned(), "{\"n\":".to_owned()))).await;
    let mut worker = surroundings();
    let pairs = [("topics", topic.as_str()), ("millrace.fetch", fetch)];
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let status = loop {
        let status = worker.statuses.recv().await.unwrap();
        if status.state == TaskState::Failed {
            break status;
        }
    };
    assert_eq!(status.error_kind, "bad-record");
    assert!(status.trace.contains(&format!("{topic}-0@150")), "{}", status.trace);
    assert!(status.trace.contains("errors.tolerance"), "{}", status.trace);
    assert_eq!(store(&name).log.lock().unwrap().len(), 150);
    assert_eq!(offsets(&bootstrap, &format!("connect-{name}"), &topic, 1)[0].0.unwrap_or(0) % 150, 0);
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

async fn records_that_were_deleted_before_they_were_read_are_told(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("late"), unique("late-topic"));
    create_topic(&bootstrap, &topic, 1).await;
    let producer = producer(&bootstrap);
    let (store, mut worker) = (store(&name), surroundings());
    let pairs = [("topics", topic.as_str()), ("millrace.fetch", fetch)];
    produce(&producer, &topic, (0..100).map(|i| record(i, 10, false))).await;
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    eventually("the first are written", LIMIT, || store.log.lock().unwrap().len() == 100).await;
    task.stop().await;
    produce(&producer, &topic, (100..200).map(|i| record(i, 10, false))).await;
    delete_before(&bootstrap, &topic, 150).await;
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let status = worker.wait_for_warning("deleted before they were read").await;
    assert_eq!(status.state, TaskState::Running);
    let remark = status.warnings.join("\n");
    assert!(remark.contains(&format!("offset 100 of {topic}-0")) && remark.contains("(50 offsets"), "{remark}");
    eventually("what is left is written", LIMIT, || store.log.lock().unwrap().len() >= 150).await;
    assert_eq!(store.log.lock().unwrap().len(), 150);
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

/// Deletes the records of partition 0 before an offset, as retention does.
async fn delete_before(bootstrap: &str, topic: &str, offset: i64) {
    let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(offset)).unwrap();
    admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
}

async fn an_absent_store_is_waited_for_and_a_paused_task_holds_still(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("wait"), unique("wait-topic"));
    create_topic(&bootstrap, &topic, 2).await;
    let producer = producer(&bootstrap);
    let store = store(&name);
    store.down.store(1, Ordering::SeqCst);
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &[("topics", topic.as_str()), ("millrace.fetch", fetch)]));
    produce(&producer, &topic, (0..1000).map(|i| record(i, 50, false))).await;
    worker.wait_for_warning("the store is down").await;
    assert!(store.log.lock().unwrap().is_empty());
    store.down.store(0, Ordering::SeqCst);
    eventually("all is written", LIMIT, || store.log.lock().unwrap().len() >= 1000).await;
    task.set_paused(true);
    worker.wait_for(TaskState::Paused).await;
    tokio::time::sleep(Duration::from_millis(500)).await; // what was in flight ends
    let before = store.log.lock().unwrap().len();
    produce(&producer, &topic, (1000..1100).map(|i| record(i, 50, false))).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(store.log.lock().unwrap().len(), before, "a paused task has written");
    task.set_paused(false);
    worker.wait_for(TaskState::Running).await;
    eventually("the rest is written", LIMIT, || store.log.lock().unwrap().iter().any(|(_, n)| *n == 1099)).await;
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

async fn a_topic_that_does_not_exist_is_waited_for(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("later"), unique("later-topic"));
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &[("topics", topic.as_str()), ("millrace.fetch", fetch)]));
    let status = worker.wait_for_warning("does not exist").await;
    assert_eq!(status.state, TaskState::Running);
    create_topic(&bootstrap, &topic, 1).await;
    produce(&producer(&bootstrap), &topic, (0..10).map(|i| record(i, 5, false))).await;
    let store = store(&name);
    eventually("the late topic is read", LIMIT, || store.log.lock().unwrap().len() == 10).await;
    task.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

async fn a_pattern_matches_whole_names_and_topics_that_come_later(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, base) = (unique("regex"), unique("regex-topic"));
    let (first, second, other) = (format!("{base}.a"), format!("{base}.b"), format!("{base}.a.not"));
    create_topic(&bootstrap, &first, 1).await;
    create_topic(&bootstrap, &other, 1).await;
    let producer = producer(&bootstrap);
    produce(&producer, &first, (0..10).map(|i| record(i, 5, false))).await;
    produce(&producer, &other, (1000..1010).map(|i| record(i, 5, false))).await;
    let worker = surroundings();
    let pattern = format!("{base}\\.[ab]");
    let task =
        worker.start(spec(&bootstrap, &name, 0, 1, &[("topics.regex", pattern.as_str()), ("millrace.fetch", fetch)]));
    let store = store(&name);
    eventually("the first topic is read", LIMIT, || store.log.lock().unwrap().len() == 10).await;
    create_topic(&bootstrap, &second, 1).await;
    produce(&producer, &second, (10..20).map(|i| record(i, 5, false))).await;
    eventually("the second topic is read", LIMIT, || store.log.lock().unwrap().len() == 20).await;
    task.stop().await;
    for topic in [first, second, other] {
        delete_topic(&bootstrap, &topic).await;
    }
}

async fn a_successor_takes_the_place_of_a_task_and_siblings_share_partitions(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("share"), unique("share-topic"));
    create_topic(&bootstrap, &topic, 4).await;
    let producer = producer(&bootstrap);
    let pairs = [("topics", topic.as_str()), ("millrace.fetch", fetch)];
    let mut old_worker = surroundings();
    let new_worker = surroundings();
    let first = old_worker.start(spec(&bootstrap, &name, 0, 2, &pairs));
    let sibling = new_worker.start(spec(&bootstrap, &name, 1, 2, &pairs));
    let store = store(&name);
    produce(&producer, &topic, (0..2000).map(|i| record(i, 50, false))).await;
    eventually("the first records are written", LIMIT, || (0..2000).all(|i| has(&store, i))).await;
    // The same task started elsewhere: the old one is fenced and ends without a word to the group.
    let successor = new_worker.start(spec(&bootstrap, &name, 0, 2, &pairs));
    produce(&producer, &topic, (2000..4000).map(|i| record(i, 50, false))).await;
    eventually("all are written", LIMIT, || (0..4000).all(|i| has(&store, i))).await;
    let status = old_worker.wait_for(TaskState::Fenced).await;
    assert_eq!(status.error_kind, "fenced");
    let group = format!("connect-{name}");
    eventually("everything is committed", LIMIT, || {
        offsets(&bootstrap, &group, &topic, 4).iter().all(|(committed, end)| *committed == Some(*end))
    })
    .await;
    first.stop().await;
    successor.stop().await;
    sibling.stop().await;
    delete_topic(&bootstrap, &topic).await;
}

fn has(store: &Store, n: u64) -> bool {
    store.rows.lock().unwrap().get(&format!("k{}", n % 50)).is_some_and(|newest| *newest >= n)
}
