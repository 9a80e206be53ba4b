//! The session against a control plane that does what the test says, over a real connection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_proto::internal::v1::session_request::Message as Up;
use millrace_proto::internal::v1::session_response::Message as Down;
use millrace_proto::internal::v1::worker_session_service_server::{WorkerSessionService, WorkerSessionServiceServer};
use millrace_proto::internal::v1::{self as pb, answer, ask};
use millrace_sdk::Secret;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::{Identity, Links, Session, SessionTransport};
use crate::catalog::Catalog;
use crate::lease::LeaseState;
use crate::metrics::Metrics;
use crate::model::{Assignment, TaskState, TaskStatus};
use crate::worker::board::Board;
use crate::worker::testing::spec;

const PATIENCE: Duration = Duration::from_secs(10);
const LEASE_MS: i64 = 600;

/// One stream as the control plane sees it.
struct Call {
    token: Option<String>,
    up: Streaming<pb::SessionRequest>,
    down: mpsc::Sender<Result<pb::SessionResponse, Status>>,
}

struct Script(mpsc::Sender<Call>);

#[tonic::async_trait]
impl WorkerSessionService for Script {
    type SessionStream = ReceiverStream<Result<pb::SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let token = request.metadata().get("authorization").and_then(|token| token.to_str().ok()).map(str::to_owned);
        let (down, stream) = mpsc::channel(64);
        let call = Call { token, up: request.into_inner(), down };
        self.0.send(call).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

impl Call {
    async fn next(&mut self) -> Up {
        let message = tokio::time::timeout(PATIENCE, self.up.message()).await.expect("nothing came");
        message.unwrap().expect("the stream ended").message.unwrap()
    }

    async fn say(&self, message: Down) {
        self.down.send(Ok(pb::SessionResponse { message: Some(message) })).await.unwrap();
    }

    /// Register and Welcome.
    async fn welcome(&mut self) -> pb::Register {
        let Up::Register(register) = self.next().await else { panic!("no register first") };
        self.say(Down::Welcome(pb::Welcome { lease_ms: LEASE_MS, report_interval_ms: 50 })).await;
        register
    }

    /// The next report, acknowledged.
    async fn report(&mut self) -> pb::Report {
        loop {
            if let Up::Report(report) = self.next().await {
                self.say(Down::ReportAck(pb::ReportAck { sequence: report.sequence })).await;
                return report;
            }
        }
    }

    /// The next answer to an assignment; acknowledges reports meanwhile.
    async fn applied(&mut self) -> pb::Applied {
        loop {
            match self.next().await {
                Up::Applied(applied) => return applied,
                Up::Report(report) => self.say(Down::ReportAck(pb::ReportAck { sequence: report.sequence })).await,
                _ => {}
            }
        }
    }

    async fn answer(&mut self) -> pb::Answer {
        loop {
            match self.next().await {
                Up::Answer(answer) => return answer,
                Up::Report(report) => self.say(Down::ReportAck(pb::ReportAck { sequence: report.sequence })).await,
                _ => {}
            }
        }
    }
}

struct World {
    calls: mpsc::Receiver<Call>,
    assignment: watch::Receiver<Assignment>,
    lease: watch::Receiver<LeaseState>,
    applied: watch::Sender<i64>,
    board: Arc<Board>,
    finish: CancellationToken,
    session: JoinHandle<()>,
    server: JoinHandle<()>,
}

async fn serve(calls: mpsc::Sender<Call>) -> (SocketAddr, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .add_service(WorkerSessionServiceServer::new(Script(calls)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    (address, tokio::spawn(async move { server.await.unwrap() }))
}

impl World {
    async fn begin() -> Self {
        let (calls_in, calls) = mpsc::channel(4);
        let (address, server) = serve(calls_in).await;
        let (assignment, assigned) = watch::channel(Assignment::default());
        let (lease, lease_seen) = watch::channel(LeaseState::Headless);
        let (applied, applied_seen) = watch::channel(0);
        let (connected, _) = watch::channel(false);
        let board = Arc::new(Board::default());
        let links = Links { assignment, lease, applied: applied_seen, board: Arc::clone(&board), connected };
        let identity = Identity {
            worker_id: "w1".to_owned(),
            incarnation: "i1".to_owned(),
            address: "127.0.0.1:9464".to_owned(),
            labels: BTreeMap::from([("zone".to_owned(), "a".to_owned())]),
            capacity: 7,
        };
        // The first endpoint is dead: the second must be tried.
        let transport = SessionTransport::Remote {
            endpoints: vec!["http://127.0.0.1:1".to_owned(), format!("http://{address}")],
            token: Some(Secret::new("worker-token")),
            ca: None,
        };
        let session = Session::new(identity, transport, Arc::new(Catalog::default()), Metrics::global(), links);
        let finish = CancellationToken::new();
        let session = tokio::spawn(session.run(finish.clone()));
        Self { calls, assignment: assigned, lease: lease_seen, applied, board, finish, session, server }
    }

    async fn call(&mut self) -> Call {
        tokio::time::timeout(PATIENCE, self.calls.recv()).await.expect("no session came").unwrap()
    }

    async fn tasks_are(&mut self, names: &[&str]) {
        let same =
            |assignment: &Assignment| assignment.tasks.keys().map(|id| id.connector.as_str()).eq(names.iter().copied());
        let reached = tokio::time::timeout(PATIENCE, self.assignment.wait_for(same)).await.is_ok();
        assert!(reached, "{:?} instead of {names:?}", self.assignment.borrow().tasks.keys().collect::<Vec<_>>());
    }

    /// Waits for the lease to end, answering nothing.
    async fn lease_ends(&mut self) {
        let ended = self.lease.wait_for(|state| *state == LeaseState::Headless);
        assert!(tokio::time::timeout(PATIENCE, ended).await.is_ok(), "the lease does not end");
    }

    /// Acknowledges reports until the lease lives.
    async fn lease_begins(&mut self, call: &mut Call) {
        let begun = async {
            while *self.lease.borrow() == LeaseState::Headless {
                call.report().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, begun).await.is_ok(), "the lease does not begin");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.session.abort();
        self.server.abort();
    }
}

fn wire_spec(connector: &str) -> pb::TaskSpec {
    pb::TaskSpec {
        id: Some(pb::TaskId { tenant: "default".to_owned(), connector: connector.to_owned(), index: 0 }),
        generation: 1,
        class: "example".to_owned(),
        sink: true,
        tasks_total: 1,
        ..pb::TaskSpec::default()
    }
}

fn full(revision: i64, last: bool, tasks: &[&str]) -> Down {
    Down::Assignment(pb::Assignment {
        epoch: 5,
        revision,
        full: true,
        last,
        upserts: tasks.iter().map(|name| wire_spec(name)).collect(),
        ..pb::Assignment::default()
    })
}

fn delta(base_revision: i64, revision: i64, add: &str, remove: &str) -> Down {
    Down::Assignment(pb::Assignment {
        epoch: 5,
        revision,
        base_revision,
        last: true,
        upserts: vec![wire_spec(add)],
        removals: vec![pb::TaskId { tenant: "default".to_owned(), connector: remove.to_owned(), index: 0 }],
        ..pb::Assignment::default()
    })
}

fn running(connector: &str) -> TaskStatus {
    TaskStatus {
        id: spec(connector, 1).id.clone(),
        generation: 1,
        set_revision: 1,
        state: TaskState::Running,
        error_kind: "",
        trace: String::new(),
        warnings: Vec::new(),
    }
}

#[tokio::test]
async fn registers_with_its_token_and_follows_whole_chunked_and_delta_assignments() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    assert_eq!(call.token.as_deref(), Some("Bearer worker-token"));
    let register = call.welcome().await;
    assert_eq!((register.worker_id.as_str(), register.incarnation.as_str()), ("w1", "i1"));
    assert_eq!((register.capacity, register.labels["zone"].as_str()), (7, "a"));
    assert!(call.report().await.full, "the first report tells everything");
    call.say(full(1, false, &["a"])).await;
    call.say(full(1, true, &["b"])).await;
    world.tasks_are(&["a", "b"]).await;
    call.say(delta(1, 2, "c", "a")).await;
    world.tasks_are(&["b", "c"]).await;
    world.applied.send_replace(2);
    let applied = call.applied().await;
    assert_eq!((applied.revision, applied.refusal.as_str()), (2, ""));
    assert_eq!(call.report().await.applied_revision, 2);
}

#[tokio::test]
async fn a_delta_on_something_else_is_refused_and_an_older_leader_is_ignored() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    call.say(full(1, true, &["a"])).await;
    world.tasks_are(&["a"]).await;
    call.say(delta(7, 8, "x", "a")).await;
    let applied = call.applied().await;
    assert_eq!(applied.revision, 8);
    assert!(applied.refusal.contains("revision 7"), "{}", applied.refusal);
    let Down::Assignment(zombie) = full(9, true, &["zombie"]) else { unreachable!() };
    call.say(Down::Assignment(pb::Assignment { epoch: 4, ..zombie })).await;
    call.say(full(2, true, &["b"])).await;
    world.tasks_are(&["b"]).await;
    assert_eq!(world.assignment.borrow().revision, 2);
}

#[tokio::test]
async fn reports_changes_at_once_and_everything_after_a_reconnect() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    call.report().await;
    world.board.begin(&spec("a", 1));
    world.board.update(running("a"));
    let told = loop {
        let report = call.report().await;
        if !report.statuses.is_empty() {
            break report;
        }
    };
    assert!(!told.full);
    assert_eq!(told.statuses[0].state(), pb::TaskState::Running);
    call.down.send(Err(Status::unavailable("this replica goes away"))).await.unwrap();
    drop(call);
    let mut call = world.call().await;
    let register = call.welcome().await;
    assert_eq!(register.running.len(), 1, "what still runs is told at once");
    let report = call.report().await;
    assert!(report.full);
    assert_eq!(report.statuses.len(), 1);
}

#[tokio::test]
async fn the_lease_lives_by_acknowledged_reports_and_ends_with_them() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    call.say(full(1, true, &["a"])).await;
    world.tasks_are(&["a"]).await;
    assert!(matches!(*world.lease.borrow(), LeaseState::Headless), "no report was acknowledged");
    world.lease_begins(&mut call).await;
    // The control plane hears but does not answer any more.
    world.lease_ends().await;
    world.tasks_are(&["a"]).await;
    // It answers again: the lease counts, but what was given before the silence must be confirmed first.
    let applied = call.applied().await;
    assert!(applied.refusal.contains("lease"), "{}", applied.refusal);
    assert!(matches!(*world.lease.borrow(), LeaseState::Headless));
    call.say(full(1, true, &["a"])).await;
    world.lease_begins(&mut call).await;
}

#[tokio::test]
async fn a_silent_control_plane_is_left_for_another() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    call.report().await;
    // Nothing is said on this stream any more, and it stays open.
    let began = std::time::Instant::now();
    let mut next = world.call().await;
    assert!(began.elapsed() >= Duration::from_millis(1200), "it was given its time");
    next.welcome().await;
    assert!(next.report().await.full);
}

#[tokio::test]
async fn questions_are_answered_beside_reports() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    let validate = pb::Validate { class: "nothing-sink".to_owned(), ..pb::Validate::default() };
    call.say(Down::Ask(pb::Ask { id: 11, question: Some(ask::Question::Validate(validate)) })).await;
    let answer = call.answer().await;
    assert_eq!(answer.id, 11);
    let Some(answer::Answer::Validate(findings)) = answer.answer else { panic!("{answer:?}") };
    assert_eq!(findings.errors[0].key, "connector.class");
    let plan = pb::PlanTasks { class: "nothing-source".to_owned(), max_tasks: 2, ..pb::PlanTasks::default() };
    call.say(Down::Ask(pb::Ask { id: 12, question: Some(ask::Question::PlanTasks(plan)) })).await;
    let answer = call.answer().await;
    let Some(answer::Answer::Plan(plan)) = answer.answer else { panic!("{answer:?}") };
    assert_eq!(plan.error_kind, "bad-config");
    assert!(plan.error.contains("nothing-source"), "{}", plan.error);
}

#[tokio::test]
async fn leaves_with_the_last_statuses_told() {
    let mut world = World::begin().await;
    let mut call = world.call().await;
    call.welcome().await;
    call.report().await;
    world.board.begin(&spec("a", 1));
    world.board.stopped(&spec("a", 1).id, 1, tokio::time::Instant::now());
    world.finish.cancel();
    let told = loop {
        let report = call.report().await;
        if !report.statuses.is_empty() {
            break report;
        }
    };
    assert_eq!(told.statuses[0].state(), pb::TaskState::Stopped);
    assert!(tokio::time::timeout(PATIENCE, &mut world.session).await.is_ok(), "the session has ended");
}

#[test]
fn reconnect_delays_grow_to_a_limit_with_jitter() {
    let delays: Vec<_> = (0..12).map(|failures| super::reconnect_delay(failures, 1.0)).collect();
    assert!(delays.windows(2).all(|pair| pair[0] <= pair[1]));
    assert_eq!((delays[0], delays[11]), (super::RECONNECT.0, super::RECONNECT.1));
    assert_eq!(super::reconnect_delay(0, 0.0), super::RECONNECT.0 / 2);
}
