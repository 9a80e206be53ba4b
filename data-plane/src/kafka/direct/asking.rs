//! Which batches go to whom, and what else is asked: decided from what a producer knows, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batch::{Pending, Refusal};
use super::state::{Limits, State, sooner};
use crate::kafka::wire::NewProducer;

/// How long a partition that the cluster does not have is waited for: one that was just made is not known everywhere at once.
pub(super) const APPEARS: Duration = Duration::from_secs(30);

/// How long room is kept while nothing is written.
const KEPT: Duration = Duration::from_secs(1);

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Sending {
    /// Where its topic and partition are in the state
    pub(super) place: (usize, usize),
    pub(super) topic: Arc<str>,
    pub(super) pending: Pending,
    /// Under which name it goes, and with which number
    pub(super) name: NewProducer,
    pub(super) sequence: i32,
}

impl Sending {
    pub(super) fn partition(&self) -> i32 {
        i32::try_from(self.place.1).unwrap_or(i32::MAX)
    }
}

/// What to ask.
#[derive(Debug)]
pub(super) enum Ask {
    /// A broker to write
    Write(i32, Vec<Sending>),
    /// Any broker where partitions are
    Places(Vec<Arc<str>>),
    /// Any broker for a name
    Name,
}

impl Ask {
    /// Whom; None for any broker.
    pub(super) fn broker(&self) -> Option<i32> {
        match self {
            Self::Write(broker, _) => Some(*broker),
            Self::Places(_) | Self::Name => None,
        }
    }
}

impl State {
    /// What is to be asked now, and when to look again if nothing happens. What it names counts as on its way.
    pub(super) fn asks(&mut self, limits: &Limits, now: Instant) -> (Vec<Ask>, Option<Instant>) {
        let (mut asks, mut again) = (Vec::new(), Vec::new());
        let due = self.due(limits, now, &mut again);
        if let Some(at) = self.look_up.filter(|_| !self.topics.is_empty()) {
            if at > now {
                again.push(at);
            } else if self.places.is_free(now, &mut again) {
                self.look_up = None;
                self.places.begin();
                asks.push(Ask::Places(self.by_name.keys().cloned().collect()));
            }
        }
        let name = if limits.idempotent { self.name } else { Some(NewProducer::NONE) };
        match name {
            Some(name) => {
                for (broker, places) in due {
                    asks.extend(self.ask_write(broker, places, name, limits));
                }
            }
            None if due.is_empty() => {}
            None if self.naming.is_free(now, &mut again) => {
                self.naming.begin();
                asks.push(Ask::Name);
            }
            None => {}
        }
        if self.busy.is_empty() && self.on_the_way == 0 && !self.rooms.is_empty() {
            let until = *self.idle_since.get_or_insert(now) + KEPT;
            if until <= now {
                self.rooms = Vec::new();
            } else {
                again.push(until);
            }
        }
        (asks, again.into_iter().min())
    }

    /// What may go to which broker. A broker with something that is due gets what else there is for it as well.
    fn due(&mut self, limits: &Limits, now: Instant, again: &mut Vec<Instant>) -> BTreeMap<i32, Vec<(usize, usize)>> {
        let mut by_broker: BTreeMap<i32, (bool, Vec<(usize, usize)>)> = BTreeMap::new();
        let mut is_lost = false;
        self.give_up_late(limits, now, again);
        for place in &self.busy {
            let topic = &mut self.topics[place.0];
            let partition = &mut topic.partitions[place.1];
            if !partition.trial.is_free(now, again) {
                continue;
            }
            let index = i32::try_from(place.1).unwrap_or(i32::MAX);
            let known = self.cluster.places.get(&*topic.name).and_then(|places| places.get(&index));
            let Some(leader) = known.and_then(|place| place.leader) else {
                is_lost = true;
                continue;
            };
            let (some_due, places) = by_broker.entry(leader).or_default();
            places.push(*place);
            let waits = partition.open.as_ref().filter(|_| partition.closed.is_empty());
            match waits.map(|open| open.since + limits.linger) {
                Some(until) if until > now => again.push(until),
                _ => *some_due = true,
            }
        }
        if is_lost {
            self.look_up = sooner(self.look_up, now);
        }
        let links = &self.links;
        let is_free =
            |broker: &i32, again: &mut Vec<Instant>| links.get(broker).is_none_or(|link| link.is_free(now, again));
        by_broker.retain(|broker, (some_due, _)| *some_due && is_free(broker, again));
        by_broker.into_iter().map(|(broker, (_, places))| (broker, places)).collect()
    }

    fn ask_write(
        &mut self,
        broker: i32,
        mut places: Vec<(usize, usize)>,
        name: NewProducer,
        limits: &Limits,
    ) -> Option<Ask> {
        // Where not all fit each has its turn.
        self.turn = self.turn.wrapping_add(1);
        let first = self.turn % places.len().max(1);
        places.rotate_left(first);
        let (mut bytes, mut sendings) = (0, Vec::new());
        for place in places {
            let topic = &mut self.topics[place.0];
            let partition = &mut topic.partitions[place.1];
            let size = partition.oldest().map_or(0, Pending::size);
            if !sendings.is_empty() && bytes + size > limits.request {
                continue;
            }
            let Some(pending) = partition.take() else { continue };
            bytes += size;
            // What was perhaps written under an older name goes again under that one.
            let keeps = pending.attempts > 0 && partition.name.is_some();
            if partition.name != Some(name) && !keeps {
                (partition.name, partition.sequence) = (Some(name), 0);
            }
            let name = partition.name.unwrap_or(name);
            let sequence = if name == NewProducer::NONE { -1 } else { partition.sequence };
            partition.trial.begin();
            if partition.is_empty() {
                self.busy.remove(&place);
            }
            sendings.push(Sending { place, topic: Arc::clone(&topic.name), pending, name, sequence });
        }
        // A request names each topic once.
        sendings.sort_by_key(|sending| sending.place);
        self.on_the_way += sendings.len();
        (!sendings.is_empty()).then(|| {
            self.links.entry(broker).or_default().begin();
            Ask::Write(broker, sendings)
        })
    }

    /// Gives up what has waited for too long, and what the cluster has no place for.
    fn give_up_late(&mut self, limits: &Limits, now: Instant, again: &mut Vec<Instant>) {
        let mut late = Vec::new();
        for place in &self.busy {
            let topic = &mut self.topics[place.0];
            let partition = &mut topic.partitions[place.1];
            let index = i32::try_from(place.1).unwrap_or(i32::MAX);
            if self.cluster.places.get(&*topic.name).is_some_and(|places| places.contains_key(&index)) {
                partition.missing = None;
            } else {
                let until = *partition.missing.get_or_insert(now) + APPEARS;
                if until <= now {
                    late.push((*place, true));
                    continue;
                }
                again.push(until);
            }
            if let Some((limit, oldest)) = limits.delivery.zip(partition.oldest()).filter(|_| !partition.trial.busy) {
                let until = oldest.since + limit;
                if until <= now {
                    late.push((*place, false));
                } else {
                    again.push(until);
                }
            }
        }
        for (place, is_missing) in late {
            let topic = &mut self.topics[place.0];
            let partition = &mut topic.partitions[place.1];
            let is_late = |pending: &Pending| limits.delivery.is_some_and(|limit| pending.since + limit <= now);
            while partition.oldest().is_some_and(|oldest| is_missing || is_late(oldest)) {
                let Some(pending) = partition.take() else { break };
                let why = if is_missing { Refusal::Missing } else { pending.cause.clone().unwrap_or(Refusal::Late) };
                if pending.attempts > 0 {
                    // Perhaps it is written nevertheless: its number is not to be used again.
                    (self.name, partition.name) = (None, None);
                }
                pending.refuse(&topic.name, &why);
            }
            if partition.is_empty() {
                self.busy.remove(&place);
            }
        }
    }
}
