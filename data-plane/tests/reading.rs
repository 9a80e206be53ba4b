//! What a sink reads of what Kafka can hold: every codec, headers, records without key or value, transactions. Without
//! `KAFKA_BOOTSTRAP` these tests say that they are skipped.

#![allow(clippy::unwrap_used)] // a test may
#![allow(dead_code)] // of what is shared with other tests

mod support;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, Producer as _};
use support::*;

const LIMIT: Duration = Duration::from_secs(60);

either_way! {
    every_codec_is_read
    a_transaction_is_seen_as_the_isolation_says
}

fn record(n: u64) -> (String, String) {
    (format!("k{}", n % 7), format!("{{\"n\":{n}}}"))
}

fn with(bootstrap: &str, pairs: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "20");
    pairs.iter().for_each(|(name, value)| {
        config.set(*name, *value);
    });
    config.create().unwrap()
}

/// The numbers that were written, in the order in which they were.
fn written(store: &Store) -> Vec<u64> {
    store.log.lock().unwrap().iter().map(|(_, n)| *n).collect()
}

async fn every_codec_is_read(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("codecs"), unique("codecs-topic"));
    create_topic(&bootstrap, &topic, 1).await;
    let mut next = 0;
    for round in 0..2 {
        for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
            let producer = with(&bootstrap, &[("compression.codec", codec)]);
            produce(&producer, &topic, (next..next + 300 + round).map(record)).await;
            next += 300 + round;
        }
    }
    let worker = surroundings();
    let pairs = [("topics", topic.as_str()), ("millrace.fetch", fetch)];
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let store = store(&name);
    eventually("all is written", LIMIT, || written(&store).len() as u64 >= next).await;
    task.stop().await;
    let mut numbers = written(&store);
    numbers.sort_unstable();
    assert_eq!(numbers, (0..next).collect::<Vec<_>>());
    delete_topic(&bootstrap, &topic).await;
}

async fn a_transaction_is_seen_as_the_isolation_says(fetch: &str) {
    let Some(bootstrap) = bootstrap() else { return };
    let topic = unique("transactions-topic");
    create_topic(&bootstrap, &topic, 1).await;
    let id = unique("transactions");
    let producer = with(&bootstrap, &[("transactional.id", id.as_str()), ("compression.codec", "lz4")]);
    producer.init_transactions(LIMIT).unwrap();
    let mut committed = Vec::new();
    for number in 0..6 {
        producer.begin_transaction().unwrap();
        let records = number * 100..number * 100 + 100;
        produce(&producer, &topic, records.clone().map(record)).await;
        if number % 3 == 1 {
            producer.abort_transaction(LIMIT).unwrap();
        } else {
            producer.commit_transaction(LIMIT).unwrap();
            committed.extend(records);
        }
    }
    let worker = surroundings();
    for (isolation, expected) in [("read_committed", committed), ("read_uncommitted", (0..600).collect())] {
        let name = unique(isolation);
        let pairs =
            [("topics", topic.as_str()), ("millrace.fetch", fetch), ("consumer.override.isolation.level", isolation)];
        let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
        let store = store(&name);
        eventually("all is written", LIMIT, || written(&store).len() >= expected.len()).await;
        let group = format!("connect-{name}");
        task.stop().await;
        let mut numbers = written(&store);
        numbers.sort_unstable();
        assert_eq!(numbers, expected, "{isolation}");
        // The last record's offset, and not the marker's behind it, is what was committed.
        let (offset, end) = offsets(&bootstrap, &group, &topic, 1)[0];
        assert_eq!(offset, Some(end - 1), "{isolation}");
    }
    delete_topic(&bootstrap, &topic).await;
}
