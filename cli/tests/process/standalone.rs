//! `millrace standalone`: ready at once, keeps what it was told, ends when asked.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{READY_WITHIN, Standalone, millrace};

const END_WITHIN: Duration = Duration::from_secs(15);

async fn text(url: &str) -> String {
    reqwest::get(url).await.expect("an answer").text().await.expect("a body")
}

async fn json(url: &str) -> Value {
    serde_json::from_str(&text(url).await).expect("JSON")
}

#[tokio::test]
async fn it_serves_at_once_and_ends_on_sigterm() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut standalone = Standalone::start(directory.path(), &[]);
    assert!(standalone.ready_after < READY_WITHIN, "ready after {:?}", standalone.ready_after);

    let root = json(&standalone.rest).await;
    for key in ["version", "commit", "kafka_cluster_id"] {
        assert!(root[key].is_string(), "{root}");
    }
    let metrics = text(&format!("{}/metrics", standalone.metrics)).await;
    for name in ["millrace_build_info", "process_memory_usage", "process_cpu_time"] {
        assert!(metrics.contains(name), "{name} is missing:\n{metrics}");
    }
    assert!(text(&format!("{}/health", standalone.metrics)).await.contains("ok"));

    for file in ["secrets.key", "store"] {
        let mode = std::fs::metadata(directory.path().join("data").join(file)).expect(file).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} can be read by others");
    }
    standalone.signal("TERM");
    assert!(standalone.wait(END_WITHIN).success());
}

#[tokio::test]
async fn the_client_commands_work_against_it_and_definitions_survive() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let connector = directory.path().join("copy.json");
    // Paused, so that it needs no broker.
    let definition = serde_json::json!({
        "name": "copy",
        "config": {
            "connector.class": "FileStreamSink",
            "topics": "lines",
            "file": directory.path().join("out.txt"),
        },
        "initial_state": "STOPPED",
    });
    std::fs::write(&connector, definition.to_string()).expect("written");
    let file = connector.to_str().expect("UTF-8");

    let standalone = Standalone::start(directory.path(), &["--bootstrap-servers", "127.0.0.1:1"]);
    let client = |server: &str, arguments: &[&str]| {
        let output = millrace().args(arguments).env("MILLRACE_SERVER", server).output().expect("the binary runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let grpc = standalone.grpc.clone();
    let (code, out, err) = client(&grpc, &["apply", "-f", file]);
    assert_eq!((code, out.as_str()), (Some(0), "connector copy created\n"), "{err}");
    let (code, out, err) = client(&grpc, &["apply", "-f", file]);
    assert_eq!((code, out.as_str()), (Some(0), "connector copy unchanged\n"), "{err}");
    let (code, out, err) = client(&grpc, &["get", "connector", "copy", "-o", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((&shown["name"], &shown["config"]["topics"]), (&Value::from("copy"), &Value::from("lines")));
    let again = directory.path().join("again.json");
    std::fs::write(&again, shown.to_string()).expect("written");
    let (code, out, err) = client(&grpc, &["apply", "-f", again.to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str()), (Some(0), "connector copy unchanged\n"), "{err}");
    let (code, out, err) = client(&grpc, &["get", "plugins"]);
    assert!(code == Some(0) && out.contains("mongodb-sink"), "{out}{err}");
    let secretive = directory.path().join("secretive.properties");
    let text = "name=secretive\nconnector.class=mongodb-sink\ntopics=a\nconnection.uri=mongodb://u:hunter2@127.0.0.1:1/?serverSelectionTimeoutMS=100\n\
                database=d\nmillrace.check.on.create=false\n";
    std::fs::write(&secretive, text).expect("written");
    let (code, _, err) = client(&grpc, &["apply", "-f", secretive.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "{err}");
    let (_, out, err) = client(&grpc, &["get", "connector", "secretive", "-o", "json"]);
    assert!(out.contains("***") && !format!("{out}{err}").contains("hunter2"), "{out}{err}");
    std::fs::write(&again, out).expect("written");
    let (code, out, err) = client(&grpc, &["apply", "-f", again.to_str().expect("UTF-8")]);
    assert_eq!((code, out.as_str()), (Some(0), "connector secretive unchanged\n"), "{err}");
    let (code, _, err) = client(&grpc, &["delete", "secretive", "--wait"]);
    assert_eq!(code, Some(0), "{err}");
    let (code, out, err) = client(&grpc, &["describe", "connector", "copy"]);
    assert!(code == Some(0) && out.contains("topics = lines"), "{out}{err}");
    let (code, _, err) = client(&grpc, &["pause", "none"]);
    assert!(code == Some(1) && err.contains("cannot pause connector none"), "{err}");

    drop(standalone); // kill -9
    let standalone = Standalone::start(directory.path(), &[]);
    let (code, out, err) = client(&standalone.grpc, &["get", "c"]);
    assert!(code == Some(0) && out.contains("copy"), "{out}{err}");
    let (code, out, err) = client(&standalone.grpc, &["delete", "copy", "--wait"]);
    assert_eq!((code, out.as_str()), (Some(0), "connector copy deleted\n"), "{err}");
    assert_eq!(json(&format!("{}/connectors", standalone.rest)).await, serde_json::json!([]));
}

#[tokio::test]
async fn a_refused_connector_ends_the_process_with_its_reason() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("wrong.properties");
    std::fs::write(&file, "name=wrong\nconnector.class=mongodb-snik\ntopics=a\n").expect("written");
    let output = millrace()
        .current_dir(directory.path())
        .args([
            "standalone",
            "--grpc-listen",
            "127.0.0.1:0",
            "--rest-listen",
            "127.0.0.1:0",
            "--metrics-listen",
            "127.0.0.1:0",
        ])
        .arg(&file)
        .output()
        .expect("the binary runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("cannot create connector wrong") && err.contains("mongodb-snik"), "{err}");
}
