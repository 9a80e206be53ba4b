//! A store that is away for 20 s slows its tasks down; none fails, nothing is lost. Each scenario runs a mongod of its own,
//! so that no other scenario is disturbed.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{create_topic, produce, wait_drained};
use millrace_tests::stores::{mongodb_connector, mongodb_state_at};
use millrace_tests::unique;
use millrace_tests::wait::throughout;
use millrace_tests::workload::{FIELDS, Workload, differences};

const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread")]
async fn a_store_away_for_20_seconds_costs_nothing_but_time() {
    let topic = unique("away");
    create_topic(&topic, 4).await;
    let cluster = Cluster::start(1, 1).await;
    let mongod = cluster.start_mongod();
    let connector = unique("mongodb");
    let mut config = mongodb_connector(&topic, &topic, 2);
    config["connection.uri"] = mongod.uri().into();
    cluster.rest().create(&connector, config).await;
    cluster.rest().wait_state(&connector, "RUNNING", 2, LIMIT).await;
    let mut workload = Workload::new(17, 200);
    produce(&topic, &workload.take(2_000));
    wait_drained(&connector, &topic, LIMIT).await;

    mongod.kill_9();
    produce(&topic, &workload.take(4_000));
    let rest = cluster.rest();
    throughout("no task fails while the store is away", Duration::from_secs(20), || async {
        let status = rest.status(&connector).await?;
        if status.to_string().contains("FAILED") { Err(status.to_string()) } else { Ok(()) }
    })
    .await;
    mongod.restart();

    wait_drained(&connector, &topic, LIMIT).await;
    rest.wait_state(&connector, "RUNNING", 2, LIMIT).await;
    let found = mongodb_state_at(&mongod.uri(), &topic, "stock").await.unwrap();
    assert_eq!(differences(&workload.expected, &found, FIELDS), Vec::<String>::new());
}
