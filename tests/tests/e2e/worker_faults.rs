//! What happens when a worker dies or freezes in mid-stream: nothing is lost, the newest value wins, and the records of its
//! partitions are written again soon. Time limits are three times the promise of 10 s; the promise itself is benchmarked.

use std::time::{Duration, Instant};

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{Feed, Produced, committed, create_topic, produce, wait_drained};
use millrace_tests::stores::{mongodb_connector, mongodb_state};
use millrace_tests::unique;
use millrace_tests::wait::{eventually, throughout};
use millrace_tests::workload::{FIELDS, Workload, differences};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const TAKEOVER: Duration = Duration::from_secs(30);
const PARTITIONS: i32 = 4;

struct Scenario {
    cluster: Cluster,
    topic: String,
    connector: String,
    workload: Workload,
}

impl Scenario {
    /// Two workers, one connector of two tasks (one on each), and some records written already.
    async fn start() -> Self {
        let topic = unique("faults");
        create_topic(&topic, PARTITIONS).await;
        let cluster = Cluster::start(1, 2).await;
        let connector = unique("mongodb");
        cluster.rest().create(&connector, mongodb_connector(&topic, &topic, 2)).await;
        let status = cluster.rest().wait_state(&connector, "RUNNING", 2, LIMIT).await;
        assert_ne!(
            status["tasks"][0]["worker_id"], status["tasks"][1]["worker_id"],
            "one task on each worker: {status}"
        );
        let mut workload = Workload::new(7, 300);
        produce(&topic, &workload.take(2_000));
        let scenario = Self { cluster, topic, connector, workload };
        wait_drained(&scenario.connector, &scenario.topic, LIMIT).await;
        scenario
    }

    /// Sends `count` events while the fault happens, then waits until a marker in each partition has been written; answers
    /// how long that took.
    async fn stream_and_mark(&mut self, count: usize) -> Duration {
        let feed = Feed::new(&self.topic);
        for event in self.workload.take(count) {
            feed.send(&event);
        }
        // Enough different keys to reach every partition.
        for n in 0..64 {
            let (sku, warehouse) = (format!("marker-{n}"), self.connector.clone());
            let key = json!({"sku": sku, "warehouse": warehouse});
            let value = json!({"sku": sku, "warehouse": warehouse, "quantity": n, "reserved": 0, "price": 1.5,
                "name": "marker", "updated_at": 1});
            feed.send(&Produced { key: Some(key.to_string()), value: Some(value.to_string()), timestamp_ms: 1 });
            self.workload.expected.insert((sku, warehouse), value);
        }
        feed.flush();
        let started = Instant::now();
        eventually("all markers written", TAKEOVER, || async {
            let state = mongodb_state(&self.topic, "stock").await?;
            let missing =
                (0..64).filter(|n| !state.contains_key(&(format!("marker-{n}"), self.connector.clone()))).count();
            if missing == 0 { Ok(()) } else { Err(format!("{missing} of 64 markers are missing")) }
        })
        .await;
        started.elapsed()
    }

    async fn assert_all_written(&self) {
        wait_drained(&self.connector, &self.topic, LIMIT).await;
        let found = mongodb_state(&self.topic, "stock").await.unwrap();
        assert_eq!(differences(&self.workload.expected, &found, FIELDS), Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_loses_nothing_and_is_replaced() {
    let mut scenario = Scenario::start().await;
    produce(&scenario.topic, &scenario.workload.take(3_000));
    scenario.cluster.worker(0).kill_9();
    let gap = scenario.stream_and_mark(3_000).await;
    println!("records of the killed worker's partitions were written again after {gap:.1?}");
    scenario.assert_all_written().await;
    scenario.cluster.rest().wait_state(&scenario.connector, "RUNNING", 2, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_is_replaced_and_commits_nothing_when_it_thaws() {
    let mut scenario = Scenario::start().await;
    produce(&scenario.topic, &scenario.workload.take(3_000));
    scenario.cluster.worker(0).signal("STOP");
    let gap = scenario.stream_and_mark(3_000).await;
    println!("records of the frozen worker's partitions were written again after {gap:.1?}");
    wait_drained(&scenario.connector, &scenario.topic, LIMIT).await;

    let group = format!("connect-{}", scenario.connector);
    let before = committed(&group, &scenario.topic).await;
    scenario.cluster.worker(0).signal("CONT");
    throughout("the thawed worker commits no offset", Duration::from_secs(8), || async {
        let now = committed(&group, &scenario.topic).await;
        if now == before { Ok(()) } else { Err(format!("offsets went from {before:?} to {now:?}")) }
    })
    .await;
    produce(&scenario.topic, &scenario.workload.take(2_000));
    scenario.assert_all_written().await;
    scenario.cluster.rest().wait_state(&scenario.connector, "RUNNING", 2, LIMIT).await;
}
