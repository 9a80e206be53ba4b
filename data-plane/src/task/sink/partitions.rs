//! What a running sink knows of its partitions: offsets, jobs, and how far behind they are.

use std::collections::HashMap;
use std::time::Duration;

use millrace_sdk::TopicPartition;

use super::Tokens;
use crate::task::offsets::OffsetTracker;

/// A partition during one assignment.
#[derive(Default)]
pub(super) struct Partition {
    /// The poll thread's number of the assignment
    pub(super) assignment: u64,
    /// Names the partition in the lanes
    pub(super) slot: u64,
    pub(super) offsets: OffsetTracker,
    pub(super) tokens: Tokens,
    /// Jobs that run now
    pub(super) running: usize,
    /// The partition's end, when known
    end: Option<i64>,
}

impl Partition {
    /// Whether it is about to be given back: nothing of it starts any more.
    pub(super) fn is_leaving(&self) -> bool {
        self.tokens.cancel.is_cancelled()
    }
}

/// All partitions of a task.
#[derive(Default)]
pub(super) struct Partitions {
    by_origin: HashMap<TopicPartition, Partition>,
    slots: HashMap<TopicPartition, u64>,
}

impl Partitions {
    /// A partition is assigned (anew). What ran for an older assignment no longer moves its offsets.
    pub(super) fn assign(&mut self, origin: &TopicPartition, assignment: u64) {
        // The slot outlives the assignment: writes of the old one that still run must be waited for by the new one's.
        let next = self.slots.len() as u64;
        let slot = *self.slots.entry(origin.clone()).or_insert(next);
        let fresh = Partition { assignment, slot, ..Partition::default() };
        if let Some(old) = self.by_origin.insert(origin.clone(), fresh) {
            old.tokens.cancel.cancel();
        }
    }

    /// The partition, if it is still in the given assignment.
    pub(super) fn get_mut(&mut self, origin: &TopicPartition, assignment: u64) -> Option<&mut Partition> {
        self.by_origin.get_mut(origin).filter(|partition| partition.assignment == assignment)
    }

    /// The partition in whatever assignment.
    pub(super) fn current(&self, origin: &TopicPartition) -> Option<&Partition> {
        self.by_origin.get(origin)
    }

    pub(super) fn remove(&mut self, origin: &TopicPartition) -> Option<Partition> {
        self.by_origin.remove(origin)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&TopicPartition, &Partition)> {
        self.by_origin.iter()
    }

    /// Whether any job runs.
    pub(super) fn any_running(&self) -> bool {
        self.by_origin.values().any(|partition| partition.running > 0)
    }

    /// New watermarks.
    pub(super) fn take_watermarks(&mut self) -> Vec<(TopicPartition, i64)> {
        let news = self
            .by_origin
            .iter_mut()
            .filter_map(|(origin, partition)| Some((origin.clone(), partition.offsets.to_commit()?)));
        news.collect()
    }

    /// All watermarks.
    pub(super) fn watermarks(&self) -> Vec<(TopicPartition, i64)> {
        let all = self.by_origin.iter();
        all.filter_map(|(origin, partition)| Some((origin.clone(), partition.offsets.watermark()?))).collect()
    }

    /// The last commit has failed: try all again.
    pub(super) fn commit_failed(&mut self) {
        for partition in self.by_origin.values_mut() {
            partition.offsets.commit_failed();
        }
    }

    pub(super) fn set_end(&mut self, origin: &TopicPartition, end: i64) {
        if let Some(partition) = self.by_origin.get_mut(origin) {
            partition.end = Some(end);
        }
    }

    /// Records between the watermarks and the ends, and the age of the oldest of them.
    pub(super) fn lag(&self, now_ms: i64) -> (u64, Duration) {
        let (mut records, mut since) = (0, None::<i64>);
        for partition in self.by_origin.values() {
            let (Some(end), Some(watermark)) = (partition.end, partition.offsets.watermark()) else { continue };
            let behind = u64::try_from(end - watermark).unwrap_or(0);
            records += behind;
            if behind > 0
                && let Some(waiting) = partition.offsets.waiting_since_ms()
            {
                since = Some(since.map_or(waiting, |oldest| oldest.min(waiting)));
            }
        }
        let age = since.and_then(|since| u64::try_from(now_ms - since).ok()).unwrap_or(0);
        (records, Duration::from_millis(age))
    }
}
