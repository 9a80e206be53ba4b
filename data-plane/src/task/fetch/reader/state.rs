//! What a reader knows, and which batches may go out.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use millrace_sdk::TopicPartition;

use super::super::super::batch::RawBatch;
use super::super::ledger::Returned;
use super::super::{MAX_OUT, PACE};
use crate::kafka::wire::{BackOff, Cluster, Isolation, Trial, Wanted, backoff};

/// An answer that was smaller than this is not followed by the next question at once, see [`PACE`].
const SMALL: usize = 32 * 1024;

/// How long a broker that is nearer is asked instead of the leader (as Java's consumer does: its `metadata.max.age.ms`).
pub(super) const NEARER_FOR: Duration = Duration::from_secs(300);

/// How much is read.
#[derive(Debug, Clone)]
pub(super) struct Sizes {
    /// Bytes in all batches together, and in answers that are awaited
    pub(super) budget: usize,
    /// Bytes in an answer
    pub(super) answer: usize,
    /// Bytes of a partition in an answer
    pub(super) partition: usize,
    /// From how many bytes on a broker does not wait
    pub(super) min_bytes: i32,
    /// How long a broker waits for records, in milliseconds
    pub(super) wait_ms: i32,
    pub(super) isolation: Isolation,
    pub(super) rack: String,
}

/// Where a partition is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Nobody knows yet
    Unknown,
    /// From where `auto.offset.reset` says; at this offset it cannot go on
    Reset(Option<i64>),
    /// From this offset on
    At(i64),
}

/// A partition that is read.
pub(super) struct Reading {
    pub(super) origin: TopicPartition,
    pub(super) assignment: u64,
    pub(super) position: Position,
    /// The epoch of the last batch; -1 when not known
    pub(super) epoch: i32,
    /// Whether an answer is awaited
    pub(super) asked: bool,
    /// Batches that wait for those that are out
    pub(super) ready: VecDeque<RawBatch>,
    pub(super) out: usize,
    pub(super) not_before: Option<Instant>,
    /// A broker that is nearer than the leader, and until when it is asked
    pub(super) nearer: Option<(i32, Instant)>,
    /// Where its log ends; None before the first answer
    pub(super) end: Option<i64>,
    /// Damaged or refused answers one after the other
    pub(super) failures: u32,
}

impl Reading {
    pub(super) fn new(origin: TopicPartition, assignment: u64) -> Self {
        Self {
            origin,
            assignment,
            position: Position::Unknown,
            epoch: -1,
            asked: false,
            ready: VecDeque::new(),
            out: 0,
            not_before: None,
            nearer: None,
            end: None,
            failures: 0,
        }
    }

    /// Waits before it is asked for again.
    pub(super) fn back_off(&mut self, now: Instant, times: &BackOff) {
        self.not_before = Some(now + backoff(times, self.failures));
        self.failures = self.failures.saturating_add(1);
    }

    /// Those of its batches that may go out now.
    pub(super) fn outgoing(&mut self) -> Vec<RawBatch> {
        let count = MAX_OUT.saturating_sub(self.out).min(self.ready.len());
        self.out += count;
        self.ready.drain(..count).collect()
    }

    /// A broker that is nearer offers itself.
    pub(super) fn prefer(&mut self, broker: i32, now: Instant) {
        self.nearer = Some((broker, now + NEARER_FOR));
    }

    /// The broker that is nearer, while that is to be believed.
    pub(super) fn nearer_at(&self, now: Instant) -> Option<i32> {
        self.nearer.filter(|(_, until)| *until > now).map(|(broker, _)| broker)
    }

    pub(super) fn is_at(&self, wanted: &Wanted) -> bool {
        self.assignment == wanted.assignment && self.origin == wanted.origin
    }
}

/// What a reader knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) partitions: Vec<Reading>,
    pub(super) cluster: Cluster,
    pub(super) links: BTreeMap<i32, Trial>,
    /// Bytes of batches that are out or ready
    pub(super) held: usize,
    /// Bytes that answers may bring
    pub(super) asked: usize,
    pub(super) paused: bool,
    /// Whether where partitions are must be asked for, and from when on
    pub(super) look_up: Option<Instant>,
    /// Whether that is being asked for
    pub(super) looking: bool,
    /// One after the other
    pub(super) look_up_failures: u32,
    /// Whether the user has been told of a broker that does not answer
    pub(super) told: bool,
    /// Whose turn it is to come first
    pub(super) turn: usize,
}

impl State {
    /// The broker that leads a partition.
    pub(super) fn leader(&self, origin: &TopicPartition) -> Option<i32> {
        leader(&self.cluster, origin).map(|(leader, _)| leader)
    }

    pub(super) fn find(&mut self, wanted: &Wanted) -> Option<&mut Reading> {
        self.partitions.iter_mut().find(|reading| reading.is_at(wanted))
    }

    /// Takes a batch back.
    pub(super) fn take_back(&mut self, returned: &Returned) {
        self.held -= returned.bytes.min(self.held);
        let reading = self
            .partitions
            .iter_mut()
            .find(|reading| reading.assignment == returned.assignment && reading.origin == returned.origin);
        if let Some(reading) = reading {
            reading.out = reading.out.saturating_sub(1);
        }
    }

    /// Batches that may go out now.
    pub(super) fn outgoing(&mut self) -> Vec<(u64, RawBatch)> {
        let mut outgoing = Vec::new();
        if self.paused {
            return outgoing;
        }
        for reading in &mut self.partitions {
            outgoing.extend(reading.outgoing().into_iter().map(|batch| (reading.assignment, batch)));
        }
        outgoing
    }

    /// An exchange with a broker is over: it brought so many bytes, and is not to be asked for so long.
    pub(super) fn exchanged<'a>(
        &mut self,
        broker: i32,
        asked: usize,
        wanted: impl Iterator<Item = &'a Wanted>,
        (brought, throttled): (usize, Duration),
        now: Instant,
    ) {
        self.asked -= asked.min(self.asked);
        let link = self.links.entry(broker).or_default();
        link.succeeded();
        let pace = if 0 < brought && brought < SMALL { PACE } else { Duration::ZERO };
        link.rest(now, pace.max(throttled));
        self.release(wanted);
    }

    /// Forgets brokers that lead nothing that is read, and are not asked: nobody hears of them again.
    pub(super) fn forget_links(&mut self) {
        let State { links, partitions, cluster, .. } = self;
        links.retain(|broker, link| {
            let leads = |reading: &Reading| leader(cluster, &reading.origin).is_some_and(|(id, _)| id == *broker);
            link.busy || partitions.iter().any(leads)
        });
    }

    /// Nothing is awaited any more for these.
    pub(super) fn release<'a>(&mut self, wanted: impl Iterator<Item = &'a Wanted>) {
        for wanted in wanted {
            if let Some(reading) = self.find(wanted) {
                reading.asked = false;
            }
        }
    }
}

/// The broker that leads a partition, and since how many elections.
pub(super) fn leader(cluster: &Cluster, origin: &TopicPartition) -> Option<(i32, i32)> {
    let place = cluster.places.get(&*origin.topic)?.get(&origin.partition)?;
    place.leader.map(|leader| (leader, place.epoch))
}
