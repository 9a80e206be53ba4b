//! The primary of a replica set is killed, and another steps down, while records flow into it: nothing is lost, no task fails.

use std::time::Duration;

use millrace_tests::kafka::{create_topic, produce, wait_drained};
use millrace_tests::replica_set::ReplicaSet;
use millrace_tests::standalone::Standalone;
use millrace_tests::stores::{mongodb_connector, mongodb_state_at};
use millrace_tests::unique;
use millrace_tests::workload::{FIELDS, Workload, differences};

const LIMIT: Duration = Duration::from_secs(90);

/// Failovers while records flow: two, or as many as `FAILOVERS` says (`make failover`).
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_fails_under_load_loses_nothing() {
    let rounds: usize = std::env::var("FAILOVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let topic = unique("failover");
    create_topic(&topic, 4).await;
    let millrace = Standalone::start().await;
    let mut set = ReplicaSet::start().await;
    let connector = unique("mongodb");
    let mut config = mongodb_connector(&topic, &topic, 2);
    config["connection.uri"] = set.uri().into();
    let rest = millrace.rest();
    rest.create(&connector, config).await;
    rest.wait_state(&connector, "RUNNING", 2, LIMIT).await;
    let mut workload = Workload::new(23, 500);
    for round in 0..rounds {
        produce(&topic, &workload.take(5_000));
        // In the middle of what was just produced, or while it is already on its way: both must do.
        if round.is_multiple_of(2) {
            let killed = set.kill_primary().await;
            produce(&topic, &workload.take(5_000));
            set.primary().await;
            set.restart(killed);
        } else {
            set.step_down().await;
            produce(&topic, &workload.take(5_000));
        }
        wait_drained(&connector, &topic, LIMIT).await;
        let status = rest.status(&connector).await.unwrap();
        assert!(!status.to_string().contains("FAILED"), "{status}");
    }
    let found = mongodb_state_at(&set.uri(), &topic, "stock").await.unwrap();
    assert_eq!(differences(&workload.expected, &found, FIELDS), Vec::<String>::new());
}
