//! One worker's session: Register, then reports and statuses up, assignments and questions down.
//!
//! The session outlives trouble with the store: the stream stays open and the worker runs on. But a report is acknowledged
//! only when the lease in the store could be prolonged by it, so that a worker never believes itself alive longer than the
//! reconciler does.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use millrace_proto::internal::v1::session_request::Message as Up;
use millrace_proto::internal::v1::session_response::Message as Down;
use millrace_proto::internal::v1::worker_session_service_server::WorkerSessionService;
use millrace_proto::internal::v1::{
    Answer as WireAnswer, Ask, PlanTasks, Register, Report, ReportAck, SessionRequest, SessionResponse, TaskSpec,
    Validate, Welcome, answer, ask,
};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::Shared;
use super::confirm::Told;
use super::lease::{self, Held};
use super::outgoing::Outgoing;
use super::sessions::{Answer, Asked, PlanFailure, Question};
use super::specs::{self, Parts};
use crate::model::{Plugin, TaskId, TaskState, TaskStatus, Worker};
use crate::service::{catalogue, tenant_settings};
use crate::store::keys;
use crate::store::{Commit, Guard, StoreError, Write};
use crate::wire;

/// For the first message, and for a message that the worker does not read.
const PATIENCE: Duration = Duration::from_secs(10);

/// The sessions service.
#[derive(Clone)]
pub(crate) struct SessionServer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) tasks: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

#[tonic::async_trait]
impl WorkerSessionService for SessionServer {
    type SessionStream = ReceiverStream<Result<SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let inbound = request.into_inner();
        let (out, stream) = mpsc::channel(64);
        let (shared, shutdown) = (Arc::clone(&self.shared), self.shutdown.clone());
        self.tasks.spawn(async move {
            if let Err(status) = run(shared, inbound, out.clone(), shutdown).await {
                // The worker may be gone; then nobody reads it.
                let _ = out.try_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// What the store is doing for a session, and for which report.
type Keeping = BoxFuture<'static, (Option<u64>, Result<Held, StoreError>)>;

struct Session {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    out: mpsc::Sender<Result<SessionResponse, Status>>,
    outgoing: Outgoing,
    /// How many tasks the worker has, for the metrics
    assigned: Arc<AtomicU64>,
    told: Told,
    held: Option<Held>,
    keeping: Option<Keeping>,
    /// The newest report
    latest: Option<u64>,
    /// The store does not answer; said once
    alone: bool,
    asked: HashMap<u64, oneshot::Sender<Answer>>,
    next_ask: u64,
}

async fn run(
    shared: Arc<Shared>,
    mut inbound: Streaming<SessionRequest>,
    out: mpsc::Sender<Result<SessionResponse, Status>>,
    shutdown: CancellationToken,
) -> Result<(), Status> {
    let register = first(&mut inbound).await?;
    let offered: Result<Vec<Plugin>, String> = register.catalogue.iter().cloned().map(wire::from_plugin).collect();
    let offered = offered.map_err(Status::invalid_argument)?;
    let worker = Arc::new(describe(&register, &offered)?);
    announce(&shared, &register, offered).await?;
    let mut entered = shared
        .sessions
        .enter(&worker.id, &worker.incarnation, worker.classes.clone())
        .map_err(Status::failed_precondition)?;
    shared.metrics.session(1);
    tracing::info!(worker = worker.id, address = worker.address, incarnation = worker.incarnation, "worker registered");
    let changed = shared.mirror.subscribe(&worker.id);
    let idle = (shared.config.times.store_lease() * 5).max(Duration::from_secs(30));
    let mut session = Session {
        shared: Arc::clone(&shared),
        worker: Arc::clone(&worker),
        out,
        outgoing: Outgoing::new(),
        assigned: shared.metrics.assigned(&worker.id),
        told: Told::default(),
        held: None,
        keeping: None,
        latest: None,
        alone: false,
        asked: HashMap::new(),
        next_ask: 0,
    };
    let ended = session.serve(&mut inbound, &mut entered, &changed, idle, &shutdown).await;
    shared.sessions.leave(&worker.id, entered.number);
    shared.metrics.session(-1);
    session.end(&ended, entered.replaced.is_cancelled()).await;
    match ended {
        Ended::Goodbye => Ok(()),
        Ended::Lost(_) => Ok(()),
        Ended::Told(status) => Err(status),
    }
}

/// How a session ends.
enum Ended {
    /// The worker closed it in good order: it has stopped its tasks
    Goodbye,
    /// The stream broke
    Lost(Status),
    /// We close it
    Told(Status),
}

impl Session {
    async fn serve(
        &mut self,
        inbound: &mut Streaming<SessionRequest>,
        entered: &mut super::sessions::Entered,
        changed: &tokio::sync::Notify,
        idle: Duration,
        shutdown: &CancellationToken,
    ) -> Ended {
        let times = self.shared.config.times;
        let welcome = Welcome {
            lease_ms: i64::try_from(times.worker_lease_ms).unwrap_or(i64::MAX),
            report_interval_ms: i64::try_from(times.report_ms).unwrap_or(i64::MAX),
        };
        if let Err(ended) = self.send(Down::Welcome(welcome)).await {
            return ended;
        }
        self.keep(None);
        if let Err(ended) = self.assign().await {
            return ended;
        }
        let mut heard = Instant::now();
        loop {
            let outcome = tokio::select! {
                () = shutdown.cancelled() => Err(Ended::Told(Status::unavailable("the control plane shuts down"))),
                () = entered.replaced.cancelled() => Err(Ended::Told(replaced())),
                message = inbound.message() => {
                    heard = Instant::now();
                    match message {
                        Ok(Some(message)) => self.take(message.message).await,
                        Ok(None) => Err(Ended::Goodbye),
                        Err(status) => Err(Ended::Lost(status)),
                    }
                }
                () = tokio::time::sleep_until(heard + idle) => {
                    Err(Ended::Told(Status::deadline_exceeded("no report for too long")))
                }
                () = changed.notified() => self.assign().await,
                Some(asked) = entered.asks.recv() => self.ask(asked).await,
                (report, outcome) = kept(&mut self.keeping) => self.kept(report, outcome).await,
            };
            if let Err(ended) = outcome {
                return ended;
            }
        }
    }

    async fn take(&mut self, message: Option<Up>) -> Result<(), Ended> {
        match message {
            Some(Up::Report(report)) => {
                self.report(report);
                Ok(())
            }
            Some(Up::Applied(applied)) if !applied.refusal.is_empty() => {
                tracing::warn!(
                    worker = self.worker.id,
                    revision = applied.revision,
                    refusal = applied.refusal,
                    "assignment refused; sending all of it again"
                );
                self.outgoing.start_over();
                self.assign().await
            }
            Some(Up::Answer(answer)) => {
                self.answered(answer);
                Ok(())
            }
            Some(Up::Register(_)) => {
                Err(Ended::Told(Status::failed_precondition("a session has one Register, its first message")))
            }
            Some(Up::Applied(_)) | None => Ok(()),
        }
    }

    fn report(&mut self, report: Report) {
        let now = wire::now_ms();
        self.told.report(report.full);
        for status in report.statuses {
            match wire::from_status(status, &self.worker.id, &self.worker.address, now) {
                Some((id, status)) => {
                    self.told.status(&id, &status);
                    self.shared.statuses.submit(id, status);
                }
                None => tracing::warn!(worker = self.worker.id, "a reported status is unreadable and is left out"),
            }
        }
        if self.outgoing.revision() > 0 && report.applied_revision == self.outgoing.revision() {
            self.confirm_missing(now);
        }
        self.latest = Some(report.sequence);
        if self.keeping.is_none() {
            self.keep(Some(report.sequence));
        }
    }

    /// Says of revoked tasks that the worker never had, or lost with its last process, that they have stopped.
    fn confirm_missing(&self, now_ms: i64) {
        let revoking = self.shared.mirror.revoking(&self.worker.id);
        for (id, generation) in self.told.missing(&revoking, self.outgoing.sent()) {
            let status = TaskStatus {
                generation,
                worker: self.worker.id.clone(),
                address: self.worker.address.clone(),
                state: TaskState::Stopped,
                error_kind: String::new(),
                trace: String::new(),
                warnings: Vec::new(),
                since_ms: now_ms,
            };
            self.shared.statuses.submit(id, status);
        }
    }

    /// Prolongs the lease, on behalf of a report.
    fn keep(&mut self, report: Option<u64>) {
        let ttl = self.shared.config.times.store_lease();
        let work = lease::keep(
            Arc::clone(&self.shared.store),
            Arc::clone(&self.worker),
            self.held,
            ttl,
            self.shared.config.times.worker_lease() / 2,
        );
        self.keeping = Some(work.map(move |outcome| (report, outcome)).boxed());
    }

    async fn kept(&mut self, report: Option<u64>, outcome: Result<Held, StoreError>) -> Result<(), Ended> {
        self.keeping = None;
        match outcome {
            Ok(held) => {
                if std::mem::take(&mut self.alone) {
                    tracing::info!(worker = self.worker.id, "the store answers again");
                }
                self.held = Some(held);
                if let Some(sequence) = report {
                    self.send(Down::ReportAck(ReportAck { sequence })).await?;
                }
                if self.latest > report {
                    self.keep(self.latest);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.alone, true) {
                    tracing::warn!(worker = self.worker.id, %error, "cannot prolong the worker's lease; the worker runs on alone");
                }
            }
        }
        Ok(())
    }

    /// Sends what the worker should have and has not.
    async fn assign(&mut self) -> Result<(), Ended> {
        let mirror = Arc::clone(&self.shared.mirror);
        if !mirror.synced() {
            return Ok(());
        }
        let theirs = mirror.worker(&self.worker.id).filter(|entry| entry.value.incarnation != self.worker.incarnation);
        if theirs.is_some_and(|entry| self.held.is_some_and(|held| entry.revision > held.written)) {
            return Err(Ended::Told(replaced()));
        }
        let assignment = mirror.assignment(&self.worker.id).unwrap_or_default();
        let wanted = self.join(&assignment);
        self.assigned.store(u64::try_from(wanted.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        for message in self.outgoing.update(assignment.epoch, wanted) {
            if message.last {
                self.shared.metrics.assignment(message.full);
            }
            self.send(Down::Assignment(message)).await?;
        }
        Ok(())
    }

    /// Joins an assignment's references with what they refer to.
    fn join(&self, assignment: &crate::model::Assignment) -> BTreeMap<TaskId, TaskSpec> {
        let mut wanted = BTreeMap::new();
        let mirror = &self.shared.mirror;
        for task in &assignment.tasks {
            let id = &task.id.connector;
            // A deleted connector: its tasks end here, before the reconciler has said so.
            let Some((definition, plan)) = mirror.definition(id).zip(mirror.plan(id)) else { continue };
            let opened = self.shared.sealer.open_config(id, &definition.value.config).and_then(|config| {
                let settings = tenant_settings(&self.shared.config, mirror, &self.shared.sealer, &id.tenant)?;
                Ok((config, settings))
            });
            let (config, settings) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    tracing::error!(connector = %id, %error, "a task cannot be sent");
                    continue;
                }
            };
            let parts =
                Parts { definition: &definition.value, config: &config, plan: &plan.value, settings: &settings };
            if let Some(spec) = specs::spec(task, &parts, self.outgoing.sent()) {
                wanted.insert(task.id.clone(), spec);
            }
        }
        wanted
    }

    async fn ask(&mut self, asked: Asked) -> Result<(), Ended> {
        self.asked.retain(|_, waiting| !waiting.is_closed());
        self.next_ask += 1;
        let id = self.next_ask;
        let question = match asked.question {
            Question::Validate { class, config, tenant_settings, check } => ask::Question::Validate(Validate {
                class,
                config: wire::to_map(&config),
                tenant_settings: wire::to_map(&tenant_settings),
                check,
            }),
            Question::Plan { class, config, max_tasks, tenant_settings } => ask::Question::PlanTasks(PlanTasks {
                class,
                config: wire::to_map(&config),
                max_tasks: i32::try_from(max_tasks).unwrap_or(i32::MAX),
                tenant_settings: wire::to_map(&tenant_settings),
            }),
        };
        self.asked.insert(id, asked.answer);
        self.send(Down::Ask(Ask { id, question: Some(question) })).await
    }

    fn answered(&mut self, answer: WireAnswer) {
        let Some(waiting) = self.asked.remove(&answer.id) else { return };
        let answer = match answer.answer {
            Some(answer::Answer::Validate(validated)) => Answer::Validate(wire::from_validate(validated)),
            Some(answer::Answer::Plan(plan)) if plan.error.is_empty() => {
                Answer::Plan(Ok(plan.tasks.into_iter().map(|task| wire::from_map(task.config)).collect()))
            }
            Some(answer::Answer::Plan(plan)) => {
                Answer::Plan(Err(PlanFailure { message: plan.error, kind: plan.error_kind }))
            }
            None => return,
        };
        // Whoever asked may have stopped waiting.
        let _ = waiting.send(answer);
    }

    /// A worker that does not read for long is as good as gone.
    async fn send(&mut self, message: Down) -> Result<(), Ended> {
        let response = SessionResponse { message: Some(message) };
        match self.out.send_timeout(Ok(response), PATIENCE).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                Err(Ended::Lost(Status::cancelled("the worker closed the session")))
            }
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                Err(Ended::Told(Status::deadline_exceeded("the worker does not read")))
            }
        }
    }

    /// Takes a worker that said goodbye off the list at once; any other may come back within its lease.
    async fn end(&mut self, ended: &Ended, replaced: bool) {
        let id = self.worker.id.as_str();
        match ended {
            Ended::Goodbye => tracing::info!(worker = id, "worker left"),
            Ended::Lost(status) => tracing::warn!(worker = id, %status, "session lost; its lease runs on"),
            Ended::Told(status) => tracing::info!(worker = id, status = status.message(), "session closed"),
        }
        let Some(held) = self.held.filter(|_| matches!(ended, Ended::Goodbye) && !replaced) else { return };
        let key = keys::worker(id);
        // Only our own entry: the worker may have registered with another replica already.
        let commit = Commit {
            guards: vec![Guard::Revision { key: key.clone(), revision: held.written }],
            writes: vec![Write::Delete { key }],
        };
        let farewell = async {
            if self.shared.store.commit(commit).await.is_ok() {
                let _ = self.shared.store.revoke(held.lease).await;
            }
        };
        if tokio::time::timeout(self.shared.config.times.store_lease(), farewell).await.is_err() {
            tracing::warn!(worker = id, "the store did not answer; the worker's lease runs out by itself");
        }
    }
}

async fn kept(keeping: &mut Option<Keeping>) -> (Option<u64>, Result<Held, StoreError>) {
    match keeping {
        Some(keeping) => keeping.await,
        None => pending().await,
    }
}

async fn first(inbound: &mut Streaming<SessionRequest>) -> Result<Register, Status> {
    let message = tokio::time::timeout(PATIENCE, inbound.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no Register in time"))??;
    match message.and_then(|message| message.message) {
        Some(Up::Register(register)) => Ok(register),
        _ => Err(Status::failed_precondition("the first message of a session is Register")),
    }
}

fn describe(register: &Register, offered: &[Plugin]) -> Result<Worker, Status> {
    if register.worker_id.is_empty() || register.incarnation.is_empty() {
        return Err(Status::invalid_argument("Register needs worker_id and incarnation"));
    }
    Ok(Worker {
        id: register.worker_id.clone(),
        incarnation: register.incarnation.clone(),
        address: register.address.clone(),
        version: register.version.clone(),
        labels: register.labels.clone().into_iter().collect(),
        capacity: u32::try_from(register.capacity).unwrap_or(0),
        classes: offered.iter().flat_map(catalogue::names).map(str::to_owned).collect(),
    })
}

/// Learns what the worker offers; what is new goes to the store. A store that is away is no reason to refuse a worker: the
/// next registration writes it.
async fn announce(shared: &Shared, register: &Register, mut offered: Vec<Plugin>) -> Result<(), Status> {
    offered.retain(|plugin| shared.mirror.plugin(&plugin.class, &plugin.version).is_none_or(|known| *known != *plugin));
    for plugin in &offered {
        let value = serde_json::to_vec(plugin).map_err(|error| Status::internal(error.to_string()))?;
        let write = Write::Put { key: keys::plugin(&plugin.class, &plugin.version), value, lease: None };
        let commit = shared.store.commit(Commit { guards: Vec::new(), writes: vec![write] });
        let outcome = tokio::time::timeout(shared.config.times.worker_lease() / 2, commit).await;
        if !matches!(outcome, Ok(Ok(_))) {
            tracing::warn!(class = plugin.class, "cannot store what a worker announced; known on this replica only");
            break;
        }
    }
    shared.mirror.learn(offered);
    let now = wire::now_ms();
    for status in register.running.clone() {
        if let Some((id, status)) = wire::from_status(status, &register.worker_id, &register.address, now) {
            shared.statuses.submit(id, status);
        }
    }
    Ok(())
}

fn replaced() -> Status {
    Status::failed_precondition("a newer session of this worker id has replaced this one")
}
