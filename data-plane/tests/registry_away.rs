//! A sink whose schema registry cannot be reached: it waits, says so, can be stopped, and goes on. Against a real Kafka and a real
//! registry.

#![allow(clippy::unwrap_used)] // a test may

mod support;

use std::time::Duration;

use millrace_data_plane::model::TaskState;
use serde_json::{Value as Json, json};
use support::*;
use tokio::net::{TcpListener, TcpStream};

const SCHEMA: &str = r#"{"type":"record","name":"Order","fields":[{"name":"n","type":"long"}]}"#;

/// Registers the schema; answers its id.
async fn register(registry: &str, subject: &str) -> u32 {
    let url = format!("{registry}/subjects/{subject}/versions");
    let answer = reqwest::Client::new().post(url).json(&json!({"schema": SCHEMA})).send().await.unwrap();
    let answer: Json = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
}

/// Lets connections to an address through to the registry from now on.
async fn open_the_way(address: &str, host: String) {
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect(&host).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_away_is_waited_for_and_a_task_that_waits_can_be_stopped() {
    let (Some(bootstrap), Some(registry)) = (bootstrap(), millrace_sdk::testing::server("SCHEMA_REGISTRY_URL")) else {
        return;
    };
    let (name, topic) = (unique("away"), unique("away-topic"));
    create_topic(&bootstrap, &topic, 3).await;
    let id = register(&registry, &format!("{topic}-value")).await;
    // Confluent's frame, then the number in zig-zag
    let record = |n: u8| (format!("k{n}"), [&[0], &id.to_be_bytes()[..], &[n * 2]].concat());
    produce(&producer(&bootstrap), &topic, (0..30).map(record)).await;
    let (host, path) = registry.trim_start_matches("http://").split_once('/').unwrap();
    // A port that nobody listens at
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{address}/{path}");
    let pairs = [
        ("topics", topic.as_str()),
        ("key.converter", "string"),
        ("value.converter", "avro"),
        ("value.converter.schema.registry.url", url.as_str()),
    ];
    let store = store(&name);
    let mut worker = surroundings();
    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    worker.wait_for_warning("records wait").await;
    tokio::time::timeout(Duration::from_secs(10), task.stop()).await.expect("it does not wait any longer");
    worker.wait_for(TaskState::Stopped).await;

    let task = worker.start(spec(&bootstrap, &name, 0, 1, &pairs));
    let told = worker.wait_for_warning("records wait").await;
    assert!(told.warnings.iter().any(|warning| warning.contains(&address)), "{:?}", told.warnings);
    assert!(store.rows.lock().unwrap().is_empty());
    open_the_way(&address, host.to_owned()).await;
    let group = format!("connect-{name}");
    eventually("everything is committed", Duration::from_secs(60), || {
        offsets(&bootstrap, &group, &topic, 3).iter().all(|(committed, end)| *committed == Some(*end))
    })
    .await;
    assert_eq!(store.rows.lock().unwrap().len(), 30);
    task.stop().await;
    let mut last = worker.wait_for(TaskState::Stopped).await;
    while let Ok(status) = worker.statuses.try_recv() {
        last = status;
    }
    assert!(last.warnings.is_empty(), "{:?}", last.warnings);
    delete_topic(&bootstrap, &topic).await;
}
