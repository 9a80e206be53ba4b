//! Stops that no worker will ever confirm: a task that was revoked before its worker had heard of it, or whose worker has
//! started anew since. The session confirms them, once it is sure that the worker does not have the task. Pure.

use std::collections::{BTreeMap, HashMap};

use millrace_proto::internal::v1::TaskSpec;

use crate::model::{Generation, TaskId, TaskState, TaskStatus};

/// What a worker has said in its session.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// It has told all of its tasks once
    whole: bool,
    /// Tasks that it has, by its last word
    here: HashMap<TaskId, Generation>,
}

impl Told {
    /// A report begins.
    pub(crate) fn report(&mut self, full: bool) {
        self.whole |= full;
    }

    /// One of its statuses.
    pub(crate) fn status(&mut self, id: &TaskId, status: &TaskStatus) {
        if matches!(status.state, TaskState::Stopped | TaskState::Fenced) {
            self.here.remove(id);
        } else {
            self.here.insert(id.clone(), status.generation);
        }
    }

    /// Which of the revoked tasks the worker certainly does not have. To be asked when it has applied all that was sent.
    pub(crate) fn missing(
        &self,
        revoking: &BTreeMap<TaskId, Generation>,
        sent: &BTreeMap<TaskId, TaskSpec>,
    ) -> Vec<(TaskId, Generation)> {
        if !self.whole {
            return Vec::new();
        }
        revoking
            .iter()
            .filter(|(id, generation)| !sent.contains_key(*id) && self.here.get(*id) != Some(*generation))
            .map(|(id, generation)| (id.clone(), *generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectorId;

    fn task(index: u32) -> TaskId {
        TaskId { connector: ConnectorId { tenant: "t".into(), connector: "c".into() }, index }
    }

    fn status(generation: i64, state: TaskState) -> TaskStatus {
        TaskStatus {
            generation: Generation(generation),
            worker: "w".into(),
            address: String::new(),
            state,
            error_kind: String::new(),
            trace: String::new(),
            warnings: Vec::new(),
            since_ms: 0,
        }
    }

    #[test]
    fn only_what_the_worker_certainly_does_not_have() {
        let revoking: BTreeMap<_, _> = (0..5).map(|index| (task(index), Generation(7))).collect();
        let sent = BTreeMap::from([(task(0), TaskSpec::default())]);
        let mut told = Told::default();
        told.report(false);
        assert_eq!(told.missing(&revoking, &sent), [], "it has not told all of its tasks yet");
        told.report(true);
        told.status(&task(1), &status(7, TaskState::Running));
        told.status(&task(2), &status(7, TaskState::Running));
        told.status(&task(2), &status(7, TaskState::Stopped));
        told.status(&task(3), &status(6, TaskState::Running));
        let missing = [2, 3, 4].map(|index| (task(index), Generation(7)));
        assert_eq!(told.missing(&revoking, &sent), missing);
    }
}
