//! Worker sessions.

use std::time::Duration;

use millrace_control_plane::store::{Store, keys};
use tokio::sync::mpsc;
use tonic::Code;
use tonic::transport::Channel;

use crate::support::{FakeWorker, Plane, TOKEN, open, register, task_state};

const CONFIG: &str = r#"{"connector.class":"FileStreamSink","topics":"a"}"#;

#[tokio::test]
async fn without_the_token_no_session() {
    let plane = Plane::start().await;
    let address = plane.control.sessions_address().unwrap();
    let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let (_out, requests) = mpsc::channel(1);
    assert_eq!(open(channel.clone(), "guess", requests).await.unwrap_err().code(), Code::Unauthenticated);
    let (out, requests) = mpsc::channel(1);
    out.send(register("", "a")).await.unwrap();
    let mut nameless = open(channel, TOKEN, requests).await.unwrap();
    assert_eq!(nameless.message().await.unwrap_err().code(), Code::InvalidArgument);
    plane.end().await;
}

#[tokio::test]
async fn a_worker_in_the_same_process_needs_no_socket() {
    let plane = Plane::start().await;
    let worker = FakeWorker::start(plane.control.local_session_channel(), "local", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("c", CONFIG).await;
    plane.until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING").await;
    worker.leave().await;
    plane.end().await;
}

#[tokio::test]
async fn a_newer_process_takes_the_tasks_over() {
    let plane = Plane::start().await;
    let first = FakeWorker::connect(&plane, "w", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("c", CONFIG).await;
    plane.until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING").await;
    let second = FakeWorker::connect(&plane, "w", "b").await;
    assert_eq!(first.ended().await.unwrap_err().code(), Code::FailedPrecondition);
    plane
        .until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING" && !second.tasks.lock().unwrap().is_empty())
        .await;
    let back = FakeWorker::connect(&plane, "w", "a").await;
    assert_eq!(back.ended().await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(second.tasks.lock().unwrap().len(), 1);
    plane.end().await;
}

#[tokio::test]
async fn tasks_move_when_a_worker_leaves_or_vanishes() {
    let plane = Plane::start().await;
    let first = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("c", CONFIG).await;
    let on = |port: &'static str| {
        move |s: &serde_json::Value| task_state(s, 0) == "RUNNING" && s["tasks"][0]["worker_id"] == port
    };
    plane.until("/connectors/c/status", on("10.0.0.1:9002")).await;
    let second = FakeWorker::connect(&plane, "w22", "a").await;
    first.leave().await;
    plane.until("/connectors/c/status", on("10.0.0.1:9003")).await;
    let third = FakeWorker::connect(&plane, "w333", "a").await;
    second.vanish();
    plane.until("/connectors/c/status", on("10.0.0.1:9004")).await;
    assert_eq!(third.tasks.lock().unwrap().len(), 1);
    third.leave().await;
    plane
        .until("/connectors/c/status", |s| task_state(s, 0) == "UNASSIGNED" && s["connector"]["state"] == "UNASSIGNED")
        .await;
    plane.end().await;
}

/// A process that was killed while a task of it was to stop: the next one never heard of the task, so the session confirms.
#[tokio::test]
async fn a_stop_that_no_process_can_confirm_is_confirmed() {
    let plane = Plane::start().await;
    let first = FakeWorker::connect(&plane, "w", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("c", CONFIG).await;
    plane.until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING").await;
    first.vanish();
    assert_eq!(plane.call("PUT", "/connectors/c/stop", None).await.0, 204);
    let key = "/millrace/v1/tenants/default/connectors/c/task/0";
    let placement = async || {
        let entry = plane.store.get(key).await.unwrap().expect("placed");
        serde_json::from_slice::<serde_json::Value>(&entry.value).unwrap()
    };
    let until = async |wanted: fn(&serde_json::Value) -> bool| {
        for _ in 0..400 {
            if wanted(&placement().await) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("not as wanted: {}", placement().await);
    };
    until(|placement| placement["revoking"] == true).await;
    let second = FakeWorker::connect(&plane, "w", "b").await;
    until(|placement| placement["worker"].is_null()).await;
    second.leave().await;
    plane.end().await;
}

#[tokio::test]
async fn sources_are_planned_by_a_worker() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("s", r#"{"connector.class":"FileStreamSource","topics":"t","tasks.max":"3"}"#).await;
    plane.until("/connectors/s/status", |s| task_state(s, 2) == "RUNNING" && s["type"] == "source").await;
    assert_eq!(worker.tasks.lock().unwrap()[&("s".to_owned(), 2)].task_config["part"], "2");
    // A plan that fails keeps the tasks, with their configuration, and says why.
    let bad = r#"{"file":"/unplannable"}"#;
    assert_eq!(plane.call("PATCH", "/connectors/s/config", Some(bad)).await.0, 200);
    let failed = plane.until("/connectors/s/status", |s| s["connector"]["state"] == "FAILED").await;
    assert_eq!((failed["connector"]["trace"].as_str(), task_state(&failed, 2)), (Some("no such file"), "RUNNING"));
    assert!(!worker.tasks.lock().unwrap()[&("s".to_owned(), 0)].config.contains_key("file"));
    let good = r#"{"file":"/plannable","tasks.max":"1"}"#;
    assert_eq!(plane.call("PATCH", "/connectors/s/config", Some(good)).await.0, 200);
    plane
        .until("/connectors/s/status", |s| {
            s["connector"]["state"] == "RUNNING"
                && s["tasks"].as_array().unwrap().len() == 1
                && task_state(s, 0) == "RUNNING"
        })
        .await;
    assert_eq!(worker.tasks.lock().unwrap()[&("s".to_owned(), 0)].config["file"], "/plannable");
    plane.end().await;
}

#[tokio::test]
async fn reports_keep_the_worker_listed() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    for _ in 0..400 {
        if *worker.acks.lock().unwrap() > 40 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    // More than one lease has passed.
    assert!(*worker.acks.lock().unwrap() > 40);
    assert!(plane.store.get(&keys::worker("w1")).await.unwrap().is_some());
    worker.leave().await;
    for _ in 0..100 {
        if plane.store.get(&keys::worker("w1")).await.unwrap().is_none() {
            return plane.end().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("a worker that left is still listed");
}

#[tokio::test]
async fn a_session_outlives_trouble_with_the_store() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("c", CONFIG).await;
    plane.until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING").await;
    let generation = || worker.tasks.lock().unwrap().values().next().map(|spec| spec.generation);
    let before = generation();
    let acks = || *worker.acks.lock().unwrap();

    plane.store.away(true);
    assert_eq!(plane.call("GET", "/connectors", None).await.0, 503);
    // One prolongation may have been under way.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let while_away = acks();
    // Longer than any lease: the worker's entry is gone when the store comes back.
    tokio::time::sleep(Duration::from_millis(2000)).await;
    assert_eq!(acks(), while_away, "a report was acknowledged although the lease could not be prolonged");
    assert_eq!(generation(), before);

    plane.store.away(false);
    plane.until("/connectors/c/status", |s| task_state(s, 0) == "RUNNING" && acks() > while_away).await;
    assert!(plane.store.get(&keys::worker("w1")).await.unwrap().is_some());
    assert_eq!(generation(), before, "the worker keeps its task as it is");
    plane.end().await;
}
