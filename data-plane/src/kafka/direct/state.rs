//! What a producer knows, and what becomes of batches: decided here, carried out elsewhere.
//!
//! Of each partition one batch is on its way at a time, the next one goes when the broker has answered for it: so nothing is
//! ever out of order, and a batch of which nobody knows whether it was written is sent again under its number, which the
//! broker knows if it was.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::asking::Sending;
use super::batch::{Pending, Refusal, Refused};
use super::partitioner::{self, Sticky};
use crate::kafka::deliveries::Answers;
use crate::kafka::wire::{BackOff, Cluster, NewProducer, Outline, TELL_AFTER, Trial};

/// How much is sent, and when.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Bytes of a batch, from which on it is full
    pub(super) batch: usize,
    /// Bytes of a record at the most
    pub(super) record: usize,
    /// Bytes of the batches in a request, but for a first batch that is larger
    pub(super) request: usize,
    /// How long a batch that is not full waits for more
    pub(super) linger: Duration,
    /// How long a record may be on its way; None for as long as it takes
    pub(super) delivery: Option<Duration>,
    /// How often a batch is sent again
    pub(super) retries: u32,
    /// Whether brokers tell batches that come twice
    pub(super) idempotent: bool,
    /// How long a partition is left alone after it was refused
    pub(super) retry: BackOff,
    /// How long a broker is left alone after it failed
    pub(super) reconnect: BackOff,
    /// How old what is known of the cluster may become
    pub(super) look_up: Duration,
}

/// A partition that is written to.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// The batch that records are added to
    pub(super) open: Option<Pending>,
    /// Batches that go out before it, in order
    pub(super) closed: VecDeque<Pending>,
    /// The one that is at the broker; refused by it, or left without an answer
    pub(super) trial: Trial,
    /// The number of the next batch's first record
    pub(super) sequence: i32,
    /// Under which name it counts
    pub(super) name: Option<NewProducer>,
    /// Since when the cluster does not have it
    pub(super) missing: Option<Instant>,
}

impl Partition {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_none() && self.closed.is_empty()
    }

    pub(super) fn take(&mut self) -> Option<Pending> {
        self.closed.pop_front().or_else(|| self.open.take())
    }

    pub(super) fn oldest(&self) -> Option<&Pending> {
        self.closed.front().or(self.open.as_ref())
    }
}

/// A topic that is written to.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Arc<str>,
    /// The most bytes that a batch for it may have, as far as known
    pub(super) most: Option<usize>,
    pub(super) partitions: Vec<Partition>,
    pub(super) sticky: Sticky,
}

/// What is to be done with a batch after the broker's answer.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is written
    Written,
    /// It goes again: the broker says why not now, or nobody knows what has become of it
    Again(Refusal),
    /// It goes again under another name: brokers have forgotten the one it had
    Forgotten(Refusal),
    /// It goes again in two halves, if it has more than one record
    TooLarge(Refusal),
    /// These of its records never get in, all without any; the others go again
    Refused(Refusal, Vec<i32>),
}

/// What a producer knows.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: Vec<Topic>,
    pub(super) by_name: BTreeMap<Arc<str>, usize>,
    pub(super) cluster: Cluster,
    pub(super) links: BTreeMap<i32, Trial>,
    pub(super) places: Trial,
    pub(super) naming: Trial,
    /// Whether, and from when on, where partitions are is to be asked for
    pub(super) look_up: Option<Instant>,
    pub(super) name: Option<NewProducer>,
    /// Where there is something to be sent
    pub(super) busy: BTreeSet<(usize, usize)>,
    /// How many batches are on their way
    pub(super) on_the_way: usize,
    /// Room of batches that are gone
    pub(super) rooms: Vec<Vec<u8>>,
    pub(super) idle_since: Option<Instant>,
    pub(super) turn: usize,
    /// Whether the user was told that something fails
    pub(super) told: bool,
}

/// Room that is kept.
const ROOMS: usize = 8;

impl State {
    pub(super) fn room(&mut self) -> Vec<u8> {
        self.rooms.pop().unwrap_or_default()
    }

    pub(super) fn give_room(&mut self, room: Vec<u8>) {
        if self.rooms.len() < ROOMS {
            self.rooms.push(room);
        }
    }

    /// The topic's number; it is looked up if it is new.
    pub(super) fn topic(&mut self, name: &str, now: Instant) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let name: Arc<str> = name.into();
        self.by_name.insert(Arc::clone(&name), self.topics.len());
        self.topics.push(Topic { name, most: None, partitions: Vec::new(), sticky: Sticky::default() });
        self.look_up = Some(now);
        self.topics.len() - 1
    }

    /// A batch is answered for, or nobody knows what has become of it.
    pub(super) fn settle(&mut self, sending: Sending, verdict: Verdict, limits: &Limits, now: Instant) {
        self.on_the_way -= 1;
        let Sending { place, topic, mut pending, name, .. } = sending;
        pending.attempts += 1;
        let partition = &mut self.topics[place.0].partitions[place.1];
        let again = match verdict {
            Verdict::Written => {
                partition.trial.succeeded();
                partition.sequence = after(partition.sequence, pending.records());
                let room = pending.written();
                room.into_iter().for_each(|room| self.give_room(room));
                return;
            }
            Verdict::Again(why) => Some(why),
            Verdict::Forgotten(why) => {
                self.name = self.name.filter(|current| *current != name);
                partition.name = None;
                Some(why)
            }
            Verdict::TooLarge(why) if pending.records() > 1 => {
                partition.trial.succeeded();
                let half = pending.records() as usize / 2;
                let parts = pending.parts(&topic, &why, |number| Some(usize::from(number >= half)));
                parts.into_iter().rev().for_each(|part| partition.closed.push_front(part));
                self.busy.insert(place);
                return;
            }
            Verdict::TooLarge(why) => {
                partition.trial.succeeded();
                pending.refuse(&topic, &why);
                return;
            }
            Verdict::Refused(why, records) => {
                partition.trial.succeeded();
                let count = pending.records();
                // A broker that names none that is there refuses all of them, or the batch would go again for ever.
                let named: BTreeSet<u32> =
                    records.into_iter().filter_map(|one| u32::try_from(one).ok()).filter(|one| *one < count).collect();
                let goes_again = |number: usize| !named.is_empty() && !named.iter().any(|one| *one as usize == number);
                let rest = pending.parts(&topic, &why, |number| goes_again(number).then_some(0));
                rest.into_iter().for_each(|rest| partition.closed.push_front(rest));
                if !partition.is_empty() {
                    self.busy.insert(place);
                }
                return;
            }
        };
        partition.trial.failed(now, &limits.retry);
        self.look_up = sooner(self.look_up, now);
        if pending.attempts > limits.retries {
            (self.name, partition.name) = (None, None);
            pending.refuse(&topic, &again.unwrap_or(Refusal::Late));
        } else {
            pending.cause = again;
            partition.closed.push_front(pending);
            self.busy.insert(place);
        }
    }

    /// A broker has answered, and is not to be asked for so long; or has not.
    pub(super) fn link(&mut self, broker: i32, answered: Option<Duration>, limits: &Limits, now: Instant) -> u32 {
        let link = self.links.entry(broker).or_default();
        match answered {
            Some(throttled) => {
                link.succeeded();
                link.rest(now, throttled);
            }
            None => {
                link.failed(now, &limits.reconnect);
                // Whom it led may have another leader by now.
                self.look_up = sooner(self.look_up, now);
            }
        }
        link.failures
    }

    /// Where partitions are.
    pub(super) fn found(&mut self, cluster: Cluster, limits: &Limits, now: Instant) {
        self.cluster = cluster;
        let mut is_complete = true;
        for topic in &mut self.topics {
            let count = self.cluster.places.get(&*topic.name).map_or(0, |places| places.len());
            if count > topic.partitions.len() {
                topic.partitions.resize_with(count, Partition::default);
            }
            is_complete &= !topic.partitions.is_empty();
        }
        is_complete &= self.busy.iter().all(|place| self.leader(*place).is_some());
        if is_complete {
            self.places.succeeded();
            self.look_up = Some(now + limits.look_up);
        } else {
            self.places.failed(now, &limits.retry);
            self.look_up = Some(now);
        }
        // Brokers that lead nothing are not asked again, and nobody hears of them.
        let leaders: BTreeSet<i32> =
            self.cluster.places.values().flat_map(|places| places.values().filter_map(|place| place.leader)).collect();
        self.links.retain(|id, link| link.busy || leaders.contains(id));
    }

    /// The broker that leads a partition.
    pub(super) fn leader(&self, (topic, partition): (usize, usize)) -> Option<i32> {
        let places = self.cluster.places.get(&*self.topics[topic].name)?;
        places.get(&i32::try_from(partition).ok()?)?.leader
    }

    /// Nobody has said where partitions are.
    pub(super) fn not_found(&mut self, limits: &Limits, now: Instant) {
        self.places.failed(now, &limits.reconnect);
        self.look_up = Some(now);
    }

    /// A broker has given a name, or not.
    pub(super) fn named(&mut self, name: Option<NewProducer>, limits: &Limits, now: Instant) {
        match name {
            Some(_) => self.naming.succeeded(),
            None => self.naming.failed(now, &limits.retry),
        }
        self.name = name;
    }

    /// A partition that is refused again and again, or has no leader, with the reason.
    pub(super) fn trouble(&self) -> Option<(&str, usize, Refusal)> {
        self.busy.iter().find_map(|(topic, number)| {
            let partition = &self.topics[*topic].partitions[*number];
            let why = if self.places.failures >= TELL_AFTER && self.leader((*topic, *number)).is_none() {
                Refusal::Leaderless
            } else if partition.trial.failures >= TELL_AFTER {
                partition.oldest()?.cause.clone()?
            } else {
                return None;
            };
            Some((&*self.topics[*topic].name, *number, why))
        })
    }

    /// Whether nothing has failed lately.
    pub(super) fn is_well(&self) -> bool {
        let all = self.links.values().chain([&self.places, &self.naming]);
        all.into_iter().all(|trial| trial.failures < TELL_AFTER)
            && self
                .busy
                .iter()
                .all(|(topic, partition)| self.topics[*topic].partitions[*partition].trial.failures < TELL_AFTER)
    }

    /// Adds a record to a batch of its partition. The topic's partitions are known.
    pub(super) fn add(
        &mut self,
        index: usize,
        partition: Option<i32>,
        record: &Outline<'_>,
        owner: &Arc<Answers<Refused>>,
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Refusal> {
        let State { topics, cluster, rooms, busy, .. } = self;
        let topic = &mut topics[index];
        let (size, count) = (record.alone(), topic.partitions.len());
        if size > limits.record {
            return Err(Refusal::TooLarge(size));
        }
        let number = match (partition, record.key) {
            (Some(partition), _) => usize::try_from(partition)
                .ok()
                .filter(|number| *number < count)
                .ok_or(Refusal::NoPartition(partition, count))?,
            (None, Some(key)) => partitioner::of_key(key, count),
            (None, None) => {
                let places = cluster.places.get(&*topic.name);
                let leader = |index: usize| places?.get(&i32::try_from(index).ok()?)?.leader;
                topic.sticky.next(size, count, |index| leader(index).is_some())
            }
        };
        let most = limits.batch.min(topic.most.unwrap_or(usize::MAX));
        let Some(partition) = topic.partitions.get_mut(number) else { return Err(Refusal::Missing) };
        if partition.is_empty() {
            busy.insert((index, number));
            self.idle_since = None;
        }
        if let Some(full) = partition.open.take_if(|open| open.size() + size > most) {
            partition.closed.push_back(full);
        }
        let open = partition.open.get_or_insert_with(|| Pending::new(rooms.pop().unwrap_or_default(), now));
        open.add(record, owner);
        Ok(())
    }
}

pub(super) fn sooner(planned: Option<Instant>, at: Instant) -> Option<Instant> {
    Some(planned.map_or(at, |planned| planned.min(at)))
}

/// The number after so many records; after the last one comes 0.
pub(super) fn after(sequence: i32, records: u32) -> i32 {
    let next = i64::from(sequence) + i64::from(records);
    i32::try_from(next & i64::from(i32::MAX)).unwrap_or(0)
}
