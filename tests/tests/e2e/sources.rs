//! A source that runs exactly once, with its worker killed in mid-stream: a consumer of committed records sees each line once, in
//! order.

use std::io::Write as _;
use std::time::Duration;

use millrace_tests::cluster::{Cluster, workers_of};
use millrace_tests::kafka::{create_topic, read_committed};
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);
const LINES: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_leaves_each_record_once() {
    let topic = unique("exact");
    create_topic(&topic, 1).await;
    let mut cluster = Cluster::start_with_file_connectors(1, 3).await;
    let path = cluster.scratch_file("lines");
    let mut file = std::fs::File::create(&path).unwrap();
    let mut written = 0;
    let mut write = |count: usize| {
        let text: String = (written..written + count).map(|n| format!("{n}\n")).collect();
        written += count;
        file.write_all(text.as_bytes()).unwrap();
    };
    write(LINES);
    let connector = unique("exact");
    let config = json!({
        "connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "tasks.max": "1",
        "file": path, "topic": topic, "batch.size": "50", "exactly.once.support": "required",
        // A topic of its own: in the tenant's, an open transaction of somebody else's would have to be waited for.
        "offsets.storage.topic": format!("{topic}-offsets"),
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    });
    cluster.rest().create(&connector, config).await;
    let mut before = 0;
    for _ in 0..2 {
        eventually("records come", LIMIT, || async {
            let now = read_committed(&topic).await.len();
            if now > before { Ok(()) } else { Err(format!("still {now}")) }
        })
        .await;
        before = read_committed(&topic).await.len();
        let status = cluster.rest().status(&connector).await.unwrap();
        let worker = workers_of(&status)[0].as_str().unwrap().to_owned();
        let index = cluster.worker_number(&worker);
        cluster.worker(index).kill_9();
        write(LINES);
    }
    eventually("all is there", LIMIT, || async {
        let now = read_committed(&topic).await.len();
        if now >= 3 * LINES { Ok(()) } else { Err(format!("{now} of {}", 3 * LINES)) }
    })
    .await;
    let found: Vec<String> = read_committed(&topic).await.into_iter().filter_map(|record| record.value).collect();
    let expected: Vec<String> = (0..3 * LINES).map(|n| n.to_string()).collect();
    assert!(
        found == expected,
        "{} records, the first that is wrong: {:?}",
        found.len(),
        found.iter().zip(&expected).find(|(found, expected)| found != expected)
    );
}
