//! Whom a reader asks for what: decided from what it knows, and nothing else.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use super::state::{Position, Sizes, State, leader};
use crate::kafka::wire::{FetchRequest, Wanted};

/// How long a broker may wait for records while partitions of it are not asked for, since what they brought has not been taken
/// yet: they are not to wait much longer than that.
const SHORT_WAIT: i32 = 100;

/// The least that is asked for.
const LEAST: usize = 16 * 1024;

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

impl Ask {
    /// Whom; None for any broker.
    pub(super) fn broker(&self) -> Option<i32> {
        match self {
            Self::Records(broker, _) | Self::Ends(broker, _) => Some(*broker),
            Self::Places(_) => None,
        }
    }

    /// Bytes that the answer may bring, as they count until it is there.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Records(_, request) => usize::try_from(request.max_bytes).unwrap_or(0),
            Self::Ends(..) | Self::Places(_) => 0,
        }
    }

    /// The partitions that it names.
    pub(super) fn wanted(&self) -> Box<dyn Iterator<Item = &Wanted> + '_> {
        match self {
            Self::Records(_, request) => Box::new(request.wanted.iter()),
            Self::Ends(_, wanted) => Box::new(wanted.iter().map(|(wanted, _)| wanted)),
            Self::Places(_) => Box::new(std::iter::empty()),
        }
    }
}

impl State {
    /// What is to be asked now, and when to look again if nothing happens. What it names counts as asked.
    pub(super) fn asks(&mut self, sizes: &Sizes, now: Instant) -> (Vec<Ask>, Option<Instant>) {
        let (mut asks, mut again) = (Vec::new(), Vec::new());
        if self.paused {
            return (asks, None);
        }
        self.turn = self.turn.wrapping_add(1);
        let (by_broker, brokers) = self.due(now, &mut again);
        asks.extend(self.ask_places(now, &mut again));
        // Where room is short each has its turn, and those that wait for records do not take all of it.
        let most = sizes.answer.min(sizes.budget / brokers.max(1)).max(LEAST);
        let first = self.turn % by_broker.len().max(1);
        let mut by_broker: Vec<(i32, Due)> = by_broker.into_iter().collect();
        by_broker.rotate_left(first);
        for (broker, due) in by_broker {
            let link = self.links.entry(broker).or_default();
            if !link.is_free(now, &mut again) {
                continue;
            }
            if !due.resets.is_empty() {
                let wanted = due.resets.iter().map(|(index, epoch)| (self.wanted(*index, *epoch, 0), *epoch));
                asks.push(Ask::Ends(broker, by_topic(wanted.collect(), |(wanted, _)| wanted)));
                self.mark(broker, due.resets);
            } else if !due.records.is_empty() {
                asks.extend(self.ask_records(broker, due, most, sizes));
            }
        }
        (asks, again.into_iter().min())
    }

    /// What is due at which broker, and how many brokers lead anything. The partitions take turns at the front.
    fn due(&mut self, now: Instant, again: &mut Vec<Instant>) -> (BTreeMap<i32, Due>, usize) {
        let mut by_broker: BTreeMap<i32, Due> = BTreeMap::new();
        let (mut is_lost, mut brokers) = (false, HashSet::new());
        let count = self.partitions.len();
        for step in 0..count {
            let index = (self.turn + step) % count;
            let reading = &self.partitions[index];
            let place = leader(&self.cluster, &reading.origin);
            brokers.extend(place.map(|(leader, _)| leader));
            if reading.asked || reading.position == Position::Unknown {
                continue;
            }
            if let Some(until) = reading.not_before.filter(|until| *until > now) {
                again.push(until);
                continue;
            }
            let Some((leader, leader_epoch)) = place else {
                is_lost = true;
                continue;
            };
            if matches!(reading.position, Position::Reset(_)) {
                by_broker.entry(leader).or_default().resets.push((index, leader_epoch));
                continue;
            }
            let nearer = reading.nearer_at(now).filter(|id| self.cluster.brokers.contains_key(id));
            let due = by_broker.entry(nearer.unwrap_or(leader)).or_default();
            if reading.ready.is_empty() {
                due.records.push((index, leader_epoch));
            } else {
                due.is_short = true;
            }
        }
        if is_lost && !self.looking {
            self.look_up.get_or_insert(now);
        }
        (by_broker, brokers.len())
    }

    /// Where partitions are, when that is to be asked.
    fn ask_places(&mut self, now: Instant, again: &mut Vec<Instant>) -> Option<Ask> {
        let at = self.look_up.filter(|_| !self.looking && !self.partitions.is_empty())?;
        if at > now {
            again.push(at);
            return None;
        }
        self.look_up = None;
        self.looking = true;
        let mut topics: Vec<String> = self.partitions.iter().map(|reading| reading.origin.topic.to_string()).collect();
        topics.sort_unstable();
        topics.dedup();
        Some(Ask::Places(topics))
    }

    /// A broker for records, `most` bytes of them, if there is room.
    fn ask_records(&mut self, broker: i32, due: Due, most: usize, sizes: &Sizes) -> Option<Ask> {
        let taken = self.held + self.asked;
        let room = sizes.budget.saturating_sub(taken);
        // With nothing held even a record that is larger than all room passes.
        if room < LEAST && taken > 0 {
            return None;
        }
        let answer = room.clamp(LEAST, most);
        let partition = sizes.partition.min((answer / due.records.len()).max(LEAST));
        let wanted = due.records.iter().map(|(index, epoch)| self.wanted(*index, *epoch, partition)).collect();
        let request = FetchRequest {
            wait_ms: if due.is_short { sizes.wait_ms.min(SHORT_WAIT) } else { sizes.wait_ms },
            min_bytes: sizes.min_bytes,
            max_bytes: i32::try_from(answer).unwrap_or(i32::MAX),
            isolation: sizes.isolation,
            rack: sizes.rack.clone(),
            wanted: by_topic(wanted, |wanted| wanted),
        };
        self.asked += answer;
        self.mark(broker, due.records);
        Some(Ask::Records(broker, request))
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
        self.links.entry(broker).or_default().begin();
        for (index, _) in partitions {
            self.partitions[index].asked = true;
        }
    }
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
    let mut order: Vec<Arc<str>> = Vec::new();
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
