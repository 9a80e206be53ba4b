//! A control plane on free ports, a worker's end of a session, and a small HTTP client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_control_plane::store::Store;
use millrace_control_plane::{ControlPlane, ControlPlaneConfig, Times};
use millrace_proto::internal::v1::session_request::Message as Up;
use millrace_proto::internal::v1::session_response::Message as Down;
use millrace_proto::internal::v1::worker_session_service_client::WorkerSessionServiceClient;
use millrace_proto::internal::v1::{self as wire, SessionRequest, SessionResponse};
use millrace_sdk::config::{ConfigKey, Importance, KeyPattern, KeyType};
use millrace_sdk::{ConfigDef, Flat, Secret};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};

use crate::flaky::Flaky;

pub(crate) const TOKEN: &str = "let-me-work";
pub(crate) const SINK: &str = "org.apache.kafka.connect.file.FileStreamSinkConnector";

pub(crate) struct Plane {
    pub(crate) control: ControlPlane,
    pub(crate) store: Arc<Flaky>,
    pub(crate) shutdown: CancellationToken,
    http: reqwest::Client,
}

pub(crate) fn config() -> ControlPlaneConfig {
    let free = Some("127.0.0.1:0".parse().unwrap());
    let settings = Flat::from([("bootstrap.servers".to_owned(), "kafka:9092".to_owned())]);
    ControlPlaneConfig {
        grpc_listen: free,
        sessions_listen: free,
        rest_listen: free,
        worker_token: Some(Secret::new(TOKEN)),
        sealing_key: Some(Secret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")),
        tenants: BTreeMap::from([("default".to_owned(), settings), ("acme".to_owned(), Flat::new())]),
        times: Times { report_ms: 50, worker_lease_ms: 600, store_lease_ms: 1500, ask_timeout_ms: 2000 },
        ..ControlPlaneConfig::default()
    }
}

impl Plane {
    pub(crate) async fn start() -> Self {
        Self::start_with(config()).await
    }

    pub(crate) async fn start_with(config: ControlPlaneConfig) -> Self {
        let store = Arc::new(Flaky::default());
        let shutdown = CancellationToken::new();
        let control = ControlPlane::start(config, store.clone(), shutdown.clone()).await.unwrap();
        Self { control, store, shutdown, http: reqwest::Client::new() }
    }

    /// Status and body (null when there is none).
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Json) {
        let url = format!("http://{}{path}", self.control.rest_address().unwrap());
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Json::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> Json {
        self.call("GET", path, None).await.1
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Json) -> bool) -> Json {
        let mut last = Json::Null;
        for _ in 0..400 {
            last = self.get(path).await;
            if wanted(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} never came to be as wanted: {last}");
    }

    pub(crate) async fn create(&self, name: &str, config: &str) {
        let body = format!(r#"{{"name":"{name}","config":{config}}}"#);
        let (status, answer) = self.call("POST", "/connectors", Some(&body)).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Everything in the store, as text.
    pub(crate) async fn raw(&self) -> String {
        let entries = self.store.list("/").await.unwrap().entries;
        entries.iter().map(|entry| String::from_utf8_lossy(&entry.value).into_owned()).collect()
    }

    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.control.wait().await;
    }
}

pub(crate) fn task_state(status: &Json, task: usize) -> &str {
    status["tasks"][task]["state"].as_str().unwrap_or("")
}

fn key(name: &str, kind: KeyType, required: bool) -> ConfigKey {
    ConfigKey {
        name: name.to_owned(),
        kind,
        required,
        default: (name == "tasks.max").then(|| "1".to_owned()),
        importance: Importance::High,
        doc: format!("What {name} does."),
        group: "Common".to_owned(),
        allowed: Vec::new(),
        minimum: (name == "tasks.max").then_some(1.0),
        maximum: None,
        ignored: None,
    }
}

fn catalogue() -> Vec<wire::Plugin> {
    let def = |sink: bool| ConfigDef {
        keys: vec![
            key("connector.class", KeyType::Class, true),
            key("tasks.max", KeyType::Int, false),
            key("topics", KeyType::List, sink),
            key("file", KeyType::String, false),
            key("connection.password", KeyType::Password, false),
            key("connection.uri", KeyType::String, false),
        ],
        patterns: vec![KeyPattern {
            prefix: "consumer.override.".into(),
            suffix: String::new(),
            doc: "client setting".into(),
        }],
    };
    let plugin = |class: &str, alias: &str, sink| wire::Plugin {
        class: class.to_owned(),
        aliases: vec![alias.to_owned()],
        sink,
        version: "0.1.0".to_owned(),
        description: "files".to_owned(),
        config_def_json: serde_json::to_string(&def(sink)).unwrap(),
    };
    vec![
        plugin("file-sink", SINK, true),
        plugin("file-source", "org.apache.kafka.connect.file.FileStreamSourceConnector", false),
    ]
}

/// A worker's end of a session: runs nothing, says it does.
pub(crate) struct FakeWorker {
    pub(crate) tasks: Arc<Mutex<BTreeMap<(String, i32), wire::TaskSpec>>>,
    /// Acknowledged reports
    pub(crate) acks: Arc<Mutex<u64>>,
    handle: JoinHandle<Result<(), Status>>,
    stop: CancellationToken,
}

pub(crate) async fn open(
    channel: Channel,
    token: &str,
    requests: mpsc::Receiver<SessionRequest>,
) -> Result<Streaming<SessionResponse>, Status> {
    let mut request = Request::new(ReceiverStream::new(requests));
    let value: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    Ok(WorkerSessionServiceClient::new(channel).session(request).await?.into_inner())
}

pub(crate) fn register(id: &str, incarnation: &str) -> SessionRequest {
    let register = wire::Register {
        worker_id: id.to_owned(),
        incarnation: incarnation.to_owned(),
        address: format!("10.0.0.1:{}", 9000 + id.len()),
        version: "0.1.0".to_owned(),
        capacity: 100,
        catalogue: catalogue(),
        ..wire::Register::default()
    };
    SessionRequest { message: Some(Up::Register(register)) }
}

impl FakeWorker {
    pub(crate) async fn connect(plane: &Plane, id: &str, incarnation: &str) -> Self {
        let address = plane.control.sessions_address().unwrap();
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self::start(channel, id, incarnation).await
    }

    pub(crate) async fn start(channel: Channel, id: &str, incarnation: &str) -> Self {
        let (out, requests) = mpsc::channel(64);
        out.send(register(id, incarnation)).await.unwrap();
        let inbound = open(channel, TOKEN, requests).await.unwrap();
        let (tasks, acks) = (Arc::default(), Arc::default());
        let stop = CancellationToken::new();
        let run = run(inbound, out, Arc::clone(&tasks), Arc::clone(&acks), stop.clone());
        Self { tasks, acks, handle: tokio::spawn(run), stop }
    }

    /// The session's end as the worker sees it.
    pub(crate) async fn ended(self) -> Result<(), Status> {
        tokio::time::timeout(Duration::from_secs(10), self.handle).await.expect("the session ends").unwrap()
    }

    /// Leaves in good order.
    pub(crate) async fn leave(self) {
        self.stop.cancel();
        self.ended().await.unwrap();
    }

    /// Vanishes.
    pub(crate) fn vanish(self) {
        self.handle.abort();
    }
}

async fn run(
    mut inbound: Streaming<SessionResponse>,
    out: mpsc::Sender<SessionRequest>,
    tasks: Arc<Mutex<BTreeMap<(String, i32), wire::TaskSpec>>>,
    acks: Arc<Mutex<u64>>,
    stop: CancellationToken,
) -> Result<(), Status> {
    let mut ended = Vec::new();
    let mut revision = 0;
    let mut sequence = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(50));
    let mut staged = Vec::new();
    loop {
        let message = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = tick.tick() => {
                sequence += 1;
                let statuses = tasks.lock().unwrap().values().map(running).chain(ended.drain(..)).collect();
                let report = wire::Report { sequence, applied_revision: revision, full: true, statuses, tasks: 0 };
                let _ = out.send(SessionRequest { message: Some(Up::Report(report)) }).await;
                continue;
            }
            message = inbound.message() => message?,
        };
        match message.and_then(|message| message.message) {
            Some(Down::Assignment(assignment)) => {
                assert!(assignment.full || assignment.base_revision == revision, "a delta on what was never sent");
                staged.push(assignment);
                if staged.last().unwrap().last {
                    revision = apply(&mut tasks.lock().unwrap(), std::mem::take(&mut staged), &mut ended);
                    let applied = wire::Applied { revision, refusal: String::new() };
                    let _ = out.send(SessionRequest { message: Some(Up::Applied(applied)) }).await;
                }
            }
            Some(Down::ReportAck(_)) => *acks.lock().unwrap() += 1,
            Some(Down::Ask(ask)) => {
                let answer = wire::Answer { id: ask.id, answer: ask.question.map(answer) };
                let _ = out.send(SessionRequest { message: Some(Up::Answer(answer)) }).await;
            }
            Some(Down::Welcome(welcome)) => assert_eq!(welcome.lease_ms, 600),
            None => return Ok(()),
        }
    }
}

fn apply(
    tasks: &mut BTreeMap<(String, i32), wire::TaskSpec>,
    chunks: Vec<wire::Assignment>,
    ended: &mut Vec<wire::TaskStatus>,
) -> i64 {
    let mut now = if chunks[0].full { BTreeMap::new() } else { tasks.clone() };
    let revision = chunks[0].revision;
    for chunk in chunks {
        for id in chunk.removals {
            now.remove(&(id.connector, id.index));
        }
        for spec in chunk.upserts {
            let id = spec.id.clone().unwrap();
            now.insert((id.connector, id.index), spec);
        }
    }
    for (id, spec) in tasks.iter() {
        if now.get(id).is_none_or(|new| new.generation != spec.generation) {
            ended.push(wire::TaskStatus { state: wire::TaskState::Stopped.into(), ..running(spec) });
        }
    }
    *tasks = now;
    revision
}

fn running(spec: &wire::TaskSpec) -> wire::TaskStatus {
    let failing = spec.config.get("file").is_some_and(|file| file == "/fails");
    let state = match (spec.paused, failing) {
        (true, _) => wire::TaskState::Paused,
        (false, true) => wire::TaskState::Failed,
        (false, false) => wire::TaskState::Running,
    };
    wire::TaskStatus {
        id: spec.id.clone(),
        generation: spec.generation,
        state: state.into(),
        error_kind: if failing { "bad-config".to_owned() } else { String::new() },
        trace: if failing { "cannot open /fails".to_owned() } else { String::new() },
        set_revision: spec.set_revision,
        ..wire::TaskStatus::default()
    }
}

fn answer(question: wire::ask::Question) -> wire::answer::Answer {
    match question {
        wire::ask::Question::Validate(ask) => {
            let bad = ask.check && ask.config.get("file").is_some_and(|file| file == "/bad");
            let problem = wire::Problem { key: "file".into(), message: "/bad cannot be written to".into() };
            let errors = if bad { vec![problem] } else { Vec::new() };
            wire::answer::Answer::Validate(wire::ValidateAnswer { errors, warnings: Vec::new() })
        }
        wire::ask::Question::PlanTasks(ask) => {
            let failing = ask.config.get("file").is_some_and(|file| file == "/unplannable");
            let task = |n: i32| wire::TaskConfig { config: [("part".to_owned(), n.to_string())].into() };
            wire::answer::Answer::Plan(wire::PlanAnswer {
                tasks: if failing { Vec::new() } else { (0..ask.max_tasks).map(task).collect() },
                error: if failing { "no such file".to_owned() } else { String::new() },
                error_kind: if failing { "bad-config".to_owned() } else { String::new() },
            })
        }
    }
}
