//! A small client of the Kafka Connect REST API, for either side.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::wait::eventually;

/// A REST endpoint.
#[derive(Clone)]
pub struct Rest {
    base: String,
    client: reqwest::Client,
}

/// Status and body (null when it is empty or not JSON).
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status
    pub status: StatusCode,
    /// JSON body
    pub body: Value,
    /// `Location` header
    pub location: Option<String>,
}

impl Rest {
    /// `base` is such as `http://127.0.0.1:8083`.
    ///
    /// # Panics
    /// When no HTTP client can be made.
    #[must_use]
    pub fn new(base: impl Into<String>) -> Self {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).no_proxy().build().expect("a client");
        Self { base: base.into(), client }
    }

    /// Any call; a text body is sent as it is, with JSON's content type.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn try_call(&self, method: &str, path: &str, body: Option<String>) -> Result<Answer, String> {
        let method: Method = method.parse().map_err(|_| format!("{method} is no method"))?;
        let mut request = self.client.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let location = response.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let text = response.text().await.map_err(|error| error.to_string())?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null), location })
    }

    /// Any call that must be answered.
    ///
    /// # Panics
    /// When it is not.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.try_call(method, path, body).await.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// `POST /connectors`; must be created.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn create(&self, name: &str, config: Value) -> Answer {
        let answer = self.call("POST", "/connectors", Some(serde_json::json!({"name": name, "config": config}))).await;
        assert_eq!(answer.status, StatusCode::CREATED, "creating {name}: {}", answer.body);
        answer
    }

    /// The connector's status.
    ///
    /// # Errors
    /// What was answered instead.
    pub async fn status(&self, name: &str) -> Result<Value, String> {
        let answer = self.try_call("GET", &format!("/connectors/{name}/status"), None).await?;
        if answer.status == StatusCode::OK { Ok(answer.body) } else { Err(answer.body.to_string()) }
    }

    /// Waits until the connector and all of its `tasks` tasks are in `state`; answers the status.
    pub async fn wait_state(&self, name: &str, state: &str, tasks: usize, limit: Duration) -> Value {
        eventually(&format!("{name} with {tasks} tasks {state}"), limit, || async {
            let status = self.status(name).await?;
            let states: Vec<_> = status["tasks"].as_array().into_iter().flatten().map(|t| t["state"].clone()).collect();
            let there = states.len() == tasks && states.iter().all(|s| s == state);
            if there { Ok(status) } else { Err(status.to_string()) }
        })
        .await
    }

    /// Waits until some task has FAILED; answers its trace.
    pub async fn wait_failed(&self, name: &str, limit: Duration) -> String {
        eventually(&format!("a FAILED task of {name}"), limit, || async {
            let status = self.status(name).await?;
            status["tasks"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|task| task["state"] == "FAILED")
                .map(|task| task["trace"].as_str().unwrap_or_default().to_owned())
                .ok_or_else(|| status.to_string())
        })
        .await
    }
}
