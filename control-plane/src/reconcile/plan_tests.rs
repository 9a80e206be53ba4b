//! What `plan` does, case by case and by properties.

use proptest::prelude::*;

use super::test_world::{World, id, task};
use crate::model::{ConnectorKind, Flat, Generation, PlannedFor, RestartScope, TargetState, TaskSet, TaskState};
use crate::store::keys;

/// Two workers with one running connector `c` of two tasks.
fn running() -> World {
    let mut world = World::new();
    world.worker("a", 10, &["x", "y", "s"]);
    world.worker("b", 10, &["x", "y", "s"]);
    world.define("c", "x", 2);
    world.settle();
    assert_eq!(world.places("c"), "a b");
    world
}

#[test]
fn a_sink_is_planned_placed_and_assigned_at_once() {
    let mut world = World::new();
    world.worker("a", 10, &["x"]);
    world.worker("b", 10, &["x"]);
    world.define("c", "java.x", 3);
    world.reconcile(false);
    assert_eq!(world.places("c"), "a b a");
    let set = &world.connector("c").plan.as_ref().expect("planned").value;
    assert_eq!(
        (set.tasks.len(), set.kind, set.planned_for),
        (3, ConnectorKind::Sink, PlannedFor { version: 1, restarts: 0 })
    );
    let assigned = &world.snapshot.assignments["a"].value.tasks;
    assert_eq!(assigned.iter().map(|t| t.id.clone()).collect::<Vec<_>>(), [task("c", 0), task("c", 2)]);
    assert_eq!(assigned[0].generation, world.placement("c", 0).generation);
}

#[test]
fn without_a_worker_that_offers_the_class_a_connector_waits() {
    let mut world = World::new();
    world.worker("a", 10, &["y"]);
    world.define("c", "x", 1);
    world.define("unknown", "z", 1);
    world.settle();
    assert_eq!((world.places("c"), world.places("unknown")), (String::new(), String::new()));
    world.worker("b", 1, &["x"]);
    world.settle();
    assert_eq!(world.places("c"), "b");
}

#[test]
fn capacity_is_respected_and_a_place_that_is_free_again_is_taken() {
    let mut world = World::new();
    world.worker("a", 2, &["x"]);
    world.define("c", "x", 2);
    world.define("d", "x", 1);
    world.settle();
    assert_eq!((world.places("c"), world.places("d")), ("a a".to_owned(), String::new()));
    world.define("c", "x", 1);
    world.settle();
    assert_eq!((world.places("c"), world.places("d")), ("a".to_owned(), "a".to_owned()));
}

#[test]
fn adding_a_connector_moves_nothing() {
    let mut world = running();
    let before = world.connector("c").placements.clone();
    world.define("d", "y", 5);
    world.settle();
    assert_eq!(world.connector("c").placements, before);
    assert_eq!(world.loads().into_values().collect::<Vec<_>>(), [4, 3]);
}

#[test]
fn a_dead_workers_tasks_move_once_it_is_certain() {
    let mut world = running();
    let before = world.placement("c", 0).clone();
    world.worker_dies("a");
    assert_eq!(world.reconcile(false), 0, "it may only be away");
    world.settle();
    assert_eq!(world.places("c"), "b b");
    assert_eq!(world.placement("c", 0).generation, Generation(before.generation.0 + 1));
    assert!(!world.snapshot.assignments.contains_key("a"));
}

#[test]
fn a_worker_that_comes_back_in_time_keeps_its_tasks() {
    let mut world = running();
    let before = world.connector("c").placements.clone();
    world.worker_dies("a");
    world.reconcile(false);
    world.worker("a", 10, &["x"]);
    world.settle();
    assert_eq!(world.connector("c").placements, before);
}

#[test]
fn with_nobody_else_a_dead_workers_tasks_wait_for_it() {
    let mut world = World::new();
    world.worker("a", 10, &["x"]);
    world.define("c", "x", 1);
    world.settle();
    let before = world.placement("c", 0).clone();
    world.worker_dies("a");
    world.settle();
    world.worker("a", 10, &["x"]);
    world.settle();
    assert_eq!(world.placement("c", 0), &before);
}

#[test]
fn pausing_changes_no_placement_and_stopping_frees_them() {
    let mut world = running();
    let before = world.connector("c").placements.clone();
    world.change("c", |definition| definition.target = TargetState::Paused);
    assert_eq!(world.reconcile(true), 0);
    assert_eq!(world.connector("c").placements, before);
    world.change("c", |definition| definition.target = TargetState::Stopped);
    world.reconcile(true);
    assert_eq!(world.places("c"), "a! b!");
    assert!(world.snapshot.assignments["a"].value.tasks.is_empty());
    world.obey("a");
    world.reconcile(true);
    assert_eq!(world.places("c"), "- b!");
    world.obey("b");
    world.settle();
    assert_eq!(world.places("c"), "- -");
    world.change("c", |definition| definition.target = TargetState::Running);
    world.settle();
    assert_eq!(world.places("c"), "a b");
    assert_eq!(world.placement("c", 0).generation.0, before[&0].value.generation.0 + 1);
}

#[test]
fn a_deleted_connector_is_cleared_away_when_its_tasks_have_stopped() {
    let mut world = running();
    world.delete(&keys::definition(&id("c")));
    world.reconcile(true);
    assert_eq!(world.places("c"), "a! b!");
    world.obey("a");
    world.reconcile(true);
    assert_eq!(world.places("c"), "b!");
    assert!(world.connector("c").plan.is_some());
    world.worker_dies("b");
    world.reconcile(true);
    assert!(!world.snapshot.connectors.contains_key(&id("c")), "{:#?}", world.snapshot.connectors);
}

#[test]
fn a_connector_made_again_under_its_name_waits_for_the_old_tasks() {
    let mut world = running();
    let old = world.placement("c", 0).clone();
    world.delete(&keys::definition(&id("c")));
    world.reconcile(true);
    world.define("c", "y", 1);
    world.reconcile(true);
    assert_eq!(world.places("c"), "a! b!");
    let set = world.connector("c").plan.as_ref().expect("planned").value.clone();
    assert_eq!((set.tasks.len(), set.revision), (1, old.set_revision + 1));
    world.settle();
    assert_eq!(world.places("c"), "a");
    assert!(world.placement("c", 0).generation > old.generation);
}

#[test]
fn a_new_set_starts_after_all_of_the_old_one_has_stopped() {
    let mut world = running();
    world.define("c", "x", 3);
    world.reconcile(true);
    assert_eq!(world.places("c"), "a! b!");
    world.obey("a");
    world.reconcile(true);
    assert_eq!(world.places("c"), "- b!", "b still runs a task of the old set");
    world.obey("b");
    world.reconcile(true);
    assert_eq!(world.places("c"), "a b a");
    let revision = world.connector("c").plan.as_ref().expect("planned").value.revision;
    assert!((0..3).all(|n| world.placement("c", n).set_revision == revision));
}

#[test]
fn fewer_tasks_leave_nothing_behind() {
    let mut world = running();
    world.define("c", "x", 1);
    world.settle();
    assert_eq!(world.places("c"), "a");
    assert_eq!(world.connector("c").statuses.len(), 1);
}

#[test]
fn restarts_asked_for() {
    let mut world = running();
    let before = world.placement("c", 1).clone();
    world.change("c", |definition| definition.restarts = [(RestartScope::Task(1), 1)].into());
    world.reconcile(true);
    let after = world.placement("c", 1).clone();
    assert_eq!((after.worker, after.generation.0, after.revoking), (before.worker, before.generation.0 + 1, false));
    let set = world.placement("c", 0).set_revision;
    world.change("c", |definition| {
        definition.restarts = [(RestartScope::Task(1), 1), (RestartScope::Connector, 1)].into()
    });
    world.settle();
    assert_eq!(world.placement("c", 0).set_revision, set + 1);
    assert_eq!(world.places("c"), "a b");
}

#[test]
fn a_failed_task_stays_until_it_is_restarted() {
    let mut world = running();
    let before = world.placement("c", 0).clone();
    world.report(&task("c", 0), TaskState::Failed);
    world.settle();
    world.worker_dies("a");
    world.settle();
    assert_eq!(world.placement("c", 0), &before, "its reason is worth more than a try on another worker");
    world.change("c", |definition| definition.restarts = [(RestartScope::Task(0), 1)].into());
    world.settle();
    assert_eq!(world.places("c"), "b b");
}

#[test]
fn a_fenced_task_is_placed_again_after_a_pause() {
    let mut world = running();
    let before = world.placement("c", 0).clone();
    world.report(&task("c", 0), TaskState::Fenced);
    assert_eq!(world.reconcile(true), 0);
    world.now_ms += 1000;
    world.reconcile(true);
    assert_eq!(world.placement("c", 0).generation.0, before.generation.0 + 1);
}

#[test]
fn a_draining_worker_hands_its_tasks_over_and_gets_none_until_it_is_back() {
    let mut world = running();
    world.report(&task("c", 0), TaskState::Stopped);
    world.running.remove("a");
    world.reconcile(true);
    assert_eq!(world.places("c"), "b b");
    world.worker("a", 10, &["x"]);
    world.settle();
    assert_eq!(world.loads().into_values().collect::<Vec<_>>(), [1, 1], "back, it is given work again");
    let mut world = World::new();
    world.worker("a", 10, &["x"]);
    world.define("c", "x", 1);
    world.settle();
    let before = world.placement("c", 0).clone();
    world.report(&task("c", 0), TaskState::Stopped);
    assert_eq!(world.reconcile(true), 0, "there is nobody else");
    world.worker("a", 10, &["x"]);
    world.reconcile(true);
    assert_eq!(world.placement("c", 0).generation.0, before.generation.0 + 1);
}

#[test]
fn a_new_worker_is_given_work_gently() {
    let mut world = running();
    for name in ["d", "e", "f"] {
        world.define(name, "x", 2);
    }
    world.settle();
    world.worker("n", 10, &["x", "y", "s"]);
    world.reconcile(true);
    let moving: Vec<usize> = ["c", "d", "e", "f"].iter().map(|name| world.places(name).matches('!').count()).collect();
    assert!(moving.iter().all(|n| *n <= 1), "{moving:?}");
    assert_eq!(moving.iter().sum::<usize>(), 2, "{moving:?}: of 4 and 4, 2 go");
    world.settle();
    assert_eq!(world.loads().into_values().collect::<Vec<_>>(), [3, 3, 2]);
}

#[test]
fn sources_are_placed_by_the_set_that_a_worker_planned() {
    let mut world = World::new();
    world.worker("a", 10, &["s"]);
    world.define("c", "s", 9);
    world.settle();
    assert_eq!(world.places("c"), "");
    let mut set = TaskSet {
        revision: 1,
        planned_for: PlannedFor { version: 1, restarts: 0 },
        kind: ConnectorKind::Source,
        tasks: vec![Flat::new(); 2],
        error: None,
    };
    world.put_json(keys::plan(&id("c")), &set);
    world.settle();
    assert_eq!(world.places("c"), "a a");
    let before = world.connector("c").placements.clone();
    world.define("c", "s", 1);
    world.settle();
    assert_eq!(world.connector("c").placements, before, "the old set runs until there is a new one");
    set.revision = 2;
    set.tasks.truncate(1);
    world.put_json(keys::plan(&id("c")), &set);
    world.settle();
    assert_eq!(world.places("c"), "a");
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    let mut world = running();
    world.put(keys::definition(&id("c")), b"{\"of\":\"a later version\"}".to_vec());
    let before = world.connector("c").placements.clone();
    assert_eq!(world.reconcile(true), 0);
    assert_eq!(world.connector("c").placements, before);
}

#[derive(Debug, Clone)]
enum Step {
    Define(u8, u8, u32),
    Target(u8, u8),
    Delete(u8),
    RestartTask(u8, u32),
    RestartConnector(u8),
    Join(u8, u32, u8),
    Die(u8),
    Obey(u8),
    Report(u8, u32, u8),
    Reconcile(bool),
    Later,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let c = 0_u8..4;
    let w = 0_u8..4;
    let step = prop_oneof![
        3 => (c.clone(), 0_u8..2, 1_u32..5).prop_map(|(c, class, n)| Step::Define(c, class, n)),
        1 => (c.clone(), 0_u8..3).prop_map(|(c, t)| Step::Target(c, t)),
        1 => c.clone().prop_map(Step::Delete),
        1 => (c.clone(), 0_u32..4).prop_map(|(c, n)| Step::RestartTask(c, n)),
        1 => c.clone().prop_map(Step::RestartConnector),
        3 => (w.clone(), 0_u32..8, 0_u8..4).prop_map(|(w, n, classes)| Step::Join(w, n, classes)),
        1 => w.clone().prop_map(Step::Die),
        5 => w.prop_map(Step::Obey),
        2 => (c, 0_u32..4, 0_u8..3).prop_map(|(c, n, s)| Step::Report(c, n, s)),
        6 => any::<bool>().prop_map(Step::Reconcile),
        1 => Just(Step::Later),
    ];
    proptest::collection::vec(step, 1..60)
}

fn take(world: &mut World, step: &Step) {
    let connector = |c: &u8| format!("c{c}");
    let defined = |world: &World, c: &u8| {
        world.snapshot.connectors.get(&id(&format!("c{c}"))).is_some_and(|known| known.definition.is_some())
    };
    match step {
        Step::Define(c, class, n) => world.define(&connector(c), ["x", "y"][usize::from(*class)], *n),
        Step::Target(c, target) if defined(world, c) => world.change(&connector(c), |definition| {
            definition.target = [TargetState::Running, TargetState::Paused, TargetState::Stopped][usize::from(*target)];
        }),
        Step::Delete(c) if defined(world, c) => world.delete(&keys::definition(&id(&connector(c)))),
        Step::RestartTask(c, n) if defined(world, c) => {
            world.change(&connector(c), |d| *d.restarts.entry(RestartScope::Task(*n)).or_default() += 1);
        }
        Step::RestartConnector(c) if defined(world, c) => {
            world.change(&connector(c), |d| *d.restarts.entry(RestartScope::Connector).or_default() += 1);
        }
        Step::Join(w, capacity, classes) => {
            let classes: &[&str] = [&["x"] as &[&str], &["y"], &["x", "y"], &["x", "y"]][usize::from(*classes)];
            world.worker(&format!("w{w}"), *capacity, classes);
        }
        Step::Die(w) if world.snapshot.workers.contains_key(&format!("w{w}")) => world.worker_dies(&format!("w{w}")),
        Step::Obey(w) if world.snapshot.workers.contains_key(&format!("w{w}")) => world.obey(&format!("w{w}")),
        Step::Report(c, n, state) => report(world, &connector(c), *n, *state),
        Step::Reconcile(settled) => reconcile(world, *settled),
        Step::Later => world.now_ms += 2000,
        _ => {}
    }
}

/// A worker says that a task it really runs has ended.
fn report(world: &mut World, connector: &str, index: u32, state: u8) {
    let id = task(connector, index);
    let Some(known) = world.snapshot.connectors.get(&id.connector) else { return };
    let Some(placement) = known.placements.get(&index).map(|placement| placement.value.clone()) else { return };
    let Some(tasks) = placement.worker.as_ref().and_then(|worker| world.running.get_mut(worker)) else { return };
    if tasks.get(&id) == Some(&placement.generation) {
        tasks.remove(&id);
        world.report(&id, [TaskState::Failed, TaskState::Fenced, TaskState::Stopped][usize::from(state)]);
    }
}

/// With what must hold of any plan.
fn reconcile(world: &mut World, settled: bool) {
    let before = world.clone();
    world.reconcile(settled);
    let loads = world.loads();
    for (id, connector) in &world.snapshot.connectors {
        for (index, placement) in &connector.placements {
            let old = before.snapshot.connectors.get(id).and_then(|c| c.placements.get(index)).map(|p| &p.value);
            let new = &placement.value;
            if let Some(old) = old {
                assert!(new.generation >= old.generation);
                assert!(new.worker == old.worker || new.worker.is_none() || new.generation > old.generation);
            }
            let Some(name) = new.worker.as_ref().filter(|_| old.is_none_or(|old| old.generation < new.generation))
            else {
                continue;
            };
            let worker = &world.snapshot.workers[name].value;
            let class = connector.definition.as_ref().expect("only the defined are placed").value.class();
            let again = old.is_some_and(|old| old.worker.as_ref() == Some(name));
            assert!(again || worker.classes.iter().any(|offered| offered == class), "{id} on {name}");
            let was = before.loads().get(name).copied().unwrap_or(0);
            assert!(loads[name] <= worker.capacity.max(was), "{name} has {} of {}", loads[name], worker.capacity);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// `World` itself asserts that guards hold and that a second plan is empty.
    #[test]
    fn whatever_happens_no_task_runs_twice_and_it_settles(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            take(&mut world, step);
            world.check();
        }
        world.now_ms += 2000;
        world.worker("w0", 100, &["x", "y"]);
        world.settle();
        for (id, connector) in &world.snapshot.connectors {
            let Some(definition) = &connector.definition else {
                prop_assert!(false, "{} is deleted and still there", id);
                continue;
            };
            let stopped = definition.value.target == TargetState::Stopped;
            for (index, placement) in &connector.placements {
                let state = connector.statuses.get(index).map(|status| status.value.state);
                if stopped {
                    prop_assert_eq!(&placement.value.worker, &None);
                } else {
                    prop_assert!(matches!(state, Some(TaskState::Running | TaskState::Failed)), "{} {}: {:?}", id, index, placement);
                }
            }
            if !stopped {
                let tasks = connector.plan.as_ref().expect("planned").value.tasks.len();
                prop_assert_eq!(connector.placements.len(), tasks);
            }
        }
    }

    #[test]
    fn adding_a_connector_moves_nothing_ever(
        tasks in proptest::collection::vec(1_u32..6, 1..8), workers in 1_u32..6, more in 1_u32..12,
    ) {
        let mut world = World::new();
        for n in 0..workers {
            world.worker(&format!("w{n}"), 100, &["x", "y"]);
        }
        for (n, tasks) in tasks.iter().enumerate() {
            world.define(&format!("c{n}"), "x", *tasks);
        }
        world.settle();
        let before = world.clone();
        world.define("new", "y", more);
        world.settle();
        for n in 0..tasks.len() {
            let name = format!("c{n}");
            prop_assert_eq!(&world.connector(&name).placements, &before.connector(&name).placements);
        }
        let loads: Vec<u32> = world.loads().into_values().collect();
        prop_assert!(loads.iter().max().expect("one") - loads.iter().min().expect("one") <= 1);
    }
}

/// Run by hand: `cargo test -p millrace-control-plane planning_is_near_linear -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn planning_is_near_linear() {
    for (workers, connectors) in [(100_u32, 1000_u32), (1000, 10_000)] {
        let mut world = World::new();
        for n in 0..workers {
            world.worker(&format!("w{n:04}"), 200, &["x"]);
        }
        for n in 0..connectors {
            world.define(&format!("c{n:05}"), "x", 10);
        }
        let now = super::plan::Now { ms: world.now_ms, epoch: super::test_world::EPOCH, settled: true, calm: true };
        let started = std::time::Instant::now();
        let first = super::plan::plan(&world.snapshot, now);
        let fresh = started.elapsed();
        world.reconcile(true);
        let started = std::time::Instant::now();
        let steady = super::plan::plan(&world.snapshot, now);
        assert_eq!(steady.changes, []);
        let steady = started.elapsed();
        world.worker_dies("w0007");
        let started = std::time::Instant::now();
        let moved = super::plan::plan(&world.snapshot, now).changes.len();
        let death = started.elapsed();
        println!(
            "{} tasks on {workers} workers: all new {fresh:?} ({} changes), nothing to do {steady:?}, a worker dies {death:?} ({moved} changes)",
            connectors * 10,
            first.changes.len(),
        );
    }
}
