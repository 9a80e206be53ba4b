//! Waiting until a connector is in the wanted state, with progress.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use millrace_proto::v1;

use super::progress::Progress;
use super::view::{reason, task_state};
use super::{Api, short_name};
use crate::failure::Failure;

const POLL: Duration = Duration::from_millis(200);
/// How long FAILED must last to be believed: right after a change it may be the old configuration's.
const FAILED_FOR: Duration = Duration::from_secs(2);

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Running,
    Paused,
    Stopped,
}

impl Wanted {
    fn state(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// Generations of tasks that count no longer, by index: what a task was before a change says nothing about the change.
pub(crate) type Outdated = BTreeMap<i32, i64>;

/// The tasks as they are now, if `counts` says so.
pub(crate) fn outdated(status: &v1::ConnectorStatus, counts: impl Fn(&v1::TaskStatus) -> bool) -> Outdated {
    status.tasks.iter().filter(|task| counts(task)).map(|task| (task.index, task.generation)).collect()
}

/// Where a connector is on its way to a state.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    There,
    Failed(String),
    Going(String),
}

/// Waits; FAILED ends it early.
pub(crate) async fn wait_for(
    api: &Api,
    connector: &str,
    wanted: Wanted,
    outdated: &Outdated,
    timeout: Duration,
) -> Result<(), Failure> {
    let until = Instant::now() + timeout;
    let mut progress = Progress::new();
    let mut failed_since = None;
    loop {
        let status = api.status(connector).await?;
        let text = match judge(&status, wanted, outdated) {
            Way::There => return Ok(()),
            Way::Failed(trace) if failed_since.get_or_insert_with(Instant::now).elapsed() < FAILED_FOR => {
                format!("FAILED, {}", trace.lines().next().unwrap_or_default())
            }
            Way::Failed(trace) => {
                return Err(Failure::new(format!("connector {connector} has failed"))
                    .detail(trace)
                    .hint(format!("mend the cause, then: millrace restart {connector} --only-failed")));
            }
            Way::Going(text) => {
                failed_since = None;
                text
            }
        };
        progress.tell(&format!("{connector}: {text}"));
        if Instant::now() >= until {
            drop(progress);
            let seconds = timeout.as_secs_f64();
            return Err(Failure::new(format!(
                "connector {connector} is not {} after {seconds} s: {text}",
                wanted.state()
            ))
            .hint(format!("see: millrace describe connector {connector}")));
        }
        tokio::time::sleep(POLL).await;
    }
}

fn judge(status: &v1::ConnectorStatus, wanted: Wanted, outdated: &Outdated) -> Way {
    let old = |task: &&v1::TaskStatus| outdated.get(&task.index).is_some_and(|old| task.generation <= *old);
    let waiting = status.tasks.iter().filter(old).count();
    if waiting > 0 {
        return Way::Going(format!("{waiting} of {} tasks not started anew", status.tasks.len()));
    }
    let states: Vec<&str> = status.tasks.iter().map(|task| task_state(task.state)).collect();
    let connector = task_state(status.state);
    if wanted != Wanted::Stopped && (connector == "FAILED" || states.contains(&"FAILED")) {
        let mut traces = std::iter::once(&status.trace).chain(status.tasks.iter().map(|task| &task.trace));
        let trace = traces.find(|trace| !trace.trim().is_empty()).cloned();
        return Way::Failed(trace.unwrap_or_else(|| "the server gives no reason".to_owned()));
    }
    let there = states.iter().filter(|state| **state == wanted.state()).count();
    let all = states.len();
    if connector == wanted.state() && there == all && (all > 0 || wanted == Wanted::Stopped) {
        return Way::There;
    }
    let mut text = format!("{connector}, {there} of {all} tasks {}", wanted.state());
    if let Some(reason) = reason(status) {
        text = format!("{text}, {reason}");
    }
    Way::Going(text)
}

/// Waits until the connector no longer exists.
pub(crate) async fn wait_gone(api: &Api, connector: &str, timeout: Duration) -> Result<(), Failure> {
    let until = Instant::now() + timeout;
    let mut progress = Progress::new();
    while api.list().await?.iter().any(|known| short_name(&known.name) == connector) {
        progress.tell(&format!("{connector}: being deleted"));
        if Instant::now() >= until {
            return Err(Failure::new(format!("connector {connector} still exists after {} s", timeout.as_secs_f64())));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use v1::TaskState::{Failed, Paused, Running, Stopped, Unassigned};

    fn status(connector: v1::TaskState, tasks: &[v1::TaskState]) -> v1::ConnectorStatus {
        let tasks = tasks.iter().map(|state| v1::TaskStatus { state: (*state).into(), ..v1::TaskStatus::default() });
        v1::ConnectorStatus { state: connector.into(), tasks: tasks.collect(), ..v1::ConnectorStatus::default() }
    }

    #[test]
    fn every_task_must_be_there() {
        let going = |text: &str| Way::Going(text.to_owned());
        for (connector, tasks, wanted, expected) in [
            (Running, &[Running, Running][..], Wanted::Running, Way::There),
            (Running, &[], Wanted::Running, going("RUNNING, 0 of 0 tasks RUNNING")),
            (Running, &[Running, Unassigned], Wanted::Running, going("RUNNING, 1 of 2 tasks RUNNING")),
            (Paused, &[Paused], Wanted::Paused, Way::There),
            (Paused, &[Running], Wanted::Paused, going("PAUSED, 0 of 1 tasks PAUSED")),
            (Stopped, &[], Wanted::Stopped, Way::There),
            (Running, &[Failed], Wanted::Running, Way::Failed("the server gives no reason".to_owned())),
        ] {
            assert_eq!(judge(&status(connector, tasks), wanted, &Outdated::new()), expected);
        }
    }

    #[test]
    fn a_failure_tells_the_trace() {
        let mut status = status(Running, &[Running, Failed]);
        status.tasks[1].trace = "cannot write\n  because".to_owned();
        assert_eq!(
            judge(&status, Wanted::Running, &Outdated::new()),
            Way::Failed("cannot write\n  because".to_owned())
        );
    }

    #[test]
    fn what_was_before_a_restart_does_not_count() {
        let mut status = status(Running, &[Running, Running]);
        status.tasks[1].index = 1;
        let before = outdated(&status, |task| task.index == 1);
        assert_eq!(judge(&status, Wanted::Running, &before), Way::Going("1 of 2 tasks not started anew".to_owned()));
        status.tasks[1].generation += 1;
        assert_eq!(judge(&status, Wanted::Running, &before), Way::There);
    }
}
