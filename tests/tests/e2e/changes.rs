//! A running connector whose definition changes.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::{Produced, create_topic, produce};
use millrace_tests::unique;
use millrace_tests::wait::eventually;
use reqwest::StatusCode;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

fn line(text: &str) -> Produced {
    Produced { key: None, value: Some(text.to_owned()), timestamp_ms: 1_700_000_000_000 }
}

/// A line may be written again after a change, into whatever file there is by then: those of `again`. A change in the middle of a
/// rebalance may come before an offset could be committed.
async fn wait_lines(file: &str, expected: &[&str], again: &[&str]) {
    eventually("the lines in the file", LIMIT, || async {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let mut lines: Vec<&str> = text.lines().filter(|line| !again.contains(line)).collect();
        lines.sort_unstable();
        lines.dedup();
        if lines == expected { Ok(()) } else { Err(format!("{lines:?} instead of {expected:?}")) }
    })
    .await;
}

/// The broker does not look again at what a static member subscribes to that comes back: a change of topics must not be
/// missed, whatever the number of tasks was and is.
#[tokio::test(flavor = "multi_thread")]
async fn changed_topics_are_read_and_former_ones_are_not() {
    let cluster = Cluster::start_with_file_connectors(1, 1).await;
    let (first, second, name) = (unique("first"), unique("second"), unique("changes"));
    create_topic(&first, 2).await;
    create_topic(&second, 2).await;
    let configure = async |topics: &str, tasks: &str, file: &str| {
        let config = json!({
            "connector.class": "FileStreamSink", "topics": topics, "tasks.max": tasks, "file": file,
            "key.converter": "string", "value.converter": "string",
        });
        let answer = cluster.rest().call("PUT", &format!("/connectors/{name}/config"), Some(config)).await;
        assert!(matches!(answer.status, StatusCode::CREATED | StatusCode::OK), "{}", answer.body);
    };
    let files = ["1.txt", "2.txt", "3.txt"].map(|file| cluster.scratch_file(file));

    produce(&first, &[line("a1")]);
    configure(&first, "2", &files[0]).await;
    wait_lines(&files[0], &["a1"], &[]).await;

    configure(&second, "1", &files[1]).await;
    produce(&second, &[line("b1")]);
    wait_lines(&files[1], &["b1"], &[]).await;
    produce(&first, &[line("a2")]);
    produce(&second, &[line("b2")]);
    wait_lines(&files[1], &["b1", "b2"], &[]).await;

    configure(&format!("{first},{second}"), "3", &files[2]).await;
    produce(&second, &[line("b3")]);
    wait_lines(&files[2], &["a2", "b3"], &["a1", "b1", "b2"]).await;
    wait_lines(&files[0], &["a1"], &[]).await;
}
