//! Memory is bounded by bytes, whatever the store does: ten tasks whose store is frozen, and records of a megabyte, many more
//! of them than the tasks may hold.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{Feed, Produced, create_topic, wait_drained};
use millrace_tests::stores::mongodb_connector;
use millrace_tests::unique;
use millrace_tests::wait::{eventually, throughout};

const LIMIT: Duration = Duration::from_secs(120);
const TASKS: usize = 10;
const PARTITIONS: i32 = 20;
const RECORDS: usize = 320;
const RECORD_KIB: usize = 900;
/// `millrace.buffer.memory` of each task: half for librdkafka's queues, half for batches
const BUDGET_KIB: u64 = 8 * 1024;
/// What a worker takes with ten tasks that have nothing to do
const IDLE_KIB: u64 = 50 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn ten_tasks_with_large_records_and_a_frozen_store_stay_within_their_budgets() {
    let (topic, connector) = (unique("large"), unique("mongodb"));
    create_topic(&topic, PARTITIONS).await;
    let mut cluster = Cluster::start(1, 1).await;
    let mongod = cluster.start_mongod();
    let rest = cluster.rest();
    let mut config = mongodb_connector(&topic, &topic, TASKS);
    config["connection.uri"] = mongod.uri().into();
    config["millrace.buffer.memory"] = (BUDGET_KIB * 1024).into();
    rest.create(&connector, config).await;
    rest.wait_state(&connector, "RUNNING", TASKS, LIMIT).await;

    mongod.freeze();
    let feed = Feed::new(&topic);
    let filler = "x".repeat(RECORD_KIB * 1024);
    for number in 0..RECORDS {
        let value = format!("{{\"_id\":{number},\"filler\":\"{filler}\"}}");
        feed.send(&Produced { key: Some(format!("k{number}")), value: Some(value), timestamp_ms: 0 });
    }
    feed.flush();

    // What is being written exists twice more: as the store wants it, and on its way into the socket.
    let bound = IDLE_KIB + TASKS as u64 * (BUDGET_KIB + 2 * BUDGET_KIB / 2);
    let all = (RECORDS * RECORD_KIB) as u64;
    assert!(all > bound, "the records would fit: this would prove nothing");
    let mut most = 0;
    throughout("memory is bounded while the store is frozen", Duration::from_secs(15), || {
        let (rss, _) = cluster.worker(0).footprint();
        most = most.max(rss);
        let answer = if rss < bound { Ok(()) } else { Err(format!("{} of {} MiB", rss / 1024, bound / 1024)) };
        async move { answer }
    })
    .await;
    println!("most memory while frozen: {} MiB; bound {} MiB, records {} MiB", most / 1024, bound / 1024, all / 1024);

    mongod.thaw();
    wait_drained(&connector, &topic, LIMIT).await;
    rest.wait_state(&connector, "RUNNING", TASKS, LIMIT).await;
    eventually("what is no longer used is given back", LIMIT, || {
        let (rss, _) = cluster.worker(0).footprint();
        let answer = if rss < bound / 2 { Ok(()) } else { Err(format!("{} MiB", rss / 1024)) };
        async move { answer }
    })
    .await;
}
