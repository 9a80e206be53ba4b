//! A task that is stopped in the middle of a rebalance, against a real Kafka. Without `KAFKA_BOOTSTRAP` it says that it is skipped.

#![allow(clippy::unwrap_used)] // a test may
#![allow(dead_code)] // of what is shared with other tests

mod support;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use support::*;

const LIMIT: Duration = Duration::from_secs(60);
/// A second member joins when the first one's next heartbeat, every three seconds, tells it of that. Shortly afterwards the
/// first has given half of its partitions back, and waits for the second to hear of that in turn.
const MIDDLE: Duration = Duration::from_millis(3200);

fn records(numbers: std::ops::Range<u64>) -> impl Iterator<Item = (String, String)> {
    numbers.map(|n| (format!("k{n}"), format!("{{\"n\":{n}}}")))
}

/// Poll threads of tasks in this process.
fn poll_threads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let names = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("fetch-")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_stop_at_once_in_the_middle_of_a_rebalance() {
    let Some(bootstrap) = bootstrap() else { return };
    let (name, topic) = (unique("middle"), unique("middle-topic"));
    create_topic(&bootstrap, &topic, 4).await;
    let producer = producer(&bootstrap);
    let pairs = [("topics", topic.as_str()), ("offset.flush.interval.ms", "60000")];
    let (store, worker) = (store(&name), surroundings());
    let written = |count: usize| store.rows.lock().unwrap().len() == count;
    let start = |index| worker.start(spec(&bootstrap, &name, index, 2, &pairs));

    produce(&producer, &topic, records(0..1000)).await;
    let first = start(0);
    eventually("the first records are written", LIMIT, || written(1000)).await;
    let second = start(1);
    tokio::time::sleep(MIDDLE).await;
    let began = Instant::now();
    tokio::join!(first.stop(), second.stop());
    assert!(began.elapsed() < Duration::from_secs(1), "stopping took {:?}", began.elapsed());
    let committed: i64 =
        offsets(&bootstrap, &format!("connect-{name}"), &topic, 4).iter().map(|(offset, _)| offset.unwrap_or(0)).sum();
    assert_eq!(committed, 1000);

    // What is written meanwhile cannot be committed, and nobody waits for long for that.
    let (first, second) = (start(0), start(1));
    produce(&producer, &topic, records(1000..2000)).await;
    eventually("the next records are written", LIMIT, || written(2000)).await;
    assert_eq!(store.log.lock().unwrap().len(), 2000, "nothing is written twice");
    let third = worker.start(spec(&bootstrap, &name, 2, 3, &pairs));
    tokio::time::sleep(MIDDLE).await;
    store.slow_ms.store(50, Ordering::SeqCst);
    produce(&producer, &topic, records(2000..3000)).await;
    let began = Instant::now();
    tokio::join!(first.stop(), second.stop(), third.stop());
    assert!(began.elapsed() < Duration::from_secs(3), "stopping took {:?}", began.elapsed());

    let successors = [start(0), start(1)];
    eventually("all is written", LIMIT, || written(3000)).await;
    for task in successors {
        task.stop().await;
    }
    eventually("no consumer stays behind", LIMIT, || poll_threads() == 0).await;
    delete_topic(&bootstrap, &topic).await;
}
