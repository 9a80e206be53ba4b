//! What a reader knows, and what it decides from that: whom to ask for what, and which batches may go out.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use millrace_sdk::TopicPartition;

use super::super::super::batch::RawBatch;
use super::super::ledger::Returned;
use crate::kafka::wire::{Cluster, FetchRequest, Isolation, Wanted};

/// Batches of a partition that may be out at a time: one is written, one waits for a lane. It bounds the distance between
/// the watermark and the newest write.
const MAX_OUT: usize = 2;

/// An answer that was smaller than this is not followed by the next question at once: under load many small ones would cost
/// more than their records.
const SMALL: usize = 32 * 1024;
/// How long it waits then. A record that comes alone does not wait.
const PACE: Duration = Duration::from_millis(5);

/// How long a broker may wait for records while partitions of it are not asked for, since what they brought has not been taken
/// yet: they are not to wait much longer than that.
const SHORT_WAIT: i32 = 100;

/// How long a broker that is nearer is asked instead of the leader (as Java's consumer does: its `metadata.max.age.ms`).
const NEARER_FOR: Duration = Duration::from_secs(300);

/// The least that is asked for.
const LEAST: usize = 16 * 1024;

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
    pub(super) fn back_off(&mut self, now: Instant, first: Duration) {
        self.not_before = Some(now + backoff(first, self.failures));
        self.failures = self.failures.saturating_add(1);
    }

    /// A broker that is nearer offers itself.
    pub(super) fn prefer(&mut self, broker: i32, now: Instant) {
        self.nearer = Some((broker, now + NEARER_FOR));
    }

    pub(super) fn is_at(&self, wanted: &Wanted) -> bool {
        self.assignment == wanted.assignment && self.origin == wanted.origin
    }
}

/// Doubles from `first` on up to ten seconds.
pub(super) fn backoff(first: Duration, failures: u32) -> Duration {
    (first * 2_u32.saturating_pow(failures.min(10))).min(Duration::from_secs(10))
}

/// A broker that is asked.
#[derive(Debug, Default)]
pub(super) struct Link {
    /// Whether an answer is awaited
    pub(super) busy: bool,
    pub(super) not_before: Option<Instant>,
    /// One after the other
    pub(super) failures: u32,
}

/// What a reader knows.
#[derive(Default)]
pub(super) struct State {
    pub(super) partitions: Vec<Reading>,
    pub(super) cluster: Cluster,
    pub(super) links: BTreeMap<i32, Link>,
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

/// What to ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A broker for records
    Records(i32, FetchRequest),
    /// A broker for the ends of logs: the partitions, with their leader's epoch, as they were to be read
    Ends(i32, Vec<(Wanted, i32)>),
    /// Any broker where partitions are
    Places(Vec<String>),
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
            while reading.out < MAX_OUT
                && let Some(batch) = reading.ready.pop_front()
            {
                reading.out += 1;
                outgoing.push((reading.assignment, batch));
            }
        }
        outgoing
    }

    /// What is to be asked now, and when to look again if nothing happens. What it names counts as asked.
    pub(super) fn asks(&mut self, sizes: &Sizes, now: Instant) -> (Vec<Ask>, Option<Instant>) {
        let (mut asks, mut again) = (Vec::new(), Vec::new());
        if self.paused {
            return (asks, None);
        }
        let known: HashSet<i32> = self.cluster.brokers.keys().copied().collect();
        let mut by_broker: BTreeMap<i32, Due> = BTreeMap::new();
        let (mut is_lost, mut brokers) = (false, HashSet::new());
        self.turn = self.turn.wrapping_add(1);
        let count = self.partitions.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let reading = &mut self.partitions[index];
            brokers.extend(leader(&self.cluster, &reading.origin).map(|(leader, _)| leader));
            if reading.asked || reading.position == Position::Unknown {
                continue;
            }
            if let Some(until) = reading.not_before.filter(|until| *until > now) {
                again.push(until);
                continue;
            }
            let Some((leader, leader_epoch)) = leader(&self.cluster, &reading.origin) else {
                is_lost = true;
                continue;
            };
            let nearer = reading.nearer.filter(|(id, until)| *until > now && known.contains(id)).map(|(id, _)| id);
            let is_reset = matches!(reading.position, Position::Reset(_));
            let broker = if is_reset { leader } else { nearer.unwrap_or(leader) };
            let due = by_broker.entry(broker).or_default();
            match reading.position {
                Position::Reset(_) => due.resets.push((index, leader_epoch)),
                Position::At(_) if reading.ready.is_empty() => due.records.push((index, leader_epoch)),
                _ => due.is_short = true,
            }
        }
        if is_lost && !self.looking {
            self.look_up.get_or_insert(now);
        }
        if let Some(at) = self.look_up.filter(|_| !self.looking) {
            if at <= now && !self.partitions.is_empty() {
                self.look_up = None;
                self.looking = true;
                let mut topics: Vec<String> = self.partitions.iter().map(|r| r.origin.topic.to_string()).collect();
                topics.sort_unstable();
                topics.dedup();
                asks.push(Ask::Places(topics));
            } else {
                again.push(at);
            }
        }
        // Where room is short each has its turn, and those that wait for records do not take all of it.
        let most = sizes.answer.min(sizes.budget / brokers.len().max(1)).max(LEAST);
        let first = self.turn % by_broker.len().max(1);
        let mut by_broker: Vec<(i32, Due)> = by_broker.into_iter().collect();
        by_broker.rotate_left(first);
        for (broker, due) in by_broker {
            let link = self.links.entry(broker).or_default();
            if link.busy {
                continue;
            }
            if let Some(until) = link.not_before.filter(|until| *until > now) {
                again.push(until);
                continue;
            }
            if !due.resets.is_empty() {
                let wanted = due.resets.iter().map(|(index, epoch)| (self.wanted(*index, *epoch, 0), *epoch));
                asks.push(Ask::Ends(broker, by_topic(wanted.collect(), |(wanted, _)| wanted)));
                self.mark(broker, due.resets);
            } else if !due.records.is_empty() {
                let room = sizes.budget.saturating_sub(self.held + self.asked);
                // With nothing held even a record that is larger than all room passes.
                if room < LEAST && self.held + self.asked > 0 {
                    continue;
                }
                let answer = room.clamp(LEAST, most);
                let partition = sizes.partition.min((answer / due.records.len()).max(LEAST));
                let wanted = due.records.iter().map(|(index, epoch)| self.wanted(*index, *epoch, partition)).collect();
                self.asked += answer;
                let request = FetchRequest {
                    wait_ms: if due.is_short { sizes.wait_ms.min(SHORT_WAIT) } else { sizes.wait_ms },
                    min_bytes: sizes.min_bytes,
                    max_bytes: i32::try_from(answer).unwrap_or(i32::MAX),
                    isolation: sizes.isolation,
                    rack: sizes.rack.clone(),
                    wanted: by_topic(wanted, |wanted| wanted),
                };
                asks.push(Ask::Records(broker, request));
                self.mark(broker, due.records);
            }
        }
        (asks, again.into_iter().min())
    }

    fn wanted(&self, index: usize, leader_epoch: i32, max_bytes: usize) -> Wanted {
        let reading = &self.partitions[index];
        Wanted {
            origin: reading.origin.clone(),
            assignment: reading.assignment,
            offset: match reading.position {
                Position::At(offset) | Position::Reset(Some(offset)) => offset,
                Position::Unknown | Position::Reset(None) => -1,
            },
            leader_epoch,
            fetched_epoch: reading.epoch,
            max_bytes: i32::try_from(max_bytes).unwrap_or(i32::MAX),
        }
    }

    fn mark(&mut self, broker: i32, partitions: Vec<(usize, i32)>) {
        self.links.entry(broker).or_default().busy = true;
        for (index, _) in partitions {
            self.partitions[index].asked = true;
        }
    }

    /// An exchange with a broker is over: it brought so many bytes, and is not to be asked for so long.
    pub(super) fn exchanged(
        &mut self,
        broker: i32,
        asked: usize,
        wanted: &[Wanted],
        (brought, throttled): (usize, Duration),
        now: Instant,
    ) {
        self.asked -= asked.min(self.asked);
        let link = self.links.entry(broker).or_default();
        link.busy = false;
        link.failures = 0;
        let pace = if 0 < brought && brought < SMALL { PACE } else { Duration::ZERO };
        let pause = pace.max(throttled);
        link.not_before = (pause > Duration::ZERO).then(|| now + pause);
        self.release(wanted);
    }

    /// Nothing is awaited any more for these.
    pub(super) fn release(&mut self, wanted: &[Wanted]) {
        for wanted in wanted {
            if let Some(reading) = self.find(wanted) {
                reading.asked = false;
            }
        }
    }
}

/// The broker that leads a partition, and since how many elections.
fn leader(cluster: &Cluster, origin: &TopicPartition) -> Option<(i32, i32)> {
    let place = cluster.places.get(&*origin.topic)?.get(&origin.partition)?;
    place.leader.map(|leader| (leader, place.epoch))
}

/// What is due at a broker: indices of partitions, with the leader's epoch.
#[derive(Default)]
struct Due {
    records: Vec<(usize, i32)>,
    resets: Vec<(usize, i32)>,
    /// Whether others wait for batches to come back
    is_short: bool,
}

/// The partitions of a topic one after the other, each topic where its first one was.
fn by_topic<T>(mut wanted: Vec<T>, of: impl Fn(&T) -> &Wanted) -> Vec<T> {
    let mut order: Vec<std::sync::Arc<str>> = Vec::new();
    for each in &wanted {
        let topic = &of(each).origin.topic;
        if !order.contains(topic) {
            order.push(topic.clone());
        }
    }
    if order.len() > 1 {
        wanted.sort_by_key(|each| order.iter().position(|topic| *topic == of(each).origin.topic));
    }
    wanted
}

#[cfg(test)]
mod tests;
