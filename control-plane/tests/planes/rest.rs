//! Kafka Connect's REST API. The expected statuses and bodies were taken down from Kafka Connect 4.3.1.

use serde_json::json;

use crate::support::{FakeWorker, Plane, SINK, config, task_state};

#[tokio::test]
async fn a_connector_lives_and_dies() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins.as_array().is_some_and(|list| list.len() == 2)).await;

    let body =
        format!(r#"{{"name":" f1 ","config":{{"connector.class":"{SINK}","topics":"a","tasks.max":2,"flag":true}}}}"#);
    let (status, created) = plane.call("POST", "/connectors", Some(&body)).await;
    let stored = json!({"connector.class": SINK, "topics": "a", "tasks.max": "2", "flag": "true", "name": "f1"});
    assert_eq!((status, &created), (201, &json!({"name": "f1", "config": stored, "tasks": [], "type": "sink"})));
    let (status, taken) = plane.call("POST", "/connectors", Some(&body)).await;
    assert_eq!((status, taken), (409, json!({"error_code": 409, "message": "Connector f1 already exists"})));

    let path = "/connectors/f1/status";
    let up = plane.until(path, |s| task_state(s, 0) == "RUNNING" && task_state(s, 1) == "RUNNING").await;
    let task = |id| json!({"id": id, "state": "RUNNING", "worker_id": "10.0.0.1:9002", "version": "0.1.0"});
    let connector = json!({"state": "RUNNING", "worker_id": "10.0.0.1:9002", "version": "0.1.0"});
    assert_eq!(up, json!({"name": "f1", "connector": connector, "tasks": [task(0), task(1)], "type": "sink"}));
    assert_eq!(plane.get("/connectors/f1/tasks/1/status").await, task(1));
    assert_eq!(plane.get("/connectors").await, json!(["f1"]));
    let expanded = plane.get("/connectors?expand=info&expand=status&expand=foo").await;
    assert_eq!(expanded["f1"]["status"], up);
    assert_eq!(
        expanded["f1"]["info"]["tasks"],
        json!([{"connector": "f1", "task": 0}, {"connector": "f1", "task": 1}])
    );
    assert_eq!(plane.get("/connectors/f1/tasks").await[1]["id"], json!({"connector": "f1", "task": 1}));
    assert_eq!(plane.get("/connectors/f1/config").await, stored);
    {
        let tasks = worker.tasks.lock().unwrap();
        let spec = &tasks[&("f1".to_owned(), 0)];
        assert_eq!(spec.config["topics"], "a");
        assert_eq!(spec.tenant_settings["bootstrap.servers"], "kafka:9092");
        assert_eq!((spec.sink, spec.tasks_total, spec.paused), (true, 2, false));
    }

    assert_eq!(plane.call("PUT", "/connectors/f1/pause", None).await.0, 202);
    plane.until(path, |s| task_state(s, 0) == "PAUSED" && s["connector"]["state"] == "PAUSED").await;
    assert_eq!(plane.call("PUT", "/connectors/f1/resume", None).await.0, 202);
    plane.until(path, |s| task_state(s, 0) == "RUNNING").await;
    assert_eq!(plane.call("PUT", "/connectors/f1/stop", None).await.0, 204);
    plane.until(path, |s| s["connector"]["state"] == "STOPPED" && s["tasks"] == json!([])).await;
    assert!(worker.tasks.lock().unwrap().is_empty());
    assert_eq!(plane.get("/connectors/f1/tasks").await, json!([]));
    assert_eq!(plane.call("PUT", "/connectors/f1/resume", None).await.0, 202);
    plane.until(path, |s| task_state(s, 1) == "RUNNING").await;

    assert_eq!(plane.call("DELETE", "/connectors/f1", None).await.0, 204);
    let gone = json!({"error_code": 404, "message": "Connector f1 not found"});
    assert_eq!(plane.call("GET", "/connectors/f1", None).await, (404, gone));
    for _ in 0..400 {
        if worker.tasks.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(worker.tasks.lock().unwrap().is_empty());
    plane.end().await;
}

#[tokio::test]
async fn restarts_raise_the_generation() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("f1", r#"{"connector.class":"FileStreamSink","topics":"a"}"#).await;
    plane.until("/connectors/f1/status", |s| task_state(s, 0) == "RUNNING").await;
    let generation = || worker.tasks.lock().unwrap().get(&("f1".to_owned(), 0)).map_or(0, |spec| spec.generation);
    let before = generation();
    assert_eq!(plane.call("POST", "/connectors/f1/tasks/0/restart", None).await.0, 204);
    plane.until("/connectors/f1/status", |s| task_state(s, 0) == "RUNNING" && generation() > before).await;
    let before = generation();
    let (status, answer) = plane.call("POST", "/connectors/f1/restart?includeTasks=true", None).await;
    assert_eq!((status, task_state(&answer, 0)), (202, "RESTARTING"));
    plane.until("/connectors/f1/status", |s| task_state(s, 0) == "RUNNING" && generation() > before).await;
    // Nothing has failed, so nothing restarts.
    let path = "/connectors/f1/restart?includeTasks=true&onlyFailed=true";
    assert_eq!(task_state(&plane.call("POST", path, None).await.1, 0), "RUNNING");
    assert_eq!(plane.call("POST", "/connectors/f1/restart", None).await.0, 204);

    plane.create("f2", r#"{"connector.class":"FileStreamSink","topics":"a","file":"/fails"}"#).await;
    let failed = plane.until("/connectors/f2/status", |s| task_state(s, 0) == "FAILED").await;
    assert_eq!(failed["tasks"][0]["trace"], "cannot open /fails");
    plane.end().await;
}

/// Method, path, body, status, part of the message.
const REFUSED: &[(&str, &str, Option<&str>, u16, &str)] = &[
    ("GET", "/nope", None, 404, "HTTP 404 Not Found"),
    ("GET", "/connectors/nope", None, 404, "Connector nope not found"),
    ("GET", "/connectors/nope/status", None, 404, "No status found for connector nope"),
    ("GET", "/connectors/f1/tasks/7/status", None, 404, "No status found for task f1-7"),
    ("GET", "/connectors/f1/tasks/abc/status", None, 404, "HTTP 404 Not Found"),
    ("POST", "/connectors/f1/tasks/7/restart", None, 404, "Unknown task: f1-7"),
    ("POST", "/connectors/nope/restart", None, 404, "Unknown connector: nope"),
    ("PUT", "/connectors/nope/pause", None, 404, "Unknown connector nope"),
    ("DELETE", "/connectors/nope", None, 404, "Connector nope not found"),
    ("PATCH", "/connectors/nope/config", Some("{}"), 404, "Connector nope not found"),
    ("PATCH", "/connectors", None, 405, "HTTP 405 Method Not Allowed"),
    ("POST", "/connectors", None, 500, "no body"),
    ("POST", "/connectors", Some("{\"name\":"), 500, "not JSON"),
    ("POST", "/connectors", Some("[1]"), 500, "an array"),
    ("POST", "/connectors", Some(r#"{"name":"x"}"#), 500, "config"),
    ("POST", "/connectors", Some(r#"{"name":"x","extra":1,"config":{}}"#), 500, "Unrecognized field \"extra\""),
    ("POST", "/connectors", Some(r#"{"name":"x","config":{}}"#), 400, "contains no connector type"),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"Nope"}}"#),
        400,
        "available connectors are: PluginDesc{",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"FileStreamSink"}}"#),
        400,
        "Missing required configuration \"topics\" which has no default value.",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"config":{"connector.class":"FileStreamSink","topics":"a"}}"#),
        400,
        "String may not be empty",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"FileStreamSink","topics":"a","tasks.max":"many"}}"#),
        400,
        "Invalid value many for configuration tasks.max: Not a number of type INT",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"FileStreamSink","topics":"a","n":null}}"#),
        400,
        "Null value can not be supplied",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"FileStreamSink","topics":"a","name":"y"}}"#),
        400,
        "Connector name configuration (y) doesn't match connector name in the URL (x)",
    ),
    (
        "POST",
        "/connectors",
        Some(r#"{"name":"x","config":{"connector.class":"FileStreamSink","topics":"a","file":"/bad"}}"#),
        400,
        "/bad cannot be written to",
    ),
    ("PUT", "/connectors/f1/config", None, 500, "no body"),
    ("PUT", "/connectors/f1/config", Some(r#"{"connector.class":"FileStreamSink","name":"z"}"#), 400, "doesn't match"),
    ("GET", "/connector-plugins/Nope/config", None, 404, "Unknown plugin Nope."),
    (
        "PUT",
        "/connector-plugins/FileStreamSink/config/validate",
        Some(r#"{"connector.class":"FileStreamSource"}"#),
        400,
        "Included connector type FileStreamSource does not match request type FileStreamSink",
    ),
    (
        "PUT",
        "/connector-plugins/Nope/config/validate",
        Some(r#"{"connector.class":"Nope"}"#),
        500,
        "Failed to find any class",
    ),
    ("GET", "/tenants/nobody/connectors", None, 404, "Tenant nobody not found"),
];

#[tokio::test]
async fn a_request_before_the_first_worker_has_registered_waits_for_it() {
    let mut config = config();
    config.times.worker_lease_ms = 10_000;
    config.times.store_lease_ms = 15_000;
    let plane = Plane::start_with(config).await;
    {
        let mut create = std::pin::pin!(plane.create("f1", r#"{"connector.class":"FileStreamSink","topics":"a"}"#));
        let answered = tokio::time::timeout(std::time::Duration::from_millis(200), &mut create).await;
        assert!(answered.is_err(), "it was answered before there was a worker");
        let _worker = FakeWorker::connect(&plane, "w1", "a").await;
        create.await;
    }
    plane.end().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_as_connect_says_it() {
    let plane = Plane::start().await;
    let message =
        plane.call("POST", "/connectors", Some(r#"{"name":"x","config":{"connector.class":"Nope"}}"#)).await.1;
    assert!(message["message"].as_str().unwrap().contains("no worker has registered yet"), "{message}");
    let _worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    plane.create("f1", r#"{"connector.class":"FileStreamSink","topics":"a"}"#).await;
    plane.until("/connectors/f1/status", |s| task_state(s, 0) == "RUNNING").await;
    for (method, path, body, status, part) in REFUSED.iter().copied() {
        let (got, answer) = plane.call(method, path, body).await;
        assert_eq!(got, status, "{method} {path} {body:?}: {answer}");
        assert_eq!(answer["error_code"], json!(status));
        assert!(answer["message"].as_str().unwrap().contains(part), "{method} {path}: {answer}");
    }
    assert_eq!(plane.get("/connectors").await, json!(["f1"]));
    plane.end().await;
}

#[tokio::test]
async fn configurations_change() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let path = "/connectors/a%20b%2Fc/config";
    let config = r#"{"connector.class":"FileStreamSink","topics":"a","file":"x"}"#;
    assert_eq!(plane.call("PUT", path, Some(config)).await.0, 201);
    assert_eq!(plane.call("PUT", path, Some(config)).await.0, 200);
    let (status, answer) = plane.call("PATCH", path, Some(r#"{"file":null,"topics":"b"}"#)).await;
    let wanted = json!({"connector.class": "FileStreamSink", "topics": "b", "name": "a b/c"});
    assert_eq!((status, &answer["config"], &answer["name"]), (200, &wanted, &json!("a b/c")));
    assert_eq!(plane.get(path).await, wanted);
    let topics = || worker.tasks.lock().unwrap().values().next().map(|spec| spec.config["topics"].clone());
    plane
        .until("/connectors/a%20b%2Fc/status", |s| task_state(s, 0) == "RUNNING" && topics().as_deref() == Some("b"))
        .await;
    assert_eq!(plane.call("PUT", "/tenants/acme/connectors/t/config", Some(config)).await.0, 201);
    assert_eq!(plane.get("/tenants/acme/connectors").await, json!(["t"]));
    assert_eq!(plane.get("/connectors").await, json!(["a b/c"]));
    let stopped =
        r#"{"name":"s","initial_state":"stopped","config":{"connector.class":"FileStreamSink","topics":"a"}}"#;
    assert_eq!(plane.call("POST", "/connectors", Some(stopped)).await.0, 201);
    assert_eq!(plane.get("/connectors/s/status").await["connector"]["state"], "STOPPED");
    plane.end().await;
}

#[tokio::test]
async fn validation_has_connects_shape() {
    let plane = Plane::start().await;
    let _worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let body = r#"{"connector.class":"FileStreamSink","topics":"a","tasks.max":"x","connection.password":"hunter2"}"#;
    let (status, answer) = plane.call("PUT", "/connector-plugins/FileStreamSink/config/validate", Some(body)).await;
    assert_eq!((status, &answer["name"], &answer["error_count"]), (200, &json!("FileStreamSink"), &json!(1)));
    assert_eq!(answer["groups"], json!(["Common"]));
    let tasks = answer["configs"].as_array().unwrap().iter().find(|c| c["value"]["name"] == "tasks.max").unwrap();
    assert_eq!(
        tasks,
        &json!({
            "definition": {
                "name": "tasks.max", "type": "INT", "required": false, "default_value": "1", "importance": "HIGH",
                "documentation": "What tasks.max does.", "group": "Common", "order_in_group": 2, "width": "SHORT",
                "display_name": "tasks.max", "dependents": [],
            },
            "value": {
                "name": "tasks.max", "value": "x", "recommended_values": [], "visible": true,
                "errors": ["Invalid value x for configuration tasks.max: Not a number of type INT"],
            },
        })
    );
    assert!(!answer.to_string().contains("hunter2"));
    let keys = plane.get("/connector-plugins/FileStreamSink/config").await;
    assert_eq!(keys[0]["name"], "connector.class");
    let root = plane.get("/").await;
    assert!(root["version"].is_string() && root["commit"].is_string());
    assert_eq!(root["kafka_cluster_id"], "unknown", "none is invented");
    plane.until("/health", |health| health["status"] == "healthy").await;
    plane.end().await;
}

#[tokio::test]
async fn secrets_are_masked_and_sealed() {
    let plane = Plane::start().await;
    let worker = FakeWorker::connect(&plane, "w1", "a").await;
    plane.until("/connector-plugins", |plugins| plugins[0].is_object()).await;
    let config = r#"{"connector.class":"FileStreamSink","topics":"a","connection.password":"hunter2",
        "connection.uri":"mongodb://u:swordfish@h/db","consumer.override.sasl.jaas.config":"x password=\"opensesame\";",
        "other.password":"${file:/run/db:pw}"}"#;
    plane.create("s", config).await;
    let shown = plane.get("/connectors/s/config").await;
    assert_eq!(shown["connection.password"], "***");
    assert_eq!(shown["connection.uri"], "mongodb://u:***@h/db");
    assert_eq!(shown["consumer.override.sasl.jaas.config"], "***");
    assert_eq!(shown["other.password"], "${file:/run/db:pw}");
    plane.until("/connectors/s/status", |s| task_state(s, 0) == "RUNNING").await;
    // A task is away for a moment while a new set takes over.
    let secret = |key: &str| {
        let tasks = worker.tasks.lock().unwrap();
        tasks.get(&("s".to_owned(), 0)).map_or_else(String::new, |spec| spec.config[key].clone())
    };
    assert_eq!(secret("connection.password"), "hunter2");

    // What was shown comes back, with another host and another topic: the secrets stay.
    let back = shown.to_string().replace("@h/db", "@elsewhere/db").replace(r#""topics":"a""#, r#""topics":"b""#);
    assert_eq!(plane.call("PUT", "/connectors/s/config", Some(&back)).await.0, 200);
    plane.until("/connectors/s/status", |s| task_state(s, 0) == "RUNNING" && secret("topics") == "b").await;
    assert_eq!(secret("connection.password"), "hunter2");
    assert_eq!(secret("connection.uri"), "mongodb://u:swordfish@elsewhere/db");
    let refused = r#"{"connector.class":"FileStreamSink","topics":"a","connection.password":"***"}"#;
    assert_eq!(plane.call("PUT", "/connectors/new/config", Some(refused)).await.0, 400);

    let raw = plane.raw().await;
    assert!(raw.contains("sealed:v1:") && raw.contains("${file:/run/db:pw}"));
    for secret in ["hunter2", "swordfish", "opensesame"] {
        assert!(!raw.contains(secret), "{secret} lies open in the store");
        assert!(!plane.get("/connectors?expand=info&expand=status").await.to_string().contains(secret));
        assert!(!plane.get("/connectors/s/tasks").await.to_string().contains(secret));
    }
    plane.end().await;
}

#[tokio::test]
async fn a_token_is_asked_for() {
    let plane = Plane::start_with(millrace_control_plane::ControlPlaneConfig {
        api_token: Some(millrace_sdk::Secret::new("caller")),
        ..config()
    })
    .await;
    assert_eq!(plane.call("GET", "/connectors", None).await.0, 401);
    let url = format!("http://{}/connectors", plane.control.rest_address().unwrap());
    let client = reqwest::Client::new();
    assert_eq!(client.get(&url).bearer_auth("caller").send().await.unwrap().status(), 200);
    assert_eq!(client.post(&url).bearer_auth("caller").body("x").send().await.unwrap().status(), 415);
    plane.end().await;
}
