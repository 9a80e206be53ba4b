//! What to do so that the running tasks become the assigned ones. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Assignment, TaskId, TaskSpec};

/// What runs here of a task.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Here<'a> {
    /// Started with this; may be held still meanwhile
    Running {
        /// As it was started
        spec: &'a TaskSpec,
        /// As it was told last
        paused: bool,
    },
    /// On its way out; nothing of this task may start before it is gone
    Stopping,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Nothing of it runs here
    Start(Arc<TaskSpec>),
    /// Given up, outdated, or without a lease; what it shall become is looked at again when it is gone
    Stop(TaskId),
    /// Hold it still or let it go on
    SetPaused(TaskId, bool),
}

/// The steps from `here` to `assignment`. `live` is whether the lease holds; `needs_lease`, whether a task may run only while
/// it does.
pub(crate) fn diff(
    here: &BTreeMap<TaskId, Here<'_>>,
    assignment: &Assignment,
    live: bool,
    needs_lease: impl Fn(&TaskSpec) -> bool,
) -> Vec<Action> {
    let wanted = |id: &TaskId| assignment.tasks.get(id).filter(|spec| live || !needs_lease(spec));
    let mut actions = Vec::new();
    for (id, here) in here {
        let Here::Running { spec: running, paused } = here else { continue };
        match wanted(id) {
            Some(spec) if !same_life(running, spec) => actions.push(Action::Stop(id.clone())),
            Some(spec) if spec.paused != *paused => actions.push(Action::SetPaused(id.clone(), spec.paused)),
            Some(_) => {}
            None => actions.push(Action::Stop(id.clone())),
        }
    }
    for (id, spec) in &assignment.tasks {
        if !here.contains_key(id) && wanted(id).is_some() {
            actions.push(Action::Start(Arc::clone(spec)));
        }
    }
    actions
}

fn same_life(running: &TaskSpec, assigned: &TaskSpec) -> bool {
    (running.generation, running.set_revision, &running.fingerprint)
        == (assigned.generation, assigned.set_revision, &assigned.fingerprint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::testing::{source_spec, spec};
    use millrace_sdk::ConnectorKind;

    fn assignment(specs: &[Arc<TaskSpec>]) -> Assignment {
        let tasks = specs.iter().map(|spec| (spec.id.clone(), Arc::clone(spec))).collect();
        Assignment { epoch: 1, revision: 1, tasks }
    }

    fn diff(here: &BTreeMap<TaskId, Here<'_>>, assignment: &Assignment, live: bool) -> Vec<Action> {
        super::diff(here, assignment, live, |spec| spec.kind == ConnectorKind::Source)
    }

    fn running(specs: &[Arc<TaskSpec>]) -> BTreeMap<TaskId, Here<'_>> {
        specs.iter().map(|spec| (spec.id.clone(), Here::Running { spec, paused: spec.paused })).collect()
    }

    fn changed(spec: &Arc<TaskSpec>, change: impl FnOnce(&mut TaskSpec)) -> Arc<TaskSpec> {
        let mut changed = TaskSpec::clone(spec);
        change(&mut changed);
        Arc::new(changed)
    }

    #[test]
    fn starts_what_is_new_and_stops_what_is_gone() {
        let (a, b) = (spec("a", 1), spec("b", 1));
        let actions = diff(&running(&[Arc::clone(&a)]), &assignment(&[Arc::clone(&b)]), true);
        assert_eq!(actions, [Action::Stop(a.id.clone()), Action::Start(b)]);
    }

    #[test]
    fn a_second_look_does_nothing() {
        let tasks = [spec("a", 1), source_spec("b", 1)];
        assert_eq!(diff(&running(&tasks), &assignment(&tasks), true), []);
    }

    #[test]
    fn a_new_generation_set_or_fingerprint_is_a_new_life() {
        let old = spec("a", 1);
        for new in [
            changed(&old, |spec| spec.generation = 2),
            changed(&old, |spec| spec.set_revision = 9),
            changed(&old, |spec| spec.fingerprint = "other".to_owned()),
        ] {
            let actions = diff(&running(&[Arc::clone(&old)]), &assignment(&[new]), true);
            assert_eq!(actions, [Action::Stop(old.id.clone())], "the start comes when the old life has ended");
        }
    }

    #[test]
    fn pausing_is_no_new_life_and_is_not_said_twice() {
        let old = spec("a", 1);
        let paused = changed(&old, |spec| spec.paused = true);
        let here = running(std::slice::from_ref(&old));
        assert_eq!(
            diff(&here, &assignment(std::slice::from_ref(&paused)), true),
            [Action::SetPaused(old.id.clone(), true)]
        );
        let here = BTreeMap::from([(old.id.clone(), Here::Running { spec: &old, paused: true })]);
        assert_eq!(diff(&here, &assignment(&[paused]), true), []);
        assert_eq!(
            diff(&here, &assignment(std::slice::from_ref(&old)), true),
            [Action::SetPaused(old.id.clone(), false)]
        );
    }

    #[test]
    fn nothing_starts_beside_its_own_older_life() {
        let new = spec("a", 2);
        let here = BTreeMap::from([(new.id.clone(), Here::Stopping)]);
        assert_eq!(diff(&here, &assignment(&[new]), true), []);
        assert_eq!(diff(&here, &Assignment::default(), true), []);
    }

    #[test]
    fn without_a_lease_sources_stop_and_sinks_run_on() {
        let tasks = [spec("sink", 1), source_spec("source", 1)];
        let wanted = assignment(&tasks);
        assert_eq!(diff(&running(&tasks), &wanted, false), [Action::Stop(tasks[1].id.clone())]);
        let sink_only = running(&tasks[..1]);
        assert_eq!(diff(&sink_only, &wanted, false), []);
        assert_eq!(diff(&sink_only, &wanted, true), [Action::Start(Arc::clone(&tasks[1]))]);
    }
}
