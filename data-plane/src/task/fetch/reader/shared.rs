//! What the reader's task and the poll thread share, and what becomes of answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use millrace_sdk::{Error, TopicPartition};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::super::super::batch::{RECORD_OVERHEAD, RawBatch, Room, Rooms};
use super::super::super::consumer::Bell;
use super::super::ledger::Ledger;
use super::super::{FetchEvent, KEPT, nowhere, retention, unauthorized};
use super::asking::Ask;
use super::exchange::{Brought, Exchanged};
use super::settings::{Policy, Settings};
use super::state::{Position, State};
use crate::kafka::wire::{
    Aborted, Answer, Apart, Cluster, Connection, Fault, TELL_AFTER, Wanted, backoff, code, take_apart,
};

pub(super) struct Shared {
    pub(super) settings: Settings,
    state: Mutex<State>,
    /// Something has happened that may be worth a question
    changed: Arc<Notify>,
    ledger: Arc<Ledger>,
    rooms: Arc<Rooms>,
    /// When a batch came whose room is worth keeping
    large: Mutex<Option<Instant>>,
    events: UnboundedSender<FetchEvent>,
    /// Why reading cannot go on, for the poll thread
    failure: Mutex<Option<Error>>,
    bell: Arc<Bell>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        paused: bool,
        bell: &Arc<Bell>,
        events: &UnboundedSender<FetchEvent>,
    ) -> Self {
        let changed = Arc::new(Notify::new());
        let wake = Arc::clone(&changed);
        Self {
            settings,
            state: Mutex::new(State { paused, ..State::default() }),
            changed,
            ledger: Ledger::new(move || wake.notify_one()),
            rooms: Arc::default(),
            large: Mutex::default(),
            events: events.clone(),
            failure: Mutex::default(),
            bell: Arc::clone(bell),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    pub(super) async fn woken(&self) {
        self.changed.notified().await;
    }

    pub(super) fn failure(&self) -> Option<Error> {
        lock(&self.failure).take()
    }

    pub(super) fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.bell.ring();
    }

    fn tell(&self, event: FetchEvent) {
        // A task that is gone drops its inbox too; the poll thread ends this one then.
        let _ = self.events.send(event);
    }

    /// Takes back what has come back, hands on what may go out, and says what to ask.
    pub(super) fn decide(&self, now: Instant) -> (Vec<Ask>, Option<Instant>) {
        let mut state = self.state();
        for returned in self.ledger.take() {
            state.take_back(&returned);
        }
        self.hand_on(&mut state);
        let (asks, again) = state.asks(&self.settings.sizes, now);
        drop(state);
        let mut large = lock(&self.large);
        let until = large.map(|since| since + KEPT);
        if until.is_some_and(|until| until <= now) {
            *large = None;
            self.rooms.clear();
        }
        let again = [again, until.filter(|until| *until > now)].into_iter().flatten().min();
        (asks, again)
    }

    fn hand_on(&self, state: &mut State) {
        for (assignment, batch) in state.outgoing() {
            self.tell(FetchEvent::Batch { assignment, batch });
        }
    }

    /// Room for so many bytes.
    pub(super) fn room(&self, size: usize) -> Room {
        let is_large = Rooms::WORTH.contains(&size);
        if is_large { self.rooms.take().unwrap_or_default() } else { Room::default() }
    }

    /// Where a broker is; without one, where any may be.
    pub(super) fn address(&self, broker: Option<i32>) -> (String, u16) {
        let state = self.state();
        self.settings.reach.address(broker, &state.cluster, state.look_up_failures)
    }

    /// What a broker says of a partition, on the way in.
    pub(super) fn arrived(&self, wanted: &Wanted, answer: Answer, mut room: Room, now: Instant) {
        if answer.error != code::NONE {
            return self.refused(wanted, answer.error, now);
        }
        if let Some(end) = answer.diverging {
            return self.parted(wanted, end);
        }
        let how = Apart { from: wanted.offset, check: self.settings.check, isolation: self.settings.sizes.isolation };
        let spare = || self.rooms.take().unwrap_or_default().buffer;
        let mut aborted = Aborted::new(answer.aborted);
        let found = take_apart(&mut room.buffer, spare, how, &mut aborted, &mut room.records);
        let batches = self.batches(wanted, room, now);
        let held: usize = batches.iter().map(|(_, bytes)| bytes).sum();
        let mut state = self.state();
        // Each batch hands its receipt in, be it passed on or, without a partition, dropped here.
        state.held += held;
        let paused = state.paused;
        let Some(reading) = state.find(wanted) else { return };
        reading.position = Position::At(found.next);
        reading.epoch = found.epoch.unwrap_or(reading.epoch);
        reading.end = Some(answer.end);
        reading.failures = 0;
        if let Some(broker) = answer.preferred {
            reading.prefer(broker, now);
        }
        reading.ready.extend(batches.into_iter().map(|(batch, _)| batch));
        for batch in if paused { Vec::new() } else { reading.outgoing() } {
            self.tell(FetchEvent::Batch { assignment: wanted.assignment, batch });
        }
        drop(state);
        if let Some(fault) = found.fault {
            self.fail(Error::transient(format!(
                "{} cannot be read at offset {}: {fault}; Kafka's log is damaged there, or what lies between is: reading is \
                 tried again, and if it fails for good set the group's offset behind it",
                wanted.origin, found.next
            )));
        }
    }

    /// What is in a room, in batches that are not too long, each with its bytes.
    fn batches(&self, wanted: &Wanted, room: Room, now: Instant) -> Vec<(RawBatch, usize)> {
        if room.records.is_empty() {
            self.rooms.give(room);
            return Vec::new();
        }
        let bytes = room.buffer.len() + room.records.len() * RECORD_OVERHEAD;
        let whole = RawBatch::new(wanted.origin.clone(), room, &self.rooms);
        if whole.is_large() {
            *lock(&self.large) = Some(now);
        }
        let mut parts: Vec<RawBatch> = whole.parts(self.settings.batch_records).collect();
        let share = bytes / parts.len();
        for part in &mut parts {
            let receipt = self.ledger.receipt(wanted.origin.clone(), wanted.assignment, share);
            part.receipt = Some(Arc::new(receipt));
        }
        parts.into_iter().map(|part| (part, share)).collect()
    }

    /// A broker does not give what was wanted of a partition.
    fn refused(&self, wanted: &Wanted, error: i16, now: Instant) {
        let mut state = self.state();
        let Some(reading) = state.find(wanted) else { return };
        match error {
            code::OFFSET_OUT_OF_RANGE if reading.nearer.take().is_some() => {} // the leader knows better
            code::OFFSET_OUT_OF_RANGE if self.settings.policy == Policy::Fail => {
                drop(state);
                self.fail(no_offset(&wanted.origin, Some(wanted.offset)));
            }
            code::OFFSET_OUT_OF_RANGE => reading.position = Position::Reset(Some(wanted.offset)),
            code::TOPIC_AUTHORIZATION_FAILED => {
                drop(state);
                self.fail(unauthorized(&format!("topic {}", wanted.origin.topic)));
            }
            _ => {
                // Leaders change, and brokers come and go: all of that passes.
                tracing::debug!(partition = %wanted.origin, error, "a broker does not give records");
                reading.nearer = None;
                reading.back_off(now, &self.settings.reach.retry);
                state.look_up.get_or_insert(now);
            }
        }
    }

    /// The log that was read is not the leader's: an unclean election has cut it back.
    fn parted(&self, wanted: &Wanted, end: i64) {
        let mut state = self.state();
        let Some(reading) = state.find(wanted) else { return };
        let next = end.min(wanted.offset);
        reading.position = Position::At(next);
        reading.epoch = -1;
        drop(state);
        tracing::warn!(
            partition = %wanted.origin,
            offset = wanted.offset,
            next,
            "Kafka's log was cut back behind what was read, as after an unclean leader election; reading goes on there"
        );
    }

    /// A question is answered, or not. Gives the connection back, with its broker.
    pub(super) fn settle(&self, done: Exchanged) -> Option<(i32, Connection)> {
        let now = Instant::now();
        let Exchanged { ask, connection, outcome } = done;
        let brought = match outcome {
            Ok(brought) => brought,
            Err(fault) => {
                self.faulted(&ask, &fault, now);
                return None;
            }
        };
        if let Some(broker) = ask.broker() {
            let got = match brought {
                Brought::Records(bytes, throttled) => (bytes, throttled),
                Brought::Ends(_) | Brought::Places(_) => (0, Duration::ZERO),
            };
            let mut state = self.state();
            state.exchanged(broker, ask.bytes(), ask.wanted(), got, now);
            self.all_is_well(&mut state);
        }
        match brought {
            Brought::Records(..) => {}
            Brought::Ends(ends) => ends.into_iter().for_each(|(wanted, log)| self.reset(&wanted, log, now)),
            Brought::Places(cluster) => self.found(cluster, now),
        }
        ask.broker().zip(connection)
    }

    /// Takes back what the user was told, once no broker that is needed fails any more.
    fn all_is_well(&self, state: &mut State) {
        if state.told
            && state.look_up_failures < TELL_AFTER
            && state.links.values().all(|link| link.failures < TELL_AFTER)
        {
            state.told = false;
            self.tell(FetchEvent::Remark { subject: "fetch", text: None });
        }
    }

    /// Where a log begins and ends, for a partition that could not be read where it was to be.
    fn reset(&self, wanted: &Wanted, log: Result<std::ops::Range<i64>, i16>, now: Instant) {
        let log = match log {
            Ok(log) => log,
            Err(error) => return self.refused(wanted, error, now),
        };
        let from_the_end = match self.settings.policy {
            Policy::Earliest => false,
            Policy::Latest => true,
            Policy::Fail => return self.fail(no_offset(&wanted.origin, (wanted.offset >= 0).then_some(wanted.offset))),
        };
        let mut state = self.state();
        let Some(reading) = state.find(wanted) else { return };
        reading.position = Position::At(if from_the_end { log.end } else { log.start });
        reading.epoch = -1;
        reading.end = Some(log.end);
        drop(state);
        if wanted.offset >= 0
            && let Some(lost) = retention::lost(wanted.offset, &log, from_the_end)
        {
            self.tell(FetchEvent::Lost(wanted.origin.clone(), lost));
        }
    }

    /// Where partitions are.
    fn found(&self, cluster: Cluster, now: Instant) {
        let denied = cluster.errors.iter().find(|(_, error)| **error == code::TOPIC_AUTHORIZATION_FAILED);
        if let Some((topic, _)) = denied {
            self.fail(unauthorized(&format!("topic {topic}")));
        }
        let mut state = self.state();
        state.cluster = cluster;
        state.looking = false;
        if state.partitions.iter().any(|reading| state.leader(&reading.origin).is_none()) {
            state.look_up_failures = state.look_up_failures.saturating_add(1);
            state.look_up = Some(now + backoff(&self.settings.reach.retry, state.look_up_failures));
        } else {
            state.look_up_failures = 0;
        }
        state.forget_links();
        self.all_is_well(&mut state);
    }

    /// A broker did not answer as it should.
    fn faulted(&self, ask: &Ask, fault: &Fault, now: Instant) {
        let broker = ask.broker();
        tracing::debug!(broker, %fault, "a broker does not answer");
        let (host, port) = self.address(broker);
        let mut state = self.state();
        let failures = match broker {
            Some(broker) => {
                let link = state.links.entry(broker).or_default();
                link.failed(now, &self.settings.reach.reconnect);
                let failures = link.failures;
                // Whom it led may have another leader by now.
                state.look_up.get_or_insert(now);
                failures
            }
            None => {
                state.looking = false;
                state.look_up = Some(now + backoff(&self.settings.reach.reconnect, state.look_up_failures));
                state.look_up_failures = state.look_up_failures.saturating_add(1);
                state.look_up_failures
            }
        };
        state.asked -= ask.bytes().min(state.asked);
        for wanted in ask.wanted() {
            state.find(wanted).into_iter().for_each(|reading| reading.nearer = None);
        }
        state.release(ask.wanted());
        if fault.is_final() {
            drop(state);
            return self.fail(Error::bad_config(format!(
                "Kafka at {host}:{port} cannot be read directly: {fault}, as Kafka does since 2.7; set millrace.fetch to librdkafka"
            )));
        }
        if failures >= TELL_AFTER {
            state.told = true;
            let hint = match fault {
                Fault::Tls(_) => "; check ssl.* (or set millrace.fetch to librdkafka)",
                Fault::Login(_) => "; check sasl.* and security.protocol",
                _ => "",
            };
            let text = format!(
                "records cannot be read from Kafka at {host}:{port}: {fault}{hint}; it is tried again and again"
            );
            self.tell(FetchEvent::Remark { subject: "fetch", text: Some(text) });
        }
    }

    /// The ends of partitions, as they were told with the last answers.
    pub(super) fn tell_ends(&self) {
        let state = self.state();
        let known = state.partitions.iter().filter_map(|reading| Some((reading.origin.clone(), reading.end?)));
        let ends: Vec<(TopicPartition, i64)> = known.collect();
        if !ends.is_empty() {
            self.tell(FetchEvent::Ends(ends));
        }
    }
}

/// A partition has no offset to be read from, or not this one.
fn no_offset(origin: &TopicPartition, offset: Option<i64>) -> Error {
    nowhere(&match offset {
        Some(offset) => format!("Kafka no longer has offset {offset} of {origin}"),
        None => format!("{origin} has no committed offset"),
    })
}

#[cfg(test)]
mod tests;
