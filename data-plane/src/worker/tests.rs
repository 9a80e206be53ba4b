//! The worker's loop with made-up tasks: what starts, what stops, what is said, and in which order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::run::{Hands, Launch, Launched, Loop};
use super::testing::{source_spec, spec};
use crate::lease::{self, LeaseState};
use crate::metrics::Metrics;
use crate::model::{Assignment, TaskSpec, TaskState, TaskStatus};

/// What happened to tasks, in order.
type Diary = Arc<Mutex<Vec<String>>>;

struct Stage {
    diary: Diary,
    statuses: mpsc::UnboundedSender<TaskStatus>,
    /// Stops wait until this is true
    may_stop: watch::Receiver<bool>,
}

struct Actor {
    spec: Arc<TaskSpec>,
    diary: Diary,
    statuses: mpsc::UnboundedSender<TaskStatus>,
    may_stop: watch::Receiver<bool>,
}

fn say(spec: &TaskSpec, state: TaskState) -> TaskStatus {
    TaskStatus {
        id: spec.id.clone(),
        generation: spec.generation,
        set_revision: spec.set_revision,
        state,
        error_kind: "",
        trace: String::new(),
        warnings: Vec::new(),
    }
}

impl Launch for Stage {
    fn launch(&self, spec: Arc<TaskSpec>) -> Arc<dyn Launched> {
        self.diary.lock().unwrap().push(format!("start {} {}", spec.id.connector, spec.generation));
        self.statuses.send(say(&spec, TaskState::Running)).unwrap();
        let (diary, statuses, may_stop) = (Arc::clone(&self.diary), self.statuses.clone(), self.may_stop.clone());
        Arc::new(Actor { spec, diary, statuses, may_stop })
    }
}

#[async_trait]
impl Launched for Actor {
    fn set_paused(&self, paused: bool) {
        self.diary.lock().unwrap().push(format!("paused {} {paused}", self.spec.id.connector));
    }

    async fn stop(&self) {
        let mut may_stop = self.may_stop.clone();
        may_stop.wait_for(|may| *may).await.unwrap();
        // Said on the way out, still in the channel when the stop ends.
        self.statuses.send(say(&self.spec, TaskState::Running)).unwrap();
        self.diary.lock().unwrap().push(format!("stopped {} {}", self.spec.id.connector, self.spec.generation));
    }
}

struct Theatre {
    diary: Diary,
    board: Arc<Board>,
    assignment: watch::Sender<Assignment>,
    lease: watch::Sender<LeaseState>,
    applied: watch::Receiver<i64>,
    may_stop: watch::Sender<bool>,
    shutdown: CancellationToken,
    run: JoinHandle<()>,
}

impl Theatre {
    fn open() -> Self {
        let diary = Diary::default();
        let board = Arc::new(Board::default());
        let (assignment, assigned) = watch::channel(Assignment::default());
        let (lease, lease_seen) = watch::channel(LeaseState::Headless);
        let (applied_sender, applied) = watch::channel(0);
        let (statuses, statuses_seen) = mpsc::unbounded_channel();
        let (may_stop, may_stop_seen) = watch::channel(true);
        let stage = Stage { diary: Arc::clone(&diary), statuses, may_stop: may_stop_seen };
        let hands = Hands {
            launch: Box::new(stage),
            assignment: assigned,
            lease: lease_seen,
            statuses: statuses_seen,
            applied: applied_sender,
            board: Arc::clone(&board),
            metrics: Metrics::global(),
        };
        let shutdown = CancellationToken::new();
        let run = tokio::spawn(Loop::new(hands).run(shutdown.clone()));
        let theatre = Self { diary, board, assignment, lease, applied, may_stop, shutdown, run };
        theatre.set_live(true);
        theatre
    }

    fn set_live(&self, live: bool) {
        let now = Instant::now();
        let until = now + Duration::from_secs(3600);
        lease::publish(&self.lease, if live { LeaseState::Live { until } } else { LeaseState::Headless }, now);
    }

    async fn assign(&mut self, revision: i64, specs: &[&Arc<TaskSpec>]) {
        let tasks: BTreeMap<_, _> = specs.iter().map(|spec| (spec.id.clone(), Arc::clone(spec))).collect();
        let assignment = Assignment { epoch: 1, revision, tasks };
        self.board.assigned(&assignment);
        self.assignment.send_replace(assignment);
        self.applied.wait_for(|applied| *applied == revision).await.unwrap();
    }

    async fn diary_is(&self, expected: &[&str]) {
        let reached = tokio::time::timeout(Duration::from_secs(10), async {
            while *self.diary.lock().unwrap() != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        if reached.await.is_err() {
            assert_eq!(*self.diary.lock().unwrap(), expected);
        }
    }

    async fn state_is(&self, spec: &TaskSpec, state: TaskState) {
        let find = || self.board.all(Instant::now()).into_iter().find(|status| status.id == spec.id);
        let reached = tokio::time::timeout(Duration::from_secs(10), async {
            while find().is_none_or(|status| (status.generation, status.state) != (spec.generation, state)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        assert!(reached.await.is_ok(), "{:?} instead of {state:?} of generation {}", find(), spec.generation);
    }
}

#[tokio::test]
async fn a_new_generation_starts_only_when_the_old_one_has_gone() {
    let mut theatre = Theatre::open();
    let (old, new) = (spec("a", 1), spec("a", 2));
    theatre.assign(1, &[&old]).await;
    theatre.state_is(&old, TaskState::Running).await;
    theatre.may_stop.send_replace(false);
    theatre.assign(2, &[&new]).await;
    theatre.state_is(&new, TaskState::Starting).await;
    theatre.diary_is(&["start a 1"]).await;
    theatre.may_stop.send_replace(true);
    theatre.diary_is(&["start a 1", "stopped a 1", "start a 2"]).await;
    theatre.state_is(&new, TaskState::Running).await;
}

#[tokio::test]
async fn a_task_that_is_given_up_is_confirmed_and_its_last_words_do_not_undo_that() {
    let mut theatre = Theatre::open();
    let a = spec("a", 1);
    theatre.assign(1, &[&a]).await;
    theatre.assign(2, &[]).await;
    theatre.state_is(&a, TaskState::Stopped).await;
    let again = spec("a", 5);
    theatre.assign(3, &[&again]).await;
    theatre.state_is(&again, TaskState::Running).await;
    theatre.diary_is(&["start a 1", "stopped a 1", "start a 5"]).await;
}

#[tokio::test]
async fn pausing_reaches_the_running_task() {
    let mut theatre = Theatre::open();
    let a = spec("a", 1);
    let held = Arc::new(TaskSpec { paused: true, ..TaskSpec::clone(&a) });
    theatre.assign(1, &[&a]).await;
    theatre.assign(2, &[&held]).await;
    theatre.assign(3, &[&a]).await;
    theatre.diary_is(&["start a 1", "paused a true", "paused a false"]).await;
}

#[tokio::test]
async fn without_a_lease_sources_stop_sinks_run_on_and_all_is_well_when_it_is_back() {
    let mut theatre = Theatre::open();
    let (sink, source) = (spec("sink", 1), source_spec("source", 1));
    theatre.assign(1, &[&sink, &source]).await;
    theatre.state_is(&source, TaskState::Running).await;
    theatre.set_live(false);
    theatre.state_is(&source, TaskState::Restarting).await;
    theatre.diary_is(&["start sink 1", "start source 1", "stopped source 1"]).await;
    assert!(theatre.board.headless());
    let told = theatre.board.all(Instant::now());
    let told = told.iter().find(|status| status.id == sink.id).unwrap();
    assert_eq!(told.state, TaskState::Running);
    assert!(told.warnings[0].contains("headless"));
    theatre.set_live(true);
    theatre.state_is(&source, TaskState::Running).await;
    theatre.diary_is(&["start sink 1", "start source 1", "stopped source 1", "start source 1"]).await;
}

#[tokio::test]
async fn a_source_that_does_not_stop_in_time_is_cut_off_when_its_lease_has_ended() {
    let mut theatre = Theatre::open();
    let source = source_spec("source", 1);
    theatre.assign(1, &[&source]).await;
    theatre.state_is(&source, TaskState::Running).await;
    theatre.may_stop.send_replace(false);
    let began = Instant::now();
    theatre.set_live(false);
    theatre.state_is(&source, TaskState::Restarting).await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    theatre.diary_is(&["start source 1"]).await;
}

#[tokio::test]
async fn a_shutdown_stops_everything_at_the_same_time_and_tells_it() {
    let mut theatre = Theatre::open();
    let tasks: Vec<_> = (0..20).map(|n| spec(&format!("c{n:02}"), 1)).collect();
    theatre.assign(1, &tasks.iter().collect::<Vec<_>>()).await;
    theatre.may_stop.send_replace(false);
    theatre.shutdown.cancel();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!theatre.run.is_finished());
    theatre.may_stop.send_replace(true);
    (&mut theatre.run).await.unwrap();
    let told = theatre.board.changes();
    assert_eq!(told.len(), 20);
    assert!(told.iter().all(|status| status.state == TaskState::Stopped), "{told:?}");
}
