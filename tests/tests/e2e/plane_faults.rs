//! The control plane and etcd may go away: running tasks do not notice, sinks run on.

use std::time::{Duration, Instant};

use millrace_tests::cluster::{Cluster, workers_of};
use millrace_tests::kafka::{create_topic, produce, wait_drained};
use millrace_tests::stores::{mongodb_connector, mongodb_state};
use millrace_tests::unique;
use millrace_tests::workload::{FIELDS, Workload, differences};

const LIMIT: Duration = Duration::from_secs(60);

async fn assert_written(topic: &str, workload: &Workload) {
    let found = mongodb_state(topic, "stock").await.unwrap();
    assert_eq!(differences(&workload.expected, &found, FIELDS), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn running_tasks_do_not_notice_the_death_of_the_leader() {
    let topic = unique("leader");
    create_topic(&topic, 4).await;
    let mut cluster = Cluster::start(2, 2).await;
    let connector = unique("mongodb");
    cluster.rest().create(&connector, mongodb_connector(&topic, &topic, 2)).await;
    let before = cluster.rest().wait_state(&connector, "RUNNING", 2, LIMIT).await;
    let mut workload = Workload::new(11, 200);
    produce(&topic, &workload.take(1_000));
    wait_drained(&connector, &topic, LIMIT).await;

    let leader = cluster.leader().await;
    cluster.control_plane(leader).kill_9();
    produce(&topic, &workload.take(3_000));
    wait_drained(&connector, &topic, LIMIT).await;
    assert_written(&topic, &workload).await;

    // The other replica leads and answers; the tasks are where they were, and a new connector is placed.
    let rest = cluster.rest_of(1 - leader);
    let after = rest.wait_state(&connector, "RUNNING", 2, LIMIT).await;
    assert_eq!(workers_of(&before), workers_of(&after), "a running task has moved");
    let second = unique("mongodb");
    rest.create(&second, mongodb_connector(&topic, &unique("second"), 1)).await;
    rest.wait_state(&second, "RUNNING", 1, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_run_on_while_etcd_is_away_for_a_minute() {
    let topic = unique("etcd");
    create_topic(&topic, 4).await;
    let mut cluster = Cluster::start(1, 2).await;
    let connector = unique("mongodb");
    cluster.rest().create(&connector, mongodb_connector(&topic, &topic, 2)).await;
    let before = cluster.rest().wait_state(&connector, "RUNNING", 2, LIMIT).await;
    let mut workload = Workload::new(13, 200);

    cluster.stop_etcd();
    let away = Instant::now();
    while away.elapsed() < Duration::from_secs(60) {
        produce(&topic, &workload.take(500));
        wait_drained(&connector, &topic, LIMIT).await;
        assert_written(&topic, &workload).await;
    }
    cluster.start_etcd();

    let after = cluster.rest().wait_state(&connector, "RUNNING", 2, LIMIT).await;
    assert_eq!(workers_of(&before), workers_of(&after), "a running task has moved");
    produce(&topic, &workload.take(500));
    wait_drained(&connector, &topic, LIMIT).await;
    assert_written(&topic, &workload).await;
    let second = unique("mongodb");
    cluster.rest().create(&second, mongodb_connector(&topic, &unique("second"), 1)).await;
    cluster.rest().wait_state(&second, "RUNNING", 1, LIMIT).await;
}
