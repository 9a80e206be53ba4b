//! Exactly once: lives that are cut off, boundaries, and tasks of an older set.

use std::time::Duration;

use millrace_data_plane::lease::LeaseState;
use millrace_data_plane::model::{TaskSpec, TaskState};
use tokio::time::Instant;

use crate::counting::{LIMIT, Names, around, numbers, reaches, read_all, stored};
use crate::support::{bootstrap, flat};

const EXACT: (&str, &str) = ("exactly.once.support", "required");

/// Every number from 0 up to `limit` is there once.
async fn assert_once(names: &Names, limit: i64) {
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    let twice: Vec<_> = numbers.iter().filter(|(_, times)| **times != 1).collect();
    assert_eq!(twice, [], "none is there twice");
    assert_eq!(numbers.into_keys().collect::<Vec<_>>(), (0..limit).collect::<Vec<_>>(), "none is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn lives_that_are_cut_off_leave_each_record_once() {
    let Some(bootstrap) = bootstrap() else { return };
    for boundary in ["poll", "interval"] {
        let names = Names::new(bootstrap.clone());
        let mut around = around();
        let spec = || {
            let pairs = [EXACT, ("limit", "4850"), ("pause_ms", "40"), ("transaction.boundary", boundary)];
            names.spec(&[&pairs[..], &[("transaction.boundary.interval.ms", "150")]].concat())
        };
        for _ in 0..3 {
            let task = around.start(spec());
            around.wait_for(TaskState::Running).await;
            // In the midst of whatever it does then.
            tokio::time::sleep(Duration::from_millis(350)).await;
            drop(task);
        }
        let cut = stored(&names).await.unwrap_or(0);
        assert!(cut < 4850, "the last cut came too late: {cut}");
        let task = around.start(spec());
        around.wait_for(TaskState::Running).await;
        reaches(&names, 4850).await;
        task.stop().await;
        assert_once(&names, 4850).await;
        names.clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connector_ends_transactions_and_aborts_some() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let mut around = around();
    let pairs = [EXACT, ("limit", "970"), ("abort", "3"), ("transaction.boundary", "connector")];
    let task = around.start(names.spec(&pairs));
    around.wait_for(TaskState::Running).await;
    reaches(&names, 970).await;
    task.stop().await;
    let numbers = numbers(&read_all(&names.bootstrap, &names.topic).await);
    let expected: Vec<i64> = (0..970).filter(|n| (n / 97) % 3 != 0).collect();
    assert_eq!(
        numbers.into_keys().collect::<Vec<_>>(),
        expected,
        "polls 0, 3, 6 and 9 are aborted, their positions are not"
    );
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_life_fences_the_first_which_runs_on_without_a_lease() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let (mut old, mut new) = (around(), around());
    let spec = |pause: &str| names.spec(&[EXACT, ("limit", "4850"), ("pause_ms", pause)]);
    let first = old.start(spec("800"));
    old.wait_for(TaskState::Running).await;
    reaches(&names, 97).await;
    old.lease.send_replace(LeaseState::Headless);
    let before = stored(&names).await.unwrap_or(0);
    reaches(&names, before + 97).await;
    // The control plane gives it to somebody else.
    let second = new.start(spec("0"));
    new.wait_for(TaskState::Running).await;
    let fenced = loop {
        let status = tokio::time::timeout(LIMIT, old.statuses.recv()).await.unwrap().unwrap();
        if status.state == TaskState::Fenced {
            break status;
        }
    };
    assert!(fenced.trace.contains("newer life"), "{}", fenced.trace);
    reaches(&names, 4850).await;
    second.stop().await;
    first.stop().await;
    assert_once(&names, 4850).await;
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_set_waits_for_its_first_task_which_fences_the_old_set() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let (mut old, mut new) = (around(), around());
    let task = |set: i64, index: u32, tasks: u32, pause: &str| {
        let mut spec = names.spec(&[EXACT, ("limit", "9700"), ("pause_ms", pause)]);
        spec.id.index = index;
        TaskSpec { set_revision: set, tasks_total: tasks, ..spec }
    };
    // Of the old set, task 1 does the work and task 0 is there to let it begin.
    let zero = old.start(TaskSpec { paused: true, ..task(7, 0, 2, "0") });
    old.wait_for(TaskState::Paused).await;
    let one = old.start(task(7, 1, 2, "400"));
    old.wait_for(TaskState::Running).await;
    reaches(&names, 97).await;
    zero.stop().await;
    // The new set has one task, which takes the work over while the old one is still at it.
    let taken = new.start(task(8, 0, 1, "0"));
    new.wait_for(TaskState::Running).await;
    reaches(&names, 9700).await;
    let began = Instant::now();
    while !one.has_ended() {
        assert!(began.elapsed() < LIMIT, "the old task is not fenced");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    taken.stop().await;
    assert_once(&names, 9700).await;
    // A late task of the old set finds a newer one.
    let late = new.start(task(7, 0, 2, "0"));
    let fenced = new.wait_for(TaskState::Fenced).await;
    assert!(fenced.trace.contains("newer set"), "{}", fenced.trace);
    late.stop().await;
    names.clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offsets_topic_of_its_own_goes_on_from_the_tenants() {
    let Some(bootstrap) = bootstrap() else { return };
    let names = Names::new(bootstrap);
    let own = format!("{}-own", names.offsets);
    let mut around = around();
    let task = around.start(names.spec(&[("limit", "500")]));
    around.wait_for(TaskState::Running).await;
    reaches(&names, 500).await;
    task.stop().await;
    around.wait_for(TaskState::Stopped).await;
    let with_own = Names { offsets: own.clone(), ..Names::new(names.bootstrap.clone()) };
    for (limit, exact) in [(1000, false), (1500, true)] {
        let mut spec = names.spec(&[("limit", &limit.to_string()), ("offsets.storage.topic", &own)]);
        if exact {
            spec.config.extend(flat(&[EXACT]));
        }
        let task = around.start(spec);
        around.wait_for(TaskState::Running).await;
        reaches(&with_own, limit).await;
        task.stop().await;
        around.wait_for(TaskState::Stopped).await;
    }
    assert_once(&names, 1500).await;
    assert_eq!(stored(&names).await, Some(500), "the tenant's topic is left alone");
    crate::support::delete_topic(&names.bootstrap, &own).await;
    names.clean().await;
}
