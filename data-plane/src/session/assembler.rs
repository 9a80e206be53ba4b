//! Puts the parts of assignments together: whole ones, deltas, both in chunks. Pure. Nothing of a chunked assignment is seen
//! before its last chunk.

use std::sync::Arc;

use crate::model::{Assignment, TaskId, TaskSpec};

/// One message of the control plane.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// The leader that made it
    pub epoch: i64,
    /// What the worker has after the last part
    pub revision: i64,
    /// What a delta builds on
    pub base_revision: i64,
    /// Replaces everything
    pub full: bool,
    /// No more parts of this revision
    pub last: bool,
    /// New and changed tasks
    pub upserts: Vec<Arc<TaskSpec>>,
    /// Tasks to give up
    pub removals: Vec<TaskId>,
}

/// What became of a part.
#[derive(Debug, PartialEq)]
pub enum Received {
    /// More parts are to come
    Partial,
    /// The worker's tasks from now on
    Complete(Assignment),
    /// From an older leader: as if it had not come
    Outdated,
    /// Cannot be used; the control plane is told why and sends everything again
    Refused {
        /// The revision that is refused
        revision: i64,
        /// Why
        reason: String,
    },
}

/// The current assignment and the parts of the next.
#[derive(Debug, Default)]
pub struct Assembler {
    current: Assignment,
    pending: Option<Part>,
}

impl Assembler {
    /// A new stream: parts of the old one will never be completed.
    pub fn reconnected(&mut self) {
        self.pending = None;
    }

    /// Takes one part.
    pub fn receive(&mut self, part: Part) -> Received {
        if part.epoch < self.current.epoch {
            return Received::Outdated;
        }
        let whole = match self.pending.take() {
            None => part,
            Some(begun) if belongs(&begun, &part) => joined(begun, part),
            // The control plane began anew, for instance because a newer revision came up.
            Some(_) if part.full => part,
            Some(begun) => {
                let reason =
                    format!("part of revision {} came before revision {} was complete", part.revision, begun.revision);
                return Received::Refused { revision: part.revision, reason };
            }
        };
        if !whole.full && whole.base_revision != self.current.revision {
            let reason = format!(
                "a change from revision {} cannot be applied to revision {}",
                whole.base_revision, self.current.revision
            );
            return Received::Refused { revision: whole.revision, reason };
        }
        if !whole.last {
            self.pending = Some(whole);
            return Received::Partial;
        }
        self.apply(whole);
        Received::Complete(self.current.clone())
    }

    fn apply(&mut self, whole: Part) {
        if whole.full {
            self.current.tasks.clear();
        }
        for id in &whole.removals {
            self.current.tasks.remove(id);
        }
        for spec in whole.upserts {
            self.current.tasks.insert(spec.id.clone(), spec);
        }
        self.current.epoch = whole.epoch;
        self.current.revision = whole.revision;
    }
}

fn belongs(begun: &Part, part: &Part) -> bool {
    (begun.epoch, begun.revision, begun.full) == (part.epoch, part.revision, part.full)
        && (begun.full || begun.base_revision == part.base_revision)
}

fn joined(mut begun: Part, part: Part) -> Part {
    begun.upserts.extend(part.upserts);
    begun.removals.extend(part.removals);
    begun.last = part.last;
    begun
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::testing::spec;

    fn names(assignment: &Assignment) -> Vec<String> {
        assignment.tasks.keys().map(|id| id.connector.clone()).collect()
    }

    fn full(revision: i64, last: bool, tasks: &[&str]) -> Part {
        let upserts = tasks.iter().map(|name| spec(name, 1)).collect();
        Part { epoch: 5, revision, full: true, last, upserts, ..Part::default() }
    }

    fn delta(base_revision: i64, revision: i64, add: &[&str], remove: &[&str]) -> Part {
        let upserts = add.iter().map(|name| spec(name, 1)).collect();
        let removals = remove.iter().map(|name| spec(name, 1).id.clone()).collect();
        Part { epoch: 5, revision, base_revision, last: true, upserts, removals, ..Part::default() }
    }

    fn complete(received: Received) -> Assignment {
        match received {
            Received::Complete(assignment) => assignment,
            other => panic!("not complete: {other:?}"),
        }
    }

    #[test]
    fn whole_then_deltas() {
        let mut assembler = Assembler::default();
        assert_eq!(names(&complete(assembler.receive(full(1, true, &["a", "b"])))), ["a", "b"]);
        let next = complete(assembler.receive(delta(1, 2, &["c"], &["a"])));
        assert_eq!((names(&next), next.revision), (vec!["b".to_owned(), "c".to_owned()], 2));
        assert_eq!(names(&complete(assembler.receive(full(3, true, &["d"])))), ["d"]);
    }

    #[test]
    fn a_delta_on_another_revision_is_refused_and_changes_nothing() {
        let mut assembler = Assembler::default();
        complete(assembler.receive(full(1, true, &["a"])));
        let Received::Refused { revision, reason } = assembler.receive(delta(2, 3, &["x"], &[])) else { panic!() };
        assert_eq!(revision, 3);
        assert!(reason.contains("revision 2") && reason.contains("revision 1"), "{reason}");
        assert_eq!(names(&complete(assembler.receive(delta(1, 2, &["b"], &[])))), ["a", "b"]);
    }

    #[test]
    fn chunks_are_seen_with_the_last_one_only() {
        let mut assembler = Assembler::default();
        complete(assembler.receive(full(1, true, &["old"])));
        assert_eq!(assembler.receive(full(2, false, &["a"])), Received::Partial);
        assert_eq!(assembler.receive(full(2, false, &["b"])), Received::Partial);
        assert_eq!(names(&complete(assembler.receive(full(2, true, &["c"])))), ["a", "b", "c"]);
    }

    #[test]
    fn a_broken_chain_of_chunks_is_refused_or_begun_anew() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.receive(full(1, false, &["a"])), Received::Partial);
        assert_eq!(names(&complete(assembler.receive(full(2, true, &["b"])))), ["b"], "a newer whole one wins");
        assert_eq!(assembler.receive(full(3, false, &["c"])), Received::Partial);
        assert!(matches!(assembler.receive(delta(2, 4, &["d"], &[])), Received::Refused { revision: 4, .. }));
        assert_eq!(assembler.receive(full(5, false, &["e"])), Received::Partial);
        assembler.reconnected();
        assert_eq!(names(&complete(assembler.receive(full(5, true, &["f"])))), ["f"], "the old stream's part is gone");
    }

    #[test]
    fn an_older_epoch_is_ignored() {
        let mut assembler = Assembler::default();
        complete(assembler.receive(full(1, true, &["a"])));
        assert_eq!(assembler.receive(Part { epoch: 4, ..full(9, true, &["zombie"]) }), Received::Outdated);
        let newer = complete(assembler.receive(Part { epoch: 6, ..full(1, true, &["b"]) }));
        assert_eq!((names(&newer), newer.epoch), (vec!["b".to_owned()], 6));
    }
}
