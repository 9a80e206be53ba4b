use millrace_sdk::Flat;

use super::*;
use crate::model::{Generation, PlannedFor};

fn facts(target: TargetState) -> Facts {
    Facts {
        id: ConnectorId { tenant: "default".into(), connector: "c".into() },
        definition: Definition {
            config: Flat::from([("connector.class".to_owned(), "FileStreamSink".to_owned())]),
            target,
            version: 1,
            restarts: BTreeMap::new(),
            created_ms: 0,
            updated_ms: 0,
            warnings: vec!["careful".into()],
        },
        revision: 7,
        plan: Some(TaskSet {
            revision: 1,
            planned_for: PlannedFor { version: 1, restarts: 0 },
            kind: ConnectorKind::Sink,
            tasks: vec![Flat::new()],
            error: None,
        }),
        placements: BTreeMap::new(),
        statuses: BTreeMap::new(),
    }
}

fn placed(mut facts: Facts, generation: i64, state: Option<(i64, TaskState)>) -> Facts {
    let placement = Placement {
        generation: Generation(generation),
        worker: Some("w1".into()),
        revoking: false,
        set_revision: 1,
        restarts: 0,
    };
    facts.placements.insert(0, placement);
    if let Some((generation, state)) = state {
        let status = TaskStatus {
            generation: Generation(generation),
            worker: "w1".into(),
            address: "10.0.0.1:9464".into(),
            state,
            error_kind: String::new(),
            trace: if state == TaskState::Failed { "boom".into() } else { String::new() },
            warnings: vec!["slow".into()],
            since_ms: 0,
        };
        facts.statuses.insert(0, status);
    }
    facts
}

fn seen(facts: &Facts, live: bool) -> StatusView {
    let worker = Worker {
        id: "w1".into(),
        incarnation: "i".into(),
        address: "10.0.0.1:9464".into(),
        version: "0".into(),
        labels: BTreeMap::new(),
        capacity: 10,
        classes: vec!["file-sink".into()],
    };
    let mut around = Surroundings { replica: "127.0.0.1:8083", ..Surroundings::default() };
    around.names = BTreeSet::from(["file-sink", "FileStreamSink"]);
    if live {
        around.workers.insert("w1", &worker);
    }
    status(facts, &around)
}

#[test]
fn states_of_a_task() {
    use TaskState as T;
    for (generation, reported, target, state) in [
        (1, None, TargetState::Running, State::Unassigned),
        (2, None, TargetState::Running, State::Restarting),
        (1, Some((1, T::Starting)), TargetState::Running, State::Unassigned),
        (2, Some((2, T::Starting)), TargetState::Running, State::Restarting),
        (1, Some((1, T::Running)), TargetState::Running, State::Running),
        (2, Some((1, T::Running)), TargetState::Running, State::Restarting),
        (1, Some((1, T::Running)), TargetState::Paused, State::Running),
        (1, Some((1, T::Paused)), TargetState::Paused, State::Paused),
        (1, Some((1, T::Restarting)), TargetState::Running, State::Restarting),
        (1, Some((1, T::Failed)), TargetState::Running, State::Failed),
        (1, Some((1, T::Stopped)), TargetState::Running, State::Unassigned),
        (1, Some((1, T::Fenced)), TargetState::Running, State::Unassigned),
    ] {
        let view = seen(&placed(facts(target), generation, reported), true);
        assert_eq!(view.tasks[0].state, state, "{generation} {reported:?}");
        assert_eq!(view.tasks[0].worker, "10.0.0.1:9464");
        assert_eq!(view.tasks[0].trace.is_empty(), state != State::Failed);
    }
}

#[test]
fn states_of_a_connector() {
    let running = placed(facts(TargetState::Running), 1, Some((1, TaskState::Running)));
    let view = seen(&running, true);
    assert_eq!((view.state, view.worker.as_str()), (State::Running, "10.0.0.1:9464"));
    assert_eq!(view.warnings, ["careful", "slow"]);
    assert_eq!(view.kind, Some(ConnectorKind::Sink));

    let dead = seen(&running, false);
    assert_eq!((dead.state, dead.tasks[0].state), (State::Unassigned, State::Unassigned));
    assert!(dead.trace.contains("no live worker offers FileStreamSink"));
    assert_eq!((dead.worker.as_str(), dead.tasks[0].worker.as_str()), ("127.0.0.1:8083", ""));

    let mut asked = running.clone();
    asked.definition.restarts = BTreeMap::from([(RestartScope::Connector, 1), (RestartScope::Task(0), 1)]);
    let view = seen(&asked, true);
    assert_eq!((view.state, view.tasks[0].state), (State::Restarting, State::Restarting));

    let mut failed = running;
    failed.plan.as_mut().unwrap().error = Some("no such collection".into());
    let view = seen(&failed, true);
    assert_eq!((view.state, view.trace.as_str()), (State::Failed, "no such collection"));

    let mut unplanned = facts(TargetState::Running);
    unplanned.plan = None;
    let view = seen(&unplanned, true);
    assert_eq!((view.state, view.tasks.len()), (State::Unassigned, 0));
}

#[test]
fn a_stopped_connector_has_no_tasks() {
    let mut stopped = placed(facts(TargetState::Stopped), 1, Some((1, TaskState::Running)));
    assert_eq!(seen(&stopped, true).tasks.len(), 1);
    stopped = placed(stopped, 1, Some((1, TaskState::Stopped)));
    let view = seen(&stopped, true);
    assert_eq!((view.state, view.tasks.len()), (State::Stopped, 0));
    assert_eq!(seen(&placed(facts(TargetState::Paused), 1, None), true).state, State::Paused);
}
