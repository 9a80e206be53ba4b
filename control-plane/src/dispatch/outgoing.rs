//! What one worker was sent: full assignments, deltas on top, in chunks. Pure.

use std::collections::BTreeMap;

use millrace_proto::internal::v1::{Assignment, TaskSpec};
use prost::Message;

use crate::model::{Epoch, TaskId};
use crate::wire;

/// Chunks stay below this, so that a message stays below 1 MiB with its frame around it.
const CHUNK: usize = 768 * 1024;

/// What the worker has, or is about to have.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Of the last assignment sent; 0 = none
    revision: i64,
    epoch: Epoch,
    sent: BTreeMap<TaskId, TaskSpec>,
    /// The next one is full
    full: bool,
}

impl Outgoing {
    /// A new session: the first assignment is full.
    pub(crate) fn new() -> Self {
        Self { full: true, ..Self::default() }
    }

    /// What was sent last.
    pub(crate) fn sent(&self) -> &BTreeMap<TaskId, TaskSpec> {
        &self.sent
    }

    /// The number of the last assignment sent; 0 when there was none.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// The worker refused: everything again.
    pub(crate) fn start_over(&mut self) {
        self.full = true;
    }

    /// The messages that make the worker have `wanted`; none when it has it already.
    pub(crate) fn update(&mut self, epoch: Epoch, wanted: BTreeMap<TaskId, TaskSpec>) -> Vec<Assignment> {
        let full = self.full;
        if !full && wanted == self.sent && epoch == self.epoch {
            return Vec::new();
        }
        let changed = |(id, spec): &(&TaskId, &TaskSpec)| full || self.sent.get(id) != Some(spec);
        let upserts: Vec<TaskSpec> = wanted.iter().filter(changed).map(|(_, spec)| spec.clone()).collect();
        let removals: Vec<&TaskId> = self.sent.keys().filter(|id| !full && !wanted.contains_key(id)).collect();
        let base = self.revision;
        let revision = base + 1;
        let message = |upserts, removals| Assignment {
            epoch: epoch.0,
            revision,
            base_revision: base,
            full,
            last: false,
            upserts,
            removals,
        };
        let mut chunks = Vec::new();
        let mut size = 0;
        let mut current = Vec::new();
        for spec in upserts {
            let length = spec.encoded_len() + 8;
            if size + length > CHUNK && !current.is_empty() {
                chunks.push(message(std::mem::take(&mut current), Vec::new()));
                size = 0;
            }
            size += length;
            current.push(spec);
        }
        let mut last = message(current, removals.into_iter().map(wire::task_id).collect());
        last.last = true;
        chunks.push(last);
        *self = Self { revision, epoch, sent: wanted, full: false };
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ConnectorId;

    fn task(index: u32) -> TaskId {
        TaskId { connector: ConnectorId { tenant: "t".into(), connector: "c".into() }, index }
    }

    fn spec(index: u32, filler: usize) -> (TaskId, TaskSpec) {
        let config = [("k".to_owned(), "x".repeat(filler))].into();
        (task(index), TaskSpec { id: Some(wire::task_id(&task(index))), config, ..TaskSpec::default() })
    }

    #[test]
    fn first_everything_then_what_changed() {
        let mut outgoing = Outgoing::new();
        let first = outgoing.update(Epoch(1), BTreeMap::new());
        assert_eq!(first.len(), 1);
        assert!(first[0].full && first[0].last && first[0].revision == 1);
        let second = outgoing.update(Epoch(1), [spec(0, 1), spec(1, 1)].into());
        assert!(!second[0].full && second[0].base_revision == 1 && second[0].revision == 2);
        assert_eq!(second[0].upserts.len(), 2);
        assert!(outgoing.update(Epoch(1), [spec(0, 1), spec(1, 1)].into()).is_empty());
        let third = outgoing.update(Epoch(1), [spec(1, 2)].into());
        assert_eq!((third[0].upserts.len(), third[0].removals.len()), (1, 1));
        outgoing.start_over();
        let again = outgoing.update(Epoch(1), [spec(1, 2)].into());
        assert!(again[0].full && again[0].upserts.len() == 1 && again[0].removals.is_empty());
        assert_eq!(outgoing.update(Epoch(2), [spec(1, 2)].into())[0].epoch, 2);
    }

    #[test]
    fn chunks_stay_small_and_only_the_last_applies() {
        let mut outgoing = Outgoing::new();
        let chunks = outgoing.update(Epoch(1), (0..40).map(|index| spec(index, 100_000)).collect());
        assert!(chunks.len() > 4);
        for (position, chunk) in chunks.iter().enumerate() {
            assert!(chunk.encoded_len() < 1024 * 1024);
            assert_eq!(chunk.last, position + 1 == chunks.len());
            assert!(chunk.full && chunk.revision == 1);
        }
        assert_eq!(chunks.iter().map(|chunk| chunk.upserts.len()).sum::<usize>(), 40);
    }
}
