//! The twenty commonest calls of the Kafka Connect REST API, made to a real Kafka Connect and to Millrace: status and shape
//! of the body are the same.

use std::time::Duration;

use millrace_tests::cluster::Cluster;
use millrace_tests::kafka::create_topic;
use millrace_tests::rest::{Answer, Rest};
use millrace_tests::wait::eventually;
use millrace_tests::{server, unique};
use serde_json::{Map, Value, json};

const LIMIT: Duration = Duration::from_secs(60);

/// A value with scalars replaced by their type, and lists reduced to the shape of their first element.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("boolean"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(items) => Value::Array(items.first().map(shape).into_iter().collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (k.clone(), shape(v))).collect::<Map<_, _>>())
        }
    }
}

struct Sides {
    connect: Rest,
    millrace: Rest,
}

impl Sides {
    async fn both(&self, method: &str, path: &str, body: Option<&str>) -> (Answer, Answer) {
        let body = body.map(str::to_owned);
        let connect = self.connect.try_call(method, path, body.clone()).await.expect("Connect answers");
        let millrace = self.millrace.try_call(method, path, body).await.expect("Millrace answers");
        (connect, millrace)
    }

    /// The same status and the same shape of the body.
    async fn same(&self, method: &str, path: &str, body: Option<&str>) -> (Answer, Answer) {
        let (connect, millrace) = self.both(method, path, body).await;
        assert_eq!(connect.status, millrace.status, "{method} {path}\nConnect {connect:?}\nMillrace {millrace:?}");
        assert_eq!(
            shape(&connect.body),
            shape(&millrace.body),
            "{method} {path}\nConnect  {}\nMillrace {}",
            connect.body,
            millrace.body
        );
        assert_eq!(connect.location.is_some(), millrace.location.is_some(), "{method} {path}: Location");
        (connect, millrace)
    }

    /// As [`Self::same`], and the same body.
    async fn equal(&self, method: &str, path: &str, body: Option<&str>) {
        let (connect, millrace) = self.same(method, path, body).await;
        assert_eq!(connect.body, millrace.body, "{method} {path}");
    }

    async fn wait_state(&self, name: &str, state: &str, tasks: usize) {
        self.connect.wait_state(name, state, tasks, LIMIT).await;
        self.millrace.wait_state(name, state, tasks, LIMIT).await;
    }
}

async fn plugins(sides: &Sides, config: &Value) {
    sides.same("GET", "/connector-plugins", None).await;
    let validate = "/connector-plugins/FileStreamSinkConnector/config/validate";
    let (connect, millrace) = sides.both("PUT", validate, Some(&config.to_string())).await;
    assert_eq!(connect.status, millrace.status, "{millrace:?}");
    let first = |answer: &Answer| shape(&answer.body["configs"][0]); // `name`, which is missing
    assert_eq!(first(&connect), first(&millrace));
    assert_eq!(connect.body["configs"][0]["value"], millrace.body["configs"][0]["value"]);
    assert_eq!(connect.body["error_count"], millrace.body["error_count"], "{}", millrace.body);
}

async fn refusals(sides: &Sides) {
    sides.same("POST", "/connectors", Some("{not json")).await;
    sides.same("POST", "/connectors", Some("{\"name\":\"x\"}")).await;
    let unknown = json!({"name": "x", "config": {"connector.class": "com.example.Nothing"}}).to_string();
    sides.same("POST", "/connectors", Some(&unknown)).await;
    let other_name = json!({"name": "x", "config": {"name": "y", "connector.class": "FileStreamSink"}}).to_string();
    sides.same("POST", "/connectors", Some(&other_name)).await;
    sides.same("GET", "/no/such/path", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commonest_calls_answer_as_kafka_connect_does() {
    let cluster = Cluster::start_with_file_connectors(1, 1).await;
    let sides = Sides { connect: Rest::new(server("CONNECT_URL")), millrace: cluster.rest() };
    // A run that failed may have left its connector in the Connect that all runs share.
    for name in sides.connect.call("GET", "/connectors", None).await.body.as_array().into_iter().flatten() {
        sides.connect.call("DELETE", &format!("/connectors/{}", name.as_str().unwrap_or_default()), None).await;
    }
    let topic = unique("rest");
    create_topic(&topic, 1).await;
    let (name, file) = (unique("file"), cluster.scratch_file("rest.txt"));
    let path = format!("/connectors/{name}");
    let config = json!({
        "connector.class": "org.apache.kafka.connect.file.FileStreamSinkConnector", "tasks.max": "1", "topics": topic,
        "file": file, "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
    });
    let create = json!({"name": name, "config": config}).to_string();

    sides.same("GET", "/", None).await;
    sides.equal("GET", "/connectors", None).await;
    sides.equal("GET", &path, None).await; // 404
    sides.equal("GET", &format!("{path}/status"), None).await; // 404
    sides.same("POST", "/connectors", Some(&create)).await; // 201
    sides.same("POST", "/connectors", Some(&create)).await; // 409
    sides.wait_state(&name, "RUNNING", 1).await;
    sides.equal("GET", "/connectors", None).await;
    sides.equal("GET", &path, None).await;
    sides.equal("GET", &format!("{path}/config"), None).await;
    sides.same("GET", &format!("{path}/status"), None).await;
    sides.same("GET", &format!("{path}/tasks"), None).await;
    sides.same("GET", &format!("{path}/tasks/0/status"), None).await;
    sides.same("GET", &format!("{path}/tasks/7/status"), None).await; // 404
    sides.same("GET", "/connectors?expand=info&expand=status", None).await;
    let mut changed = config.clone();
    changed["errors.tolerance"] = json!("all");
    sides.same("PUT", &format!("{path}/config"), Some(&changed.to_string())).await; // 200
    sides.wait_state(&name, "RUNNING", 1).await;
    sides.same("PUT", &format!("{path}/pause"), None).await; // 202
    sides.wait_state(&name, "PAUSED", 1).await;
    sides.same("PUT", &format!("{path}/resume"), None).await; // 202
    sides.wait_state(&name, "RUNNING", 1).await;
    sides.same("POST", &format!("{path}/restart"), None).await; // 204
    sides.wait_state(&name, "RUNNING", 1).await;
    sides.same("POST", &format!("{path}/tasks/0/restart"), None).await; // 204
    sides.wait_state(&name, "RUNNING", 1).await;
    sides.same("PUT", &format!("{path}/stop"), None).await; // 204
    eventually("both are stopped", LIMIT, || async {
        for side in [&sides.connect, &sides.millrace] {
            let status = side.status(&name).await?;
            if status["connector"]["state"] != "STOPPED" || status["tasks"] != json!([]) {
                return Err(status.to_string());
            }
        }
        Ok(())
    })
    .await;
    plugins(&sides, &config).await;
    refusals(&sides).await;
    sides.equal("DELETE", &path, None).await; // 204
    sides.equal("DELETE", &path, None).await; // 404
    sides.equal("PUT", &format!("{path}/pause"), None).await; // 404
}
