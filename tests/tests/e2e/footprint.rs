//! What a worker costs when nothing happens. Limits here are three times the promise; the figures are printed.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::create_topic;
use millrace_tests::stores::mongodb_connector;
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_small_and_a_hundred_idle_tasks_are_not_a_thousand_threads() {
    let mut cluster = Cluster::start_with_file_connectors(1, 1).await;
    let topic = unique("idle");
    create_topic(&topic, 1).await;
    let rest = cluster.rest();
    let one = unique("mongodb");
    rest.create(&one, mongodb_connector(&topic, &topic, 1)).await;
    rest.wait_state(&one, "RUNNING", 1, LIMIT).await;
    let (rss_kib, threads) = cluster.worker(0).footprint();
    println!("one idle connector: {} MiB, {threads} threads", rss_kib / 1024);
    assert!(rss_kib < 3 * 50 * 1024, "{rss_kib} KiB");

    for n in 1..100 {
        let file = cluster.scratch_file(&format!("idle-{n}.txt"));
        let config = json!({"connector.class": "FileStreamSink", "topics": topic, "file": file});
        rest.create(&format!("{one}-{n}"), config).await;
    }
    eventually("a hundred running tasks", LIMIT, || async {
        let answer = rest.try_call("GET", "/connectors?expand=status", None).await?;
        let statuses = answer.body.as_object().cloned().unwrap_or_default();
        let running = statuses.values().filter(|c| c["status"]["tasks"][0]["state"] == "RUNNING").count();
        if running == 100 { Ok(()) } else { Err(format!("{running} run")) }
    })
    .await;
    let (rss_kib, threads) = cluster.worker(0).footprint();
    println!("a hundred idle tasks: {} MiB, {threads} threads", rss_kib / 1024);
    assert!(threads < 1000, "{threads} threads");
}
