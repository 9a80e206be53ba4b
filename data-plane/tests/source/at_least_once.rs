//! At least once: stops, pauses, leases, records that cannot be encoded.

use std::time::Duration;

use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::model::{TaskSpec, TaskState};
use tokio::time::Instant;

use crate::counting::{LIMIT, Names, around, numbers, reaches, read_all};
use crate::support::bootstrap;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_records_arrive_once_over_a_stop_and_a_restart() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let task = around.start(names.spec(&[("limit", "4000")]));
    around.wait_for(TaskState::Running).await;
    reaches(&names, 4000).await;
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    // A stop in good order in the middle stores exactly what is produced.
    let task = around.start(names.spec(&[("limit", "10000"), ("offset.flush.interval.ms", "3600000")]));
    around.wait_for(TaskState::Running).await;
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    let task = around.start(names.spec(&[("limit", "10000")]));
    around.wait_for(TaskState::Running).await;
    reaches(&names, 10_000).await;
    task.stop().await;
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    assert_eq!(numbers.len(), 10_000, "nothing is lost");
    assert!(numbers.values().all(|times| *times == 1), "stops in good order produce nothing twice");
    for (key, _) in read_all(&names.bootstrap, &names.offsets).await {
        assert_eq!(String::from_utf8(key).unwrap(), format!("[\"{}\",{{\"counter\":\"c\"}}]", names.connector));
    }
    names.clean().await;
}

/// librdkafka, an implementation of its own, reads what was packed.
#[tokio::test(flavor = "multi_thread")]
async fn batches_of_every_codec_and_size_arrive() {
    let Some(bootstrap) = bootstrap() else { return };
    let each = ["gzip", "snappy", "lz4", "zstd", "none"].map(|codec| (codec, Names::new(bootstrap.clone()))).map(
        |(codec, names)| async move {
            let mut around = around();
            let mut settings = vec![("limit", "3000"), ("producer.override.compression.type", codec)];
            if codec == "none" {
                // Neither numbered nor confirmed by all, a few records at a time
                settings.push(("producer.override.acks", "1"));
                settings.push(("producer.override.enable.idempotence", "false"));
                settings.push(("producer.override.batch.size", "500"));
                settings.push(("producer.override.linger.ms", "0"));
            }
            let task = around.start(names.spec(&settings));
            around.wait_for(TaskState::Running).await;
            reaches(&names, 3000).await;
            task.stop().await;
            let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
            assert!(numbers.len() == 3000 && numbers.values().all(|times| *times == 1), "{codec}");
            names.clean().await;
        },
    );
    futures::future::join_all(each).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_records_fail_the_task_or_are_skipped_as_told() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let task = around.start(names.spec(&[("limit", "500"), ("poison", "100")]));
    let failed = loop {
        let status = tokio::time::timeout(LIMIT, around.statuses.recv()).await.unwrap().unwrap();
        if status.state == TaskState::Failed {
            break status;
        }
    };
    assert_eq!(failed.error_kind, "bad-record");
    assert!(failed.trace.contains(&names.topic), "{}", failed.trace);
    task.stop().await;
    let task = around.start(names.spec(&[("limit", "500"), ("poison", "100"), ("errors.tolerance", "all")]));
    around.wait_for(TaskState::Running).await;
    reaches(&names, 500).await;
    task.stop().await;
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    assert_eq!(numbers.len(), 495);
    assert!(numbers.keys().all(|n| n % 100 != 0));
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_holds_still_and_without_a_lease_nothing_is_produced() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let paused = TaskSpec { paused: true, ..names.spec(&[("limit", "100")]) };
    let task = around.start(paused);
    around.wait_for(TaskState::Paused).await;
    task.set_paused(false);
    around.wait_for(TaskState::Running).await;
    reaches(&names, 100).await;
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    // The lease is over, and nobody has noticed yet: as after a thaw.
    around.lease.send_replace(LeaseState::Live { until: Instant::now() });
    let task = around.start(names.spec(&[("limit", "200")]));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(read_all(&names.bootstrap, &names.topic).await.len(), 100);
    around.lease.send_replace(LeaseState::Live { until: Instant::now() + Duration::from_secs(3600) });
    around.wait_for(TaskState::Running).await;
    reaches(&names, 200).await;
    task.stop().await;
    names.clean().await;
}
